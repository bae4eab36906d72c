"""How a plugin author writes an issuer, a solver, a task and a notifier: read by mypy, never run.

What must type-check is here without a comment; what must not has an ignore, and mypy complains about an ignore that is
not needed.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, assert_type

from cryptography import x509
from pydantic import BaseModel

from certwright.domain.advice import Window
from certwright.domain.deployment import Inspection, Plan, ServedRow
from certwright.domain.errors import CertwrightError
from certwright.domain.identifiers import Identifier
from certwright.domain.keys import PrivateKey
from certwright.domain.managed import IssuerCapabilities
from certwright.domain.messages import Message
from certwright.domain.triggers import Occasion
from certwright.sdk.context import Credential, Credentials, Material, Memory, SolverContext, TaskContext
from certwright.sdk.dns import DnsContext, DnsProvider, TxtRecord
from certwright.sdk.issuer import IssueRequest, IssuerPlugin, Registration, Solve
from certwright.sdk.journal import Journal, SilentJournal, Step
from certwright.sdk.notifier import Notifier
from certwright.sdk.params import Params, credential_field, read_params
from certwright.sdk.solver import Challenge, Solver
from certwright.sdk.task import Action, Task


class CopyParams(Params):
    folder: str
    credential: str | None = credential_field("windows", "Who may write there.")


class Copy(Task[CopyParams]):
    Params = CopyParams

    @property
    def organisations(self) -> tuple[str, ...]:
        return (self.params.folder,)

    def baseline(self) -> tuple[ServedRow, ...]:
        return ()

    def plan(self) -> Plan:
        assert_type(self.params, CopyParams)
        assert_type(self.context, TaskContext)
        assert_type(self.context.material.key, PrivateKey | None)
        assert_type(self.context.credentials("x"), Credential)
        assert_type(self.context.now(), datetime)
        return Plan()

    def apply(self, plan: Plan) -> None:
        self.context.guard()
        with self.context.journal.step("Copy") as step:
            assert_type(step, Step)

    def verify(self, baseline: Sequence[ServedRow]) -> tuple[ServedRow, ...]:
        return tuple(baseline)

    def inspect(self) -> Inspection:
        return Inspection()

    def undo(self) -> tuple[str, ...]:
        assert_type(self.context.memory.get("before"), Any)
        return ()

    def verify_undone(self, baseline: Sequence[ServedRow]) -> tuple[ServedRow, ...]:
        return tuple(baseline)


class Restart(Action[CopyParams]):
    Params = CopyParams

    def plan(self) -> Plan:
        assert_type(self.context.version, Material | None)
        assert_type(self.context.occasion, Occasion)
        return Plan()

    def apply(self, plan: Plan) -> None:
        self.context.guard()


class Shout(Notifier[CopyParams]):
    Params = CopyParams

    def send(self, message: Message) -> str:
        assert_type(self.context.recipients, tuple[str, ...])
        return f"{self.params.folder} heard {message.subject}."


class FileSolver(Solver[CopyParams]):
    Params = CopyParams
    types = frozenset({"http-01"})

    def present(self, challenges: Sequence[Challenge]) -> None:
        for challenge in challenges:
            assert_type(challenge.identifier, Identifier)
            self.context.answers.put(challenge.token, challenge.key_authorization)

    def check(self, challenges: Sequence[Challenge]) -> None: ...

    def clean_up(self, challenges: Sequence[Challenge]) -> None: ...


class OwnDns(DnsProvider[CopyParams]):
    Params = CopyParams

    def check(self) -> str:
        assert_type(self.context, DnsContext)
        assert_type(self.context.memory.get("account"), Any)
        return self.params.folder

    def add(self, zone: str, records: Sequence[TxtRecord]) -> None:
        assert_type([record.relative_to(zone) for record in records], list[str])

    def remove(self, zone: str, records: Sequence[TxtRecord]) -> None: ...


class OwnAuthority(IssuerPlugin[CopyParams]):
    Params = CopyParams

    @classmethod
    def new_account_key(cls) -> bytes:
        return b""

    def register(self, eab: tuple[str, bytes] | None) -> Registration:
        return Registration({"url": self.params.folder}, IssuerCapabilities(internal_names=True))

    def capabilities(self) -> IssuerCapabilities:
        return IssuerCapabilities(internal_names=True)

    def find_account(self) -> None: ...

    def obtain(
        self, request: IssueRequest, solve: Solve, on_order: Callable[[str], None]
    ) -> tuple[x509.Certificate, ...]:
        on_order("https://ca.contoso.test/order/1")
        with solve([]) as answered:
            assert_type(list(answered), list[Challenge])
        return ()

    def revoke(self, certificate: x509.Certificate, reason: int) -> None: ...

    def renewal_window(self, certificate: x509.Certificate) -> Window | None:
        return None


class Unfinished(Solver[CopyParams]):
    """Lacks two of its methods."""

    Params = CopyParams
    types = frozenset({"dns-01"})

    def present(self, challenges: Sequence[Challenge]) -> None: ...


class InMemory:
    """Fits Memory by its shape alone."""

    def put(self, key: str, value: Any) -> None: ...

    def get(self, key: str, default: Any = None) -> Any: ...


def uses(context: SolverContext, material: Material, journal: Journal, credentials: Credentials) -> None:
    assert_type(read_params(CopyParams, {"folder": "x"}, "the task"), CopyParams)
    FileSolver(CopyParams(folder="x"), context).present([])
    assert_type(context.dns("my-dns"), DnsProvider[Any])
    Unfinished(CopyParams(folder="x"), context)  # type: ignore[abstract]
    memory: Memory = InMemory()
    silent: Journal = SilentJournal()
    material.facts.subject = "other"  # type: ignore[misc]
    read_params(dict, {}, "the task")  # type: ignore[type-var]
    CertwrightError("x", "hint")  # type: ignore[call-arg]
    assert_type(memory.get("x"), Any)
    assert_type(credentials("x").password, str)
    del silent, journal


def base_of_all_parameters(params: type[BaseModel]) -> None:
    assert_type(CopyParams(folder="x").credential, str | None)


@contextmanager
def answering(challenges: Sequence[Challenge]) -> Iterator[Sequence[Challenge]]:
    yield challenges


solve: Solve = answering
