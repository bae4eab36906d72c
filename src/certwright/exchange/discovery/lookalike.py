"""A certificate that looks like another one and says nothing of it: other names, another key, the same kind. Pure."""

from collections.abc import Callable
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from certwright.domain.keys import PrivateKey

_CURVES: tuple[type[ec.EllipticCurve], ...] = (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)
_KEPT: tuple[type[x509.ExtensionType], ...] = (x509.BasicConstraints, x509.KeyUsage, x509.ExtendedKeyUsage)

Rename = Callable[[str], str]


def similar_key(certificate: x509.Certificate) -> PrivateKey:
    """A new key of the kind and size that `certificate` is for."""
    public = certificate.public_key()
    if isinstance(public, ec.EllipticCurvePublicKey):
        curve = next((c for c in _CURVES if c().name == public.curve.name), ec.SECP256R1)
        return ec.generate_private_key(curve())
    size = public.key_size if isinstance(public, rsa.RSAPublicKey) else 2048
    return rsa.generate_private_key(public_exponent=65537, key_size=min(max(size, 2048), 4096))


def lookalike(certificate: x509.Certificate, key: PrivateKey, rename: Rename) -> x509.Certificate:
    """A certificate for `key` of the same validity and use, whose names are those of `certificate`, renamed.

    It is self-signed if the other is; else an authority of the moment signs it under the issuer's name, renamed.
    """
    own = certificate.subject == certificate.issuer
    builder = (
        x509.CertificateBuilder()
        .subject_name(_renamed(certificate.subject, rename))
        .issuer_name(_renamed(certificate.issuer, rename))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(certificate.not_valid_before_utc)
        .not_valid_after(certificate.not_valid_after_utc)
    )
    for extension in certificate.extensions:
        if isinstance(extension.value, _KEPT):
            builder = builder.add_extension(extension.value, critical=extension.critical)
        elif isinstance(extension.value, x509.SubjectAlternativeName):
            builder = _with_names(builder, extension.value, rename, critical=extension.critical)
    return builder.sign(key if own else _authority(), hashes.SHA256())


@cache
def _authority() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def _renamed(name: x509.Name, rename: Rename) -> x509.Name:
    return x509.Name(
        x509.RelativeDistinguishedName(
            x509.NameAttribute(part.oid, rename(_text(part.value)), _validate=False) for part in relative
        )
        for relative in name.rdns
    )


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode("latin-1")


def _with_names(
    builder: x509.CertificateBuilder, names: x509.SubjectAlternativeName, rename: Rename, *, critical: bool
) -> x509.CertificateBuilder:
    renamed = [x509.DNSName(rename(name.value)) for name in names if isinstance(name, x509.DNSName)]
    return builder.add_extension(x509.SubjectAlternativeName(renamed), critical=critical) if renamed else builder
