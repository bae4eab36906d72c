"""PowerShell remoting (MS-PSRP over WS-Management) to an endpoint that runs typed commands only.

Exchange's sessions are in no-language mode: there are no scripts, only cmdlets with typed parameters, so that nothing
is ever interpolated. pypsrp does the protocol; this module bounds it in time and size and tells apart what failed.
"""

import contextlib
import logging
import os
import ssl
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from certwright.domain.errors import ConfigurationError, Unreachable
from certwright.remoting import clixml
from certwright.remoting.clixml import Obj, Value
from certwright.remoting.failures import (
    CommandFailed,
    ErrorRecord,
    HttpRefusal,
    OutcomeUnknown,
    Reached,
    ShellLost,
    TooMuch,
    as_error,
    clean,
)

EXCHANGE = "Microsoft.Exchange"
WINDOWS = "Microsoft.PowerShell"
_TALKATIVE = ("pypsrp", "urllib3", "requests", "spnego")


@dataclass(frozen=True, slots=True)
class SecureString:
    """A secret parameter; it travels encrypted by the session key and shows in no repr."""

    text: str = field(repr=False)


Parameter = str | bool | int | bytes | SecureString | Sequence[str]


@dataclass(frozen=True, slots=True)
class Command:
    """A cmdlet and its parameters by name; a switch is True. Bytes and secrets are not shown by repr."""

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
class Endpoint:
    """Where and as whom: basic authentication, which is only ever sent over verified TLS.

    Args:
        url: ``https://host[:port]/path[?query]``.
        configuration: session configuration, `EXCHANGE` or `WINDOWS`.
        username: as the server expects it.
        password: never shown.
        authorities: PEM of the authorities to trust; None trusts those of this machine.

    Raises:
        ConfigurationError: for an address that is not https or that cannot be used.
    """

    url: str
    configuration: str
    username: str
    password: str = field(repr=False)
    authorities: bytes | None = None

    def __post_init__(self) -> None:
        try:
            parts = urlsplit(self.url)
            host, port = parts.hostname, parts.port
        except ValueError:
            host, port = None, 0
        if not host or port == 0:
            raise ConfigurationError(f"{clean(self.url)} is no address.", hint="Write https://SERVER/PowerShell/.")
        if not self.url.lower().startswith("https:"):
            raise ConfigurationError(
                f"{clean(self.url)} is not https: with basic authentication the password would be readable on the way.",
                hint="Use https with a certificate that this machine can verify.",
            )


@dataclass(frozen=True, slots=True)
class Result:
    """What a command gave: its output in order, and its warnings."""

    output: tuple[Value, ...]
    warnings: tuple[str, ...]

    @property
    def objects(self) -> tuple[Obj, ...]:
        """The output that is objects."""
        return tuple(item for item in self.output if isinstance(item, Obj))


class PowerShell:
    """A session with one endpoint, opened at the first command. Not for several threads at once.

    Every failure leaves the session so that the next command opens a new one.
    """

    def __init__(self, endpoint: Endpoint, limits: Limits | None = None) -> None:
        self.endpoint = endpoint
        self._limits = limits or Limits()
        self._resources: contextlib.ExitStack | None = None
        self._pool: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def read(self, *pipeline: Command) -> Result:
        """Run commands that change nothing; each takes the output of the one before it.

        A session that was lost meanwhile is opened again and the commands are sent once more.

        Raises:
            Unreachable: if the endpoint does not answer, or not as PowerShell.
            CommandFailed: if a cmdlet reports an error of whatever kind.
        """
        with contextlib.suppress(OutcomeUnknown, ShellLost):
            return self._run(pipeline)
        try:
            return self._run(pipeline)
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

    def _run(self, pipeline: Sequence[Command]) -> Result:
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
            self.close()
            raise as_error(error, self.endpoint.url, self.endpoint.username, reached) from error
        if errors:
            raise CommandFailed(pipeline[0].name, urlsplit(self.endpoint.url).netloc, errors, result.warnings)
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

        parts = urlsplit(self.endpoint.url)
        trust: Any = opening.enter_context(_trust(self.endpoint.authorities))
        wsman: Any = WSMan(
            parts.hostname or "",
            port=parts.port or 443,
            path=parts.path.lstrip("/") + (f"?{parts.query}" if parts.query else ""),
            username=self.endpoint.username,
            password=self.endpoint.password,
            auth="basic",
            cert_validation=trust,
            no_proxy=True,
            connection_timeout=self._limits.connect,
            read_timeout=self._limits.reply,
            operation_timeout=max(1, self._limits.reply - 2),
            reconnection_backoff=0.1,
        )
        opening.callback(_quietly, wsman.close)
        # pypsrp builds its HTTP session when it first sends; only a session that is there can be bounded.
        session = wsman.transport.session = wsman.transport._build_session()  # noqa: SLF001
        session.max_redirects = 0
        session.hooks["response"].append(_Guard(self._limits.answer))
        return wsman


class _Guard:
    """Looks at each HTTP answer before pypsrp does: its size, and its status if it is no SOAP message."""

    def __init__(self, limit: int) -> None:
        self._limit = limit

    def __call__(self, response: Any, **_: object) -> None:
        kind = response.headers.get("content-type", "")
        if response.status_code >= 400 and ("soap" not in kind or response.status_code == 401):  # noqa: PLR2004 - HTTP
            offered = response.headers.get("www-authenticate", "")
            response.close()
            raise HttpRefusal(response.status_code, _schemes(offered))
        response.raw = _Bounded(response.raw, self._limit)


class _Bounded:
    """A body that may be read up to a limit."""

    def __init__(self, raw: Any, limit: int) -> None:
        self._raw = raw
        self._left = limit

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)

    def stream(self, amount: int, **options: Any) -> Iterator[bytes]:
        for part in self._raw.stream(amount, **options):
            self._left -= len(part)
            if self._left < 0:
                self._raw.close()
                raise TooMuch
            yield part


def _schemes(offered: str) -> list[str]:
    """The names of the schemes in a WWW-Authenticate header (several headers arrive joined by commas)."""
    words = [part.strip().partition(" ")[0] for part in offered.split(",")]
    return [word for word in words if word and "=" not in word]


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
    if isinstance(value, str | bool | int | bytes):
        return value
    return list(value)


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
    xml = getattr(item, "_xml", None)
    if xml is None and isinstance(item, str) and item.startswith("<Obj"):
        xml = item  # a type that pypsrp does not know
    if xml is not None:
        return clixml.read(xml)
    return item if isinstance(item, str | int | float | bytes) else str(item) if item is not None else None


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


@contextlib.contextmanager
def _trust(authorities: bytes | None) -> Iterator[str | bool]:
    """What to verify the server with: requests takes authorities only as a file, readable by us alone."""
    if authorities is None:
        paths = ssl.get_default_verify_paths()
        yield paths.cafile or paths.capath or True
        return
    handle, name = tempfile.mkstemp(prefix="certwright-", suffix=".pem")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(authorities)
        yield name
    finally:
        Path(name).unlink(missing_ok=True)


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
