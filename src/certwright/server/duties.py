"""What the service does beside renewals: each duty now and then, one after the other, none of them ending another."""

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from certwright.domain.errors import CertwrightError, LeaseHeld, StoreError
from certwright.engine.context import Engine

log = logging.getLogger("certwright")
_SUBJECT = "service"
_REMEMBERED = timedelta(hours=1)
_LONGEST = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class Duty:
    """Something to be done each `every`. When it was done last is kept in the store, unless it is done all the time."""

    name: str
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
        self._done: dict[str, datetime] = {}
        self.succeeded: dict[str, datetime] = {}
        self.failures = {duty.name: 0 for duty in duties}

    def run(self, stop: threading.Event) -> None:
        """Do each duty when its time has come, until `stop` is set."""
        pause = min([_LONGEST, *(duty.every for duty in self._duties)]).total_seconds()
        while not stop.is_set():
            for duty in self._duties:
                if not stop.is_set() and self._is_due(duty):
                    self._do(duty)
            stop.wait(pause)

    def _do(self, duty: Duty) -> None:
        try:
            duty.work(self._engine)
        except LeaseHeld:
            log.debug("%s: another process does it", duty.name)
        except CertwrightError as error:
            self.failures[duty.name] += 1
            log.warning("%s: %s", duty.name, " ".join(error.explain()))
        except Exception:
            self.failures[duty.name] += 1
            log.exception("unexpected, at %s", duty.name)
        else:
            self.succeeded = {**self.succeeded, duty.name: self._engine.now()}
        self._done[duty.name] = self._engine.now()
        if duty.every >= _REMEMBERED:
            try:
                with self._engine.store.write() as unit:
                    unit.records.put(_SUBJECT, duty.name, True, self._engine.now())
            except StoreError as error:
                log.warning("%s: %s", duty.name, error.message)

    def _is_due(self, duty: Duty) -> bool:
        last = self._done.get(duty.name)
        if last is None and duty.every >= _REMEMBERED:
            try:
                with self._engine.store.read() as unit:
                    kept = unit.records.last(_SUBJECT, duty.name)
            except StoreError as error:
                log.warning("%s: %s", duty.name, error.message)
                return False
            last = kept.at if kept else None
        return last is None or last + duty.every <= self._engine.now()
