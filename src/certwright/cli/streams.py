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


# What commands a terminal, and marks that turn the order of what follows: a server's name could disguise a command.
_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\n\t"}
_TURNING = {code: f"\\u{code:04x}" for code in (0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))}
_SPELLED = {**_CONTROLS, **_TURNING}


def plain(text: str) -> str:
    """`text` in the order in which it stands, its control characters escaped, but for line breaks and tabs."""
    return text.translate(_SPELLED)


def write(stream: TextIO, text: str) -> None:
    """As `write_shown`, of the text made plain."""
    write_shown(stream, plain(text))


def write_shown(stream: TextIO, text: str) -> None:
    """Write at once what a `PlainConsole` has made.

    Raises:
        OSError: if it cannot be written; what is written after that is lost in silence.
    """
    try:
        stream.write(text)
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
