"""The simulated services as the standard library's clients see them: which certificate, and when it changes."""

import datetime as dt
import http.client
import imaplib
import poplib
import smtplib
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from certwright.exchange_simulator import ExchangeOrganisation, ExchangeServer, ServerSpec, Services
from certwright.exchange_simulator.certificates import read_bundle
from peers.exchange_shell import Issued, Shell, TestAuthority

pytestmark = pytest.mark.e2e

PASSWORD = "a one-time password"
EVERYWHERE = (443, 25, 587, 143, 993, 110, 995)


@pytest.fixture(scope="module")
def old(authority: TestAuthority) -> Issued:
    return authority.issue("mail.contoso.test", "autodiscover.contoso.test", age=dt.timedelta(days=60))


@pytest.fixture(scope="module")
def new(authority: TestAuthority) -> Issued:
    return authority.issue("mail.contoso.test", "autodiscover.contoso.test")


def organisation_of(authority: TestAuthority, spec: ServerSpec) -> ExchangeOrganisation:
    endpoint = authority.issue(spec.fqdn, address="127.0.0.1")
    return ExchangeOrganisation(
        [spec],
        tls_chain=endpoint.chain_pem,
        tls_key=endpoint.key_pem,
        username="admin",
        password="the password",
    )


@pytest.fixture
def server(authority: TestAuthority) -> Iterator[ExchangeServer]:
    spec = ServerSpec(name="EX01", fqdn="ex01.contoso.test", smtp_fqdn="mail.contoso.test")
    with organisation_of(authority, spec) as organisation:
        yield organisation["EX01"]


def served(server: ExchangeServer, port: int, context: ssl.SSLContext) -> bytes:
    """The leaf in DER that a real client of the protocol is shown; verified against `context`."""
    host, real = server.ports[port]
    if port in {25, 587}:
        with smtplib.SMTP(host, real, timeout=10) as smtp:
            smtp._host = "mail.contoso.test"  # type: ignore[attr-defined]  # the name to verify
            smtp.starttls(context=context)
            assert not smtp.has_extn("starttls")
            smtp.ehlo()
            assert not smtp.has_extn("starttls")
            return leaf(smtp.sock)
    if port in {143, 993}:
        plain = imaplib.IMAP4(host, real, timeout=10) if port == 143 else None
        imap = plain or _ImapOverTls(host, real, context)
        try:
            if plain is not None:
                plain.host = "mail.contoso.test"
                plain.starttls(context)
            assert imap.noop()[0] == "OK"
            return leaf(imap.sock)
        finally:
            imap.logout()
    if port in {110, 995}:
        pop = poplib.POP3(host, real, timeout=10) if port == 110 else _PopOverTls(host, real, context)
        try:
            if port == 110:
                pop.host = "mail.contoso.test"
                pop.stls(context)
            assert "UIDL" in pop.capa()
            return leaf(pop.sock)
        finally:
            pop.quit()
    with (
        socket.create_connection((host, real), timeout=10) as raw,
        context.wrap_socket(raw, server_hostname="mail.contoso.test") as tls,
    ):
        return leaf(tls)


class _ImapOverTls(imaplib.IMAP4):
    def __init__(self, host: str, port: int, context: ssl.SSLContext) -> None:
        self._tls_context = context
        super().__init__(host, port, timeout=10)

    def _create_socket(self, timeout: float | None = None) -> ssl.SSLSocket:
        raw = socket.create_connection((self.host, self.port), timeout)
        return self._tls_context.wrap_socket(raw, server_hostname="mail.contoso.test")


class _PopOverTls(poplib.POP3):
    def __init__(self, host: str, port: int, context: ssl.SSLContext) -> None:
        self._tls_context = context
        super().__init__(host, port, timeout=10)

    def _create_socket(self, timeout: float) -> ssl.SSLSocket:
        raw = socket.create_connection((self.host, self.port), timeout)
        return self._tls_context.wrap_socket(raw, server_hostname="mail.contoso.test")


def leaf(connection: object) -> bytes:
    assert isinstance(connection, ssl.SSLSocket)
    return connection.getpeercert(binary_form=True) or b""


def unverified() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def install(shell: Shell, issued: Issued, services: str) -> None:
    shell.run("Import-ExchangeCertificate", FileData=issued.pfx(PASSWORD), Password=shell.secret(PASSWORD))
    outcome = shell.run("Enable-ExchangeCertificate", Thumbprint=issued.thumbprint, Services=services, Force=None)
    assert not outcome.errors


def test_setup_serves_its_self_signed_certificate(server: ExchangeServer) -> None:
    own = server.state.certificate(server.state.internal_transport)
    assert {served(server, port, unverified()) for port in (*EVERYWHERE, 444)} == {own.der}


def test_the_predecessor_is_served_with_its_chain(
    server: ExchangeServer, authority: TestAuthority, old: Issued
) -> None:
    server.add_certificate(old.pfx(PASSWORD), PASSWORD)
    # Verified against the root alone: the intermediate came along.
    assert {served(server, port, authority.client_context) for port in EVERYWHERE} == {old.der}
    setup = server.state.certificate(server.state.internal_transport)
    assert served(server, 444, unverified()) == setup.der


def test_enable_and_restart_switch_the_services(
    server: ExchangeServer, authority: TestAuthority, root: Path, old: Issued, new: Issued
) -> None:
    context = authority.client_context
    server.add_certificate(old.pfx(PASSWORD), PASSWORD)
    setup = served(server, 444, unverified())
    with Shell(server.powershell_url, root) as shell:
        install(shell, new, "IIS,SMTP,POP,IMAP")
    assert {port: served(server, port, context) == new.der for port in EVERYWHERE} == {
        443: True,
        25: True,
        587: True,
        143: False,
        993: False,
        110: False,
        995: False,
    }
    assert served(server, 143, context) == old.der  # stale until restarted
    with Shell(server.winrm_url, root, configuration="Microsoft.PowerShell") as shell:
        shell.run("Restart-Service", Name="MSExchangePOP3")
        assert [served(server, port, context) == new.der for port in (110, 995, 143, 993)] == [True, True, False, False]
        shell.run("Restart-Service", Name="MSExchangeIMAP4")
    assert {served(server, port, context) for port in EVERYWHERE} == {new.der}
    assert served(server, 444, unverified()) == setup


def test_going_back_needs_the_newer_certificate_removed(
    server: ExchangeServer, authority: TestAuthority, root: Path, old: Issued, new: Issued
) -> None:
    context = authority.client_context
    server.add_certificate(old.pfx(PASSWORD), PASSWORD)
    setup = server.state.internal_transport
    with Shell(server.powershell_url, root) as shell:
        install(shell, new, "IIS,SMTP")
        shell.run("Enable-ExchangeCertificate", Thumbprint=old.thumbprint, Services="IIS,SMTP", Force=None)
        assert served(server, 443, context) == old.der
        assert served(server, 25, context) == new.der  # transport takes the newest that fits
        shell.run("Enable-ExchangeCertificate", Thumbprint=setup, Services="SMTP", Force=None)
        assert not shell.run("Remove-ExchangeCertificate", Thumbprint=new.thumbprint, Confirm=False).errors
    assert {served(server, port, context) for port in EVERYWHERE} == {old.der}


def test_names_select_the_mail_certificate(
    server: ExchangeServer, authority: TestAuthority, root: Path, old: Issued
) -> None:
    server.add_certificate(old.pfx(PASSWORD), PASSWORD)
    wildcard = authority.issue("*.contoso.test")
    with Shell(server.powershell_url, root) as shell:
        install(shell, wildcard, "SMTP")
        shell.run("Set-ImapSettings", X509CertificateName="imap.contoso.test")
    server.state.start_service("MSExchangeIMAP4")
    # The wildcard need not be enabled for IMAP: it is enough that the settings name what it covers.
    assert server.state.served(143) is server.state.certificate(wildcard.thumbprint)
    assert served(server, 110, authority.client_context) == old.der
    assert served(server, 25, authority.client_context) == wildcard.der
    # A connector that names a certificate gets that one, whatever its age.
    connector = server.state.receive_connectors[0]
    connector.tls_certificate_name = server.state.certificate(old.thumbprint).tls_certificate_name
    server.state.transport_changed()
    assert served(server, 25, authority.client_context) == old.der
    assert served(server, 587, authority.client_context) == wildcard.der


def test_a_connector_whose_name_nothing_covers_falls_back(authority: TestAuthority, old: Issued) -> None:
    with organisation_of(authority, ServerSpec(name="EX01", fqdn="ex01.contoso.test")) as organisation:
        server = organisation["EX01"]
        setup = server.state.internal_transport
        server.add_certificate(old.pfx(PASSWORD), PASSWORD)
        # The connectors are called ex01.contoso.test, as setup leaves them: the self-signed certificate matches.
        assert served(server, 25, unverified()) == server.state.certificate(setup).der
        server.state.receive_connectors[0].fqdn = "smtp.elsewhere.test"
        server.state.internal_transport = old.thumbprint
        server.state.transport_changed()
        assert served(server, 25, authority.client_context) == old.der


def test_transport_takes_its_time(authority: TestAuthority, old: Issued, new: Issued) -> None:
    spec = ServerSpec(name="EX01", fqdn="ex01.contoso.test", smtp_fqdn="mail.contoso.test", smtp_delay=3.0)
    with organisation_of(authority, spec) as organisation:
        server = organisation["EX01"]
        server.add_certificate(old.pfx(PASSWORD), PASSWORD)
        begin = time.monotonic()
        bundle = read_bundle(new.pfx(PASSWORD), PASSWORD)
        server.state.import_certificate(bundle, exportable=False, friendly_name=None)
        server.state.enable(new.thumbprint, Services.SMTP | Services.IIS, replace_internal_transport=False)
        before = served(server, 25, authority.client_context)
        assert before == old.der or time.monotonic() > begin + 3
        assert served(server, 443, authority.client_context) == new.der
        while served(server, 25, authority.client_context) != new.der:
            assert time.monotonic() < begin + 30
            time.sleep(0.1)


def test_stopped_services_refuse(authority: TestAuthority) -> None:
    spec = ServerSpec(name="EX01", fqdn="ex01.contoso.test", mail_access=False)
    with organisation_of(authority, spec) as organisation:
        server = organisation["EX01"]
        for port in (143, 993, 110, 995):
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(server.ports[port], timeout=5)
        server.state.start_service("MSExchangeIMAP4")
        assert served(server, 993, unverified())
        server.state.stop_service("MSExchangeFrontEndTransport")
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(server.ports[25], timeout=5)
        server.state.start_service("MSExchangeFrontEndTransport")
        assert served(server, 25, unverified())


def test_a_message_is_taken(server: ExchangeServer) -> None:
    host, port = server.ports[25]
    with smtplib.SMTP(host, port, timeout=10) as smtp:
        smtp.starttls(context=unverified())
        assert smtp.sendmail("a@contoso.test", ["b@contoso.test"], "Subject: hello\r\n\r\n.hidden\r\n..\r\n") == {}
        assert smtp.docmd("XYZZY")[0] == 500
        assert smtp.helo()[0] == 250


@pytest.mark.parametrize(
    ("port", "greets", "command", "after"),
    [
        (25, b"220 ", b"STARTTLS\r\nEHLO injected\r\n", b"220 "),
        (143, b"* OK", b"1 STARTTLS\r\n2 NOOP\r\n", b"1 OK"),
        (110, b"+OK", b"STLS\r\nUSER injected\r\n", b"+OK"),
    ],
)
def test_what_is_sent_before_tls_is_not_answered_inside(
    server: ExchangeServer, port: int, greets: bytes, command: bytes, after: bytes
) -> None:
    with socket.create_connection(server.ports[port], timeout=10) as raw:
        assert raw.recv(1000).startswith(greets)
        raw.sendall(command)
        assert raw.recv(1000).startswith(after)
        with unverified().wrap_socket(raw) as tls:
            tls.sendall(b"QUIT\r\n" if port != 143 else b"9 LOGOUT\r\n")
            # The only answer is that to the last command.
            assert tls.recv(1000).startswith({25: b"221", 143: b"* BYE", 110: b"+OK Microsoft"}[port])


def test_imap_and_pop_refuse_a_stranger(server: ExchangeServer) -> None:
    imap = imaplib.IMAP4(*server.ports[143], timeout=10)
    try:
        assert "STARTTLS" in imap.capabilities
        with pytest.raises(imaplib.IMAP4.error):
            imap.login("a", "b")
    finally:
        imap.logout()
    pop = poplib.POP3(*server.ports[110], timeout=10)
    try:
        assert "STLS" in pop.capa()
        pop.user("a")
        with pytest.raises(poplib.error_proto):
            pop.pass_("b")
    finally:
        pop.quit()


@pytest.mark.parametrize("port", [443, 444])
def test_the_web_sites(server: ExchangeServer, port: int) -> None:
    host, real = server.ports[port]
    connection = http.client.HTTPSConnection(host, real, context=unverified(), timeout=10)
    try:
        for path, status in (
            ("/owa", 302),
            ("/ecp", 302),
            ("/owa/auth/logon.aspx", 200),
            ("/autodiscover/autodiscover.xml", 401),
            ("/ews/exchange.asmx", 401),
            ("/mapi/nspi", 401),
            ("/nothing", 404),
        ):
            connection.request("GET", path)
            answer = connection.getresponse()
            answer.read()
            assert answer.status == status, path
        connection.request("POST", "/owa/auth.owa", b"username=nobody")
        answer = connection.getresponse()
        assert "reason=2" in (answer.headers["Location"] or "")
        answer.read()
        connection.request("HEAD", "/owa/auth/logon.aspx")
        assert connection.getresponse().read() == b""
    finally:
        connection.close()


def test_half_a_handshake_harms_nobody(server: ExchangeServer) -> None:
    for port in (443, 993):
        with socket.create_connection(server.ports[port], timeout=5) as raw:
            raw.sendall(b"\x16\x03\x01garbage that is no ClientHello")
        assert served(server, port, unverified())
    with socket.create_connection(server.ports[25], timeout=5) as raw:
        raw.recv(1000)
        raw.sendall(b"x" * 5000)
        assert raw.recv(1000) == b""
