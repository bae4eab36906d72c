"""A certificate hierarchy in memory: leaf <- intermediate <- root, and a second root that cross-signed the first."""

from datetime import UTC, datetime, timedelta
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

_START = datetime(2026, 1, 1, tzinfo=UTC)


@cache
def _key(name: str) -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def _named(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _signed(subject: str, issuer: str) -> x509.Certificate:
    public = _key(subject).public_key()
    return (
        x509.CertificateBuilder(_named(issuer), _named(subject), public, x509.random_serial_number())
        .not_valid_before(_START)
        .not_valid_after(_START + timedelta(days=3650))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(_key(issuer), hashes.SHA256())
    )


@cache
def chains() -> dict[str, list[x509.Certificate]]:
    """Root's common name -> what a CA sends above the leaf so that the chain ends there."""
    intermediate = _signed("Intermediate 1", "Root 1")
    return {"Root 1": [intermediate], "Root 2": [intermediate, _signed("Root 1", "Root 2")]}


def issue(csr: x509.CertificateSigningRequest) -> x509.Certificate:
    names = csr.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    issuer = _key("Intermediate 1").public_key()
    return (
        x509.CertificateBuilder(_named("Intermediate 1"), csr.subject, csr.public_key(), x509.random_serial_number())
        .not_valid_before(_START)
        .not_valid_after(_START + timedelta(days=90))
        .add_extension(names.value, critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer), critical=False)
        .sign(_key("Intermediate 1"), hashes.SHA256())
    )


def pem(leaf: x509.Certificate, root: str) -> bytes:
    return b"".join(each.public_bytes(Encoding.PEM) for each in [leaf, *chains()[root]])


def request(*names: str, key: ec.EllipticCurvePrivateKey | None = None) -> bytes:
    """A CSR in DER for DNS names."""
    subject = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
    builder = x509.CertificateSigningRequestBuilder(x509.Name([])).add_extension(subject, critical=False)
    return builder.sign(key or ec.generate_private_key(ec.SECP256R1()), hashes.SHA256()).public_bytes(Encoding.DER)
