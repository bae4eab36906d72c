"""Listening sockets: a thread per connection, bounded stop, and ports that can refuse and come back.

Only loopback is ever listened on.  A port that refuses stays bound without listening, so that nothing else can
take it and a client meets a real "connection refused".
"""

import contextlib
import select
import socket
import ssl
import threading
from collections.abc import Callable

CONNECTION_TIMEOUT = 30.0
"""Seconds that a peer may stay silent before its connection is closed."""

_STOP_GRACE = 1.5


class Listener:
    """One TCP port on a loopback address.

    Args:
        host: The loopback address to bind; the port is chosen by the system.
        serve: Called in a thread of its own for each connection; the socket is closed when it returns.
        name: The threads' name.
    """

    def __init__(self, host: str, serve: Callable[[socket.socket], None], name: str) -> None:
        self._serve = serve
        self._name = name
        self._lock = threading.Lock()
        self._connections: dict[socket.socket, threading.Thread] = {}
        self._acceptor: threading.Thread | None = None
        self._wake: socket.socket | None = None
        self._socket: socket.socket | None = _bound(host, 0)
        self.address: tuple[str, int] = (host, self._socket.getsockname()[1])

    def open(self) -> None:
        """Accept connections (again); does nothing if the port is open."""
        with self._lock:
            if self._acceptor is not None or self._socket is None:
                return
            self._socket.listen(64)
            woken, self._wake = socket.socketpair()
            self._acceptor = threading.Thread(
                target=self._accept, args=(self._socket, woken), name=f"{self._name}-accept", daemon=True
            )
            self._acceptor.start()

    def refuse(self) -> None:
        """Drop every connection and refuse new ones until `open`."""
        with self._lock:
            if self._acceptor is None:
                return
            listening = self._quit_accepting()
            # The same port is bound again at once, so that it stays ours while it refuses.
            if listening is not None:
                listening.close()
                self._socket = _bound(*self.address)
        self._drop_connections()

    def stop(self) -> None:
        """Close the port and every connection, and wait a bounded time for the threads."""
        with self._lock:
            listening = self._quit_accepting() if self._acceptor is not None else self._socket
            self._socket = None
            if listening is not None:
                listening.close()
        self._drop_connections()

    def _quit_accepting(self) -> socket.socket | None:
        if self._wake is not None:
            self._wake.close()
            self._wake = None
        if self._acceptor is not None:
            self._acceptor.join(_STOP_GRACE)
            self._acceptor = None
        return self._socket

    def _accept(self, listening: socket.socket, woken: socket.socket) -> None:
        with woken:
            while True:
                ready, _, _ = select.select([listening, woken], [], [])
                if woken in ready:
                    return
                try:
                    connection, _peer = listening.accept()
                except OSError:
                    continue  # the peer left between select and accept
                connection.settimeout(CONNECTION_TIMEOUT)
                thread = threading.Thread(target=self._run, args=(connection,), name=self._name, daemon=True)
                self._connections[connection] = thread
                thread.start()

    def _run(self, connection: socket.socket) -> None:
        try:
            # What a peer does to its connection is its own affair: resets and half handshakes end here.
            with contextlib.suppress(OSError):
                self._serve(connection)
        finally:
            hang_up(connection)
            self._connections.pop(connection, None)

    def _drop_connections(self) -> None:
        connections = list(self._connections.items())
        for connection, _thread in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for _connection, thread in connections:
            if thread is not threading.current_thread():
                thread.join(_STOP_GRACE)


def start_tls(connection: socket.socket, context: ssl.SSLContext) -> ssl.SSLSocket:
    """Be the TLS server on `connection`; the caller closes what is returned.

    The TLS socket is made over a duplicate, so that shutting down `connection` still ends it from outside.

    Raises:
        OSError: The handshake failed or the peer left.
    """
    return context.wrap_socket(connection.dup(), server_side=True)


def hang_up(connection: socket.socket) -> None:
    """Close `connection` without waiting for the peer."""
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()


def _bound(host: str, port: int) -> socket.socket:
    bound = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind((host, port))
    return bound
