"""The probe against servers that behave badly: always a verdict, always in time."""

import socket
import ssl
import threading

import pytest
import trustme

from certwright.probe import FailureKind, ProbeFailure, StartTls, Target, probe, probe_all
from peers.nonsense import Behaviour, closes, converses, drips, floods, nonsense, says, silent
from peers.ports import free_port

pytestmark = pytest.mark.e2e
HOST = "127.0.0.1"
ALERT = bytes.fromhex("15030300020228")
"""A fatal alert: handshake_failure."""
EHLO = b"250-mail\r\n250 STARTTLS\r\n"


def failure(behave: Behaviour, starttls: StartTls | None = None, timeout: float = 5) -> ProbeFailure:
    with nonsense(behave) as port:
        seen = probe(Target(HOST, port, starttls), timeout=timeout)
    assert seen.leaf is None
    assert seen.failure is not None
    assert seen.failure.message.isprintable()
    return seen.failure


@pytest.mark.parametrize("starttls", [None, "smtp", "imap", "pop3", "ldap"])
class TestAnyProtocol:
    def test_a_server_that_closes_at_once_has_closed(self, starttls: StartTls | None) -> None:
        assert failure(closes, starttls).kind is FailureKind.CLOSED

    def test_a_silent_server_runs_out_of_time(self, starttls: StartTls | None) -> None:
        assert failure(silent, starttls, timeout=0.3).kind is FailureKind.TIMEOUT

    def test_garbage_is_named_as_such(self, starttls: StartTls | None) -> None:
        found = failure(says(b"\x1b[31mgarbage\x00\xff\r\n"), starttls)
        assert found.kind in (FailureKind.BAD_GREETING, FailureKind.HANDSHAKE)

    def test_a_server_that_drips_does_not_stretch_the_time(self, starttls: StartTls | None) -> None:
        begins = {"smtp": b"220-x\r\n", "imap": b"* OK x\r\n", "pop3": b"+OK\r\n", "ldap": b"0\x84\x00\x00\x80\x00"}
        # In order as far as it has come, and it would go on for half a minute and more.
        behave = drips(begins[starttls] if starttls else b"\x16\x03\x03\x40\x00", 0.05)
        assert failure(behave, starttls, timeout=1).kind is FailureKind.TIMEOUT

    def test_a_refused_connection_is_refused(self, starttls: StartTls | None) -> None:
        seen = probe(Target(HOST, free_port(), starttls))
        assert seen.failure is not None
        assert seen.failure.kind is FailureKind.REFUSED
        assert seen.address is None


def test_an_endless_line_is_too_much() -> None:
    assert failure(floods(b"2"), "smtp").kind is FailureKind.TOO_MUCH


def test_an_endless_banner_is_too_much() -> None:
    assert failure(floods(b"220-welcome\r\n"), "smtp").kind is FailureKind.TOO_MUCH


def test_endless_tls_is_too_much() -> None:
    """Handshake records without end, which announce a message that OpenSSL would wait for."""
    assert failure(floods(bytes.fromhex("160303000104"))).kind in (FailureKind.TOO_MUCH, FailureKind.HANDSHAKE)


def test_an_alert_is_named() -> None:
    found = failure(converses(b"", ALERT))
    assert found.kind is FailureKind.HANDSHAKE
    assert "handshake failure" in found.message


def test_http_instead_of_tls_is_shown() -> None:
    found = failure(converses(b"", b"HTTP/1.1 400 Bad Request\r\n\r\n"))
    assert found.kind is FailureKind.HANDSHAKE
    assert "HTTP/1.1 400 Bad Request" in found.message


def test_a_refusal_after_the_offer_is_no_starttls() -> None:
    found = failure(converses(b"220 mail\r\n", EHLO, b"454 TLS not available\r\n"), "smtp")
    assert found.kind is FailureKind.NO_STARTTLS
    assert "454 TLS not available" in found.message


def test_text_injected_behind_the_agreement_is_refused() -> None:
    found = failure(converses(b"220 mail\r\n", EHLO, b"220 go\r\n250 injected\r\n"), "smtp")
    assert found.kind is FailureKind.BAD_GREETING
    assert "injected" in found.message


def test_text_instead_of_tls_after_the_agreement_is_shown() -> None:
    found = failure(converses(b"220 mail\r\n", EHLO, b"220 go\r\n", b"250 clear text\r\n"), "smtp")
    assert found.kind is FailureKind.HANDSHAKE
    assert "clear text" in found.message


def test_a_name_that_does_not_exist_has_no_address() -> None:
    seen = probe(Target("nothing.invalid", 443))
    assert seen.failure is not None
    assert seen.failure.kind is FailureKind.DNS
    assert "nothing.invalid" in seen.failure.message


def test_a_certificate_that_is_none_is_damaged() -> None:
    """A ServerHello of TLS 1.2 and a Certificate message with one octet in it."""
    found = failure(converses(b"", _records_with_a_broken_certificate()))
    assert found.kind in (FailureKind.HANDSHAKE, FailureKind.BAD_CERTIFICATE)


def test_ipv6_is_spoken(tls_server: ssl.SSLContext) -> None:
    def serve(connection: socket.socket, _over: threading.Event) -> None:
        with tls_server.wrap_socket(connection, server_side=True) as tls:
            tls.recv(1)

    with nonsense(serve, "::1") as port:
        seen = probe(Target("::1", port))
    assert seen.failure is None
    assert str(seen.address) == f"[::1]:{port}"
    assert seen.covers_name is True


def test_many_at_once_come_back_in_order(tls_server: ssl.SSLContext) -> None:
    def serve(connection: socket.socket, _over: threading.Event) -> None:
        with tls_server.wrap_socket(connection, server_side=True) as tls:
            tls.recv(1)

    with nonsense(serve) as good, nonsense(silent) as bad:
        ports = [good, bad, good, bad, bad, good] * 5
        seen = probe_all([Target(HOST, port) for port in ports], timeout=1, workers=30)
    assert [observation.target.port for observation in seen] == ports
    assert [observation.failure is None for observation in seen] == [port == good for port in ports]


@pytest.fixture(scope="module")
def tls_server() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("::1", HOST).configure_cert(context)
    return context


def _records_with_a_broken_certificate() -> bytes:
    hello = b"\x03\x03" + bytes(32) + b"\x00" + b"\xc0\x2f" + b"\x00"
    certificate = b"\x00\x00\x04" + b"\x00\x00\x01" + b"\x00"
    messages = b"\x02" + len(hello).to_bytes(3) + hello + b"\x0b" + len(certificate).to_bytes(3) + certificate
    return b"\x16\x03\x03" + len(messages).to_bytes(2) + messages
