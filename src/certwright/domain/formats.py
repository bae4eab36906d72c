"""The files a certificate version can be written as: PEM parts, PKCS#12 and DER."""

from collections.abc import Sequence
from enum import StrEnum

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    KeySerializationEncryption,
    PrivateFormat,
    pkcs12,
)

from certwright.domain.certificates import key_matches
from certwright.domain.errors import InvalidMaterial
from certwright.domain.keys import PrivateKey


class PfxCipher(StrEnum):
    """How a PKCS#12 file is encrypted.

    `legacy` is 3DES with SHA-1, the only form Windows up to Server 2016 reads; `modern` is AES-256 with SHA-256.
    """

    LEGACY = "legacy"
    MODERN = "modern"


def pkcs12_bytes(
    key: PrivateKey, chain: Sequence[x509.Certificate], password: str, cipher: PfxCipher, friendly_name: str
) -> bytes:
    """`key`, its certificate and the intermediates in one PKCS#12 file; a root in `chain` is left out.

    Raises:
        InvalidMaterial: if the key does not belong to the first certificate.
    """
    leaf, *rest = chain
    if not key_matches(key, leaf):
        raise InvalidMaterial("The private key does not belong to the certificate.")
    intermediates = [c for c in rest if c.subject != c.issuer]
    return pkcs12.serialize_key_and_certificates(
        friendly_name.encode(), key, leaf, intermediates, _encryption(password.encode(), cipher)
    )


def _encryption(password: bytes, cipher: PfxCipher) -> KeySerializationEncryption:
    if cipher is PfxCipher.MODERN:
        return BestAvailableEncryption(password)
    builder = PrivateFormat.PKCS12.encryption_builder().kdf_rounds(50_000)
    algorithm = pkcs12.PBES.PBESv1SHA1And3KeyTripleDESCBC
    return builder.key_cert_algorithm(algorithm).hmac_hash(hashes.SHA1()).build(password)  # noqa: S303 - see PfxCipher
