"""The managed certificate: what the user wants. And its versions: what was issued."""

import hashlib
import json
from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Any, Literal, Self
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

from certwright.domain.certificates import load_request, public_key_type, request_identifiers
from certwright.domain.errors import ConfigurationError, InvalidIdentifier
from certwright.domain.identifiers import (
    MAX_NAMES,
    Identifier,
    IdentifierType,
    covered,
    public_obstacle,
)
from certwright.domain.keys import KeySource, KeyType

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


class IssuerCapabilities(Value):
    """What an authority can do; checked before it is asked.

    `max_names` is None when the authority names no limit. `profiles` maps a profile's name to its description.
    """

    internal_names: bool = False
    wildcards: bool = True
    ip_addresses: bool = True
    max_names: int | None = 100
    key_types: tuple[KeyType, ...] = tuple(KeyType)
    profiles: dict[str, str] = Field(default_factory=dict)


class Issuer(Value):
    """A configured account at an authority. `kind` names the plugin, `params` are its parameters.

    `account` is what the plugin remembers of its registration (never a secret); the account key is the secret
    `issuer:NAME` in the store.
    """

    name: str
    kind: str
    params: Json
    capabilities: IssuerCapabilities = IssuerCapabilities()
    account: Json = Field(default_factory=dict)


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


class Validation(Value):
    """How control of the names is proved: `challenge` type, the solver plugin and its parameters."""

    challenge: Literal["http-01", "dns-01", "tls-alpn-01"] = "http-01"
    solver: str = "http_listener"
    params: Json = Field(default_factory=dict)


class TaskSettings(Value):
    """One deployment task of a managed certificate. `kind` names the plugin, `params` are its parameters."""

    id: str = Field(default_factory=new_id)
    kind: str
    title: str
    params: Json
    enabled: bool = True


class RenewalPolicy(Value):
    """When to renew: after this share of the lifetime, but never later than `renewal.due_at` allows."""

    lifetime_share: float = Field(default=2 / 3, gt=0, lt=1)


class ManagedCertificate(Value):
    """What the user wants kept valid and served."""

    id: str = Field(default_factory=new_id)
    title: str
    identifiers: Annotated[tuple[IdentifierField, ...], AfterValidator(_each_once)] = Field(
        min_length=1, max_length=MAX_NAMES
    )
    issuer: str
    key: KeySettings = KeySettings()
    validations: tuple[Validation, ...] = (Validation(),)
    profile: str | None = None
    preferred_chain: str | None = None
    pfx_password_credential: str | None = None
    tasks: tuple[TaskSettings, ...] = ()
    renewal: RenewalPolicy = RenewalPolicy()

    @property
    def fingerprint(self) -> str:
        """A digest of all that the issued certificate depends on; another one means it must be issued anew.

        The order of the names does not count, nor do title, tasks, validation and renewal policy. Versions remember
        it: a change in how it is made has every certificate issued anew.
        """
        wanted = {
            "identifiers": sorted(str(i) for i in self.identifiers),
            "issuer": self.issuer,
            "key": self.key.identity,
            "profile": self.profile,
            "preferred_chain": self.preferred_chain,
        }
        return hashlib.sha256(json.dumps(wanted, sort_keys=True).encode()).hexdigest()[:16]

    def task(self, wanted: str) -> TaskSettings:
        """The task with this id, title or kind.

        Raises:
            ConfigurationError: if there is none, or more than one.
        """
        found = [t for t in self.tasks if wanted in (t.id, t.title)] or [t for t in self.tasks if t.kind == wanted]
        if len(found) == 1:
            return found[0]
        known = ", ".join(f"{t.id} ({t.title})" for t in self.tasks) or "none yet"
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


def check_capabilities(managed: ManagedCertificate, capabilities: IssuerCapabilities) -> None:
    """Refuse what the authority cannot issue, before it is asked.

    Raises:
        InvalidIdentifier: with one cause for each name it cannot issue.
        InvalidMaterial: for a signing request of the user's that cannot be read.
        ConfigurationError: for too many names, a key type or profile that it does not offer, or a signing request of
            the user's that is for other names.
    """
    _check_names(managed, capabilities)
    _check_key(managed, capabilities)
    if managed.profile and managed.profile not in capabilities.profiles:
        offered = ", ".join(capabilities.profiles) or "none"
        raise ConfigurationError(
            f"The issuer {managed.issuer!r} has no profile {managed.profile!r}.", hint=f"It offers: {offered}."
        )


def _check_names(managed: ManagedCertificate, capabilities: IssuerCapabilities) -> None:
    if capabilities.max_names and len(managed.identifiers) > capabilities.max_names:
        raise ConfigurationError(
            f"{len(managed.identifiers)} names; the issuer {managed.issuer!r} allows {capabilities.max_names}.",
            hint="Split the names over several managed certificates.",
        )
    obstacles = [problem for i in managed.identifiers if (problem := _obstacle(i, managed, capabilities))]
    if not capabilities.internal_names:
        obstacles += [problem for i in managed.identifiers if (problem := public_obstacle(i))]
        obstacles += _pairs(managed.identifiers)
    if obstacles:
        raise InvalidIdentifier(
            f"The issuer {managed.issuer!r} cannot issue a certificate for these names.",
            causes=obstacles,
            hint="Public authorities issue only for names that exist on the internet and that you can prove to hold: "
            "leave out or change the names above, or use a private authority that allows internal names.",
        )


def _obstacle(identifier: Identifier, managed: ManagedCertificate, capabilities: IssuerCapabilities) -> str | None:
    challenges = {validation.challenge for validation in managed.validations}
    if identifier.is_wildcard:
        if not capabilities.wildcards:
            return f"{identifier} is a wildcard, which this authority does not issue"
        if "dns-01" not in challenges:
            return f"{identifier} is a wildcard, which authorities let only dns-01 prove"
    if identifier.type is IdentifierType.IP:
        if not capabilities.ip_addresses:
            return f"{identifier} is an IP address, which this authority does not issue"
        if challenges == {"dns-01"}:
            return f"{identifier} is an IP address, which dns-01 cannot prove (RFC 8738 section 7)"
    return None


def _pairs(identifiers: Sequence[Identifier]) -> list[str]:
    hosts = [i.value for i in identifiers if not i.is_wildcard]
    twice = covered([i for i in identifiers if i.is_wildcard], hosts)
    return [f"{host} is covered by a wildcard of the same certificate: authorities refuse such pairs" for host in twice]


def _check_key(managed: ManagedCertificate, capabilities: IssuerCapabilities) -> None:
    """The type of a user's own key is not known here: the authority judges that itself."""
    kind: str = managed.key.type
    if managed.key.source is KeySource.OWN_KEY:
        return
    if managed.key.source is KeySource.OWN_CSR:
        request = load_request((managed.key.own_csr or "").encode())
        kind = public_key_type(request)
        if set(request_identifiers(request)) != set(managed.identifiers):
            raise ConfigurationError(
                "The signing request is for other names than the managed certificate: "
                f"{', '.join(map(str, request_identifiers(request)))}.",
                hint="Authorities compare the two: make the request for exactly the same names.",
            )
    if kind not in capabilities.key_types:
        raise ConfigurationError(
            f"The issuer {managed.issuer!r} does not sign {kind} keys.",
            hint=f"Choose one of {', '.join(capabilities.key_types)}.",
        )
