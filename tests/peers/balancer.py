"""Load balancers as they stand before Exchange: one passes TCP on, one ends TLS and encrypts again (bridging)."""

import itertools
import selectors
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from certwright.domain.certificates import pem
from certwright.domain.keys import private_key_pem
from certwright.exchange_simulator.listeners import server_context
from certwright.exchange_simulator.sockets import Listener, start_tls
from certwright.sdk.context import Material

Address = tuple[str, int]
_TIMEOUT = 10.0
_PIECE = 65_536


@contextmanager
def forwarding(*nodes: Address) -> Iterator[Address]:
    """One that passes TCP on to each of `nodes` in turn: clients see the certificate of the node that they come to."""
    turns = itertools.cycle(nodes)

    def serve(client: socket.socket) -> None:
        with socket.create_connection(next(turns), _TIMEOUT) as server:
            _pass_on(client, server)

    with _listening(serve) as address:
        yield address


@contextmanager
def bridging(installed: list[Material], *nodes: Address) -> Iterator[Address]:
    """One that ends TLS with what was `installed` on it last, and encrypts again on the way to each of `nodes`."""
    turns = itertools.cycle(nodes)

    def serve(client: socket.socket) -> None:
        own = installed[-1]
        assert own.key is not None
        with (
            start_tls(client, server_context(pem(own.chain[:-1]), private_key_pem(own.key))) as outer,
            socket.create_connection(next(turns), _TIMEOUT) as plain,
            _beyond().wrap_socket(plain) as inner,
        ):
            _pass_on(outer, inner)

    with _listening(serve) as address:
        yield address


def _beyond() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


@contextmanager
def _listening(serve: Callable[[socket.socket], None]) -> Iterator[Address]:
    listener = Listener("127.0.0.1", serve, "balancer")
    listener.open()
    try:
        yield listener.address
    finally:
        listener.stop()


def _pass_on(one: socket.socket, other: socket.socket) -> None:
    """Copy both ways until one side ends."""
    ways = {one: other, other: one}
    with selectors.DefaultSelector() as ready:
        for end in ways:
            end.settimeout(_TIMEOUT)
            ready.register(end, selectors.EVENT_READ, end)
        while events := ready.select(_TIMEOUT):
            for key, _ in events:
                side: socket.socket = key.data
                piece = side.recv(_PIECE)
                while isinstance(side, ssl.SSLSocket) and side.pending():
                    piece += side.recv(_PIECE)
                if not piece:
                    return
                ways[side].sendall(piece)
