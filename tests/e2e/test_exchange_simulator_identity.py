"""Signing in to the simulator by NTLM, held against a client that others wrote: pypsrp with pyspnego."""

import base64
import http.client
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from pypsrp.exceptions import AuthenticationError, WinRMTransportError, WSManFaultError

from certwright.exchange_simulator import Access, ExchangeOrganisation, HttpStatus, Scheme, ServerSpec, WsmanFault
from peers.exchange_identity import call, curl, opened
from peers.exchange_shell import Issued, TestAuthority

pytestmark = pytest.mark.e2e

UPN, DOWN_LEVEL, PASSWORD = "admin@contoso.test", "CONTOSO\\admin", "a: password, with ü"
RIGHT: dict[str, Any] = {"username": UPN, "password": PASSWORD}


def organisation_with(endpoint: Issued, *, password: str = PASSWORD, **access: Any) -> ExchangeOrganisation:
    return ExchangeOrganisation(
        [ServerSpec(name="EX01", fqdn="ex01.contoso.test", access=Access(**access))],
        tls_chain=endpoint.chain_pem,
        tls_key=endpoint.key_pem,
        username=UPN,
        password=password,
    )


@pytest.fixture
def organisation(endpoint: Issued) -> Iterator[ExchangeOrganisation]:
    with organisation_with(endpoint) as organisation:
        yield organisation


@pytest.mark.parametrize("username", [UPN, DOWN_LEVEL, UPN.upper()])
@pytest.mark.parametrize("auth", ["ntlm", "negotiate"])
def test_ntlm_over_http_with_sealed_messages(organisation: ExchangeOrganisation, username: str, auth: str) -> None:
    url = organisation["EX01"].powershell_http_url
    with opened(url, auth, username=username, password=PASSWORD) as pool:
        assert [server["Name"] for server in call(pool, "Get-ExchangeServer")] == ["EX01"]


def test_the_hosts_own_powershell_over_http(organisation: ExchangeOrganisation) -> None:
    url = organisation["EX01"].winrm_http_url
    with opened(url, "negotiate", configuration="Microsoft.PowerShell", **RIGHT) as pool:
        assert call(pool, "Get-Service", Name="MSExchangeTransport")


def test_a_message_of_many_fragments_is_sealed_as_a_whole(
    organisation: ExchangeOrganisation, authority: TestAuthority
) -> None:
    with opened(organisation["EX01"].powershell_http_url, "ntlm", **RIGHT) as pool:
        with pytest.raises(RuntimeError, match="special Rpc error"):
            call(pool, "Import-ExchangeCertificate", FileData=bytes(300_000), Server="EX01")
        assert len(call(pool, "Get-ExchangeCertificate")) == 3
    assert organisation.calls[0].parameters["FileData"] == "(300000 bytes)"


@pytest.mark.parametrize("encryption", ["auto", "always"])
def test_ntlm_inside_tls(organisation: ExchangeOrganisation, root: Path, encryption: str) -> None:
    url = organisation["EX01"].powershell_url
    with opened(url, "ntlm", root=root, encryption=encryption, **RIGHT) as pool:
        assert call(pool, "Get-ExchangeServer")


@pytest.mark.parametrize("wrong", [{"password": "wrong"}, {"username": "CONTOSO\\other"}])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_wrong_password_or_name_is_refused(
    organisation: ExchangeOrganisation, root: Path, wrong: dict[str, str], scheme: str
) -> None:
    server = organisation["EX01"]
    url = server.powershell_http_url if scheme == "http" else server.powershell_url
    with pytest.raises(AuthenticationError), opened(url, "ntlm", root=root, **{**RIGHT, **wrong}):
        pass
    assert not organisation.calls


def test_extended_protection_wants_the_binding(endpoint: Issued, root: Path) -> None:
    with organisation_with(endpoint, channel_binding=True) as organisation:
        url = organisation["EX01"].powershell_url
        with opened(url, "ntlm", root=root, **RIGHT) as pool:
            assert call(pool, "Get-ExchangeServer")
        with (
            pytest.raises(AuthenticationError),
            opened(url, "ntlm", root=root, negotiate_send_cbt=False, **RIGHT),
        ):
            pass


def test_unsealed_messages_are_refused_over_http(organisation: ExchangeOrganisation) -> None:
    url = organisation["EX01"].powershell_http_url
    with pytest.raises(WinRMTransportError) as refused, opened(url, "ntlm", encryption="never", **RIGHT):
        pass
    assert refused.value.code == 500


def test_faults_are_sealed_and_what_others_answer_is_not(organisation: ExchangeOrganisation) -> None:
    server = organisation["EX01"]
    with opened(server.powershell_http_url, "ntlm", **RIGHT) as pool:
        server.faults.inject(WsmanFault(1234, "A fault of the test."), "Get-ExchangeServer")
        with pytest.raises(WSManFaultError, match="A fault of the test") as fault:
            call(pool, "Get-ExchangeServer")
        assert fault.value.code == 1234
        server.faults.inject(HttpStatus(503), "Get-ExchangeServer")
        with pytest.raises(WSManFaultError, match="No details"):  # pypsrp finds a page where a fault should be
            call(pool, "Get-ExchangeServer")
        assert call(pool, "Get-ExchangeServer")


def test_a_message_that_was_changed_on_its_way_is_not_read(
    organisation: ExchangeOrganisation, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(organisation["EX01"].powershell_http_url, "ntlm", **RIGHT) as pool:
        sealing = pool.connection.transport.encryption
        assert sealing is not None
        wrap = sealing.wrap_message

        def tampered(message: bytes) -> tuple[str, bytes]:
            kind, sealed = wrap(message)
            middle = len(sealed) - 60
            return kind, sealed[:middle] + bytes([sealed[middle] ^ 1]) + sealed[middle + 1 :]

        with monkeypatch.context() as patch:
            patch.setattr(sealing, "wrap_message", tampered)
            with pytest.raises(WinRMTransportError, match="400"):
                call(pool, "Get-ExchangeServer")
    assert not organisation.calls


def challenges(url: str, root: Path, **headers: str) -> list[str]:
    """The WWW-Authenticate headers of the 401 that `url` answers."""
    answer = requests.post(url, data=b"", headers=headers, verify=str(root), timeout=10)
    assert answer.status_code == 401
    return list(answer.raw.headers.getlist("WWW-Authenticate"))


def test_each_port_offers_what_it_accepts(endpoint: Issued, organisation: ExchangeOrganisation, root: Path) -> None:
    server = organisation["EX01"]
    assert challenges(server.powershell_url, root) == ['Basic realm="ex01.contoso.test"', "Negotiate"]
    assert challenges(server.powershell_http_url, root) == ["Negotiate"]
    with organisation_with(endpoint, schemes=(Scheme.KERBEROS,)) as kerberos:
        url = kerberos["EX01"].powershell_http_url
        assert challenges(url, root) == ["Kerberos"]
        with pytest.raises(ValueError, match="incompatible"), opened(url, "ntlm", **RIGHT):
            pass
    with organisation_with(endpoint, schemes=(Scheme.NEGOTIATE, Scheme.NTLM)) as windows:
        url = windows["EX01"].powershell_http_url
        assert challenges(url, root) == ["Negotiate", "NTLM"]
        with opened(url, "ntlm", **RIGHT) as pool:
            assert call(pool, "Get-ExchangeServer")


def test_basic_is_never_accepted_outside_tls(organisation: ExchangeOrganisation, root: Path) -> None:
    right = base64.b64encode(f"{UPN}:{PASSWORD}".encode()).decode()
    url = organisation["EX01"].powershell_http_url
    assert challenges(url, root, Authorization=f"Basic {right}") == ["Negotiate"]


def test_nonsense_is_answered_with_a_new_challenge(organisation: ExchangeOrganisation, root: Path) -> None:
    url = organisation["EX01"].powershell_http_url
    for scheme in ("Negotiate", "negotiate", "NTLM", "Kerberos", "Digest"):
        for token in ("", "!", "TlRMTVNTUAA=", "TlRMTVNTUAADAAAA", "YIICAw==", "oYI=", "AAAA" * 500):
            assert challenges(url, root, Authorization=f"{scheme} {token}") == ["Negotiate"], (scheme, token)


@pytest.mark.parametrize("username", [UPN, DOWN_LEVEL])
def test_curls_own_ntlm(endpoint: Issued, username: str) -> None:
    ascii_only = "a: password"  # curl takes the bytes of other characters for characters
    with organisation_with(endpoint, password=ascii_only, schemes=(Scheme.NTLM,)) as organisation:
        url = organisation["EX01"].powershell_http_url
        assert curl(url, "--ntlm", f"{username}:{ascii_only}") == 200
        assert curl(url, "--ntlm", f"{username}:wrong") == 401


def test_who_is_signed_in_is_known_of_the_connection_alone(organisation: ExchangeOrganisation) -> None:
    parts = urlsplit(organisation["EX01"].powershell_http_url)
    with opened(parts.geturl(), "ntlm", **RIGHT) as pool:
        call(pool, "Get-ExchangeServer")
        stranger = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=10)
        stranger.request("POST", parts.path, body=b"<x/>", headers={"Content-Type": "application/soap+xml"})
        answer = stranger.getresponse()
        assert (answer.status, answer.headers.get_all("WWW-Authenticate")) == (401, ["Negotiate"])
        stranger.close()
