"""A way to PostgreSQL that breaks when a transaction is committed: before the server hears of it, or just after."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import StrEnum
from functools import partial

from peers.daemons import HOST

_SECONDS = 30
_COMMIT = b"COMMIT\0"


class Break(StrEnum):
    """Where the connection breaks."""

    BEFORE = "the server never hears of it"
    AFTER = "the server has done it, and its answer is lost"


class Proxy:
    """Passes on what is sent; breaks the connection of the next commit when it was told to."""

    def __init__(self, server_port: int) -> None:
        self._server_port = server_port
        self._next: Break | None = None
        self._listener = socket.create_server((HOST, 0))
        self.port: int = self._listener.getsockname()[1]
        self.broken = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def break_next_commit(self, how: Break) -> None:
        """The next commit breaks its connection."""
        self._next = how

    def close(self) -> None:
        """Accept no more; connections end when one of their ends does."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection((HOST, self._server_port), _SECONDS)
                for end in (client, server):
                    end.settimeout(None)
                for work in (partial(self._up, client, server), partial(_copy, server, client)):
                    threading.Thread(target=work, daemon=True).start()

    def _up(self, client: socket.socket, server: socket.socket) -> None:
        with client, server, suppress(OSError):
            while data := client.recv(65536):
                if self._next and _COMMIT in data:
                    how, self._next = self._next, None
                    self.broken += 1
                    _part(client)
                    if how is Break.AFTER:
                        server.sendall(data)
                        server.recv(65536)
                    break
                server.sendall(data)
            _part(server)


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    _part(target)


def _part(end: socket.socket) -> None:
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)


@contextmanager
def breaking(server_port: int) -> Iterator[Proxy]:
    """A proxy before a server."""
    proxy = Proxy(server_port)
    try:
        yield proxy
    finally:
        proxy.close()
