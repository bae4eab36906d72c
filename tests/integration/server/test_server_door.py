"""Who comes in at the port: strangers that are slow, many, long-winded, or come under another name."""

import asyncio
import http.client
import socket
import ssl
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from certwright.probe import Endpoint
from certwright.server import door
from certwright.server.http import listening
from peers.ports import free_port

SECONDS = 0.6


async def _ok(request: Request) -> Response:
    return PlainTextResponse(f"{len(await request.body())} bytes\n")


async def _drip(_request: Request) -> Response:
    async def parts() -> AsyncIterator[bytes]:
        for _ in range(4):
            yield b"data: x\n\n"
            await asyncio.sleep(SECONDS / 2)

    return StreamingResponse(parts(), media_type="text/event-stream")


async def _flood(_request: Request) -> Response:
    async def parts() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 100_000
            await asyncio.sleep(0)

    return StreamingResponse(parts())


APP = Starlette(
    routes=[
        Route("/ok", _ok, methods=["GET", "POST"]),
        Route("/drip", _drip),
        Route("/flood", _flood),
    ]
)


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    monkeypatch.setattr(door, "REQUEST_SECONDS", SECONDS)
    monkeypatch.setattr(door, "TAKING_SECONDS", SECONDS)
    at = Endpoint("127.0.0.1", free_port())
    with listening(at, APP, knows=lambda host: host == "certs.contoso.com"):
        yield at


def connect(at: Endpoint) -> socket.socket:
    return socket.create_connection((at.host, at.port), timeout=30)


def ended_after(connection: socket.socket) -> float:
    """How long the other side keeps it open; what it says meanwhile is read."""
    begun = time.monotonic()
    try:
        while connection.recv(65_536):
            pass
    except ConnectionResetError:
        pass
    return time.monotonic() - begun


def is_answered(at: Endpoint) -> bool:
    with connect(at) as one:
        one.sendall(b"GET /ok HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        return one.recv(65_536).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"GET /ok HTTP/1.1\r\nHost: loc",
        b"POST /ok HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n12345",
        b"GET /ok HTTP/1.1\r\nHost: a\r\n\r\nPOST /ok HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n1",
    ],
)
def test_whoever_does_not_finish_a_request_is_let_go(at: Endpoint, said: bytes) -> None:
    with connect(at) as slow:
        slow.sendall(said)
        assert ended_after(slow) >= SECONDS / 2
    assert is_answered(at)


def test_a_byte_now_and_then_buys_no_time(at: Endpoint) -> None:
    with connect(at) as slow:
        slow.sendall(b"GET /ok HTTP/1.1\r\nHost: localhost\r\n")
        end = time.monotonic() + 30
        while _takes(slow):
            assert time.monotonic() < end
            time.sleep(0.05)


def _takes(slow: socket.socket) -> bool:
    try:
        slow.sendall(b"X-a: b\r\n")
    except OSError:
        return False
    return True


def test_an_answer_may_take_its_time(at: Endpoint) -> None:
    connection = http.client.HTTPConnection(at.host, at.port, timeout=30)
    connection.request("GET", "/drip")
    assert connection.getresponse().read().count(b"data: x") == 4
    connection.request("GET", "/ok")
    assert connection.getresponse().status == 200
    connection.close()


def test_whoever_takes_nothing_of_what_it_asked_for_is_let_go(at: Endpoint) -> None:
    with connect(at) as silent:
        silent.sendall(b"GET /flood HTTP/1.1\r\nHost: localhost\r\n\r\n")
        time.sleep(3 * SECONDS)
        assert ended_after(silent) < 20
    assert is_answered(at)


def test_there_is_room_for_so_many_and_again_when_one_has_gone(at: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "MOST", 3)
    monkeypatch.setattr(door, "REQUEST_SECONDS", 60)
    with ExitStack() as stack:
        inside = [stack.enter_context(connect(at)) for _ in range(3)]
        inside[2].sendall(b"GET /ok HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert inside[2].recv(100).startswith(b"HTTP/1.1 200")
        with connect(at) as turned_away:
            assert ended_after(turned_away) < 20
        inside[0].close()
        end = time.monotonic() + 30
        while not _enters(at):
            assert time.monotonic() < end


def _enters(at: Endpoint) -> bool:
    try:
        return is_answered(at)
    except OSError:
        return False


def test_one_stranger_does_not_take_all_the_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "MOST_FROM_ONE", 2)
    monkeypatch.setattr(door, "ip_address", _Stranger)
    made = door.Door(socket.AF_INET)
    with made, ExitStack() as stack:
        made.bind(("127.0.0.1", 0))
        made.listen()
        for source, enters in (("127.0.0.2", True), ("127.0.0.2", True), ("127.0.0.2", False), ("127.0.0.3", True)):
            stack.enter_context(socket.create_connection(made.getsockname(), timeout=30, source_address=(source, 0)))
            if enters:
                stack.enter_context(made.accept()[0])
            else:
                with pytest.raises(ConnectionAbortedError):
                    made.accept()


class _Stranger:
    """An address that is not of this machine: there is no other way to come from elsewhere in a test."""

    is_loopback = False

    def __init__(self, _text: str) -> None:
        pass


def test_a_head_or_a_body_that_is_too_long_is_refused(at: Endpoint) -> None:
    with connect(at) as one:
        one.sendall(b"GET /ok HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 40_000)
        assert one.recv(65_536).startswith(b"HTTP/1.1 400")
    for headers, body in (({}, b"x" * 1_100_000), ({"Transfer-Encoding": "chunked"}, [b"x" * 600_000] * 2)):
        connection = http.client.HTTPConnection(at.host, at.port, timeout=30)
        try:
            connection.request("POST", "/ok", body, headers, encode_chunked=True)
            assert connection.getresponse().status == 413
        except (BrokenPipeError, ConnectionResetError):
            pass  # it did not even listen to the end
        finally:
            connection.close()
    assert is_answered(at)


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:8480", 200),
        ("LOCALHOST", 200),
        ("127.0.0.1", 200),
        ("[::1]:80", 200),
        ("certs.contoso.com", 200),
        ("Certs.Contoso.com:443", 200),
        (socket.gethostname(), 200),
        ("evil.test", 400),
        ("localhost.evil.test", 400),
        ("127.0.0.1.evil.test", 400),
        ("192.0.2.1", 400),
        ("[", 400),
        ("", 400),
    ],
)
def test_only_its_own_names_are_answered(at: Endpoint, host: str, status: int) -> None:
    with connect(at) as one:
        one.sendall(f"GET /ok HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        answer = one.recv(65_536)
    assert answer.startswith(b"HTTP/1.1 %d" % status)
    assert b"strict-transport-security" not in answer
    assert b"evil" not in answer


def test_who_speaks_tls_to_a_port_that_does_not_is_told_nothing(at: Endpoint) -> None:
    with connect(at) as one, pytest.raises(ssl.SSLError):
        ssl.create_default_context().wrap_socket(one, server_hostname="localhost")
