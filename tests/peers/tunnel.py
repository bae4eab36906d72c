"""An HTTP proxy of our own: opens tunnels, wants a credential, or opens TLS to look inside."""

import contextlib
import select
import socket
import ssl
import threading
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import trustme

_SECONDS = 60
_REFUSED = (
    b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=x\r\nContent-Length: 0\r\n\r\n"
)


@dataclass
class Tunnel:
    """A running proxy.

    Attributes:
        ports: the names that it knows, and the ports of loopback that they are.
        credential: USER:PASSWORD that it wants; none if it is empty.
        inspects: the authority whose certificates it shows in place of the servers'.
        asked: the heads of the requests that it was sent.
    """

    ports: Mapping[str, int]
    credential: str = ""
    inspects: trustme.CA | None = None
    asked: list[str] = field(default_factory=list)
    port: int = 0
    _ends: list[socket.socket] = field(default_factory=list)
    _threads: list[threading.Thread] = field(default_factory=list)

    def serve(self, listener: socket.socket) -> None:
        """Take connections until the listener is closed."""
        self.port = listener.getsockname()[1]
        self._start(self._accept, listener)

    def close(self) -> None:
        """Break all connections."""
        for end in self._ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(_SECONDS)
        for end in self._ends:
            end.close()

    def _start(self, work: object, *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                client.settimeout(_SECONDS)
                self._ends.append(client)
                self._start(self._handle, client)

    def _handle(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            head = _head(client)
            self.asked.append(head)
            wanted = f"Proxy-Authorization: Basic {b64encode(self.credential.encode()).decode()}"
            if self.credential and wanted not in head:
                client.sendall(_REFUSED)
                client.close()
                return
            name = head.split()[1].rpartition(":")[0]
            if name not in self.ports:
                client.sendall(b"HTTP/1.1 502 Bad Gateway\r\n\r\n")
                client.close()
                return
            server = socket.create_connection(("127.0.0.1", self.ports[name]), _SECONDS)
            self._ends.append(server)
            client.sendall(b"HTTP/1.1 200 Connection established\r\nVia: tunnel\r\n\r\n")
            if self.inspects:
                client, server = self._opened(client, server, name, self.inspects)
            _carry(client, server)

    def _opened(
        self, client: socket.socket, server: socket.socket, name: str, authority: trustme.CA
    ) -> tuple[socket.socket, socket.socket]:
        shown = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(name).configure_cert(shown)
        any_server = ssl.create_default_context()
        any_server.check_hostname = False
        any_server.verify_mode = ssl.CERT_NONE
        near = shown.wrap_socket(client, server_side=True)
        self._ends.append(near)
        far = any_server.wrap_socket(server, server_hostname=name)
        self._ends.append(far)
        return near, far


def _head(client: socket.socket) -> str:
    data = b""
    while not data.endswith(b"\r\n\r\n"):
        piece = client.recv(1)
        if not piece:
            raise OSError("the client has left")
        data += piece
    return data.decode("latin-1")


def _carry(client: socket.socket, server: socket.socket) -> None:
    """Both directions in one thread: before Python 3.13 two threads may not use one TLS connection at once."""
    others = {client: server, server: client}
    with contextlib.suppress(OSError):
        while ready := select.select(others, [], [], _SECONDS)[0]:
            for source in ready:
                source.settimeout(0)
                try:
                    data = source.recv(65536)
                except (ssl.SSLWantReadError, BlockingIOError):  # a record of TLS itself
                    continue
                finally:
                    source.settimeout(_SECONDS)
                if not data:
                    raise OSError("one of them has left")
                others[source].sendall(data)
    for end in others:
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


@contextmanager
def tunnelling(ports: Mapping[str, int], credential: str = "", inspects: trustme.CA | None = None) -> Iterator[Tunnel]:
    """Run it until the block ends."""
    made = Tunnel(ports, credential, inspects)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        made.serve(listener)
        try:
            yield made
        finally:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            made.close()
