"""What the engine hands to plugins."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from cryptography import x509

from certwright.domain.certificates import CertificateFacts
from certwright.domain.keys import PrivateKey
from certwright.sdk.journal import Journal


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
    """Challenge answers in the store, so that whichever process owns the port can serve them."""

    def put(self, token: str, key_authorization: str) -> None:
        """Make an answer servable by every process."""
        ...

    def get(self, token: str) -> str | None:
        """The answer to `token`, whoever put it."""
        ...

    def remove(self, token: str) -> None:
        """Forget an answer; that it is not there is fine."""
        ...


class Memory(Protocol):
    """What a task must still know after a crash: small JSON values, stored at once, under the run's leases."""

    def get(self, key: str, default: Any = None) -> Any:
        """What was put last, in this run or an earlier one of the same task."""
        ...

    def put(self, key: str, value: Any) -> None:
        """Store `value`; it is on disk when this returns.

        Raises:
            LeaseLost: if another run has taken over.
        """
        ...


@dataclass(frozen=True, slots=True)
class SolverContext:
    """What a solver works with."""

    answers: Answers
    journal: Journal


@dataclass(frozen=True, slots=True)
class Material:
    """A certificate version at hand: leaf first, then intermediates. `key` is None when it is not with us."""

    facts: CertificateFacts
    chain: tuple[x509.Certificate, ...]
    key: PrivateKey | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class TaskContext:
    """What a deployment task works with.

    `predecessors` are the earlier versions of the same managed certificate, newest first: the target may hold them.
    `guard` raises LeaseLost when another run has taken over; a task calls it before every change it makes.
    """

    certificate_title: str
    material: Material
    predecessors: tuple[Material, ...]
    credentials: Credentials
    memory: Memory
    journal: Journal
    now: Callable[[], datetime]
    guard: Callable[[], None]
