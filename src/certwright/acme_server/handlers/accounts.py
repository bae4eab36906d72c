"""Accounts: creation, update, deactivation, orders, key roll-over (RFC 8555 section 7.3)."""

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from certwright.acme_server import jws
from certwright.acme_server.context import Call, Context
from certwright.acme_server.encoding import b64url_decode, json_object
from certwright.acme_server.messages import Endpoint, Response, json_response, link
from certwright.acme_server.problem import ErrorType, Problem, malformed, unauthorized
from certwright.acme_server.resources import Account, Status

_MAX_CONTACTS = 10
_ORDERS_PER_PAGE = 100
_MAILTO = re.compile(r"mailto:[A-Za-z0-9.!#$&'*+/=^_`{|}~-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")


def new_account(context: Context, call: Call) -> Response:
    """Section 7.3, with 7.3.1 (find by key) and 7.3.4 (external account binding)."""
    wanted = call.document
    if call.account is not None:
        return _answer(context, call.account, HTTPStatus.OK)
    if wanted.get("onlyReturnExisting") is True:
        raise Problem(ErrorType.ACCOUNT_DOES_NOT_EXIST, "No account has this key.")
    contact = _contact(wanted)
    agreed = wanted.get("termsOfServiceAgreed") is True
    if context.config.require_terms and not agreed:
        terms = context.url(Endpoint.TERMS)
        raise Problem(
            ErrorType.USER_ACTION_REQUIRED,
            f"An account must agree to the terms of service at {terms}.",
            headers=[link(terms, "terms-of-service")],
        )
    binding = _external_account_binding(context, call)
    account = Account(call.key, contact, agreed, binding)
    context.state.add_account(account)
    return _answer(context, account, HTTPStatus.CREATED)


def update_account(context: Context, call: Call) -> Response:
    """Sections 7.3.2 (update) and 7.3.6 (deactivation)."""
    owner = _own(call)
    if call.payload is not None:
        if call.payload.get("status") == Status.DEACTIVATED:
            owner.status = Status.DEACTIVATED
        elif "contact" in call.payload:
            owner.contact = _contact(call.payload)
    return _answer(context, owner, HTTPStatus.OK)


def list_orders(context: Context, call: Call) -> Response:
    """Section 7.1.2.1: the account's orders, page by page. The id is ACCOUNT or ACCOUNT/OFFSET."""
    call.require_empty()
    account_id, _, offset = call.resource_id.partition("/")
    if call.owner.id != account_id:
        raise unauthorized("These orders are another account's.")
    if offset and not re.fullmatch("[1-9][0-9]{0,8}", offset):
        raise malformed("There is no such page.", HTTPStatus.NOT_FOUND)
    start = int(offset or 0)
    listed = context.state.orders_of(call.owner)
    for order in listed:
        order.update(context.clock())
    listed = [order for order in listed if order.status is not Status.INVALID]
    end = start + _ORDERS_PER_PAGE
    urls = [context.url(Endpoint.ORDER, order.id) for order in listed[start:end]]
    following = [link(context.url(Endpoint.ORDERS, f"{account_id}/{end}"), "next")] if listed[end:] else []
    return json_response({"orders": urls}, *following)


def key_change(context: Context, call: Call) -> Response:
    """Section 7.3.5: the new key signs that it takes over, the old one that it agrees."""
    inner = jws.parse(call.document)
    if "nonce" in inner.header or inner.header.get("url") != call.url:
        raise malformed("The inner JWS has the url of the outer one and no nonce.")
    new_key = jws.account_key(inner.header.get("jwk"))
    jws.verify(inner, new_key)
    change = json_object(inner.payload, "The inner payload")
    owner = call.owner
    if change.get("account") != context.url(Endpoint.ACCOUNT, owner.id):
        raise malformed("The inner payload names another account than the request.")
    if jws.account_key(change.get("oldKey")).thumbprint != owner.key.thumbprint:
        raise malformed("oldKey is not the account's key.")
    taken = context.state.account_of(new_key.thumbprint)
    if taken is not None:
        raise Problem(
            ErrorType.MALFORMED,
            "Another account has the new key already.",
            status=HTTPStatus.CONFLICT,
            headers=[("Location", context.url(Endpoint.ACCOUNT, taken.id))],
        )
    old_thumbprint, owner.key = owner.key.thumbprint, new_key
    context.state.index_key(owner, old_thumbprint)
    return _answer(context, owner, HTTPStatus.OK)


def _own(call: Call) -> Account:
    if call.owner.id != call.resource_id:
        raise unauthorized("This is another account.")
    return call.owner


def _answer(context: Context, account: Account, status: HTTPStatus) -> Response:
    document: dict[str, Any] = {
        "status": account.status,
        "contact": list(account.contact),
        "termsOfServiceAgreed": account.terms_agreed,
        "orders": context.url(Endpoint.ORDERS, account.id),
    }
    if account.external_account_binding is not None:
        document["externalAccountBinding"] = account.external_account_binding
    location = ("Location", context.url(Endpoint.ACCOUNT, account.id))
    return json_response(document, location, status=status)


def _contact(wanted: Mapping[str, Any]) -> tuple[str, ...]:
    contact = wanted.get("contact") or []
    if not isinstance(contact, list) or not all(isinstance(url, str) for url in contact):
        raise malformed("contact is not a list of strings.")
    if len(contact) > _MAX_CONTACTS:
        raise Problem(ErrorType.INVALID_CONTACT, f"An account has at most {_MAX_CONTACTS} contacts.")
    for url in contact:
        if not url.startswith("mailto:"):
            raise Problem(ErrorType.UNSUPPORTED_CONTACT, "This server takes mailto: contacts only.")
        if not _MAILTO.fullmatch(url):
            raise Problem(ErrorType.INVALID_CONTACT, "A mailto: contact holds exactly one plain address.")
    return tuple(contact)


def _external_account_binding(context: Context, call: Call) -> Mapping[str, Any] | None:
    binding = call.document.get("externalAccountBinding")
    if binding is None:
        if context.config.external_account_required:
            raise Problem(ErrorType.EXTERNAL_ACCOUNT_REQUIRED, "A new account needs an external account binding.")
        return None
    if not isinstance(binding, dict):
        raise malformed("externalAccountBinding is not an object.")
    inner = jws.parse(binding)
    if "nonce" in inner.header or inner.header.get("url") != call.url:
        raise malformed("The external account binding has the url of the request and no nonce.")
    key = context.config.external_account_keys.get(str(inner.header.get("kid")))
    if key is None:
        raise unauthorized("The key identifier of the external account binding is unknown.")
    jws.verify_mac(inner, b64url_decode(key.rstrip("="), "The configured HMAC key"))
    bound = jws.account_key(json_object(inner.payload, "The payload of the external account binding"))
    if bound.thumbprint != call.key.thumbprint:
        raise malformed("The external account binding is for another account key.")
    return binding
