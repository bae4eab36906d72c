"""What an operator of the server chooses. Plain frozen values; every one has a default that works."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum


class KeyType(StrEnum):
    """Kinds of keys the CA itself uses."""

    RSA_2048 = "rsa-2048"
    RSA_3072 = "rsa-3072"
    RSA_4096 = "rsa-4096"
    ECDSA_P256 = "ecdsa-p256"
    ECDSA_P384 = "ecdsa-p384"


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """A kind of certificate the CA offers (draft-ietf-acme-profiles).

    Attributes:
        description: For people, shown in the directory.
        lifetime: From notBefore to notAfter, both included.
        common_name: Whether the subject has a CN.
        key_encipherment: Whether RSA certificates have that key usage.
        max_identifiers: Most identifiers in one certificate.
        ip_addresses: Whether ip identifiers are allowed.
    """

    description: str
    lifetime: timedelta
    common_name: bool = False
    key_encipherment: bool = False
    max_identifiers: int = 25
    ip_addresses: bool = False


PROFILES: Mapping[str, Profile] = {
    "classic": Profile(
        description="With a common name, for software that wants one",
        lifetime=timedelta(days=64),
        common_name=True,
        key_encipherment=True,
        max_identifiers=100,
    ),
    "tlsserver": Profile(description="Subject alternative names only", lifetime=timedelta(days=45)),
    "shortlived": Profile(
        description="Six days, also for IP addresses", lifetime=timedelta(hours=160), ip_addresses=True
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CaConfig:
    """The certificate authority.

    Attributes:
        organization: O of the CA's own certificates, and the beginning of their CN.
        root_key: Kind of the root's key, and of the alternate root's.
        intermediate_keys: One intermediate per element; certificates are issued from them in turn, so that
            with more than one the issuer changes from one certificate to the next.
        alternate_root: Whether a second root cross-signs every intermediate and is offered as alternate chain.
        profiles: By name; an order that names none gets the first that fits it.
    """

    organization: str = "Certwright Test CA"
    root_key: KeyType = KeyType.ECDSA_P256
    intermediate_keys: tuple[KeyType, ...] = (KeyType.ECDSA_P256,)
    alternate_root: bool = False
    profiles: Mapping[str, Profile] = field(default_factory=lambda: PROFILES)


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidationConfig:
    """How control of identifiers is validated.

    Attributes:
        http_port: Where http-01 connects to, and plain-http redirects.
        tls_port: Where tls-alpn-01 connects to, and https redirects.
        hosts: Addresses by name; ``*`` is for all names that are not listed. Looked at before the resolver.
        resolver: ``host:port`` (or ``[v6]:port``) of a recursive DNS server. Without it only ``hosts`` is known
            and what DNS must prove fails.
        timeout: Seconds for one validation, redirects included.
        delay: Seconds to wait before each validation.
    """

    http_port: int = 80
    tls_port: int = 443
    hosts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    resolver: str | None = None
    timeout: float = 10.0
    delay: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class AcmeServerConfig:
    """The whole server.

    Attributes:
        host: Address to listen on, and the host in all URLs.
        port: 0 chooses a free one.
        require_terms: Whether accounts must agree to the terms of service.
        website: For people, in the directory.
        caa_identities: Names a CAA or dns-persist-01 record may name this CA by, in the directory. With them CAA is
            checked for all names that the resolver finds.
        external_account_keys: HMAC keys in base64url by key identifier (RFC 8555 section 7.3.4).
        external_account_required: Whether an account needs one of them.
        nonce_rejection_percent: Share of good nonces that are refused.
        challenge_types: Offered where the identifier allows them; dns-persist-01 needs ``caa_identities``.
        reuse_authorizations: Whether a new order takes over the account's valid authorizations.
        order_lifetime: Until an order, and a pending authorization, expires.
        authorization_lifetime: Until a valid authorization expires.
        finalize_delay: Seconds an order stays processing; 0 issues within the finalize request.
        retry_after: Seconds told with answers that a client polls; 0 leaves it to the client, except while an
            order is processing, where it is 1 at least.
        renewal_info_retry_after: Seconds told with renewal information.
        allow_internal_names: Whether names and addresses without meaning on the Internet are issued for.
        forbidden_domains: Refused with all that is below them.
    """

    host: str = "127.0.0.1"
    port: int = 0
    require_terms: bool = True
    website: str | None = None
    caa_identities: tuple[str, ...] = ()
    external_account_keys: Mapping[str, str] = field(default_factory=dict, repr=False)
    external_account_required: bool = False
    nonce_rejection_percent: int = 0
    challenge_types: tuple[str, ...] = ("http-01", "dns-01", "tls-alpn-01", "dns-persist-01")
    reuse_authorizations: bool = False
    order_lifetime: timedelta = timedelta(hours=8)
    authorization_lifetime: timedelta = timedelta(days=10)
    finalize_delay: float = 0.0
    retry_after: int = 0
    renewal_info_retry_after: int = 21_600
    allow_internal_names: bool = True
    forbidden_domains: tuple[str, ...] = ()
    ca: CaConfig = field(default_factory=CaConfig)
    validation: ValidationConfig = field(default_factory=ValidationConfig)
