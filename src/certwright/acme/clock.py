"""Time, injected: tests run it fast."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from certwright.acme.errors import DeadlineExceeded


@dataclass(frozen=True, slots=True)
class Clock:
    """Where the client takes its time from. A ``sleep`` that raises stops a waiting operation."""

    monotonic: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep


class Deadline:
    """The moment by which an operation, with all its requests and pauses, is over."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock = clock
        self._end = clock.monotonic() + seconds

    def remaining(self) -> float:
        """Seconds left; zero or less when it is over."""
        return self._end - self._clock.monotonic()

    def allows(self, seconds: float) -> bool:
        """Whether a pause of ``seconds`` ends before it."""
        return seconds < self.remaining()

    def pause(self, seconds: float, waiting_for: str) -> None:
        """Sleep; DeadlineExceeded at once if the pause does not fit."""
        if not self.allows(seconds):
            raise DeadlineExceeded(f"no time left while waiting for {waiting_for}")
        self._clock.sleep(seconds)


def backoff(first: float, factor: float, most: float) -> Iterator[float]:
    """Pauses in seconds that grow from ``first`` by ``factor`` up to ``most``, without end."""
    pause = first
    while True:
        yield pause
        pause = min(pause * factor, most)
