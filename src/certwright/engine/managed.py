"""Managed certificates: described, listed, changed, forgotten."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding

from certwright.domain import certificates, keys
from certwright.domain.capabilities import check_choice, check_issuer
from certwright.domain.certificates import CertificateFacts
from certwright.domain.errors import ConfigurationError
from certwright.domain.health import Condition
from certwright.domain.identifiers import parse_all
from certwright.domain.keys import KeySource, KeyType, PrivateKey
from certwright.domain.managed import (
    CertificateVersion,
    Issuer,
    KeySettings,
    ManagedCertificate,
    new_id,
)
from certwright.domain.renewal import Decision
from certwright.domain.runs import DeploymentState, Stage
from certwright.domain.validation import Validation
from certwright.engine.context import ActiveRun, Engine
from certwright.engine.issuers import look_again
from certwright.engine.material import version_facts
from certwright.engine.schedule import decide, health, reschedule, states
from certwright.engine.validations import check_credentials, readable
from certwright.engine.windows import Held, held
from certwright.store import UnitOfWork


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person asks for; `own_csr` is a file's contents."""

    names: tuple[str, ...]
    issuer: str
    validation: Validation
    fallback_issuers: tuple[str, ...] = ()
    title: str | None = None
    key_type: KeyType | None = None
    own_key: PrivateKey | None = field(default=None, repr=False)
    own_csr: bytes | None = None
    reuse_key: bool = False
    profile: str | None = None
    preferred_chain: str | None = None
    pfx_password_credential: str | None = None
    window: str | None = None


def create(engine: Engine, wish: Wish) -> ManagedCertificate:
    """Check the wish as far as it can be checked now, and store it; it is due at once.

    Raises:
        ConfigurationError: with all that is wrong with it.
        NotFound: if an issuer, a credential or a maintenance window that it names is not in the store.
    """
    managed = _described(wish)
    _know_profile(engine, managed)
    with engine.store.write() as unit:
        check_credentials(unit, managed.validations)
        for name in managed.issuers:
            check_choice(managed, unit.issuers.get(name))
        if wish.pfx_password_credential:
            unit.credentials.get(wish.pfx_password_credential)
        if wish.own_key and managed.key.own_key:
            unit.secrets.put(managed.key.own_key, keys.private_key_pem(wish.own_key))
        unit.managed.add(managed)
        reschedule(engine, unit, managed)
    return managed


def check_wish(engine: Engine, wish: Wish, issuer: Issuer) -> None:
    """Refuse what `create` would refuse with `issuer`, which need not be registered yet; nothing is stored.

    Raises:
        ConfigurationError: with all that is wrong with it.
        NotFound: if a credential that it names is not in the store.
    """
    managed = _described(wish)
    with engine.store.read() as unit:
        check_credentials(unit, managed.validations)
    check_issuer(managed, issuer)


def _described(wish: Wish) -> ManagedCertificate:
    identifiers = parse_all(wish.names)
    managed_id = new_id()
    return ManagedCertificate(
        id=managed_id,
        title=wish.title or identifiers[0].value,
        identifiers=identifiers,
        issuer=wish.issuer,
        fallback_issuers=wish.fallback_issuers,
        key=_key_settings(wish, f"key:{managed_id}"),
        validations=(readable(wish.validation),),
        profile=wish.profile,
        preferred_chain=wish.preferred_chain,
        pfx_password_credential=wish.pfx_password_credential,
        window=wish.window,
    )


def _know_profile(engine: Engine, managed: ManagedCertificate) -> None:
    """Ask the authority for its profiles if the wanted one was not among them when it was last asked."""
    with engine.store.read() as unit:
        issuer = unit.issuers.get(managed.issuer)
    if managed.profile and managed.profile not in issuer.capabilities.profiles:
        look_again(engine, issuer.name)


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
    """Forget a managed certificate, its versions and its keys; its runs stay, records that they left are removed."""
    from certwright.engine.left_over import clear_left_over  # noqa: PLC0415 - loads the DNS library

    with engine.store.read() as unit:
        managed = unit.managed.get(reference)
    with engine.certificate_lease(managed) as lease:
        clear_left_over(engine, ActiveRun.unrecorded(engine, lease), last=True)
        with engine.store.write(lease) as unit:
            unit.managed.remove(managed.id)
            if managed.key.own_key:
                unit.secrets.remove(managed.key.own_key)
    return managed


def set_issuers(engine: Engine, reference: str, names: Sequence[str]) -> ManagedCertificate:
    """Have a managed certificate issued by the first of `names`, and by the others while that one fails.

    Raises:
        NotFound: if one of them is not in the store.
        ConfigurationError: if one of them cannot issue it.
    """
    with engine.changing(reference) as (unit, managed):
        changed = managed.model_copy(update={"issuer": names[0], "fallback_issuers": tuple(names[1:])})
        for name in changed.issuers:
            check_choice(changed, unit.issuers.get(name))
        unit.managed.update(changed)
        reschedule(engine, unit, changed)
    return changed


@dataclass(frozen=True, slots=True)
class Details:
    """All that there is to know about one managed certificate. `revision` counts its changes."""

    managed: ManagedCertificate
    revision: int
    decision: Decision
    health: Condition
    facts: CertificateFacts | None
    versions: tuple[CertificateVersion, ...]
    states: tuple[DeploymentState, ...]
    held: tuple[Held, ...]

    @property
    def deployed(self) -> str:
        """In two or three words: whether the current version is in use everywhere."""
        wanted = {t.id for t in self.managed.deploying}
        if not wanted:
            return "no task"
        current = self.versions[0].id if self.versions else None
        states = [s for s in self.states if s.task_id in wanted]
        done = [s for s in states if s.stage.is_success and s.version_id == current]
        stuck = [s.stage.value for s in states if s.stage in (Stage.WAITING, Stage.UNDOING)]
        if stuck or len(done) == len(wanted):
            return stuck[0] if stuck else "yes"
        return "held" if self.held else f"{len(done)} of {len(wanted)}"

    def data(self) -> dict[str, Any]:
        """As JSON."""
        return {
            **self.managed.model_dump(mode="json"),
            "health": self.health.model_dump(mode="json", exclude={"until"}),
            "due": self.decision.due,
            "reason": self.decision.reason,
            "message": self.decision.message,
            "next_check": self.decision.next_check.isoformat(),
            "not_after": self.facts.not_after.isoformat() if self.facts else None,
            "thumbprint": self.facts.thumbprint if self.facts else None,
            "sha256": self.facts.sha256 if self.facts else None,
            "deployed": self.deployed,
            "held": [one.data() for one in self.held],
            "versions": [v.model_dump(mode="json") for v in self.versions],
            "deployments": [s.model_dump(mode="json") for s in self.states],
        }

    def lines(self) -> list[tuple[str, str]]:
        """As labels and values for a person."""
        facts, managed = self.facts, self.managed
        shown = [
            ("Id", managed.id),
            ("Title", managed.title),
            ("Health", f"{self.health.health} ({self.health.rule}): {self.health.message}"),
            *([("To do", self.health.hint)] if self.health.hint else []),
            ("Names", ", ".join(i.unicode for i in managed.identifiers)),
            ("Issuer", ", else ".join(managed.issuers)),
            ("Key", f"{managed.key.type}, {managed.key.source}"),
            ("Validation", "; ".join(v.title for v in managed.validations)),
            ("Profile", managed.profile or "the authority's default"),
            ("Next", self.decision.message),
            ("Window", managed.window or "any time"),
            ("Deployed", self.deployed),
            *(("Held", f"{one.task.title}: {one.message}") for one in self.held),
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
    return Details(
        managed=managed,
        revision=unit.managed.revision(managed.id),
        decision=decide(engine, unit, managed),
        health=health(engine, unit, managed),
        facts=version_facts(current) if current else None,
        versions=tuple(unit.versions.list(managed.id)),
        states=tuple(states(unit, managed).values()),
        held=held(engine, unit, managed),
    )
