"""The journal of a run: steps with their outcomes and notes, handed on to be stored and heard by a listener."""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from certwright.domain.errors import CertwrightError, LeaseLost
from certwright.domain.runs import Entry, Outcome, Phase
from certwright.sdk.journal import Step

log = logging.getLogger("certwright")
Listen = Callable[[Entry], None]
Append = Callable[[Entry], Entry]


class RunJournal:
    """A journal that stores its entries through `append` and shows them to `listen`.

    Steps nest per thread: a step that another thread opens stands below the run itself.
    """

    def __init__(self, append: Append, listen: Listen) -> None:
        self._append = append
        self._listen = listen
        self._lock = threading.Lock()
        self._count = 0
        self._open = threading.local()
        self._explained: CertwrightError | None = None
        self._is_told = False

    def note(self, message: str) -> None:
        """Say something; it belongs to the innermost open step of this thread."""
        self._write(Entry(step=self._innermost(), phase=Phase.NOTE, title=message))

    @contextmanager
    def step(self, title: str) -> Iterator[Step]:
        """A step that ends with the block."""
        with self._lock:
            self._count += 1
            number = self._count
        self._write(Entry(step=number, parent=self._innermost(), phase=Phase.START, title=title))
        stack = self._stack()
        stack.append(number)
        step = _OpenStep(self)
        try:
            yield step
        except LeaseLost:
            stack.remove(number)
            raise
        except BaseException as error:
            stack.remove(number)
            self._write(
                Entry(step=number, phase=Phase.END, title=title, outcome=Outcome.FAILED, detail=self._say(error))
            )
            raise
        stack.remove(number)
        outcome = Outcome.DONE if step.skipped is None else Outcome.SKIPPED
        self._write(Entry(step=number, phase=Phase.END, title=title, outcome=outcome, detail=step.skipped or ""))

    def _say(self, error: BaseException) -> str:
        """All that is known at the innermost step, what is new around it; a stranger's text could hold a secret."""
        if isinstance(error, CertwrightError):
            inner, self._explained = self._explained, error
            told = {line.strip() for line in inner.explain()} if inner and _is_beneath(inner, error) else set()
            first, *more = error.explain()
            return "\n".join([first, *(line for line in more if line.strip() not in told)])
        return f"stopped by {type(error).__name__}"

    def _stack(self) -> list[int]:
        if not hasattr(self._open, "stack"):
            self._open.stack = []
        stack: list[int] = self._open.stack
        return stack

    def _innermost(self) -> int:
        stack = self._stack()
        return stack[-1] if stack else 0

    def _write(self, entry: Entry) -> None:
        with self._lock:
            stored = self._append(entry)
        try:
            self._listen(stored)
        except OSError:
            return  # a terminal that was closed
        except Exception:
            if not self._is_told:
                log.exception("unexpected, at whoever listens to the run")
            self._is_told = True


def _is_beneath(inner: BaseException, error: BaseException | None) -> bool:
    """Whether `error` is `inner`, or was raised from it."""
    while error is not None and error is not inner:
        error = error.__cause__
    return error is not None


class _OpenStep:
    def __init__(self, journal: RunJournal) -> None:
        self._journal = journal
        self.skipped: str | None = None

    def note(self, message: str) -> None:
        self._journal.note(message)

    def skip(self, reason: str) -> None:
        self.skipped = reason
