"""Gets a page as an authority does when it validates: over any TLS, along redirects, within limits."""

import http.client
import io
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import SplitResult, quote, urljoin, urlsplit

from certwright.domain.errors import ConfigurationError
from certwright.probe.observation import Endpoint, FailureKind, ProbeError
from certwright.probe.tls import observing_context
from certwright.probe.wire import Deadline, Wire, connect, harmless, quoted, resolve

MAX_REDIRECTS = 10
_PORTS = {"http": 80, "https": 443}
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MAX_BODY = 4096
_BUDGET = 262_144
_URL_SAFE = "/?#%:=&~+!$,;'@()*[]"


@dataclass(frozen=True, slots=True)
class Page:
    """What the web server at `address` answered in the end; `body` is cut at 4096 bytes."""

    address: Endpoint
    status: int
    reason: str
    server: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Visit:
    """The way to a page: the URLs asked for one after the other, and what was found or why nothing was."""

    urls: tuple[str, ...]
    page: Page | None = None
    kind: FailureKind | None = None
    obstacle: str = ""


def fetch(url: str, address: Endpoint | None, timeout: float, *, mapped: bool = False) -> Visit:
    """Get `url`, following redirects as an authority does: http and https, any certificate, at most 10.

    Args:
        url: of scheme http, in ASCII.
        address: where to connect to for the scheme, host and port of `url`; other hosts are resolved.
        timeout: seconds in all.
        mapped: whether `address` is not the host's own, so that ports tell nothing about what the authority will see.
    """
    origin = urlsplit(url)
    deadline = Deadline(timeout)
    urls = [url]
    try:
        while True:
            parts = urlsplit(urls[-1])
            page, location = _get(parts, address if _same_place(parts, origin) else None, deadline)
            if page.status not in _REDIRECTS:
                return Visit(tuple(urls), page)
            urls.append(_next(urls, location, mapped=mapped))
    except ProbeError as error:
        return Visit(tuple(urls), kind=error.failure.kind, obstacle=error.message)
    except _NotFollowed as error:
        return Visit(tuple(urls), obstacle=str(error))


class _NotFollowed(Exception):
    """A redirect that an authority does not follow."""


def _same_place(one: SplitResult, other: SplitResult) -> bool:
    return (one.scheme, one.netloc) == (other.scheme, other.netloc)


def _get(parts: SplitResult, address: Endpoint | None, deadline: Deadline) -> tuple[Page, str | None]:
    """The page and where it redirects to, if it does."""
    host = parts.hostname or ""
    addresses = [address] if address else resolve(Endpoint(host, parts.port or _PORTS[parts.scheme]), deadline)
    with connect(addresses, deadline, _BUDGET) as wire:
        if parts.scheme == "https":
            wire.start_tls(observing_context(), host)
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        wire.send(
            f"GET {path} HTTP/1.1\r\nHost: {parts.netloc}\r\nUser-Agent: certwright\r\nAccept: */*\r\n"
            "Connection: close\r\n\r\n".encode("ascii")
        )
        return _read(wire)


def _read(wire: Wire) -> tuple[Page, str | None]:
    response = http.client.HTTPResponse(cast("socket.socket", _Readable(wire)))
    try:
        response.begin()
        body = response.read(_MAX_BODY)
    except http.client.IncompleteRead as error:
        body = error.partial
    except http.client.RemoteDisconnected:
        raise ProbeError(FailureKind.CLOSED, f"{wire.address} closed the connection without an answer.") from None
    except (http.client.HTTPException, ValueError) as error:
        said = f"{type(error).__name__} {error}".strip()
        raise ProbeError(FailureKind.BAD_GREETING, f"{wire.address} does not speak HTTP: {quoted(said)}.") from None
    finally:
        response.close()
    server = harmless(response.getheader("Server") or "")
    page = Page(wire.address, response.status, harmless(response.reason), server, body)
    return page, response.getheader("Location")


class _Readable(io.RawIOBase):
    """The bytes of a wire as `http.client` wants them: a socket whose file it can read."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._rest = b""

    def makefile(self, _mode: str) -> io.BufferedReader:
        """As `socket.socket.makefile`."""
        return io.BufferedReader(self)

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """As `io.RawIOBase.readinto`."""
        view = memoryview(buffer)
        data = self._rest or self._wire.recv()
        now, self._rest = data[: len(view)], data[len(view) :]
        view[: len(now)] = now
        return len(now)


def _next(urls: Sequence[str], location: str | None, *, mapped: bool) -> str:
    """The URL that the last of `urls` redirects to.

    Raises:
        _NotFollowed: if an authority would stop there.
    """
    if not location:
        raise _NotFollowed("it redirects without saying where to.")
    try:
        parts = urlsplit(quote(urljoin(urls[-1], location), safe=_URL_SAFE, encoding="latin-1"))
        port = parts.port or _PORTS[parts.scheme]
        Endpoint(parts.hostname or "", port)
    except (KeyError, ValueError, ConfigurationError):
        raise _NotFollowed(f"it redirects to {quoted(location)}, which no authority can follow.") from None
    if not mapped and port not in _PORTS.values():
        raise _NotFollowed(f"it redirects to port {port}; authorities follow redirects to ports 80 and 443 only.")
    url = parts._replace(netloc=parts.netloc.rpartition("@")[2], fragment="").geturl()
    if url in urls:
        raise _NotFollowed(f"it redirects in a circle, back to {harmless(url, 200)}.")
    if len(urls) > MAX_REDIRECTS:
        raise _NotFollowed(f"it redirects more than {MAX_REDIRECTS} times.")
    return url
