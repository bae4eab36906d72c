"""Runs what one pipeline asks for: cmdlets joined by pipes, planned faults, ErrorAction."""

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from psrpcore import Command
from psrpcore.types import ErrorRecord, InvocationInfo, PSObject

from certwright.exchange_simulator.cmdlet import Cmdlet, Invocation, Session, scripts_not_allowed
from certwright.exchange_simulator.errors import Refused
from certwright.exchange_simulator.faults import Delay, Drop, Effect, Fail, Gone, HttpStatus, WsmanFault
from certwright.exchange_simulator.languages import localised
from certwright.exchange_simulator.recording import Answer
from certwright.exchange_simulator.records import CmdletError, Record, invocation_info, rpc_error
from certwright.exchange_simulator.world import Node

_UNAVAILABLE = "The RPC server is unavailable."


class Console(Protocol):
    """The client's side of a running pipeline."""

    stopped: threading.Event

    def output(self, value: PSObject) -> None:
        """Send an output object."""

    def recorded(self, clixml: str) -> None:
        """Send an output object whose text is known."""

    def warning(self, message: str, invocation: InvocationInfo | None) -> None:
        """Send a warning record."""

    def error(self, record: ErrorRecord) -> None:
        """Send an error record."""

    def choose(self, caption: str, message: str, labels: Iterable[str], default: int) -> int:
        """Ask the client's host; raises `CmdletError` if it has none."""

    def wants_invocation_info(self) -> bool:
        """Whether records carry InvocationInfo."""


class PipelineStopped(Exception):
    """The client stopped the pipeline."""


@dataclass
class PipelineFailed(Exception):
    """A terminating error."""

    record: ErrorRecord


@dataclass
class Interrupted(Exception):
    """A planned fault of the transport: the output is lost.

    Attributes:
        node: The server whose fault it is.
    """

    effect: Drop | Gone | HttpStatus | WsmanFault
    node: Node


def run(commands: Sequence[Command], session: Session, console: Console) -> None:
    """Run each statement; output goes to `console` as each ends.

    Raises:
        PipelineFailed: A terminating error ended it.
        PipelineStopped: The client stopped it.
        Interrupted: A planned fault cut the connection.
    """
    statement: list[Command] = []
    for command in commands:
        statement.append(command)
        if command.end_of_statement:
            if session.recording is not None:
                _repeat(session.recording.answer(statement), statement[0], console)
            else:
                _run_statement(statement, session, console)
            statement = []


def _repeat(answer: Answer, first: Command, console: Console) -> None:
    """Give what was recorded."""
    for clixml in answer.output:
        console.recorded(clixml)
    action = next((str(value) for name, value in first.parameters if name == "ErrorAction"), "Continue")
    streams = _Streams(console, first.command_text, None, "en", action.lower())
    for error in answer.errors:
        streams.error(error)


def _run_statement(statement: Sequence[Command], session: Session, console: Console) -> None:
    records: list[Record] = []
    for position, command in enumerate(statement, start=1):
        info = (
            invocation_info(command.command_text, position, len(statement)) if console.wants_invocation_info() else None
        )
        streams = _Streams(console, command.command_text, info, session.world.language)
        try:
            if command.is_script:
                raise scripts_not_allowed()
            records = _run_command(command, records, session, streams)
        except CmdletError as error:
            streams.error(error)
            records = []
    for record in records:
        console.output(record.serialized())


def _run_command(command: Command, received: list[Record], session: Session, streams: "_Streams") -> list[Record]:
    cmdlet = session.find(command.command_text)
    arguments = cmdlet.bind(command.parameters, session.rights.hidden(cmdlet.name))
    streams.error_action = str(arguments.get("ErrorAction") or "Continue").lower()
    call = Invocation(cmdlet, arguments, session, streams, received)
    call.called()
    effect = call.node.faults.strike(cmdlet.name)
    _before(call, effect, streams.console)
    call.effect = effect
    try:
        records = list(cmdlet.run(call))
    except Refused as refusal:
        raise _refusal(cmdlet, call.node, str(refusal)) from None
    if isinstance(effect, Drop | Gone):
        raise _interrupted(call, effect)
    return records


def _before(call: Invocation, effect: Effect | None, console: Console) -> None:
    """Act out what strikes before the cmdlet does anything."""
    if isinstance(effect, Delay) and console.stopped.wait(effect.seconds):
        raise PipelineStopped
    if isinstance(effect, HttpStatus | WsmanFault) or (isinstance(effect, Drop | Gone) and not effect.committed):
        raise _interrupted(call, effect)
    if call.cmdlet.refusal is rpc_error and not call.node.reachable:
        raise _refusal(call.cmdlet, call.node, _UNAVAILABLE)
    if isinstance(effect, Fail):
        error = _refusal(call.cmdlet, call.node, effect.message)
        error.terminating = effect.terminating
        raise error


def _interrupted(call: Invocation, effect: Drop | Gone | HttpStatus | WsmanFault) -> Exception:
    """How the client learns of `effect`: its own connection ends, or its server cannot reach the other."""
    if isinstance(effect, Gone) and effect.whole:
        if call.node is not call.session.node:
            call.node.faults.power_off()
            return _refusal(call.cmdlet, call.node, _UNAVAILABLE)
        call.node.faults.off = True  # the ports close once the answer to this command is lost
    return Interrupted(effect, call.node)


def _refusal(cmdlet: Cmdlet, node: Node, message: str) -> CmdletError:
    return cmdlet.refusal(node.state.name, message, cmdlet.task)


@dataclass(slots=True)
class _Streams:
    """A command's streams, with its ErrorAction."""

    console: Console
    activity: str
    info: InvocationInfo | None
    language: str
    error_action: str = "continue"

    def warning(self, message: str) -> None:
        self.console.warning(localised(message, self.language), self.info)

    def error(self, error: CmdletError) -> None:
        error.message = localised(error.message, self.language)
        record = error.record(self.activity, self.info)
        if error.terminating or self.error_action == "stop":
            raise PipelineFailed(record)
        if self.error_action not in {"silentlycontinue", "ignore"}:
            self.console.error(record)

    def choose(self, caption: str, message: str, labels: Iterable[str], default: int) -> int:
        return self.console.choose(caption, message, labels, default)
