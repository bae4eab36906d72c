"""Managed certificates: described, listed, changed, forgotten."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding

from certwright.domain import certificates, keys
from certwright.domain.certificates import CertificateFacts
from certwright.domain.errors import ConfigurationError
from certwright.domain.identifiers import parse_all
from certwright.domain.keys import KeySource, KeyType, PrivateKey
from certwright.domain.managed import (
    CertificateVersion,
    KeySettings,
    ManagedCertificate,
    TaskSettings,
    Validation,
    check_capabilities,
    new_id,
)
from certwright.domain.renewal import Decision
from certwright.domain.runs import DeploymentState, Stage
from certwright.engine import catalog
from certwright.engine.context import Engine
from certwright.engine.material import version_facts
from certwright.engine.schedule import decide, reschedule
from certwright.sdk.params import read_params
from certwright.store import UnitOfWork


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person asks for; `own_csr` is a file's contents."""

    names: tuple[str, ...]
    issuer: str
    validation: Validation
    title: str | None = None
    key_type: KeyType | None = None
    own_key: PrivateKey | None = field(default=None, repr=False)
    own_csr: bytes | None = None
    reuse_key: bool = False
    profile: str | None = None
    preferred_chain: str | None = None
    pfx_password_credential: str | None = None


def create(engine: Engine, wish: Wish) -> ManagedCertificate:
    """Check the wish as far as it can be checked now, and store it; it is due at once.

    Raises:
        ConfigurationError: with all that is wrong with it.
    """
    identifiers = parse_all(wish.names)
    managed_id = new_id()
    key = _key_settings(wish, f"key:{managed_id}")
    managed = ManagedCertificate(
        id=managed_id,
        title=wish.title or identifiers[0].value,
        identifiers=identifiers,
        issuer=wish.issuer,
        key=key,
        validations=(wish.validation,),
        profile=wish.profile,
        preferred_chain=wish.preferred_chain,
        pfx_password_credential=wish.pfx_password_credential,
    )
    read_params(catalog.plugin("solvers", wish.validation.solver).params, wish.validation.params, "the validation")
    with engine.store.write() as unit:
        check_capabilities(managed, unit.issuers.get(managed.issuer).capabilities)
        if wish.pfx_password_credential:
            unit.credentials.get(wish.pfx_password_credential)
        if wish.own_key and key.own_key:
            unit.secrets.put(key.own_key, keys.private_key_pem(wish.own_key))
        unit.managed.add(managed)
        reschedule(engine, unit, managed)
    return managed


def _key_settings(wish: Wish, secret: str) -> KeySettings:
    own = [given for given in (wish.own_key, wish.own_csr) if given is not None]
    if len(own) > 1 or (own and (wish.reuse_key or wish.key_type)):
        raise ConfigurationError(
            "--key, --key-file, --csr and --reuse-key exclude each other.",
            hint="A key file or a signing request brings its own kind of key; --reuse-key goes with --key alone.",
        )
    if wish.own_key:
        return KeySettings(source=KeySource.OWN_KEY, type=keys.key_type(wish.own_key), own_key=secret)
    if wish.own_csr is not None:
        request = certificates.load_request(wish.own_csr)
        kind = KeyType(certificates.public_key_type(request))
        return KeySettings(source=KeySource.OWN_CSR, type=kind, own_csr=request.public_bytes(Encoding.PEM).decode())
    source = KeySource.REUSED if wish.reuse_key else KeySource.GENERATED
    return KeySettings(source=source, type=wish.key_type or KeyType.RSA_2048)


def remove(engine: Engine, reference: str) -> ManagedCertificate:
    """Forget a managed certificate, its versions and its keys; its runs stay."""
    with engine.store.read() as unit:
        managed = unit.managed.get(reference)
    with engine.certificate_lease(managed) as lease, engine.store.write(lease) as unit:
        unit.managed.remove(managed.id)
        if managed.key.own_key:
            unit.secrets.remove(managed.key.own_key)
    return managed


def add_task(engine: Engine, reference: str, settings: TaskSettings) -> TaskSettings:
    """Add a task behind the others.

    Raises:
        ConfigurationError: if a parameter is wrong, a credential is missing, or the title is taken.
    """
    found = catalog.plugin("tasks", settings.kind)
    params = read_params(found.params, settings.params, f"the task {settings.title!r}")
    stored = settings.model_copy(update={"params": params.model_dump(mode="json", exclude_unset=True)})

    def add(unit: UnitOfWork, managed: ManagedCertificate) -> tuple[TaskSettings, ...]:
        if any(t.title == settings.title for t in managed.tasks):
            raise ConfigurationError(
                f"{managed.title!r} has a task {settings.title!r} already.", hint="Give another --title."
            )
        for name in _credentials(found.params, stored.params):
            unit.credentials.get(name)
        return (*managed.tasks, stored)

    _change_tasks(engine, reference, add)
    return stored


def remove_task(engine: Engine, reference: str, task: str) -> TaskSettings:
    """Remove a task; what it deployed stays in use."""
    with engine.store.read() as unit:
        gone = unit.managed.get(reference).task(task)
    _change_tasks(engine, reference, lambda _, managed: tuple(t for t in managed.tasks if t.id != gone.id))
    return gone


def _change_tasks(
    engine: Engine, reference: str, change: Callable[[UnitOfWork, ManagedCertificate], tuple[TaskSettings, ...]]
) -> None:
    with engine.store.read() as unit:
        found = unit.managed.get(reference)
    with engine.certificate_lease(found) as lease, engine.store.write(lease) as unit:
        managed = unit.managed.get(found.id)
        changed = managed.model_copy(update={"tasks": change(unit, managed)})
        unit.managed.update(changed)
        reschedule(engine, unit, changed)


def _credentials(model: type[Any], params: dict[str, Any]) -> list[str]:
    """The names of credentials among the parameters."""
    extras = {name: field.json_schema_extra for name, field in model.model_fields.items()}
    return [
        str(params[name])
        for name, extra in extras.items()
        if isinstance(extra, dict) and "credential" in extra and params.get(name)
    ]


@dataclass(frozen=True, slots=True)
class Details:
    """All that there is to know about one managed certificate."""

    managed: ManagedCertificate
    decision: Decision
    facts: CertificateFacts | None
    versions: tuple[CertificateVersion, ...]
    states: tuple[DeploymentState, ...]

    @property
    def deployed(self) -> str:
        """In two or three words: whether the current version is in use everywhere."""
        enabled = [t for t in self.managed.tasks if t.enabled]
        if not enabled:
            return "no task"
        current = self.versions[0].id if self.versions else None
        done = [s for s in self.states if s.stage is Stage.DEPLOYED and s.version_id == current]
        stuck = [s.stage.value for s in self.states if s.stage in (Stage.WAITING, Stage.UNDOING)]
        return stuck[0] if stuck else "yes" if len(done) == len(enabled) else f"{len(done)} of {len(enabled)}"

    def data(self) -> dict[str, Any]:
        """As JSON."""
        return {
            **self.managed.model_dump(mode="json"),
            "due": self.decision.due,
            "reason": self.decision.reason,
            "message": self.decision.message,
            "next_check": self.decision.next_check.isoformat(),
            "not_after": self.facts.not_after.isoformat() if self.facts else None,
            "thumbprint": self.facts.thumbprint if self.facts else None,
            "sha256": self.facts.sha256 if self.facts else None,
            "deployed": self.deployed,
            "versions": [v.model_dump(mode="json") for v in self.versions],
            "deployments": [s.model_dump(mode="json") for s in self.states],
        }

    def lines(self) -> list[tuple[str, str]]:
        """As labels and values for a person."""
        facts, managed = self.facts, self.managed
        shown = [
            ("Id", managed.id),
            ("Title", managed.title),
            ("Names", ", ".join(i.unicode for i in managed.identifiers)),
            ("Issuer", managed.issuer),
            ("Key", f"{managed.key.type}, {managed.key.source}"),
            ("Validation", f"{managed.validations[0].challenge} by {managed.validations[0].solver}"),
            ("Profile", managed.profile or "the authority's default"),
            ("Next", self.decision.message),
            ("Deployed", self.deployed),
        ]
        if facts:
            shown += [
                ("Issued by", facts.issuer),
                ("Valid", f"{facts.not_before:%Y-%m-%d %H:%M} to {facts.not_after:%Y-%m-%d %H:%M} UTC"),
                ("Thumbprint", facts.thumbprint),
                ("SHA-256", facts.sha256),
            ]
        return shown


def details(engine: Engine, reference: str) -> Details:
    """All about one managed certificate."""
    with engine.store.read() as unit:
        return _details(engine, unit, unit.managed.get(reference))


def summaries(engine: Engine) -> list[Details]:
    """All about all of them."""
    with engine.store.read() as unit:
        return [_details(engine, unit, managed) for managed in unit.managed.list()]


def _details(engine: Engine, unit: UnitOfWork, managed: ManagedCertificate) -> Details:
    current = unit.managed.current(managed.id)
    states = [s for t in managed.tasks if (s := unit.deployments.get(t.id))]
    return Details(
        managed=managed,
        decision=decide(engine, unit, managed),
        facts=version_facts(current) if current else None,
        versions=tuple(unit.versions.list(managed.id)),
        states=tuple(states),
    )
