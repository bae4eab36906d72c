"""Simulated months in seconds: a clock in a file, shared by an authority and by processes that may be killed."""

import mmap
import os
import signal
import struct
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from certwright.domain.runs import Entry
from certwright.engine.tally import Tally
from certwright.engine.worker import Worker
from world.dying import hurry
from world.site import Site

NODES = 2
"""The first of them sets the clock when all have done what is due."""

_SHARED = struct.Struct(f"{1 + NODES}d")
_ONE = struct.Struct("d")  # native: written and read as a whole
_STEP = timedelta(hours=1)
ASKED_EVERY = timedelta(days=1)
"""How often the authority is asked for its advice: at the pace of real life these looks were nearly all of the work."""
THREADS = 4
"""Certificates that a node works on at the same time."""
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
            time.sleep(0.001)

    def _is_over(self, moment: datetime) -> bool:
        return all(self._read(1 + node) >= moment.timestamp() for node in range(NODES))

    def _read(self, place: int) -> float:
        return float(_ONE.unpack_from(self._shared, place * _ONE.size)[0])

    def _write(self, place: int, moment: datetime) -> None:
        _ONE.pack_into(self._shared, place * _ONE.size, moment.timestamp())


class _Begun(Tally):
    """Counts what a worker has begun."""

    count = 0

    def began(self, managed_id: str) -> None:
        """One more."""
        self.count += 1
        super().began(managed_id)


def _exhaust(worker: Worker, begun: _Begun) -> None:
    """Have the worker do all that is due at this moment and that no other node is at."""
    while True:
        worker._changed.clear()
        before, was_idle = begun.count, not worker._busy
        worker.tick()
        if begun.count == before:
            if was_idle:
                return
            worker._changed.wait(_LONGEST_SECONDS)
        elif len(worker._busy) == THREADS:
            worker._changed.wait(_LONGEST_SECONDS)


def live(folder: str, resolver: str, until: float, node: int, entries: int) -> None:
    """Renew whatever becomes due until the moment `until`, as the service does, in competition with the other nodes.

    Die, as by a power cut, at the journal's entry `entries`.
    """
    site, clock = Site(Path(folder), (resolver,)), Clock(Path(folder) / "clock")
    left = [entries]
    end = datetime.fromtimestamp(until, UTC)

    def hear(_entry: Entry) -> None:
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    with pytest.MonkeyPatch.context() as patch, site.engine(hear, clock) as engine:
        patch.setattr("certwright.issuers.acme._REACH_SECONDS", 0.2)
        patch.setattr("certwright.domain.advice.ASK_AT_LEAST", ASKED_EVERY)
        hurry(engine.store)
        worker, begun = Worker(engine, THREADS), _Begun()
        worker.tally = begun
        while (now := clock()) < end:
            _exhaust(worker, begun)
            clock.done(node, now)
            if node == 0:
                with engine.store.read() as unit:
                    upcoming = unit.managed.next_moment(now)
                clock.set(min(max(upcoming or end, now + _STEP), end))
