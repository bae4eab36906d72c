"""When to try again after a failure: a ladder for each kind of cause, within what is left of the certificate's life."""

from datetime import datetime, timedelta
from enum import StrEnum

from certwright.domain.errors import (
    AuthorityFailed,
    CertwrightError,
    ConfigurationError,
    DeploymentError,
    IssuanceError,
    LeaseHeld,
    LimitReached,
    NeedsPerson,
    NotProved,
    SolverError,
    StoreError,
    Unreachable,
)

JITTER = 0.2
"""By how much of itself a pause is made longer or shorter, so that those who failed together do not return together."""

SHARE_OF_REST = 1 / 20
"""No pause is longer than this share of what is left of the certificate's life."""

HEEDED_SHARE = 1 / 2
"""A peer's word to wait counts for no more than this share of it, so that the last wait ends before the certificate."""

HEEDED_LIMIT, HEEDED_ELSE = timedelta(days=7), timedelta(days=1)
"""Nor does it count for longer than this: the longest window of a limit that authorities publish, or else a day."""


class Cause(StrEnum):
    """Kinds of failure, by what helps against them."""

    UNREACHABLE = "unreachable"
    LIMIT = "limit"
    PROOF = "proof"
    REFUSED = "refused"
    SETTINGS = "settings"
    PERSON = "person"
    DEPLOYMENT = "deployment"
    STORE = "store"
    UNEXPECTED = "unexpected"

    @property
    def waits_for_change(self) -> bool:
        """Whether trying again is of no use before somebody changed something, here or around the names."""
        return self in (Cause.PROOF, Cause.REFUSED, Cause.SETTINGS)

    @property
    def passes(self) -> bool:
        """Whether it is the other side's to mend, or time's: nobody here has anything to change."""
        return self in (Cause.UNREACHABLE, Cause.LIMIT, Cause.STORE)


_MINUTES = {
    Cause.UNREACHABLE: (1, 5, 15, 60, 180, 360),
    Cause.LIMIT: (60, 180, 360, 720, 1440),
    Cause.PROOF: (10, 60, 240, 720, 1440),
    Cause.REFUSED: (60, 360, 1440),
    Cause.SETTINGS: (1440,),
    Cause.PERSON: (10, 10, 10, 30, 60),
    Cause.DEPLOYMENT: (5, 30, 120, 360, 1440),
    Cause.STORE: (1, 5, 15, 60),
    Cause.UNEXPECTED: (10, 60, 360, 1440),
}
_SHORTEST = {
    Cause.LIMIT: timedelta(minutes=30),
    Cause.PROOF: timedelta(minutes=15),
    Cause.REFUSED: timedelta(minutes=30),
    Cause.SETTINGS: timedelta(hours=6),
}
_USUAL_SHORTEST = timedelta(minutes=1)


def cause_of(error: BaseException) -> Cause:  # noqa: PLR0911 - one for each kind
    """The kind of a failure."""
    match error:
        case NeedsPerson():
            return Cause.PERSON
        case DeploymentError():
            return Cause.DEPLOYMENT
        case NotProved() | SolverError(retryable=False):
            return Cause.PROOF
        case Unreachable(retryable=False):
            return Cause.REFUSED
        case Unreachable() | SolverError() | LeaseHeld() | AuthorityFailed():
            return Cause.UNREACHABLE
        case LimitReached() | IssuanceError(retry_after=timedelta()):
            return Cause.LIMIT
        case IssuanceError():
            return Cause.UNREACHABLE if error.retryable else Cause.REFUSED
        case ConfigurationError():
            return Cause.SETTINGS
        case StoreError():
            return Cause.STORE
        case _:
            return Cause.UNEXPECTED


def retry_after(error: BaseException) -> timedelta | None:
    """How long the peer asked us to wait, if it said so."""
    return error.retry_after if isinstance(error, CertwrightError) else None


def next_attempt(
    cause: Cause,
    failures: int,
    now: datetime,
    *,
    expires: datetime | None,
    wait: timedelta | None,
    draw: float,
) -> datetime:
    """When to try again.

    Args:
        cause: of the last failure.
        failures: how many there were in a row, the last one included.
        now: the moment of the last one.
        expires: the end of the certificate in use; None if there is none.
        wait: how long the peer asked us to wait; of that counts what `heeded` leaves.
        draw: a random number from 0 up to 1.
    """
    ladder = _MINUTES[cause]
    pause = timedelta(minutes=ladder[min(max(failures, 1), len(ladder)) - 1])
    pause *= 1 - JITTER + 2 * JITTER * draw
    if expires is not None:
        pause = min(pause, max(expires - now, timedelta()) * SHARE_OF_REST) if expires > now else pause
    pause = max(pause, _SHORTEST.get(cause, _USUAL_SHORTEST))
    return now + max(pause, heeded(cause, wait or timedelta(), expires - now if expires else None))


def heeded(cause: Cause, wait: timedelta, rest: timedelta | None) -> timedelta:
    """How much counts of the time that a peer asked us to wait: a peer that talks nonsense lets nothing expire.

    Args:
        cause: of the failure.
        wait: what was asked for.
        rest: what is left of the life of the certificate in use; None if there is none.
    """
    bounds = [HEEDED_LIMIT if cause is Cause.LIMIT else HEEDED_ELSE]
    if rest is not None:
        bounds.append(rest * HEEDED_SHARE if rest > timedelta() else HEEDED_ELSE)
    return min(wait, *bounds)
