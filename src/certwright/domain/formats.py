"""The files a certificate version can be written as: PEM parts, PKCS#12, PKCS#7 and DER."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    KeySerializationEncryption,
    PrivateFormat,
    pkcs7,
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
    leaf = chain[0]
    if not key_matches(key, leaf):
        raise InvalidMaterial("The private key does not belong to the certificate.")
    if not password:
        raise InvalidMaterial("The password of the PFX file is empty.", hint="Give one: the file holds a private key.")
    return pkcs12.serialize_key_and_certificates(
        friendly_name.encode(), key, leaf, intermediates(chain), _encryption(password.encode(), cipher)
    )


def intermediates(chain: Sequence[x509.Certificate]) -> list[x509.Certificate]:
    """The issuers in `chain`, each once; a root is left out, as clients have it or do not trust it."""
    _, *rest = dict.fromkeys(chain)
    return [c for c in rest if not CertificateFacts.of(c).is_self_signed]


def pkcs7_bytes(certificates: Sequence[x509.Certificate]) -> bytes:
    """Certificates without keys in one file (.p7b), in DER (RFC 5652).

    Raises:
        InvalidMaterial: if there is none.
    """
    if not certificates:
        raise InvalidMaterial("There is no certificate of an issuer to write: the version came without any.")
    return pkcs7.serialize_certificates(list(certificates), Encoding.DER)


@dataclass(frozen=True, slots=True)
class Contents:
    """What a file holds: its certificates, in the order found, and whether a private key is with them."""

    certificates: tuple[x509.Certificate, ...]
    has_key: bool


def pfx_contents(data: bytes, password: bytes | None) -> Contents:
    """What a PFX file holds.

    Raises:
        InvalidMaterial: if it cannot be read with this password, or has no certificate.
    """
    try:
        key, leaf, others = pkcs12.load_key_and_certificates(data, password)
    except (ValueError, UnsupportedAlgorithm) as error:
        if not password:
            raise InvalidMaterial(
                "The PFX file is protected by a password, or damaged.",
                hint="Give its password (at the command line with --password-file FILE).",
            ) from error
        raise InvalidMaterial(
            "The PFX file cannot be read: the password is wrong, or it is damaged.", hint="Look at the password."
        ) from error
    if found := (*([leaf] if leaf else []), *others):
        return Contents(found, key is not None)
    raise InvalidMaterial("There is no certificate in the PFX file.", hint="Export it again, with the certificate.")


def _encryption(password: bytes, cipher: PfxCipher) -> KeySerializationEncryption:
    algorithm, mac = _ALGORITHMS[cipher]
    builder = PrivateFormat.PKCS12.encryption_builder().kdf_rounds(_ROUNDS)
    return builder.key_cert_algorithm(algorithm).hmac_hash(mac).build(password)
