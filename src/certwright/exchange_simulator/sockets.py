"""Listening sockets: a thread per connection, bounded stop, and ports that can refuse and come back.

Only loopback is ever listened on.  A port stays bound to a socket that never listens, so that nothing else can take
it while it refuses and a client meets a real "connection refused".
"""

import contextlib
import selectors
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
        self._placeholder = _bound(host, 0)
        self.address: tuple[str, int] = (host, self._placeholder.getsockname()[1])

    def open(self) -> None:
        """Accept connections (again); does nothing if the port is open."""
        with self._lock:
            if self._acceptor is not None:
                return
            listening = _bound(*self.address)
            listening.listen(64)
            woken, self._wake = socket.socketpair()
            self._acceptor = threading.Thread(
                target=self._accept, args=(listening, woken), name=f"{self._name}-accept", daemon=True
            )
            self._acceptor.start()

    def refuse(self) -> None:
        """Drop every connection and refuse new ones until `open`."""
        with self._lock:
            if self._acceptor is None or self._wake is None:
                return
            self._wake.close()
            self._acceptor.join(_STOP_GRACE)
            self._acceptor = self._wake = None
        self.drop_connections()

    def stop(self) -> None:
        """Close the port and every connection, and wait a bounded time for the threads."""
        self.refuse()
        self._placeholder.close()

    def _accept(self, listening: socket.socket, woken: socket.socket) -> None:
        with listening, woken, selectors.DefaultSelector() as selector:
            selector.register(listening, selectors.EVENT_READ)
            selector.register(woken, selectors.EVENT_READ)
            while True:
                if any(key.fileobj is woken for key, _ in selector.select()):
                    return
                try:
                    connection, _peer = listening.accept()
                except OSError:
                    continue  # the peer left meanwhile
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
            _shut(connection)
            connection.close()
            self._connections.pop(connection, None)

    def drop_connections(self) -> None:
        """End every connection; new ones are accepted."""
        connections = list(self._connections.items())
        for connection, _thread in connections:
            _shut(connection)
        for _connection, thread in connections:
            if thread is not threading.current_thread():
                thread.join(_STOP_GRACE)


def start_tls(connection: socket.socket, context: ssl.SSLContext) -> ssl.SSLSocket:
    """Be the TLS server on `connection`; the caller closes what is returned.

    The TLS socket is made over a duplicate, so that shutting down `connection` still ends it from outside.

    Raises:
        OSError: The handshake failed or the peer left.
    """
    duplicate = connection.dup()
    try:
        return context.wrap_socket(duplicate, server_side=True)
    except BaseException:
        duplicate.close()
        raise


def _shut(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


def _bound(host: str, port: int) -> socket.socket:
    bound = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # Lets the listening socket and the placeholder share the port; Windows shares by SO_REUSEADDR alone.
    if hasattr(socket, "SO_REUSEPORT"):
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    bound.bind((host, port))
    return bound
