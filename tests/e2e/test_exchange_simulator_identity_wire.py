"""What lies between a client and its session: front ends, quotas, proxies, certificates; held against pypsrp."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
from pypsrp.exceptions import WSManFaultError
from pypsrp.powershell import PowerShell

from certwright.exchange_simulator import (
    Delay,
    ExchangeOrganisation,
    ExchangeServer,
    Intercepted,
    ServerSpec,
    WireForm,
)
from peers.exchange_identity import call, opened
from peers.exchange_shell import MANAGEMENT_SHELL, Issued, Shell, TestAuthority
from peers.proxy import refusing_proxy

pytestmark = pytest.mark.e2e

SHELL_LOST, USER_QUOTA = 2150858843, 2150859175
RIGHT: dict[str, Any] = {"username": "admin", "password": "the password"}
EX01 = ServerSpec(name="EX01", fqdn="ex01.contoso.test")
EX02 = ServerSpec(name="EX02", fqdn="ex02.contoso.test")


def organisation_of(endpoint: Issued, *servers: ServerSpec) -> ExchangeOrganisation:
    return ExchangeOrganisation(servers, tls_chain=endpoint.chain_pem, tls_key=endpoint.key_pem, **RIGHT)


@pytest.fixture
def organisation(endpoint: Issued) -> Iterator[ExchangeOrganisation]:
    with organisation_of(endpoint, EX01, EX02) as organisation:
        yield organisation


@pytest.fixture
def server(organisation: ExchangeOrganisation) -> ExchangeServer:
    return organisation["EX01"]


def restart_web_server(server: ExchangeServer, root: Path) -> None:
    with Shell(server.winrm_url, root, configuration="Microsoft.PowerShell") as host:
        assert not host.run("Restart-Service", Name="W3SVC", Force=True).errors
        # WinRM is not in the web server: this session goes on.
        assert [s["Name"] for s in host.run("Get-Service", Name="W3SVC").objects] == ["W3SVC"]


@contextmanager
def losing(server: ExchangeServer, root: Path) -> Iterator[Shell]:
    """A session that nobody closes, since it will not be there."""
    shell = Shell(server.powershell_url, root)
    with closing(shell.wsman):
        yield shell.__enter__()


def certificates(shell: Shell, **parameters: Any) -> set[str]:
    return {str(c["RawData"]) for c in shell.run("Get-ExchangeCertificate", **parameters).objects}


def test_the_front_end_opens_the_session_on_another_server(organisation: ExchangeOrganisation, root: Path) -> None:
    first, second = organisation["EX01"], organisation["EX02"]
    with Shell(second.powershell_url, root) as shell:
        of_second = certificates(shell)
    first.proxy_sessions_to(second)
    with Shell(first.powershell_url, root) as shell:
        assert certificates(shell) == of_second
        assert certificates(shell, Server="EX01") != of_second
        refused = shell.run("Get-ExchangeCertificate", Server="EX99")
    assert refused.errors[0].fq_error.startswith("[Server=EX02,")


def test_a_session_dies_with_the_web_server_that_it_is_on(organisation: ExchangeOrganisation, root: Path) -> None:
    first, second = organisation["EX01"], organisation["EX02"]
    with Shell(first.powershell_url, root) as own:
        first.proxy_sessions_to(second)
        with losing(first, root) as lost:
            assert lost.run("Get-ExchangeServer").objects
            restart_web_server(second, root)
            with pytest.raises(WSManFaultError) as fault:
                lost.run("Get-ExchangeServer")
        assert fault.value.code == SHELL_LOST
        assert "[ClientAccessServer=EX01,BackEndServer=ex02.contoso.test,RequestId=" in str(fault.value)
        assert "[FailureCategory=WSMan-InvalidShellID] The request for the Windows Remote Shell" in str(fault.value)
        assert own.run("Get-ExchangeServer").objects
    with Shell(first.powershell_url, root) as again:
        assert again.run("Get-ExchangeServer").objects


def test_a_session_dies_with_its_own_web_server(server: ExchangeServer, root: Path) -> None:
    with losing(server, root) as shell:
        restart_web_server(server, root)
        with pytest.raises(WSManFaultError) as fault:
            shell.run("Get-ExchangeServer")
    assert fault.value.code == SHELL_LOST


def test_a_command_that_runs_while_the_web_server_restarts_is_cut_off(
    organisation: ExchangeOrganisation, root: Path
) -> None:
    first, second = organisation["EX01"], organisation["EX02"]
    first.proxy_sessions_to(second)
    second.faults.inject(Delay(60), "Get-ExchangeServer")
    with losing(first, root) as shell:
        running = PowerShell(shell.pool)
        running.add_cmdlet("Get-ExchangeServer")
        running.begin_invoke()
        restart_web_server(second, root)
        with pytest.raises(WSManFaultError) as fault:
            running.end_invoke()
    assert fault.value.code == SHELL_LOST


def test_a_request_beyond_the_quota_is_refused(organisation: ExchangeOrganisation, root: Path) -> None:
    server = organisation["EX01"]
    with Shell(server.powershell_url, root) as shell:
        server.wire.throttle(requests=2, nth=2)
        assert shell.run("Get-ExchangeServer").objects
        for _ in range(2):
            with pytest.raises(WSManFaultError, match="The user load quota of 1000 requests per 2 seconds") as fault:
                shell.run("Get-ExchangeServer")
            assert fault.value.code == USER_QUOTA
        assert len(organisation.calls) == 1
        assert shell.run("Get-ExchangeServer").objects


def test_a_session_beyond_the_quota_is_refused(server: ExchangeServer, root: Path) -> None:
    server.wire.throttle(action="Create")
    with pytest.raises(WSManFaultError) as fault, Shell(server.powershell_url, root):
        pass
    assert fault.value.code == USER_QUOTA
    with Shell(server.powershell_url, root) as shell:
        assert shell.run("Get-ExchangeServer").objects


def test_an_answer_beyond_the_quota_leaves_the_outcome_unknown(organisation: ExchangeOrganisation, root: Path) -> None:
    server = organisation["EX01"]
    with losing(server, root) as shell:
        server.wire.throttle(action="Receive")
        with pytest.raises(WSManFaultError):
            shell.run("Set-PopSettings", X509CertificateName="mail.contoso.test")
    with Shell(server.powershell_url, root) as again:
        assert again.run("Get-PopSettings").only["X509CertificateName"] == "mail.contoso.test"


def test_something_else_answers_instead(server: ExchangeServer, root: Path) -> None:
    url = server.powershell_url
    for answer in (
        Intercepted(407, {"Proxy-Authenticate": 'Basic realm="proxy"'}),
        Intercepted(302, {"Location": "https://mail.contoso.test/owa/"}),
        Intercepted(200),
        Intercepted(403, page="<html><body>403.4 - SSL required</body></html>"),
    ):
        server.wire.intercept(answer)
        got = requests.post(url, data=b"", verify=str(root), timeout=10, allow_redirects=False)
        assert (got.status_code, got.text) == (answer.status, answer.page)
        assert answer.headers.items() <= dict(got.headers).items()
        assert got.headers["Content-Type"].startswith("text/html")
    server.wire.clear()
    with Shell(url, root) as shell:
        assert shell.run("Get-ExchangeServer").objects


def test_a_proxy_wants_a_password(server: ExchangeServer, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with refusing_proxy() as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.delenv("no_proxy", raising=False)
        with (
            pytest.raises(WSManFaultError, match="No details"),
            opened(server.powershell_http_url, "ntlm", no_proxy=False, **RIGHT),
        ):
            pass
        reached = len(proxy.asked)
        with opened(server.powershell_http_url, "ntlm", **RIGHT) as pool:
            assert call(pool, "Get-ExchangeServer")
        assert len(proxy.asked) == reached > 0


def test_a_certificate_that_no_authority_issued(server: ExchangeServer, tmp_path: Path) -> None:
    with (
        pytest.raises(requests.exceptions.SSLError, match="CERTIFICATE_VERIFY_FAILED"),
        Shell(server.powershell_url, TestAuthority().write_root(tmp_path)),
    ):
        pass


def test_a_certificate_of_another_host(server: ExchangeServer, root: Path) -> None:
    url = server.powershell_url.replace("127.0.0.1", "localhost")
    with pytest.raises(requests.exceptions.SSLError, match=r"doesn't match|mismatch"), Shell(url, root):
        pass


@pytest.mark.parametrize(
    ("form", "unasked", "plain", "full"),
    [
        (WireForm.SIGNED, False, False, True),
        (WireForm.UNSIGNED, True, True, True),
        (WireForm.RAW_DATA, False, False, False),
        (WireForm.RAW_DATA, True, False, False),
    ],
)
def test_who_gets_serialization_data(
    endpoint: Issued, root: Path, form: WireForm, unasked: bool, plain: bool, full: bool
) -> None:
    spec = ServerSpec(name="EX01", fqdn="ex01.contoso.test", wire_form=form, serializes_unasked=unasked)
    with organisation_of(endpoint, spec) as organisation:
        for query, expected in (("", plain), (MANAGEMENT_SHELL, full)):
            with Shell(organisation["EX01"].powershell_url, root, query=query) as shell:
                for certificate in shell.run("Get-ExchangeCertificate").objects:
                    assert ("SerializationData" in certificate) is expected
