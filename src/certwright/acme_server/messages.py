"""HTTP messages as the protocol sees them, and the endpoints they are for."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from http import HTTPStatus
from typing import Any

PROBLEM_TYPE = "application/problem+json"


class Endpoint(StrEnum):
    """First segment of every path; for the directory's members it is the member's name."""

    DIRECTORY = "directory"
    TERMS = "terms"
    NEW_NONCE = "newNonce"
    NEW_ACCOUNT = "newAccount"
    NEW_ORDER = "newOrder"
    REVOKE_CERT = "revokeCert"
    KEY_CHANGE = "keyChange"
    RENEWAL_INFO = "renewalInfo"
    ACCOUNT = "account"
    ORDERS = "orders"
    ORDER = "order"
    AUTHORIZATION = "authorization"
    CHALLENGE = "challenge"
    FINALIZE = "finalize"
    CERTIFICATE = "certificate"
    ALTERNATE = "alternate"


@dataclass(frozen=True, slots=True)
class Request:
    """``headers`` by lower-case name; ``path`` as sent, with its query."""

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def endpoint_and_id(self) -> tuple[Endpoint | None, str]:
        """What ``/endpoint/id`` names; no endpoint if there is none of that name."""
        segment, _, resource_id = self.path.removeprefix("/").partition("/")
        return (Endpoint(segment) if segment in _ENDPOINTS else None), resource_id


@dataclass(frozen=True, slots=True)
class Response:
    """An answer, complete but for the headers every answer has."""

    status: int = HTTPStatus.OK
    body: bytes = b""
    content_type: str | None = None
    headers: tuple[tuple[str, str], ...] = ()

    def with_headers(self, *headers: tuple[str, str]) -> "Response":
        """The same answer with ``headers`` added."""
        return Response(self.status, self.body, self.content_type, (*self.headers, *headers))


def json_response(
    document: Mapping[str, Any],
    *headers: tuple[str, str],
    status: int = HTTPStatus.OK,
    content_type: str = "application/json",
) -> Response:
    """An answer with a JSON body."""
    return Response(status, json.dumps(document, indent=1).encode() + b"\n", content_type, headers)


def link(url: str, relation: str) -> tuple[str, str]:
    """A Link header (RFC 8288)."""
    return "Link", f'<{url}>;rel="{relation}"'


_ENDPOINTS = frozenset(Endpoint)
