"""Managed certificates: described, listed, changed, forgotten."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding
from pydantic import TypeAdapter, ValidationError

from certwright.domain import certificates, keys
from certwright.domain.capabilities import check_choice, check_issuer
from certwright.domain.certificates import CertificateFacts
from certwright.domain.credentials import SignIn
from certwright.domain.errors import ConfigurationError, InUse
from certwright.domain.health import Condition
from certwright.domain.identifiers import parse_all
from certwright.domain.keys import KeySource, KeyType, PrivateKey
from certwright.domain.managed import (
    CertificateVersion,
    Issuer,
    KeySettings,
    ManagedCertificate,
    Tags,
    TaskSettings,
    new_id,
)
from certwright.domain.plain_text import check_line
from certwright.domain.renewal import Decision
from certwright.domain.renewal_state import Hold, RenewalState
from certwright.domain.runs import DeploymentState, Outcome, Run, RunKind, Stage
from certwright.domain.validation import Validation
from certwright.engine import first_request
from certwright.engine.commands import require_commands
from certwright.engine.context import ActiveRun, Engine, check_revision
from certwright.engine.issuers import look_again
from certwright.engine.material import version_facts
from certwright.engine.own_certificate import is_presented
from certwright.engine.revoked import remember_revoked
from certwright.engine.schedule import decide, health, reschedule, states
from certwright.engine.task_list import checked, fitted
from certwright.engine.validations import check_credentials, check_validations, readable
from certwright.engine.windows import Held, held
from certwright.store import UnitOfWork

_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person asks for; `own_csr` is a file's contents, `others` prove some of the names otherwise.

    `held` is why a person wants it not to be requested yet; `waits`, that it is not before somebody asks for it. `task`
    puts it to use.
    """

    names: tuple[str, ...]
    issuer: str
    validation: Validation
    others: tuple[Validation, ...] = ()
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
    tags: tuple[str, ...] = ()
    held: str | None = None
    waits: bool = False
    task: TaskSettings | None = None

    @property
    def key(self) -> "KeyWish":
        """What is wished of the key."""
        return KeyWish(self.key_type, self.own_key, self.own_csr, self.reuse_key)


@dataclass(frozen=True, slots=True)
class KeyWish:
    """Where the key is to come from: made here, of a kind, anew each time or not; or a person's own, or its request."""

    kind: KeyType | None = None
    own_key: PrivateKey | None = field(default=None, repr=False)
    own_csr: bytes | None = None
    is_reused: bool = False

    def settings(self, secret: str) -> KeySettings:
        """As it is kept; `secret` names where an own key is.

        Raises:
            ConfigurationError: if it says two things.
            InvalidMaterial: if the signing request, or the kind of key, is none that authorities sign.
        """
        own = [given for given in (self.own_key, self.own_csr) if given is not None]
        if len(own) > 1 or (own and (self.is_reused or self.kind)):
            raise ConfigurationError(
                "--key, --key-file, --csr and --reuse-key exclude each other.",
                hint="A key file or a signing request brings its own kind of key; --reuse-key goes with --key alone.",
            )
        if self.own_key:
            return KeySettings(source=KeySource.OWN_KEY, type=keys.key_type(self.own_key), own_key=secret)
        if self.own_csr is not None:
            request = certificates.load_request(self.own_csr)
            kind = KeyType(certificates.public_key_type(request))
            return KeySettings(source=KeySource.OWN_CSR, type=kind, own_csr=request.public_bytes(Encoding.PEM).decode())
        source = KeySource.REUSED if self.is_reused else KeySource.GENERATED
        return KeySettings(source=source, type=self.kind or KeyType.RSA_2048)


def create(engine: Engine, wish: Wish) -> ManagedCertificate:
    """Check the wish as far as it can be checked now, and store it; it is due at once, unless it is held or waits.

    Raises:
        ConfigurationError: with all that is wrong with it.
        NotFound: if an issuer, a credential or a maintenance window that it names is not in the store.
        Forbidden: if who asks may not have programs run or files written as its validation does, not give it these
            tags, or not have its task, as of `add_task`.
    """
    managed = _described(wish)
    task = wish.task and checked(engine, wish.task)
    for validation in managed.validations:
        require_commands(engine, "solvers", validation.solver, validation.params)
    engine.caller.check_tags((), managed.tags)
    know_profile(engine, managed)
    with engine.store.write() as unit:
        for name in managed.issuers:
            check_choice(managed, unit.issuers.get(name))
        check_validations(engine, unit, managed)
        if wish.pfx_password_credential:
            unit.credentials.get(wish.pfx_password_credential, SignIn.PFX)
        if wish.own_key and managed.key.own_key:
            unit.secrets.put(managed.key.own_key, keys.private_key_pem(wish.own_key))
        if task:
            managed = managed.model_copy(update={"tasks": (fitted(engine, unit, managed, task),)})
        unit.managed.add(managed)
        if wish.held:
            unit.renewals.save(managed.id, RenewalState(hold=Hold(reason=wish.held, since=engine.now())))
        elif wish.waits:
            first_request.wait(unit, managed.id, str(engine.caller.actor), engine.now())
        reschedule(engine, unit, managed)
    return managed


def check_wish(engine: Engine, wish: Wish, issuer: Issuer) -> None:
    """Refuse what `create` would refuse with `issuer`, which need not be registered yet; nothing is stored.

    Raises:
        ConfigurationError: with all that is wrong with it.
        NotFound: if a credential or a maintenance window that it names is not in the store.
        Forbidden: if who asks may not have programs run as its validation does, or not give it these tags.
    """
    managed = _described(wish)
    engine.caller.check_tags((), managed.tags)
    with engine.store.read() as unit:
        unit.managed.check_title(managed.title)
        if wish.window:
            unit.windows.get(wish.window)
        check_credentials(engine, unit, managed.validations)
    check_issuer(managed, issuer)


def _described(wish: Wish) -> ManagedCertificate:
    identifiers = parse_all(wish.names)
    check_line(wish.title or "", "The title")
    managed_id = new_id()
    return ManagedCertificate(
        id=managed_id,
        title=wish.title or identifiers[0].unicode,
        identifiers=identifiers,
        issuer=wish.issuer,
        fallback_issuers=wish.fallback_issuers,
        key=wish.key.settings(f"key:{managed_id}"),
        validations=tuple(map(readable, (wish.validation, *wish.others))),
        profile=wish.profile,
        preferred_chain=wish.preferred_chain,
        pfx_password_credential=wish.pfx_password_credential,
        window=wish.window,
        tags=tags_of(wish.tags),
    )


def tags_of(words: Sequence[str]) -> Tags:
    """Words as tags.

    Raises:
        ConfigurationError: if one cannot be a tag.
    """
    try:
        return TypeAdapter(Tags).validate_python(tuple(words))
    except ValidationError:
        raise ConfigurationError(
            f"These are no tags: {', '.join(words)[:200]}.",
            hint="A tag has up to 40 small letters, digits, dots, dashes and underscores; a certificate has up to 20.",
        ) from None


def know_profile(engine: Engine, managed: ManagedCertificate) -> None:
    """Ask the authority for its profiles if the wanted one was not among them when it was last asked."""
    with engine.store.read() as unit:
        issuer = unit.issuers.get(managed.issuer)
    if managed.profile and managed.profile not in issuer.capabilities.profiles:
        look_again(engine, issuer.name)


def remove(engine: Engine, reference: str, revision: int | None = None) -> ManagedCertificate:
    """Forget a managed certificate, its versions and its keys; its runs stay, records that they left are removed.

    Args:
        engine: what to work with.
        reference: the managed certificate.
        revision: that at which it was looked at before, if somebody did.

    Raises:
        Changed: if it is not at this revision any more.
        InUse: if a task of it has put a version to use, or the service presents it itself: nobody would renew it.
    """
    from certwright.engine.left_over import clear_left_over  # noqa: PLC0415 - loads the DNS library

    with engine.store.read() as unit:
        managed = unit.managed.get(reference)
    with engine.certificate_lease(managed) as lease:
        with engine.store.read() as unit:
            managed = unit.managed.get(managed.id)
            check_revision(unit, managed, revision)
            if is_presented(unit, managed.id, engine.now()):
                raise InUse(
                    f"{managed.title!r} is what the service presents itself.",
                    hint="Name another one in the setting own_certificate, and start the service again: "
                    "an hour later this one can be removed.",
                )
            if users := list(_users(managed, states(unit, managed))):
                raise InUse(
                    f"{managed.title!r} is in use, and nobody would renew what is served there.",
                    causes=users,
                    hint="If that is as it shall be, remove its tasks first, which leaves what they deployed: "
                    f"certwright task remove {managed.id} TASK",
                )
        clear_left_over(engine, ActiveRun.unrecorded(engine, lease), last=True)
        with engine.store.write(lease) as unit:
            remember_revoked(unit, managed.id)
            unit.managed.remove(managed.id)
            if managed.key.own_key:
                unit.secrets.remove(managed.key.own_key)
    return managed


def _users(managed: ManagedCertificate, known: Mapping[str, DeploymentState]) -> Iterator[str]:
    """What has a version of it in use, or may have, each in one sentence."""
    for task in managed.tasks:
        state = known.get(task.id)
        if state is None or not (state.is_unfinished or (state.last_in_use and (state.served or state.baseline))):
            continue
        places = dict.fromkeys(f"{row.server} {row.service} {row.address}:{row.port}".strip() for row in state.served)
        shown = list(places)[:_SHOWN]
        more = f" and {len(places) - _SHOWN} more" if len(places) > _SHOWN else ""
        yield f"the task {task.title!r} has deployed it{': ' if shown else ''}{', '.join(shown)}{more}"


def set_tags(engine: Engine, reference: str, words: Sequence[str], revision: int | None = None) -> ManagedCertificate:
    """Have a managed certificate found by these tags, and by no others.

    Raises:
        ConfigurationError: if one cannot be a tag.
        Forbidden: if who asks is limited to tags, and this would change others.
        Changed: if it is not at this revision any more.
    """
    with engine.changing(reference, revision) as (unit, managed):
        changed = managed.model_copy(update={"tags": tags_of(words)})
        engine.caller.check_tags(managed.tags, changed.tags)
        unit.managed.update(changed)
    return changed


@dataclass(frozen=True, slots=True)
class Details:
    """All that there is to know about one managed certificate.

    `revision` counts its changes, `at_work` is the run of it that is under way. `awaits_request` is whether it is held
    only until somebody requests it.
    """

    managed: ManagedCertificate
    revision: int
    decision: Decision
    health: Condition
    facts: CertificateFacts | None
    versions: tuple[CertificateVersion, ...]
    states: tuple[DeploymentState, ...]
    held: tuple[Held, ...]
    awaits_request: bool
    at_work: Run | None

    def told(self, state: DeploymentState) -> str:
        """What a person is told of where one of its tasks stands."""
        by_itself = any(task.id == state.task_id for task in self.managed.deploying)
        return state.told(deploying=self._is_deploying, by_itself=by_itself)

    def word(self, state: DeploymentState) -> Stage | Outcome:
        """The same in a word."""
        return state.word(deploying=self._is_deploying)

    @property
    def _is_deploying(self) -> bool:
        return self.at_work is not None and self.at_work.kind is RunKind.DEPLOY

    @property
    def earlier(self) -> dict[str, CertificateVersion]:
        """The earlier versions that tasks have in use, by the id of the task."""
        known = {version.id: version for version in self.versions[1:]}
        tasks = {task.id for task in self.managed.tasks if task.puts_to_use}
        in_use = ((state.task_id, known.get(state.last_in_use or "")) for state in self.states)
        return {task: version for task, version in in_use if version and task in tasks}

    @property
    def left_behind(self) -> list[tuple[TaskSettings, datetime]]:
        """The disabled tasks that have an earlier version in use, and when that ends."""
        disabled, earlier = (task for task in self.managed.tasks if not task.enabled), self.earlier
        return [(task, version_facts(earlier[task.id]).not_after) for task in disabled if task.id in earlier]

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
            ("Tags", ", ".join(managed.tags) or "none"),
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


def summaries(engine: Engine, tag: str | None = None, limit: int | None = None) -> list[Details]:
    """All about all of them, or about those with a tag; about the first by title if there is a limit."""
    with engine.store.read() as unit:
        return [_details(engine, unit, managed) for managed in unit.managed.list(tag, limit)]


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
        awaits_request=first_request.waits(unit, managed.id),
        at_work=unit.runs.at_work(managed.id, engine.now()),
    )
