"""What the service does beside renewals: each duty now and then, one after the other, none of them ending another.

One that fails is tried again within the hour, and told of as `certwright.engine.duties` does.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from certwright.domain.clocks import lately
from certwright.domain.duties import TOLD_EVERY
from certwright.domain.errors import CertwrightError, LeaseHeld, StoreError
from certwright.engine import duties
from certwright.engine.context import Engine
from certwright.engine.service import DutyState

log = logging.getLogger("certwright")
_SUBJECT = "service"
_REMEMBERED = timedelta(hours=1)
_LONGEST = timedelta(seconds=30)
_AGAIN = TOLD_EVERY
"""After a failure, at most: so that each failure of what is done seldom is told, and counts."""


@dataclass(frozen=True, slots=True)
class Duty:
    """Something to be done each `every`. When it was done last is kept in the store, unless it is done all the time.

    `title` is what people call it.
    """

    name: str
    title: str
    every: timedelta
    work: Callable[[Engine], Any]


class Duties:
    """All duties of one service.

    Attributes:
        succeeded: when each was last done without failing, since this service began.
        failures: how often each failed since then.
    """

    def __init__(self, engine: Engine, duties: Sequence[Duty]) -> None:
        self._engine = engine
        self._duties = duties
        self._done: dict[str, tuple[datetime, timedelta]] = {}
        self.succeeded: dict[str, datetime] = {}
        self.failures = {duty.name: 0 for duty in duties}

    def states(self) -> list[DutyState]:
        """How each stands."""
        return [DutyState(d.title, d.every, self.succeeded.get(d.name), self.failures[d.name]) for d in self._duties]

    def run(self, stop: threading.Event) -> None:
        """Do each duty when its time has come, until `stop` is set."""
        pause = min([_LONGEST, *(duty.every for duty in self._duties)]).total_seconds()
        while not stop.is_set():
            self.do_due(stop)
            stop.wait(pause)

    def do_due(self, stop: threading.Event) -> None:
        """Do each duty whose time has come, unless `stop` is set."""
        for duty in self._duties:
            if not stop.is_set() and self._is_due(duty):
                self._do(duty)

    def _do(self, duty: Duty) -> None:
        pause = duty.every
        try:
            duty.work(self._engine)
        except LeaseHeld:
            log.debug("%s: another process does it", duty.name)
        except CertwrightError as error:
            log.warning("%s: %s", duty.name, " ".join(map(str.strip, error.explain())))
            pause = self._failed(duty, error)
        except Exception as error:
            log.exception("unexpected, at %s", duty.name)
            pause = self._failed(duty, error)
        else:
            self.succeeded = {**self.succeeded, duty.name: self._engine.now()}
            self._note(duty, lambda: duties.worked(self._engine, duty.name))
        self._done[duty.name] = self._engine.now(), pause
        if duty.every >= _REMEMBERED and pause == duty.every:
            self._note(duty, lambda: self._remember(duty))

    def _failed(self, duty: Duty, error: Exception) -> timedelta:
        """Count and tell it; when it is tried again."""
        self.failures[duty.name] += 1
        self._note(duty, lambda: duties.failed(self._engine, duty.name, duty.title, error))
        return min(duty.every, _AGAIN)

    def _remember(self, duty: Duty) -> None:
        with self._engine.store.write() as unit:
            unit.records.put(_SUBJECT, duty.name, True, self._engine.now())

    @staticmethod
    def _note(duty: Duty, note: Callable[[], None]) -> None:
        """What cannot be noted while the store is away is left out: readiness tells of that."""
        try:
            note()
        except StoreError as error:
            log.warning("%s: %s", duty.name, error.message)

    def _is_due(self, duty: Duty) -> bool:
        at, pause = self._done.get(duty.name, (None, duty.every))
        if at is None and duty.every >= _REMEMBERED:
            try:
                with self._engine.store.read() as unit:
                    kept = unit.records.last(_SUBJECT, duty.name)
            except StoreError as error:
                log.warning("%s: %s", duty.name, error.message)
                return False
            at = kept.at if kept else None
        return not lately(at, self._engine.now(), pause)
