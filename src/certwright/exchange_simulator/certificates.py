"""Certificates as a Windows store keeps them: with or without a key, a friendly name, Exchange's service flags."""

import datetime as dt
import enum
import functools
from collections.abc import Iterable
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import pkcs7, pkcs12
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from certwright.exchange_simulator.errors import Refused


def utc_now() -> dt.datetime:
    """Now, with its zone."""
    return dt.datetime.now(dt.UTC)


class Services(enum.IntFlag):
    """The flags of ``Enable-ExchangeCertificate -Services`` (AllowedServices on the wire)."""

    NONE = 0
    IMAP = 1
    POP = 2
    UM = 4
    IIS = 8
    SMTP = 16
    FEDERATION = 32
    UM_CALL_ROUTER = 64

    @classmethod
    def parse(cls, text: str) -> "Services":
        """Read ``"IIS, SMTP"``: names in any case, separated by commas.

        Raises:
            ValueError: A name is none of Exchange's.
        """
        flags = cls.NONE
        for name in filter(None, (part.strip() for part in text.split(","))):
            try:
                flags |= _SERVICE_NAMES[name.upper()]
            except KeyError:
                raise ValueError(name) from None
        return flags

    @property
    def letters(self) -> str:
        """ServicesStringForm, for example ``IP.WS..``."""
        return "".join(letter if flag in self else "." for flag, letter in zip(_LETTERED, "IPUWSF", strict=True)) + (
            "." if Services.UM_CALL_ROUTER not in self else "R"
        )


_LETTERED = (Services.IMAP, Services.POP, Services.UM, Services.IIS, Services.SMTP, Services.FEDERATION)
_SERVICE_NAMES = {flag.name.replace("_", ""): flag for flag in Services if flag.name} | {"NONE": Services.NONE}


class Status(enum.IntEnum):
    """CertificateStatus; 1 for Valid was seen in captures, the other numbers are ours."""

    UNKNOWN = 0
    VALID = 1
    REVOKED = 2
    DATE_INVALID = 3
    UNTRUSTED = 4
    INVALID = 5
    REVOCATION_CHECK_FAILURE = 6
    PENDING_REQUEST = 7


_KEY_STORAGE = "Key Storage Provider"
KEY_STORAGE_PROVIDER = f"Microsoft Software {_KEY_STORAGE}"
CRYPTO_SERVICE_PROVIDER = "Microsoft RSA SChannel Cryptographic Provider"


@dataclass(slots=True, eq=False)
class StoredCertificate:
    """One entry of a server's personal store.

    Attributes:
        status: Overrides what the dates say, for example `Status.REVOKED`.
        provider: What of Windows keeps the key; chosen by its type if empty.
        signature_only: Whether the key was made for signing (KeySpec 2) and cannot decrypt.
        readable_by_network_service: Whether Exchange's services may use the key.
    """

    certificate: x509.Certificate
    key: PrivateKeyTypes | None = field(default=None, repr=False)
    exportable: bool = False
    friendly_name: str = ""
    services: Services = Services.NONE
    status: Status | None = None
    provider: str = field(default="", repr=False)
    readable_by_network_service: bool = True
    signature_only: bool = False
    thumbprint: str = field(init=False)

    def __post_init__(self) -> None:
        # Windows names certificates by their SHA-1, whatever they are signed with.
        self.thumbprint = self.certificate.fingerprint(hashes.SHA1()).hex().upper()  # noqa: S303 - a name only
        self.provider = self.provider or (KEY_STORAGE_PROVIDER if self.on_elliptic_curve else CRYPTO_SERVICE_PROVIDER)

    @property
    def der(self) -> bytes:
        """The certificate in DER."""
        return self.certificate.public_bytes(serialization.Encoding.DER)

    @property
    def names(self) -> tuple[str, ...]:
        """The DNS names of the subject alternative name, else the common name."""
        try:
            extension = self.certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        except x509.ExtensionNotFound:
            return (self.common_name,) if self.common_name else ()
        return tuple(extension.value.get_values_for_type(x509.DNSName))

    @property
    def common_name(self) -> str:
        """The subject's first CN, or nothing."""
        attributes = self.certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        return str(attributes[0].value) if attributes else ""

    @property
    def self_signed(self) -> bool:
        """Whether its own key signed it."""
        if self.certificate.issuer != self.certificate.subject:
            return False
        try:
            self.certificate.verify_directly_issued_by(self.certificate)
        except (InvalidSignature, TypeError, ValueError):
            return False
        return True

    @property
    def on_elliptic_curve(self) -> bool:
        """Whether its key is one of elliptic curves."""
        return isinstance(self.certificate.public_key(), ec.EllipticCurvePublicKey)

    @property
    def in_key_storage_provider(self) -> bool:
        """Whether its key is kept by a provider of Windows' newer interface (CNG)."""
        return _KEY_STORAGE in self.provider

    @property
    def tls_certificate_name(self) -> str:
        """The SmtpX509Identifier ``<I>issuer<S>subject`` that connectors name this certificate by."""
        subject, issuer = (distinguished_name(n) for n in (self.certificate.subject, self.certificate.issuer))
        return f"<I>{issuer}<S>{subject}"

    def covers(self, name: str) -> bool:
        """Whether `name` is among the names, a wildcard standing for one label."""
        wanted = name.lower().rstrip(".")
        wildcard = "*." + wanted.partition(".")[2]
        return any(own.lower() in {wanted, wildcard} for own in self.names)

    def valid_at(self, now: dt.datetime) -> bool:
        """Whether `now` is within its dates."""
        return self.certificate.not_valid_before_utc <= now <= self.certificate.not_valid_after_utc

    def status_at(self, now: dt.datetime) -> Status:
        """What Exchange would show as its Status."""
        if self.status is not None:
            return self.status
        return Status.VALID if self.valid_at(now) else Status.DATE_INVALID


def best_for(name: str, candidates: Iterable[StoredCertificate], now: dt.datetime) -> StoredCertificate | None:
    """The certificate that Exchange's transport, POP and IMAP services choose for `name`.

    A usable one before a revoked or expired one, one issued by a CA before a self-signed one, then the newest
    (NotBefore, then NotAfter, then the last added).
    """
    covering = [(index, c) for index, c in enumerate(candidates) if c.key is not None and c.covers(name)]

    def rank(item: tuple[int, StoredCertificate]) -> tuple[bool, bool, dt.datetime, dt.datetime, int]:
        index, candidate = item
        usable = candidate.status_at(now) in {Status.VALID, Status.UNTRUSTED, Status.REVOCATION_CHECK_FAILURE}
        own = candidate.certificate
        return (
            usable,
            not candidate.self_signed,
            own.not_valid_before_utc,
            own.not_valid_after_utc,
            index,
        )

    return max(covering, key=rank)[1] if covering else None


_PBES2 = bytes.fromhex("06092a864886f70d01050d")  # the identifier 1.2.840.113549.1.5.13, with which AES comes
_UNREADABLE = "Cannot import certificate. The data is invalid or the password specified is incorrect."


@dataclass(frozen=True, slots=True)
class Bundle:
    """What an imported file holds."""

    certificate: x509.Certificate
    key: PrivateKeyTypes | None = field(repr=False)
    others: tuple[x509.Certificate, ...]
    friendly_name: str
    provider: str = ""

    @property
    def only_issuers(self) -> bool:
        """Whether it holds certificates of authorities alone, and no key."""
        return self.key is None and all(map(_is_authority, (self.certificate, *self.others)))


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def read_bundle(data: bytes, password: str | None, *, opens_aes: bool = True) -> Bundle:
    """Read a PKCS#12 or PKCS#7 file as ``Import-ExchangeCertificate -FileData`` does.

    Args:
        data: The file.
        password: Its password.
        opens_aes: Whether Windows is new enough for PKCS#12 with AES; older ones call the password wrong.

    Raises:
        Refused: The password is wrong or the data are neither.
    """
    secret = password.encode() if password else None
    try:
        loaded = pkcs12.load_pkcs12(data, secret)
    except ValueError:
        return _read_pkcs7(data)
    if not opens_aes and _PBES2 in data:
        raise Refused(_UNREADABLE)
    certificates = [c for c in (loaded.cert, *loaded.additional_certs) if c is not None]
    if not certificates:
        raise Refused("The file does not contain a certificate.")
    leaf = loaded.cert or _leaf(certificates)
    name = (leaf.friendly_name or b"").decode(errors="replace")
    others = tuple(c.certificate for c in certificates if c is not leaf)
    # The attribute that names the provider lies in clear beside the encrypted key.
    provider = KEY_STORAGE_PROVIDER if _KEY_STORAGE.encode("utf-16-be") in data else ""
    return Bundle(leaf.certificate, loaded.key, others, name, provider)


def _leaf(certificates: list[pkcs12.PKCS12Certificate]) -> pkcs12.PKCS12Certificate:
    issuers = {c.certificate.issuer for c in certificates}
    return next((c for c in certificates if c.certificate.subject not in issuers), certificates[0])


def _read_pkcs7(data: bytes) -> Bundle:
    try:
        certificates = pkcs7.load_der_pkcs7_certificates(data)
    except ValueError:
        raise Refused(_UNREADABLE) from None
    issuers = {c.issuer for c in certificates}
    leaf = next((c for c in certificates if c.subject not in issuers), certificates[0])
    return Bundle(leaf, None, tuple(c for c in certificates if c is not leaf), "")


@functools.cache
def setup_key(_purpose: str) -> rsa.RSAPrivateKey:
    """The key of what setup makes for one purpose: the same for all servers of this process; making one takes long."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def self_signed(
    common_name: str,
    names: Iterable[str],
    *,
    now: dt.datetime,
    age: int = 30,
    life: dt.timedelta = dt.timedelta(days=5 * 365),
    key: rsa.RSAPrivateKey | None = None,
) -> tuple[x509.Certificate, rsa.RSAPrivateKey]:
    """A self-signed RSA-2048 certificate as Exchange makes it: `age` days old, and valid for `life` from now."""
    key = key or rsa.generate_private_key(public_exponent=65537, key_size=2048)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=age))
        .not_valid_after(now + life)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    )
    dns_names = [x509.DNSName(name) for name in names]
    if dns_names:
        builder = builder.add_extension(x509.SubjectAlternativeName(dns_names), critical=False)
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
    builder = builder.add_extension(usage, critical=False)
    return builder.sign(key, hashes.SHA256()), key


_WINDOWS_LABELS = {
    NameOID.COMMON_NAME: "CN",
    NameOID.ORGANIZATION_NAME: "O",
    NameOID.ORGANIZATIONAL_UNIT_NAME: "OU",
    NameOID.COUNTRY_NAME: "C",
    NameOID.STATE_OR_PROVINCE_NAME: "S",
    NameOID.LOCALITY_NAME: "L",
    NameOID.EMAIL_ADDRESS: "E",
    NameOID.DOMAIN_COMPONENT: "DC",
    NameOID.STREET_ADDRESS: "STREET",
    NameOID.SERIAL_NUMBER: "SERIALNUMBER",
}


def distinguished_name(name: x509.Name) -> str:
    """`name` as .NET's X509Certificate2 shows it: last RDN first, ``, `` between, ``S`` for state."""
    parts = []
    for attribute in reversed(list(name)):
        label = _WINDOWS_LABELS.get(attribute.oid, f"OID.{attribute.oid.dotted_string}")
        value = str(attribute.value)
        if any(c in value for c in ',+="\n<>#;') or value != value.strip():
            value = '"' + value.replace('"', '""') + '"'
        parts.append(f"{label}={value}")
    return ", ".join(parts)
