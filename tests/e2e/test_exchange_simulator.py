"""The simulator held against a client that others wrote: pypsrp over HTTPS with Basic."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from pypsrp.exceptions import AuthenticationError, WSManFaultError
from pypsrp.host import PSHost, PSHostUserInterface
from pypsrp.powershell import PowerShell

from certwright.exchange_simulator import (
    ExchangeOrganisation,
    FederationTrust,
    SendConnector,
    ServerSpec,
    Services,
    Status,
    Version,
    WireForm,
)
from peers.exchange_shell import MANAGEMENT_SHELL, Issued, Shell, TestAuthority

pytestmark = pytest.mark.e2e

PASSWORD = "a one-time password"


def organisation_of(endpoint: Issued, *servers: ServerSpec, **options: Any) -> ExchangeOrganisation:
    return ExchangeOrganisation(
        servers,
        tls_chain=endpoint.chain_pem,
        tls_key=endpoint.key_pem,
        username="admin",
        password="the password",
        **options,
    )


EX01 = ServerSpec(name="EX01", fqdn="ex01.contoso.test", smtp_fqdn="mail.contoso.test")
EX02 = ServerSpec(name="EX02", fqdn="ex02.contoso.test", version=Version.EXCHANGE_2016)


@pytest.fixture
def organisation(endpoint: Issued) -> Iterator[ExchangeOrganisation]:
    with organisation_of(endpoint, EX01) as organisation:
        yield organisation


@pytest.fixture
def shell(organisation: ExchangeOrganisation, root: Path) -> Iterator[Shell]:
    with Shell(organisation["EX01"].powershell_url, root, query=MANAGEMENT_SHELL) as shell:
        yield shell


def import_pfx(shell: Shell, issued: Issued, **parameters: Any) -> dict[str, Any]:
    outcome = shell.run(
        "Import-ExchangeCertificate",
        FileData=issued.pfx(PASSWORD, legacy=True),
        Password=shell.secret(PASSWORD),
        **parameters,
    )
    assert not outcome.errors
    return outcome.only


def test_lists_the_servers(endpoint: Issued, root: Path) -> None:
    with (
        organisation_of(endpoint, EX01, EX02) as organisation,
        Shell(organisation["EX02"].powershell_url, root) as shell,
    ):
        first, second = shell.run("Get-ExchangeServer").objects
        assert (first["Name"], first["Fqdn"]) == ("EX01", "ex01.contoso.test")
        assert "15.2" in first["AdminDisplayVersion"]
        assert "15.1" in second["AdminDisplayVersion"]
        assert shell.run("Get-ExchangeServer", Identity="ex02.contoso.test").only["Name"] == "EX02"
        missing = shell.run("Get-ExchangeServer", Identity="EX99")
        assert not missing.objects
        assert "object 'EX99' couldn't be found" in str(missing.errors[0])


def test_setup_leaves_three_certificates(organisation: ExchangeOrganisation, shell: Shell) -> None:
    chosen = ["FriendlyName", "Services", "ServicesStringForm", "IISServices", "HasPrivateKey", "PrivateKeyExportable"]
    exchange, auth, management = shell.run("Get-ExchangeCertificate", ("Select-Object", {"Property": chosen})).objects
    assert exchange["FriendlyName"] == "Microsoft Exchange"
    assert exchange["Services"].to_string == "IMAP, POP, IIS, SMTP"
    assert exchange["Services"].property_sets == [27]
    assert exchange["ServicesStringForm"] == "IP.WS.."
    assert "IIS://EX01/W3SVC/1" in exchange["IISServices"].property_sets[0]
    assert "IIS://EX01/W3SVC/2" in exchange["IISServices"].property_sets[0]
    assert exchange["HasPrivateKey"] is True
    assert exchange["PrivateKeyExportable"] is False
    assert auth["Services"].to_string == "SMTP"
    assert management["Services"].to_string == "None"
    assert shell.run("Get-TransportService", Identity="EX01").only["InternalTransportCertificateThumbprint"] == (
        organisation["EX01"].state.internal_transport
    )
    assert shell.run("Get-AuthConfig").only["CurrentCertificateThumbprint"] == (organisation.state.auth_config.current)


@pytest.mark.parametrize(
    ("form", "query", "expected"),
    [
        (WireForm.SIGNED, MANAGEMENT_SHELL, b"#sig#"),
        (WireForm.UNSIGNED, MANAGEMENT_SHELL, b"\x00\x01\x00\x00\x00\xff\xff\xff\xff"),
        (WireForm.RAW_DATA, MANAGEMENT_SHELL, None),
        (WireForm.SIGNED, "", None),
    ],
)
def test_a_raw_certificate_shows_little(
    endpoint: Issued, root: Path, form: WireForm, query: str, expected: bytes | None
) -> None:
    spec = ServerSpec(name="EX01", fqdn="ex01.contoso.test", wire_form=form)
    with organisation_of(endpoint, spec) as organisation:
        own = organisation["EX01"].state
        with Shell(organisation["EX01"].powershell_url, root, query=query) as shell:
            raw = shell.run("Get-ExchangeCertificate", Thumbprint=own.internal_transport).only
        stored = own.certificate(own.internal_transport)
        assert raw["RawData"] == stored.der
        if expected is None:
            assert set(raw) == {"RawData"}
        else:
            assert set(raw) == {"RawData", "SerializationData"}
            assert raw["SerializationData"].startswith(expected)
            assert stored.der in raw["SerializationData"]


def test_select_object_can_be_blind(endpoint: Issued, root: Path) -> None:
    spec = ServerSpec(name="EX01", fqdn="ex01.contoso.test", select_sees_properties=False)
    with organisation_of(endpoint, spec) as organisation, Shell(organisation["EX01"].powershell_url, root) as shell:
        property_list = {"Property": ["Thumbprint", "RawData"]}
        selected = shell.run("Get-ExchangeCertificate", ("Select-Object", property_list)).objects[0]
        assert selected["Thumbprint"] is None
        assert selected["RawData"]


@pytest.mark.parametrize("legacy", [True, False])
def test_imports_a_pfx(
    organisation: ExchangeOrganisation, shell: Shell, authority: TestAuthority, legacy: bool
) -> None:
    issued = authority.issue("mail.contoso.test", rsa_key=True)
    outcome = shell.run(
        "Import-ExchangeCertificate",
        FileData=issued.pfx(PASSWORD, legacy=legacy),
        Password=shell.secret(PASSWORD),
        PrivateKeyExportable=True,
        FriendlyName="mail 2026",
        Server="EX01",
        ErrorAction="Stop",
    )
    assert outcome.only["RawData"] == issued.der
    stored = organisation["EX01"].state.certificate(issued.thumbprint)
    assert stored.key is not None
    assert (stored.exportable, stored.friendly_name, stored.services) == (True, "mail 2026", Services.NONE)
    (mutation,) = organisation.mutations
    assert mutation.cmdlet == "Import-ExchangeCertificate"
    assert mutation.parameters["Password"] == "(hidden)"
    assert PASSWORD not in repr(organisation.calls)


def test_a_large_file_travels_in_many_fragments(shell: Shell) -> None:
    outcome = shell.run("Import-ExchangeCertificate", FileData=b"\x30" * 700_000, Password=shell.secret("x"))
    assert "data is invalid or the password specified is incorrect" in str(outcome.errors[0])


def test_a_wrong_pfx_password_changes_nothing(
    organisation: ExchangeOrganisation, shell: Shell, authority: TestAuthority
) -> None:
    data = authority.issue("mail.contoso.test").pfx(PASSWORD)
    outcome = shell.run("Import-ExchangeCertificate", FileData=data, Password=shell.secret("wrong"))
    (error,) = outcome.errors
    assert outcome.completed  # a non-terminating error
    assert str(error).startswith("A special Rpc error occurs on server EX01: Cannot import certificate.")
    assert error.reason == "InvalidOperationException"
    assert error.activity == "Import-ExchangeCertificate"
    assert error.fq_error.startswith("[Server=EX01,RequestId=")
    assert error.fq_error.endswith(",Microsoft.Exchange.Management.SystemConfigurationTasks.ImportExchangeCertificate")
    assert "[FailureCategory=Cmdlet-InvalidOperationException]" in error.fq_error
    assert not organisation.mutations


def test_error_action_stop_makes_errors_terminating(shell: Shell, authority: TestAuthority) -> None:
    import_pfx(shell, issued := authority.issue("mail.contoso.test"))
    parameters = {"FileData": issued.pfx(PASSWORD), "Password": shell.secret(PASSWORD)}
    again = shell.run("Import-ExchangeCertificate", ErrorAction="Stop", **parameters)
    assert not again.completed
    assert f"A certificate with the thumbprint {issued.thumbprint} already exists" in str(again.errors[0])
    assert not shell.run("Import-ExchangeCertificate", ErrorAction="SilentlyContinue", **parameters).errors


def test_a_certificate_without_its_key_cannot_be_enabled(
    organisation: ExchangeOrganisation, shell: Shell, authority: TestAuthority
) -> None:
    for issued, data in (
        (first := authority.issue("mail.contoso.test"), first.p7b),
        (second := authority.issue("mail.contoso.test"), second.pfx(PASSWORD, with_key=False)),
    ):
        imported = shell.run("Import-ExchangeCertificate", FileData=data, Password=shell.secret(PASSWORD))
        assert imported.only["RawData"] == issued.der
        chosen = {"Property": ["HasPrivateKey"]}
        get = shell.run("Get-ExchangeCertificate", ("Select-Object", chosen), Thumbprint=issued.thumbprint)
        assert get.only["HasPrivateKey"] is False
        enabled = shell.run("Enable-ExchangeCertificate", Thumbprint=issued.thumbprint, Services="IIS", Force=None)
        assert "not valid for use with Exchange Server (reason: PrivateKeyMissing)" in str(enabled.errors[0])
    assert Services.IIS not in organisation["EX01"].state.certificate(second.thumbprint).services


def test_enable_with_force_moves_iis_and_the_internal_transport_certificate(
    organisation: ExchangeOrganisation, shell: Shell, authority: TestAuthority
) -> None:
    state = organisation["EX01"].state
    setup = state.internal_transport
    import_pfx(shell, issued := authority.issue("mail.contoso.test"))
    first = shell.run("Enable-ExchangeCertificate", Thumbprint=issued.thumbprint, Services="SMTP, IIS", Force=True)
    assert not first.errors
    assert state.internal_transport == issued.thumbprint
    assert [b.thumbprint for b in state.web_bindings] == [issued.thumbprint, issued.thumbprint, setup]
    shell.run("Enable-ExchangeCertificate", Thumbprint=setup, Services="SMTP", Force=None)
    assert state.internal_transport == setup
    shell.run("Enable-ExchangeCertificate", Thumbprint=issued.thumbprint, Services=["POP", "IMAP"])
    # Flags only grow.
    assert state.certificate(issued.thumbprint).services == (
        Services.IMAP | Services.POP | Services.IIS | Services.SMTP
    )
    assert shell.run("Get-PopSettings", Server="EX01").only["X509CertificateName"] == "mail.contoso.test"


class _Answer(PSHostUserInterface):
    def __init__(self, choice: int) -> None:
        super().__init__()
        self.choice = choice
        self.asked: list[str] = []

    def PromptForChoice(  # noqa: N802 - pypsrp calls it by this name
        self, runspace: Any, pipeline: Any, caption: str, message: str, choices: Any, default_choice: int
    ) -> int:
        self.asked.append(message)
        return self.choice


@pytest.mark.parametrize(("choice", "moves"), [(0, True), (2, False)])
def test_without_force_the_host_is_asked(
    organisation: ExchangeOrganisation, root: Path, authority: TestAuthority, choice: int, moves: bool
) -> None:
    answer = _Answer(choice)
    host = PSHost(None, None, False, "test", None, answer, "1.0")
    issued = authority.issue("mail.contoso.test")
    with Shell(organisation["EX01"].powershell_url, root, host=host) as shell:
        import_pfx(shell, issued)
        outcome = shell.run("Enable-ExchangeCertificate", Thumbprint=issued.thumbprint, Services="SMTP")
    assert not outcome.errors
    assert answer.asked[0].startswith("Overwrite the existing default SMTP certificate?")
    state = organisation["EX01"].state
    assert Services.SMTP in state.certificate(issued.thumbprint).services
    assert (state.internal_transport == issued.thumbprint) is moves


def test_without_force_and_without_a_host_the_pipeline_fails(
    organisation: ExchangeOrganisation, shell: Shell, authority: TestAuthority
) -> None:
    import_pfx(shell, issued := authority.issue("mail.contoso.test"))
    outcome = shell.run("Enable-ExchangeCertificate", Thumbprint=issued.thumbprint, Services="SMTP")
    assert not outcome.completed
    assert "does not support user interaction" in str(outcome.errors[0])
    assert organisation["EX01"].state.certificate(issued.thumbprint).services == Services.NONE


def test_a_wildcard_is_not_taken_for_pop_and_imap(
    organisation: ExchangeOrganisation, shell: Shell, authority: TestAuthority
) -> None:
    import_pfx(shell, issued := authority.issue("*.contoso.test"))
    outcome = shell.run("Enable-ExchangeCertificate", Thumbprint=issued.thumbprint, Services="IIS,POP,IMAP")
    assert len(outcome.warnings) == 2
    assert "cannot used for POP SSL/TLS connections because the subject is not a Fully Qualified" in outcome.warnings[0]
    assert organisation["EX01"].state.certificate(issued.thumbprint).services == Services.IIS


def test_unified_messaging_went_away_with_2019(endpoint: Issued, root: Path, authority: TestAuthority) -> None:
    issued = authority.issue("mail.contoso.test")
    with organisation_of(endpoint, EX01, EX02) as organisation:
        for name, refused in (("EX01", True), ("EX02", False)):
            with Shell(organisation[name].powershell_url, root) as shell:
                import_pfx(shell, issued)
                outcome = shell.run("Enable-ExchangeCertificate", Thumbprint=issued.thumbprint, Services="UM")
            assert bool(outcome.errors) is refused


def test_pop_and_imap_settings(organisation: ExchangeOrganisation, shell: Shell) -> None:
    for protocol, settings in (("Pop", organisation["EX01"].state.pop), ("Imap", organisation["EX01"].state.imap)):
        changed = shell.run(f"Set-{protocol}Settings", X509CertificateName="mail.contoso.test", Server="EX01")
        assert "only take effect after" in changed.warnings[0]
        assert settings.x509_certificate_name == "mail.contoso.test"
        unchanged = shell.run(f"Set-{protocol}Settings", X509CertificateName="mail.contoso.test")
        assert "no settings" in unchanged.warnings[0]
        assert shell.run(f"Get-{protocol}Settings").only["X509CertificateName"] == "mail.contoso.test"
    assert [m.cmdlet for m in organisation.mutations] == ["Set-PopSettings", "Set-ImapSettings"]


def test_connectors_name_certificates_by_issuer_and_subject(
    organisation: ExchangeOrganisation, shell: Shell, authority: TestAuthority
) -> None:
    import_pfx(shell, issued := authority.issue("mail.contoso.test"))
    named = organisation["EX01"].state.certificate(issued.thumbprint).tls_certificate_name
    organisation.state.send_connectors.append(SendConnector("To partners", tls_certificate_name=named))
    sent = shell.run("Get-SendConnector").only
    assert sent["TlsCertificateName"].to_string == "<I>CN=Test intermediate<S>CN=mail.contoso.test"
    assert sent["TlsCertificateName"].adapted_properties["SubjectCommonName"] == "mail.contoso.test"
    received = shell.run("Get-ReceiveConnector", Server="EX01").objects
    assert [(c["Fqdn"], c["TransportRole"]) for c in received] == [
        ("mail.contoso.test", "FrontendTransport"),
        ("mail.contoso.test", "FrontendTransport"),
        ("ex01.contoso.test", "FrontendTransport"),
        ("ex01.contoso.test", "HubTransport"),
        ("ex01.contoso.test", "HubTransport"),
    ]
    only = shell.run("Get-ReceiveConnector", Identity="EX01\\Client Frontend EX01").only
    assert only["TlsCertificateName"] is None


def test_what_is_in_use_is_not_removed(
    organisation: ExchangeOrganisation, shell: Shell, authority: TestAuthority
) -> None:
    state = organisation["EX01"].state
    setup = state.internal_transport
    import_pfx(shell, issued := authority.issue("mail.contoso.test"))

    def refusal(thumbprint: str) -> str:
        outcome = shell.run("Remove-ExchangeCertificate", Thumbprint=thumbprint, Confirm=False)
        assert thumbprint in state.certificates
        return str(outcome.errors[0])

    assert "The internal transport certificate cannot be removed" in refusal(setup)
    assert "Auth configuration" in refusal(organisation.state.auth_config.current)
    connector = SendConnector(
        "To partners", tls_certificate_name=state.certificate(issued.thumbprint).tls_certificate_name
    )
    organisation.state.send_connectors.append(connector)
    assert "tagged with following Send Connectors : To partners" in refusal(issued.thumbprint)
    organisation.state.send_connectors.clear()
    state.receive_connectors[0].tls_certificate_name = connector.tls_certificate_name
    assert "tagged with following Receive Connectors : Default Frontend EX01" in refusal(issued.thumbprint)
    state.receive_connectors[0].tls_certificate_name = None
    organisation.state.federation_trusts.append(FederationTrust(issued.thumbprint))
    assert "federation" in refusal(issued.thumbprint)
    organisation.state.federation_trusts.clear()
    shell.run("Enable-ExchangeCertificate", Thumbprint=issued.thumbprint, Services="IIS")
    assert "IIS://EX01/W3SVC/1" in refusal(issued.thumbprint)
    shell.run("Enable-ExchangeCertificate", Thumbprint=setup, Services="IIS")
    assert not shell.run("Remove-ExchangeCertificate", Thumbprint=issued.thumbprint, Confirm=False).errors
    assert issued.thumbprint not in state.certificates


def test_remove_asks_unless_told_not_to(
    organisation: ExchangeOrganisation, shell: Shell, authority: TestAuthority
) -> None:
    import_pfx(shell, issued := authority.issue("mail.contoso.test"))
    asked = shell.run("Remove-ExchangeCertificate", Thumbprint=issued.thumbprint)
    assert "does not support user interaction" in str(asked.errors[0])
    tried = shell.run("Remove-ExchangeCertificate", Thumbprint=issued.thumbprint, Confirm=False, WhatIf=True)
    assert not tried.errors
    assert issued.thumbprint in organisation["EX01"].state.certificates


def test_a_cmdlet_reaches_the_other_server(endpoint: Issued, root: Path, authority: TestAuthority) -> None:
    issued = authority.issue("mail.contoso.test")
    with organisation_of(endpoint, EX01, EX02) as organisation:
        with Shell(organisation["EX01"].powershell_url, root) as shell:
            import_pfx(shell, issued, Server="EX02")
            lost = shell.run("Get-ExchangeCertificate", Server="EX99")
            identity = f"EX02\\{issued.thumbprint}"
            assert shell.run("Get-ExchangeCertificate", Identity=identity).only["RawData"] == issued.der
        assert issued.thumbprint in organisation["EX02"].state.certificates
        assert issued.thumbprint not in organisation["EX01"].state.certificates
        assert "couldn't be found" in str(lost.errors[0])
        assert organisation.mutations[0].server == "EX02"


def test_get_certificate_by_thumbprint_name_and_identity(
    organisation: ExchangeOrganisation, shell: Shell, authority: TestAuthority
) -> None:
    import_pfx(shell, issued := authority.issue("mail.contoso.test"))
    by_name = shell.run("Get-ExchangeCertificate", DomainName=["mail.contoso.test"])
    assert by_name.only["RawData"] == issued.der
    unknown = shell.run("Get-ExchangeCertificate", Thumbprint="00" * 20)
    assert "was not found" in str(unknown.errors[0])
    # An identity that does not exist gives all of them.
    assert len(shell.run("Get-ExchangeCertificate", Identity="00" * 20).objects) == 4


def test_status_can_be_arranged(organisation: ExchangeOrganisation, shell: Shell, authority: TestAuthority) -> None:
    import_pfx(shell, issued := authority.issue("mail.contoso.test"))
    organisation["EX01"].state.certificate(issued.thumbprint).status = Status.REVOCATION_CHECK_FAILURE
    chosen = ("Select-Object", {"Property": "Status"})
    selected = shell.run("Get-ExchangeCertificate", chosen, Thumbprint=issued.thumbprint).only
    assert selected["Status"].to_string == "RevocationCheckFailure"


def test_there_is_no_language(shell: Shell) -> None:
    script = PowerShell(shell.pool)
    script.add_script("$x = 1; Get-ExchangeServer | Where-Object { $true }")
    assert script.invoke() == []
    assert script.had_errors
    assert script.streams.error[0].fq_error == "ScriptsNotAllowed"
    assert "no-language mode" in str(script.streams.error[0])
    assert script.streams.error[0].category == 17
    script.close()


@pytest.mark.parametrize("name", ["Where-Object", "ConvertTo-SecureString", "Set-AuthConfig", "Get-Nothing"])
def test_unknown_commands(shell: Shell, name: str) -> None:
    outcome = shell.run(name)
    assert not outcome.completed
    assert outcome.errors[0].fq_error == "CommandNotFoundException"
    assert f"The term '{name}' is not recognized" in str(outcome.errors[0])


@pytest.mark.parametrize(
    ("cmdlet", "parameters", "identifier"),
    [
        ("Import-ExchangeCertificate", {"FileName": "\\\\host\\share\\x.pfx"}, "NamedParameterNotFound"),
        ("Import-ExchangeCertificate", {"Password": "plain"}, "ParameterArgumentTransformationError"),
        ("Import-ExchangeCertificate", {"FileData": "text"}, "ParameterArgumentTransformationError"),
        ("Import-ExchangeCertificate", {"PrivateKeyExportable": "no"}, "ParameterArgumentTransformationError"),
        ("Import-ExchangeCertificate", {}, "MissingMandatoryParameter"),
        ("Enable-ExchangeCertificate", {"Services": "WWW"}, "ParameterArgumentTransformationError"),
        ("Get-ExchangeServer", {"Thumbprint": "x"}, "NamedParameterNotFound"),
    ],
)
def test_parameters_are_checked(
    organisation: ExchangeOrganisation, shell: Shell, cmdlet: str, parameters: dict[str, Any], identifier: str
) -> None:
    outcome = shell.run(cmdlet, **parameters)
    assert not outcome.completed
    assert outcome.errors[0].fq_error.startswith(identifier)
    assert not organisation.calls


def test_roles_hide_cmdlets_and_parameters(endpoint: Issued, root: Path) -> None:
    hidden = {"hidden_cmdlets": ["Set-PopSettings"], "hidden_parameters": ["DoNotRequireSsl"]}
    with (
        organisation_of(endpoint, EX01, **hidden) as organisation,
        Shell(organisation["EX01"].powershell_url, root) as shell,
    ):
        assert not shell.run("Set-PopSettings", X509CertificateName="x").completed
        found = shell.run("Get-Command", Name=["*-PopSettings", "Enable-ExchangeCertificate", "Set-ImapSettings"])
        assert [c["Name"] for c in found.objects] == [
            "Get-PopSettings",
            "Enable-ExchangeCertificate",
            "Set-ImapSettings",
        ]
        assert "Force" in found.objects[1]["Parameters"]
        assert "DoNotRequireSsl" not in found.objects[1]["Parameters"]
        assert shell.run("Get-Command", Name="Set-PopSettings").errors


def test_a_wrong_password_is_refused(organisation: ExchangeOrganisation, root: Path) -> None:
    url = organisation["EX01"].powershell_url
    with pytest.raises(AuthenticationError), Shell(url, root, password="wrong"):
        pass
    refused = requests.post(url, data=b"", verify=str(root), timeout=10)
    assert refused.status_code == 401
    assert refused.headers["WWW-Authenticate"].startswith("Basic realm=")


def test_a_resource_that_is_not_there(organisation: ExchangeOrganisation, root: Path) -> None:
    # What reaching WinRM's own endpoint instead of Exchange's looks like.
    with (
        pytest.raises(WSManFaultError) as fault,
        Shell(organisation["EX01"].winrm_url, root, configuration="Microsoft.Exchange"),
    ):
        pass
    assert fault.value.code == 2150858811


def test_shells_are_limited(endpoint: Issued, root: Path) -> None:
    with organisation_of(endpoint, EX01, shell_quota=1) as organisation:
        url = organisation["EX01"].powershell_url
        with Shell(url, root):
            with pytest.raises(WSManFaultError) as fault, Shell(url, root):
                pass
            assert "exceeded the maximum number of connections" in str(fault.value.provider_fault)
        with Shell(url, root) as again:
            assert again.run("Get-ExchangeServer").objects


def test_an_idle_shell_is_lost(endpoint: Issued, root: Path) -> None:
    with organisation_of(endpoint, EX01, shell_idle_timeout=0.0) as organisation:
        shell = Shell(organisation["EX01"].powershell_url, root)
        with pytest.raises(WSManFaultError) as fault, shell:
            pass
        assert fault.value.code == 2150858843


def test_two_shells_at_once(organisation: ExchangeOrganisation, root: Path) -> None:
    url = organisation["EX01"].powershell_url
    with Shell(url, root) as first, Shell(url, root) as second:
        assert first.run("Get-ExchangeServer").objects == second.run("Get-ExchangeServer").objects


def test_the_host_restarts_services(organisation: ExchangeOrganisation, root: Path) -> None:
    server = organisation["EX01"]
    server.state.stop_service("MSExchangePOP3")
    with Shell(server.winrm_url, root, configuration="Microsoft.PowerShell") as shell:
        names = [s["Name"] for s in shell.run("Get-Service", Name="MSExchange*").objects]
        assert names == [
            "MSExchangeTransport",
            "MSExchangeFrontEndTransport",
            "MSExchangePOP3",
            "MSExchangePOP3BE",
            "MSExchangeIMAP4",
            "MSExchangeIMAP4BE",
            "MSExchangeServiceHost",
        ]
        assert shell.run("Get-Service", Name="MSExchangePOP3").only["Status"].to_string == "Stopped"
        restarted = shell.run("Restart-Service", Name=["MSExchangePOP3", "MSExchangePOP3BE"], PassThru=True)
        assert [s["Status"].to_string for s in restarted.objects] == ["Running", "Running"]
        unknown = shell.run("Restart-Service", Name="MSExchangeUM")
        assert unknown.errors[0].fq_error.startswith("NoServiceFoundForGivenName")
        assert not shell.run("Get-ExchangeServer").completed
    assert [m.cmdlet for m in organisation.mutations] == ["Restart-Service"]
