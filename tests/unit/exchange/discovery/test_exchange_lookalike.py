import datetime as dt

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from certwright.exchange.discovery.lookalike import lookalike, similar_key
from peers.exchange_shell import TestAuthority

START = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


def renamed(name: str) -> str:
    return name.replace("contoso", "n1")


def self_signed(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> x509.Certificate:
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, "mail.contoso.com"),
            x509.NameAttribute(NameOID.COUNTRY_NAME, "DE"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "contoso"),
        ]
    )
    return (
        x509.CertificateBuilder(name, name, key.public_key(), 7, START, START + dt.timedelta(days=9))
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("mail.contoso.com")]), critical=False)
        .sign(key, hashes.SHA256())
    )


@pytest.mark.parametrize(
    "key", [ec.generate_private_key(ec.SECP384R1()), rsa.generate_private_key(public_exponent=65537, key_size=2048)]
)
def test_a_self_signed_certificate(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> None:
    original = self_signed(key)
    made = lookalike(original, similar_key(original), renamed)
    assert made.subject.rfc4514_string() == "O=n1,C=DE,CN=mail.n1.com"
    made.verify_directly_issued_by(made)
    assert made.public_key().key_size == original.public_key().key_size  # type: ignore[union-attr]
    assert made.public_key() != original.public_key()
    assert (made.not_valid_before_utc, made.not_valid_after_utc) == (
        original.not_valid_before_utc,
        original.not_valid_after_utc,
    )
    assert made.serial_number != original.serial_number
    usage = made.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.SERVER_AUTH]
    names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["mail.n1.com"]


def test_an_issued_certificate_is_not_self_signed() -> None:
    original = TestAuthority().issue("mail.contoso.com").certificate
    made = lookalike(original, similar_key(original), renamed)
    assert made.issuer == original.issuer
    with pytest.raises(ValueError, match="Issuer"):
        made.verify_directly_issued_by(made)
