"""Problem documents: what a CA says when it says no (RFC 9457, RFC 8555 section 6.7).

Reading one never fails: a proxy's HTML page, broken JSON or wrong types become a problem that says so.
"""

import json
from dataclasses import dataclass
from typing import Any

from certwright.acme.identifier import Identifier
from certwright.acme.text import printable
from certwright.acme.transport import Response

_NAMESPACE = "urn:ietf:params:acme:error:"

# RFC 8555 section 6.7
ACCOUNT_DOES_NOT_EXIST = _NAMESPACE + "accountDoesNotExist"
ALREADY_REVOKED = _NAMESPACE + "alreadyRevoked"
BAD_CSR = _NAMESPACE + "badCSR"
BAD_NONCE = _NAMESPACE + "badNonce"
BAD_PUBLIC_KEY = _NAMESPACE + "badPublicKey"
BAD_REVOCATION_REASON = _NAMESPACE + "badRevocationReason"
BAD_SIGNATURE_ALGORITHM = _NAMESPACE + "badSignatureAlgorithm"
CAA = _NAMESPACE + "caa"
COMPOUND = _NAMESPACE + "compound"
CONNECTION = _NAMESPACE + "connection"
DNS = _NAMESPACE + "dns"
EXTERNAL_ACCOUNT_REQUIRED = _NAMESPACE + "externalAccountRequired"
INCORRECT_RESPONSE = _NAMESPACE + "incorrectResponse"
INVALID_CONTACT = _NAMESPACE + "invalidContact"
MALFORMED = _NAMESPACE + "malformed"
ORDER_NOT_READY = _NAMESPACE + "orderNotReady"
RATE_LIMITED = _NAMESPACE + "rateLimited"
REJECTED_IDENTIFIER = _NAMESPACE + "rejectedIdentifier"
SERVER_INTERNAL = _NAMESPACE + "serverInternal"
TLS = _NAMESPACE + "tls"
UNAUTHORIZED = _NAMESPACE + "unauthorized"
UNSUPPORTED_CONTACT = _NAMESPACE + "unsupportedContact"
UNSUPPORTED_IDENTIFIER = _NAMESPACE + "unsupportedIdentifier"
USER_ACTION_REQUIRED = _NAMESPACE + "userActionRequired"
# RFC 9773 section 7.4
ALREADY_REPLACED = _NAMESPACE + "alreadyReplaced"
# draft-ietf-acme-profiles
INVALID_PROFILE = _NAMESPACE + "invalidProfile"
# RFC 9457 section 4.2.1: no more specific than the HTTP status
BLANK = "about:blank"

_MOST_WORDS = 2000  # characters
_MOST_SUBPROBLEMS = 100


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem document, or one of its subproblems."""

    type: str = BLANK
    title: str = ""
    detail: str = ""
    """The CA's own words, made safe to print: no control characters, bounded length."""
    status: int | None = None
    instance: str | None = None
    """A URL about this occurrence; with ``userActionRequired``, the page to visit."""
    identifier: Identifier | None = None
    """Set in subproblems (RFC 8555 section 6.7.1)."""
    subproblems: tuple["Problem", ...] = ()

    @property
    def name(self) -> str:
        """The type without the ACME namespace: ``rateLimited``; other types as they are."""
        return self.type.removeprefix(_NAMESPACE)

    @classmethod
    def parse(cls, data: object) -> "Problem":
        """Read the JSON value ``data``, whatever it is."""
        if not isinstance(data, dict):
            return cls()
        subproblems = data.get("subproblems")
        listed = subproblems[:_MOST_SUBPROBLEMS] if isinstance(subproblems, list) else []
        status = data.get("status")
        return cls(
            type=_words(data.get("type")) or BLANK,
            title=_words(data.get("title")),
            detail=_words(data.get("detail")),
            status=status if type(status) is int else None,
            instance=_words(data.get("instance")) or None,
            identifier=_identifier(data.get("identifier")),
            # RFC 8555 section 6.7.1: subproblems have none of their own
            subproblems=tuple(cls.parse(item | {"subproblems": None}) for item in listed if isinstance(item, dict)),
        )

    @classmethod
    def from_response(cls, response: Response) -> "Problem":
        """The problem in an error answer; one made from its HTTP status if it carries none."""
        try:
            data = json.loads(response.body)
        except (ValueError, RecursionError):
            data = None
        if isinstance(data, dict) and (data.keys() & {"type", "detail", "title"}):
            problem = cls.parse(data | {"status": response.status})
            if problem.detail or problem.title or problem.type != BLANK:
                return problem
        kind = _words(response.headers.get("Content-Type")) or "no content type"
        return cls(status=response.status, detail=f"HTTP {response.status} without a problem document ({kind})")

    def __str__(self) -> str:
        said = self.detail or self.title or "no reason given"
        told = [said if self.type == BLANK else f"{said} [{self.name}]"]
        told += [f"{sub.identifier}: {sub}" if sub.identifier else str(sub) for sub in self.subproblems]
        return "; ".join(told)


def _identifier(data: Any) -> Identifier | None:
    if isinstance(data, dict) and isinstance(data.get("type"), str) and isinstance(data.get("value"), str):
        return Identifier(_words(data["type"]), _words(data["value"]))
    return None


def _words(value: object) -> str:
    if not isinstance(value, str):
        return ""
    return printable(value[:_MOST_WORDS]).strip()
