"""Encryption at rest: AES-256-GCM under a data key, which is wrapped by the master key and by the recovery key."""

import base64
import binascii
import hashlib
import json
import secrets
from typing import Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from certwright.domain.errors import StoreError

KEY_BYTES = 32
_NONCE_BYTES = 12
_FORMAT = b"\x01"
_RECOVERY_BYTES = 20
_CHECKSUM_BYTES = 5
_GROUP = 5


def new_key() -> bytes:
    """A random key for AES-256."""
    return secrets.token_bytes(KEY_BYTES)


class Cipher:
    """Seals values to their place: table, row and column are authenticated, so that no value can be moved."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._aead = AESGCM(key)

    def derive(self, purpose: bytes, salt: bytes) -> bytes:
        """Another key, for one purpose and one random `salt` only (HKDF, RFC 5869)."""
        return HKDF(hashes.SHA256(), KEY_BYTES, salt=salt, info=purpose).derive(self._key)

    def seal(self, plain: bytes, table: str, row: str, column: str) -> bytes:
        """One format byte, the nonce, and the ciphertext with its tag."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return _FORMAT + nonce + self._aead.encrypt(nonce, plain, _FORMAT + _place(table, row, column))

    def unseal(self, sealed: bytes, table: str, row: str, column: str) -> bytes:
        """What was sealed for this place.

        Raises:
            StoreError: if it was sealed with another key or for another place, or is damaged.
        """
        start = len(_FORMAT)
        written_as, nonce, body = sealed[:start], sealed[start : start + _NONCE_BYTES], sealed[start + _NONCE_BYTES :]
        try:
            return self._aead.decrypt(nonce, body, written_as + _place(table, row, column))
        except (InvalidTag, ValueError):
            raise StoreError(
                f"The encrypted value {row!r} cannot be decrypted: it is damaged, or was put there by another store.",
                hint="Restore the data folder from a backup.",
            ) from None


class RecoveryKey:
    """160 random bits for a person to keep: opens the store when the master key is lost.

    Written in base32 with a checksum of 40 bits, in eight groups of five.
    """

    def __init__(self, entropy: bytes) -> None:
        self._entropy = entropy

    @classmethod
    def generate(cls) -> Self:
        """A new one."""
        return cls(secrets.token_bytes(_RECOVERY_BYTES))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what a person typed: case, spaces, hyphens and 0, 1, 8 for O, I, B do not matter.

        Raises:
            StoreError: if the checksum is wrong.
        """
        letters = "".join(text.split()).replace("-", "").upper().replace("8", "B")
        try:
            data = base64.b32decode(letters, map01="I")
        except (binascii.Error, ValueError):
            data = b""
        entropy, checksum = data[:_RECOVERY_BYTES], data[_RECOVERY_BYTES:]
        if len(entropy) != _RECOVERY_BYTES or checksum != _checksum(entropy):
            raise StoreError(
                "The recovery key is mistyped: its checksum does not fit.",
                hint="Type the eight groups of five letters and digits exactly as `certwright init` showed them.",
            )
        return cls(entropy)

    def __str__(self) -> str:
        text = base64.b32encode(self._entropy + _checksum(self._entropy)).decode()
        return "-".join(text[i : i + _GROUP] for i in range(0, len(text), _GROUP))

    def __repr__(self) -> str:
        return "RecoveryKey(...)"

    def derive(self) -> bytes:
        """The key that wraps the data key (HKDF, RFC 5869; the entropy is uniform, so no salt is needed)."""
        return HKDF(hashes.SHA256(), KEY_BYTES, salt=None, info=b"certwright recovery key").derive(self._entropy)


def _checksum(entropy: bytes) -> bytes:
    return hashlib.sha256(b"certwright recovery key" + entropy).digest()[:_CHECKSUM_BYTES]


def _place(table: str, row: str, column: str) -> bytes:
    return json.dumps([table, row, column]).encode()
