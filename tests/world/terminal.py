"""A command on a terminal, as a person sees it."""

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Mapping
from pathlib import Path


class Terminal:
    """A command on a terminal of 120 columns."""

    def __init__(self, arguments: list[str], environment: Mapping[str, str]) -> None:
        self._leader, follower = pty.openpty()
        fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
        self.process = subprocess.Popen(
            arguments, stdin=follower, stdout=follower, stderr=follower, env=environment, start_new_session=True
        )
        os.close(follower)
        self.shown = ""

    def read_until(self, words: str | None, seconds: float) -> None:
        """Read until `words` are shown, or until the command ends."""
        end = time.monotonic() + seconds
        while words is None or words not in self.shown:
            left = end - time.monotonic()
            assert left > 0, f"still waiting for {words!r}:\n{self.shown}"
            if select.select([self._leader], [], [], min(left, 1.0))[0]:
                try:
                    self.shown += os.read(self._leader, 65536).decode(errors="replace")
                except OSError:  # the other side is closed: the command has ended
                    assert words is None, f"it ended without {words!r}:\n{self.shown}"
                    return

    def close(self) -> None:
        """End it, whatever it does."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(timeout=20)
        os.close(self._leader)

    def interrupt(self) -> None:
        """Press Ctrl-C once it waits for an answer: Python forgets one that comes between the question and the wait."""
        call, seen = Path(f"/proc/{self.process.pid}/syscall"), [""]
        while len(set(seen[-5:])) > 1 or len(seen) < 6:
            time.sleep(0.05)
            seen.append(call.read_text())
        self.process.send_signal(signal.SIGINT)

    def type(self, text: str) -> None:
        """Type this."""
        os.write(self._leader, text.encode())
