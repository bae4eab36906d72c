"""The worker: does what is due, again and again, a few things at the same time."""

import logging
import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

from certwright.domain.clocks import LOOKED_AT_LEAST, awaited
from certwright.domain.errors import CertwrightError, LeaseHeld, LeaseLost, NotFound, StoreError
from certwright.domain.managed import ManagedCertificate
from certwright.engine.context import Engine
from certwright.engine.renew import renew
from certwright.engine.schedule import note_failure, reschedule
from certwright.engine.tally import Tally

log = logging.getLogger("certwright")
LONGEST = timedelta(seconds=15)
"""A tick comes at least as often as this: other processes change the schedule too."""

REST = timedelta(seconds=10)
"""How long something rests that is still due after it was done: somebody else works on it, or the store was away."""

_SOONEST = timedelta(seconds=0.1)
_CHOICE = 4
"""Out of so many times what there is room for it is drawn: other nodes see the same, and would begin with the same."""


class Worker:
    """Takes what the store says is due; what is due next month costs nothing.

    Args:
        engine: what to work with.
        threads: how many certificates are worked on at the same time.
        ticked: called after each look at the schedule, also where the store cannot be read.

    Attributes:
        tally: what was done, and what is under way.
    """

    def __init__(self, engine: Engine, threads: int = 4, ticked: Callable[[], None] = lambda: None) -> None:
        self.tally = Tally()
        self._ticked = ticked
        self._engine = engine
        self._threads = threads
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="worker")
        self._lock = threading.Lock()
        self._busy: set[str] = set()
        self._resting: dict[str, datetime] = {}
        self._changed = threading.Event()

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set, and `wake` is called; what is under way then is finished."""
        with self._pool:
            while not stop.is_set():
                try:
                    pause = self.tick()
                except StoreError as error:
                    log.warning("The store cannot be used now: %s", error.message)
                    pause = LONGEST
                self.tally.ticked()
                self._ticked()
                self._changed.wait(pause.total_seconds())
                self._changed.clear()

    def wake(self) -> None:
        """Have the pause between two ticks end now."""
        self._changed.set()

    def tick(self) -> timedelta:
        """Begin what is due, as far as there is room; how long to wait until the next tick."""
        now = self._engine.now()
        with self._lock:
            self._resting = {managed: until for managed, until in self._resting.items() if awaited(until, now, REST)}
            taken = self._busy | self._resting.keys()
            room = self._threads - len(self._busy)
        if room <= 0:
            return LONGEST
        with self._engine.store.read() as unit:
            due = [m for m in unit.managed.due(now, _CHOICE * room + len(taken)) if m.id not in taken]
            upcoming = unit.managed.next_moment(now)
        for managed in random.sample(due, min(room, len(due))):
            with self._lock:
                self._busy.add(managed.id)
            self.tally.began(managed.id)
            self._pool.submit(self._work, managed)
        return min(max(upcoming - now, _SOONEST), LONGEST) if upcoming else LONGEST

    def _work(self, managed: ManagedCertificate) -> None:
        """One certificate; whatever goes wrong with it ends nothing else."""
        try:
            self._renew(managed)
        finally:
            self.tally.ended(managed.id)
            with self._lock:
                self._busy.discard(managed.id)
            self._changed.set()

    def _renew(self, managed: ManagedCertificate) -> None:
        try:
            done = renew(self._engine, managed.id, patient=True)
            self.tally.add(done)
            for error in done.failures:
                about = {"certificate": managed.id, "run": error.run_id}
                log.warning("%s: %s", managed.title, error.message, extra=about)
        except (LeaseHeld, LeaseLost, NotFound, StoreError) as error:
            log.info("%s: %s", managed.title, error.message)
        except Exception as error:
            log.exception("unexpected, at %s", managed.title, extra={"certificate": managed.id})
            self.tally.add_unexpected()
            self._note(managed, f"An unexpected {type(error).__name__} stopped it: this is a fault in Certwright.")
        try:
            with self._engine.store.read() as unit:
                upcoming = unit.managed.next_check(managed.id)
        except StoreError:
            upcoming = self._engine.now()
        if upcoming is not None and not awaited(upcoming, self._engine.now(), LOOKED_AT_LEAST):
            with self._lock:
                self._resting[managed.id] = self._engine.now() + REST

    def _note(self, managed: ManagedCertificate, message: str) -> None:
        try:
            with self._engine.store.write() as unit:
                note_failure(self._engine, unit, managed, CertwrightError(message))
                reschedule(self._engine, unit, managed)
        except CertwrightError as error:
            log.warning("%s: %s", managed.title, error.message)
