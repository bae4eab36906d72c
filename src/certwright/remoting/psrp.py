"""PowerShell remoting (MS-PSRP over WS-Management) to an endpoint that runs typed commands only.

Exchange's sessions are in no-language mode: there are no scripts, only cmdlets with typed parameters, so that nothing
is ever interpolated. pypsrp does the protocol; this module bounds it in time and size and tells apart what failed.
"""

import contextlib
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Self
from xml.etree import ElementTree as ET

from certwright.domain.errors import Unreachable
from certwright.remoting import clixml
from certwright.remoting.clixml import Obj, Value
from certwright.remoting.diagnosis import Reached, diagnose
from certwright.remoting.endpoint import Endpoint
from certwright.remoting.failures import CommandFailed, ErrorRecord, OutcomeUnknown, ShellLost, clean
from certwright.remoting.transport import Answer, Transport, trusted

_TALKATIVE = ("pypsrp", "urllib3", "requests", "spnego")


@dataclass(frozen=True, slots=True)
class SecureString:
    """A secret parameter; it travels encrypted by the session key and shows in no repr."""

    text: str = field(repr=False)


Entry = str | bool | int | datetime | Sequence[str] | Sequence[int]
Parameter = str | bool | int | bytes | SecureString | Sequence[str] | Mapping[str, Entry] | None


@dataclass(frozen=True, slots=True)
class Command:
    """A cmdlet and its parameters by name. A switch is True, and None is ``$null``; repr shows no parameters."""

    name: str
    parameters: Mapping[str, Parameter] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Limits:
    """How long to wait and how much to accept. Seconds; `answer` is bytes of one HTTP answer.

    `call` bounds one command from the first byte to the last result; `poll` is how long one request for results may
    stay open; `reply` is the wait for any other HTTP answer.
    """

    connect: int = 15
    reply: int = 30
    poll: int = 5
    call: float = 300
    answer: int = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Result:
    """What a command gave: its output in order, and its warnings."""

    output: tuple[Value, ...]
    warnings: tuple[str, ...]

    @property
    def objects(self) -> tuple[Obj, ...]:
        """The output that is objects."""
        return tuple(item for item in self.output if isinstance(item, Obj))


@dataclass(frozen=True, slots=True)
class Transcript:
    """One pipeline that was read, as it was on the wire: what was asked, and the CLIXML of each output and error.

    Bytes and secrets that were asked with are left out.
    """

    asked: tuple[Command, ...]
    output: tuple[str, ...]
    errors: tuple[str, ...]
    warnings: tuple[str, ...]


class PowerShell:
    """A session with one endpoint, opened at the first command. Not for several threads at once.

    Every failure leaves the session so that the next command opens a new one.

    Args:
        endpoint: where and as whom.
        limits: how long to wait and how much to accept.
        record: is given each pipeline that was read, also one that failed.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        limits: Limits | None = None,
        record: Callable[[Transcript], None] | None = None,
    ) -> None:
        self.endpoint = endpoint
        self._limits = limits or Limits()
        self._record = record
        self._resources: contextlib.ExitStack | None = None
        self._pool: Any = None
        self._transport: Transport | None = None

    @property
    def answered(self) -> Answer | None:
        """The head of the last HTTP answer of this session or of the last one; None before the first."""
        return self._transport.last if self._transport else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def read(self, *pipeline: Command) -> Result:
        """Run commands that change nothing; each takes the output of the one before it.

        A session that was lost meanwhile, for whatever reason, is opened again and the commands are sent once more.

        Raises:
            Unreachable: if the endpoint does not answer, or not as PowerShell.
            CommandFailed: if a cmdlet reports an error of whatever kind.
        """
        is_new = self._pool is None
        try:
            return self._run(pipeline, self._record)
        except Unreachable as lost:
            if is_new and not isinstance(lost, OutcomeUnknown | ShellLost):
                raise
        try:
            return self._run(pipeline, self._record)
        except OutcomeUnknown as again:
            raise Unreachable(f"{self.endpoint.url} gives no answer ({again.what}).", hint=again.hint) from again

    def change(self, command: Command) -> Result:
        """Run one command that changes something; it is sent at most once.

        Raises:
            OutcomeUnknown: if it was sent and no result came.
            Unreachable: if it was not sent.
            CommandFailed: if the cmdlet reports an error of whatever kind; it may still have done something.
        """
        return self._run((command,))

    def close(self) -> None:
        """End the session; whatever the server makes of it."""
        resources, self._resources, self._pool = self._resources, None, None
        if resources is not None:
            resources.close()

    def _run(self, pipeline: Sequence[Command], record: Callable[[Transcript], None] | None = None) -> Result:
        reached = Reached.NOTHING
        try:
            pool = self._open()
            if any(isinstance(value, SecureString) for command in pipeline for value in command.parameters.values()):
                pool.exchange_keys()
            shell = _assemble(pool, pipeline)
            reached = Reached.SENDING
            shell.begin_invoke(remote_stream_options=0)  # no invocation info: it would echo the parameters
            reached = Reached.RUNNING
            self._complete(shell)
            result, errors = _collect(shell)
        except Exception as error:  # a peer that speaks nonsense fails pypsrp in any way there is
            last = self.answered
            self.close()
            raise diagnose(error, self.endpoint, last, reached) from error
        if record:
            record(_transcript(pipeline, shell, result))
        if errors:
            raise CommandFailed(pipeline[0].name, self.endpoint.place, errors, result.warnings)
        return result

    def _complete(self, shell: Any) -> None:
        from pypsrp.complex_objects import PSInvocationState  # noqa: PLC0415 - only who connects pays for the library

        deadline = time.monotonic() + self._limits.call
        while shell.state == PSInvocationState.RUNNING:
            left = deadline - time.monotonic()
            if left <= 0:
                _quietly(shell.stop)
                what = f"{shell.commands[0].cmd} did not finish within {self._limits.call:g} s"
                raise OutcomeUnknown(self.endpoint.url, what)
            shell.poll_invoke(timeout=max(1, min(self._limits.poll, int(left))))
        _quietly(shell.close)

    def _open(self) -> Any:
        if self._pool is not None:
            return self._pool
        from pypsrp.powershell import RunspacePool  # noqa: PLC0415 - as above

        _silence()
        self._transport = None
        with contextlib.ExitStack() as opening:
            wsman = self._connect(opening)
            pool = RunspacePool(wsman, configuration_name=self.endpoint.configuration)
            opening.callback(_quietly, pool.close)
            pool.open()
            self._resources = opening.pop_all()
        self._pool = pool
        return pool

    def _connect(self, opening: contextlib.ExitStack) -> Any:
        from pypsrp.wsman import WSMan  # noqa: PLC0415 - as above

        endpoint, identity = self.endpoint, self.endpoint.identity
        trust: Any = opening.enter_context(trusted(endpoint.authorities))
        wsman: Any = WSMan(
            endpoint.host,
            port=endpoint.port,
            path=endpoint.path,
            ssl=endpoint.is_tls,
            username=identity.principal,
            password=identity.password,
            auth="kerberos" if identity.auth == "current" else identity.auth,
            encryption="auto" if endpoint.is_tls else "always",
            negotiate_service="HTTP",
            negotiate_hostname_override=endpoint.service_host,
            connection_timeout=self._limits.connect,
            read_timeout=self._limits.reply,
            operation_timeout=max(1, self._limits.reply - 2),
            reconnection_backoff=0.1,
        )
        opening.callback(_quietly, wsman.close)
        wsman.transport = self._transport = Transport(wsman.transport, endpoint, self._limits.answer)
        self._transport.open(trust)
        return wsman


def _assemble(pool: Any, pipeline: Sequence[Command]) -> Any:
    from pypsrp.powershell import PowerShell as Pipeline  # noqa: PLC0415 - as above

    shell = Pipeline(pool)
    for command in pipeline:
        shell.add_cmdlet(command.name)
        for name, value in command.parameters.items():
            shell.add_parameter(name, _serialized(value))
    return shell


def _serialized(value: Parameter) -> Any:
    from pypsrp.serializer import TaggedValue  # noqa: PLC0415 - as above

    if isinstance(value, SecureString):
        return TaggedValue("SS", value.text)
    if isinstance(value, Mapping):
        return {name: _entry(entry) for name, entry in value.items()}
    return _entry(value)


def _entry(value: Entry | bytes | None) -> Any:
    if isinstance(value, datetime):
        moment = ET.Element("DT")  # pypsrp has no way of its own to send one
        moment.text = value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        return moment
    return value if value is None or isinstance(value, str | bool | int | bytes) else list(value)


def _transcript(pipeline: Sequence[Command], shell: Any, result: Result) -> Transcript:
    hidden = (bytes, SecureString)
    return Transcript(
        asked=tuple(
            Command(c.name, {n: v for n, v in c.parameters.items() if not isinstance(v, hidden)}) for c in pipeline
        ),
        output=tuple(_clixml(shell, item) for item in shell.output),
        errors=tuple(_clixml(shell, record) for record in shell.streams.error),
        warnings=result.warnings,
    )


def _clixml(shell: Any, item: Any) -> str:
    """The XML that `item` came in, which pypsrp keeps of objects; a primitive value is written anew."""
    xml = _xml(item)
    return xml if xml is not None else ET.tostring(shell.runspace_pool.serialize(item), encoding="unicode")


def _collect(shell: Any) -> tuple[Result, list[ErrorRecord]]:
    """Results and errors: an error that does not end its pipeline is an error all the same."""
    from pypsrp.complex_objects import PSInvocationState  # noqa: PLC0415 - as above

    output = tuple(_value(item) for item in shell.output)
    warnings = tuple(clean(record.message) for record in shell.streams.warning)
    errors = [_error(record) for record in shell.streams.error]
    if not errors and shell.state != PSInvocationState.COMPLETED:
        errors = [ErrorRecord("the server stopped the command without saying why", "PipelineStopped", "")]
    return Result(output, warnings), errors


def _value(item: Any) -> Value:
    """An output of pypsrp; objects are read from the XML they came in, which pypsrp keeps."""
    xml = _xml(item)
    if xml is not None:
        return clixml.read(xml)
    return item if isinstance(item, str | int | float | bytes) else str(item) if item is not None else None


def _xml(item: Any) -> str | None:
    if isinstance(item, str) and item.startswith("<Obj"):
        return item  # a type that pypsrp does not know
    found: str | None = getattr(item, "_xml", None)
    return found


def _error(record: Any) -> ErrorRecord:
    found = _value(record)
    if not isinstance(found, Obj):
        return ErrorRecord(clean(found), "", "")
    exception = found.properties.get("Exception")
    message = exception.properties.get("Message") if isinstance(exception, Obj) else None
    told = found.properties.get("ErrorDetails_Message") or message or found.text or "no message"
    return ErrorRecord(
        message=clean(told),
        error_id=clean(found.properties.get("FullyQualifiedErrorId") or ""),
        kind=clean(found.properties.get("ErrorCategory_Reason") or ""),
    )


def _silence() -> None:
    """Keep these libraries from logging what they send, which would put the PFX into the log."""
    for name in _TALKATIVE:
        logger = logging.getLogger(name)
        if logger.getEffectiveLevel() <= logging.DEBUG:
            logger.setLevel(logging.INFO)


def _quietly(action: Any) -> None:
    """Do what makes no difference any more if it fails."""
    try:
        action()
    except Exception as error:  # noqa: BLE001 - as in _run
        logging.getLogger(__name__).debug("ignored while closing: %s", type(error).__name__)
