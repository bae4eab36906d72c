"""HTTPS by urllib3: connections kept alive, and every answer bounded in time and size."""

import re
import socket
import ssl
import time
from collections.abc import Mapping
from functools import cache, lru_cache
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import urllib3
from urllib3 import exceptions
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from certwright.acme.errors import (
    AnswerTooLarge,
    ConnectionFailed,
    NotTrusted,
    ProxyDenied,
    ProxyFailed,
    TimedOut,
    TLSFailed,
    TransportError,
    URLRefused,
)
from certwright.acme.transport import Headers, Proxy, Response

MOST_BYTES = 1024 * 1024
"""The largest body that is read; ACME's objects and chains are a few kilobytes."""

_CONNECTIONS = 8
_TUNNEL_REFUSED = re.compile(r"Tunnel connection failed: (\d+) ?(.*)", re.DOTALL)  # the words of http.client
_PROXY_AUTHENTICATION = "407"
_SHARED = 8


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
        context = _context(ca_file) if ca_file else _system_context(ssl.get_default_verify_paths())
        self._headers = {"User-Agent": user_agent, "Accept-Encoding": "identity"}
        self._proxy = proxy
        self._pools = urllib3.PoolManager(num_pools=4, ssl_context=context, maxsize=_CONNECTIONS, block=True)
        self._pools.pool_classes_by_scheme = {"http": _Pool, "https": _TLSPool}
        self._tunnels = _tunnels(proxy, _inspected(proxy.roots, ca_file) or context) if proxy else self._pools

    def request(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes | None, timeout: float
    ) -> Response:
        """Send, and read the whole answer within ``timeout`` seconds; redirects are answers like any other.

        Raises:
            TransportError: one of `certwright.acme.errors`, if there is no complete answer.
        """
        host = _checked_host(url)
        proxy = self._proxy if self._proxy and self._proxy.takes(host) else None
        try:
            answer = (self._tunnels if proxy else self._pools).urlopen(
                method,
                url,
                headers={**self._headers, **headers},
                body=body,
                timeout=urllib3.Timeout(total=timeout),
                pool_timeout=timeout,
                redirect=False,
                retries=False,
                preload_content=False,
                decode_content=False,
            )
            # What says that it is larger is not read to its end: its connection would be taken again.
            declared = answer.length_remaining or 0
            content = bytearray()
            while declared <= MOST_BYTES and (piece := answer.read(MOST_BYTES + 1 - len(content))):
                content += piece
        except (exceptions.HTTPError, OSError) as error:
            raise _typed(url, error, proxy) from error
        if max(declared, len(content)) > MOST_BYTES:
            answer.close()
            answer.release_conn()  # the pool's place, not the connection
            raise AnswerTooLarge(url, f"the answer is larger than {MOST_BYTES} bytes")
        return Response(answer.status, Headers(answer.headers.items()), bytes(content))

    def close(self) -> None:
        """Close all connections."""
        self._pools.clear()
        self._tunnels.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


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
    context = ssl.create_default_context(cafile=ca_file)
    context.sslsocket_class = _BoundedTLSSocket
    return context


def _inspected(roots: Path | None, ca_file: Path | None) -> ssl.SSLContext | None:
    """What a proxy signs with is trusted beside the others, for what goes through it alone; None if it opens no TLS."""
    if roots is None:
        return None
    context = _context(ca_file)
    context.load_verify_locations(roots)
    return context


def _tunnels(proxy: Proxy, context: ssl.SSLContext) -> urllib3.ProxyManager:
    said = {"Proxy-Authorization": proxy.authorization} if proxy.authorization else {}
    made = urllib3.ProxyManager(
        proxy.address, num_pools=4, proxy_headers=said, ssl_context=context, maxsize=_CONNECTIONS, block=True
    )
    made.pool_classes_by_scheme = {"http": _Pool, "https": _TLSPool}
    return made


@cache
def _system_context(paths: ssl.DefaultVerifyPaths) -> ssl.SSLContext:  # noqa: ARG001 - the environment may move them
    """One for all transports: reading the system's bundle takes tens of milliseconds."""
    return _context()


def _checked_host(url: str) -> str:
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        _ = parts.port
    except ValueError:
        raise URLRefused(url, "not a usable URL") from None
    if not (parts.scheme == "https" and host) and (parts.scheme != "http" or not _is_loopback(host)):
        raise URLRefused(url, "only https URLs are asked (http on this machine's loopback address)")
    return host


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _typed(url: str, error: Exception, proxy: Proxy | None) -> TransportError:
    typed = (_of_proxy(url, error, proxy.address) if proxy else None) or _of_server(url, error)
    typed.proxy = proxy.address if proxy else ""
    return typed


def _of_proxy(url: str, error: Exception, address: str) -> ProxyFailed | None:
    """What the proxy itself did not do; None if it opened the way."""
    met = error.original_error if isinstance(error, exceptions.ProxyError) else None
    refused = _TUNNEL_REFUSED.match(str(met or next(reversed(error.args), "")))
    if refused:
        status, words = refused.groups()
        kind = ProxyDenied if status == _PROXY_AUTHENTICATION else ProxyFailed
        return kind(url, f"the proxy {address} opens no way there: {status} {words}".rstrip())
    return ProxyFailed(url, f"cannot connect to the proxy {address}: {met.__cause__ or met}") if met else None


def _of_server(url: str, error: Exception) -> TransportError:
    if isinstance(error, exceptions.LocationValueError):
        return URLRefused(url, "not a usable URL")
    if isinstance(error, exceptions.NewConnectionError):  # before its cousin, the time-out
        cause = error.__cause__ or error
        return ConnectionFailed(url, f"cannot connect: {cause}")
    if isinstance(error, exceptions.TimeoutError | TimeoutError | exceptions.EmptyPoolError):
        return TimedOut(url, "no complete answer in time")
    reason = error.args[0] if isinstance(error, exceptions.SSLError) and error.args else error
    if isinstance(reason, ssl.SSLCertVerificationError):
        return NotTrusted(url, f"its certificate is not trusted: {reason.verify_message}")
    if isinstance(error, exceptions.SSLError | ssl.SSLError):
        return TLSFailed(url, f"TLS failed: {reason}")
    return ConnectionFailed(url, f"the connection broke: {error.args[-1] if error.args else error}")


class _BoundedSocket(socket.socket):
    """Bounds all that is read of an answer, not each piece of it: a peer that drips bytes gains nothing."""

    ends = 0.0  # on time.monotonic; set when it is opened, and anew for each answer

    def recv_into(self, *arguments: Any) -> int:
        left = self.ends - time.monotonic()
        if left <= 0:
            raise TimeoutError("the answer took too long")
        self.settimeout(left)
        return super().recv_into(*arguments)


class _BoundedTLSSocket(_BoundedSocket, ssl.SSLSocket):
    """As above, for TLS; the handshake has a deadline of its own in the ssl module."""


class _BoundedConnection(HTTPConnection):
    sock: _BoundedSocket

    def _new_conn(self) -> socket.socket:
        plain = super()._new_conn()
        bounded = _BoundedSocket(plain.family, plain.type, plain.proto, plain.detach())
        bounded.settimeout(self.timeout)
        bounded.ends = time.monotonic() + (self.timeout or 0)  # a proxy answers before there is a request
        return bounded

    def getresponse(self) -> urllib3.HTTPResponse:  # type: ignore[override] # as in urllib3
        # urllib3 has set the timeout to what is left of the whole request's time
        self.sock.ends = time.monotonic() + (self.timeout or 0)
        return super().getresponse()


class _BoundedTLSConnection(_BoundedConnection, HTTPSConnection):
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls = _BoundedConnection


class _TLSPool(HTTPSConnectionPool):
    ConnectionCls = _BoundedTLSConnection
