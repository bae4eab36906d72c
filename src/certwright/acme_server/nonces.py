"""Anti-replay nonces (RFC 8555 section 6.5)."""

import secrets
from collections import OrderedDict
from threading import Lock


class Nonces:
    """Nonces that are good once.

    At most ``capacity`` are outstanding; beyond that the oldest are forgotten, which costs their holder one
    retry. ``rejection_percent`` of the good ones are refused all the same, so that clients show that they
    retry as the RFC asks.
    """

    def __init__(self, rejection_percent: int = 0, capacity: int = 10_000) -> None:
        self._rejection_percent = rejection_percent
        self._capacity = capacity
        self._outstanding: OrderedDict[str, None] = OrderedDict()
        self._lock = Lock()

    def issue(self) -> str:
        """A fresh nonce: 128 random bits in base64url."""
        nonce = secrets.token_urlsafe(16)
        with self._lock:
            self._outstanding[nonce] = None
            if len(self._outstanding) > self._capacity:
                self._outstanding.popitem(last=False)
        return nonce

    def use(self, nonce: object) -> bool:
        """Whether ``nonce`` was good; it is not any more."""
        with self._lock:
            known = isinstance(nonce, str) and nonce in self._outstanding
            if known:
                del self._outstanding[str(nonce)]
        return known and secrets.randbelow(100) >= self._rejection_percent
