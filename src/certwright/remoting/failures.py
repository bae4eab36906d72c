"""What a caller of PowerShell remoting has to tell apart; `diagnosis` makes these of what libraries raise."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from certwright.domain.errors import DeploymentError, Unreachable

_MAX_WORDS = 600
# How Exchange wraps what the service of another server answered; in English, and as it is translated.
_WRAPPED = re.compile(
    r"(?=[^:]*\brpc\b)[^:]*\bspe[cz]\w*[^:]*\bserver\s+(?P<server>[\w.-]+)[^:]*:\s*(?P<tail>.*)",
    re.IGNORECASE | re.DOTALL,
)
_SERVICE = "MSExchangeServiceHost"
NETWORK = "Check that the server is up and that a firewall lets this machine reach the port; the next run tries again."


class OutcomeUnknown(Unreachable):
    """A command was sent and no result came: it may have been carried out. Read the state back.

    `what` is what happened instead, in words.
    """

    def __init__(self, url: str, what: str) -> None:
        super().__init__(
            f"No result came from {url} for a command that was sent ({what}); whether it was carried out has to be "
            "read back.",
            hint=NETWORK,
        )
        self.what = what


class SignInRefused(Unreachable):
    """The endpoint does not let this identity in."""

    retryable = False


class ShellLost(Unreachable):
    """The server no longer knows this session; the command was not carried out."""


@dataclass(frozen=True, slots=True)
class ErrorRecord:
    """One error that a cmdlet reported. `error_id` is its FullyQualifiedErrorId, `kind` the class of its exception."""

    message: str
    error_id: str
    kind: str


class CommandFailed(DeploymentError):
    """A cmdlet reported errors, terminating or not; `records` keeps them all."""

    def __init__(self, command: str, place: str, records: Sequence[ErrorRecord], warnings: Sequence[str] = ()) -> None:
        first, passed_on = records[0], _passed_on(records[0])
        raw = [first.message] if passed_on else []
        super().__init__(
            _sentence(command, place, first, passed_on),
            causes=[*raw, *_details(records), *(f"warning: {w}" for w in warnings)],
            hint=_hint(command, first, passed_on),
        )
        self.records = tuple(records)

    @property
    def is_missing_command(self) -> bool:
        """Whether the session has no such cmdlet, or the account may not use it."""
        return any("CommandNotFound" in record.error_id for record in self.records)


def clean(words: object) -> str:
    """What a peer said, on one line, without control characters, and not endless."""
    text = " ".join("".join(c if c.isprintable() else " " for c in str(words)).split())
    return text if len(text) <= _MAX_WORDS else f"{text[:_MAX_WORDS]} ..."


def _details(records: Sequence[ErrorRecord]) -> Iterator[str]:
    for number, record in enumerate(records):
        if number:
            yield record.message
        yield f"{record.kind or 'error'} [{record.error_id}]"


class _PassedOn(NamedTuple):
    """What a server was asked on behalf of another one, and what it answered; empty if it did not."""

    server: str
    answer: str

    @property
    def is_silent(self) -> bool:
        return not self.answer or "rpc" in self.answer.lower()


def _passed_on(record: ErrorRecord) -> _PassedOn | None:
    found = _WRAPPED.match(record.message)
    return _PassedOn(found["server"], found["tail"].strip()) if found else None


def _sentence(command: str, place: str, record: ErrorRecord, passed_on: _PassedOn | None) -> str:
    if passed_on is None:
        return f"{command} failed on {place}: {record.message}"
    server, answer = passed_on
    if passed_on.is_silent:
        said = f": {answer}" if answer else ", and Exchange gives no reason."
        return f"{command} failed on {place}: the service {_SERVICE} of {server} could not be reached{said}"
    is_same = place.lower().partition(".")[0] == server.lower().partition(".")[0]
    return f"{command} failed on {place if is_same else f'{server}, asked through {place}'}: {answer}"


def _hint(command: str, record: ErrorRecord, passed_on: _PassedOn | None) -> str:
    if passed_on and passed_on.is_silent:
        return (
            f"Look on {passed_on.server} whether it runs: Get-Service {_SERVICE}; if not: Start-Service {_SERVICE}. "
            "If it runs, let the other Exchange servers reach it through the firewall (RPC: port 135, and the dynamic "
            "ports)."
        )
    if "CommandNotFound" in record.error_id:
        return (
            f"The account may not use {command}: it needs the role group Server Management or Organization Management."
        )
    if "ParameterBinding" in record.kind:
        return f"The account may not use a parameter of {command}, or this version of Exchange does not know it."
    return ""
