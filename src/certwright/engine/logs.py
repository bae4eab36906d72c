"""How log lines are written: for people or as JSON, each with the run it is about, and without secrets."""

import json
import logging
from collections.abc import Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

from pydantic import SecretBytes, SecretStr

from certwright.domain.keys import PrivateKey
from certwright.domain.runs import Entry
from certwright.engine.scrub import GONE, Scrubber

current_run: ContextVar[str] = ContextVar("current_run", default="")
"""The id of the run that this thread works on; empty between runs."""

_Secret = SecretStr | SecretBytes | bytes | bytearray | memoryview | PrivateKey
_TOLD = ("certificate", "step", "parent", "phase", "outcome", "detail")
_journal = logging.getLogger("certwright.journal")


class Lines(logging.Formatter):
    """One line for people: when, what, and which run.

    What is secret by its type or by its looks is taken out, of tracebacks too.

    Args:
        form: as `logging` takes it, without the run.
        moment: how `form` writes the time.
    """

    _scrubber = Scrubber(())

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        run = _run(record)
        line, *more = super().format(_without_secrets(record)).split("\n")
        return self._scrubber.text("\n".join([f"{line} (run {run})" if run else line, *more]))


class JsonLines(Lines):
    """One JSON object a line: `at`, `level` and `message`; `run` and what else is known; `exception` if one was met."""

    def format(self, record: logging.LogRecord) -> str:
        """The object."""
        told: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "message": _without_secrets(record).getMessage(),
            "run": _run(record),
        }
        told |= {name: getattr(record, name, None) for name in _TOLD}
        if record.exc_info:
            told["exception"] = self.formatException(record.exc_info)
        kept = {name: value for name, value in told.items() if value not in (None, "")}
        return json.dumps(self._scrubber.value(kept), ensure_ascii=False, default=lambda _: GONE)


def log_entries(handler: logging.Handler) -> None:
    """Have `handler`, and no other, write what `log_entry` is given."""
    _journal.addHandler(handler)
    _journal.setLevel(logging.INFO)
    _journal.propagate = False


def log_entry(entry: Entry) -> None:
    """Write a line of a run's journal as a line of the log."""
    known = entry.model_dump(include={"step", "parent", "phase", "outcome", "detail"})
    _journal.info("%s", entry.title, extra={**known, "run": entry.run_id})


def _run(record: logging.LogRecord) -> str:
    return getattr(record, "run", "") or current_run.get()


def _without_secrets(record: logging.LogRecord) -> logging.LogRecord:
    """The record without arguments that are secret whatever they hold."""
    arguments = record.args
    if isinstance(arguments, Mapping):
        kept: Any = {name: _shown(value) for name, value in arguments.items()}
    else:
        kept = tuple(map(_shown, arguments or ()))
    if kept == arguments:
        return record
    copy = logging.makeLogRecord(record.__dict__)
    copy.args = kept
    return copy


def _shown(value: object) -> object:
    return GONE if isinstance(value, _Secret) else value
