"""The Exchange task against the simulated organisation: certificates, a task context in memory, and how to run it."""

import datetime as dt
import itertools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from certwright.domain.certificates import CertificateFacts
from certwright.domain.deployment import Plan, ServedRow, failures
from certwright.domain.errors import CertwrightError, DeploymentError, NeedsPerson
from certwright.domain.formats import PfxCipher, pkcs12_bytes
from certwright.domain.keys import KeyType, PrivateKey, generate
from certwright.exchange.settings import Settings
from certwright.exchange.verification.verify import Patience
from certwright.exchange_simulator import ExchangeOrganisation, ExchangeServer, Role, ServerSpec
from certwright.remoting.psrp import Limits
from certwright.sdk.context import Credential, Material, TaskContext
from certwright.sdk.params import read_params
from certwright.tasks.exchange import Exchange

NAME = "mail.contoso.test"
NAMES = (NAME, "autodiscover.contoso.test")
USERNAME = "admin@contoso.test"
PASSWORD = "correct horse battery staple"
WAYS = {443: "IIS", 25: "SMTP", 587: "SMTP", 143: "IMAP", 993: "IMAPS", 110: "POP", 995: "POPS"}
_serial = itertools.count(1)
_keys = itertools.cycle(generate(KeyType.RSA_2048) for _ in range(16))
"""Of RSA, for all tests of a process, since making one takes long: more than one test needs at a time."""


class Authority:
    """A small CA, a root or one `beneath` another; each certificate it issues is newer than the one before."""

    def __init__(self, name: str | x509.Name = "Contoso Test CA", beneath: "Authority | None" = None) -> None:
        self.key = next(_keys)
        named = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]) if isinstance(name, str) else name
        self.name = named
        signer = beneath or self
        self.certificate = signer._sign(named, self.key, [], days=3650, ca=True)
        self.chain: tuple[x509.Certificate, ...] = (self.certificate, *(beneath.chain if beneath else ()))

    @property
    def pem(self) -> bytes:
        from certwright.domain.certificates import pem

        return pem([self.certificate])

    def issue(
        self,
        names: Sequence[str] = NAMES,
        *,
        key: KeyType | PrivateKey = KeyType.RSA_2048,
        common_name: str | None = "",
        days: float = 90,
        age: float = 1,
        with_key: bool = True,
        uses: Sequence[x509.ObjectIdentifier] = (),
    ) -> Material:
        """A certificate for `names`, valid from `age` to `days` from now; its common name is the first name.

        `uses` is its extended key usage; it has none if that is empty.
        """
        own = next(_keys) if key is KeyType.RSA_2048 else generate(key) if isinstance(key, KeyType) else key
        common = names[0] if common_name == "" else common_name
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)] if common else [])
        leaf = self._sign(subject, own, names, days=days, age=age, uses=uses)
        return Material(CertificateFacts.of(leaf), (leaf, *self.chain), own if with_key else None)

    def _sign(
        self,
        subject: x509.Name,
        key: PrivateKey,
        names: Sequence[str],
        *,
        days: float,
        age: float = 1,
        ca: bool = False,
        uses: Sequence[x509.ObjectIdentifier] = (),
    ) -> x509.Certificate:
        number = next(_serial)
        now = dt.datetime.now(dt.UTC).replace(microsecond=0)
        start = now - dt.timedelta(days=age) + dt.timedelta(seconds=number)
        builder = x509.CertificateBuilder(
            subject_name=subject,
            issuer_name=self.name,
            public_key=key.public_key(),
            serial_number=number,
            not_valid_before=start,
            not_valid_after=now + dt.timedelta(days=days),
        ).add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName([_general(n) for n in names]), critical=False)
        if uses:
            builder = builder.add_extension(x509.ExtendedKeyUsage(uses), critical=False)
        return builder.sign(self.key, hashes.SHA256())


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def pfx(material: Material, password: str = "pfx") -> bytes:
    """`material` as a file that the simulator takes."""
    assert material.key is not None
    return pkcs12_bytes(material.key, material.chain, password, PfxCipher.LEGACY, "earlier")


class MemoryInMemory:
    """What a task remembers; survives the task, as the store does."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}

    def get(self, key: str, default: Any = None) -> Any:
        return self.values.get(key, default)

    def put(self, key: str, value: Any) -> None:
        self.values[key] = value


@dataclass
class Notes:
    """A journal that keeps every line."""

    lines: list[str] = field(default_factory=list)

    @contextmanager
    def step(self, title: str) -> Iterator["Notes"]:
        self.lines.append(title)
        yield self

    def note(self, message: str) -> None:
        self.lines.append(message)

    def skip(self, reason: str) -> None:
        self.lines.append(f"skipped: {reason}")

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


@dataclass
class World:
    """A simulated organisation, and what the task is given to work with."""

    organisation: ExchangeOrganisation
    authority: Authority
    ca_file: Path
    memory: MemoryInMemory = field(default_factory=MemoryInMemory)
    journal: Notes = field(default_factory=Notes)
    guards: int = 0

    @property
    def first(self) -> ExchangeServer:
        return next(iter(self.organisation.servers.values()))

    def params(self, **changed: Any) -> dict[str, Any]:
        """Parameters that reach every server."""
        servers = {s.spec.fqdn: s for s in self.organisation.servers.values() if s.spec.role is not Role.EDGE}
        values = {
            "servers": list(servers),
            "endpoint": {fqdn: s.powershell_url for fqdn, s in servers.items()},
            "auth": "basic",
            "credential": "exchange",
            "ca_file": str(self.ca_file),
            "services": "IIS,SMTP,POP,IMAP",
            "winrm": {fqdn: s.winrm_url for fqdn, s in servers.items()},
            "verify": [
                f"{fqdn}/{way}:{s.ports[number][0]}:{s.ports[number][1]}"
                for fqdn, s in servers.items()
                for number, way in WAYS.items()
            ],
            "friendly_name": None,
        }
        return {name: value for name, value in {**values, **changed}.items() if value is not None}

    def task(
        self, material: Material, predecessors: Sequence[Material] = (), *, password: str = PASSWORD, **params: Any
    ) -> Exchange:
        """The task with this version, hurried."""

        def guard() -> None:
            self.guards += 1

        context = TaskContext(
            certificate_title="Contoso mail",
            version=material,
            predecessors=tuple(predecessors),
            credentials=lambda name: Credential(name, USERNAME, password),
            memory=self.memory,
            journal=self.journal,
            now=lambda: dt.datetime.now(dt.UTC),
            guard=guard,
            attended=True,
        )
        task = Exchange(read_params(Settings, self.params(**params), "the task"), context)
        task.limits = Limits(connect=5, reply=8, poll=1, call=6)
        task.patience = Patience(total=3, first=0.1, longest=0.5)
        task.pauses = (0.05, 0.1)
        return task

    def served(self, server: ExchangeServer | None = None) -> dict[int, str | None]:
        """Port -> the SHA-256 prefix that the simulator's state selects."""
        chosen = server or self.first
        found = {number: chosen.state.served(number) for number in WAYS}
        return {n: CertificateFacts.of(c.certificate).sha256[:16] if c else None for n, c in found.items()}

    @property
    def mutations(self) -> list[str]:
        return [call.cmdlet for call in self.organisation.mutations]


def deploy(task: Exchange) -> tuple[Plan, tuple[ServedRow, ...]]:
    """What the engine does when all goes well."""
    before = task.baseline()
    plan = task.plan()
    assert not plan.refusals, plan.refusals
    if plan.changes:
        task.apply(plan)
    return plan, task.verify(before)


@contextmanager
def world(folder: Path, *specs: ServerSpec, **options: Any) -> Iterator[World]:
    """An organisation of these servers (default: one), whose endpoints a CA of ours signs."""
    authority = Authority()
    endpoint = authority.issue(("127.0.0.1", "localhost"))
    ca_file = folder / "ca.pem"
    ca_file.write_bytes(authority.pem)
    from certwright.domain.certificates import pem
    from certwright.domain.keys import private_key_pem

    assert isinstance(endpoint.key, rsa.RSAPrivateKey)
    organisation = ExchangeOrganisation(
        specs or (spec(),),
        tls_chain=pem(endpoint.chain[:1]),
        tls_key=private_key_pem(endpoint.key),
        username=USERNAME,
        password=PASSWORD,
        **options,
    )
    with organisation:
        yield World(organisation, authority, ca_file)


def spec(name: str = "MAIL01", **options: Any) -> ServerSpec:
    """A server whose connectors announce the public name, as one in production does."""
    return ServerSpec(name=name, fqdn=f"{name.lower()}.contoso.test", smtp_fqdn=NAME, **options)


def verdicts(rows: Sequence[ServedRow]) -> Mapping[str, set[str]]:
    """Service -> its verdicts."""
    found: dict[str, set[str]] = {}
    for row in rows:
        found.setdefault(row.service, set()).add(row.verdict.value)
    return found


@dataclass
class Ended:
    """How a run ended: `stage` as the engine names it."""

    stage: str
    rows: Sequence[ServedRow]
    error: CertwrightError | None = None

    @property
    def told(self) -> str:
        return "\n".join(self.error.explain()) if self.error else ""


def run(task: Exchange, baseline: Sequence[ServedRow] | None = None) -> Ended:
    """What the engine does, whatever happens; `baseline` is that of the run that this one resumes."""
    before = task.baseline() if baseline is None else baseline
    applying = False
    try:
        plan = task.plan()
        if plan.refusals:
            return Ended("failed", (), DeploymentError("refused", causes=plan.refusals))
        if plan.questions:
            return Ended("waiting", (), NeedsPerson("asked", causes=plan.questions))
        applying = bool(plan.changes)
        if applying:
            task.apply(plan)
        rows = task.verify(before)
        if wrong := failures(rows):
            raise DeploymentError("not served", causes=[f"{row.service}: {row.detail}" for row in wrong])
    except NeedsPerson as waiting:
        return Ended("waiting", (), waiting)
    except CertwrightError as error:
        return take_back(task, before, error) if applying else Ended("failed", (), error)
    return Ended("deployed", rows)


def take_back(task: Exchange, before: Sequence[ServedRow], cause: CertwrightError | None = None) -> Ended:
    """The engine's way back."""
    try:
        left = task.undo()
        rows = task.verify_undone(before)
    except NeedsPerson as stuck:
        return Ended("undoing", task.verify_undone(before), stuck)
    told = DeploymentError("taken back", causes=[*left, *([cause] if cause else [])])
    return Ended("undoing" if failures(rows) else "rolled-back", rows, told)
