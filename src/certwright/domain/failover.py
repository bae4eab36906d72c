"""When another issuer stands in for the first: after a fault of the authority's own, never after one of ours. Pure."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from certwright.domain.errors import (
    AuthorityAway,
    AuthorityFailed,
    CertwrightError,
    LimitReached,
    NotProved,
    Unfinished,
)

PATIENCE = timedelta(hours=1)
"""A rate limit that ends as soon as this is waited for."""

UNFINISHED_FOR = timedelta(hours=2)
"""An order that the authority has had for so long and does not finish is a fault of its own."""

_ITS_OWN = "serverInternal"


def is_its_own_fault(error: CertwrightError) -> bool:
    """Whether the authority failed for a reason of its own: away, broken, or a limit that holds for long.

    What it did not find proved, what CAA forbids and what is set wrongly here would meet the next authority as well, or
    is for a person to know of.
    """
    match error:
        case AuthorityAway() | AuthorityFailed():
            return True
        case LimitReached():
            return error.retry_after is None or error.retry_after > PATIENCE
        case NotProved():
            return bool(error.rejections) and all(r.problem == _ITS_OWN for r in error.rejections)
        case _:
            return False


def judged(error: Unfinished, placed: datetime, now: datetime) -> CertwrightError:
    """What an order that was not finished in time is a matter of: waiting, or after long a fault of the authority."""
    if now - placed < UNFINISHED_FOR:
        return error
    since = f"It has had the order since {placed:%Y-%m-%d %H:%M} UTC."
    return AuthorityFailed(f"{error.message} {since}", causes=error.causes, hint=error.hint)


def gathered(failures: Sequence[tuple[str, CertwrightError]]) -> CertwrightError:
    """The failure of the first issuer, telling those of the others too; it waits no longer than any that recovers."""
    (_, first), *others = failures
    recovering = [error.retry_after for _, error in failures if is_its_own_fault(error)]
    first.causes = (*first.causes, *(cause for name, error in others for cause in _told(name, error)))
    if recovering:
        first.retry_after = min((wait for wait in recovering if wait), default=None) if all(recovering) else None
    return first


def _told(name: str, error: CertwrightError) -> list[str]:
    told, *more = error.explain()
    return [f"{name}, asked instead: {told}", *more]
