"""Simulated months in seconds: a clock in a file, shared by an authority and by processes that may be killed."""

import mmap
import os
import signal
import struct
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from certwright.domain.runs import Entry
from certwright.engine.renew import renew_all
from world.dying import hurry
from world.site import Site

_SECONDS = struct.Struct("d")  # native: written and read as a whole
_STEP = timedelta(minutes=15)


class Clock:
    """The time as a file tells it to all processes that have it in memory."""

    def __init__(self, file: Path, begin: datetime | None = None) -> None:
        if begin:
            file.write_bytes(_SECONDS.pack(begin.timestamp()))
        with file.open("r+b") as opened:
            self._shared = mmap.mmap(opened.fileno(), _SECONDS.size)

    def __call__(self) -> datetime:
        """The simulated moment."""
        return datetime.fromtimestamp(_SECONDS.unpack_from(self._shared)[0], UTC)

    def set(self, moment: datetime) -> None:
        """Go there."""
        _SECONDS.pack_into(self._shared, 0, moment.timestamp())


def live(folder: str, until: float, entries: int) -> None:
    """Renew whatever becomes due until the moment `until`; die, as by a power cut, at the journal's entry `entries`."""
    site, clock = Site(Path(folder)), Clock(Path(folder) / "clock")
    left = [entries]
    end = datetime.fromtimestamp(until, UTC)

    def hear(_entry: Entry) -> None:
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    with pytest.MonkeyPatch.context() as patch, site.engine(hear, clock) as engine:
        patch.setattr("certwright.issuers.acme._REACH_SECONDS", 0.2)
        hurry(engine.store)
        while clock() < end:
            renew_all(engine)
            with engine.store.read() as unit:
                upcoming = unit.managed.next_moment(clock())
            clock.set(min(max(upcoming or end, clock() + _STEP), end))
