"""How a cmdlet is declared, bound to what the client sent, and run: no script, only names and typed values."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from psrpcore.types import ErrorCategory, PSSecureString

from certwright.exchange_simulator.certificates import Services
from certwright.exchange_simulator.directory import Entry, guid_of
from certwright.exchange_simulator.faults import Effect
from certwright.exchange_simulator.recording import Recording
from certwright.exchange_simulator.records import CmdletError, Record, exchange_error
from certwright.exchange_simulator.roles import Rights
from certwright.exchange_simulator.world import Call, Node, World

Kind = Callable[[Any], Any]
"""Turns what the wire gave into what the cmdlet takes; raises ValueError or TypeError if it cannot."""


def text(value: Any) -> str | None:
    """A string; $null stays None."""
    if value is None:
        return None
    if isinstance(value, bool | bytes | list | dict | PSSecureString):
        raise TypeError("System.String")
    return str(value)


def texts(value: Any) -> list[str]:
    """A string or a list of them."""
    values = value if isinstance(value, list) else [value]
    return [str(text(v)) for v in values]


def boolean(value: Any) -> bool:
    """$true or $false; nothing else, as for a Boolean parameter."""
    if not isinstance(value, bool):
        raise TypeError("System.Boolean")
    return value


def switch(value: Any) -> bool:
    """A switch: named without value it is on."""
    return True if value is None else boolean(value)


def octets(value: Any) -> bytes:
    """A Byte[]; a string is refused."""
    if not isinstance(value, bytes):
        raise TypeError("System.Byte[]")
    return bytes(value)


def secure_string(value: Any) -> str:
    """The plain text of a SecureString; a plain string is refused."""
    if not isinstance(value, PSSecureString):
        raise TypeError("System.Security.SecureString")
    return str(value.decrypt())


def services(value: Any) -> Services:
    """AllowedServices: a number, one comma separated string, or a list of names."""
    if isinstance(value, int) and not isinstance(value, bool):
        if value & ~sum(Services):
            raise ValueError(value)
        return Services(value)
    return Services.parse(", ".join(texts(value)))


_AD_OBJECT = "Microsoft.Exchange.Data.Directory.ADObject"

COMMON: Mapping[str, Kind] = {
    "ErrorAction": text,
    "WarningAction": text,
    "Verbose": switch,
    "Debug": switch,
}
CONFIRMABLE: Mapping[str, Kind] = {"Confirm": switch, "WhatIf": switch}
DIRECTORY: Mapping[str, Kind] = {"DomainController": text}


class Streams(Protocol):
    """Where a running cmdlet speaks to, beside its output."""

    def warning(self, message: str) -> None:
        """Write a warning record."""

    def error(self, error: CmdletError) -> None:
        """Write an error record; ends the pipeline if ErrorAction is Stop."""

    def choose(self, caption: str, message: str, labels: Iterable[str], default: int) -> int:
        """Ask the client's host; raises `CmdletError` if there is none."""


@dataclass(frozen=True, slots=True)
class Session:
    """One shell on one server's endpoint.

    Attributes:
        commands: What the endpoint knows, by lower-case name.
        management_shell: Whether the URL carried ``serialization=Full``, as the management shell's does.
        rights: What its account may see.
        recording: What answers in the place of all cmdlets.
    """

    world: World
    node: Node
    commands: Mapping[str, "Cmdlet"]
    management_shell: bool = False
    rights: Rights = field(default_factory=Rights)
    recording: Recording | None = None

    def find(self, name: str) -> "Cmdlet":
        """The cmdlet called `name`.

        Raises:
            CmdletError: There is none, or the account's roles do not show it.
        """
        cmdlet = self.commands.get(name.lower())
        if cmdlet is None or not self.rights.show(cmdlet.name):
            raise not_recognized(name)
        return cmdlet


@dataclass(slots=True)
class Invocation:
    """One call.

    Attributes:
        arguments: By their declared names.
        node: The server that the call is aimed at.
        controller: The domain controller that it reads from and writes to.
        received: What the command before it in the pipeline gave.
        effect: A fault that the cmdlet itself acts out.
    """

    cmdlet: "Cmdlet"
    arguments: dict[str, Any] = field(repr=False)
    session: Session
    streams: Streams
    received: list[Record]
    effect: Effect | None = None
    controller: str = field(init=False)
    node: Node = field(init=False)

    def __post_init__(self) -> None:
        self.controller = self._controller()
        self.node = self._aim()

    def get(self, name: str, default: Any = None) -> Any:
        """The argument `name`, or `default` if it was not given."""
        return self.arguments.get(name, default)

    def called(self) -> None:
        """Log the call."""
        self.session.world.log(self._entry(), changed=False)

    def changed(self) -> None:
        """Log that the call changed something."""
        self.session.world.log(self._entry(), changed=True)

    def should_process(self) -> bool:
        """Whether the change is to be made: everything but -WhatIf."""
        return not self.get("WhatIf", False)

    def write(self, target: object, **values: Any) -> None:
        """Set attributes of a directory entry through the domain controller, and log the change."""
        for attribute, value in values.items():
            self.session.world.directory.write(target, attribute, value, self.controller)
        self.changed()

    def seen(self, entry: Entry) -> Entry:
        """A directory entry as the domain controller knows it."""
        return self.session.world.directory.view(entry, self.controller)

    def entry(
        self, types: str, name: str, container: str, properties: Mapping[str, Any], *, identity: str | None = None
    ) -> Record:
        """A directory object as a cmdlet outputs it.

        Args:
            types: Its .NET type.
            name: Its name.
            container: What holds it.
            properties: Its own properties.
            identity: What cmdlets take for it, if not its name.
        """
        shown = identity or name
        common = {
            "Name": name,
            "Identity": shown,
            "Guid": guid_of(container, shown),
            "DistinguishedName": self.session.world.directory.distinguished_name(name, container),
            "OriginatingServer": self.controller,
        }
        return Record((types, _AD_OBJECT, "System.Object"), {**common, **properties}, shown)

    def unknown(self, name: str) -> CmdletError:
        """The error for an object that the directory does not hold."""
        return exchange_error(
            self.session.node.state.name,
            f"The operation couldn't be performed because object '{name}' couldn't be found on '{self.controller}'.",
            self.cmdlet.task,
        )

    def _controller(self) -> str:
        wanted = self.get("DomainController")
        try:
            return self.session.world.directory.controller(wanted)
        except LookupError:
            own = self.session.node.state.name
            raise exchange_error(
                own, f"The domain controller '{wanted}' was not found or cannot be contacted.", self.cmdlet.task
            ) from None

    def _aim(self) -> Node:
        """``-Server``, else the server that ``-Identity`` starts with, else the endpoint's own."""
        world, own = self.session.world, self.session.node
        if server := self.get("Server"):
            node = world.find(server)
            if node is None:
                raise self.unknown(server)
            return node
        identity = self.get("Identity")
        return (world.find(identity.partition("\\")[0]) or own) if identity else own

    def _entry(self) -> Call:
        shown = {
            name: f"({len(value)} bytes)" if isinstance(value, bytes) else value
            for name, value in self.arguments.items()
        }
        if "Password" in shown:
            shown["Password"] = "(hidden)"  # noqa: S105 - hides one
        return Call(self.node.state.name, self.cmdlet.name, shown)


@dataclass(frozen=True, slots=True)
class Cmdlet:
    """A command that the endpoint knows.

    Attributes:
        name: For example ``Get-ExchangeServer``.
        task: The .NET class, the tail of FullyQualifiedErrorId.
        run: What it does.
        parameters: Its own parameters and their kinds; common ones are added.
        positional: Names that arguments without a name fill, in order.
        mandatory: Names that must be given.
        mutates: Whether it may change something.
        refusal: Makes the error record of a refusal from server name, text and task.
    """

    name: str
    task: str
    run: Callable[[Invocation], Iterable[Record]]
    parameters: Mapping[str, Kind] = field(default_factory=dict)
    positional: tuple[str, ...] = ()
    mandatory: frozenset[str] = frozenset()
    mutates: bool = False
    refusal: Callable[[str, str, str], CmdletError] = exchange_error

    @property
    def all_parameters(self) -> dict[str, Kind]:
        """Its own parameters, then the common ones."""
        return {**self.parameters, **COMMON, **(CONFIRMABLE if self.mutates else {})}

    def bind(self, given: Iterable[tuple[str | None, Any]], hidden: frozenset[str] = frozenset()) -> dict[str, Any]:
        """Match names and convert values.

        Args:
            given: Names (None for positional ones) and values as the client sent them.
            hidden: Parameters that the account's roles do not show.

        Raises:
            CmdletError: A name is unknown, a value does not convert, or a mandatory one is missing.
        """
        known = {n.lower(): (n, kind) for n, kind in self.all_parameters.items() if n not in hidden}
        free = list(self.positional)
        bound: dict[str, Any] = {}
        for name, value in given:
            wanted = name.rstrip(":").lstrip("-") if name else (free.pop(0) if free else "")
            if wanted.lower() not in known:
                raise self._unbound(wanted, value)
            declared, kind = known[wanted.lower()]
            try:
                bound[declared] = kind(value)
            except (TypeError, ValueError) as error:
                raise self._unconverted(declared, error) from None
        missing = self.mandatory - bound.keys()
        if missing:
            raise self._binding(
                "Cannot process command because of one or more missing mandatory parameters: "
                f"{' '.join(sorted(missing))}.",
                "MissingMandatoryParameter",
            )
        return bound

    def _unbound(self, name: str, value: Any) -> CmdletError:
        if name:
            return self._binding(
                f"A parameter cannot be found that matches parameter name '{name}'.", "NamedParameterNotFound"
            )
        return self._binding(
            f"A positional parameter cannot be found that accepts argument '{value}'.",
            "PositionalParameterNotFound",
        )

    def _unconverted(self, name: str, error: Exception) -> CmdletError:
        detail = (
            f'Cannot convert the value to type "{error}".'
            if isinstance(error, TypeError)
            else (f"Unable to match the identifier name {error} to a valid enumerator name.")
        )
        return self._binding(
            f"Cannot process argument transformation on parameter '{name}'. {detail}",
            "ParameterArgumentTransformationError",
            category=ErrorCategory.InvalidData,
            reason="ParameterBindingArgumentTransformationException",
        )

    def _binding(
        self,
        message: str,
        identifier: str,
        *,
        category: ErrorCategory = ErrorCategory.InvalidArgument,
        reason: str = "ParameterBindingException",
    ) -> CmdletError:
        return CmdletError(
            message,
            reason=reason,
            namespace="System.Management.Automation",
            category=category,
            error_id=f"{identifier},{self.task}",
            terminating=True,
        )


def not_recognized(name: str) -> CmdletError:
    """The error for a command that does not exist or that the account's roles do not show."""
    return CmdletError(
        f"The term '{name}' is not recognized as the name of a cmdlet, function, script file, or operable program. "
        "Check the spelling of the name, or if a path was included, verify that the path is correct and try again.",
        reason="CommandNotFoundException",
        namespace="System.Management.Automation",
        category=ErrorCategory.ObjectNotFound,
        error_id="CommandNotFoundException",
        target=name,
        terminating=True,
    )


def scripts_not_allowed() -> CmdletError:
    """The error for script text in a NoLanguage runspace."""
    return CmdletError(
        "The syntax is not supported by this runspace. This can occur if the runspace is in no-language mode.",
        reason="ParseException",
        namespace="System.Management.Automation",
        category=ErrorCategory.ParserError,
        error_id="ScriptsNotAllowed",
        terminating=True,
    )
