"""A certificate authority: roots, intermediates, and the certificates they sign (RFC 5280)."""

import ipaddress
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from certwright.acme_server.config import PROFILES, CaConfig, KeyType, Profile
from certwright.acme_server.identifiers import Identifier

Clock = Callable[[], datetime]
PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey
Chain = tuple[x509.Certificate, ...]

MAX_COMMON_NAME = 64  # RFC 5280 appendix A.1, ub-common-name
_BACKDATE = timedelta(hours=1)
_SECOND = timedelta(seconds=1)
_CA_AGE, _CA_LIFETIME = timedelta(days=5 * 365), timedelta(days=25 * 365)
_DOMAIN_VALIDATED = x509.ObjectIdentifier("2.23.140.1.2.1")  # CA/Browser Forum


def utc_now() -> datetime:
    """The time by the machine's clock."""
    return datetime.now(UTC)


def generate_key(key_type: KeyType) -> PrivateKey:
    """A new private key."""
    family, _, size = key_type.value.partition("-")
    if family == "rsa":
        return rsa.generate_private_key(public_exponent=65537, key_size=int(size))
    return ec.generate_private_key(ec.SECP256R1() if key_type is KeyType.ECDSA_P256 else ec.SECP384R1())


def pem(*certificates: x509.Certificate) -> bytes:
    """``certificates`` one after the other in PEM."""
    return b"".join(certificate.public_bytes(Encoding.PEM) for certificate in certificates)


@dataclass(frozen=True, slots=True)
class Issuance:
    """A new certificate with its chains: the leaf first, no root; the default chain first."""

    certificate: x509.Certificate
    chains: tuple[Chain, ...]


@dataclass(frozen=True, slots=True)
class KeyedCertificate:
    """A certificate the CA made together with its key, outside the protocol."""

    chain: Chain
    private_key: PrivateKey = field(repr=False)

    @property
    def certificate(self) -> x509.Certificate:
        """The certificate itself."""
        return self.chain[0]

    @property
    def chain_pem(self) -> bytes:
        """The certificate and its intermediate, PEM."""
        return pem(*self.chain)

    @property
    def private_key_pem(self) -> bytes:
        """The key, PEM, PKCS#8, not encrypted."""
        return self.private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@dataclass(frozen=True, slots=True)
class _Authority:
    """A key that signs, with the certificates for it: by the root, then by the alternate root."""

    key: PrivateKey = field(repr=False)
    certificates: Chain


class CertificateAuthority:
    """Two or more storeys: a root (and an alternate one), intermediates below, certificates below these.

    Safe to use from several threads.
    """

    def __init__(self, config: CaConfig | None = None, *, clock: Clock = utc_now) -> None:
        self.config = config or CaConfig()
        self._clock = clock
        self._roots = tuple(self._make_root(f"Root {n}") for n in range(1, 2 + self.config.alternate_root))
        numbers = itertools.count(1)
        self._intermediates = tuple(
            self._make_intermediate(f"{'R' if key_type.startswith('rsa') else 'E'}{next(numbers)}", key_type)
            for key_type in self.config.intermediate_keys
        )
        self._turn = itertools.cycle(self._intermediates)

    @property
    def roots(self) -> Chain:
        """The self-signed roots: the default one, then the alternate one if there is one."""
        return tuple(root.certificates[0] for root in self._roots)

    @property
    def root_pem(self) -> bytes:
        """The default root, PEM: what clients are told to trust."""
        return pem(self.roots[0])

    def issue(
        self,
        public_key: PublicKey,
        identifiers: Sequence[Identifier],
        profile: Profile,
        *,
        common_name: str | None = None,
        not_before: datetime | None = None,
        not_after: datetime | None = None,
    ) -> Issuance:
        """Sign a certificate for ``public_key`` by the intermediate whose turn it is.

        Args:
            public_key: The subscriber's key.
            identifiers: All names and addresses, already validated.
            profile: The kind of certificate.
            common_name: One of the names; used only if the profile has common names. By default the first
                that is short enough.
            not_before: By default an hour ago, or a tenth of the lifetime if that is less.
            not_after: By default the profile's lifetime after ``not_before``.
        """
        authority = next(self._turn)
        issuer = authority.certificates[0]
        not_before = not_before or self._clock() - min(_BACKDATE, profile.lifetime / 10)
        # RFC 5280 counts both ends, hence the second less.
        not_after = not_after or not_before + profile.lifetime - _SECOND
        subject = _common_name(common_name, identifiers) if profile.common_name else None
        builder = _builder(_name(subject), issuer.subject, public_key, not_before, not_after)
        for extension, critical in (
            (x509.BasicConstraints(ca=False, path_length=None), True),
            (_leaf_key_usage(public_key, profile), True),
            (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False),
            (x509.SubjectAlternativeName([name.general_name for name in identifiers]), subject is None),
            (x509.SubjectKeyIdentifier.from_public_key(public_key), False),
            (_authority_key_identifier(issuer), False),
            (x509.CertificatePolicies([x509.PolicyInformation(_DOMAIN_VALIDATED, None)]), False),
        ):
            builder = builder.add_extension(extension, critical=critical)
        certificate = _sign(builder, authority.key)
        return Issuance(certificate, tuple((certificate, upper) for upper in authority.certificates))

    def issue_directly(
        self,
        names: Sequence[str],
        key_type: KeyType = KeyType.ECDSA_P256,
        *,
        profile: Profile = PROFILES["classic"],
        not_before: datetime | None = None,
        not_after: datetime | None = None,
    ) -> KeyedCertificate:
        """Make a key and a certificate for DNS names and IP addresses without asking anyone.

        For servers of the operator's own, and for certificates of any age in a sandbox.
        """
        key = generate_key(key_type)
        identifiers = [_identifier(name) for name in names]
        made = self.issue(key.public_key(), identifiers, profile, not_before=not_before, not_after=not_after)
        return KeyedCertificate(made.chains[0], key)

    def _make_root(self, name: str) -> _Authority:
        key = generate_key(self.config.root_key)
        subject = self._ca_name(name)
        builder = self._ca_builder(subject, subject, key.public_key(), path_length=None)
        return _Authority(key, (_sign(builder, key),))

    def _make_intermediate(self, name: str, key_type: KeyType) -> _Authority:
        key = generate_key(key_type)
        certificates = []
        for root in self._roots:
            issuer = root.certificates[0]
            builder = self._ca_builder(self._ca_name(name), issuer.subject, key.public_key(), path_length=0)
            builder = builder.add_extension(_authority_key_identifier(issuer), critical=False)
            usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
            certificates.append(_sign(builder.add_extension(usage, critical=False), root.key))
        return _Authority(key, tuple(certificates))

    def _ca_builder(
        self, subject: x509.Name, issuer: x509.Name, public_key: PublicKey, *, path_length: int | None
    ) -> x509.CertificateBuilder:
        not_before = self._clock() - _CA_AGE
        builder = _builder(subject, issuer, public_key, not_before, not_before + _CA_LIFETIME)
        return (
            builder.add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
            .add_extension(_key_usage(key_cert_sign=True, crl_sign=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
        )

    def _ca_name(self, name: str) -> x509.Name:
        organization = self.config.organization
        return x509.Name(
            [
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization),
                x509.NameAttribute(NameOID.COMMON_NAME, f"{organization} {name}"),
            ]
        )


def _identifier(name: str) -> Identifier:
    try:
        return Identifier("ip", str(ipaddress.ip_address(name)))
    except ValueError:
        return Identifier("dns", name.lower())


def _common_name(wanted: str | None, identifiers: Sequence[Identifier]) -> str | None:
    names = [wanted] if wanted else [name.value for name in identifiers if name.type == "dns"]
    return next((name for name in names if len(name) <= MAX_COMMON_NAME), None)


def _name(common_name: str | None) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)] if common_name else [])


def _builder(
    subject: x509.Name, issuer: x509.Name, public_key: PublicKey, not_before: datetime, not_after: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(not_before)
        .not_valid_after(not_after)
    )


def _sign(builder: x509.CertificateBuilder, key: PrivateKey) -> x509.Certificate:
    large = isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.key_size > ec.SECP256R1().key_size
    return builder.sign(key, hashes.SHA384() if large else hashes.SHA256())


def _authority_key_identifier(issuer: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    extension = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(extension.value)


def _leaf_key_usage(public_key: PublicKey, profile: Profile) -> x509.KeyUsage:
    enciphers = profile.key_encipherment and isinstance(public_key, rsa.RSAPublicKey)
    return _key_usage(key_encipherment=enciphers)


def _key_usage(*, key_encipherment: bool = False, key_cert_sign: bool = False, crl_sign: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=key_encipherment,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        encipher_only=False,
        decipher_only=False,
    )
