"""Wrong passwords and codes of late: where there were too many, the next one has to wait, longer each time.

They are counted by name and address, by address, and by name, alike for names that there are and others. Who signed in
from an address before is there judged by name and address alone: nobody else can lock such a one out. It is kept in
memory: whoever can start the service again needs no password.
"""

import threading
from collections import Counter, OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address, ip_network

from certwright.domain.access import pause_after
from certwright.domain.errors import Throttled

FREE, FREE_FROM_ADDRESS, FREE_OF_NAME = 5, 20, 100
"""After so many the next has to wait; the last is what NIST SP 800-63B allows for one account."""
MOST_WAITING, MOST_WAITING_FROM_ONE = 8, 4
_FORGOTTEN = timedelta(days=1)
_MOST_KEPT = 10_000
_SOON = timedelta(seconds=2)

_Key = tuple[str, str]


@dataclass(slots=True)
class _Count:
    failures: int
    last: datetime
    until: datetime


class Attempts:
    """What was tried at one service."""

    def __init__(self) -> None:
        self._counts: dict[int, dict[_Key, _Count]] = {FREE: {}, FREE_FROM_ADDRESS: {}, FREE_OF_NAME: {}}
        self._known: OrderedDict[_Key, None] = OrderedDict()
        self._waiting: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._one_at_a_time = threading.Lock()

    @contextmanager
    def turn(self, address: str) -> Iterator[None]:
        """Be the one whose password is looked at: many guesses at once neither fill the memory nor get ahead of counts.

        Raises:
            Throttled: if too many wait for that already, who keep threads from other work.
        """
        place = _network(address)
        with self._lock:
            if self._waiting.total() >= MOST_WAITING or self._waiting[place] >= MOST_WAITING_FROM_ONE:
                raise Throttled("Too many sign in at this moment.", hint="Try again in a moment.", retry_after=_SOON)
            self._waiting[place] += 1
        try:
            with self._one_at_a_time:
                yield
        finally:
            with self._lock:
                self._waiting -= Counter([place])

    def check(self, who: str, address: str, now: datetime) -> None:
        """Return if the next one is looked at.

        Raises:
            Throttled: if it has to wait.
        """
        place = _network(address)
        with self._lock:
            judged = {FREE: (who, place)} if (who, place) in self._known else _levels(who, place)
            found = (self._counts[free].get(key) for free, key in judged.items())
            until = max((count.until for count in found if count), default=now)
        if until > now:
            minutes = -(-(until - now) // timedelta(minutes=1))
            raise Throttled(
                f"There were too many wrong passwords or codes; the next one is looked at in {minutes} min.",
                hint="Wait until then, or sign in from where you did before. An administrator can set another "
                "password: certwright person password NAME",
                retry_after=until - now,
            )

    def failed(self, who: str, address: str, now: datetime) -> datetime | None:
        """Count one that was wrong; until when no other one for this name is looked at from there, if at all."""
        place = _network(address)
        with self._lock:
            ends = {free: self._count(free, key, now).until for free, key in _levels(who, place).items()}
        until = max(ends[FREE], ends[FREE_OF_NAME])
        return until if until > now else None

    def succeeded(self, who: str, address: str) -> None:
        """It was right: this one is known there from now on. Others at that address are counted as before."""
        place = _network(address)
        with self._lock:
            self._counts[FREE].pop((who, place), None)
            self._known[who, place] = None
            self._known.move_to_end((who, place))
            while len(self._known) > _MOST_KEPT:
                self._known.popitem(last=False)

    def _count(self, free: int, key: _Key, now: datetime) -> _Count:
        """Count one; where there are too many, what holds nobody up goes, then who failed least, then longest ago."""
        counts = self._counts[free]
        before = counts.pop(key, None)
        if len(counts) >= _MOST_KEPT:
            del counts[min(counts, key=lambda each: (counts[each].until > now, counts[each].failures))]
        failures = before.failures + 1 if before and now - before.last < _FORGOTTEN else 1
        counts[key] = _Count(failures, now, now + pause_after(failures, free))
        return counts[key]


def _levels(who: str, place: str) -> dict[int, _Key]:
    """What is counted, each with how many are free."""
    return {FREE: (who, place), FREE_FROM_ADDRESS: ("", place), FREE_OF_NAME: (who, "")}


def _network(address: str) -> str:
    """What one stranger has: an address of IPv4, or the 2^64 of an IPv6 network."""
    try:
        known = ip_address(address)
    except ValueError:
        return "here"
    return str(known) if known.version == 4 else str(ip_network((known, 64), strict=False))  # noqa: PLR2004 - its name
