"""Simulated months in seconds: a clock in a file, shared by an authority and by processes that may be killed."""

import mmap
import os
import signal
import struct
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zlib import crc32

import pytest

from certwright.domain.runs import Entry
from certwright.engine.renew import renew
from world.dying import hurry
from world.site import Site

NODES = 2
"""The first of them sets the clock when all have done what is due."""

_SHARED = struct.Struct(f"{1 + NODES}d")
_ONE = struct.Struct("d")  # native: written and read as a whole
_STEP = timedelta(minutes=15)
_MOST = 2000
_LONGEST_SECONDS = 600.0


class Clock:
    """The time as a file tells it to all processes that have it in memory, and until when each node has done all."""

    def __init__(self, file: Path, begin: datetime | None = None) -> None:
        if begin:
            file.write_bytes(_SHARED.pack(begin.timestamp(), *(0.0 for _ in range(NODES))))
        with file.open("r+b") as opened:
            self._shared = mmap.mmap(opened.fileno(), _SHARED.size)

    def __call__(self) -> datetime:
        """The simulated moment."""
        return datetime.fromtimestamp(self._read(0), UTC)

    def set(self, moment: datetime) -> None:
        """Go there."""
        self._write(0, moment)

    def done(self, node: int, moment: datetime) -> None:
        """Say that a node has done all of this moment, and wait for the others, or for the next moment."""
        self._write(1 + node, moment)
        deadline = time.monotonic() + _LONGEST_SECONDS
        while not self._is_over(moment) if node == 0 else self() == moment:
            assert time.monotonic() < deadline, "the other node does not get on"
            time.sleep(0.0005)

    def _is_over(self, moment: datetime) -> bool:
        return all(self._read(1 + node) >= moment.timestamp() for node in range(NODES))

    def _read(self, place: int) -> float:
        return float(_ONE.unpack_from(self._shared, place * _ONE.size)[0])

    def _write(self, place: int, moment: datetime) -> None:
        _ONE.pack_into(self._shared, place * _ONE.size, moment.timestamp())


def live(folder: str, until: float, node: int, entries: int) -> None:
    """Renew whatever becomes due until the moment `until`, beside the other nodes.

    Die, as by a power cut, at the journal's entry `entries`.
    """
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
        while (now := clock()) < end:
            with engine.store.read() as unit:
                due = unit.managed.due(now, _MOST)
            for managed in due:
                if crc32(managed.id.encode()) % NODES == node:
                    renew(engine, managed.id, patient=True)
            clock.done(node, now)
            if node == 0:
                with engine.store.read() as unit:
                    upcoming = unit.managed.next_moment(now)
                clock.set(min(max(upcoming or end, now + _STEP), end))
