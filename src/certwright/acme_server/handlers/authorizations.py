"""Authorizations and challenges (RFC 8555 section 7.5)."""

from datetime import timedelta
from functools import partial
from http import HTTPStatus
from typing import Any

from certwright.acme_server.context import Call, Context
from certwright.acme_server.encoding import rfc3339
from certwright.acme_server.identifiers import Identifier
from certwright.acme_server.messages import Endpoint, Response, json_response, link
from certwright.acme_server.problem import Problem, malformed, unauthorized
from certwright.acme_server.resources import Account, Authorization, Challenge, Status, new_token
from certwright.acme_server.validation import Attempt

_PERSIST = "dns-persist-01"
_BY_DNS = frozenset({"dns-01", _PERSIST})


def challenge_types(context: Context, identifier: Identifier) -> tuple[str, ...]:
    """The challenges that can prove ``identifier``: RFC 8738 section 7 for addresses, those by DNS for wildcards."""
    fit = set(context.config.challenge_types)
    if identifier.type == "ip":
        fit -= _BY_DNS
    if identifier.is_wildcard:
        fit &= _BY_DNS
    if not context.config.caa_identities:
        fit.discard(_PERSIST)
    return tuple(kind for kind in context.config.challenge_types if kind in fit)


def open_authorization(context: Context, owner: Account, identifier: Identifier) -> Authorization:
    """An authorization for a new order: a valid one where these are reused, else a pending one."""
    now = context.clock()
    if context.config.reuse_authorizations:
        valid = context.state.valid_authorization(owner, identifier, now)
        if valid is not None:
            return valid
    types = challenge_types(context, identifier)
    challenges = tuple(Challenge(kind, "" if kind == _PERSIST else new_token()) for kind in types)
    expires = now + context.config.order_lifetime
    opened = Authorization(owner.id, identifier.base, identifier.is_wildcard, expires, challenges)
    context.state.add_authorization(opened)
    return opened


def update_authorization(context: Context, call: Call) -> Response:
    """Read an authorization, or deactivate it (section 7.5.2)."""
    read = _own(context, context.state.authorizations.get(call.resource_id), call)
    if call.payload is not None:
        if call.payload != {"status": Status.DEACTIVATED}:
            raise malformed("An authorization can only be deactivated.")
        if read.status not in (Status.PENDING, Status.VALID):
            raise malformed(f"The authorization is {read.status} already.")
        read.status = Status.DEACTIVATED
    document: dict[str, Any] = {
        "status": read.status,
        "expires": rfc3339(read.expires),
        "identifier": read.identifier.as_json(),
        "challenges": [_document(context, challenge, call.owner) for challenge in _told(read)],
    }
    if read.wildcard:
        document["wildcard"] = True
    return json_response(document, *_retry_after(context, read.status))


def answer_challenge(context: Context, call: Call) -> Response:
    """Read a challenge, or say that it may be validated (section 7.5.1)."""
    found = context.state.challenges.get(call.resource_id)
    owning = _own(context, found[0] if found else None, call)
    read = next(challenge for challenge in owning.challenges if challenge.id == call.resource_id)
    if call.payload is not None and read.status is Status.PENDING and owning.status is Status.PENDING:
        # One answer decides: section 7.1.6 knows no way back to pending.
        read.status = Status.PROCESSING
        work = partial(_validate, context, owning, read, call.owner)
        context.jobs.start(context.config.validation.delay, work)
    up = link(context.url(Endpoint.AUTHORIZATION, owning.id), "up")
    return json_response(_document(context, read, call.owner), up, *_retry_after(context, read.status))


def _own(context: Context, found: Authorization | None, call: Call) -> Authorization:
    if found is None:
        raise malformed("There is no such resource.", HTTPStatus.NOT_FOUND)
    if found.account_id != call.owner.id:
        raise unauthorized("This is another account's authorization.")
    found.update(context.clock())
    return found


def _told(read: Authorization) -> tuple[Challenge, ...]:
    """All challenges while one must be chosen; afterwards the one that decided (section 7.1.4)."""
    if read.status is Status.PENDING:
        return read.challenges
    decided = tuple(c for c in read.challenges if c.status in (Status.VALID, Status.INVALID))
    return decided or read.challenges


def _document(context: Context, challenge: Challenge, owner: Account) -> dict[str, Any]:
    document: dict[str, Any] = {
        "type": challenge.type,
        "url": context.url(Endpoint.CHALLENGE, challenge.id),
        "status": challenge.status,
    }
    if challenge.type == _PERSIST:
        document["accounturi"] = context.url(Endpoint.ACCOUNT, owner.id)
        document["issuer-domain-names"] = [identity.lower() for identity in context.config.caa_identities]
    else:
        document["token"] = challenge.token
    if challenge.validated is not None:
        document["validated"] = rfc3339(challenge.validated)
    if challenge.error is not None:
        document["error"] = challenge.error.as_json()
    return document


def _retry_after(context: Context, status: Status) -> list[tuple[str, str]]:
    waits = context.config.retry_after and status in (Status.PENDING, Status.PROCESSING)
    return [("Retry-After", str(context.config.retry_after))] if waits else []


def _validate(context: Context, owning: Authorization, challenge: Challenge, owner: Account) -> None:
    """Fetch the proof and decide. The lock is not held meanwhile."""
    error: Problem | None = None
    reusable: timedelta | None = None
    try:
        reusable = context.validator.validate(_attempt(context, owning, challenge, owner))
    except Problem as problem:
        error = problem
    with context.state.lock:
        now = context.clock()
        owning.update(now)
        if owning.status is not Status.PENDING:
            return
        challenge.error = error
        challenge.status = owning.status = Status.INVALID if error else Status.VALID
        if error is None:
            challenge.validated = now
            owning.expires = now + context.config.authorization_lifetime
            owning.reusable_until = None if reusable is None else now + reusable


def _attempt(context: Context, owning: Authorization, challenge: Challenge, owner: Account) -> Attempt:
    return Attempt(
        type=challenge.type,
        identifier=owning.proves,
        token=challenge.token,
        key_authorization=f"{challenge.token}.{owner.key.thumbprint}" if challenge.token else "",
        account_url=context.url(Endpoint.ACCOUNT, owner.id),
    )
