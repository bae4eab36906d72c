"""Files that are encrypted in parts, each authenticated with its place and with the file's head.

The parts are those of the STREAM construction (Hoang, Reyhanitabar, Rogaway, Vizár: "Online Authenticated-Encryption
and its Nonce-Reuse Misuse-Resistance", 2015) with AES-256-GCM: the nonce is the part's number and whether it is the
last, so that no part can be left out, moved, or cut off. Whoever calls gives a key that no other file has.
"""

from typing import BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

PART = 1 << 20
"""Bytes of plain text in each part but the last."""
_TAG = 16
_NUMBER_BYTES = 11


class Damaged(Exception):
    """A part was changed, is missing, or was encrypted with another key; its number, from 1."""

    def __init__(self, number: int) -> None:
        super().__init__(f"part {number}")
        self.number = number


def seal(plain: BinaryIO, sealed: BinaryIO, key: bytes, head: bytes) -> None:
    """Encrypt all that `plain` has left; `head` is authenticated and not written."""
    aead = AESGCM(key)
    number, part = 0, plain.read(PART)
    while True:
        following = plain.read(PART)
        sealed.write(aead.encrypt(_nonce(number, last=not following), part, head))
        if not following:
            return
        number, part = number + 1, following


def unseal(sealed: BinaryIO, plain: BinaryIO, key: bytes, head: bytes) -> None:
    """Decrypt all that `sealed` has left.

    Raises:
        Damaged: at the first part that is not what was sealed; those before it are written.
    """
    aead = AESGCM(key)
    number, part = 0, sealed.read(PART + _TAG)
    while True:
        following = sealed.read(PART + _TAG)
        try:
            plain.write(aead.decrypt(_nonce(number, last=not following), part, head))
        except (InvalidTag, ValueError):
            raise Damaged(number + 1) from None
        if not following:
            return
        number, part = number + 1, following


def _nonce(number: int, *, last: bool) -> bytes:
    return number.to_bytes(_NUMBER_BYTES) + bytes([last])
