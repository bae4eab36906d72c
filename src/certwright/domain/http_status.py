"""Which HTTP status an error is, and when to come again: one table for the API and the pages."""

from collections.abc import Mapping
from http import HTTPStatus

from certwright.domain.errors import (
    CertwrightError,
    Changed,
    ConfigurationError,
    DeploymentError,
    Forbidden,
    InUse,
    IssuanceError,
    LeaseHeld,
    NeedsPerson,
    NotFound,
    NotificationError,
    NotSignedIn,
    SolverError,
    StoreError,
    Taken,
    Throttled,
    Unreachable,
    WindowClosed,
)

_STATUS: Mapping[type[CertwrightError], HTTPStatus] = {  # the first that fits, so the narrower before the wider
    NotSignedIn: HTTPStatus.UNAUTHORIZED,
    Forbidden: HTTPStatus.FORBIDDEN,
    Throttled: HTTPStatus.TOO_MANY_REQUESTS,
    NotFound: HTTPStatus.NOT_FOUND,
    Changed: HTTPStatus.PRECONDITION_FAILED,
    Taken: HTTPStatus.PRECONDITION_FAILED,
    LeaseHeld: HTTPStatus.CONFLICT,
    NeedsPerson: HTTPStatus.CONFLICT,
    WindowClosed: HTTPStatus.CONFLICT,
    InUse: HTTPStatus.CONFLICT,
    ConfigurationError: HTTPStatus.UNPROCESSABLE_ENTITY,
    IssuanceError: HTTPStatus.BAD_GATEWAY,  # a peer refused: the request to us was a fine one
    SolverError: HTTPStatus.BAD_GATEWAY,
    DeploymentError: HTTPStatus.BAD_GATEWAY,
    NotificationError: HTTPStatus.BAD_GATEWAY,
    Unreachable: HTTPStatus.BAD_GATEWAY,
    StoreError: HTTPStatus.SERVICE_UNAVAILABLE,
    CertwrightError: HTTPStatus.INTERNAL_SERVER_ERROR,
}


def status_of(error: CertwrightError) -> HTTPStatus:
    """The status of an answer that tells of this error."""
    return next(status for kind, status in _STATUS.items() if isinstance(error, kind))


def retry_after(error: CertwrightError) -> dict[str, str]:
    """The header that says when to come again; empty if the error does not tell."""
    wait = error.retry_after
    return {"Retry-After": str(max(1, round(wait.total_seconds())))} if wait else {}
