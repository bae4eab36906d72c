"""Answers that were recorded at another endpoint: what a captured organisation said, said again.

A recording is lines of JSON, one for each pipeline: ``command`` (a list of ``name`` and ``parameters``), ``output`` (a
list of CLIXML texts, one element each) and ``errors`` (a list of ``message``, ``error_id`` and ``kind``, which is the
reason of its category).
"""

import json
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from psrpcore import Command
from psrpcore.types import ErrorCategory, PSCryptoProvider, deserialize_clixml

from certwright.exchange_simulator.records import CmdletError

_Key = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """What one pipeline gave; the output as CLIXML."""

    output: tuple[str, ...]
    errors: tuple[CmdletError, ...]


class Recording:
    """Answers by pipeline.

    The same pipeline recorded several times is answered in that order, and by the last one from then on.

    Args:
        lines: See the module.

    Raises:
        ValueError: A line is not of that form.
    """

    def __init__(self, lines: Iterable[str]) -> None:
        self._answers: defaultdict[_Key, deque[Answer]] = defaultdict(deque)
        for number, line in enumerate(filter(str.strip, lines), start=1):
            try:
                call = json.loads(line)
                key = _key((c["name"], c.get("parameters", {}).items()) for c in call["command"])
                self._answers[key].append(_answer(call))
            except (KeyError, TypeError, AttributeError, ValueError, SyntaxError) as error:
                raise ValueError(f"call {number} of the recording cannot be read: {error!r}") from None

    def answer(self, statement: Sequence[Command]) -> Answer:
        """The recorded answer, or an error that names the pipeline."""
        key = _key((c.command_text, c.parameters) for c in statement)
        answers = self._answers.get(key)
        if not answers:
            shown = " | ".join(" ".join(words) for words in key)
            return Answer((), (_not_recorded(shown),))
        return answers[0] if len(answers) == 1 else answers.popleft()


def _answer(call: Mapping[str, Any]) -> Answer:
    errors = tuple(
        CmdletError(e["message"], reason=e.get("kind") or "Exception", error_id=e.get("error_id", ""))
        for e in call.get("errors", ())
    )
    return Answer(tuple(_checked(text) for text in call.get("output", ())), errors)


def _checked(clixml: str) -> str:
    deserialize_clixml(f"<Objs>{clixml}</Objs>", PSCryptoProvider())
    return clixml


def _key(commands: Iterable[tuple[str, Iterable[tuple[str | None, Any]]]]) -> _Key:
    return tuple(
        (name.lower(), " ".join(sorted(f"-{(parameter or '').lower()} {_shown(value)}" for parameter, value in given)))
        for name, given in commands
    )


def _shown(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ",".join(map(_shown, value))
    if isinstance(value, Mapping):
        return ";".join(sorted(f"{key}={_shown(entry)}" for key, entry in value.items()))
    return "" if value is None else str(value)


def _not_recorded(pipeline: str) -> CmdletError:
    return CmdletError(
        f"The recording has no answer to: {pipeline}",
        reason="NotRecordedException",
        category=ErrorCategory.ObjectNotFound,
        error_id="NotRecorded",
        terminating=True,
    )
