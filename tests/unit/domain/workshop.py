"""X.509 by hand: authorities, cross-signs, requests and odd certificates, for the tests of the domain."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from hypothesis import strategies as st

START = datetime(2026, 11, 1, tzinfo=UTC)


def ec_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@lru_cache(maxsize=1)
def rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def distinguished(common_name: str | None) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)] if common_name else [])


def general_names(names: Sequence[str]) -> list[x509.GeneralName]:
    """DNS names, but what looks like an address becomes one."""
    return [x509.IPAddress(ip_address(n)) if n[0].isdigit() or ":" in n else x509.DNSName(n) for n in names]


@dataclass(frozen=True)
class Authority:
    """A name with a key: it certifies others, and itself."""

    name: str
    key: ec.EllipticCurvePrivateKey = field(default_factory=ec_key)

    def certify(
        self,
        subject: str,
        key: CertificateIssuerPrivateKeyTypes,
        *,
        names: Sequence[x509.GeneralName] = (),
        ca: bool = False,
        start: datetime = START,
        lifetime: timedelta = timedelta(days=90),
        serial: int | None = None,
        usages: Sequence[str] = (),
    ) -> x509.Certificate:
        builder = (
            x509.CertificateBuilder(distinguished(self.name), distinguished(subject), key.public_key())
            .serial_number(serial or x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(start + lifetime)
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        if usages:
            purposes = x509.ExtendedKeyUsage([x509.ObjectIdentifier(usage) for usage in usages])
            builder = builder.add_extension(purposes, critical=False)
        return builder.sign(self.key, hashes.SHA256())

    def root(self) -> x509.Certificate:
        return self.certify(self.name, self.key, ca=True, lifetime=timedelta(days=3650))

    def issuer_certificate(self, below: "Authority") -> x509.Certificate:
        """A CA certificate for `below`: an intermediate, or a cross-sign if it has a root of its own."""
        return self.certify(below.name, below.key, ca=True, lifetime=timedelta(days=1800))


def request(
    common_name: str | None,
    names: Sequence[x509.GeneralName] = (),
    key: CertificateIssuerPrivateKeyTypes | None = None,
) -> x509.CertificateSigningRequest:
    builder = x509.CertificateSigningRequestBuilder().subject_name(distinguished(common_name))
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    signing = key or ec_key()
    return builder.sign(
        signing, hashes.SHA256() if isinstance(signing, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) else None
    )


def leaf(*names: str, lifetime: timedelta = timedelta(days=90)) -> x509.Certificate:
    """A self-signed server certificate."""
    key = ec_key()
    return Authority(names[0], key).certify(names[0], key, names=general_names(names), lifetime=lifetime)


def der(thing: x509.Certificate | x509.CertificateSigningRequest) -> bytes:
    return thing.public_bytes(Encoding.DER)


@st.composite
def damaged(draw: st.DrawFn, good: bytes) -> bytes:
    """`good` with a few bytes changed, removed or added."""
    data = bytearray(good)
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(data) - 1))
        match draw(st.sampled_from(["change", "change", "change", "remove", "add", "cut"])):
            case "change":
                data[at] = draw(st.integers(0, 255))
            case "remove" if len(data) > 1:
                del data[at]
            case "add":
                data.insert(at, draw(st.integers(0, 255)))
            case _ if at:
                del data[at:]
    return bytes(data)
