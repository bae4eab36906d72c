"""Rules of notification: who is told of what, from which point on, and at which hours."""

from datetime import date, datetime, time, timedelta
from enum import StrEnum
from typing import Self
from zoneinfo import ZoneInfo

from pydantic import Field

from certwright.domain.errors import ConfigurationError
from certwright.domain.managed import Value
from certwright.domain.zones import Zone

_WEEK = 7


class Matter(StrEnum):
    """What people can be told of."""

    ISSUANCE = "issuance"
    DEPLOYMENT = "deployment"
    EXPIRING = "expiring"
    ROLLED_BACK = "rolled-back"
    NEEDS_PERSON = "needs-person"
    DRIFT = "drift"
    PROOF = "proof"
    INCIDENT = "authority-incident"
    WATCHED = "watched"
    SERVICE = "service"
    SUMMARY = "summary"
    AUDIT = "audit"


PROBLEMS = tuple(matter for matter in Matter if matter not in (Matter.SUMMARY, Matter.AUDIT))
USUAL = (*PROBLEMS, Matter.SUMMARY)
"""What a rule tells of that does not say it."""


class Digest(StrEnum):
    """How often what is not urgent is told together."""

    NONE = "none"
    DAILY = "daily"
    WEEKLY = "weekly"


class QuietHours(Value):
    """From `start` until `end` on the clock, over midnight if `end` is the earlier one."""

    start: time
    end: time

    @classmethod
    def parse(cls, text: str) -> Self:
        """``22:00-07:00``.

        Raises:
            ConfigurationError: if it is written otherwise.
        """
        try:
            start, end = (time.fromisoformat(part.strip()) for part in text.split("-"))
        except ValueError:
            start = end = time()
        if start == end or start.tzinfo or end.tzinfo:
            raise ConfigurationError(
                f"{text[:40]!r} names no quiet hours.", hint="Write two times of the day, for example 22:00-07:00."
            )
        return cls(start=start, end=end)

    def __str__(self) -> str:
        return f"{self.start:%H:%M}-{self.end:%H:%M}"

    def hold(self, clock: time) -> bool:
        """Whether it is quiet at this time of the day."""
        if self.start < self.end:
            return self.start <= clock < self.end
        return clock >= self.start or clock < self.end


class Rule(Value):
    """Who is told of what.

    Attributes:
        name: what it is called.
        matters: what is told of.
        channels: the names of the channels; none are all there are.
        failures: how often a request, a deployment or a duty of the service fails in a row before it is told of.
        days: how long before the expiry its nearness is told of, and each single failure; less for short lifetimes.
        quiet: when only what is urgent is told.
        zone: whose clock `quiet` and `digest_at` are read from, by its name in the tz database.
        digest: whether what is not urgent is told together; summaries, and the heads of the audit trail, are weekly if
            it is not.
        digest_at: when on the day; of a weekly digest on Monday.
    """

    name: str = Field(min_length=1, max_length=100)
    matters: tuple[Matter, ...] = Field(default=USUAL, min_length=1)
    channels: tuple[str, ...] = ()
    failures: int = Field(default=3, ge=1, le=100)
    days: int = Field(default=14, ge=1, le=365)
    quiet: QuietHours | None = None
    zone: Zone = "UTC"
    digest: Digest = Digest.NONE
    digest_at: time = time(8)

    @property
    def as_user(self) -> str:
        """What it is called among what uses a channel."""
        return f"the notification rule {self.name!r}"

    def quiet_until(self, now: datetime) -> datetime | None:
        """When the quiet hours end that hold at `now`; None if none do."""
        local = now.astimezone(ZoneInfo(self.zone))
        if self.quiet is None or not self.quiet.hold(local.time()):
            return None
        days = (local.date(), local.date() + timedelta(days=1))
        return min(moment for day in days for moment in self._moments(day, self.quiet.end) if moment > now)

    def next_digest(self, since: datetime) -> datetime:
        """The first moment of a digest that is not before `since`."""
        weekly = self.digest is not Digest.DAILY
        first = since.astimezone(ZoneInfo(self.zone)).date()
        days = (first + timedelta(days=ahead) for ahead in range(2 * _WEEK))
        wanted = (day for day in days if not weekly or day.weekday() == 0)
        return next(moment for day in wanted for moment in self._moments(day, self.digest_at) if moment >= since)

    def _moments(self, day: date, clock: time) -> tuple[datetime, datetime]:
        """When clocks show this on that day: twice where they are put back, and for both else the same."""
        zone = ZoneInfo(self.zone)
        first, second = (datetime.combine(day, clock.replace(fold=fold), zone) for fold in (0, 1))
        return first, max(first, second, key=datetime.timestamp)
