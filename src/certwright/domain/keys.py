"""Private keys: the kinds we make, where a key comes from, and reading one that somebody else made."""

from enum import StrEnum

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
    load_pem_private_key,
)
from cryptography.hazmat.primitives.serialization.pkcs12 import load_key_and_certificates

from certwright.domain.errors import InvalidMaterial

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey
MAX_KEY_FILE = 64 * 1024
_RSA_SIZES = (2048, 3072, 4096)
_DECRYPT = "Give its password, or take the encryption off first with the command openssl {}."
_PFX_VERSION = b"\x02\x01\x03"  # INTEGER 3 opens every PFX (RFC 7292 section 4); PKCS#8, PKCS#1 and SEC 1 have 0 or 1


class KeyType(StrEnum):
    """Kinds of certificate key. Exchange needs RSA; authorities take all of these."""

    RSA_2048 = "rsa-2048"
    RSA_3072 = "rsa-3072"
    RSA_4096 = "rsa-4096"
    ECDSA_P256 = "ecdsa-p256"
    ECDSA_P384 = "ecdsa-p384"

    @property
    def is_rsa(self) -> bool:
        """Whether this is an RSA key."""
        return self.value.startswith("rsa")


class KeySource(StrEnum):
    """Where the key of the next version comes from.

    `generated` makes a new one each time, `reused` keeps that of the current version, `own-key` and `own-csr` are the
    user's, and with `on-target` the key is made on the machine that uses it and never leaves it.
    """

    GENERATED = "generated"
    REUSED = "reused"
    OWN_KEY = "own-key"
    OWN_CSR = "own-csr"
    ON_TARGET = "on-target"


def generate(kind: KeyType) -> PrivateKey:
    """A new private key of this kind."""
    match kind:
        case KeyType.ECDSA_P256:
            return ec.generate_private_key(ec.SECP256R1())
        case KeyType.ECDSA_P384:
            return ec.generate_private_key(ec.SECP384R1())
        case _:
            return rsa.generate_private_key(public_exponent=65537, key_size=int(kind.value.removeprefix("rsa-")))


def key_type(key: PrivateKey | PublicKey) -> KeyType:
    """The kind of `key`.

    Raises:
        InvalidMaterial: for a size or curve that authorities do not sign.
    """
    if isinstance(key, rsa.RSAPrivateKey | rsa.RSAPublicKey):
        if key.key_size in _RSA_SIZES:
            return KeyType(f"rsa-{key.key_size}")
        raise InvalidMaterial(f"The RSA key has {key.key_size} bits.", hint="Use a key of 2048, 3072 or 4096 bits.")
    for curve, kind in ((ec.SECP256R1, KeyType.ECDSA_P256), (ec.SECP384R1, KeyType.ECDSA_P384)):
        if isinstance(key.curve, curve):
            return kind
    raise InvalidMaterial(f"The key is on the curve {key.curve.name}.", hint="Use P-256 or P-384.")


def is_pem(data: bytes) -> bool:
    """Whether `data` is text with PEM blocks (RFC 7468) rather than DER."""
    return b"-----BEGIN" in data


def has_private_key(data: bytes) -> bool:
    """Whether a private key is among the PEM blocks of `data`, encrypted or not."""
    return is_pem(data) and b"PRIVATE KEY-----" in data


def is_pfx(data: bytes) -> bool:
    """Whether `data` begins as a PFX file does."""
    return data[:1] == b"\x30" and _PFX_VERSION in data[2:9]


def load_private_key(data: bytes, password: bytes | None = None) -> PrivateKey:
    """Read a private key, checked for consistency: PEM or DER (PKCS#1, PKCS#8 or SEC 1), or the one of a PFX file.

    Raises:
        InvalidMaterial: if it is no key, needs a (different) password, or is of a kind that authorities do not sign.
    """
    if len(data) > MAX_KEY_FILE:
        raise InvalidMaterial(f"The key file has {len(data)} bytes; {MAX_KEY_FILE} are the most that are read.")
    try:
        key = _load(data, password)
    except TypeError as error:
        if password is None:
            raise InvalidMaterial("The private key is encrypted.", hint=_DECRYPT.format("pkey")) from error
        raise InvalidMaterial("The private key is not encrypted.", hint="Give it without a password.") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise InvalidMaterial(
            "The private key cannot be read: it is no PEM, DER or PFX file with a key, it is damaged, "
            "or the password is wrong."
        ) from error
    if not isinstance(key, PrivateKey):
        raise InvalidMaterial("The private key is neither RSA nor ECDSA.", hint="Use RSA-2048 for Exchange.")
    key_type(key)
    return key


def load_own_key(pem: bytes) -> PrivateKey:
    """Read a key that we wrote ourselves; its consistency check (40 ms for RSA) is left out."""
    key = load_pem_private_key(pem, None, unsafe_skip_rsa_key_validation=True)
    if not isinstance(key, PrivateKey):
        raise InvalidMaterial("The stored private key is neither RSA nor ECDSA.")
    return key


def private_key_pem(key: PrivateKey) -> bytes:
    """The key as unencrypted PKCS#8 PEM."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _load(data: bytes, password: bytes | None) -> object:
    if is_pem(data):
        return load_pem_private_key(data, password)
    if is_pfx(data):
        return _load_pfx(data, password)
    return load_der_private_key(data, password)


def _load_pfx(data: bytes, password: bytes | None) -> object:
    try:
        key = load_key_and_certificates(data, password)[0]
    except ValueError as error:
        if password is None:
            raise InvalidMaterial("The PFX file is encrypted, or damaged.", hint=_DECRYPT.format("pkcs12")) from error
        raise
    if key is None:
        raise ValueError("a PFX file without a key")
    return key
