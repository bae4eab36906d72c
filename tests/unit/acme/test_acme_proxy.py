"""The transport through a proxy, well-behaved and not."""

import itertools
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import trustme

from certwright.acme.errors import NotTrusted, ProxyDenied, ProxyFailed, TimedOut, TransportError
from certwright.acme.https_transport import HttpsTransport
from certwright.acme.transport import Response
from peers.ports import free_port
from peers.tunnel import tunnelling
from unit.acme.tcp_server import Handler, Server, read_request, serve

pytestmark = pytest.mark.timeout(120)  # a transport without bounds hangs in these tests
NAME = "ca.contoso.test"
SECRET = "Basic c4nary"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


@dataclass(frozen=True)
class Way:
    """A proxy as the transport wants it described."""

    port: int
    authorization: str | None = field(default=None, repr=False)
    roots: Path | None = None
    takes_all: bool = True

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def takes(self, host: str) -> bool:
        return self.takes_all


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def ca_file(authority: trustme.CA, tmp_path: Path) -> Path:
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    return tmp_path / "ca.pem"


@pytest.fixture
def seen() -> list[bytes]:
    """The requests that reached the server."""
    return []


@pytest.fixture
def server(authority: trustme.CA, seen: list[bytes]) -> Iterator[Server]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(NAME, "localhost").configure_cert(context)

    def handle(connection: socket.socket) -> None:
        while request := read_request(connection):
            seen.append(request)
            connection.sendall(OK)

    with serve(handle, context) as made:
        yield made


def ask(way: Way, ca_file: Path, *, port: int = 443, host: str = NAME, timeout: float = 60) -> Response:
    with HttpsTransport("certwright/test", ca_file, way) as transport:
        return transport.request("GET", f"https://{host}:{port}/x", headers={}, body=None, timeout=timeout)


def failure(way: Way, ca_file: Path, timeout: float = 60) -> TransportError:
    with pytest.raises(TransportError) as caught:
        ask(way, ca_file, timeout=timeout)
    assert "c4nary" not in f"{caught.value!r} {caught.value.__cause__!r}"
    return caught.value


def test_one_tunnel_carries_many_requests(server: Server, ca_file: Path) -> None:
    with (
        tunnelling({NAME: server.port}) as proxy,
        HttpsTransport("certwright/test", ca_file, Way(proxy.port)) as transport,
    ):
        for _ in range(5):
            answer = transport.request("GET", f"https://{NAME}/x", headers={}, body=None, timeout=60)
            assert answer.body == b"{}"
    assert [head.splitlines()[0].rsplit(" ", 1)[0] for head in proxy.asked] == [f"CONNECT {NAME}:443"]
    assert server.accepted == 1


def test_the_credential_is_for_the_proxy_alone(server: Server, ca_file: Path, seen: list[bytes]) -> None:
    with tunnelling({NAME: server.port}, "user:c4nary") as proxy:
        assert ask(Way(proxy.port, "Basic dXNlcjpjNG5hcnk="), ca_file).status == 200
    assert "Proxy-Authorization: Basic dXNlcjpjNG5hcnk=" in proxy.asked[0]
    assert seen
    assert b"roxy" not in b"".join(seen)


def test_hosts_that_it_does_not_take_are_reached_without_it(server: Server, ca_file: Path) -> None:
    with tunnelling({}) as proxy:
        way = Way(proxy.port, takes_all=False)
        assert ask(way, ca_file, host="localhost", port=server.port).status == 200
    assert not proxy.asked


@pytest.mark.parametrize("authorization", [None, SECRET])
def test_a_proxy_that_wants_a_credential_is_told_of(ca_file: Path, authorization: str | None) -> None:
    with tunnelling({NAME: 1}, "user:right") as proxy:
        error = failure(Way(proxy.port, authorization), ca_file)
    assert isinstance(error, ProxyDenied)
    assert error.proxy == f"http://127.0.0.1:{proxy.port}"
    assert error.reason.endswith("opens no way there: 407 Proxy Authentication Required")


def test_a_proxy_that_does_not_find_the_server_is_told_of(ca_file: Path) -> None:
    with tunnelling({}) as proxy:
        error = failure(Way(proxy.port, SECRET), ca_file)
    assert type(error) is ProxyFailed
    assert error.reason.endswith("opens no way there: 502 Bad Gateway")


def test_a_proxy_that_is_not_there_is_told_of(ca_file: Path) -> None:
    port = free_port()
    error = failure(Way(port, SECRET), ca_file)
    assert type(error) is ProxyFailed
    assert f"cannot connect to the proxy http://127.0.0.1:{port}" in error.reason


def saying(begin: bytes, drop: bytes = b"") -> Handler:
    """A proxy that answers with `begin`, and with drops for ever."""

    def handle(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(begin)
        never = threading.Event()
        for _ in itertools.count() if drop else ():
            connection.sendall(drop)
            never.wait(0.02)
        connection.recv(1)

    return handle


@pytest.mark.parametrize(
    ("begin", "drop"),
    [
        (b"", b""),
        (b"HTTP/1.1 200 OK\r\nX: ", b"y"),
        (b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"),
        (b"HTTP/1.1 200 OK\r\n\r\n", b"\x16"),
    ],
    ids=["silent", "one header", "headers", "no server behind it"],
)
def test_a_proxy_that_never_ends_is_left_in_time(ca_file: Path, begin: bytes, drop: bytes) -> None:
    with serve(saying(begin, drop)) as proxy:
        assert isinstance(failure(Way(proxy.port, SECRET), ca_file, timeout=2), TransportError)


@pytest.mark.parametrize("answer", [b"\x16\x03\x01", b"HTTP/1.1 2\r\n\r\n", b"x" * 200_000])
def test_what_is_no_proxy_is_no_crash(ca_file: Path, answer: bytes) -> None:
    with serve(lambda connection: closing(connection).__enter__().sendall(answer)) as proxy:
        failure(Way(proxy.port, SECRET), ca_file, timeout=5)


def test_what_a_proxy_signs_with_is_trusted_if_it_is_given(server: Server, ca_file: Path, tmp_path: Path) -> None:
    inspector = trustme.CA()
    roots = tmp_path / "roots.pem"
    inspector.cert_pem.write_to_path(roots)
    with tunnelling({NAME: server.port}, inspects=inspector) as proxy:
        error = failure(Way(proxy.port, SECRET), ca_file)
        assert isinstance(error, NotTrusted)
        assert error.proxy == f"http://127.0.0.1:{proxy.port}"
        assert ask(Way(proxy.port, SECRET, roots), ca_file).body == b"{}"


def test_it_is_not_trusted_for_what_does_not_go_through_the_proxy(tmp_path: Path, ca_file: Path) -> None:
    inspector = trustme.CA()
    inspector.cert_pem.write_to_path(tmp_path / "roots.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    inspector.issue_cert("localhost").configure_cert(context)
    way = Way(free_port(), roots=tmp_path / "roots.pem", takes_all=False)
    with serve(saying(OK), context) as impostor, pytest.raises(NotTrusted) as caught:
        ask(way, ca_file, host="localhost", port=impostor.port)
    assert not caught.value.proxy


def test_roots_that_are_none_are_refused(tmp_path: Path) -> None:
    (tmp_path / "roots.pem").write_text("no certificate")
    with pytest.raises(ssl.SSLError):
        HttpsTransport("certwright/test", None, Way(1, roots=tmp_path / "roots.pem"))


def test_an_answer_through_a_tunnel_has_its_time_too(authority: trustme.CA, ca_file: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(NAME).configure_cert(context)
    drip = saying(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", b"x")
    with serve(drip, context) as slow, tunnelling({NAME: slow.port}) as proxy:
        assert isinstance(failure(Way(proxy.port), ca_file, timeout=3), TimedOut)
