"""The server on its socket: keep-alive, limits, faults, an end without leftovers."""

import contextlib
import gc
import http.client
import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from certwright.acme_server import AcmeServer, AcmeServerConfig
from certwright.acme_server import listener as listener_module
from unit.acme_server.wire import SettableClock


@pytest.fixture(scope="module")
def server() -> Iterator[AcmeServer]:
    with AcmeServer() as each:
        yield each


def port_of(server: AcmeServer) -> int:
    return int(server.directory_url.split(":")[2].split("/")[0])


def trusting(server: AcmeServer) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=server.ca_file)


def client(server: AcmeServer) -> http.client.HTTPSConnection:
    return http.client.HTTPSConnection("127.0.0.1", port_of(server), context=trusting(server), timeout=10)


def exchange(server: AcmeServer, data: bytes) -> bytes:
    """Send ``data`` as it is, and nothing more; all that comes back."""
    with (
        socket.create_connection(("127.0.0.1", port_of(server)), timeout=10) as plain,
        trusting(server).wrap_socket(plain, server_hostname="localhost") as tls,
    ):
        tls.sendall(data)
        answer = b""
        while chunk := tls.recv(65536):
            answer += chunk
        return answer


def problem(answer: bytes) -> tuple[int, str]:
    head, _, body = answer.partition(b"\r\n\r\n")
    document = json.loads(body)
    assert b"Content-Type: application/problem+json" in head
    assert f"HTTP/1.1 {document['status']} ".encode() in head
    return document["status"], document["type"].removeprefix("urn:ietf:params:acme:error:")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_the_root_vouches_for_the_server(server: AcmeServer, host: str) -> None:
    connection = http.client.HTTPSConnection(host, port_of(server), context=trusting(server), timeout=10)
    connection.request("GET", "/directory")
    answer = connection.getresponse()
    assert answer.status == 200
    assert json.load(answer)["newNonce"].startswith(f"https://127.0.0.1:{port_of(server)}/")
    connection.close()


def test_the_https_certificate_follows_the_machines_clock_not_the_cas() -> None:
    clock = SettableClock()
    clock.advance(timedelta(days=-1000))
    with AcmeServer(clock=clock) as server:
        connection = client(server)
        connection.request("GET", "/directory")
        assert connection.getresponse().status == 200
        connection.close()


def test_a_connection_serves_many_requests(server: AcmeServer) -> None:
    connection = client(server)
    for method, path, status in (("GET", "/directory", 200), ("HEAD", "/newNonce", 200), ("GET", "/newNonce", 204)) * 3:
        connection.request(method, path)
        answer = connection.getresponse()
        assert answer.status == status
        if not answer.read():
            assert method == "HEAD" or status == 204
    first = connection.sock
    assert first is not None
    connection.request("POST", "/newOrder", b"{}", {"Content-Type": "application/jose+json"})
    assert connection.getresponse().status == 400
    assert connection.sock is first
    connection.close()


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET /directory HTTP/9.9\r\n\r\n", 505),
        (b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 70_000 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 200 + b"\r\n", 431),
        (b"BREW / HTTP/1.1\r\n\r\n", 501),
        (b"POST /newOrder HTTP/1.1\r\nContent-Length: many\r\n\r\n", 400),
        (b"POST /newOrder HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
        ("POST /newOrder HTTP/1.1\r\nContent-Length: \u00b2\r\n\r\n".encode("latin-1"), 400),
        (b"POST /newOrder HTTP/1.1\r\nContent-Length: 131073\r\n\r\n", 413),
        (b"POST /newOrder HTTP/1.1\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n", 413),
        (b"POST /newOrder HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 411),
    ],
)
def test_what_is_not_http_as_we_speak_it_is_refused_and_the_connection_closed(
    server: AcmeServer, data: bytes, status: int
) -> None:
    assert problem(exchange(server, data)) == (status, "malformed")


@given(st.binary(max_size=300))
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_bytes_hurt(capfd: pytest.CaptureFixture[str], server: AcmeServer, data: bytes) -> None:
    exchange(server, data + b"\r\n\r\nGET / HTTP/1.1\r\nConnection: close\r\n\r\n")
    assert capfd.readouterr().err == ""


def test_plain_http_is_no_https(server: AcmeServer, capfd: pytest.CaptureFixture[str]) -> None:
    with socket.create_connection(("127.0.0.1", port_of(server)), timeout=10) as plain:
        plain.sendall(b"GET /directory HTTP/1.1\r\n\r\n")
        with contextlib.suppress(ConnectionResetError):
            assert plain.recv(4096) == b""
    assert capfd.readouterr().err == ""


def test_peers_that_vanish_leave_nothing_behind(server: AcmeServer, capfd: pytest.CaptureFixture[str]) -> None:
    for data in (b"", b"GET /dir", b"POST /newOrder HTTP/1.1\r\nContent-Length: 100\r\n\r\n{"):
        with socket.create_connection(("127.0.0.1", port_of(server)), timeout=10) as plain:
            tls = trusting(server).wrap_socket(plain, server_hostname="localhost")
            tls.sendall(data or b"\r\n")
            tls.close()
    connection = client(server)
    connection.request("GET", "/directory")
    assert connection.getresponse().status == 200
    connection.close()
    assert capfd.readouterr().err == ""


def test_idle_connections_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener_module, "REQUEST_SECONDS", 0.2)
    with AcmeServer() as server:
        assert exchange(server, b"") == b""


def drip(connection: socket.socket) -> None:
    connection.sendall(b"GET /directory HTTP/1.1\r\nX: ")
    for _ in range(200):
        connection.sendall(b"y")
        time.sleep(0.05)


def test_dripping_requests_are_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener_module, "REQUEST_SECONDS", 0.3)
    with (
        AcmeServer() as server,
        socket.create_connection(("127.0.0.1", port_of(server)), timeout=10) as plain,
        trusting(server).wrap_socket(plain, server_hostname="localhost") as tls,
        pytest.raises((ConnectionError, ssl.SSLError)),
    ):
        drip(tls)


def test_a_peer_that_does_not_shake_hands_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener_module, "HANDSHAKE_SECONDS", 0.2)
    with AcmeServer() as server, socket.create_connection(("127.0.0.1", port_of(server)), timeout=10) as plain:
        assert plain.recv(1) == b""


def test_beyond_the_limit_connections_are_closed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener_module, "MAX_CONNECTIONS", 1)
    with AcmeServer() as server:
        first = client(server)
        first.request("GET", "/directory")
        first.getresponse().read()
        with socket.create_connection(("127.0.0.1", port_of(server)), timeout=10) as second:
            assert second.recv(1) == b""
        first.close()


def test_closing_ends_all_threads_and_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener_module, "HANDSHAKE_SECONDS", 1000)  # or else waiting would do
    monkeypatch.setattr(listener_module, "REQUEST_SECONDS", 1000)
    before = set(threading.enumerate())
    server = AcmeServer()
    server.start()
    idle = client(server)
    idle.request("GET", "/directory")
    idle.getresponse().read()
    with socket.create_connection(("127.0.0.1", port_of(server)), timeout=10):
        server.close()
    assert set(threading.enumerate()) <= before
    assert not server.ca_file.exists()
    idle.close()
    gc.collect()  # an unclosed socket would warn here


def test_a_server_that_never_started_can_be_closed() -> None:
    server = AcmeServer()
    server.close()
    gc.collect()


def test_a_taken_port_is_an_os_error_and_leaves_nothing_behind(server: AcmeServer) -> None:
    with pytest.raises(OSError, match="in use"):
        AcmeServer(AcmeServerConfig(port=port_of(server)))
    gc.collect()


def test_a_server_goes_on_with_what_an_earlier_one_remembered() -> None:
    with AcmeServer() as first:
        kept, port = (first.ca, first.state), port_of(first)
        root = first.ca_file.read_bytes()
    with AcmeServer(AcmeServerConfig(port=port), ca=kept[0], state=kept[1]) as second:
        assert second.ca_file.read_bytes() == root
        assert second.state is kept[1]
        assert second.directory_url == first.directory_url


# Faults


def test_a_dropped_answer_is_handled_first() -> None:
    with AcmeServer() as server:
        server.faults.drop_next("newNonce")
        connection = client(server)
        connection.request("HEAD", "/newNonce")
        with pytest.raises(http.client.RemoteDisconnected):
            connection.getresponse()
        connection.request("HEAD", "/newNonce")
        assert connection.getresponse().status == 200
        connection.close()
        assert server.requests["newNonce"] == 2  # type: ignore[index]  # an Endpoint is its name


def test_faults_come_in_the_order_given_and_on_their_endpoint_only() -> None:
    with AcmeServer() as server:
        server.faults.http_error_next("directory", 503, retry_after=7)
        server.faults.problem_next("directory", retry_after="Fri, 31 Dec 1999 23:59:59 GMT")
        server.faults.delay_next("directory", 0.2)
        server.faults.problem_next("directory", "serverInternal", "Broken.", count=2)
        connection, told = client(server), []
        for path in ("/newNonce", *["/directory"] * 6):
            connection.request("GET", path)
            answer = connection.getresponse()
            body = answer.read()
            kind = answer.headers["Content-Type"]
            detail = json.loads(body)["detail"] if kind == "application/problem+json" else ""
            told.append((answer.status, kind, answer.headers["Retry-After"], detail))
        connection.close()
    assert told == [
        (204, None, None, ""),
        (503, "text/plain", "7", ""),
        (429, "application/problem+json", "Fri, 31 Dec 1999 23:59:59 GMT", "Too many requests."),
        (200, "application/json", None, ""),
        (500, "application/problem+json", None, "Broken."),
        (500, "application/problem+json", None, "Broken."),
        (200, "application/json", None, ""),
    ]


def test_faults_are_cleared_and_their_endpoints_must_exist() -> None:
    with AcmeServer() as server:
        server.faults.http_error_next("directory", 500, count=9)
        server.faults.clear()
        connection = client(server)
        connection.request("GET", "/directory")
        assert connection.getresponse().status == 200
        connection.close()
        with pytest.raises(ValueError, match="finalise"):
            server.faults.drop_next("finalise")
