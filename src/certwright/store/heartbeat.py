"""What is done again and again while something is under way, such as the renewal of a lease."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from certwright.domain.errors import StoreError

_IDLE_SECONDS = 5.0
log = logging.getLogger("certwright")


@dataclass(frozen=True, slots=True, eq=False)
class _Beat:
    act: Callable[[], bool]
    seconds: float


class Heartbeat:
    """One thread for all that beats in this process; it ends a while after there is nothing left."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._due: dict[_Beat, float] = {}
        self._wakes_at = 0.0
        self._thread: threading.Thread | None = None

    @contextmanager
    def beating(self, act: Callable[[], bool], seconds: float) -> Iterator[None]:
        """Call `act` so often while the block runs, until it says False; a store that is away is no reason to give up.

        The last call may still be under way when the block has ended.
        """
        beat = _Beat(act, seconds)
        self._begin(beat)
        try:
            yield
        finally:
            with self._changed:
                self._due.pop(beat, None)

    def _begin(self, beat: _Beat) -> None:
        due = time.monotonic() + beat.seconds
        with self._changed:
            self._due[beat] = due
            if self._thread is None or not self._thread.is_alive():
                self._wakes_at = due
                self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)
                self._thread.start()
            elif due < self._wakes_at:
                self._changed.notify()

    def _run(self) -> None:
        while beat := self._next():
            goes_on = True
            try:
                goes_on = beat.act()
            except StoreError:
                pass  # it may be back at the next beat
            except Exception:
                log.exception("unexpected, in the heartbeat")  # the others need this thread
            with self._changed:
                if not goes_on:
                    self._due.pop(beat, None)
                elif beat in self._due:
                    self._due[beat] = time.monotonic() + beat.seconds

    def _next(self) -> _Beat | None:
        """Wait until one is due; None when there has been nothing for a while."""
        idle_until = time.monotonic() + _IDLE_SECONDS
        with self._changed:
            while True:
                now = time.monotonic()
                beat = min(self._due, key=self._due.__getitem__, default=None)
                if beat:
                    idle_until = now + _IDLE_SECONDS
                    self._wakes_at = self._due[beat]
                    if self._wakes_at <= now:
                        return beat
                else:
                    self._wakes_at = idle_until
                    if idle_until <= now:
                        self._thread = None
                        return None
                self._changed.wait(self._wakes_at - now)
