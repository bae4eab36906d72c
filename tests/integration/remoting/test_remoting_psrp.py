"""PowerShell remoting: typed values against the simulator, and peers that speak anything but PowerShell."""

import base64
import logging
import os
import socket
import ssl
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest

from certwright.domain.certificates import pem
from certwright.domain.errors import CertwrightError, Unreachable
from certwright.exchange_simulator import Delay, Drop, Fail, HttpStatus, WsmanFault
from certwright.remoting.endpoint import EXCHANGE, Endpoint, Identity
from certwright.remoting.failures import CommandFailed, OutcomeUnknown, ShellLost, clean
from certwright.remoting.psrp import Command, Limits, PowerShell, SecureString
from peers.exchange_shell import TestAuthority
from peers.powershell import PASSWORD, Simulated, simulated

GET = Command("Get-ExchangeCertificate")
SET = Command("Set-PopSettings", {"X509CertificateName": "mail.contoso.test", "Confirm": False})


@pytest.fixture
def one() -> Iterator[Simulated]:
    with simulated() as made:
        yield made


def told(error: CertwrightError) -> str:
    return "\n".join(error.explain())


def test_a_pipeline_gives_objects(one: Simulated) -> None:
    with one.session() as shell:
        result = shell.read(GET, Command("Select-Object", {"Property": ["Thumbprint", "Services"]}))
    assert {item.properties["Thumbprint"] for item in result.objects} == set(one.server.state.certificates)


def test_warnings_are_collected(one: Simulated) -> None:
    with one.session() as shell:
        shell.change(SET)
        assert "no settings" in shell.change(SET).warnings[0]


@pytest.mark.parametrize("terminating", [True, False])
def test_errors_count_whether_they_end_the_pipeline_or_not(one: Simulated, terminating: bool) -> None:
    one.server.faults.inject(Fail("The\u202e disk is full.", terminating=terminating), "Set-PopSettings")
    with one.session() as shell:
        with pytest.raises(CommandFailed, match="disk is full") as caught:
            shell.change(SET)
        assert shell.change(SET) is not None
    (record,) = caught.value.records
    assert record.error_id.endswith("SetPopConfiguration")
    assert "\u202e" not in told(caught.value)


def test_what_the_account_may_not_use_is_told_apart(one: Simulated) -> None:
    with one.session() as shell:
        with pytest.raises(CommandFailed) as caught:
            shell.read(Command("Get-Mailbox"))
        assert caught.value.is_missing_command
        with pytest.raises(CommandFailed, match="NoSuch") as caught:
            shell.read(Command("Get-ExchangeCertificate", {"NoSuch": True}))
        assert not caught.value.is_missing_command
        assert "may not use a parameter" in caught.value.hint


def test_a_secure_string_arrives_as_one_and_bytes_as_bytes(one: Simulated) -> None:
    command = Command("Import-ExchangeCertificate", {"FileData": b"no PFX", "Password": SecureString("s3cret")})
    with one.session() as shell, pytest.raises(CommandFailed) as caught:
        shell.change(command)
    assert "s3cret" not in told(caught.value) + repr(command)
    assert "no PFX" not in repr(command)


@pytest.mark.parametrize("fault", [Drop(), Drop(committed=True), HttpStatus(500), Delay(20), WsmanFault()])
def test_a_change_whose_result_is_lost_is_of_unknown_outcome_and_sent_once(one: Simulated, fault: Drop) -> None:
    one.server.faults.inject(fault, "Set-PopSettings")
    with one.session() as shell:
        with pytest.raises(OutcomeUnknown):
            shell.change(SET)
        assert shell.read(GET).objects
    assert len(one.mutations) <= 1


def test_a_read_is_repeated_after_a_drop(one: Simulated) -> None:
    one.server.faults.inject(Drop(), "Get-ExchangeCertificate")
    with one.session() as shell:
        assert shell.read(GET).objects


def test_a_lost_shell_is_opened_again_for_reads_only() -> None:
    with simulated(shell_idle_timeout=0.3) as one, one.session() as shell:
        assert shell.read(GET).objects
        threading.Event().wait(1)
        assert shell.read(GET).objects
        threading.Event().wait(1)
        with pytest.raises(ShellLost):
            shell.change(SET)
        assert not one.mutations


def test_sessions_are_given_back() -> None:
    with simulated(shell_quota=1) as one:
        for _ in range(3):
            with one.session() as shell:
                shell.read(GET)


def test_a_quota_is_told_in_the_servers_words_and_what_to_do() -> None:
    with simulated(shell_quota=1) as one, one.session() as first:
        first.read(GET)
        with one.session() as second, pytest.raises(Unreachable) as caught:
            second.read(GET)
        assert "fault" in told(caught.value)
        assert "opens no further session" in caught.value.message
        assert "Get-PSSession | Remove-PSSession" in caught.value.hint


def test_closing_never_fails(one: Simulated) -> None:
    shell = one.session()
    shell.read(GET)
    one.server.faults.take_down()
    shell.close()
    shell.close()


def test_nothing_listens(one: Simulated) -> None:
    with one.session(url="https://127.0.0.1:9/PowerShell/") as shell, pytest.raises(Unreachable) as caught:
        shell.change(SET)
    assert type(caught.value) is Unreachable
    assert "refused" in told(caught.value)


def test_the_password_and_the_file_stay_out_of_the_log(one: Simulated, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    secret = b"PFX-CANARY" * 20
    command = Command("Import-ExchangeCertificate", {"FileData": secret, "Password": SecureString("PASSWORD-CANARY")})
    with one.session() as shell, pytest.raises(CommandFailed):
        shell.change(command)
    ours = "\n".join(r.getMessage() for r in caplog.records if not r.name.startswith("psrpcore"))  # the simulator's
    assert "Beginning remote Pipeline" in ours
    assert PASSWORD not in ours
    assert "CANARY" not in ours
    assert base64.b64encode(secret).decode()[:40] not in ours


def test_the_authorities_lie_in_a_file_for_us_alone_while_the_session_is_open(
    one: Simulated, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    with one.session() as shell:
        shell.read(GET)
        (file,) = folder.iterdir()
        assert stat.S_IMODE(file.stat().st_mode) == 0o600 or os.name == "nt"
    assert not list(folder.iterdir())


def test_proxies_and_authorities_of_the_environment_are_not_used(
    one: Simulated, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", os.devnull)
    with one.session() as shell:
        assert shell.read(GET).objects


def test_what_peers_say_is_made_harmless() -> None:
    assert clean("a\x1b[2J\r\n\tb\u202e") == "a [2J b"
    assert len(clean("x" * 5000)) < 700


# --- peers that are not PowerShell -----------------------------------------------------------------------------------


@cache
def _authority() -> TestAuthority:
    return TestAuthority()


@contextmanager
def answering(tmp_path: Path, answer: Callable[[ssl.SSLSocket], None]) -> Iterator[PowerShell]:
    """A TLS server on loopback that does `answer` with each connection once a request has come."""
    material = _authority().issue("localhost", address="127.0.0.1")
    certificate = tmp_path / "server.pem"
    certificate.write_bytes(material.chain_pem + material.key_pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        done = threading.Event()
        thread = threading.Thread(target=_serve, args=(listening, context, answer, done), daemon=True)
        thread.start()
        port = listening.getsockname()[1]
        peer = Endpoint(
            f"https://127.0.0.1:{port}/PowerShell/",
            EXCHANGE,
            Identity("basic", "user", "hunter2"),
            pem([_authority().root]),
        )
        with PowerShell(peer, Limits(connect=2, reply=2, poll=1, call=3, answer=100_000)) as shell:
            yield shell
        done.set()
        thread.join(10)
        assert not thread.is_alive()


def _serve(
    listening: socket.socket, context: ssl.SSLContext, answer: Callable[[ssl.SSLSocket], None], done: threading.Event
) -> None:
    listening.settimeout(0.1)
    while not done.is_set():
        try:
            plain, _ = listening.accept()
        except TimeoutError:
            continue
        with plain:
            plain.settimeout(5)
            try:
                with context.wrap_socket(plain, server_side=True) as tls:
                    _read_request(tls)
                    answer(tls)
            except OSError:
                continue  # the client has gone


def _read_request(tls: ssl.SSLSocket) -> None:
    """Read a request to its end: closing with unread data would reset the connection under the answer."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += tls.recv(65536)
    head, _, body = data.partition(b"\r\n\r\n")
    length = next(int(h.split(b":")[1]) for h in head.split(b"\r\n") if h.lower().startswith(b"content-length"))
    while len(body) < length:
        body += tls.recv(65536)


def http(status: str, body: bytes = b"", *headers: str) -> Callable[[ssl.SSLSocket], None]:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers, "", ""]
    return lambda tls: tls.sendall("\r\n".join(lines).encode() + body)


SOAP = "Content-Type: application/soap+xml"
HTML = b"<html><body>No</body></html>"


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (http("404 Not Found", HTML, "Content-Type: text/html"), "no PowerShell virtual directory"),
        (http("503 Service Unavailable", HTML, "Content-Type: text/html"), "does not"),
        (http("403 Forbidden", HTML), "may not use remote PowerShell"),
        (http("418 Teapot", HTML), "HTTP 418"),
        (http("401 Unauthorized", b"", 'WWW-Authenticate: Basic realm="x"'), "password is wrong"),
        (http("401 Unauthorized", b"", "WWW-Authenticate: Negotiate", "WWW-Authenticate: Kerberos"), "Negotiate"),
        (http("302 Found", b"", "Location: https://127.0.0.1:9/"), "redirects"),
        (http("200 OK", b"<html>", "Content-Type: text/html"), "answered with a web page"),
        (http("200 OK", b"", SOAP), "cannot be understood"),
        (http("200 OK", b"<s:Envelope", SOAP), "cannot be understood"),
        (http("200 OK", HTML, SOAP), "cannot be understood"),
        (http("500 Internal Server Error", HTML, SOAP), "refused"),
        (http("200 OK", b"x" * 200_000, SOAP), "larger than allowed"),
        (lambda tls: tls.sendall(b"220 ex01 SMTP\r\n"), "did not answer as PowerShell"),
        (lambda tls: tls.sendall(bytes(range(256)) * 4), "did not answer as PowerShell"),
        (lambda tls: None, "did not answer as PowerShell"),
        (lambda tls: threading.Event().wait(4), "no answer in time"),
    ],
)
def test_a_peer_that_is_not_powershell(tmp_path: Path, answer: Callable[[ssl.SSLSocket], None], says: str) -> None:
    with answering(tmp_path, answer) as shell, pytest.raises(Unreachable) as caught:
        shell.read(GET)
    assert says in told(caught.value)
    assert "hunter2" not in told(caught.value)


def test_a_plain_http_port(one: Simulated) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]

        def greet() -> None:
            with listening.accept()[0] as plain:
                plain.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=greet)
        thread.start()
        with one.session(url=f"https://127.0.0.1:{port}/") as shell, pytest.raises(Unreachable, match="No TLS"):
            shell.read(GET)
        thread.join(10)
