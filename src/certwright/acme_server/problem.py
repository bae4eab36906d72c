"""Problem documents: every refusal of the server is one (RFC 8555 section 6.7, RFC 7807)."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from http import HTTPStatus
from typing import Any

ERROR_NAMESPACE = "urn:ietf:params:acme:error:"


class ErrorType(StrEnum):
    """The registered ACME error types this server uses (RFC 8555 section 6.7, RFC 9773, the profiles draft)."""

    ACCOUNT_DOES_NOT_EXIST = "accountDoesNotExist"
    ALREADY_REPLACED = "alreadyReplaced"
    ALREADY_REVOKED = "alreadyRevoked"
    BAD_CSR = "badCSR"
    BAD_NONCE = "badNonce"
    BAD_PUBLIC_KEY = "badPublicKey"
    BAD_REVOCATION_REASON = "badRevocationReason"
    BAD_SIGNATURE_ALGORITHM = "badSignatureAlgorithm"
    CAA = "caa"
    COMPOUND = "compound"
    CONNECTION = "connection"
    DNS = "dns"
    EXTERNAL_ACCOUNT_REQUIRED = "externalAccountRequired"
    INVALID_CONTACT = "invalidContact"
    INVALID_PROFILE = "invalidProfile"
    MALFORMED = "malformed"
    ORDER_NOT_READY = "orderNotReady"
    RATE_LIMITED = "rateLimited"
    REJECTED_IDENTIFIER = "rejectedIdentifier"
    SERVER_INTERNAL = "serverInternal"
    TLS = "tls"
    UNAUTHORIZED = "unauthorized"
    UNSUPPORTED_CONTACT = "unsupportedContact"
    UNSUPPORTED_IDENTIFIER = "unsupportedIdentifier"
    USER_ACTION_REQUIRED = "userActionRequired"


_STATUS = {
    ErrorType.ALREADY_REPLACED: HTTPStatus.CONFLICT,
    ErrorType.CAA: HTTPStatus.FORBIDDEN,
    ErrorType.EXTERNAL_ACCOUNT_REQUIRED: HTTPStatus.FORBIDDEN,
    ErrorType.ORDER_NOT_READY: HTTPStatus.FORBIDDEN,
    ErrorType.RATE_LIMITED: HTTPStatus.TOO_MANY_REQUESTS,
    ErrorType.SERVER_INTERNAL: HTTPStatus.INTERNAL_SERVER_ERROR,
    ErrorType.UNAUTHORIZED: HTTPStatus.FORBIDDEN,
    ErrorType.USER_ACTION_REQUIRED: HTTPStatus.FORBIDDEN,
}


class Problem(Exception):
    """A refusal, raised where it is found and sent to the client as it stands.

    Args:
        type: The ACME error type, without its namespace.
        detail: One sentence for a person.
        status: The HTTP status; by default the one that belongs to the type, 400 for most.
        identifier: The identifier at fault, as in the order (RFC 8555 section 6.7.1).
        subproblems: What is wrong with each identifier, where several are.
        members: Further members of the document, such as ``algorithms``.
        headers: HTTP headers to send along.
    """

    def __init__(
        self,
        type: ErrorType,  # noqa: A002 -- the member's name in the document
        detail: str,
        *,
        status: int | None = None,
        identifier: Mapping[str, str] | None = None,
        subproblems: Sequence["Problem"] = (),
        members: Mapping[str, Any] | None = None,
        headers: Sequence[tuple[str, str]] = (),
    ) -> None:
        super().__init__(detail)
        self.type = type
        self.detail = detail
        self.status = int(status or _STATUS.get(type, HTTPStatus.BAD_REQUEST))
        self.identifier = identifier
        self.subproblems = tuple(subproblems)
        self.members = dict(members or {})
        self.headers = tuple(headers)

    def as_json(self) -> dict[str, Any]:
        """The problem document."""
        document: dict[str, Any] = {
            "type": ERROR_NAMESPACE + self.type,
            "detail": self.detail,
            "status": self.status,
            **self.members,
        }
        if self.identifier is not None:
            document["identifier"] = dict(self.identifier)
        if self.subproblems:
            document["subproblems"] = [problem.as_json() for problem in self.subproblems]
        return document


def combine(problems: Sequence[Problem]) -> Problem:
    """One problem for several identifiers: the only one as it is, more as subproblems of one document."""
    if len(problems) == 1:
        return problems[0]
    types = {problem.type for problem in problems}
    return Problem(
        types.pop() if len(types) == 1 else ErrorType.COMPOUND,
        f"{len(problems)} identifiers are refused: {problems[0].detail} The others are named in the subproblems.",
        status=problems[0].status,
        subproblems=problems,
    )


def named(problem: Problem, identifier: Mapping[str, str]) -> Problem:
    """The same problem with the identifier at fault."""
    return Problem(problem.type, problem.detail, status=problem.status, identifier=identifier)


def malformed(detail: str, status: int = HTTPStatus.BAD_REQUEST) -> Problem:
    """The request itself is wrong."""
    return Problem(ErrorType.MALFORMED, detail, status=status)


def unauthorized(detail: str, status: int = HTTPStatus.FORBIDDEN) -> Problem:
    """The client may not do this."""
    return Problem(ErrorType.UNAUTHORIZED, detail, status=status)
