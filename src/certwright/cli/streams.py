"""Standard streams that may be closed, full, a pipe whose reader has left, or in an encoding that lacks letters."""

import io
import os
import sys
from contextlib import suppress
from typing import TextIO


def prepare() -> None:
    """Give closed streams a place to go, and letters that the terminal cannot show a spelling that it can."""
    sys.stdin = sys.stdin or _nowhere("r")
    sys.stdout = sys.stdout or _nowhere("w")
    sys.stderr = sys.stderr or _nowhere("w")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


# Marks that turn the order of what follows on a terminal: a server's name could disguise a command with them.
_TURNING = {code: f"\\u{code:04x}" for code in (0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))}


def plain(text: str) -> str:
    """`text` in the order in which it stands."""
    return text.translate(_TURNING)


def write(stream: TextIO, text: str) -> None:
    """Write at once.

    Raises:
        OSError: if it cannot be written; what is written after that is lost in silence.
    """
    try:
        stream.write(plain(text))
        stream.flush()
    except OSError:
        silence(stream)
        raise


def silence(stream: TextIO) -> None:
    """Lose all that is written from now on, and what is still in the buffer."""
    with suppress(OSError), open(os.devnull, "w", encoding="utf-8") as nowhere:  # noqa: PTH123 - a device's name
        os.dup2(nowhere.fileno(), stream.fileno())


def _nowhere(mode: str) -> TextIO:
    return open(os.devnull, mode, encoding="utf-8")  # type: ignore[return-value]  # noqa: PTH123 - open to the end
