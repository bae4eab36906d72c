"""What the simulated organisation tells about itself, and how connectors, roles and domain controllers behave."""

import re
import smtplib
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from certwright.exchange_simulator import (
    ExchangeOrganisation,
    ExchangeServer,
    FederationTrust,
    HybridConfiguration,
    Lag,
    ReceiveConnector,
    Role,
    RoleGroup,
    SendConnector,
    ServerSpec,
    Services,
    Version,
)
from certwright.exchange_simulator.directory import guid_of
from peers.exchange_shell import Issued, Shell, TestAuthority

pytestmark = pytest.mark.e2e

PASSWORD = "a one-time password"
NOTHING = "<I>CN=Nobody<S>CN=nothing.contoso.test"


@pytest.fixture(scope="module")
def issued(authority: TestAuthority) -> Issued:
    return authority.issue("mail.contoso.test")


def spec(name: str = "EX01", **options: Any) -> ServerSpec:
    return ServerSpec(name=name, fqdn=f"{name.lower()}.contoso.test", smtp_fqdn="mail.contoso.test", **options)


@pytest.fixture
def organised(endpoint: Issued, root: Path) -> Any:
    @contextmanager
    def made(*specs: ServerSpec, **options: Any) -> Iterator[tuple[ExchangeOrganisation, Shell]]:
        options = {"username": "admin", "password": "the password", **options}
        servers = specs or (spec(),)
        with (
            ExchangeOrganisation(
                servers, tls_chain=endpoint.chain_pem, tls_key=endpoint.key_pem, **options
            ) as organisation,
            Shell(organisation[servers[0].name].powershell_url, root) as shell,
        ):
            yield organisation, shell

    return made


def listed(value: Any) -> list[str]:
    """The strings of a list, whose type pypsrp does not know."""
    return re.findall("<S>(.*?)</S>", value.property_sets[0])


def offers_starttls(server: ExchangeServer, port: int = 25) -> bytes | None:
    """The certificate that STARTTLS shows; None if it is not offered."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with smtplib.SMTP(*server.ports[port], timeout=10) as smtp:
        smtp.ehlo()
        if not smtp.has_extn("starttls"):
            return None
        smtp.starttls(context=context)
        assert isinstance(smtp.sock, ssl.SSLSocket)
        return smtp.sock.getpeercert(binary_form=True)


def test_servers_groups_and_the_perimeter(organised: Any) -> None:
    specs = (spec("EX01", dag="DAG1"), spec("EX02", dag="DAG1", site="Berlin"), spec("EDGE01", role=Role.EDGE))
    with organised(*specs) as (organisation, shell):
        found = {s["Name"]: s for s in shell.run("Get-ExchangeServer").objects}
        assert [(s["ServerRole"], s["IsEdgeServer"]) for s in found.values()] == [
            ("Mailbox", False),
            ("Mailbox", False),
            ("Edge", True),
        ]
        assert found["EX02"]["Site"].endswith("/Sites/Berlin")
        assert shell.run("Get-EdgeSubscription").only["Name"] == "EDGE01"
        assert shell.run("Get-MailboxServer", Identity="EX02").only["DatabaseAvailabilityGroup"] == "DAG1"
        plain = shell.run("Get-DatabaseAvailabilityGroup").only
        assert (listed(plain["Servers"]), plain["ServersInMaintenance"]) == (["EX01", "EX02"], None)
        organisation["EX02"].state.enter_maintenance()
        status = shell.run("Get-DatabaseAvailabilityGroup", Identity="DAG1", Status=True).only
        assert listed(status["ServersInMaintenance"]) == ["EX02"]
        assert shell.run("Get-MailboxServer", Identity="EX02").only["DatabaseCopyAutoActivationPolicy"] == "Blocked"
        state = shell.run("Get-ServerComponentState", Identity="EX02", Component="HubTransport").only
        assert (state["ServerFqdn"], state["State"]) == ("ex02.contoso.test", "Inactive")
        assert shell.run("Get-ServerComponentState", Identity="EX01", Component="HubTransport").only["State"] == (
            "Active"
        )
        edge = shell.run("Get-ExchangeCertificate", Server="EDGE01")
        assert "A special Rpc error occurs on server EDGE01" in str(edge.errors[0])
        assert sorted(organisation["EDGE01"].ports) == [25, 50636]
        port = urlsplit(organisation["EDGE01"].powershell_url).port
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port or 0), timeout=5)


def test_addresses_as_setup_leaves_them_and_under_a_public_name(organised: Any) -> None:
    with organised(spec("EX01", public_host="mail.contoso.test"), spec("EX02")) as (_, shell):
        urls = {
            (kind, server): shell.run(f"Get-{kind}VirtualDirectory", Server=server, ADPropertiesOnly=True).only
            for kind in ("Owa", "Ecp", "WebServices", "ActiveSync", "Oab", "Mapi", "PowerShell")
            for server in ("EX01", "EX02")
        }
        assert str(urls["Owa", "EX01"]["ExternalUrl"]) == "https://mail.contoso.test/owa"
        assert urls["Owa", "EX01"]["Identity"] == "EX01\\owa (Default Web Site)"
        assert str(urls["WebServices", "EX02"]["InternalUrl"]) == "https://ex02.contoso.test/EWS/Exchange.asmx"
        assert urls["WebServices", "EX02"]["ExternalUrl"] is None
        assert str(urls["PowerShell", "EX01"]["InternalUrl"]) == "http://ex01.contoso.test/powershell"
        assert urls["PowerShell", "EX01"]["BasicAuthentication"] is False
        anywhere = shell.run("Get-OutlookAnywhere", Server="EX01", ADPropertiesOnly=True).only
        assert (anywhere["InternalHostname"], anywhere["ExternalHostname"]) == ("mail.contoso.test",) * 2
        service = shell.run("Get-ClientAccessService", Identity="EX02").only
        assert str(service["AutoDiscoverServiceInternalUri"]) == (
            "https://ex02.contoso.test/Autodiscover/Autodiscover.xml"
        )
        assert not shell.run("Get-ClientAccessServer").completed


def test_what_2013_calls_things(organised: Any) -> None:
    specs = (
        spec("EX13", version=Version.EXCHANGE_2013),
        spec("CAS13", version=Version.EXCHANGE_2013, role=Role.CLIENT_ACCESS),
        spec("MBX13", version=Version.EXCHANGE_2013, role=Role.MAILBOX),
    )
    with organised(*specs) as (organisation, shell):
        roles = [s["ServerRole"] for s in shell.run("Get-ExchangeServer").objects]
        assert roles == ["Mailbox, ClientAccess", "ClientAccess", "Mailbox"]
        assert shell.run("Get-ClientAccessServer", Identity="EX13").only["Name"] == "EX13"
        assert not shell.run("Get-ClientAccessService").completed
        assert {25, 443} <= set(organisation["CAS13"].ports)
        assert sorted(organisation["MBX13"].ports) == [444, 465, 475, 2525]


@pytest.mark.parametrize(
    ("specs", "said"),
    [
        ((spec("A", version=Version.EXCHANGE_2013), spec("B", version=Version.EXCHANGE_SE)), "2013"),
        ((spec("A", version=Version.EXCHANGE_2013), spec("B", version=Version.EXCHANGE_2019_CU15)), "2013"),
        ((spec("A", role=Role.MAILBOX),), "only Exchange 2013"),
        ((spec("A", dag="D", version=Version.EXCHANGE_2016), spec("B", dag="D")), "same version"),
    ],
)
def test_impossible_organisations(endpoint: Issued, specs: tuple[ServerSpec, ...], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        ExchangeOrganisation(specs, tls_chain=endpoint.chain_pem, tls_key=endpoint.key_pem, username="a", password="b")


def test_the_organisation_tells_of_itself(organised: Any) -> None:
    with organised() as (organisation, shell):
        assert shell.run("Get-OrganizationConfig").only["Name"] == "Contoso"
        domain = shell.run("Get-AcceptedDomain").only
        assert (domain["DomainName"], domain["DomainType"], domain["Default"]) == (
            "contoso.test",
            "Authoritative",
            True,
        )
        assert not shell.run("Get-HybridConfiguration").objects
        assert not shell.run("Get-FederationTrust").objects
        organisation.state.federation_trusts.append(FederationTrust("AB" * 20, next="CD" * 20))
        trust = shell.run("Get-FederationTrust").only
        assert (trust["OrgPrivCertificate"], trust["OrgPrevPrivCertificate"], trust["OrgNextPrivCertificate"]) == (
            "AB" * 20,
            None,
            "CD" * 20,
        )
        user = shell.run("Get-User", Identity="CONTOSO\\admin").only
        assert (user["UserPrincipalName"], user["RemotePowerShellEnabled"]) == ("admin@contoso.test", True)
        assert "couldn't be found" in str(shell.run("Get-User", Identity="nobody").errors[0])


def test_hybrid_names_a_certificate(organised: Any) -> None:
    with organised() as (organisation, shell):
        refused = shell.run("Set-HybridConfiguration", TlsCertificateName=NOTHING)
        assert "couldn't be found" in str(refused.errors[0])
        organisation.state.hybrid = HybridConfiguration(
            domains=("contoso.test",), sending_transport_servers=("EX01",), edge_transport_servers=("EDGE01",)
        )
        shell.run("Set-HybridConfiguration", TlsCertificateName=NOTHING)
        found = shell.run("Get-HybridConfiguration").only
        assert found["TlsCertificateName"].to_string == NOTHING
        assert listed(found["SendingTransportServers"]) == ["EX01"]
        assert [m.cmdlet for m in organisation.mutations] == ["Set-HybridConfiguration"]


def test_a_send_connector_whose_certificate_is_gone_stops_mail(organised: Any, issued: Issued) -> None:
    with organised(spec("EX01"), spec("EX02")) as (organisation, shell):
        server = organisation["EX01"]
        stored = server.add_certificate(issued.pfx(PASSWORD), PASSWORD, services="None")
        organisation.state.send_connectors.append(
            SendConnector("To cloud", ("EX01",), smart_hosts=("contoso.mail.example",), cloud_services_mail=True)
        )
        shell.run("Set-SendConnector", Identity="To cloud", TlsCertificateName=stored.tls_certificate_name)
        sent = shell.run("Get-SendConnector", Identity="To cloud").only
        assert sent["CloudServicesMailEnabled"] is True

        def queue() -> tuple[str, str]:
            _, queue = shell.run("Get-Queue", Server="EX01").objects
            assert queue["NextHopConnector"] == sent["Guid"]
            return queue["Status"].to_string, queue["LastError"]

        # Issuer and subject fit, but the certificate is not enabled for SMTP.
        status, error = queue()
        assert (status, error[:9]) == ("Retry", "454 4.7.5")
        shell.run("Enable-ExchangeCertificate", Thumbprint=stored.thumbprint, Services="SMTP", Force=True)
        assert queue() == ("Ready", "")
        server.state.remove(stored.thumbprint)
        status, error = queue()
        assert "TlsCertificateName of the SendConnector could not be found" in error
        assert len(shell.run("Get-Queue", Server="EX02").objects) == 1  # EX02 is no source of it
        shell.run("Set-SendConnector", Identity="To cloud", TlsCertificateName=None)
        assert queue() == ("Ready", "")
        assert shell.run("Get-SendConnector").only["TlsCertificateName"] is None


def test_a_receive_connector_whose_certificate_is_gone_offers_no_tls(organised: Any, issued: Issued) -> None:
    with organised() as (organisation, shell):
        server = organisation["EX01"]
        stored = server.add_certificate(issued.pfx(PASSWORD), PASSWORD)
        assert offers_starttls(server) == issued.der
        identity = "EX01\\Default Frontend EX01"
        shell.run("Set-ReceiveConnector", Identity=identity, TlsCertificateName=NOTHING)
        assert offers_starttls(server) is None
        assert offers_starttls(server, 587) == issued.der
        assert server.state.transport.events[-1].id == 12014
        shell.run("Set-ReceiveConnector", Identity=identity, TlsCertificateName=stored.tls_certificate_name)
        assert offers_starttls(server) == issued.der
        for known in (identity, "Default Frontend EX01", str(guid_of("SMTP Receive Connectors", identity))):
            assert shell.run("Get-ReceiveConnector", Identity=known).only["Identity"] == identity
        unchanged = shell.run("Set-ReceiveConnector", Identity=identity, TlsCertificateName=stored.tls_certificate_name)
        assert "no settings" in unchanged.warnings[0]
        odd = shell.run("Set-ReceiveConnector", Identity=identity, TlsCertificateName="mail.contoso.test")
        assert "SmtpX509Identifier" in str(odd.errors[0])
        assert len(organisation.mutations) == 2


def test_the_narrowest_range_answers(organised: Any) -> None:
    with organised() as (organisation, shell):
        server = organisation["EX01"]
        server.state.receive_connectors.append(
            ReceiveConnector("Relay", "ex01.contoso.test", (25,), remote_ip_ranges=("127.0.0.0/24", "10.0.0.1"))
        )
        server.state.transport_changed()
        with smtplib.SMTP(*server.ports[25]) as smtp:
            assert smtp.ehlo()[1].startswith(b"ex01.contoso.test")
        connectors = shell.run("Get-ReceiveConnector", Server="EX01").objects
        assert listed(connectors[-1]["RemoteIPRanges"]) == ["127.0.0.0/24", "10.0.0.1"]
        server.state.receive_connectors[-1].enabled = False
        with smtplib.SMTP(*server.ports[25]) as smtp:
            assert smtp.ehlo()[1].startswith(b"mail.contoso.test")


def test_a_fresh_self_signed_certificate(organised: Any) -> None:
    with organised() as (organisation, shell):
        state = organisation["EX01"].state
        before = set(state.certificates)
        made = shell.run("New-ExchangeCertificate", Server="EX01", Force=True)
        assert not made.errors
        (new,) = set(state.certificates) - before
        stored = state.certificate(new)
        assert made.only["RawData"] == stored.der
        assert (stored.names, stored.services) == (
            ("EX01", "ex01.contoso.test"),
            Services.IMAP | Services.POP | Services.SMTP,
        )
        assert state.internal_transport == new


@pytest.mark.parametrize(
    ("cmdlet", "parameters"),
    [
        ("Import-ExchangeCertificate", {}),
        ("New-ExchangeCertificate", {"Force": True}),
        ("Enable-ExchangeCertificate", {"Services": "SMTP"}),
        ("Remove-ExchangeCertificate", {}),
        ("Set-PopSettings", {"X509CertificateName": "new.contoso.test"}),
        ("Set-ImapSettings", {"X509CertificateName": "new.contoso.test"}),
        ("Set-SendConnector", {"Identity": "Out", "TlsCertificateName": NOTHING}),
        ("Set-ReceiveConnector", {"Identity": "EX01\\Client Frontend EX01", "TlsCertificateName": NOTHING}),
        ("Set-HybridConfiguration", {"TlsCertificateName": NOTHING}),
    ],
)
def test_what_if_changes_nothing(
    organised: Any, authority: TestAuthority, issued: Issued, cmdlet: str, parameters: dict[str, Any]
) -> None:
    with organised() as (organisation, shell):
        state = organisation["EX01"].state
        organisation.state.send_connectors.append(SendConnector("Out"))
        organisation.state.hybrid = HybridConfiguration()
        stored = organisation["EX01"].add_certificate(issued.pfx(PASSWORD), PASSWORD, services="None")
        if cmdlet == "Import-ExchangeCertificate":
            other = authority.issue("other.contoso.test")
            parameters = {"FileData": other.pfx(PASSWORD), "Password": shell.secret(PASSWORD)}
        elif cmdlet in {"Enable-ExchangeCertificate", "Remove-ExchangeCertificate"}:
            parameters = {**parameters, "Thumbprint": stored.thumbprint}

        def known() -> list[object]:
            connectors = [
                c.tls_certificate_name for c in (*organisation.state.send_connectors, *state.receive_connectors)
            ]
            services = {thumbprint: c.services for thumbprint, c in state.certificates.items()}
            names = [state.pop.x509_certificate_name, state.imap.x509_certificate_name]
            return [services, connectors, names, organisation.state.hybrid, state.internal_transport]

        before = known()
        tried = shell.run(cmdlet, WhatIf=True, **parameters)
        assert (tried.errors, tried.objects) == ([], [])
        assert known() == before
        assert not organisation.mutations
        assert not shell.run(
            cmdlet, Confirm=False, **{"Force": True} if cmdlet.startswith("Enable") else {}, **parameters
        ).errors
        assert [m.cmdlet for m in organisation.mutations] == [cmdlet]


def test_what_if_still_tells_what_is_wrong(organised: Any) -> None:
    with organised(hidden_cmdlets=["Set-SendConnector"]) as (organisation, shell):
        setup = organisation["EX01"].state.internal_transport
        assert not shell.run("Set-SendConnector", Identity="Out", WhatIf=True).completed
        missing = shell.run("Set-ReceiveConnector", Identity="EX01\\Nothing", Fqdn="a.test", WhatIf=True)
        assert "couldn't be found" in str(missing.errors[0])
        used = shell.run("Remove-ExchangeCertificate", Thumbprint=setup, WhatIf=True)
        assert "internal transport certificate cannot be removed" in str(used.errors[0])
        unknown = shell.run("Enable-ExchangeCertificate", Thumbprint="00" * 20, Services="IIS", WhatIf=True)
        assert "was not found" in str(unknown.errors[0])


@pytest.mark.parametrize(
    ("group", "shown", "hidden"),
    [
        (RoleGroup.SERVER_MANAGEMENT, "Set-ReceiveConnector", "Set-SendConnector"),
        (RoleGroup.SERVER_MANAGEMENT, "Import-ExchangeCertificate", "Set-HybridConfiguration"),
        (RoleGroup.VIEW_ONLY, "Get-ExchangeCertificate", "Import-ExchangeCertificate"),
        (RoleGroup.RECIPIENT_MANAGEMENT, "Get-AcceptedDomain", "Get-ExchangeCertificate"),
        (RoleGroup.CERTWRIGHT, "Set-HybridConfiguration", "Set-AuthConfig"),
    ],
)
def test_role_groups_show_their_cmdlets(organised: Any, group: RoleGroup, shown: str, hidden: str) -> None:
    with organised(role_group=group) as (_, shell):
        assert shell.run("Get-Command", Name=shown).only["Name"] == shown
        assert shell.run("Get-Command", Name=hidden).errors
        assert shell.run(hidden).errors[0].fq_error == "CommandNotFoundException"


def test_least_rights_hide_parameters(organised: Any) -> None:
    with organised(role_group=RoleGroup.CERTWRIGHT) as (_, shell):
        parameters = shell.run("Get-Command", Name="Set-ReceiveConnector").only["Parameters"]
        assert "TlsCertificateName" in parameters
        assert "Fqdn" not in parameters
        identity = "EX01\\Client Frontend EX01"
        refused = shell.run("Set-ReceiveConnector", Identity=identity, Fqdn="a.test")
        assert refused.errors[0].fq_error.startswith("NamedParameterNotFound")


def test_domain_controllers_lag(organised: Any, issued: Issued) -> None:
    options = {"domain_controllers": ("DC01", "DC02"), "replication_lag": Lag(reads=2)}
    with organised(**options) as (organisation, shell):
        organisation.state.send_connectors.append(SendConnector("Out"))

        def read(controller: str) -> str | None:
            found = shell.run("Get-SendConnector", Identity="Out", DomainController=controller).only
            assert found["OriginatingServer"] == f"{controller}.contoso.test"
            name = found["TlsCertificateName"]
            return name.to_string if name else None

        shell.run("Set-SendConnector", Identity="Out", TlsCertificateName=NOTHING, DomainController="dc02.contoso.test")
        assert read("DC02") == NOTHING
        assert [read("DC01") for _ in range(3)] == [None, None, NOTHING]
        stored = organisation["EX01"].add_certificate(issued.pfx(PASSWORD), PASSWORD, services="None")
        setup = organisation["EX01"].state.internal_transport
        shell.run(
            "Enable-ExchangeCertificate",
            Thumbprint=stored.thumbprint,
            Services="SMTP",
            Force=True,
            DomainController="DC01",
        )
        internal = [
            shell.run("Get-TransportService", Identity="EX01", DomainController=controller).only[
                "InternalTransportCertificateThumbprint"
            ]
            for controller in ("DC01", "DC02")
        ]
        assert internal == [stored.thumbprint, setup]
        turns = [shell.run("Get-OrganizationConfig").only["OriginatingServer"] for _ in range(2)]
        assert sorted(turns) == ["DC01.contoso.test", "DC02.contoso.test"]
        lost = shell.run("Get-OrganizationConfig", DomainController="DC09")
        assert "DC09" in str(lost.errors[0])
