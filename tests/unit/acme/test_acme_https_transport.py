"""The real transport against real sockets, well-behaved and not."""

import itertools
import os
import socket
import ssl
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import trustme

from certwright.acme.errors import (
    AnswerTooLarge,
    ConnectionFailed,
    NotTrusted,
    TimedOut,
    TLSFailed,
    TransportError,
    URLRefused,
)
from certwright.acme.http1 import MOST_BYTES
from certwright.acme.https_transport import HttpsTransport, shared
from certwright.acme.transport import Response
from unit.acme.tcp_server import Handler, read_request, serve

pytestmark = pytest.mark.timeout(60)  # a transport without bounds hangs in these tests

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def server_context(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    return context


@pytest.fixture
def transport(authority: trustme.CA, tmp_path: Path) -> Iterator[HttpsTransport]:
    ca_file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(ca_file)
    with HttpsTransport("certwright/test", ca_file) as made:
        yield made


def ask(transport: HttpsTransport, port: int, timeout: float = 20, *, scheme: str = "https") -> Response:
    url = f"{scheme}://localhost:{port}/directory?x=1"
    return transport.request("GET", url, headers={"Accept-Language": "en"}, body=None, timeout=timeout)


def answering(answer: bytes) -> Handler:
    """The same answer to every request of a connection."""

    def handle(connection: socket.socket) -> None:
        while read_request(connection):
            connection.sendall(answer)

    return handle


def closing(answer: bytes) -> Handler:
    """The answer to the first request, then the end."""

    def handle(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(answer)
        connection.close()

    return handle


def dripping(begin: bytes, drop: bytes) -> Handler:
    """``begin``, then a drop again and again, for ever."""

    def handle(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(begin)
        for _ in itertools.count():
            connection.sendall(drop)
            done.wait(0.02)

    done = threading.Event()  # never set: a sleep that needs no import of time
    return handle


def silent(connection: socket.socket) -> None:
    while connection.recv(4096):
        pass


def test_an_answer_comes_as_it_was_sent(transport: HttpsTransport, server_context: ssl.SSLContext) -> None:
    head = b"HTTP/1.1 404 Not Found\r\nLink: <a>;rel=x\r\nLINK: <b>;rel=y\r\nReplay-Nonce: n\r\n"
    answer = head + b"Content-Length: 3\r\n\r\nabc"
    with serve(answering(answer), server_context) as server:
        response = ask(transport, server.port)
    assert response.status == 404
    assert response.headers["link"] == "<a>;rel=x, <b>;rel=y"
    assert response.headers["replay-nonce"] == "n"
    assert response.body == b"abc"


def test_a_request_goes_out_as_asked(transport: HttpsTransport, server_context: ssl.SSLContext) -> None:
    seen: list[bytes] = []

    def handle(connection: socket.socket) -> None:
        while request := read_request(connection):
            seen.append(request)
            connection.sendall(OK)

    with serve(handle, server_context) as server:
        url = f"https://localhost:{server.port}/new-order"
        headers = {"Content-Type": "application/jose+json"}
        transport.request("POST", url, headers=headers, body=b'{"a":1}', timeout=20)
    [request] = seen
    assert request.startswith(b"POST /new-order HTTP/1.1\r\n")
    assert b"\r\nUser-Agent: certwright/test\r\n" in request
    assert b"\r\nContent-Type: application/jose+json\r\n" in request
    assert b"\r\nAccept-Encoding: identity\r\n" in request
    assert request.endswith(b'\r\n\r\n{"a":1}')


def test_connections_are_kept_alive(transport: HttpsTransport, server_context: ssl.SSLContext) -> None:
    with serve(answering(OK), server_context) as server:
        for _ in range(20):
            assert ask(transport, server.port).body == b"{}"
        assert server.accepted == 1


def test_all_that_trust_the_same_share_connections(
    authority: trustme.CA, server_context: ssl.SSLContext, tmp_path: Path
) -> None:
    ca_file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(ca_file)
    with serve(answering(OK), server_context) as server, shared("certwright/test", ca_file) as first:
        for _ in range(3):
            ask(shared("certwright/test", ca_file), server.port)
        assert server.accepted == 1
        os.utime(ca_file, ns=(0, 0))
        with shared("certwright/test", ca_file) as second:
            ask(second, server.port)
            assert second is not first
            assert server.accepted == 2


def test_chunked_answers_keep_the_connection_too(transport: HttpsTransport, server_context: ssl.SSLContext) -> None:
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
    with serve(answering(chunked), server_context) as server:
        assert [ask(transport, server.port).body for _ in range(3)] == [b"{}"] * 3
        assert server.accepted == 1


def test_head_has_no_body(transport: HttpsTransport, server_context: ssl.SSLContext) -> None:
    with serve(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n"), server_context) as server:
        url = f"https://localhost:{server.port}/nonce"
        for _ in range(2):
            assert transport.request("HEAD", url, headers={}, body=None, timeout=20).body == b""
        assert server.accepted == 1


def test_threads_share_a_bounded_number_of_connections(
    transport: HttpsTransport, server_context: ssl.SSLContext
) -> None:
    with serve(answering(OK), server_context) as server, ThreadPoolExecutor(24) as threads:
        answers = list(threads.map(lambda _: ask(transport, server.port), range(200)))
        assert {answer.body for answer in answers} == {b"{}"}
        assert server.accepted <= 8


def test_redirects_are_answers(transport: HttpsTransport, server_context: ssl.SSLContext) -> None:
    moved = b"HTTP/1.1 302 Found\r\nLocation: https://localhost:1/\r\nContent-Length: 0\r\n\r\n"
    with serve(answering(moved), server_context) as server:
        response = ask(transport, server.port)
    assert (response.status, response.headers["Location"]) == (302, "https://localhost:1/")


def test_plain_http_reaches_this_machine_only(transport: HttpsTransport) -> None:
    with serve(answering(OK)) as server:
        assert ask(transport, server.port, scheme="http").body == b"{}"


@pytest.mark.parametrize(
    "url",
    [
        "http://ca.example.org/directory",
        "http://192.0.2.1/directory",
        "http://localhost.example.org/",
        "ftp://localhost/",
        "file:///etc/passwd",
        "https://",
        "https://[",
        "https://localhost:99999/",
        f"https://{'a' * 64}.example.org/",
        "localhost/directory",
        "",
    ],
)
def test_other_urls_are_refused(transport: HttpsTransport, url: str) -> None:
    with pytest.raises(URLRefused):
        transport.request("GET", url, headers={}, body=None, timeout=20)


def test_nobody_listens(transport: HttpsTransport) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        with pytest.raises(ConnectionFailed, match=r"cannot connect: .*refused"):
            ask(transport, unused.getsockname()[1])


def test_a_certificate_of_another_authority(tmp_path: Path, server_context: ssl.SSLContext) -> None:
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(other)
    with (
        HttpsTransport("certwright/test", other) as transport,
        serve(answering(OK), server_context) as server,
        pytest.raises(NotTrusted, match=r"not trusted: .*issuer") as caught,
    ):
        ask(transport, server.port)
    assert "O=trustme" in caught.value.signer
    assert caught.value.signer in caught.value.reason


def test_only_the_given_authority_is_trusted_or_else_the_systems(server_context: ssl.SSLContext) -> None:
    with (
        HttpsTransport("certwright/test") as transport,
        serve(answering(OK), server_context) as server,
        pytest.raises(NotTrusted, match="not trusted"),
    ):
        ask(transport, server.port)


def test_a_certificate_for_another_name(transport: HttpsTransport, server_context: ssl.SSLContext) -> None:
    with serve(answering(OK), server_context) as server:
        url = f"https://127.0.0.1:{server.port}/"
        with pytest.raises(NotTrusted, match=r"not valid for '127\.0\.0\.1'") as caught:
            transport.request("GET", url, headers={}, body=None, timeout=20)
    assert not caught.value.signer


def test_a_server_that_does_not_speak_tls(transport: HttpsTransport) -> None:
    def speak_http(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with serve(speak_http) as server, pytest.raises(TLSFailed, match="TLS failed") as caught:
        ask(transport, server.port)
    assert not isinstance(caught.value, NotTrusted)


@pytest.mark.parametrize(
    "answer",
    [
        b"\x1b]0;owned\x07\x1b[2J\x1b[31mHACKED\r\n\r\n",
        b"HTTP/1.1 2\x1b[2J0 \x9b31mOK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: \x1b[2J\r\nTransfer-Encoding: chunked\r\n\r\n\x1b[2J\r\n",
    ],
)
def test_no_error_obeys_the_server_on_a_terminal(
    transport: HttpsTransport, server_context: ssl.SSLContext, answer: bytes
) -> None:
    with serve(closing(answer), server_context) as server, pytest.raises(ConnectionFailed) as caught:
        ask(transport, server.port)
    assert str(caught.value).isprintable()
    assert caught.value.reason.isprintable()


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"garbage\r\n\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nshort",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000 + b"\r\n",
    ],
)
def test_a_connection_that_breaks_or_talks_nonsense(
    transport: HttpsTransport, server_context: ssl.SSLContext, answer: bytes
) -> None:
    with serve(closing(answer), server_context) as server:
        for _ in range(10):  # more often than the pool has places: none is lost
            with pytest.raises(ConnectionFailed) as caught:
                ask(transport, server.port)
            assert "object at 0x" not in str(caught.value)


@pytest.mark.parametrize(
    "handler",
    [
        silent,
        dripping(b"HTTP/1.1 200 O", b"K"),
        dripping(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"),
        dripping(b"HTTP/1.1 200 OK\r\nX: ", b"y"),
        dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", b"x"),
        dripping(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
        dripping(b"HTTP/1.1 200 OK\r\n\r\n", b"x"),
        dripping(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    ],
    ids=["silent", "status", "headers", "header", "body", "chunks", "endless", "continue"],
)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_an_answer_that_does_not_come_in_time(
    transport: HttpsTransport, server_context: ssl.SSLContext, handler: Handler, scheme: str
) -> None:
    with serve(handler, server_context if scheme == "https" else None) as server:
        for _ in range(9 if scheme == "https" else 1):  # as above
            with pytest.raises(TimedOut):
                ask(transport, server.port, 0.1, scheme=scheme)


def test_a_handshake_that_does_not_come_in_time(transport: HttpsTransport) -> None:
    with serve(silent) as server, pytest.raises(TimedOut):
        ask(transport, server.port, 0.1)


@pytest.mark.parametrize(
    "begin",
    [
        f"HTTP/1.1 200 OK\r\nContent-Length: {MOST_BYTES + 1}\r\n\r\n".encode(),
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
    ],
)
def test_an_answer_that_is_too_large(transport: HttpsTransport, server_context: ssl.SSLContext, begin: bytes) -> None:
    with serve(closing(begin + b"x" * (MOST_BYTES + 1)), server_context) as server:
        for _ in range(10):  # as above
            with pytest.raises(AnswerTooLarge, match="1048576 bytes"):
                ask(transport, server.port)


def test_the_largest_answer_is_read(transport: HttpsTransport, server_context: ssl.SSLContext) -> None:
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {MOST_BYTES}\r\n\r\n".encode()
    with serve(answering(head + b"x" * MOST_BYTES), server_context) as server:
        assert len(ask(transport, server.port).body) == MOST_BYTES


def test_a_ca_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        HttpsTransport("certwright/test", tmp_path / "none.pem")
    (tmp_path / "empty.pem").write_text("")
    with pytest.raises(ssl.SSLError):
        HttpsTransport("certwright/test", tmp_path / "empty.pem")


def test_all_transport_errors_carry_the_url(transport: HttpsTransport) -> None:
    with pytest.raises(TransportError) as caught:
        transport.request("GET", "http://ca.example.org/x", headers={}, body=None, timeout=1)
    assert caught.value.url == "http://ca.example.org/x"
    assert str(caught.value).startswith("http://ca.example.org/x: only https")
