"""The managed certificate: what the user wants. And its versions: what was issued."""

import hashlib
import json
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any, Self
from uuid import uuid4

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    WithJsonSchema,
    model_validator,
)

from certwright.domain import authorities
from certwright.domain.authorities import Authority
from certwright.domain.errors import ConfigurationError, InvalidIdentifier, NotFound
from certwright.domain.identifiers import MAX_NAMES, Identifier
from certwright.domain.keys import KeySource, KeyType
from certwright.domain.tasks import Role, Trigger
from certwright.domain.validation import Validation

Json = dict[str, Any]


def new_id() -> str:
    """A fresh id: 12 hex digits, short enough to type."""
    return uuid4().hex[:12]


class Value(BaseModel):
    """A frozen value that can be stored as JSON; unknown fields are an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def _read_identifier(value: object) -> Identifier:
    if isinstance(value, str):
        return Identifier.parse(value)
    if isinstance(value, Identifier):
        return value
    raise InvalidIdentifier(
        "A name is not written as text.", hint='Write it in quotes, for example "mail.contoso.com".'
    )


def _each_once(identifiers: tuple[Identifier, ...]) -> tuple[Identifier, ...]:
    return tuple(dict.fromkeys(identifiers))


IdentifierField = Annotated[
    Identifier,
    PlainValidator(_read_identifier),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string"}),
]


Tag = Annotated[str, Field(min_length=1, max_length=40, pattern=r"^[a-z0-9][a-z0-9._-]*$")]
Tags = Annotated[tuple[Tag, ...], AfterValidator(lambda tags: tuple(sorted(set(tags)))), Field(max_length=20)]
"""Words by which certificates are found, and people and tokens limited to some of them."""


class IssuerCapabilities(Value):
    """What an authority can do; checked before it is asked.

    `max_names` is None when the authority names no limit, `lifetime` (of its certificates) when it is not known.
    `profiles` maps a profile's name to its description; `ip_profiles` are those that allow IP addresses where others do
    not. `caa_identities` are the domain names that CAA and dns-persist-01 records name it by.
    """

    internal_names: bool = False
    wildcards: bool = True
    ip_addresses: bool = True
    max_names: int | None = 100
    key_types: tuple[KeyType, ...] = tuple(KeyType)
    profiles: dict[str, str] = Field(default_factory=dict)
    ip_profiles: tuple[str, ...] = ()
    lifetime: timedelta | None = None
    caa_identities: tuple[str, ...] = ()


class Issuer(Value):
    """A configured account at an authority. `kind` names the plugin, `params` are its parameters.

    `account` is what the plugin remembers of its registration (never a secret); the account key is the secret
    `issuer:NAME` in the store. `capabilities` is what the authority said of itself when it was last asked.
    """

    name: str
    kind: str
    params: Json
    capabilities: IssuerCapabilities = IssuerCapabilities()
    account: Json = Field(default_factory=dict)

    @property
    def authority(self) -> Authority:
        """What is known of the authority beyond what it says itself."""
        return authorities.of(self.params)

    @property
    def title(self) -> str:
        """The authority's own name where it is known, else what the user calls it."""
        return self.authority.title if self.authority.directory else self.name

    @property
    def counted_at(self) -> str:
        """Where its requests are counted: what several accounts at one authority have in common."""
        return self.authority.name if self.authority.directory else str(self.params.get("directory") or self.name)

    def able(self, profile: str | None) -> IssuerCapabilities:
        """What it can do for certificates of this profile, by its own words and by what is known of it."""
        said, known = self.capabilities, self.authority
        terms = known.terms_of(profile)
        most = [limit for limit in (said.max_names, terms.max_names) if limit]
        return said.model_copy(
            update={
                "wildcards": said.wildcards and known.wildcards is not False,
                "ip_addresses": said.ip_addresses and terms.ip_addresses is not False,
                "max_names": min(most, default=None),
                "key_types": tuple(kind for kind in said.key_types if kind in known.key_types),
                "lifetime": terms.lifetime,
                "ip_profiles": tuple(n for n in said.profiles if known.terms_of(n).ip_addresses),
            }
        )


class KeySettings(Value):
    """Where the key comes from and what kind it is.

    `type` counts where the key is made for us. `own_key` is the name of the secret that holds the user's key;
    `own_csr` is the user's signing request in PEM.
    """

    source: KeySource = KeySource.GENERATED
    type: KeyType = KeyType.RSA_2048
    own_key: str | None = None
    own_csr: str | None = None

    @model_validator(mode="after")
    def _has_what_its_source_needs(self) -> Self:
        if self.source is KeySource.OWN_KEY and not self.own_key:
            raise ConfigurationError("An own key was asked for, but none was given.", hint="Give the file of the key.")
        if self.source is KeySource.OWN_CSR and not self.own_csr:
            raise ConfigurationError(
                "An own signing request was asked for, but none was given.", hint="Give the file of the request."
            )
        return self

    @property
    def identity(self) -> dict[str, str | None]:
        """What the issued certificate depends on.

        Whether the next key is new or the old one is left out: either fits the certificate that is there, so a change
        between the two waits for the next renewal.
        """
        match self.source:
            case KeySource.OWN_KEY:
                return {"own_key": self.own_key}
            case KeySource.OWN_CSR:
                return {"own_csr": "".join((self.own_csr or "").split())}
            case KeySource.ON_TARGET:
                return {"on_target": self.type.value}
            case KeySource.GENERATED | KeySource.REUSED:
                return {"here": self.type.value}


class TaskSettings(Value):
    """One task of a managed certificate. `kind` names the plugin, `params` are its parameters.

    Attributes:
        id: names it for ever.
        kind: the plugin.
        title: what the user calls it.
        params: the plugin's parameters.
        enabled: whether it ever runs by itself.
        role: whether it runs before the authority is asked.
        trigger: what has it run.
        watched: the id of the task whose failure has it run, where `trigger` says so; None is any before it.
        stops: whether tasks after it wait, and a request is not made, while it has failed.
        retries: how often it is tried again for one occasion; None is until it succeeds.
        retry_delay: the pause before each; None is the usual ladder of pauses.
        window: the maintenance window in which it runs, if that is not the certificate's.
    """

    id: str = Field(default_factory=new_id)
    kind: str
    title: str
    params: Json
    enabled: bool = True
    role: Role = Role.DEPLOYMENT
    trigger: Trigger = Trigger.ON_SUCCESS
    watched: str | None = None
    stops: bool = False
    retries: int | None = Field(default=None, ge=0)
    retry_delay: timedelta | None = Field(default=None, gt=timedelta())
    window: str | None = None

    @property
    def puts_to_use(self) -> bool:
        """Whether it is for versions that were issued, be it by itself or by a person's command."""
        is_for_versions = self.trigger in (Trigger.ON_SUCCESS, Trigger.ALWAYS, Trigger.MANUAL)
        return self.role is Role.DEPLOYMENT and is_for_versions

    @property
    def deploys(self) -> bool:
        """Whether it puts a version that was issued to use by itself."""
        return self.enabled and self.puts_to_use and self.trigger is not Trigger.MANUAL

    @property
    def when(self) -> str:
        """When it runs, in a few words."""
        is_first, is_usual = self.role is Role.PRE_REQUEST, self.trigger is Trigger.ON_SUCCESS
        told = [self.role.value] * is_first + [self.trigger.value] * (not (is_first and is_usual))
        return ", ".join([*told, *(["stops"] if self.stops else [])])


_USUAL_SHARE = 2 / 3
MOST_DAYS = 3650
"""So many days before its end no certificate that is issued today is young."""


class RenewalPolicy(Value):
    """When to renew: after this share of the lifetime, or this many days before its end, if that is given.

    Never later than `renewal_moments.due_at` allows.
    """

    lifetime_share: float = Field(default=_USUAL_SHARE, gt=0, lt=1)
    days_before: int | None = Field(default=None, gt=0, le=MOST_DAYS)

    @property
    def is_own(self) -> bool:
        """Whether a person chose it: then the authority's advice may only make it earlier."""
        return self.days_before is not None or self.lifetime_share != _USUAL_SHARE


class ManagedCertificate(Value):
    """What the user wants kept valid and served.

    `issuer` signs it; `fallback_issuers` stand in, in this order, while an authority fails by a fault of its own.
    `window` names the maintenance window in which it is deployed, where a task has none of its own; None is any time.
    `tags` are words by which it is found, and by which people and tokens are limited to it.
    """

    id: str = Field(default_factory=new_id)
    title: str
    identifiers: Annotated[tuple[IdentifierField, ...], AfterValidator(_each_once)] = Field(
        min_length=1, max_length=MAX_NAMES
    )
    issuer: str
    fallback_issuers: tuple[str, ...] = ()
    key: KeySettings = KeySettings()
    validations: tuple[Validation, ...] = (Validation(),)
    profile: str | None = None
    preferred_chain: str | None = None
    pfx_password_credential: str | None = None
    tasks: tuple[TaskSettings, ...] = ()
    renewal: RenewalPolicy = RenewalPolicy()
    window: str | None = None
    tags: Tags = ()

    @property
    def windows(self) -> frozenset[str]:
        """The names of all maintenance windows that it refers to."""
        return frozenset(filter(None, (self.window, *(task.window for task in self.tasks))))

    def window_of(self, task: TaskSettings) -> str | None:
        """The maintenance window in which a task runs."""
        return task.window or self.window

    @property
    def issuers(self) -> tuple[str, ...]:
        """All its issuers in order, each once."""
        return tuple(dict.fromkeys((self.issuer, *self.fallback_issuers)))

    def asked_of(self, issuer: Issuer) -> "ManagedCertificate":
        """As one of its issuers is asked for it: without the profile, if that one stands in and has no such profile."""
        is_without = issuer.name != self.issuer and self.profile not in issuer.capabilities.profiles
        profile = None if is_without else self.profile
        return self.model_copy(update={"issuer": issuer.name, "fallback_issuers": (), "profile": profile})

    @property
    def fingerprint(self) -> str:
        """A digest of all that the issued certificate depends on; another one means it must be issued anew.

        The order of the names does not count, nor do issuers that stand in, title, tags, tasks, validation and
        renewal policy. Versions remember it: a change in how it is made has every certificate issued anew.
        """
        wanted = {
            "identifiers": sorted(str(i) for i in self.identifiers),
            "issuer": self.issuer,
            "key": self.key.identity,
            "profile": self.profile,
            "preferred_chain": self.preferred_chain,
        }
        return hashlib.sha256(json.dumps(wanted, sort_keys=True).encode()).hexdigest()[:16]

    @property
    def deploying(self) -> tuple[TaskSettings, ...]:
        """The tasks by which a version that was issued is put to use."""
        return tuple(task for task in self.tasks if task.deploys)

    def task(self, wanted: str) -> TaskSettings:
        """The task with this id, title or kind.

        Raises:
            NotFound: if there is none.
            ConfigurationError: if there is more than one.
        """
        found = [t for t in self.tasks if wanted in (t.id, t.title)] or [t for t in self.tasks if t.kind == wanted]
        if len(found) == 1:
            return found[0]
        known = ", ".join(f"{t.id} ({t.title})" for t in self.tasks) or "none yet"
        if not found:
            raise NotFound(f"{self.title!r} has no task {wanted!r}.", hint=f"Its tasks: {known}.")
        raise ConfigurationError(
            f"{self.title!r} has {len(found)} tasks that fit {wanted!r}.",
            hint=f"Name one by its id. Its tasks: {known}.",
        )


class KeyForm(StrEnum):
    """Whether a version's private key is with us."""

    HERE = "here"
    ELSEWHERE = "elsewhere"


class CertificateVersion(Value):
    """One issued certificate; immutable. Its private key, when with us, is a secret of the store.

    `chain_pem` starts with the leaf. `fingerprint` is the managed certificate's at the time of the order.
    """

    id: str = Field(default_factory=new_id)
    managed_id: str
    issuer: str
    chain_pem: str
    key_form: KeyForm = KeyForm.HERE
    fingerprint: str
    order_url: str | None = None
    issued_at: AwareDatetime
    revoked_at: AwareDatetime | None = None
