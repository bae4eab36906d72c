"""HTTPS: connections kept alive, and every answer bounded in time and size."""

import re
import socket
import ssl
import threading
import time
import weakref
from collections import OrderedDict, deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache, lru_cache
from ipaddress import ip_address
from pathlib import Path
from typing import Self
from urllib.parse import quote, urlsplit

import idna

from certwright.acme import http1
from certwright.acme.errors import (
    AnswerTooLarge,
    ConnectionFailed,
    NotTrusted,
    ProxyDenied,
    ProxyFailed,
    TimedOut,
    TLSFailed,
    URLRefused,
)
from certwright.acme.http1 import MOST_BYTES
from certwright.acme.signer import signer
from certwright.acme.transport import Proxy, Response

_CONNECTIONS = 8
_IDLE_SECONDS = 60  # something on the way may have forgotten a connection after that, and say nothing
_ORIGINS = 16
_SHARED = 8
_PORTS = {"https": 443, "http": 80}
_SUCCESS, _PROXY_AUTHENTICATION = 2, 407
_UNKNOWN_SIGNER = (18, 19, 20, 21)  # X509_V_ERR_*: self-signed, or by nobody who is known here
_LOOK_SECONDS = 5
_PLAIN = re.compile(r"[!-~]*")


@dataclass(frozen=True, slots=True)
class _Url:
    """What is asked where; `host` as DNS and TLS know it, `authority` as the field Host wants it."""

    scheme: str
    host: str
    port: int
    authority: str
    target: str

    @classmethod
    def parse(cls, url: str) -> Self:
        """Read one.

        Raises:
            URLRefused: if it is unusable, or would send something unprotected to another machine.
        """
        try:
            parts = urlsplit(url)
            host, port = parts.hostname or "", parts.port
            if not host.isascii():
                host = idna.encode(host, uts46=True).decode()
        except ValueError:
            raise URLRefused(url, "not a usable URL") from None
        if not (parts.scheme == "https" and host) and (parts.scheme != "http" or not _is_loopback(host)):
            raise URLRefused(url, "only https URLs are asked (http on this machine's loopback address)")
        shown = f"[{host}]" if ":" in host else host
        usual = _PORTS[parts.scheme]
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        if not _PLAIN.fullmatch(target):
            target = quote(target, safe="!#$%&'()*+,/:;=?@[]~")
        return cls(
            parts.scheme,
            host,
            port or usual,
            shown if port in {None, usual} else f"{shown}:{port}",
            target,
        )


@dataclass(slots=True)
class _Origin:
    """The connections to one server by one way: those that are idle, and room for so many in all."""

    idle: deque[tuple[socket.socket, float]] = field(default_factory=deque)
    room: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(_CONNECTIONS))

    @contextmanager
    def place(self, ends: float) -> Iterator[None]:
        """One of the places for connections, once there is one."""
        if not self.room.acquire(timeout=http1.left(ends)):
            raise TimeoutError("all connections are busy")
        try:
            yield
        finally:
            self.room.release()

    def take(self) -> socket.socket | None:
        """An idle connection that stands, the last one used."""
        while True:
            try:
                found, since = self.idle.pop()
            except IndexError:
                return None
            if time.monotonic() - since < _IDLE_SECONDS and http1.is_quiet(found):
                return found
            found.close()

    def put(self, connection: socket.socket) -> None:
        """Keep a connection for the next request."""
        self.idle.append((connection, time.monotonic()))

    def close(self) -> None:
        """Close what is idle."""
        while self.idle:
            with suppress(IndexError):
                self.idle.pop()[0].close()


class HttpsTransport:
    """The real `certwright.acme.transport.Transport`; safe to use from several threads.

    Args:
        user_agent: Names the program and its version (RFC 8555 section 6.1).
        ca_file: PEM certificates to trust instead of the system's: for a CA inside the house.
        proxy: The way to the hosts that it takes.

    Raises:
        OSError: ``ca_file``, or the proxy's ``roots``, cannot be read (ssl.SSLError if one holds no certificate).
    """

    def __init__(self, user_agent: str, ca_file: Path | None = None, proxy: Proxy | None = None) -> None:
        self._context = _context(ca_file) if ca_file else _system_context(ssl.get_default_verify_paths())
        self._headers = {"User-Agent": user_agent, "Accept-Encoding": "identity"}
        self._proxy = proxy
        self._inspected = (_inspected(proxy.roots, ca_file) if proxy else None) or self._context
        self._origins: OrderedDict[tuple[str, str, int], _Origin] = OrderedDict()
        self._lock = threading.Lock()
        weakref.finalize(self, _close, self._origins)  # those that are shared are closed by nobody

    def request(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes | None, timeout: float
    ) -> Response:
        """Send, and read the whole answer within ``timeout`` seconds; redirects are answers like any other.

        Raises:
            TransportError: one of `certwright.acme.errors`, if there is no complete answer.
            ValueError: a header field holds a line break.
        """
        ends = time.monotonic() + timeout
        asked = _Url.parse(url)
        proxy = self._proxy if asked.scheme == "https" and self._proxy and self._proxy.takes(asked.host) else None
        length = {} if body is None else {"Content-Length": str(len(body))}
        fields = {"Host": asked.authority, **self._headers, **headers, **length}
        sent = http1.head(method, asked.target, fields) + (body or b"")
        origin = self._origin(asked)
        with _told(url, proxy), origin.place(ends):
            connection = origin.take() or self._connect(asked, proxy, ends)
            try:
                answer = http1.exchange(connection, sent, ends, bodiless=method == "HEAD")
            except BaseException:
                connection.close()
                raise
            if answer.keeps:
                origin.put(connection)
            else:
                connection.close()
            return answer.response

    def _origin(self, asked: _Url) -> _Origin:
        """Where connections to that server wait; of many servers, those not asked for longest are forgotten."""
        key = asked.scheme, asked.host, asked.port
        with self._lock:
            found = self._origins.pop(key, None) or _Origin()
            self._origins[key] = found
            forgotten = self._origins.popitem(last=False)[1] if len(self._origins) > _ORIGINS else None
        if forgotten:
            forgotten.close()
        return found

    def _connect(self, asked: _Url, proxy: Proxy | None, ends: float) -> socket.socket:
        plain = _reached(asked, proxy, ends)
        if asked.scheme == "http":
            return plain
        try:
            plain.settimeout(http1.left(ends))
            context = self._inspected if proxy else self._context
            return context.wrap_socket(plain, server_hostname=asked.host)
        except ssl.SSLError as error:
            plain.close()
            raise _Handshake(_signer(asked, proxy, ends, error)) from error
        except BaseException:
            plain.close()
            raise

    def close(self) -> None:
        """Close all connections that are not in use."""
        with self._lock:
            _close(self._origins)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _close(origins: OrderedDict[tuple[str, str, int], _Origin]) -> None:
    while origins:
        origins.popitem()[1].close()


def shared(user_agent: str, ca_file: Path | None = None, proxy: Proxy | None = None) -> HttpsTransport:
    """The transport of all in this process that go the same way and trust the same, never to be closed.

    Connections outlive an order so.

    Raises:
        OSError: as of `HttpsTransport`.
    """
    files = [file for file in (ca_file, proxy.roots if proxy else None) if file]
    return _shared(user_agent, ca_file, proxy, *(f.stat().st_mtime_ns for f in files), ssl.get_default_verify_paths())


@lru_cache(_SHARED)
def _shared(user_agent: str, ca_file: Path | None, proxy: Proxy | None, *_trusted: object) -> HttpsTransport:
    return HttpsTransport(user_agent, ca_file, proxy)


def _context(ca_file: Path | None = None) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=ca_file)


def _inspected(roots: Path | None, ca_file: Path | None) -> ssl.SSLContext | None:
    """What a proxy signs with is trusted beside the others, for what goes through it alone; None if it opens no TLS."""
    if roots is None:
        return None
    context = _context(ca_file)
    context.load_verify_locations(roots)
    return context


@cache
def _system_context(paths: ssl.DefaultVerifyPaths) -> ssl.SSLContext:  # noqa: ARG001 - the environment may move them
    """One for all transports: reading the system's bundle takes tens of milliseconds."""
    return _context()


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


class _Unconnected(Exception):
    """Nobody takes the connection; the cause says why."""


class _Handshake(Exception):
    """TLS did not come about; the cause says why, and the text who signed what is not trusted."""


class _NoWay(Exception):
    """What the proxy did not do, for people; and whether it wants a credential."""

    def __init__(self, reason: str, *, wants_credential: bool = False) -> None:
        super().__init__(reason)
        self.wants_credential = wants_credential


def _reached(asked: _Url, proxy: Proxy | None, ends: float) -> socket.socket:
    return _through(proxy, asked, ends) if proxy else _opened(asked.host, asked.port, ends)


def _signer(asked: _Url, proxy: Proxy | None, ends: float, error: ssl.SSLError) -> str:
    """Who signed what is not trusted, looked at once more; empty if nobody seems to be unknown."""
    if not isinstance(error, ssl.SSLCertVerificationError) or error.verify_code not in _UNKNOWN_SIGNER:
        return ""
    soon = min(ends, time.monotonic() + _LOOK_SECONDS)
    try:
        plain = _reached(asked, proxy, soon)
        plain.settimeout(http1.left(soon))
    except (_Unconnected, _NoWay, OSError):
        return ""
    return signer(plain, asked.host)


def _opened(host: str, port: int, ends: float) -> socket.socket:
    """A connection to the first address that takes it; each of several has its part of the time.

    Raises:
        _Unconnected: if none does.
        TimeoutError: if the last one is silent.
        UnicodeError: if the host is no name that can be asked for.
    """
    try:
        found = socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM)
    except OSError as error:
        raise _Unconnected from error
    problem: OSError = OSError("the name has no address")
    for tried, (family, kind, protocol, _, address) in enumerate(found):
        made = socket.socket(family, kind, protocol)
        try:
            made.settimeout(http1.left(ends) / (len(found) - tried))
            made.connect(address)
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as error:
            made.close()
            problem = error
        else:
            return made
    if isinstance(problem, TimeoutError):
        raise problem
    raise _Unconnected from problem


def _through(proxy: Proxy, asked: _Url, ends: float) -> socket.socket:
    """A tunnel (RFC 9110 section 9.3.6).

    Raises:
        _NoWay: if the proxy opens none.
    """
    at = urlsplit(proxy.address)
    try:
        made = _opened(at.hostname or "", at.port or _PORTS["http"], ends)
    except (_Unconnected, TimeoutError) as error:
        raise _NoWay(f"cannot connect to the proxy {proxy.address}: {error.__cause__ or error}") from error
    target = f"[{asked.host}]:{asked.port}" if ":" in asked.host else f"{asked.host}:{asked.port}"
    said = {"Proxy-Authorization": proxy.authorization} if proxy.authorization else {}
    try:
        answer = http1.exchange(made, http1.head("CONNECT", target, {"Host": target, **said}), ends, bodiless=True)
    except BaseException:
        made.close()
        raise
    status = answer.response.status
    if status // 100 != _SUCCESS:
        made.close()
        told = f"the proxy {proxy.address} opens no way there: {status} {answer.reason}".rstrip()
        raise _NoWay(told, wants_credential=status == _PROXY_AUTHENTICATION)
    return made


@contextmanager
def _told(url: str, proxy: Proxy | None) -> Iterator[None]:
    """Errors of the net as those of this package."""
    way = proxy.address if proxy else ""
    try:
        yield
    except _NoWay as error:
        raise (ProxyDenied if error.wants_credential else ProxyFailed)(url, str(error), way) from error
    except _Unconnected as error:
        raise ConnectionFailed(url, f"cannot connect: {error.__cause__}", way) from error
    except _Handshake as error:
        raise _of_handshake(url, error, way) from error
    except TimeoutError as error:
        raise TimedOut(url, "no complete answer in time", way) from error
    except http1.TooLarge as error:
        raise AnswerTooLarge(url, f"the answer is larger than {MOST_BYTES} bytes", way) from error
    except UnicodeError as error:
        raise URLRefused(url, "not a usable URL", way) from error
    except (http1.Broken, OSError) as error:
        raise ConnectionFailed(url, f"the connection broke: {error}", way) from error


def _of_handshake(url: str, error: _Handshake, way: str) -> TLSFailed:
    cause = error.__cause__
    if isinstance(cause, ssl.SSLCertVerificationError):
        return NotTrusted(url, f"its certificate is not trusted: {cause.verify_message}", way, str(error))
    return TLSFailed(url, f"TLS failed: {cause}", way)
