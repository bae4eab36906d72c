"""HTTPS by urllib3: connections kept alive, and every answer bounded in time and size."""

import socket
import ssl
import time
from collections.abc import Mapping
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
    TimedOut,
    TLSFailed,
    TransportError,
    URLRefused,
)
from certwright.acme.transport import Headers, Response

MOST_BYTES = 1024 * 1024
"""The largest body that is read; ACME's objects and chains are a few kilobytes."""

_CONNECTIONS = 8


class HttpsTransport:
    """The real `certwright.acme.transport.Transport`; safe to use from several threads.

    Args:
        user_agent: Names the program and its version (RFC 8555 section 6.1).
        ca_file: PEM certificates to trust instead of the system's: for a CA inside the house.

    Raises:
        OSError: ``ca_file`` cannot be read (ssl.SSLError if it holds no certificate).
    """

    def __init__(self, user_agent: str, ca_file: Path | None = None) -> None:
        # One context for all connections: reading the system's bundle takes tens of milliseconds.
        context = ssl.create_default_context(cafile=ca_file)
        context.sslsocket_class = _BoundedTLSSocket
        self._headers = {"User-Agent": user_agent, "Accept-Encoding": "identity"}
        self._pools = urllib3.PoolManager(num_pools=4, ssl_context=context, maxsize=_CONNECTIONS, block=True)
        self._pools.pool_classes_by_scheme = {"http": _Pool, "https": _TLSPool}

    def request(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes | None, timeout: float
    ) -> Response:
        """Send, and read the whole answer within ``timeout`` seconds; redirects are answers like any other.

        Raises:
            TransportError: one of `certwright.acme.errors`, if there is no complete answer.
        """
        _check_url(url)
        try:
            answer = self._pools.urlopen(
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
            content = bytearray()
            while piece := answer.read(MOST_BYTES + 1 - len(content)):
                content += piece
        except (exceptions.HTTPError, OSError) as error:
            raise _typed(url, error) from error
        if len(content) > MOST_BYTES:
            answer.close()
            answer.release_conn()  # the pool's place, not the connection
            raise AnswerTooLarge(url, f"the answer is larger than {MOST_BYTES} bytes")
        return Response(answer.status, Headers(answer.headers.items()), bytes(content))

    def close(self) -> None:
        """Close all connections."""
        self._pools.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _check_url(url: str) -> None:
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        _ = parts.port
    except ValueError:
        raise URLRefused(url, "not a usable URL") from None
    if parts.scheme == "https" and host:
        return
    if parts.scheme != "http" or not _is_loopback(host):
        raise URLRefused(url, "only https URLs are asked (http on this machine's loopback address)")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _typed(url: str, error: Exception) -> TransportError:
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

    ends = 0.0  # on time.monotonic; nothing is read before a request has set it

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
