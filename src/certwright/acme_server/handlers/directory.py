"""What is read without a signature: the directory (RFC 8555 section 7.1.1), the terms, nonces (7.2)."""

from http import HTTPStatus
from typing import Any

from certwright.acme_server.context import Context
from certwright.acme_server.messages import Endpoint, Request, Response, json_response

_MEMBERS = (
    Endpoint.NEW_NONCE,
    Endpoint.NEW_ACCOUNT,
    Endpoint.NEW_ORDER,
    Endpoint.REVOKE_CERT,
    Endpoint.KEY_CHANGE,
    Endpoint.RENEWAL_INFO,
)


def directory(context: Context, _request: Request) -> Response:
    """The directory object."""
    config = context.config
    meta: dict[str, Any] = {
        "externalAccountRequired": config.external_account_required,
        "profiles": {name: profile.description for name, profile in context.ca.config.profiles.items()},
    }
    if config.require_terms:
        meta["termsOfService"] = context.url(Endpoint.TERMS)
    if config.website is not None:
        meta["website"] = config.website
    if config.caa_identities:
        meta["caaIdentities"] = list(config.caa_identities)
    return json_response({name.value: context.url(name) for name in _MEMBERS} | {"meta": meta})


def terms(context: Context, _request: Request) -> Response:
    """The terms of service."""
    text = f"{context.ca.config.organization} issues certificates for tests and internal use, without warranty.\n"
    return Response(HTTPStatus.OK, text.encode(), "text/plain; charset=utf-8")


def new_nonce(_context: Context, request: Request) -> Response:
    """Nothing but the nonce that every such answer gets."""
    return Response(HTTPStatus.OK if request.method == "HEAD" else HTTPStatus.NO_CONTENT)
