"""Each injectable fault, as pypsrp meets it."""

import base64
import http.client
import socket
import ssl
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7
from psrpcore import ClientRunspacePool
from pypsrp.exceptions import WinRMError, WSManFaultError

from certwright.exchange_simulator import (
    Delay,
    Drop,
    ExchangeOrganisation,
    ExchangeServer,
    Fail,
    Gone,
    HalfDone,
    HttpStatus,
    IssuersLost,
    KeyLost,
    ServerSpec,
    Services,
    Status,
    WsmanFault,
)
from peers.exchange_shell import Issued, Shell, TestAuthority

pytestmark = pytest.mark.e2e

PASSWORD = "a one-time password"


@pytest.fixture
def organisation(authority: TestAuthority) -> Iterator[ExchangeOrganisation]:
    endpoint = authority.issue("ex01.contoso.test", address="127.0.0.1")
    with ExchangeOrganisation(
        [ServerSpec(name="EX01", fqdn="ex01.contoso.test")],
        tls_chain=endpoint.chain_pem,
        tls_key=endpoint.key_pem,
        username="admin",
        password="the password",
    ) as organisation:
        yield organisation


@pytest.fixture
def server(organisation: ExchangeOrganisation) -> ExchangeServer:
    return organisation["EX01"]


@pytest.fixture
def issued(authority: TestAuthority) -> Issued:
    return authority.issue("mail.contoso.test")


def import_pfx(shell: Shell, issued: Issued) -> Any:
    return shell.run("Import-ExchangeCertificate", FileData=issued.pfx(PASSWORD), Password=shell.secret(PASSWORD))


@pytest.mark.parametrize("committed", [False, True])
def test_a_dropped_connection(
    organisation: ExchangeOrganisation, server: ExchangeServer, root: Path, issued: Issued, committed: bool
) -> None:
    server.faults.inject(Drop(committed=committed), "Import-ExchangeCertificate")
    with pytest.raises(requests.ConnectionError), Shell(server.powershell_url, root) as shell:
        import_pfx(shell, issued)
    assert (issued.thumbprint in server.state.certificates) is committed
    assert len(organisation.mutations) == committed
    with Shell(server.powershell_url, root) as again:
        assert again.run("Get-ExchangeServer").objects


@pytest.mark.parametrize("committed", [False, True])
def test_an_endpoint_that_goes_until_it_is_healed(
    server: ExchangeServer, root: Path, issued: Issued, committed: bool
) -> None:
    server.faults.inject(Gone(committed=committed), "Import-ExchangeCertificate")
    with pytest.raises(requests.ConnectionError), Shell(server.powershell_url, root) as shell:
        import_pfx(shell, issued)
    assert (issued.thumbprint in server.state.certificates) is committed
    parts = urlsplit(server.powershell_url)
    for _ in range(2):
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((parts.hostname or "", parts.port or 0), timeout=5)
    server.faults.heal()
    with Shell(server.powershell_url, root) as again:
        assert again.run("Get-ExchangeServer").objects
    server.faults.take_down()
    with pytest.raises(requests.ConnectionError), Shell(server.powershell_url, root):
        pass


def test_a_bare_http_status(server: ExchangeServer, root: Path) -> None:
    server.faults.inject(HttpStatus(503), "Get-ExchangeServer")
    # pypsrp makes a fault of any well-formed page and loses the status.
    with pytest.raises((WinRMError, WSManFaultError)), Shell(server.powershell_url, root) as shell:
        shell.run("Get-ExchangeServer")


def test_a_wsman_fault(server: ExchangeServer, root: Path) -> None:
    server.faults.inject(WsmanFault(code=2150859195, message="Access is denied."), "Get-ExchangeServer")
    with pytest.raises(WSManFaultError) as fault, Shell(server.powershell_url, root) as shell:
        shell.run("Get-ExchangeServer")
    assert fault.value.code == 2150859195
    assert fault.value.reason == "Access is denied."


def test_cmdlet_errors(organisation: ExchangeOrganisation, server: ExchangeServer, root: Path, issued: Issued) -> None:
    server.faults.inject(Fail("The RPC server is unavailable."), "Enable-ExchangeCertificate")
    server.faults.inject(Fail("Access is denied.", terminating=True), "Enable-ExchangeCertificate", nth=2)
    server.faults.inject(Fail("No."), "Set-PopSettings")
    with Shell(server.powershell_url, root) as shell:
        import_pfx(shell, issued)
        parameters = {"Thumbprint": issued.thumbprint, "Services": "IIS"}
        first = shell.run("Enable-ExchangeCertificate", **parameters)
        assert first.completed
        assert str(first.errors[0]).startswith(
            "A special Rpc error occurs on server EX01: The RPC server is unavailable."
        )
        second = shell.run("Enable-ExchangeCertificate", **parameters)
        assert not second.completed
        assert not shell.run("Enable-ExchangeCertificate", **parameters).errors
        plain = shell.run("Set-PopSettings", X509CertificateName="mail.contoso.test")
        assert str(plain.errors[0]).startswith("No.")
    assert [m.cmdlet for m in organisation.mutations] == [
        "Import-ExchangeCertificate",
        "Enable-ExchangeCertificate",
    ]


def test_half_done(server: ExchangeServer, root: Path, issued: Issued) -> None:
    setup = server.state.internal_transport
    server.faults.inject(HalfDone(), "Enable-ExchangeCertificate")
    with Shell(server.powershell_url, root) as shell:
        import_pfx(shell, issued)
        half = shell.run(
            "Enable-ExchangeCertificate", Thumbprint=issued.thumbprint, Services="IIS,SMTP,POP,IMAP", Force=True
        )
    assert half.errors
    stored = server.state.certificate(issued.thumbprint)
    assert stored.services == Services.SMTP | Services.POP | Services.IMAP
    assert server.state.internal_transport == issued.thumbprint
    assert server.state.web_bindings[0].thumbprint == setup


def test_a_key_that_gets_lost(server: ExchangeServer, root: Path, issued: Issued) -> None:
    server.faults.inject(KeyLost(), "Import-ExchangeCertificate")
    with Shell(server.powershell_url, root) as shell:
        assert not import_pfx(shell, issued).errors
        enabled = shell.run("Enable-ExchangeCertificate", Thumbprint=issued.thumbprint, Services="IIS")
    assert "PrivateKeyMissing" in str(enabled.errors[0])


def test_issuers_that_get_lost_and_are_imported_by_themselves(
    server: ExchangeServer, root: Path, issued: Issued
) -> None:
    server.faults.inject(IssuersLost(untrusted=True), "Import-ExchangeCertificate")
    alone = pkcs7.serialize_certificates(list(issued.chain), Encoding.DER)
    with Shell(server.powershell_url, root) as shell:
        import_pfx(shell, issued)
        stored = server.state.certificates[issued.thumbprint]
        assert server.state.chain(stored) == [issued.certificate]
        assert stored.status is Status.UNTRUSTED
        outcome = shell.run("Import-ExchangeCertificate", FileData=alone)
    assert not outcome.errors
    assert not outcome.objects
    assert server.state.chain(stored) == [issued.certificate, *issued.chain]
    assert stored.status is None


def test_a_fault_can_last(server: ExchangeServer, root: Path) -> None:
    server.faults.inject(Fail("No."), "Get-ExchangeServer", nth=2, times=None)
    with Shell(server.powershell_url, root) as shell:
        seen = [bool(shell.run("get-exchangeserver").errors) for _ in range(4)]
        assert seen == [False, True, True, True]
        server.faults.heal()
        assert not shell.run("Get-ExchangeServer").errors


def test_a_restart_that_fails(server: ExchangeServer, root: Path) -> None:
    server.faults.inject(Fail("Service 'MSExchangePOP3' cannot be started."), "Restart-Service")
    with Shell(server.winrm_url, root, configuration="Microsoft.PowerShell") as shell:
        failed = shell.run("Restart-Service", Name="MSExchangePOP3")
        assert str(failed.errors[0]) == "Service 'MSExchangePOP3' cannot be started."
        assert failed.errors[0].fq_error.startswith("StartServiceFailed,")


def test_a_slow_cmdlet_can_be_stopped(
    organisation: ExchangeOrganisation, server: ExchangeServer, root: Path, issued: Issued
) -> None:
    server.faults.inject(Delay(60), "Enable-ExchangeCertificate")
    with Shell(server.powershell_url, root) as shell:
        import_pfx(shell, issued)
        slow = shell.start("Enable-ExchangeCertificate", Thumbprint=issued.thumbprint, Services="IIS")
        slow.begin_invoke()
        # Receive answers with the fault TimedOut when nothing came in time, which pypsrp takes for "not yet".
        slow.poll_invoke(timeout=1)
        slow.stop()
        assert shell.run("Get-ExchangeServer").objects  # the pool is still good
    assert [m.cmdlet for m in organisation.mutations] == ["Import-ExchangeCertificate"]


def test_a_slow_cmdlet_ends_by_itself(server: ExchangeServer, root: Path) -> None:
    server.faults.inject(Delay(1.5), "Get-ExchangeServer")
    with Shell(server.powershell_url, root) as shell:
        slow = shell.start("Get-ExchangeServer")
        slow.begin_invoke()
        slow.poll_invoke(timeout=1)
        assert slow.end_invoke()
        slow.close()


def test_stopping_is_quick_whatever_goes_on(organisation: ExchangeOrganisation, root: Path) -> None:
    server = organisation["EX01"]
    server.faults.inject(Delay(60), "Get-ExchangeServer")
    failures: list[BaseException] = []

    def ask() -> None:
        try:
            with Shell(server.powershell_url, root) as shell:
                shell.run("Get-ExchangeServer")
        except (requests.RequestException, WSManFaultError) as error:
            failures.append(error)

    asker = threading.Thread(target=ask)
    asker.start()
    idle = socket.create_connection(server.ports[25], timeout=5)
    try:
        while not organisation.calls:
            time.sleep(0.01)
        organisation.stop()
        asker.join(10)
        assert failures
        assert not [t for t in threading.enumerate() if t.name.startswith(("EX01", "exchange-simulator"))]
    finally:
        idle.close()


# --- what is no WSMan at all -----------------------------------------------------------------------------------------


def post(server: ExchangeServer, context: ssl.SSLContext, body: bytes, path: str = "/PowerShell/") -> tuple[int, bytes]:
    parts = urlsplit(server.powershell_url)
    connection = http.client.HTTPSConnection(parts.hostname or "", parts.port, context=context, timeout=10)
    try:
        headers = {"Authorization": "Basic YWRtaW46dGhlIHBhc3N3b3Jk"}
        connection.request("POST", path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


BOMB = (
    b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "bbbbbbbbbb"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]>'
    b"<a>&c;&c;&c;</a>"
)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff\xfe\x00garbage",
        b"<html/>",
        BOMB,
        BOMB.decode().encode("utf-16"),
        b"<a>" * 5000,
        b"<a>" * 100_000,
    ],
)
def test_garbage_is_a_bad_request(server: ExchangeServer, authority: TestAuthority, body: bytes) -> None:
    assert post(server, authority.client_context, body)[0] == 400


def envelope(action: str, body: str, *, selector: str = "", message_id: str | None = None) -> bytes:
    return f"""<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"
     xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing"
     xmlns:w="http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd"
     xmlns:rsp="http://schemas.microsoft.com/wbem/wsman/1/windows/shell"><s:Header>
     <a:Action>{action}</a:Action><a:MessageID>uuid:{message_id or uuid.uuid4()}</a:MessageID>
     <w:ResourceURI>http://schemas.microsoft.com/powershell/Microsoft.Exchange</w:ResourceURI>
     <w:SelectorSet><w:Selector Name="ShellId">{selector}</w:Selector></w:SelectorSet>
     </s:Header><s:Body>{body}</s:Body></s:Envelope>""".encode()


SHELL = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell/"
CREATE = "http://schemas.xmlsoap.org/ws/2004/09/transfer/Create"


@pytest.mark.parametrize(
    ("action", "body"),
    [
        (CREATE, ""),
        (CREATE, '<rsp:Shell ShellId="not a guid"/>'),
        (
            CREATE,
            '<rsp:Shell><creationXml xmlns="http://schemas.microsoft.com/powershell">%%%</creationXml></rsp:Shell>',
        ),
        (
            CREATE,
            '<rsp:Shell><creationXml xmlns="http://schemas.microsoft.com/powershell">AAAA</creationXml></rsp:Shell>',
        ),
        (SHELL + "Receive", "<rsp:Receive/>"),
        (SHELL + "Connect", "<rsp:Connect/>"),
        ("", ""),
    ],
)
def test_requests_that_make_no_sense_are_faults(
    server: ExchangeServer, authority: TestAuthority, action: str, body: str
) -> None:
    status, answer = post(server, authority.client_context, envelope(action, body))
    assert status == 500
    assert b"Fault" in answer


def test_a_message_sent_again_gets_the_same_answer(server: ExchangeServer, authority: TestAuthority) -> None:
    client = ClientRunspacePool()
    client.open()
    payload = client.data_to_send()
    assert payload is not None
    fragments = base64.b64encode(payload.data).decode()
    xml = f'<creationXml xmlns="http://schemas.microsoft.com/powershell">{fragments}</creationXml>'
    creation = f"<rsp:Shell>{xml}</rsp:Shell>"
    once = envelope(CREATE, creation, message_id=str(uuid.uuid4()))
    status, created = post(server, authority.client_context, once)
    assert status == 200
    assert post(server, authority.client_context, once) == (200, created)
    shell_id = created.split(b"ShellId>")[1].split(b"<")[0].decode()
    receive = envelope(SHELL + "Receive", "<rsp:Receive/>", selector=shell_id)
    status, received = post(server, authority.client_context, receive)
    assert (status, b":Stream" in received) == (200, True)
    assert post(server, authority.client_context, receive) == (200, received)  # not lost, though taken once


def test_other_paths_and_sizes(server: ExchangeServer, authority: TestAuthority) -> None:
    assert post(server, authority.client_context, b"", "/elsewhere")[0] == 404
    assert post(server, authority.client_context, b"", "/powershell")[0] == 400  # as IIS: case does not matter
    parts = urlsplit(server.powershell_url)
    connection = http.client.HTTPSConnection(
        parts.hostname or "", parts.port, context=authority.client_context, timeout=10
    )
    try:
        connection.putrequest("POST", "/PowerShell/")
        connection.putheader("Content-Length", str(1 << 30))
        connection.endheaders()
        assert connection.getresponse().status == 413
    finally:
        connection.close()


def test_identify(server: ExchangeServer, authority: TestAuthority) -> None:
    body = (
        b'<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" '
        b'xmlns:i="http://schemas.dmtf.org/wbem/wsman/identify/1/wsmanidentity.xsd">'
        b"<s:Header/><s:Body><i:Identify/></s:Body></s:Envelope>"
    )
    status, answer = post(server, authority.client_context, body)
    assert status == 200
    assert b"Microsoft Corporation" in answer
