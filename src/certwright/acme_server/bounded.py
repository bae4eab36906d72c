"""Reading from a peer that may be slow, endless, or both."""

import io
import socket
import time


class Deadline:
    """A moment by which all of something must be done."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    @property
    def remaining(self) -> float:
        """Seconds left.

        Raises:
            TimeoutError: None are left.
        """
        remaining = self._end - time.monotonic()
        if remaining <= 0:
            raise TimeoutError("the time is over")
        return remaining


class BoundedReader(io.RawIOBase):
    """Reads a socket until a deadline, and no more than ``limit`` bytes until it is renewed."""

    def __init__(self, connection: socket.socket, deadline: Deadline, limit: int) -> None:
        self._connection = connection
        self.renew(deadline, limit)

    def renew(self, deadline: Deadline, limit: int) -> None:
        """Begin a new message."""
        self._deadline, self._limit, self._left = deadline, limit, limit

    def readable(self) -> bool:
        """True."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Read at least a byte; 0 at the end.

        Raises:
            TimeoutError: The deadline has passed.
            ConnectionAbortedError: The peer sent too much.
        """
        if not self._left:
            raise ConnectionAbortedError(f"more than {self._limit} bytes were sent")
        self._connection.settimeout(self._deadline.remaining)
        count = self._connection.recv_into(buffer[: self._left])
        self._left -= count
        return count
