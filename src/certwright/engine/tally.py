"""What one process's worker has done since it began, and does now: numbers that only this process knows."""

import threading
import time
from collections import Counter
from collections.abc import Mapping

from certwright.domain.errors import CertwrightError, LeaseHeld
from certwright.domain.retry import Cause, cause_of
from certwright.domain.runs import RunKind
from certwright.engine.renew import Renewal

DONE = "done"


class Tally:
    """Written by the worker, read by any thread. Moments are those of `time.monotonic`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._attempts: Counter[tuple[RunKind, str]] = Counter()
        self._working: dict[str, float] = {}
        self._ticked_at = time.monotonic()

    def ticked(self) -> None:
        """The worker has looked at the schedule."""
        self._ticked_at = time.monotonic()

    def began(self, managed_id: str) -> None:
        """A certificate is worked on."""
        with self._lock:
            self._working[managed_id] = time.monotonic()

    def ended(self, managed_id: str) -> None:
        """It is worked on no more."""
        with self._lock:
            self._working.pop(managed_id, None)

    def add(self, renewal: Renewal) -> None:
        """Count what came of one; that another process works on it is no failure."""
        with self._lock:
            if renewal.error and not isinstance(renewal.error, LeaseHeld):
                self._attempts[RunKind.REQUEST, cause_of(renewal.error)] += 1
            elif renewal.request and renewal.request.version:
                self._attempts[RunKind.REQUEST, DONE] += 1
            for task in renewal.tasks:
                if not isinstance(task.error, LeaseHeld):
                    self._attempts[RunKind.DEPLOY, _outcome(task.error)] += 1

    def add_unexpected(self) -> None:
        """Count what is a fault of ours."""
        with self._lock:
            self._attempts[RunKind.REQUEST, Cause.UNEXPECTED] += 1

    @property
    def attempts(self) -> Mapping[tuple[RunKind, str], int]:
        """How many requests and deployments ended how: `done`, or the cause of the failure."""
        with self._lock:
            return dict(self._attempts)

    @property
    def working(self) -> int:
        """How many certificates are worked on now."""
        with self._lock:
            return len(self._working)

    @property
    def longest(self) -> float:
        """Seconds for which the longest of them has been worked on; 0 if there is none."""
        with self._lock:
            return time.monotonic() - min(self._working.values()) if self._working else 0.0

    @property
    def idle(self) -> float:
        """Seconds since the worker looked at the schedule."""
        return time.monotonic() - self._ticked_at


def _outcome(error: CertwrightError | None) -> str:
    return cause_of(error) if error else DONE
