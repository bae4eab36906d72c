"""What the engine hands to plugins."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from cryptography import x509

from certwright.domain.certificates import CertificateFacts
from certwright.domain.deployment import ServedRow
from certwright.domain.errors import ConfigurationError
from certwright.domain.keys import PrivateKey
from certwright.domain.triggers import BY_HAND, Occasion
from certwright.sdk.journal import Journal
from certwright.sdk.places import NOWHERE, Places

if TYPE_CHECKING:
    from certwright.sdk.dns import DnsProvider, TxtRecord
    from certwright.sdk.solver import Challenge


@dataclass(frozen=True, slots=True)
class Credential:
    """A stored user name and password. It is shown nowhere: not in logs, not in errors, not by `repr`."""

    name: str
    username: str
    password: str = field(repr=False)


class Credentials(Protocol):
    """The stored credentials, by name."""

    def __call__(self, name: str) -> Credential:
        """The credential.

        Raises:
            NotFound: if there is none of that name.
        """
        ...


class Answers(Protocol):
    """Challenge answers in the store, so that whichever process owns the port can serve them.

    They lie there by token, or by a key that names what is asked for where the peer does not tell a token.
    """

    def put(self, token: str, key_authorization: str) -> None:
        """Make an answer servable by every process, in place of an earlier one."""
        ...

    def claim(self, token: str, key_authorization: str) -> bool:
        """Make an answer servable unless another one is there; whether it is."""
        ...

    def get(self, token: str) -> str | None:
        """The answer to `token`, whoever put it."""
        ...

    def remove(self, token: str) -> None:
        """Forget an answer; that it is not there is fine."""
        ...


class Memory(Protocol):
    """What must still be known after a crash: small JSON values, stored at once; those of a run under its leases."""

    def get(self, key: str, default: Any = None) -> Any:
        """What was put last, in this run or an earlier one of the same task."""
        ...

    def put(self, key: str, value: Any) -> None:
        """Store `value`; it is on disk when this returns.

        Raises:
            LeaseLost: if another run has taken over.
        """
        ...


class Records(Protocol):
    """TXT records by the DNS provider of a stored credential; what a run leaves, a later one of the engine removes."""

    def add(self, credential: str, zones: "Mapping[str, Sequence[TxtRecord]]") -> None:
        """Write the records of all `zones`, by the zone's name, at the same time.

        Raises:
            CertwrightError: when all have ended; with one cause for each zone that failed, if there are several.
        """
        ...

    def remove(self, credential: str, zones: "Mapping[str, Sequence[TxtRecord]]") -> None:
        """Remove the records of all `zones` at the same time; what the provider cannot remove is noted.

        Raises:
            LeaseLost: if another run has taken over; nothing is removed.
        """
        ...


class Outstanding(Protocol):
    """Answers that stand outside of the store, such as files: what is not forgotten, a later run has cleaned up."""

    def remember(self, challenges: "Sequence[Challenge]") -> None:
        """Say so before they are answered: `Solver.clean_up` is called for them, if need be by a later run."""
        ...

    def forget(self, challenges: "Sequence[Challenge]") -> None:
        """Say so once their answers are gone.

        Raises:
            LeaseLost: if another run has taken over.
        """
        ...


@dataclass(frozen=True, slots=True)
class SolverContext:
    """What a solver works with.

    `dns` makes the DNS provider of a stored credential, and `records` writes by it. `outstanding` keeps in mind what a
    solver leaves elsewhere. `resolvers` are asked as outsiders would ask; none means those of the system. `guard`
    raises LeaseLost when another run has taken over; a solver calls it while it waits. `again` is the command that goes
    on with the run. Files are written in `places` alone.
    """

    answers: Answers
    journal: Journal
    dns: "Callable[[str], DnsProvider[Any]]"
    records: Records
    outstanding: Outstanding
    resolvers: tuple[str, ...] = ()
    guard: Callable[[], None] = lambda: None
    again: str = ""
    places: Places = NOWHERE


@dataclass(frozen=True, slots=True)
class Material:
    """A certificate version at hand: leaf first, then intermediates. `key` is None when it is not with us."""

    facts: CertificateFacts
    chain: tuple[x509.Certificate, ...]
    key: PrivateKey | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class TaskContext:
    """What a task works with.

    `version` is the current version, None before the first one; `predecessors` are the earlier versions of the same
    managed certificate, newest first: the target may hold them. `guard` raises LeaseLost when another run has taken
    over; a task calls it before every change it makes. `attended` tells that a person started this run and looks on.
    `records` gives what is known of a subject, such as ``organisation:contoso.com``, by kind; None if nothing is.
    `occasion` is what the task runs for. Programs are run, and files written, in `places` alone. `seen` is told of each
    port as it is looked at, from any thread. `revoked` gives the thumbprints of what must not be used again, whether
    the target knows or not.
    """

    certificate_title: str
    version: Material | None
    predecessors: tuple[Material, ...]
    credentials: Credentials
    memory: Memory
    journal: Journal
    now: Callable[[], datetime]
    guard: Callable[[], None]
    attended: bool = False
    records: Callable[[str, str], Any] = lambda _subject, _kind: None
    occasion: Occasion = BY_HAND
    places: Places = NOWHERE
    seen: Callable[[ServedRow], None] = lambda _: None
    revoked: Callable[[], Collection[str]] = frozenset

    @property
    def material(self) -> Material:
        """The version to put to use.

        Raises:
            ConfigurationError: before the first one; the engine gives only actions a turn then.
        """
        if self.version is None:
            raise ConfigurationError(f"{self.certificate_title!r} has no certificate yet.")
        return self.version
