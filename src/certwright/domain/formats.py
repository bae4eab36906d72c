"""The files a certificate version can be written as: PEM parts, PKCS#12 and DER."""

from collections.abc import Sequence
from enum import StrEnum

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import (
    KeySerializationEncryption,
    PrivateFormat,
    pkcs12,
)

from certwright.domain.certificates import CertificateFacts, key_matches
from certwright.domain.errors import InvalidMaterial
from certwright.domain.keys import PrivateKey


class PfxCipher(StrEnum):
    """How a PKCS#12 file is encrypted.

    `legacy` is 3DES with SHA-1, the only form Windows up to Server 2016 reads; `modern` is AES-256 with SHA-256.
    """

    LEGACY = "legacy"
    MODERN = "modern"


_ROUNDS = 50_000
_ALGORITHMS = {
    PfxCipher.LEGACY: (pkcs12.PBES.PBESv1SHA1And3KeyTripleDESCBC, hashes.SHA1()),  # noqa: S303 - see PfxCipher
    PfxCipher.MODERN: (pkcs12.PBES.PBESv2SHA256AndAES256CBC, hashes.SHA256()),
}


def pkcs12_bytes(
    key: PrivateKey, chain: Sequence[x509.Certificate], password: str, cipher: PfxCipher, friendly_name: str
) -> bytes:
    """`key`, its certificate and the intermediates in one PKCS#12 file; a root in `chain` is left out.

    Raises:
        InvalidMaterial: if the key does not belong to the first certificate, or the password is empty.
    """
    leaf, *rest = dict.fromkeys(chain)
    if not key_matches(key, leaf):
        raise InvalidMaterial("The private key does not belong to the certificate.")
    if not password:
        raise InvalidMaterial("The password of the PFX file is empty.", hint="Give one: the file holds a private key.")
    intermediates = [c for c in rest if not CertificateFacts.of(c).is_self_signed]
    return pkcs12.serialize_key_and_certificates(
        friendly_name.encode(), key, leaf, intermediates, _encryption(password.encode(), cipher)
    )


def _encryption(password: bytes, cipher: PfxCipher) -> KeySerializationEncryption:
    algorithm, mac = _ALGORITHMS[cipher]
    builder = PrivateFormat.PKCS12.encryption_builder().kdf_rounds(_ROUNDS)
    return builder.key_cert_algorithm(algorithm).hmac_hash(mac).build(password)
