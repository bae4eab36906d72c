"""Orders: creation, state, finalization (RFC 8555 section 7.4, RFC 9773 section 5, the profiles draft)."""

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from http import HTTPStatus
from typing import Any

from certwright.acme_server import csr
from certwright.acme_server.config import Profile
from certwright.acme_server.context import Call, Context
from certwright.acme_server.encoding import b64url_decode, rfc3339, rfc3339_decode
from certwright.acme_server.handlers.authorizations import challenge_types, open_authorization
from certwright.acme_server.identifiers import Identifier, check_policy, parse_identifier
from certwright.acme_server.messages import Endpoint, Response, json_response
from certwright.acme_server.problem import ErrorType, Problem, combine, malformed, named, unauthorized
from certwright.acme_server.renewal_info import certificate_identifier
from certwright.acme_server.resources import Account, Authorization, IssuedCertificate, Order, Status


def new_order(context: Context, call: Call) -> Response:
    """Section 7.4."""
    wanted, owner = call.document, call.owner
    identifiers = _identifiers(context, wanted)
    name, profile = _profile(context, wanted, identifiers)
    not_before, not_after = _validity(context, wanted, profile)
    replaces = _replaces(context, wanted, owner, identifiers)
    opened = tuple(open_authorization(context, owner, identifier) for identifier in identifiers)
    ends = [context.clock() + context.config.order_lifetime, *(each.expires for each in opened)]
    expires = min([*ends, not_after] if not_after else ends)
    order = Order(owner.id, identifiers, opened, name, expires, not_before, not_after, replaces)
    order.update(context.clock())
    context.state.add_order(order)
    return _answer(context, order, status=HTTPStatus.CREATED)


def read_order(context: Context, call: Call) -> Response:
    """Read an order."""
    call.require_empty()
    return _answer(context, _own(context, call))


def finalize(context: Context, call: Call) -> Response:
    """Section 7.4: take the CSR; issue at once, or after the configured delay."""
    order = _own(context, call)
    if order.status is not Status.READY:
        raise Problem(ErrorType.ORDER_NOT_READY, f"The order is {order.status}; only a ready one can be finalized.")
    profile = context.ca.config.profiles.get(order.profile)
    if profile is None:
        raise Problem(ErrorType.INVALID_PROFILE, "The order's profile is not issued any more.")
    request = csr.read(b64url_decode(call.document.get("csr"), "csr"), order.identifiers)
    if request.public_key == call.key.public_key:
        raise Problem(ErrorType.BAD_CSR, "The CSR is refused: its key is the account's.")
    order.status = Status.PROCESSING
    stale = [each for each in order.authorizations if each.needs_caa(context.clock())]
    issue = partial(_issue, context, order, profile, request, stale)
    if context.config.finalize_delay or stale:
        context.jobs.start(context.config.finalize_delay, issue)
    else:
        issue()
    return _answer(context, order)


def _issue(
    context: Context, order: Order, profile: Profile, request: csr.Request, stale: Sequence[Authorization]
) -> None:
    """Issue, unless CAA forbids by now what it allowed when ``stale`` was validated; the lock is not held for that."""
    problems = [problem for each in stale if (problem := _caa_problem(context, each))]
    with context.state.lock:
        if problems:
            order.status, order.error = Status.INVALID, combine(problems)
            return
        made = context.ca.issue(
            request.public_key,
            order.identifiers,
            profile,
            common_name=request.common_name,
            not_before=order.not_before,
            not_after=order.not_after,
        )
        issued = IssuedCertificate(
            certificate=made.certificate,
            chains=made.chains,
            identifiers=order.identifiers,
            certificate_id=certificate_identifier(made.certificate),
            order_url=context.url(Endpoint.ORDER, order.id),
            account_url=context.url(Endpoint.ACCOUNT, order.account_id),
            account_id=order.account_id,
            profile=order.profile,
            replaces=order.replaces,
        )
        context.state.add_issued(issued)
        order.certificate_id, order.status = issued.id, Status.VALID


def _caa_problem(context: Context, authorization: Authorization) -> Problem | None:
    account_url = context.url(Endpoint.ACCOUNT, authorization.account_id)
    try:
        context.validator.check_caa(authorization.proves, authorization.proof.type, account_url)
    except Problem as problem:
        return named(problem, authorization.identifier.as_json())
    return None


def _own(context: Context, call: Call) -> Order:
    order = context.state.orders.get(call.resource_id)
    if order is None:
        raise malformed("There is no such order.", HTTPStatus.NOT_FOUND)
    if order.account_id != call.owner.id:
        raise unauthorized("This is another account's order.")
    order.update(context.clock())
    return order


def _answer(context: Context, order: Order, status: HTTPStatus = HTTPStatus.OK) -> Response:
    document: dict[str, Any] = {
        "status": order.status,
        "expires": rfc3339(order.expires),
        "identifiers": [identifier.as_json() for identifier in order.identifiers],
        "profile": order.profile,
        "authorizations": [context.url(Endpoint.AUTHORIZATION, a.id) for a in order.authorizations],
        "finalize": context.url(Endpoint.FINALIZE, order.id),
    }
    if order.not_before is not None:
        document["notBefore"] = rfc3339(order.not_before)
    if order.not_after is not None:
        document["notAfter"] = rfc3339(order.not_after)
    if order.replaces is not None:
        document["replaces"] = order.replaces
    if order.error is not None:
        document["error"] = order.error.as_json()
    if order.certificate_id is not None:
        document["certificate"] = context.url(Endpoint.CERTIFICATE, order.certificate_id)
    headers = [("Location", context.url(Endpoint.ORDER, order.id))]
    if order.status is Status.PROCESSING:
        wait = context.config.retry_after or math.ceil(context.config.finalize_delay)
        headers.append(("Retry-After", str(max(wait, 1))))
    return json_response(document, *headers, status=status)


def _identifiers(context: Context, wanted: Mapping[str, Any]) -> tuple[Identifier, ...]:
    """All identifiers once, in the client's order; all that are wrong are named."""
    raw = wanted.get("identifiers")
    if not isinstance(raw, list) or not raw:
        raise malformed("An order has at least one identifier.")
    config, problems = context.config, []
    identifiers: dict[Identifier, None] = {}
    for element in raw:
        try:
            identifier = check_policy(
                parse_identifier(element),
                allow_internal=config.allow_internal_names,
                forbidden_domains=config.forbidden_domains,
            )
            identifiers[_provable(context, identifier)] = None
        except Problem as problem:
            problems.append(problem)
    if problems:
        raise combine(problems)
    return tuple(identifiers)


def _provable(context: Context, identifier: Identifier) -> Identifier:
    if not challenge_types(context, identifier):
        raise Problem(
            ErrorType.REJECTED_IDENTIFIER,
            f"No challenge this server offers can prove {identifier.value}.",
            identifier=identifier.as_json(),
        )
    return identifier


def _profile(context: Context, wanted: Mapping[str, Any], identifiers: Sequence[Identifier]) -> tuple[str, Profile]:
    """The profile asked for, or the first that fits."""
    name, profiles = wanted.get("profile"), context.ca.config.profiles
    if name is None:
        fitting = [(key, profile) for key, profile in profiles.items() if not _misfit(profile, identifiers)]
        if not fitting:
            raise malformed("No profile of this server fits these identifiers: too many, or IP addresses.")
        return fitting[0]
    if not isinstance(name, str) or name not in profiles:
        raise Problem(ErrorType.INVALID_PROFILE, f"This server offers the profiles {', '.join(profiles)}.")
    misfit = _misfit(profiles[name], identifiers)
    if misfit:
        raise Problem(ErrorType.INVALID_PROFILE, f"The profile {name} {misfit}.")
    return name, profiles[name]


def _misfit(profile: Profile, identifiers: Sequence[Identifier]) -> str:
    if len(identifiers) > profile.max_identifiers:
        return f"allows {profile.max_identifiers} identifiers in a certificate"
    if not profile.ip_addresses and any(identifier.type == "ip" for identifier in identifiers):
        return "does not allow IP addresses"
    return ""


def _validity(context: Context, wanted: Mapping[str, Any], profile: Profile) -> tuple[datetime | None, datetime | None]:
    """The notBefore and notAfter asked for, if they stay within what the profile would give by itself."""
    not_before, not_after = (
        rfc3339_decode(wanted[name], name) if wanted.get(name) is not None else None
        for name in ("notBefore", "notAfter")
    )
    now = context.clock()
    start = not_before or now
    if not_before is not None and not now - profile.lifetime < not_before < now + profile.lifetime:
        raise malformed("notBefore is too far from now.")
    if not_after is not None and not start < not_after <= start + profile.lifetime:
        raise malformed("notAfter is not within the profile's lifetime after notBefore.")
    return not_before, not_after


def _replaces(
    context: Context, wanted: Mapping[str, Any], owner: Account, identifiers: Sequence[Identifier]
) -> str | None:
    """The predecessor's identifier, after the checks of RFC 9773 section 5."""
    replaces = wanted.get("replaces")
    if replaces is None:
        return None
    predecessor = context.state.find_issued(replaces) if isinstance(replaces, str) else None
    if predecessor is None:
        raise malformed("replaces names no certificate of this server.", HTTPStatus.NOT_FOUND)
    if predecessor.account_id != owner.id:
        raise unauthorized("replaces names another account's certificate.")
    if set(predecessor.identifiers).isdisjoint(identifiers):
        raise malformed("The order shares no identifier with the certificate that replaces names.")
    if context.state.is_replaced(predecessor.certificate_id, context.clock()):
        raise Problem(ErrorType.ALREADY_REPLACED, "Another order replaces this certificate already.")
    return predecessor.certificate_id
