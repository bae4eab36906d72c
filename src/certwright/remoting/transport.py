"""The HTTP below a PowerShell session: pypsrp's, but bounded, watched, never unencrypted, and able to sign in again."""

import contextlib
import os
import re
import ssl
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from certwright.remoting.endpoint import Endpoint
from certwright.remoting.failures import clean

if TYPE_CHECKING:
    from requests import PreparedRequest, Response

_ENCRYPTED = "multipart/encrypted"
_QUOTED = re.compile('"[^"]*"')
_MOST = 30  # HTTP requests for one message: six attempts with a sign-in each, and a few to spare


class HttpRefusal(Exception):
    """An HTTP answer that is no message of PowerShell remoting; what it was stands in the `Answer`."""


class NotEncrypted(Exception):
    """A message that came readable over http."""


class StaleContext(Exception):
    """The server did not take a message, because the connection it was encrypted for is gone."""


class TooMuch(Exception):
    """The server sent more than was allowed for."""


class Endless(Exception):
    """A sign-in that the server lets come to no end."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the head of an HTTP answer told.

    `clock` is the server's and `skew` how far it is ahead of ours; `front_end` and `back_end` are the Exchange servers
    that took the request and that carried it out, as far as they say; `offered` the ways to sign in, `via` the proxies
    that name themselves, `location` where it redirects to.
    """

    status: int
    clock: datetime | None = None
    skew: timedelta | None = None
    front_end: str = ""
    back_end: str = ""
    offered: tuple[str, ...] = ()
    via: str = ""
    location: str = ""

    @classmethod
    def of(cls, response: "Response", now: datetime) -> "Answer":
        """The answer `response`, which came at `now`."""
        head = {name.lower(): clean(value) for name, value in response.headers.items()}
        clock = _date(head.get("date", ""))
        return cls(
            status=response.status_code,
            clock=clock,
            skew=clock - now if clock else None,
            front_end=head.get("x-feserver", ""),
            back_end=head.get("x-calculatedbetarget") or head.get("x-beserver") or head.get("x-diaginfo", ""),
            offered=_schemes(response.headers.get("www-authenticate", "")),
            via=head.get("via", ""),
            location=head.get("location", ""),
        )


class Transport:
    """What pypsrp sends its messages through.

    A server closes idle connections. Over http the next message is then encrypted for a connection that is no more: the
    server refuses it unread, and it is sent once again after a new sign-in.
    """

    def __init__(self, inner: Any, endpoint: Endpoint, limit: int) -> None:
        self._inner = inner
        self._line = _Line(endpoint, limit)
        self.endpoint: str = inner.endpoint

    @property
    def last(self) -> Answer | None:
        """The last answer, whatever became of it."""
        return self._line.last

    def open(self, trust: str | bool) -> None:  # noqa: FBT001 - what requests calls verify: a file, or the default
        """Make ready, without sending anything; `trust` verifies the server."""
        # pypsrp builds its HTTP session when it first sends; only a session that is there can be bounded.
        session = self._inner.session = self._inner._build_session()  # noqa: SLF001
        self._line.wrap(session)
        session.trust_env = False
        session.verify = trust

    def send(self, message: bytes, **options: Any) -> bytes:
        """The answer to `message`; see pypsrp."""
        try:
            return self._send(message, options)
        except StaleContext:
            self._inner.encryption = None
            return self._send(message, options)

    def close(self) -> None:
        """Close the connections."""
        self._inner.close()

    def _send(self, message: bytes, options: dict[str, Any]) -> bytes:
        self._line.begin()
        answer: bytes = self._inner.send(message, **options)
        return answer


class _Line:
    """Between requests and its adapters: sees each answer before anybody else does, those of a sign-in too."""

    def __init__(self, endpoint: Endpoint, limit: int) -> None:
        self._endpoint = endpoint
        self._limit = limit
        self._adapter: Any = None
        self._response: Any = None
        self._left = _MOST
        self.last: Answer | None = None

    def wrap(self, session: Any) -> None:
        """Become the only way of `session` to the endpoint, past or through proxies as the endpoint says."""
        scheme = "https" if self._endpoint.is_tls else "http"
        self._adapter = session.get_adapter(f"{scheme}://")
        session.adapters.clear()
        session.mount(f"{scheme}://", self)
        session.proxies = {scheme: self._endpoint.proxy} if self._endpoint.proxy else {}
        session.hooks["response"].append(self._judge)

    def begin(self) -> None:
        """A new message is to be sent."""
        self._left = _MOST

    def send(self, request: "PreparedRequest", **options: Any) -> Any:
        if not self._left:
            raise Endless
        self._left -= 1
        response = self._response = self._adapter.send(request, **options)
        response.connection = self  # a sign-in sends its next message through this
        response.raw.stream = _bounded(response.raw, self._limit)
        self.last = Answer.of(response, datetime.now(UTC))
        if response.status_code == 401 and _is_encrypted(request.headers):  # noqa: PLR2004 - RFC 9110 section 15.5.2
            _ = response.content  # else the connection could not be used again
            raise StaleContext
        return response

    def close(self) -> None:
        if self._response is not None:
            self._response.close()  # a sign-in that fails leaves the last one unread
        self._adapter.close()

    def _judge(self, response: "Response", **_: object) -> None:
        """Refuse an answer that pypsrp should not read: from the web server in front, or readable on the way."""
        if _is_encrypted(response.headers):
            return
        kind = response.headers.get("content-type", "")
        failed = response.status_code >= 300  # noqa: PLR2004 - neither a result nor, over TLS, a fault
        speaks = "soap" in kind and response.status_code != 401  # noqa: PLR2004 - as above
        if (failed and not (speaks and self._endpoint.is_tls)) or "html" in kind:
            response.close()
            raise HttpRefusal
        if not self._endpoint.is_tls and response.content:
            response.close()
            raise NotEncrypted


@contextlib.contextmanager
def trusted(authorities: bytes | None) -> Iterator[str | bool]:
    """What to verify the server with: requests takes authorities only as a file, readable by us alone."""
    if authorities is None:
        paths = ssl.get_default_verify_paths()
        yield paths.cafile or paths.capath or True
        return
    handle, name = tempfile.mkstemp(prefix="certwright-", suffix=".pem")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(authorities)
        yield name
    finally:
        Path(name).unlink(missing_ok=True)


def _is_encrypted(headers: Any) -> bool:
    return str(headers.get("content-type", "")).startswith(_ENCRYPTED)


def _bounded(raw: Any, limit: int) -> Any:
    """How to read the body `raw`, up to `limit`."""
    stream = raw.stream

    def read(*amount: Any, **options: Any) -> Iterator[bytes]:
        left = limit
        for part in stream(*amount, **options):
            left -= len(part)
            if left < 0:
                raw.close()
                raise TooMuch
            yield part

    return read


def _date(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _schemes(offered: str) -> tuple[str, ...]:
    """The names of the schemes in a WWW-Authenticate header (several headers arrive joined by commas)."""
    words = [clean(part.strip().partition(" ")[0]) for part in _QUOTED.sub("", offered).split(",")]
    return tuple(word for word in words if word and "=" not in word)
