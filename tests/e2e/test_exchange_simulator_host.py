"""Channel B of the simulator, and what its web sites and ports do when something is wrong with them."""

import datetime as dt
import http.client
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from certwright.exchange_simulator import (
    Distrusted,
    ExchangeOrganisation,
    ExchangeServer,
    Gone,
    ScheduledTask,
    ServerSpec,
    Services,
    Version,
    WebBinding,
    WebFault,
)
from peers.exchange_shell import Issued, Shell, TestAuthority

pytestmark = pytest.mark.e2e

PASSWORD = "a one-time password"
PRIVATE_KEY = ("Select-Object", {"ExpandProperty": "PrivateKey"})
CONTAINER = ("Select-Object", {"ExpandProperty": "CspKeyContainerInfo"})


@pytest.fixture(scope="module")
def issued(authority: TestAuthority) -> Issued:
    return authority.issue("mail.contoso.test", rsa_key=True)


def organisation_of(endpoint: Issued, *servers: ServerSpec, **options: Any) -> ExchangeOrganisation:
    return ExchangeOrganisation(
        servers,
        tls_chain=endpoint.chain_pem,
        tls_key=endpoint.key_pem,
        username="admin",
        password="the password",
        **options,
    )


def spec(name: str = "EX01", **options: Any) -> ServerSpec:
    return ServerSpec(name=name, fqdn=f"{name.lower()}.contoso.test", smtp_fqdn="mail.contoso.test", **options)


@pytest.fixture
def server(endpoint: Issued) -> Iterator[ExchangeServer]:
    with organisation_of(endpoint, spec()) as organisation:
        yield organisation["EX01"]


@pytest.fixture
def host(server: ExchangeServer, root: Path) -> Iterator[Shell]:
    with Shell(server.winrm_url, root, configuration="Microsoft.PowerShell") as shell:
        yield shell


def unverified() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def presented(address: tuple[str, int], name: str | None = None, context: ssl.SSLContext | None = None) -> bytes:
    with (
        socket.create_connection(address, timeout=10) as raw,
        (context or unverified()).wrap_socket(raw, server_hostname=name) as tls,
    ):
        return tls.getpeercert(binary_form=True) or b""


def asked(server: ExchangeServer, path: str, method: str = "GET") -> tuple[int, str]:
    """Status and Location."""
    connection = http.client.HTTPSConnection(*server.ports[443], context=unverified(), timeout=10)
    try:
        connection.request(method, path, "destination=&username=nobody&password=x" if method == "POST" else None)
        answer = connection.getresponse()
        answer.read()
        return answer.status, answer.headers.get("Location", "")
    finally:
        connection.close()


def test_the_provider_of_a_key(server: ExchangeServer, host: Shell, issued: Issued, authority: TestAuthority) -> None:
    stored = server.add_certificate(issued.pfx(PASSWORD), PASSWORD)
    path = f"Cert:\\LocalMachine\\My\\{stored.thumbprint}"
    assert host.run("Get-ChildItem", Path=path).only["HasPrivateKey"] is True
    container = host.run("Get-ChildItem", PRIVATE_KEY, CONTAINER, Path=path).only
    assert container["ProviderName"] == "Microsoft RSA SChannel Cryptographic Provider"
    assert container["KeyNumber"].to_string == "Exchange"
    assert "NETWORK SERVICE" in container["CryptoKeySecurity"]
    stored.signature_only, stored.readable_by_network_service = True, False
    container = host.run("Get-ChildItem", PRIVATE_KEY, CONTAINER, Path=path).only
    assert container["KeyNumber"].to_string == "Signature"
    assert "NETWORK SERVICE" not in container["CryptoKeySecurity"]
    elsewhere = server.add_certificate(authority.issue("other.contoso.test").pfx(PASSWORD), PASSWORD)
    path = f"Cert:\\LocalMachine\\My\\{elsewhere.thumbprint}"
    none = host.run("Get-ChildItem", PRIVATE_KEY, CONTAINER, Path=path)
    assert [e.fq_error.partition(",")[0] for e in none.errors] == ["ExpandPropertyNotFound"]
    lost = host.run("Get-ChildItem", Path="Cert:\\LocalMachine\\My\\" + "00" * 20)
    assert lost.errors[0].fq_error.startswith("PathNotFound")
    assert len(host.run("Get-ChildItem", Path="Cert:\\LocalMachine\\My").objects) == 5


@pytest.mark.parametrize(
    ("version", "rsa", "provider", "loops"),
    [
        (Version.EXCHANGE_2019_CU15, True, "", False),
        (Version.EXCHANGE_2019_CU15, True, "Microsoft Software Key Storage Provider", True),
        (Version.EXCHANGE_SE, False, "", False),
        (Version.EXCHANGE_2016, False, "", True),
    ],
)
def test_a_key_that_signs_nobody_in(
    endpoint: Issued, authority: TestAuthority, version: Version, rsa: bool, provider: str, loops: bool
) -> None:
    with organisation_of(endpoint, spec(version=version)) as organisation:
        server = organisation["EX01"]
        new = authority.issue("mail.contoso.test", rsa_key=rsa)
        stored = server.add_certificate(new.pfx(PASSWORD, legacy=True), PASSWORD)
        stored.provider = provider or stored.provider
        status, location = asked(server, "/owa/auth.owa", "POST")
        assert (status, location.rpartition("&")[2]) == (302, "reason=0" if loops else "reason=2")


def test_curves_are_for_new_servers(endpoint: Issued, authority: TestAuthority) -> None:
    curve = authority.issue("mail.contoso.test")
    for version, taken in ((Version.EXCHANGE_2019_CU14, False), (Version.EXCHANGE_2019_CU15, True)):
        with organisation_of(endpoint, spec(version=version)) as organisation:
            server = organisation["EX01"]
            stored = server.add_certificate(curve.pfx(PASSWORD), PASSWORD)
            assert (server.state.served(995) is stored) is taken


def test_bindings_for_an_address_and_for_a_name(
    server: ExchangeServer, host: Shell, issued: Issued, authority: TestAuthority
) -> None:
    old = server.add_certificate(authority.issue("old.contoso.test").pfx(PASSWORD), PASSWORD, services="None")
    server.state.web_bindings.append(WebBinding(1, 443, old.thumbprint, host="old.contoso.test"))
    server.state.web_bindings.append(WebBinding(1, 443, old.thumbprint, address="127.0.0.9"))
    further = server.listen_on("127.0.0.9")
    new = server.add_certificate(issued.pfx(PASSWORD), PASSWORD)
    assert presented(server.ports[443]) == new.der
    assert presented(server.ports[443], "mail.contoso.test") == new.der
    assert presented(server.ports[443], "old.contoso.test") == old.der
    assert presented(further, "mail.contoso.test") == old.der
    bindings = host.run("Get-WebBinding", Protocol="https").objects
    assert [(b["bindingInformation"], b["sslFlags"], b["certificateHash"]) for b in bindings] == [
        ("*:443:", 0, new.thumbprint),
        ("127.0.0.1:443:", 0, new.thumbprint),
        ("*:444:", 0, server.state.internal_transport),
        ("*:443:old.contoso.test", 1, old.thumbprint),
        ("127.0.0.9:443:", 0, old.thumbprint),
    ]
    assert "@name='Exchange Back End' and @id='2'" in bindings[2]["ItemXPath"]


def test_a_web_service_that_fails_with_the_new_certificate(server: ExchangeServer, issued: Issued) -> None:
    setup = server.state.internal_transport
    server.state.web_faults.append(WebFault("/owa", 500, unless=setup))
    server.state.web_faults.append(WebFault("/ews", 503))
    assert asked(server, "/owa")[0] == 302
    assert asked(server, "/ews/exchange.asmx")[0] == 503
    server.add_certificate(issued.pfx(PASSWORD), PASSWORD)
    assert [asked(server, path)[0] for path in ("/owa", "/ecp", "/mapi")] == [500, 302, 401]
    server.state.enable(setup, Services.IIS, replace_internal_transport=False)
    assert asked(server, "/owa")[0] == 302


def test_a_back_end_that_the_front_end_cannot_trust(server: ExchangeServer, issued: Issued) -> None:
    foreign = server.add_certificate(issued.pfx(PASSWORD), PASSWORD, services="None")
    (back_end,) = [b for b in server.state.web_bindings if b.port == 444]
    setup = back_end.thumbprint
    back_end.thumbprint = foreign.thumbprint
    assert [asked(server, path)[0] for path in ("/owa", "/ecp", "/mapi")] == [500, 500, 401]
    back_end.thumbprint = setup
    assert asked(server, "/owa")[0] == 302


def test_cookies_are_signed_with_what_was_bound_at_the_start(
    server: ExchangeServer, host: Shell, issued: Issued
) -> None:
    setup = server.state.cookie_certificate
    new = server.add_certificate(issued.pfx(PASSWORD), PASSWORD)
    assert server.state.cookie_certificate == setup
    host.run("Restart-Service", Name="W3SVC", Force=True)
    assert server.state.cookie_certificate == new.thumbprint


def test_the_web_server_restarts(server: ExchangeServer, host: Shell) -> None:
    with socket.create_connection(server.ports[443], timeout=10) as raw, unverified().wrap_socket(raw) as tls:
        assert not host.run("Restart-Service", Name="W3SVC", Force=True).errors
        assert tls.recv(100) == b""
    assert presented(server.ports[443])
    server.state.stop_service("W3SVC")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(server.ports[444], timeout=5)


def test_events_come_from_what_transport_finds(server: ExchangeServer, host: Shell, authority: TestAuthority) -> None:
    def events(**more: Any) -> Any:
        wanted = {"LogName": "Application", "ProviderName": ["MSExchangeTransport", "MSExchangeFrontEndTransport"]}
        return host.run("Get-WinEvent", FilterHashtable={**wanted, **more})

    none = events()
    assert none.errors[0].fq_error.startswith("NoMatchingEventsFound")
    begin = dt.datetime.now(dt.UTC)
    ending = authority.issue("mail.contoso.test", life=dt.timedelta(days=2))
    server.add_certificate(ending.pfx(PASSWORD), PASSWORD)
    server.state.receive_connectors[0].fqdn = "nothing.elsewhere.test"
    server.state.transport_changed()
    found = events(Id=[12014, 12018], StartTime=begin.isoformat()).objects
    assert {e["Id"] for e in found} == {12014, 12018}
    (missing,) = [e for e in found if e["Id"] == 12014]
    assert missing["ProviderName"] == "MSExchangeFrontEndTransport"
    assert "nothing.elsewhere.test" in missing["Message"]
    assert events(Id=12014, StartTime=(begin + dt.timedelta(hours=1)).isoformat()).errors
    server.state.internal_transport = ending.thumbprint
    server.state.transport_changed()
    assert events(Id=12017).objects


def test_tasks_services_and_the_registry(server: ExchangeServer, host: Shell) -> None:
    assert not host.run("Get-ScheduledTask").objects
    server.state.scheduled_tasks.append(ScheduledTask("win-acme renew (acme-v02.api.letsencrypt.org)"))
    server.state.running["Certify.Service"] = True
    task = host.run("Get-ScheduledTask").only
    assert (task["TaskName"][:8], task["TaskPath"], task["State"].to_string) == ("win-acme", "\\", "Ready")
    assert host.run("Get-Service", Name="Certify*").only["Name"] == "Certify.Service"
    key = "HKLM:\\SOFTWARE\\Microsoft\\ExchangeServer\\v15\\MailboxRole"
    assert host.run("Get-ItemProperty", Path=key).only["ConfiguredVersion"] == "15.2.1748.10"
    server.state.update_in_progress = True
    assert host.run("Get-ItemProperty", Path=key).only["Watermark"]
    assert host.run("Get-ItemProperty", Path=key + "x").errors[0].fq_error.startswith("PathNotFound")


def test_transport_that_is_stale_until_it_restarts(server: ExchangeServer, host: Shell, issued: Issued) -> None:
    before = server.state.served(25)
    server.state.transport.stale_until_restart = True
    stored = server.state.import_certificate(_bundle(issued), exportable=False, friendly_name=None)
    server.state.enable(stored.thumbprint, Services.SMTP, replace_internal_transport=False)
    host.run("Restart-Service", Name="MSExchangeTransport")
    assert server.state.served(25) is before
    assert host.run("Restart-Service", Name="MSExchangeFrontEndTransport", WhatIf=True).completed
    assert server.state.served(25) is before
    host.run("Restart-Service", Name="MSExchangeFrontEndTransport")
    assert server.state.served(25) is stored


def _bundle(issued: Issued) -> Any:
    from certwright.exchange_simulator.certificates import read_bundle

    return read_bundle(issued.pfx(PASSWORD), PASSWORD)


def test_old_protocols(endpoint: Issued, authority: TestAuthority) -> None:
    for version, newest in ((Version.EXCHANGE_2016, "TLSv1.2"), (Version.EXCHANGE_SE, "TLSv1.3")):
        with (
            organisation_of(endpoint, spec(version=version)) as organisation,
            socket.create_connection(organisation["EX01"].ports[443], timeout=10) as raw,
            unverified().wrap_socket(raw) as tls,
        ):
            assert tls.version() == newest
    with organisation_of(endpoint, spec(newest_tls=ssl.TLSVersion.TLSv1)) as organisation:
        address = organisation["EX01"].ports[443]
        with pytest.raises(ssl.SSLError):
            presented(address)
        lenient = unverified()
        lenient.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        lenient.set_ciphers("ALL:@SECLEVEL=0")
        assert presented(address, context=lenient)


def test_a_server_that_goes_as_a_whole(endpoint: Issued, root: Path, issued: Issued) -> None:
    with organisation_of(endpoint, spec("EX01"), spec("EX02")) as organisation:
        second = organisation["EX02"]
        second.faults.inject(Gone(whole=True), "Import-ExchangeCertificate")
        with Shell(organisation["EX01"].powershell_url, root) as shell:
            parameters = {"FileData": issued.pfx(PASSWORD), "Password": shell.secret(PASSWORD), "Server": "EX02"}
            failed = shell.run("Import-ExchangeCertificate", **parameters)
            assert "A special Rpc error occurs on server EX02" in str(failed.errors[0])
            for port in (25, 443):
                with pytest.raises(ConnectionRefusedError):
                    socket.create_connection(second.ports[port], timeout=5)
            assert shell.run("Get-ExchangeCertificate", Server="EX02").errors
            assert shell.run("Get-ReceiveConnector", Server="EX02").objects  # the directory still knows
            second.faults.heal()
            assert not shell.run("Import-ExchangeCertificate", **parameters).errors
        assert presented(second.ports[443])


def test_a_certificate_whose_revocation_list_is_out_of_reach(
    server: ExchangeServer, root: Path, issued: Issued
) -> None:
    server.faults.inject(Distrusted(), "Import-ExchangeCertificate")
    with Shell(server.powershell_url, root) as shell:
        shell.run("Import-ExchangeCertificate", FileData=issued.pfx(PASSWORD), Password=shell.secret(PASSWORD))
        chosen = ("Select-Object", {"Property": "Status"})
        found = shell.run("Get-ExchangeCertificate", chosen, Thumbprint=issued.thumbprint).only
        assert found["Status"].to_string == "RevocationCheckFailure"


def test_messages_in_german(endpoint: Issued, root: Path, issued: Issued) -> None:
    with organisation_of(endpoint, spec(), language="de", auth_life=dt.timedelta(days=-1)) as organisation:
        server = organisation["EX01"]
        auth = server.state.certificate(organisation.state.auth_config.current)
        assert auth.status_at(dt.datetime.now(dt.UTC)).name == "DATE_INVALID"
        with Shell(server.powershell_url, root) as shell:
            unknown = shell.run("Get-Nothing").errors[0]
            assert str(unknown).startswith("Die Benennung 'Get-Nothing'")
            assert unknown.fq_error == "CommandNotFoundException"
            setup = server.state.internal_transport
            used = shell.run("Remove-ExchangeCertificate", Thumbprint=setup, Confirm=False).errors[0]
            assert str(used).startswith(
                "Ein spezieller RPC-Fehler ist auf dem Server EX01 aufgetreten: Das interne Transportzertifikat"
            )
            assert used.fq_error.endswith("RemoveExchangeCertificate")
            parameters = {"FileData": issued.pfx(PASSWORD), "Password": shell.secret(PASSWORD)}
            shell.run("Import-ExchangeCertificate", **parameters)
            again = shell.run("Import-ExchangeCertificate", **parameters).errors[0]
            assert "ist bereits vorhanden" in str(again)
