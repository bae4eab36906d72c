"""Access tokens of OAuth 2.0 (RFC 6749), asked for when they are needed and kept while they last."""

import threading
import time
from collections.abc import Callable, Mapping

from certwright.domain.errors import Unreachable
from certwright.rest.api import Answer

_EARLIER = 60.0
_LIFE = 300.0


class Bearer:
    """Puts an access token into each request (RFC 6750); `certwright.rest.api.Sign`, for several threads.

    Args:
        ask: asks for a new token; the answer is a success (RFC 6749 section 5.1).
    """

    def __init__(self, ask: Callable[[], Answer]) -> None:
        self._ask = ask
        self._lock = threading.Lock()
        self._token = ""
        self._ends = 0.0

    def __call__(self, method: str, url: str, body: bytes) -> Mapping[str, str]:  # noqa: ARG002 - the interface
        """The header with the token.

        Raises:
            CertwrightError: as `ask` does.
            Unreachable: if the answer holds no token.
        """
        with self._lock:
            if time.monotonic() >= self._ends:
                answer = self._ask()
                self._token, life = _token(answer)
                self._ends = time.monotonic() + max(0.0, life - _EARLIER)
            return {"Authorization": f"Bearer {self._token}"}


def _token(answer: Answer) -> tuple[str, float]:
    """The token, and for how many seconds it is valid."""
    match answer.json():
        case {"access_token": str(token), "expires_in": int() | float() as life} if _is_token(token):
            return token, float(life)
        case {"access_token": str(token)} if _is_token(token):
            return token, _LIFE
    raise Unreachable(
        f"{answer.asked} answered {answer.status} without an access token.",
        hint="Something between may have answered in its place: a proxy or a sign-in page.",
    )


def _is_token(text: str) -> bool:
    return text.isascii() and text.isprintable() and bool(text) and " " not in text
