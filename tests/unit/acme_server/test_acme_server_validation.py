"""Validation against real servers that do it right, and against those that do it wrong."""

import hashlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from certwright.acme_server import CertificateAuthority, ValidationConfig
from certwright.acme_server.identifiers import Identifier
from certwright.acme_server.problem import Problem
from certwright.acme_server.validation import Attempt, Validator
from peers.acme_server import dns_server
from peers.ports import free_port
from unit.acme_server.wire import b64, new_key

NAME = Identifier("dns", "mail.contoso.test")
KEY_AUTHORIZATION = "token.thumbprint"
GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n" + KEY_AUTHORIZATION.encode()
Serve = Callable[[socket.socket], None]


@contextmanager
def listening(serve: Serve, host: str = "127.0.0.1", port: int = 0) -> Iterator[int]:
    """A port where each connection is answered by ``serve``."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, port), family=family) as server:
        stop, threads = threading.Event(), []
        server.settimeout(0.05)

        def one(connection: socket.socket) -> None:
            with connection:
                connection.settimeout(5)
                with suppress(OSError):
                    serve(connection)

        def loop() -> None:
            while not stop.is_set():
                try:
                    connection, _ = server.accept()
                except TimeoutError:
                    continue
                threads.append(threading.Thread(target=one, args=(connection,)))
                threads[-1].start()

        threads.append(threading.Thread(target=loop))
        threads[0].start()
        try:
            yield server.getsockname()[1]
        finally:
            stop.set()
            for thread in threads:
                thread.join(timeout=10)


def answering(*answers: bytes, seen: list[bytes] | None = None) -> Serve:
    """Read a request, send the next of ``answers`` (the last one again and again), close."""
    left = list(answers)

    def serve(connection: socket.socket) -> None:
        request = connection.recv(4096)
        if seen is not None:
            seen.append(request)
        connection.sendall(left.pop(0) if left[1:] else left[0])

    return serve


def redirect(location: str, status: int = 302) -> bytes:
    return f"HTTP/1.1 {status} Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode()


def attempt(kind: str, identifier: Identifier) -> Attempt:
    return Attempt(kind, identifier, "token", KEY_AUTHORIZATION, "https://ca.contoso.test/account/1")


def http_01(port: int, identifier: Identifier = NAME, *, tls_port: int = 443, timeout: float = 5) -> None:
    hosts = {NAME.value: ("127.0.0.1",), "www.contoso.test": ("127.0.0.1",)}
    config = ValidationConfig(http_port=port, tls_port=tls_port, hosts=hosts, timeout=timeout)
    Validator(config).validate(attempt("http-01", identifier))


def refused(serve: Serve, timeout: float = 5) -> Problem:
    with listening(serve) as port, pytest.raises(Problem) as problem:
        http_01(port, timeout=timeout)
    return problem.value


def test_http_01_asks_as_a_public_ca_does() -> None:
    seen: list[bytes] = []
    with listening(answering(GOOD, seen=seen)) as port:
        http_01(port)
    assert seen[0].startswith(b"GET /.well-known/acme-challenge/token HTTP/1.1\r\nHost: mail.contoso.test\r\n")


@pytest.mark.parametrize(
    "answer",
    [
        GOOD,
        GOOD.replace(b"16", b"18") + b"\r\n",
        b"HTTP/1.0 200 OK\r\n\r\n" + KEY_AUTHORIZATION.encode(),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10\r\n" + KEY_AUTHORIZATION.encode() + b"\r\n0\r\n\r\n",
    ],
)
def test_http_01_accepts_the_right_answer(answer: bytes) -> None:
    with listening(answering(answer)) as port:
        http_01(port)


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_http_01_proves_addresses(address: str) -> None:
    seen: list[bytes] = []
    with listening(answering(GOOD, seen=seen), address) as port:
        http_01(port, Identifier("ip", address))
    host = f"[{address}]" if ":" in address else address
    assert f"\r\nHost: {host}\r\n".encode() in seen[0]


def test_http_01_follows_an_address_to_itself() -> None:
    with listening(answering(redirect("http://127.0.0.1/there"), GOOD)) as port:
        http_01(port, Identifier("ip", "127.0.0.1"))
    with listening(answering(redirect("http://127.0.0.2/there"), GOOD)) as port, pytest.raises(Problem) as problem:
        http_01(port, Identifier("ip", "127.0.0.1"))
    assert "Invalid redirect" in problem.value.detail


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_http_01_follows_redirects(status: int) -> None:
    seen: list[bytes] = []
    answers = (redirect("/elsewhere?x=1", status), redirect("http://www.contoso.test/there", status), GOOD)
    with listening(answering(*answers, seen=seen)) as port:
        http_01(port)
    assert [request.split(b" HTTP")[0] for request in seen[1:]] == [b"GET /elsewhere?x=1", b"GET /there"]
    assert b"Host: www.contoso.test\r\n" in seen[2]


def test_http_01_follows_a_redirect_to_https_whatever_its_certificate(tmp_path: Path) -> None:
    made = CertificateAuthority().issue_directly(["other.contoso.test"])
    (tmp_path / "both.pem").write_bytes(made.private_key_pem + made.chain_pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "both.pem")

    def secure(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as tls:
            answering(GOOD)(tls)

    with listening(secure) as tls_port, listening(answering(redirect("https://mail.contoso.test/x"))) as port:
        http_01(port, tls_port=tls_port)
    with listening(answering(GOOD)) as not_tls, listening(answering(redirect("https://mail.contoso.test/x"))) as port:
        with pytest.raises(Problem) as problem:
            http_01(port, tls_port=not_tls)
        assert problem.value.type == "tls"


@pytest.mark.parametrize(
    "location",
    [
        "ftp://mail.contoso.test/x",
        "file:///etc/passwd",
        "http://127.0.0.1/x",
        "http://[::1]/x",
        "http://[::1/x",
        "http://mail.contoso.test:22/x",
        "http://mail.contoso.test:99999/x",
        "http://user@mail.contoso.test/x",
        "http://mail.contoso.test/a b",
        "",
    ],
)
def test_http_01_refuses_redirects_no_public_ca_follows(location: str) -> None:
    problem = refused(answering(redirect(location)))
    assert problem.type == "connection"
    assert "Invalid redirect" in problem.detail


def test_http_01_follows_ten_redirects_and_no_more() -> None:
    with listening(answering(*[redirect("/again")] * 10, GOOD)) as port:
        http_01(port)
    assert "More than 10 redirects" in refused(answering(*[redirect("/again")] * 11, GOOD)).detail


@pytest.mark.parametrize(
    ("answer", "error", "detail"),
    [
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "unauthorized", "HTTP status 404"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwrong", "unauthorized", "got 'wrong'"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n\x1b[31m\xff\r\n\0", "unauthorized", r"got '\x1b[31m\xff\r\n"),
        (GOOD.replace(b"16", b"99999") + b"x" * 99_983, "unauthorized", "did not match"),
        (b"SSH-2.0-OpenSSH_9.9\r\n", "connection", "not HTTP"),
        (b"", "connection", "while fetching"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\ntok", "unauthorized", "got 'tok'"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000, "connection", "not HTTP"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 200_000, "connection", "more than 65536 bytes"),
    ],
)
def test_http_01_says_what_was_found_instead(answer: bytes, error: str, detail: str) -> None:
    problem = refused(answering(answer))
    assert (problem.type, problem.status) == (error, 403 if error == "unauthorized" else 400)
    assert detail in problem.detail
    assert problem.detail.isprintable()


def test_http_01_waits_for_a_silent_server_no_longer_than_allowed() -> None:
    def listen(connection: socket.socket) -> None:
        while connection.recv(4096):
            pass

    assert "Timed out" in refused(listen, 0.3).detail


def test_http_01_waits_for_a_dripping_server_no_longer_than_allowed() -> None:
    def drip(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
        for _ in range(100):
            time.sleep(0.05)
            connection.sendall(b"y")

    assert "Timed out" in refused(drip, 0.5).detail


def test_a_closed_port_is_a_connection_error_that_names_it() -> None:
    port = free_port()
    with pytest.raises(Problem, match=f"127.0.0.1 port {port}: Connection refused") as problem:
        http_01(port)
    assert problem.value.type == "connection"


def test_an_unknown_name_is_a_dns_error_when_there_is_no_resolver() -> None:
    with pytest.raises(Problem, match="no resolver") as problem:
        http_01(1, Identifier("dns", "unknown.contoso.test"))
    assert problem.value.type == "dns"


def test_ipv6_is_tried_first_and_ipv4_after_it() -> None:
    port = free_port()
    hosts = {"*": ("127.0.0.2", "127.0.0.3", "::1")}
    validator = Validator(ValidationConfig(http_port=port, hosts=hosts, timeout=5))
    six: list[bytes] = []
    four: list[bytes] = []
    with listening(answering(GOOD, seen=four), "127.0.0.2", port):
        validator.validate(attempt("http-01", NAME))
        with listening(answering(GOOD, seen=six), "::1", port):
            validator.validate(attempt("http-01", NAME))
    assert (len(four), len(six)) == (1, 1)


# dns-01, and names looked up


def proof() -> str:
    return b64(hashlib.sha256(KEY_AUTHORIZATION.encode()).digest())


def dns_01(resolver: str | None, timeout: float = 5) -> None:
    config = ValidationConfig(resolver=resolver, timeout=timeout)
    Validator(config).validate(attempt("dns-01", NAME))


def test_dns_01_finds_the_right_record_among_others_and_behind_a_cname() -> None:
    with dns_server() as (resolver, records):
        records["_acme-challenge.mail.contoso.test", "TXT"] = ['"other"', f'"{proof()[:20]}" "{proof()[20:]}"']
        dns_01(resolver)
        del records["_acme-challenge.mail.contoso.test", "TXT"]
        records["_acme-challenge.mail.contoso.test", "CNAME"] = ["proof.elsewhere.test."]
        records["proof.elsewhere.test", "TXT"] = [f'"{proof()}"']
        dns_01(resolver)


@pytest.mark.parametrize(
    ("found", "error", "detail"),
    [
        ({}, "dns", "NXDOMAIN"),
        ({("_acme-challenge.mail.contoso.test", "A"): ["127.0.0.1"]}, "unauthorized", "no TXT record"),
        ({("_acme-challenge.mail.contoso.test", "TXT"): ['"wrong"']}, "unauthorized", "found 1, among them 'wrong'"),
        ({("_acme-challenge.mail.contoso.test", "TXT"): [r'"\027[31m"']}, "unauthorized", r"'\x1b[31m'"),
    ],
)
def test_dns_01_says_what_was_found_instead(found: dict[tuple[str, str], list[str]], error: str, detail: str) -> None:
    with dns_server() as (resolver, records):
        records.update(found)
        with pytest.raises(Problem) as problem:
            dns_01(resolver)
    assert problem.value.type == error
    assert detail in problem.value.detail


def test_dns_01_waits_for_a_silent_resolver_no_longer_than_allowed() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        with pytest.raises(Problem) as problem:
            dns_01(f"127.0.0.1:{silent.getsockname()[1]}", timeout=0.3)
    assert problem.value.type == "dns"


def test_dns_01_needs_a_resolver() -> None:
    with pytest.raises(Problem) as problem:
        dns_01(None)
    assert problem.value.type == "dns"


def test_hosts_are_looked_up_by_the_resolver() -> None:
    with dns_server() as (resolver, records), listening(answering(GOOD)) as port:
        records[NAME.value, "A"] = ["127.0.0.1"]
        records["empty.contoso.test", "TXT"] = ['"x"']
        validator = Validator(ValidationConfig(http_port=port, resolver=resolver, timeout=5))
        validator.validate(attempt("http-01", NAME))
        for name in ("empty.contoso.test", "unknown.contoso.test"):
            with pytest.raises(Problem) as problem:
                validator.validate(attempt("http-01", Identifier("dns", name)))
            assert problem.value.type == "dns"


def test_one_of_two_address_questions_is_enough() -> None:
    with dns_server() as (resolver, records), listening(answering(GOOD)) as port:
        records[NAME.value, "A"] = ["127.0.0.1"]
        records[NAME.value, "AAAA"] = ["SERVFAIL"]
        Validator(ValidationConfig(http_port=port, resolver=resolver, timeout=5)).validate(attempt("http-01", NAME))


# tls-alpn-01


def alpn_certificate(
    folder: Path,
    *,
    names: tuple[x509.GeneralName, ...] = (NAME.general_name,),
    key_authorization: str | None = KEY_AUTHORIZATION,
    critical: bool = True,
    signer: ec.EllipticCurvePrivateKey | None = None,
) -> Path:
    key, empty, now = new_key(), x509.Name([]), datetime.now(UTC)
    builder = x509.CertificateBuilder(
        empty, empty, key.public_key(), 1, now - timedelta(hours=1), now + timedelta(hours=1)
    ).add_extension(x509.SubjectAlternativeName(names), critical=False)
    if key_authorization is not None:
        value = b"\x04\x20" + hashlib.sha256(key_authorization.encode()).digest()
        oid = x509.ObjectIdentifier("1.3.6.1.5.5.7.1.31")
        builder = builder.add_extension(x509.UnrecognizedExtension(oid, value), critical=critical)
    file = folder / "alpn.pem"
    pem = builder.sign(signer or key, hashes.SHA256()).public_bytes(Encoding.PEM)
    file.write_bytes(pem + key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return file


def tls_alpn_01(file: Path, identifier: Identifier = NAME, protocols: tuple[str, ...] = ("acme-tls/1",)) -> list[str]:
    """Validate against a server with that certificate; the server names it was asked for."""
    asked: list[str] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    context.set_alpn_protocols(list(protocols))
    context.sni_callback = lambda _socket, name, _context: asked.append(str(name))

    def serve(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as tls:
            tls.recv(1)

    with listening(serve) as port:
        config = ValidationConfig(tls_port=port, hosts={"*": ("127.0.0.1",)}, timeout=5)
        Validator(config).validate(attempt("tls-alpn-01", identifier))
    return asked


def test_tls_alpn_01_accepts_the_right_certificate(tmp_path: Path) -> None:
    assert tls_alpn_01(alpn_certificate(tmp_path)) == ["mail.contoso.test"]
    assert tls_alpn_01(alpn_certificate(tmp_path, names=(x509.DNSName("MAIL.contoso.test"),)))


def test_tls_alpn_01_proves_addresses_by_their_reverse_name(tmp_path: Path) -> None:
    address = Identifier("ip", "127.0.0.1")
    file = alpn_certificate(tmp_path, names=(address.general_name,))
    assert tls_alpn_01(file, address) == ["1.0.0.127.in-addr.arpa"]


@pytest.mark.parametrize(
    ("names", "key_authorization", "critical", "protocols", "detail"),
    [
        ((NAME.general_name,) * 2, KEY_AUTHORIZATION, True, ("acme-tls/1",), "not for mail.contoso.test alone"),
        ((x509.DNSName("other.test"),), KEY_AUTHORIZATION, True, ("acme-tls/1",), "not for mail.contoso.test"),
        ((NAME.general_name,), "token.other", True, ("acme-tls/1",), "another proof"),
        ((NAME.general_name,), KEY_AUTHORIZATION, False, ("acme-tls/1",), "another proof"),
        ((NAME.general_name,), None, True, ("acme-tls/1",), "lacks"),
        ((NAME.general_name,), KEY_AUTHORIZATION, True, (), "did not agree"),
    ],
)
def test_tls_alpn_01_says_what_is_wrong(
    tmp_path: Path,
    names: tuple[x509.GeneralName, ...],
    key_authorization: str | None,
    critical: bool,
    protocols: tuple[str, ...],
    detail: str,
) -> None:
    file = alpn_certificate(tmp_path, names=names, key_authorization=key_authorization, critical=critical)
    with pytest.raises(Problem, match=detail) as problem:
        tls_alpn_01(file, protocols=protocols)
    assert problem.value.type == "unauthorized"


def test_tls_alpn_01_wants_a_certificate_that_nobody_else_signed(tmp_path: Path) -> None:
    file = alpn_certificate(tmp_path, signer=new_key())
    with pytest.raises(Problem, match="not self-signed"):
        tls_alpn_01(file)


def test_tls_alpn_01_needs_tls() -> None:
    with listening(answering(b"220 mail.contoso.test ESMTP\r\n")) as port:
        validator = Validator(ValidationConfig(tls_port=port, hosts={"*": ("127.0.0.1",)}, timeout=5))
        with pytest.raises(Problem, match="TLS handshake") as problem:
            validator.validate(attempt("tls-alpn-01", NAME))
    assert problem.value.type == "tls"
