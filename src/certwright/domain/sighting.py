"""Whether the clock is believed where what is old is removed for good: not one that has leapt, until it has gone on so.

The clock of a machine whose battery is empty, or that was restored, may be years ahead for a while.
"""

from datetime import datetime, timedelta
from typing import Self

from pydantic import AwareDatetime

from certwright.domain.clocks import SKEW, happened
from certwright.domain.managed import Value

LEAP = timedelta(days=30)
"""A clock that is further ahead than this of what was believed before is doubted."""

STANDS = timedelta(days=7)
"""A clock that has leapt is believed when it has gone on for so long from there."""

_COUNTED = timedelta(days=1)


class Sighting(Value):
    """What all who work with a store have seen of their clocks.

    `at` is what the last of them said, `believed` the last moment that is believed, and `stood` for how long they have
    gone on without a leap; of the time between two looks a day counts at most.
    """

    at: AwareDatetime
    believed: AwareDatetime
    stood: timedelta = timedelta()

    def doubts(self, now: datetime) -> bool:
        """Whether what is old by this moment may be young."""
        return now > self.believed + LEAP

    def is_news(self, now: datetime) -> bool:
        """Whether this moment is worth to be kept."""
        return not self.at - SKEW <= now < self.at + SKEW

    def seen(self, now: datetime) -> Self:
        """After a look at the clock."""
        passed = now - self.at
        goes_on = -SKEW <= passed <= LEAP
        stood = min(self.stood + min(max(passed, timedelta()), _COUNTED), STANDS) if goes_on else timedelta()
        is_believed = stood == STANDS or (happened(self.believed, now) and not self.doubts(now))
        return self.model_copy(update={"at": now, "stood": stood, "believed": now if is_believed else self.believed})
