"""Anti-replay nonces (RFC 8555 section 6.5)."""

import re
from collections import deque

from certwright.acme.transport import Response

_NONCE = re.compile(r"[A-Za-z0-9_-]{1,512}")
_MOST = 64


def carried(response: Response) -> str | None:
    """The nonce in an answer; one that is not base64url is ignored, as section 6.5.1 demands."""
    value = response.headers.get("Replay-Nonce", "")
    return value if _NONCE.fullmatch(value) else None


class NoncePool:
    """Unused nonces, shared by threads; the newest first, for old ones expire."""

    def __init__(self) -> None:
        self._nonces: deque[str] = deque(maxlen=_MOST)  # its append and pop are atomic

    def put(self, nonce: str) -> None:
        """Keep ``nonce``; when there are too many, the oldest goes."""
        self._nonces.append(nonce)

    def take(self) -> str | None:
        """A nonce that nobody else gets, or None if there is none."""
        try:
            return self._nonces.pop()
        except IndexError:
            return None
