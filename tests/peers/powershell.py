"""Our own PowerShell client against the simulator, and what can stand between the two: a relay and a forward proxy."""

import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.serialization import Encoding

from certwright.exchange_simulator import Access, ExchangeOrganisation, ExchangeServer, ServerSpec
from certwright.remoting.endpoint import EXCHANGE, Endpoint, Identity
from certwright.remoting.psrp import Limits, PowerShell, Transcript
from peers.exchange_shell import TestAuthority

USERNAME = "admin@contoso.test"
PASSWORD = "correct horse battery staple"
BASIC = Identity("basic", USERNAME, PASSWORD)
NTLM = Identity("ntlm", USERNAME, PASSWORD)
HURRY = Limits(connect=5, reply=5, poll=1, call=4)


@dataclass
class Simulated:
    """One simulated server and the authority that signs its endpoints."""

    organisation: ExchangeOrganisation
    authorities: bytes

    @property
    def server(self) -> ExchangeServer:
        return next(iter(self.organisation.servers.values()))

    @property
    def mutations(self) -> list[str]:
        return [call.cmdlet for call in self.organisation.mutations]

    def endpoint(self, identity: Identity = BASIC, **changed: Any) -> Endpoint:
        """Exchange's PowerShell: https for basic, http for the others."""
        url = self.server.powershell_url if identity.auth == "basic" else self.server.powershell_http_url
        values = {"url": url, "configuration": EXCHANGE, "identity": identity, "authorities": self.authorities}
        return Endpoint(**{**values, **changed})

    def session(
        self, identity: Identity = BASIC, record: Callable[[Transcript], None] | None = None, **changed: Any
    ) -> PowerShell:
        return PowerShell(self.endpoint(identity, **changed), HURRY, record)


@contextmanager
def simulated(access: Access | None = None, **options: Any) -> Iterator[Simulated]:
    """An organisation of one server."""
    authority = TestAuthority()
    endpoint = authority.issue("localhost", address="127.0.0.1")
    organisation = ExchangeOrganisation(
        [ServerSpec(name="EX01", fqdn="ex01.contoso.test", access=access or Access())],
        **{
            "tls_chain": endpoint.chain_pem,
            "tls_key": endpoint.key_pem,
            "username": USERNAME,
            "password": PASSWORD,
            **options,
        },
    )
    with organisation:
        yield Simulated(organisation, authority.root.public_bytes(Encoding.PEM))


class Between:
    """A server on loopback that hands each connection to `serve` in a thread of its own, and can cut them all."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        self._listening = socket.create_server((host, 0))
        self._sockets: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()

    @property
    def port(self) -> int:
        port: int = self._listening.getsockname()[1]
        return port

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self.cut()
        for thread in self._threads:
            thread.join(10)
            assert not thread.is_alive()

    def cut(self) -> None:
        """Close every connection, as a server does with idle ones."""
        with self._lock:
            for each in self._sockets:
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)

    def serve(self, client: socket.socket) -> None:
        raise NotImplementedError

    def keep(self, opened: socket.socket) -> socket.socket:
        """`opened`, which `cut` shuts down too."""
        opened.settimeout(20)
        with self._lock:
            self._sockets.add(opened)
        return opened

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                self._start(self._serve, self.keep(self._listening.accept()[0]))

    def _serve(self, client: socket.socket) -> None:
        with client, suppress(OSError):
            self.serve(client)

    def _start(self, target: Callable[..., None], *arguments: Any) -> threading.Thread:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()
        return thread

    def pump(self, one: socket.socket, other: socket.socket) -> None:
        """Pass bytes both ways until either side is done."""
        back = self._start(self._copy, other, one)
        self._copy(one, other)
        back.join(20)

    def heard(self, data: bytes) -> None:
        """Called with all that passes."""

    def _copy(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                self.heard(data)
                target.sendall(data)
        for each in (source, target):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)


class Relay(Between):
    """Passes each connection on to the host and port of `url`."""

    def __init__(self, url: str, host: str = "127.0.0.1") -> None:
        super().__init__(host)
        parts = urlsplit(url)
        self._target = (parts.hostname or "", parts.port or 0)
        self.url = parts._replace(netloc=f"{host}:{self.port}").geturl()

    def serve(self, client: socket.socket) -> None:
        with self.keep(socket.create_connection(self._target, 5)) as server:
            self.pump(client, server)


class ForwardProxy(Between):
    """An HTTP proxy: CONNECT for https, whole addresses for http; it keeps client and server connections in pairs.

    As long as `refusals` gives one, it answers a request with that status and a page of its own.
    """

    def __init__(self, refusals: Iterable[str] = ()) -> None:
        super().__init__()
        self.refusals = iter(refusals)
        self.asked: list[str] = []
        self.url = f"http://127.0.0.1:{self.port}"

    def serve(self, client: socket.socket) -> None:
        reader = client.makefile("rb")
        server: socket.socket | None = None
        try:
            while message := http_message(reader):
                line, head, body = message
                self.asked.append(line)
                if refusal := next(self.refusals, ""):
                    client.sendall(_page(refusal))
                    return
                method, target, version = line.split(" ")
                if method == "CONNECT":
                    host, _, port = target.rpartition(":")
                    with self.keep(socket.create_connection((host, int(port)), 5)) as tunnel:
                        client.sendall(b"HTTP/1.1 200 Established\r\n\r\n")
                        self.pump(client, tunnel)
                    return
                parts = urlsplit(target)
                server = server or self.keep(socket.create_connection((parts.hostname or "", parts.port or 80), 5))
                path = parts._replace(scheme="", netloc="").geturl()
                server.sendall(f"{method} {path} {version}\r\n{head}\r\n\r\n".encode("latin-1") + body)
                with server.makefile("rb") as answer:
                    status, head, body = http_message(answer) or ("HTTP/1.1 502 Bad Gateway", "Content-Length: 0", b"")
                client.sendall(f"{status}\r\n{head}\r\nVia: 1.1 gateway\r\n\r\n".encode("latin-1") + body)
        finally:
            reader.close()
            if server:
                server.close()


def http_message(reader: Any) -> tuple[str, str, bytes] | None:
    """The first line, the other lines and the body of an HTTP message with a length; None at the end."""
    lines = []
    while line := reader.readline(65536):
        if line == b"\r\n":
            break
        lines.append(line.decode("latin-1").rstrip())
    if not lines:
        return None
    length = next((int(x.partition(":")[2]) for x in lines if x.lower().startswith("content-length:")), 0)
    return lines[0], "\r\n".join(lines[1:]), reader.read(length)


def _page(status: str) -> bytes:
    body = b"<html><body>The gateway says no.</body></html>"
    head = f"HTTP/1.1 {status}\r\nVia: 1.1 gateway (squid)\r\nContent-Type: text/html\r\nContent-Length: {len(body)}"
    return f"{head}\r\nConnection: close\r\n\r\n".encode() + body
