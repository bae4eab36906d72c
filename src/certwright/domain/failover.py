"""When another issuer stands in for the first: after a fault of the authority's own, never after one of ours. Pure."""

from collections.abc import Sequence
from datetime import timedelta

from certwright.domain.errors import AuthorityAway, AuthorityFailed, CertwrightError, LimitReached, NotProved

PATIENCE = timedelta(hours=1)
"""A rate limit that ends as soon as this is waited for."""

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
