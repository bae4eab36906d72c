"""Who comes in at the service's port: how many at once, how long a request may take, and under which names."""

import asyncio
import socket
from collections import Counter
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address
from typing import Any
from weakref import WeakKeyDictionary

import h11
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

MOST = 700
"""Connections at once: each browser keeps a stream open, and a process usually has 1024 descriptors for all it does."""
MOST_FROM_ONE = 350
"""Of one address that is not of this machine."""
REQUEST_SECONDS = 30.0
"""How long a request may take to arrive."""
TAKING_SECONDS = 60.0
"""How long a client may leave what it is sent untaken."""
_HSTS = (b"strict-transport-security", b"max-age=31536000")


class Door(socket.socket):
    """A listening socket that turns away whoever there is no room for, before a byte is read."""

    def __init__(self, family: socket.AddressFamily) -> None:
        super().__init__(family, socket.SOCK_STREAM)
        self._inside: WeakKeyDictionary[socket.socket, str] = WeakKeyDictionary()

    def accept(self) -> tuple[socket.socket, Any]:
        """The next connection.

        Raises:
            ConnectionAbortedError: if it was turned away; asyncio goes on with the next one.
        """
        connection, address = super().accept()
        host = _unmapped(str(address[0]))
        inside = Counter(where for one, where in self._inside.items() if one.fileno() >= 0)
        if inside.total() >= MOST or (inside[host] >= MOST_FROM_ONE and not ip_address(host).is_loopback):
            connection.close()
            raise ConnectionAbortedError
        self._inside[connection] = host
        return connection, address


class _Limit:
    """Ends a connection unless it is lifted in time."""

    def __init__(self) -> None:
        self._timer: asyncio.TimerHandle | None = None

    def set(self, seconds: float, transport: asyncio.Transport) -> None:
        """Begin, unless it has begun."""
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(seconds, transport.abort)

    def lift(self) -> None:
        """It came in time."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class Hurried(H11Protocol):
    """A connection that is ended when a request does not arrive, or what is answered is not taken, in time."""

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self._arriving, self._taking = _Limit(), _Limit()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for a request."""
        super().connection_made(transport)
        self.client = self.client and (_unmapped(self.client[0]), self.client[1])
        self.server = self.server and (_unmapped(self.server[0]), self.server[1])
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Part of a request, or several."""
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        """Wait for the next request, of which a part may be there."""
        super().on_response_complete()
        self._watch()

    def pause_writing(self) -> None:
        """The client does not take what it is sent."""
        super().pause_writing()
        self._taking.set(TAKING_SECONDS, self.transport)

    def resume_writing(self) -> None:
        """It does again."""
        super().resume_writing()
        self._taking.lift()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is waited for any more."""
        super().connection_lost(exc)
        self._arriving.lift()
        self._taking.lift()

    def _watch(self) -> None:
        if self.conn.their_state in (h11.IDLE, h11.SEND_BODY):
            self._arriving.set(REQUEST_SECONDS, self.transport)
        else:
            self._arriving.lift()


class Named:
    """Answers only who asks for a name of ours: a stranger's page could lead here under a name of its own.

    Args:
        app: what answers.
        knows: whether a host name is one of ours, beside that of this machine and the address that was asked.
        is_trusted: whether browsers are to come by https alone from now on.
    """

    def __init__(self, app: ASGIApp, knows: Callable[[str], bool], is_trusted: Callable[[], bool]) -> None:
        self._app = app
        self._knows = knows
        self._is_trusted = is_trusted

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what asks for a known name."""

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start" and scope["scheme"] == "https" and self._is_trusted():
                message["headers"] = [*message["headers"], _HSTS]
            await send(message)

        if scope["type"] == "http" and not self._is_ours(scope):
            text = "This service is not known by that name. If it is one of its own, add it to the setting hosts.\n"
            await PlainTextResponse(text, 400)(scope, receive, answer)
        else:
            await self._app(scope, receive, answer)

    def _is_ours(self, scope: Scope) -> bool:
        host = _without_port(Headers(scope=scope).get("host", ""))
        at = scope["server"][0] if scope.get("server") else ""
        return host in ("localhost", "127.0.0.1", "::1", at, socket.gethostname().lower()) or self._knows(host)


def _unmapped(host: str) -> str:
    """An address as it is known: a socket for all of them shows one of IPv4 within IPv6 (RFC 4291 section 2.5.5.2)."""
    at = ip_address(host)
    return str(at.ipv4_mapped or at) if isinstance(at, IPv6Address) else host


def _without_port(host: str) -> str:
    """The name in a Host header (RFC 9110 section 7.2), in lower case."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].lower()
