"""Maintenance windows: when deployments may begin, by whose clock, and what overrides that."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Self
from zoneinfo import ZoneInfo

from pydantic import Field

from certwright.domain.certificates import CertificateFacts
from certwright.domain.errors import ConfigurationError
from certwright.domain.managed import Value
from certwright.domain.zones import Zone, first_shown

BEATS_WINDOW = 1 / 20
"""With less than this share of its life left to the certificate in use, no window counts."""

HORIZON = timedelta(days=366)
"""How far ahead is looked for an opening."""

_DAY = timedelta(days=1)
_CLOCK = r"((?:[01]\d|2[0-3]):[0-5]\d)"
_SPAN = re.compile(rf"(\S+)\s+{_CLOCK}\s*-\s*(?:([a-z]+)\s+)?{_CLOCK}", re.IGNORECASE)
_SPAN_HINT = 'Write it as "Sat 22:00-04:00", "Mon-Fri 02:00-04:00", "Fri 20:00-Mon 06:00" or "2026-12-24 02:00-04:00".'


class Weekday(StrEnum):
    """The days of the week, in the order of `date.weekday`."""

    MONDAY = "Mon"
    TUESDAY = "Tue"
    WEDNESDAY = "Wed"
    THURSDAY = "Thu"
    FRIDAY = "Fri"
    SATURDAY = "Sat"
    SUNDAY = "Sun"

    @classmethod
    def of(cls, day: date) -> "Weekday":
        """The weekday of a date."""
        return _WEEK[day.weekday()]

    def later(self, days: int) -> "Weekday":
        """The weekday so many days later."""
        return _WEEK[(_WEEK.index(self) + days) % len(_WEEK)]

    def until(self, other: "Weekday") -> int:
        """How many days later the other one is, less than a week."""
        return (_WEEK.index(other) - _WEEK.index(self)) % len(_WEEK)


_WEEK = tuple(Weekday)


class Span(Value):
    """By the clock: from `start`, on each of `days`, until `end` so many `nights` later."""

    days: tuple[Weekday | date, ...] = Field(min_length=1)
    start: time
    end: time
    nights: int = Field(ge=0, le=7)

    @classmethod
    def parse(cls, text: str) -> Self:
        """``Sat 22:00-04:00``, also with several days (``Mon-Fri``, ``Tue,Thu``, ``daily``), a date, or a last day.

        Raises:
            ConfigurationError: if it is written otherwise.
        """
        found = _SPAN.fullmatch(text.strip())
        names, begin, last, finish = found.groups() if found else ("", "", "", "")
        try:
            days = tuple(day for part in names.split(",") for day in _days(part))
            start, end = time.fromisoformat(begin), time.fromisoformat(finish)
            over = 0 if end > start else 1
            return cls(days=days, start=start, end=end, nights=_nights(days, last, over) if last else over)
        except ValueError:
            raise ConfigurationError(f"{text[:60]!r} names no span of a window.", hint=_SPAN_HINT) from None

    def __str__(self) -> str:
        days = "daily" if set(self.days) == set(Weekday) else ",".join(map(str, self.days))
        is_plain = self.nights == (0 if self.end > self.start else 1)
        last = "" if is_plain else f"{_weekday(self.days[0]).later(self.nights)} "
        return f"{days} {self.start:%H:%M}-{last}{self.end:%H:%M}"

    def on(self, day: date) -> Iterator[tuple[datetime, datetime]]:
        """The parts of it that lie on this day, from and until, by the clock."""
        midnight = datetime.combine(day, time())
        for back in range(self.nights + 1):
            first = day - back * _DAY
            if first in self.days or Weekday.of(first) in self.days:
                start = max(datetime.combine(first, self.start), midnight)
                end = min(datetime.combine(first + self.nights * _DAY, self.end), midnight + _DAY)
                if start < end:
                    yield start, end


def _days(text: str) -> Iterator[Weekday | date]:
    if text.lower() == "daily":
        yield from Weekday
    elif text[:1].isdigit():
        yield date.fromisoformat(text)
    else:
        first, dash, last = text.partition("-")
        begin = Weekday(first.capitalize())
        for ahead in range(begin.until(Weekday((last if dash else first).capitalize())) + 1):
            yield begin.later(ahead)


def _weekday(day: Weekday | date) -> Weekday:
    return day if isinstance(day, Weekday) else Weekday.of(day)


def _nights(days: tuple[Weekday | date, ...], last: str, over: int) -> int:
    """How many nights lie between the one day on which it begins and the weekday on which it ends."""
    (first,) = days
    return _weekday(first).until(Weekday(last.capitalize())) or len(_WEEK) * over


class Dates(Value):
    """The days from `first` to `last`."""

    first: date
    last: date

    @classmethod
    def parse(cls, text: str) -> Self:
        """``2026-12-20..2027-01-06``, or one day.

        Raises:
            ConfigurationError: if it is written otherwise.
        """
        first, dots, last = text.partition("..")
        try:
            read = cls(first=date.fromisoformat(first), last=date.fromisoformat(last if dots else first))
        except ValueError:
            read = None
        if read is None or read.last < read.first:
            raise ConfigurationError(
                f"{text[:60]!r} names no days.", hint="Write a date, or two: 2026-12-20..2027-01-06."
            )
        return read

    def __str__(self) -> str:
        return f"{self.first}..{self.last}" if self.last > self.first else f"{self.first}"


@dataclass(frozen=True, slots=True)
class Opening:
    """A time, in UTC, during which a window is open: from `start` on, and no more at `end`."""

    start: datetime
    end: datetime


class MaintenanceWindow(Value):
    """When deployments may begin: in `spans`, by the clock of `zone`, but not on the days that are `closed`.

    A span begins when clocks there first show its start, or have jumped over it, and ends when they first show its end.
    """

    name: str = Field(min_length=1, max_length=100)
    zone: Zone
    spans: tuple[Span, ...] = Field(min_length=1)
    closed: tuple[Dates, ...] = ()

    def is_open(self, at: datetime) -> bool:
        """Whether a deployment may begin at this moment."""
        opening = self.next_opening(at)
        return opening is not None and opening.start <= at

    def next_opening(self, after: datetime) -> Opening | None:
        """The first of `openings`; None if it does not open within a year."""
        return next(self.openings(after), None)

    def openings(self, after: datetime) -> Iterator[Opening]:
        """When it is open within a year, in order; the first begins at `after` if it is open then."""
        since = after.astimezone(UTC)
        found: Opening | None = None
        for start, end in self._parts(since):
            if found and start <= found.end:
                found = Opening(found.start, max(found.end, end))
                continue
            if found:
                yield found
            found = Opening(start, end)
        if found:
            yield found

    def local(self, moment: datetime) -> str:
        """A moment on the window's own clock, for a person."""
        there = moment.astimezone(ZoneInfo(self.zone))
        return f"{Weekday.of(there)} {there:%Y-%m-%d %H:%M} {self.zone}"

    def told(self, opening: Opening | None) -> str:
        """When it opens next, in a sentence without its end."""
        when = f"opens on {self.local(opening.start)}" if opening else f"does not open within {HORIZON.days} days"
        return f"the window {self.name!r} {when}"

    def _parts(self, since: datetime) -> Iterator[tuple[datetime, datetime]]:
        """The parts of all spans from `since` on, none over a midnight, in the order of their beginnings."""
        zone = ZoneInfo(self.zone)
        today = since.astimezone(zone).date()
        for ahead in range(-1, HORIZON.days):
            day = today + ahead * _DAY
            if any(dates.first <= day <= dates.last for dates in self.closed):
                continue
            for start, end in sorted(part for span in self.spans for part in span.on(day)):
                first, last = max(first_shown(start, zone), since), first_shown(end, zone)
                if first < last:
                    yield first, last


@dataclass(frozen=True, slots=True)
class Deadline:
    """From when on no window counts, and why."""

    at: datetime
    reason: str

    @classmethod
    def of(cls, facts: CertificateFacts, revoked_at: datetime | None, *, in_use: bool) -> Self:
        """The deadline for what replaces a certificate, or for that itself, if it was never put to use."""
        which = "the certificate in use" if in_use else "the new certificate itself"
        if revoked_at:
            return cls(revoked_at, f"{which} was revoked on {_utc(revoked_at)}")
        return cls(facts.not_after - facts.lifetime * BEATS_WINDOW, f"{which} ends on {_utc(facts.not_after)}")


@dataclass(frozen=True, slots=True)
class Admission:
    """Whether a deployment may begin: it may if there is no `until`, the moment it waits for.

    `message` says why, in one sentence; it is empty if there is nothing to say.
    """

    until: datetime | None = None
    message: str = ""


def admit(window: MaintenanceWindow, deadline: Deadline, at: datetime, *, is_unfinished: bool) -> Admission:
    """Whether a deployment may begin at a moment; one that is unfinished always goes on."""
    opening = window.next_opening(at)
    if opening and opening.start <= at:
        return Admission()
    if is_unfinished:
        return Admission(message=f"The window {window.name!r} is closed, but what was begun is finished first.")
    if at >= deadline.at:
        return Admission(message=f"The window {window.name!r} is closed, and no longer waited for: {deadline.reason}.")
    latest = f"until {_utc(deadline.at)}, as {deadline.reason}"
    if opening and opening.start < deadline.at:
        begins = f"until {window.local(opening.start)}, when the window {window.name!r} opens"
        return Admission(opening.start, f"Its deployment waits {begins}; at the latest {latest}.")
    return Admission(deadline.at, f"Its deployment waits {latest}; {window.told(opening)}.")


def _utc(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
