"""The managed certificate: what the user wants. And its versions: what was issued."""

import hashlib
import json
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal
from uuid import uuid4

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, PlainValidator

from certwright.domain.errors import ConfigurationError, InvalidIdentifier
from certwright.domain.identifiers import Identifier, public_obstacle
from certwright.domain.keys import KeySource, KeyType

Json = dict[str, Any]


def new_id() -> str:
    """A fresh id: 12 hex digits, short enough to type."""
    return uuid4().hex[:12]


class Value(BaseModel):
    """A frozen value that can be stored as JSON; unknown fields are an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def _read_identifier(value: object) -> Identifier:
    return value if isinstance(value, Identifier) else Identifier.parse(str(value))


IdentifierField = Annotated[Identifier, PlainValidator(_read_identifier), PlainSerializer(str, return_type=str)]


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

    `own_key` is the name of the secret that holds the user's key; `own_csr` is the user's signing request in PEM.
    """

    source: KeySource = KeySource.GENERATED
    type: KeyType = KeyType.RSA_2048
    own_key: str | None = None
    own_csr: str | None = None


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
    """When to renew: after this share of the lifetime."""

    lifetime_share: float = Field(default=2 / 3, gt=0, lt=1)


class ManagedCertificate(Value):
    """What the user wants kept valid and served."""

    id: str = Field(default_factory=new_id)
    title: str
    identifiers: tuple[IdentifierField, ...] = Field(min_length=1)
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
        """A digest of all that the issued certificate depends on; another one means it must be issued anew."""
        wanted = {
            "identifiers": sorted(str(i) for i in self.identifiers),
            "issuer": self.issuer,
            "key": self.key.model_dump(mode="json"),
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
    issued_at: datetime
    revoked_at: datetime | None = None


def check_capabilities(managed: ManagedCertificate, capabilities: IssuerCapabilities) -> None:
    """Refuse what the authority cannot issue, before it is asked.

    Raises:
        InvalidIdentifier: with one cause for each name it cannot issue.
        ConfigurationError: for too many names, or a key type or profile that it does not offer.
    """
    obstacles = [problem for i in managed.identifiers if (problem := _obstacle(i, managed, capabilities))]
    if obstacles:
        raise InvalidIdentifier(
            f"The issuer {managed.issuer!r} cannot issue for {len(obstacles)} of the {len(managed.identifiers)} names.",
            causes=obstacles,
            hint="Public authorities issue only for names that exist on the internet and that you can prove to hold: "
            "give the service a public name, or use a private authority that allows internal names.",
        )
    if capabilities.max_names and len(managed.identifiers) > capabilities.max_names:
        raise ConfigurationError(
            f"{len(managed.identifiers)} names; the issuer {managed.issuer!r} allows {capabilities.max_names}.",
            hint="Split the names over several managed certificates.",
        )
    if managed.key.type not in capabilities.key_types:
        raise ConfigurationError(
            f"The issuer {managed.issuer!r} does not sign {managed.key.type} keys.",
            hint=f"Choose one of {', '.join(capabilities.key_types)}.",
        )
    if managed.profile and managed.profile not in capabilities.profiles:
        offered = ", ".join(capabilities.profiles) or "none"
        raise ConfigurationError(
            f"The issuer {managed.issuer!r} has no profile {managed.profile!r}.", hint=f"It offers: {offered}."
        )


def _obstacle(identifier: Identifier, managed: ManagedCertificate, capabilities: IssuerCapabilities) -> str | None:
    if identifier.is_wildcard:
        if not capabilities.wildcards:
            return f"{identifier} is a wildcard, which this authority does not issue"
        if all(v.challenge != "dns-01" for v in managed.validations):
            return f"{identifier} is a wildcard, which only dns-01 can prove (RFC 8555 section 7.1.3)"
    if identifier.type == "ip" and not capabilities.ip_addresses:
        return f"{identifier} is an IP address, which this authority does not issue"
    return None if capabilities.internal_names else public_obstacle(identifier)
