"""Live progress of a run: a display that moves on a terminal, plain lines elsewhere."""

import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple, TextIO

from certwright.cli.streams import plain, silence
from certwright.domain.runs import Entry, Outcome, Phase

if TYPE_CHECKING:
    from rich.status import Status

_MARKS = {Outcome.DONE: "ok", Outcome.SKIPPED: "skipped", Outcome.FAILED: "FAILED"}


class _Begun(NamedTuple):
    """A step that is under way."""

    at: float
    depth: int
    title: str


class Progress:
    """Hears journal entries, of several runs at once, and writes them; a reader who has left stops nothing.

    An `outline` is how the steps of the whole ended, and the waves; what is about one server is left out.
    """

    def __init__(self, out: TextIO, *, outline: bool = False) -> None:
        self._out = out
        self._outline = outline
        self._begun: dict[tuple[str, int], _Begun] = {}
        self._status: Status | None = None
        self._lock = threading.RLock()

    def hear(self, entry: Entry) -> None:
        """Write one entry."""
        try:
            with self._lock:
                self._write(entry)
        except (OSError, ValueError):
            silence(self._out)

    def _write(self, entry: Entry) -> None:
        key = (entry.run_id, entry.step)
        if entry.phase is Phase.START:
            depth = self._begun[(entry.run_id, entry.parent)].depth + 1 if entry.parent else 0
            self._begun[key] = _Begun(time.monotonic(), depth, entry.title)
            self._show()
            if not self._outline:
                self._line(depth, f"{entry.title} ...")
        elif entry.phase is Phase.NOTE:
            depth = self._begun[key].depth + 1 if key in self._begun else 0
            if not self._outline or entry.title.startswith("Wave "):
                self._line(depth, entry.title)
        elif entry.outcome is not None:
            begun = self._begun.pop(key, _Begun(time.monotonic(), 0, entry.title))
            self._show()
            if self._outline and (begun.depth or ": " in entry.title):
                return
            detail = entry.detail.partition("\n")[0]  # the command tells its error in full when it ends
            said = f": {detail}" if detail and not self._outline else ""
            mark = _MARKS.get(entry.outcome, entry.outcome)
            self._line(begun.depth, f"{mark} ({time.monotonic() - begun.at:.1f} s) {entry.title}{said}")

    def close(self) -> None:
        """Take the moving display away."""
        with self._lock:
            if self._status is not None:
                with suppress(OSError, ValueError):
                    self._status.stop()
                self._status = None

    def _line(self, depth: int, text: str) -> None:
        line = plain(f"{time.strftime('%H:%M:%S')} {'  ' * depth}{text}")
        if self._status is not None:
            self._status.console.print(line, highlight=False, markup=False, soft_wrap=True)
        else:
            self._out.write(line + "\n")
            self._out.flush()

    def _show(self) -> None:
        """On a terminal, a spinner says what began last of that which is under way."""
        if not self._out.isatty():
            return
        if not self._begun:
            self.close()
            return
        from rich.console import Console  # noqa: PLC0415 - Rich is loaded only on terminals
        from rich.markup import escape  # noqa: PLC0415 - as above

        if self._status is None:
            self._status = Console(file=self._out, stderr=True).status("")
            self._status.start()
        *_, last = self._begun.values()
        self._status.update(escape(plain(last.title)))
