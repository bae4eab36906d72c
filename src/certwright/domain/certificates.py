"""X.509 facts: names, dates, thumbprints, chain order, signing requests, and which key belongs to what."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address
from typing import Self

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from certwright.domain.errors import InvalidIdentifier, InvalidMaterial
from certwright.domain.identifiers import MAX_COMMON_NAME, Identifier, IdentifierType
from certwright.domain.keys import PrivateKey, PublicKey, key_type

MAX_CHAIN = 10


@dataclass(frozen=True, slots=True)
class CertificateFacts:
    """What one X.509 certificate says.

    `subject` and `issuer` are RFC 4514 strings for people; Exchange writes names differently: never send it these.
    `thumbprint` is SHA-1 in upper-case hex, as Windows shows it; `sha256` is lower-case hex. Dates are aware, in UTC.
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

    @classmethod
    def of(cls, certificate: x509.Certificate) -> Self:
        """Read the facts of `certificate`; never fails for a certificate that parsed."""
        return cls(
            subject=_name(certificate.subject),
            common_name=_common_name(certificate.subject),
            issuer=_name(certificate.issuer),
            issuer_common_name=_common_name(certificate.issuer),
            names=_names(certificate),
            not_before=certificate.not_valid_before_utc,
            not_after=certificate.not_valid_after_utc,
            serial=f"{certificate.serial_number:x}",
            thumbprint=certificate.fingerprint(hashes.SHA1()).hex().upper(),  # noqa: S303 - Windows' identifier, not a safeguard
            sha256=certificate.fingerprint(hashes.SHA256()).hex(),
            key=_key_label(certificate),
            is_self_signed=certificate.subject == certificate.issuer and _signed_by(certificate, certificate),
            is_ca=_is_ca(certificate),
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
        return any(name.covers(host) for name in self.names)


def load_certificates(data: bytes) -> list[x509.Certificate]:
    """All certificates of a PEM text, or the one of a DER file, in the order found.

    Raises:
        InvalidMaterial: if there is none, too many, or one cannot be read.
    """
    try:
        if b"-----BEGIN" in data:
            found = x509.load_pem_x509_certificates(data)
        else:
            found = [x509.load_der_x509_certificate(data)]
    except ValueError as error:
        raise InvalidMaterial("The certificate cannot be read: it is neither PEM nor DER, or it is damaged.") from error
    if len(found) > MAX_CHAIN:
        raise InvalidMaterial(f"The file holds {len(found)} certificates; a chain has at most {MAX_CHAIN}.")
    return found


def order_chain(certificates: Sequence[x509.Certificate]) -> list[x509.Certificate]:
    """Leaf first, then each certificate's issuer; what does not belong to the leaf's chain is left out.

    Raises:
        InvalidMaterial: if no leaf, or more than one, can be found.
    """
    unique = list(dict.fromkeys(certificates))
    leaves = [c for c in unique if not any(c.issuer != c.subject and o is not c and _issued(c, o) for o in unique)]
    ends = [c for c in leaves if not _is_ca(c)] or (leaves if len(leaves) == 1 else [])
    if len(ends) != 1:
        raise InvalidMaterial(f"The chain has {len(ends)} certificates that issued no other; exactly one was expected.")
    chain = [ends[0]]
    while parent := next((c for c in unique if c not in chain and _issued(c, chain[-1])), None):
        chain.append(parent)
    return chain


def key_matches(key: PrivateKey, certificate: x509.Certificate | x509.CertificateSigningRequest) -> bool:
    """Whether `certificate` was made for `key`."""
    return _spki(key.public_key()) == _spki(certificate.public_key())


def build_request(identifiers: Sequence[Identifier], key: PrivateKey) -> bytes:
    """A PKCS#10 request in DER for `identifiers`, signed by `key`.

    The first DNS name that fits (64 characters) becomes the common name: Exchange's connectors refer to it.
    """
    common = next(
        (i.value for i in identifiers if i.type is IdentifierType.DNS and len(i.value) <= MAX_COMMON_NAME),
        None,
    )
    subject = [x509.NameAttribute(NameOID.COMMON_NAME, common)] if common else []
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(subject))
    builder = builder.add_extension(
        x509.SubjectAlternativeName([_general_name(i) for i in identifiers]), critical=False
    )
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)


def load_request(data: bytes) -> x509.CertificateSigningRequest:
    """Read a PKCS#10 request in PEM or DER whose signature is right and whose key can be signed.

    Raises:
        InvalidMaterial: otherwise.
    """
    load = x509.load_pem_x509_csr if b"-----BEGIN" in data else x509.load_der_x509_csr
    try:
        request = load(data)
        valid = request.is_signature_valid
    except (ValueError, InvalidSignature) as error:
        raise InvalidMaterial("The signing request cannot be read: it is neither PEM nor DER, or damaged.") from error
    if not valid:
        raise InvalidMaterial("The signing request's own signature is wrong.", hint="Make it again with its key.")
    public_key_type(request)
    return request


def public_key_type(holder: x509.Certificate | x509.CertificateSigningRequest) -> str:
    """The kind of key `holder` was made for.

    Raises:
        InvalidMaterial: for kinds that authorities do not sign.
    """
    key = holder.public_key()
    if not isinstance(key, PublicKey):
        raise InvalidMaterial("The key is neither RSA nor ECDSA.")
    return key_type(key).value


def request_identifiers(request: x509.CertificateSigningRequest) -> tuple[Identifier, ...]:
    """The names a request asks for: its alternative names, or its common name when there are none.

    Raises:
        InvalidMaterial: if it names nothing, or names what we cannot handle.
    """
    try:
        names = _alternative_names(request.extensions)
        common = _common_name(request.subject)
        found = names or ((Identifier.parse(common),) if common else ())
    except (InvalidIdentifier, ValueError, x509.ExtensionNotFound) as error:
        raise InvalidMaterial(f"The signing request has a name that cannot be used: {error}") from error
    if not found:
        raise InvalidMaterial("The signing request names nothing.", hint="Make it with subject alternative names.")
    return found


def pem(certificates: Iterable[x509.Certificate]) -> bytes:
    """The certificates as PEM, one after the other."""
    return b"".join(c.public_bytes(Encoding.PEM) for c in certificates)


def _spki(key: object) -> bytes | None:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) if isinstance(key, PublicKey) else None


def _general_name(identifier: Identifier) -> x509.GeneralName:
    if identifier.type is IdentifierType.IP:
        return x509.IPAddress(ip_address(identifier.value))
    return x509.DNSName(identifier.value)


def _names(certificate: x509.Certificate) -> tuple[Identifier, ...]:
    try:
        return _alternative_names(certificate.extensions)
    except (ValueError, InvalidIdentifier):
        return ()


def _alternative_names(extensions: x509.Extensions) -> tuple[Identifier, ...]:
    try:
        alternatives = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    texts = [*alternatives.get_values_for_type(x509.DNSName)]
    texts += [str(address) for address in alternatives.get_values_for_type(x509.IPAddress)]
    found: dict[Identifier, None] = {}
    for text in texts:
        try:
            found.setdefault(Identifier.parse(text))
        except InvalidIdentifier:
            continue  # certificates of strangers carry names such as EX01_OLD; they cover nothing
    return tuple(found)


def _name(name: x509.Name) -> str:
    return name.rfc4514_string()


def _common_name(name: x509.Name) -> str | None:
    values = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(values[0].value) if values else None


def _key_label(certificate: x509.Certificate) -> str:
    try:
        return public_key_type(certificate)
    except (InvalidMaterial, ValueError):
        return "other"


def _is_ca(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (x509.ExtensionNotFound, ValueError):
        return False


def _issued(issuer: x509.Certificate, subject: x509.Certificate) -> bool:
    return subject.issuer == issuer.subject and _signed_by(subject, issuer)


def _signed_by(subject: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        subject.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True
