"""X.509 facts: names, dates, thumbprints, chain order, signing requests, and which key belongs to what."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address
from typing import Self, TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from certwright.domain.errors import InvalidIdentifier, InvalidMaterial
from certwright.domain.identifiers import MAX_COMMON_NAME, Identifier, IdentifierType, covered
from certwright.domain.keys import PrivateKey, PublicKey, is_pem, key_type

MAX_CHAIN = 10
MAX_FILE = 1 << 20
# What `cryptography` raises where a structure parsed, but a part of it that it reads late is malformed or unknown.
_UNREADABLE = (
    ValueError,
    TypeError,
    InvalidSignature,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.ExtensionNotFound,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)
SERVER_AUTHENTICATION = ExtendedKeyUsageOID.SERVER_AUTH.dotted_string
CLIENT_AUTHENTICATION = ExtendedKeyUsageOID.CLIENT_AUTH.dotted_string
EMAIL_PROTECTION = ExtendedKeyUsageOID.EMAIL_PROTECTION.dotted_string
_ANY_PURPOSE = ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE.dotted_string
_USABLE_KEYS = "Use RSA with 2048, 3072 or 4096 bits, or ECDSA on P-256 or P-384."

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class CertificateFacts:
    """What one X.509 certificate says.

    `subject` and `issuer` are RFC 4514 strings for people; Exchange writes names differently: never send it these.
    `names` are those of the subject alternative name that a client would match; the common name never counts
    (RFC 9525 section 2). `thumbprint` is SHA-1 in upper-case hex, as Windows shows it; `sha256` and `serial` are
    lower-case hex. `key` is a `KeyType`, or "other". Dates are aware, in UTC. `extended_key_usage` are object
    identifiers in dotted form; it is empty if the certificate does not limit its use (RFC 5280 section 4.2.1.12), and
    None if that is not known.
    """

    subject: str
    common_name: str | None
    issuer: str
    issuer_common_name: str | None
    names: tuple[Identifier, ...]
    not_before: datetime
    not_after: datetime
    serial: str
    thumbprint: str
    sha256: str
    key: str
    is_self_signed: bool
    is_ca: bool
    extended_key_usage: tuple[str, ...] | None = None

    @classmethod
    def of(cls, certificate: x509.Certificate) -> Self:
        """Read the facts of `certificate`.

        Never fails for a certificate that parsed: what it says in a malformed way counts as not said.
        """
        return cls(
            subject=_read(lambda: _text(certificate.subject), ""),
            common_name=_read(lambda: _common_name(certificate.subject), None),
            issuer=_read(lambda: _text(certificate.issuer), ""),
            issuer_common_name=_read(lambda: _common_name(certificate.issuer), None),
            names=_read(lambda: _names(certificate), ()),
            not_before=certificate.not_valid_before_utc,
            not_after=certificate.not_valid_after_utc,
            serial=f"{certificate.serial_number:x}",
            thumbprint=certificate.fingerprint(hashes.SHA1()).hex().upper(),  # noqa: S303 - Windows' identifier, not a safeguard
            sha256=certificate.fingerprint(hashes.SHA256()).hex(),
            key=_read(lambda: public_key_type(certificate), "other"),
            is_self_signed=_issued(certificate, certificate),
            is_ca=_is_ca(certificate),
            extended_key_usage=_read(lambda: _extended_key_usage(certificate), None),
        )

    @property
    def lifetime(self) -> timedelta:
        """From the first to the last valid moment."""
        return self.not_after - self.not_before

    def is_valid_at(self, now: datetime) -> bool:
        """Whether `now` lies within the validity dates."""
        return self.not_before <= now <= self.not_after

    def covers(self, host: str) -> bool:
        """Whether the certificate is valid for `host`."""
        return bool(covered(self.names, (host,)))

    def allows(self, purpose: str) -> bool | None:
        """Whether the certificate may be used for `purpose`, such as `CLIENT_AUTHENTICATION`; None if unknown."""
        if self.extended_key_usage is None:
            return None
        return not self.extended_key_usage or bool({purpose, _ANY_PURPOSE} & set(self.extended_key_usage))


def load_certificates(data: bytes) -> list[x509.Certificate]:
    """All certificates of a PEM text, or the one of a DER file, in the order found; other PEM blocks are passed over.

    Raises:
        InvalidMaterial: if there is none, too many, or one cannot be read.
    """
    _refuse_size(data)
    try:
        found = x509.load_pem_x509_certificates(data) if is_pem(data) else [x509.load_der_x509_certificate(data)]
    except _UNREADABLE as error:
        raise InvalidMaterial(
            "The certificate cannot be read: it is neither PEM nor DER, or it is damaged.",
            hint="Export it again, as Base-64 (PEM) or binary (DER) X.509.",
        ) from error
    if len(found) > MAX_CHAIN:
        raise InvalidMaterial(f"The file holds {len(found)} certificates; a chain has at most {MAX_CHAIN}.")
    return found


def order_chain(certificates: Sequence[x509.Certificate]) -> list[x509.Certificate]:
    """Leaf first, then each certificate's issuer; duplicates and what is not of the leaf's chain are left out.

    Where several certificates of one issuer fit, a cross-signed one is preferred to a self-signed one, because it
    leads on to a root that older clients know; among equals the first given is taken. A self-signed one ends the chain.

    Raises:
        InvalidMaterial: if no leaf, or more than one, can be found.
    """
    unique = list(dict.fromkeys(certificates))
    if len(unique) > MAX_CHAIN:
        raise InvalidMaterial(f"{len(unique)} certificates were given; a chain has at most {MAX_CHAIN}.")
    ends = [c for c in unique if not any(_issued(c, other) for other in unique if other is not c)]
    leaves = [c for c in ends if not _is_ca(c)] or ends
    if len(leaves) != 1:
        raise InvalidMaterial(
            f"{len(leaves)} of the {len(unique)} certificates could be the server's own; exactly one was expected.",
            hint="Give the server's certificate and those of its issuers, and no others.",
        )
    chain = [*leaves]
    issuers = sorted(unique, key=lambda c: _issued(c, c))
    while not _issued(chain[-1], chain[-1]):
        issuer = next((c for c in issuers if c not in chain and _issued(c, chain[-1])), None)
        if issuer is None:
            break
        chain.append(issuer)
    return chain


def key_matches(key: PrivateKey, certificate: x509.Certificate | x509.CertificateSigningRequest) -> bool:
    """Whether `certificate` was made for `key`."""
    return _read(lambda: certificate.public_key() == key.public_key(), otherwise=False)


def build_request(identifiers: Sequence[Identifier], key: PrivateKey) -> bytes:
    """A PKCS#10 request in DER for `identifiers`, signed by `key`.

    The first DNS name that fits (64 characters) becomes the common name: Exchange's connectors refer to it. Without
    one the subject is empty, and then the alternative names are critical (RFC 5280 section 4.2.1.6).
    """
    common = next(
        (i.value for i in identifiers if i.type is IdentifierType.DNS and len(i.value) <= MAX_COMMON_NAME),
        None,
    )
    subject = [x509.NameAttribute(NameOID.COMMON_NAME, common)] if common else []
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(subject))
    alternatives = x509.SubjectAlternativeName([_general_name(i) for i in identifiers])
    builder = builder.add_extension(alternatives, critical=not subject)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)


def self_signed(
    identifiers: Sequence[Identifier], key: PrivateKey, now: datetime, lifetime: timedelta
) -> x509.Certificate:
    """A certificate for TLS servers that `key` has signed itself; clients trust it by its fingerprint alone."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, identifiers[0].value[:MAX_COMMON_NAME])])
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))  # clocks of clients may be late
        .not_valid_after(now + lifetime)
        .add_extension(x509.SubjectAlternativeName([_general_name(i) for i in identifiers]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )


def load_request(data: bytes) -> x509.CertificateSigningRequest:
    """Read a PKCS#10 request in PEM or DER whose signature is right and whose key can be signed.

    Raises:
        InvalidMaterial: otherwise.
    """
    _refuse_size(data)
    load = x509.load_pem_x509_csr if is_pem(data) else x509.load_der_x509_csr
    try:
        request = load(data)
        valid = request.is_signature_valid
    except _UNREADABLE as error:
        raise InvalidMaterial(
            "The signing request cannot be read: it is neither PEM nor DER, or it is damaged.",
            hint="Give the PKCS#10 request itself; in PEM it begins with BEGIN CERTIFICATE REQUEST.",
        ) from error
    if not valid:
        raise InvalidMaterial("The signing request's own signature is wrong.", hint="Make it again with its key.")
    public_key_type(request)
    return request


def public_key_type(holder: x509.Certificate | x509.CertificateSigningRequest) -> str:
    """The kind of key `holder` was made for.

    Raises:
        InvalidMaterial: for kinds that authorities do not sign.
    """
    try:
        key = holder.public_key()
    except _UNREADABLE as error:
        raise InvalidMaterial("The public key is of a kind that is not known here.", hint=_USABLE_KEYS) from error
    if not isinstance(key, PublicKey):
        raise InvalidMaterial("The public key is neither RSA nor ECDSA.", hint=_USABLE_KEYS)
    return key_type(key).value


def request_identifiers(request: x509.CertificateSigningRequest) -> tuple[Identifier, ...]:
    """The names a request asks for: its common name and its alternative names together (RFC 8555 section 7.4).

    An authority compares exactly these with the order, so nothing in them may be passed over.

    Raises:
        InvalidMaterial: if it names nothing, or names what cannot be ordered.
    """
    try:
        alternatives: list[x509.GeneralName] = list(_alternatives(request.extensions))
        common = _common_name(request.subject)
    except _UNREADABLE as error:
        raise InvalidMaterial("The names in the signing request are damaged.", hint="Make it again.") from error
    found = {name.value: _identifier(name) for name in alternatives}
    if common is not None:
        found.setdefault(common, _exact(common))
    wrong = [str(value) for value, identifier in found.items() if identifier is None]
    if wrong:
        raise InvalidMaterial(
            f"The signing request names {', '.join(map(repr, wrong))}, which no authority can check.",
            hint="Make it with host names and IP addresses only, in the common name too, and international names "
            "as A-labels (xn--...).",
        )
    names = tuple(dict.fromkeys(identifier for identifier in found.values() if identifier))
    if not names:
        raise InvalidMaterial("The signing request names nothing.", hint="Make it with subject alternative names.")
    return names


def pem(certificates: Iterable[x509.Certificate]) -> bytes:
    """The certificates as PEM, one after the other."""
    return b"".join(c.public_bytes(Encoding.PEM) for c in certificates)


def _read(read: Callable[[], _T], otherwise: _T) -> _T:
    """What `read` finds in a certificate, or `otherwise` where that part is malformed or unknown."""
    try:
        return read()
    except (*_UNREADABLE, InvalidMaterial):
        return otherwise


def _refuse_size(data: bytes) -> None:
    if len(data) > MAX_FILE:
        raise InvalidMaterial(f"The file has {len(data)} bytes; {MAX_FILE} are the most that are read.")


def _general_name(identifier: Identifier) -> x509.GeneralName:
    if identifier.type is IdentifierType.IP:
        return x509.IPAddress(ip_address(identifier.value))
    return x509.DNSName(identifier.value)


def _names(certificate: x509.Certificate) -> tuple[Identifier, ...]:
    """The alternative names that can cover a host; certificates of strangers carry others, such as EX01_OLD."""
    found = (_identifier(name) for name in _alternatives(certificate.extensions))
    return tuple(dict.fromkeys(identifier for identifier in found if identifier))


def _alternatives(extensions: x509.Extensions) -> Iterable[x509.GeneralName]:
    try:
        return extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()


def _extended_key_usage(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        usages = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return ()
    return tuple(usage.dotted_string for usage in usages)


def _identifier(name: x509.GeneralName) -> Identifier | None:
    """What `name` covers; an address only if it is an IP address by type, a host only as clients would match it."""
    if not isinstance(name, x509.DNSName | x509.IPAddress):
        return None
    found = _exact(str(name.value))
    wanted = IdentifierType.IP if isinstance(name, x509.IPAddress) else IdentifierType.DNS
    return found if found and found.type is wanted else None


def _exact(text: str) -> Identifier | None:
    """The identifier that is written exactly so, but for case."""
    try:
        found = Identifier.parse(text)
    except InvalidIdentifier:
        return None
    return found if found.value == text.lower() else None


def _text(name: x509.Name) -> str:
    return name.rfc4514_string()


def _common_name(name: x509.Name) -> str | None:
    values = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(values[0].value) if values else None


def _is_ca(certificate: x509.Certificate) -> bool:
    def ca() -> bool:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca

    return _read(ca, otherwise=False)


def _issued(issuer: x509.Certificate, subject: x509.Certificate) -> bool:
    try:
        if subject.issuer != issuer.subject:
            return False
        subject.verify_directly_issued_by(issuer)
    except _UNREADABLE:
        return False
    return True
