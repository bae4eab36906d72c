"""HTTP/1.1 over a wire of ours; and a page as an authority gets it: over any TLS, along redirects, within limits."""

import http.client
import io
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from email.message import Message
from enum import StrEnum
from typing import Any, cast
from urllib.parse import SplitResult, quote, urljoin, urlsplit

from certwright.domain.errors import ConfigurationError
from certwright.domain.web_address import is_address
from certwright.probe.observation import Endpoint, FailureKind, ProbeError
from certwright.probe.tls import observing_context
from certwright.probe.wire import Deadline, Resolve, Wire, connect, harmless, quoted, resolve

MAX_REDIRECTS = 10
REDIRECTS = frozenset({301, 302, 303, 307, 308})
BUDGET = 262_144
_PORTS = {"http": 80, "https": 443}
_MAX_BODY = 4096
_URL_SAFE = "/?#%:=&~+!$,;'@()*[]"
_HEARD = 16


@dataclass(frozen=True, slots=True)
class Reply:
    """What a web server answered to one request; `body` is cut at 4096 bytes."""

    status: int
    reason: str
    headers: Message = field(repr=False)
    body: bytes = field(repr=False)


def ask(
    wire: Wire,
    host: str,
    path: str,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
) -> Reply:
    """The answer of the web server at the other end of `wire`; the connection is good for one request.

    Args:
        wire: connected, and in TLS if that is wanted.
        host: as the Host header says it, in ASCII.
        path: with the query, if there is one; what a URL cannot hold is quoted.
        method: what to do.
        headers: further headers, in ASCII.
        body: sent with its length, if there is one.

    Raises:
        ProbeError: if no answer comes, or none that is HTTP.
    """
    fields = {"Host": host, "User-Agent": "certwright", "Accept": "*/*", "Connection": "close", **(headers or {})}
    if body:
        fields["Content-Length"] = str(len(body))
    head = [f"{method} {as_ascii(path)} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items()), "", ""]
    wire.send("\r\n".join(head).encode("ascii") + body)
    return _read(wire)


def as_ascii(url: str) -> str:
    """`url` with everything quoted that a URL cannot hold, as browsers do.

    Raises:
        ValueError: if it holds what no header can, characters beyond Latin-1.
    """
    return quote(url, safe=_URL_SAFE, encoding="latin-1")


@dataclass(frozen=True, slots=True)
class Page:
    """What the web server at `address` answered in the end; `body` is cut at 4096 bytes."""

    address: Endpoint
    status: int
    reason: str
    server: str
    body: bytes


class Refusal(StrEnum):
    """Why an authority does not follow a redirect."""

    NO_TARGET = "no_target"
    UNUSABLE = "unusable"
    PORT = "port"
    ADDRESS = "address"
    LOOP = "loop"
    TOO_MANY = "too_many"


@dataclass(frozen=True, slots=True)
class Visit:
    """The way to a page: the URLs asked for one after the other, and what was found or why nothing was.

    `kind` is set if a server did not answer, `refusal` if an authority would not follow a redirect; `obstacle` says
    either in words. `redirectors` are the servers that redirected, as they name themselves. `reached` tells whether
    the last server took the connection, `heard` is how it began if that is not HTTP. `leaves` are the certificates
    that were met on the way, in DER.
    """

    urls: tuple[str, ...]
    page: Page | None = None
    kind: FailureKind | None = None
    obstacle: str = ""
    refusal: Refusal | None = None
    redirectors: tuple[str, ...] = ()
    reached: bool = False
    heard: bytes = b""
    leaves: tuple[bytes, ...] = field(default=(), repr=False)

    @property
    def is_without_route(self) -> bool:
        """Whether nothing was sent, because no route leads from here to the first server."""
        return self.kind is FailureKind.NO_ROUTE and len(self.urls) == 1


def fetch(
    url: str, address: Endpoint | None, timeout: float, *, mapped: bool = False, resolver: Resolve = resolve
) -> Visit:
    """Get `url`, following redirects as an authority does: http and https, any certificate, at most 10.

    Args:
        url: of scheme http, in ASCII.
        address: where to connect to for the scheme, host and port of `url`; others are resolved.
        timeout: seconds in all.
        mapped: whether `address` is not the host's own, so that ports tell nothing about what the authority will see.
        resolver: gives the addresses of those others.
    """
    origin = urlsplit(url)
    trail = _Trail([url], Deadline(timeout), resolver)
    try:
        while True:
            parts = urlsplit(trail.urls[-1])
            page, location = _get(parts, address if _same_place(parts, origin) else None, trail)
            if page.status not in REDIRECTS:
                return trail.end(page=page)
            trail.redirectors.append(page.server)
            trail.urls.append(_next(trail.urls, location, mapped=mapped))
    except ProbeError as error:
        heard = error.heard if isinstance(error, _NotHttp) else b""
        return trail.end(kind=error.failure.kind, obstacle=error.message, heard=heard)
    except _NotFollowed as error:
        return trail.end(refusal=error.refusal, obstacle=str(error))


@dataclass(slots=True)
class _Trail:
    """A visit under way."""

    urls: list[str]
    deadline: Deadline
    resolver: Resolve
    reached: bool = False
    redirectors: list[str] = field(default_factory=list)
    leaves: list[bytes] = field(default_factory=list)

    def end(self, **how: Any) -> Visit:
        redirectors, leaves = tuple(self.redirectors), tuple(self.leaves)
        return Visit(tuple(self.urls), redirectors=redirectors, reached=self.reached, leaves=leaves, **how)


class _NotHttp(ProbeError):
    """What answers does not speak HTTP; `heard` is how it began."""

    def __init__(self, message: str, heard: bytes) -> None:
        super().__init__(FailureKind.BAD_GREETING, message)
        self.heard = heard


class _NotFollowed(Exception):
    """A redirect that an authority does not follow."""

    def __init__(self, refusal: Refusal, reason: str) -> None:
        super().__init__(reason)
        self.refusal = refusal


def _same_place(one: SplitResult, other: SplitResult) -> bool:
    return (one.scheme, one.netloc) == (other.scheme, other.netloc)


def _get(parts: SplitResult, address: Endpoint | None, trail: _Trail) -> tuple[Page, str | None]:
    """The page and where it redirects to, if it does."""
    host = parts.hostname or ""
    trail.reached = False
    there = Endpoint(host, parts.port or _PORTS[parts.scheme])
    with connect([address] if address else trail.resolver(there, trail.deadline), trail.deadline, BUDGET) as wire:
        trail.reached = True
        if parts.scheme == "https":
            wire.start_tls(observing_context(), host)
            trail.leaves.append((wire.tls and wire.tls.getpeercert(binary_form=True)) or b"")
        reply = ask(wire, parts.netloc, (parts.path or "/") + (f"?{parts.query}" if parts.query else ""))
    server = harmless(reply.headers.get("Server", ""))
    return Page(wire.address, reply.status, reply.reason, server, reply.body), reply.headers.get("Location")


def _read(wire: Wire) -> Reply:
    readable = _Readable(wire)
    response = http.client.HTTPResponse(cast("socket.socket", readable))
    try:
        response.begin()
        body = response.read(_MAX_BODY)
    except http.client.IncompleteRead as error:
        body = error.partial
    except http.client.RemoteDisconnected:
        raise ProbeError(FailureKind.CLOSED, f"{wire.address} closed the connection without an answer.") from None
    except (http.client.HTTPException, ValueError) as error:
        said = f"{type(error).__name__} {error}".strip()
        raise _NotHttp(f"{wire.address} does not speak HTTP: {quoted(said)}.", readable.heard) from None
    finally:
        response.close()
    return Reply(response.status, harmless(response.reason), response.headers, body)


class _Readable(io.RawIOBase):
    """The bytes of a wire as `http.client` wants them: a socket whose file it can read."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._rest = b""
        self.heard = b""

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
        self.heard = self.heard or data[:_HEARD]
        now, self._rest = data[: len(view)], data[len(view) :]
        view[: len(now)] = now
        return len(now)


def _next(urls: Sequence[str], location: str | None, *, mapped: bool) -> str:
    """The URL that the last of `urls` redirects to.

    Raises:
        _NotFollowed: if an authority would stop there.
    """
    if not location:
        raise _NotFollowed(Refusal.NO_TARGET, "it redirects without saying where to.")
    try:
        parts = urlsplit(as_ascii(urljoin(urls[-1], location)))
        port = parts.port or _PORTS[parts.scheme]
        host = Endpoint(parts.hostname or "", port).host
    except (KeyError, ValueError, ConfigurationError):
        reason = f"it redirects to {quoted(location)}, which no authority can follow."
        raise _NotFollowed(Refusal.UNUSABLE, reason) from None
    if is_address(host) and host != urlsplit(urls[0]).hostname:
        reason = f"it redirects to the address {host}; authorities follow redirects to names only."
        raise _NotFollowed(Refusal.ADDRESS, reason)
    if not mapped and port not in _PORTS.values():
        reason = f"it redirects to port {port}; authorities follow redirects to ports 80 and 443 only."
        raise _NotFollowed(Refusal.PORT, reason)
    url = parts._replace(netloc=parts.netloc.rpartition("@")[2], fragment="").geturl()
    if url in urls:
        raise _NotFollowed(Refusal.LOOP, f"it redirects in a circle, back to {harmless(url, 200)}.")
    if len(urls) > MAX_REDIRECTS:
        raise _NotFollowed(Refusal.TOO_MANY, f"it redirects more than {MAX_REDIRECTS} times.")
    return url
