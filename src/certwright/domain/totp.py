"""Codes that change every half minute (RFC 6238), a second proof of who signs in; and those for when these are lost."""

import base64
import hashlib
import hmac
import secrets
from datetime import datetime
from urllib.parse import quote, urlencode

from certwright.domain.managed import Value

PERIOD = 30
DIGITS = 6
_KEY_BYTES = 20
"""As many as SHA-1 gives (RFC 4226 section 4)."""
_DRIFT = 1
"""So many periods may the clock of a phone be wrong, either way."""
_RECOVERY_CODES = 10
_RECOVERY_BYTES = 10
_ISSUER = "Certwright"


class SecondFactor(Value):
    """What proves somebody's codes; the store keeps it encrypted.

    `key` is in base32; `used` is the number of the period whose code was used last, so that none is used twice;
    `recovery` are digests of the codes for when the phone is lost, each of which is used once. Until it is `confirmed`
    by a code it is not asked for.
    """

    key: str
    confirmed: bool = False
    used: int = -1
    recovery: tuple[str, ...] = ()

    @classmethod
    def new(cls) -> "SecondFactor":
        """With a random key."""
        return cls(key=base64.b32encode(secrets.token_bytes(_KEY_BYTES)).decode())

    def uri(self, name: str) -> str:
        """What an app on a phone reads, to show the codes of the person of this name."""
        query = urlencode({"secret": self.key, "issuer": _ISSUER, "digits": DIGITS, "period": PERIOD})
        return f"otpauth://totp/{_ISSUER}:{quote(name)}?{query}"

    def accept(self, typed: str, now: datetime) -> "SecondFactor | None":
        """As it is once this code was used; None if it is none, or was used before."""
        shown = "".join(typed.split()).lower()
        period = int(now.timestamp()) // PERIOD
        key = base64.b32decode(self.key)
        for each in range(max(period - _DRIFT, self.used + 1), period + _DRIFT + 1):
            if hmac.compare_digest(code(key, each).encode(), shown.encode()):
                return self.model_copy(update={"used": each})
        digest = _digest(shown)
        if digest in self.recovery:
            return self.model_copy(update={"recovery": tuple(each for each in self.recovery if each != digest)})
        return None

    def confirm(self, typed: str, now: datetime) -> "tuple[SecondFactor, tuple[str, ...]] | None":
        """As confirmed by a code, with the recovery codes, to be shown once; None if it is not the right one."""
        accepted = self.accept(typed, now)
        if accepted is None:
            return None
        codes = tuple(_recovery_code() for _ in range(_RECOVERY_CODES))
        return accepted.model_copy(update={"confirmed": True, "recovery": tuple(map(_digest, codes))}), codes


def code(key: bytes, period: int, digits: int = DIGITS) -> str:
    """The code of one period (RFC 4226 section 5.3, with the number of the period as the counter)."""
    mac = hmac.digest(key, period.to_bytes(8), "sha1")
    offset = mac[-1] & 0xF
    number = int.from_bytes(mac[offset : offset + 4]) & 0x7FFF_FFFF
    return f"{number % 10**digits:0{digits}}"


def _recovery_code() -> str:
    text = base64.b32encode(secrets.token_bytes(_RECOVERY_BYTES)).decode().lower()
    return "-".join(text[place : place + 4] for place in range(0, len(text), 4))


def _digest(shown: str) -> str:
    """Of 80 random bits, so that a slow digest would protect nothing more."""
    return hashlib.sha256(shown.replace("-", "").encode()).hexdigest()
