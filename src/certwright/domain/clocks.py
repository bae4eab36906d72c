"""How far moments are believed that were stored by a clock, which may have been wrong then, or another node's.

What is said to have happened later than now did not happen yet. What is said to wait for longer than whoever wrote that
could mean waits no more. So nothing sleeps, or is held back, for longer than its own rule says once the clock is right.
What is removed for good is a matter of its own (`domain.sighting`).
"""

from datetime import datetime, timedelta

SKEW = timedelta(minutes=10)
"""As much as clocks of nodes that work together may differ; by so much a moment ahead is one that has been."""

LOOKED_AT_LEAST = timedelta(days=1)
"""Every managed certificate on the schedule is looked at as often as this, so what is planned later is a mistake."""

ENDS_SOON = 2 * LOOKED_AT_LEAST
"""What ends within this time may end while it waits as a clock that was ahead has planned, no longer than others do."""


def happened(at: datetime, now: datetime) -> bool:
    """Whether that has been."""
    return at <= now + SKEW


def lately(at: datetime | None, now: datetime, span: timedelta) -> bool:
    """Whether it was less than `span` ago; None is never."""
    return at is not None and happened(at, now) and now - at < span


def awaited(until: datetime | None, now: datetime, longest: timedelta) -> bool:
    """Whether that is still to come, and is no later than it could be meant, `longest` from now; None is not."""
    return until is not None and now < until <= now + longest + SKEW
