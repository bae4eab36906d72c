"""Signing in to a PowerShell endpoint by NTLM, and what stands in between: real peers, real sockets."""

import dataclasses
import socket
import threading
from base64 import b64encode
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import chain, repeat

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from spnego._ntlm_raw.messages import Challenge, TargetInfo
from spnego._spnego import NegState, NegTokenResp

from certwright.domain.errors import CertwrightError, Unreachable
from certwright.exchange_simulator import Access, Drop, Scheme
from certwright.exchange_simulator.certificates import self_signed
from certwright.remoting.endpoint import Identity
from certwright.remoting.failures import OutcomeUnknown, ShellLost
from certwright.remoting.psrp import Command, PowerShell
from peers.powershell import (
    BASIC,
    NTLM,
    PASSWORD,
    USERNAME,
    Between,
    ForwardProxy,
    Relay,
    Simulated,
    http_message,
    simulated,
)

pytestmark = pytest.mark.e2e

GET = Command("Get-ExchangeCertificate")
SET = Command("Set-PopSettings", {"X509CertificateName": "mail.contoso.test", "Confirm": False})
NEGOTIATE = dataclasses.replace(NTLM, auth="negotiate")


@pytest.fixture
def one() -> Iterator[Simulated]:
    with simulated() as made:
        yield made


def told(error: CertwrightError) -> str:
    return "\n".join(error.explain())


def refused(shell: PowerShell) -> str:
    """What a person is told when nothing can be read; it never holds the password."""
    with shell, pytest.raises(CertwrightError) as caught:
        shell.read(GET)
    text = told(caught.value)
    assert PASSWORD not in text
    return text


@pytest.mark.parametrize("identity", [NTLM, NEGOTIATE, Identity("ntlm", "CONTOSO\\admin", PASSWORD)], ids=str)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_ntlm_signs_in_with_and_without_tls(one: Simulated, identity: Identity, scheme: str) -> None:
    url = one.server.powershell_http_url if scheme == "http" else one.server.powershell_url
    with one.session(identity, url=url) as shell:
        assert shell.read(GET).objects
        shell.change(SET)
    assert one.mutations == ["Set-PopSettings"]


def test_the_sign_in_is_bound_to_the_channel() -> None:
    with simulated(Access(channel_binding=True)) as one, one.session(NTLM, url=one.server.powershell_url) as shell:
        assert shell.read(GET).objects


def test_a_wrong_password_is_told_and_not_tried_twice(one: Simulated) -> None:
    wrong = Identity("ntlm", USERNAME, "hunter2")
    text = refused(one.session(wrong))
    assert f"refused the sign-in of '{USERNAME}': the user name or the password is wrong" in text
    assert "credential add" in text
    assert "hunter2" not in text


# --- idle connections ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("identity", [NTLM, NEGOTIATE, BASIC], ids=lambda identity: identity.auth)
def test_a_connection_closed_while_idle_is_no_trouble(one: Simulated, identity: Identity) -> None:
    with Relay(one.endpoint(identity).url) as relay, one.session(identity, url=relay.url) as shell:
        assert shell.read(GET).objects
        for name in ("mail.contoso.test", "pop.contoso.test"):
            relay.cut()
            shell.change(Command("Set-PopSettings", {"X509CertificateName": name}))
            relay.cut()
            assert shell.read(GET).objects
    assert one.mutations == ["Set-PopSettings"] * 2


def test_a_session_that_is_gone_is_opened_again_to_read(one: Simulated) -> None:
    with one.session(NTLM) as shell:
        assert shell.read(GET).objects
        one.server.faults.take_down()
        with pytest.raises(Unreachable):
            shell.read(GET)
        one.server.faults.heal()
        assert shell.read(GET).objects


def test_a_server_that_comes_back_is_read_at_once(one: Simulated) -> None:
    with one.session(NTLM) as shell:
        assert shell.read(GET).objects
        one.server.faults.take_down()
        one.server.faults.heal()
        assert shell.read(GET).objects


def test_a_session_that_breaks_in_another_way_is_opened_again_to_read(one: Simulated) -> None:
    with ForwardProxy() as gateway, one.session(NTLM, proxy=gateway.url) as shell:
        assert shell.read(GET).objects
        gateway.refusals = iter(["503 Service Unavailable"])
        assert shell.read(GET).objects
        gateway.refusals = iter(["503 Service Unavailable"])
        with pytest.raises(Unreachable, match="HTTP 503"):
            shell.change(SET)
    assert not one.mutations


def test_a_change_whose_answer_is_lost_is_sent_once_over_http_too(one: Simulated) -> None:
    one.server.faults.inject(Drop(committed=True), "Set-PopSettings")
    with one.session(NTLM) as shell:
        with pytest.raises(OutcomeUnknown):
            shell.change(SET)
        assert shell.read(GET).objects
    assert one.mutations == ["Set-PopSettings"]


def test_a_shell_lost_over_http_is_opened_again_for_reads_only() -> None:
    with simulated(shell_idle_timeout=0.3) as one, one.session(NTLM) as shell:
        assert shell.read(GET).objects
        threading.Event().wait(1)
        assert shell.read(GET).objects
        threading.Event().wait(1)
        with pytest.raises(ShellLost):
            shell.change(SET)
        assert not one.mutations


# --- nothing readable on the way -------------------------------------------------------------------------------------


class Listening(Relay):
    """A relay that keeps what passes."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.passed = bytearray()

    def heard(self, data: bytes) -> None:
        self.passed += data


def test_over_http_nothing_can_be_read_on_the_way(one: Simulated) -> None:
    with Listening(one.endpoint(NTLM).url) as relay, one.session(NTLM, url=relay.url) as shell:
        shell.change(SET)
    assert b"HTTP-SPNEGO-session-encrypted" in relay.passed
    for word in (b"Envelope", b"Set-PopSettings", b"mail.contoso.test", PASSWORD.encode()):
        assert word not in relay.passed
        assert word.decode().encode("utf-16-le") not in relay.passed


class Forger(Between):
    """Lets a client sign in with a token of nothing, and answers it readable."""

    def serve(self, client: socket.socket) -> None:
        body = b"<s:Envelope/>"
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/soap+xml\r\nContent-Length: {len(body)}\r\n\r\n"
        client.recv(65536)
        client.sendall(head.encode() + body)


def test_a_readable_answer_over_http_is_not_taken(one: Simulated) -> None:
    with Forger() as forger:
        text = refused(one.session(NTLM, url=f"http://127.0.0.1:{forger.port}/PowerShell/"))
    assert "answered unencrypted" in text


class Undecided(Between):
    """Challenges a client by NTLM, and answers each further step of the sign-in with a wish for another one."""

    challenge = Challenge(flags=0xE2898215, server_challenge=b"12345678", target_info=TargetInfo()).pack()
    again = NegTokenResp(neg_state=NegState.accept_incomplete).pack()

    def serve(self, client: socket.socket) -> None:
        answers = chain([b"", self.challenge], repeat(self.again))
        with client.makefile("rb") as reader:
            while http_message(reader):
                head = f"WWW-Authenticate: Negotiate {b64encode(next(answers)).decode()}\r\nContent-Length: 0"
                client.sendall(f"HTTP/1.1 401 Unauthorized\r\n{head}\r\n\r\n".encode())


def test_a_sign_in_without_end_is_given_up(one: Simulated) -> None:
    with Undecided() as peer:
        text = refused(one.session(NTLM, url=f"http://127.0.0.1:{peer.port}/PowerShell/"))
    assert "a sign-in that the server lets come to no end" in text


# --- ways to sign in that are not offered ----------------------------------------------------------------------------


def test_a_server_that_takes_kerberos_alone() -> None:
    with simulated(Access(schemes=(Scheme.KERBEROS,))) as one:
        text = refused(one.session(NTLM))
        assert "does not take auth=ntlm; it offers Kerberos." in text
        assert "Choose auth=current or kerberos." in text
        assert "it offers Kerberos." in refused(one.session(BASIC))


def test_a_server_that_takes_basic_alone() -> None:
    with simulated(Access(schemes=(Scheme.BASIC,))) as one:
        assert "Choose auth=basic." in refused(one.session(NTLM, url=one.server.powershell_url))


# --- what the answers tell -------------------------------------------------------------------------------------------


def test_the_servers_clock_is_known_after_the_first_answer(one: Simulated) -> None:
    with one.session(NTLM) as shell:
        assert shell.answered is None
        shell.read(GET)
        assert shell.answered is not None
        assert shell.answered.skew is not None
        assert abs(shell.answered.skew) < timedelta(minutes=1)


# --- a proxy in between ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("identity", [NTLM, BASIC], ids=lambda identity: identity.auth)
def test_a_proxy_is_used_if_it_is_given(one: Simulated, identity: Identity) -> None:
    with ForwardProxy() as proxy, one.session(identity, proxy=proxy.url) as shell:
        assert shell.read(GET).objects
    method = "CONNECT" if identity is BASIC else "POST http://127.0.0.1"
    assert all(line.startswith(method) for line in proxy.asked)
    assert proxy.asked


def test_a_proxy_of_the_environment_is_not_used(one: Simulated, monkeypatch: pytest.MonkeyPatch) -> None:
    with ForwardProxy() as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        for identity in (NTLM, BASIC):
            with one.session(identity) as shell:
                assert shell.read(GET).objects
    assert not proxy.asked


@pytest.mark.parametrize(
    ("status", "says"),
    [("407 Proxy Authentication Required", "407 Proxy Authentication Required"), ("403 Forbidden", "403 Forbidden")],
)
def test_a_proxy_that_refuses_the_tunnel(one: Simulated, status: str, says: str) -> None:
    with ForwardProxy(repeat(status)) as proxy:
        text = refused(one.session(BASIC, proxy=proxy.url))
    assert f"The proxy {proxy.url} refuses the way" in text
    assert says in text


@pytest.mark.parametrize(
    ("status", "says"),
    [
        ("407 Proxy Authentication Required", "asks for a sign-in of its own"),
        ("403 Forbidden", "HTTP 403 (it came through a proxy, Via: 1.1 gateway (squid))"),
        ("502 Bad Gateway", "does not reach the server behind it"),
        ("200 OK", "answered with a web page (it came through a proxy"),
    ],
)
def test_a_proxy_that_nobody_asked_for_answers_instead(one: Simulated, status: str, says: str) -> None:
    with ForwardProxy(repeat(status)) as gateway:
        text = refused(one.session(NTLM, url=f"{gateway.url}/PowerShell/"))
    assert says in text
    assert "A proxy or web gateway in between answers instead of the server" in text


def test_a_proxy_that_is_not_there(one: Simulated) -> None:
    for identity in (NTLM, BASIC):
        text = refused(one.session(identity, proxy="http://127.0.0.1:9"))
        assert "The proxy http://127.0.0.1:9" in text
        assert "leave it out" in text


# --- the wrong scheme, host or certificate ---------------------------------------------------------------------------


def test_https_to_a_port_that_speaks_http(one: Simulated) -> None:
    url = one.server.powershell_http_url.replace("http:", "https:")
    text = refused(one.session(BASIC, url=url))
    assert "speaks no https" in text
    assert "Use http in the address" in text


def test_http_to_a_port_that_speaks_https(one: Simulated) -> None:
    url = one.server.powershell_url.replace("https:", "http:")
    text = refused(one.session(NTLM, url=url))
    assert "write https" in text or "https on 443" in text


def test_a_certificate_of_an_authority_unknown_here(one: Simulated) -> None:
    text = refused(one.session(BASIC, authorities=None))
    assert "is not trusted" in text
    assert "ca_file" in text


def test_a_certificate_that_the_server_made_itself() -> None:
    certificate, key = self_signed("localhost", ("localhost",), now=datetime.now(UTC))
    chain = certificate.public_bytes(Encoding.PEM)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with simulated(tls_chain=chain, tls_key=private) as one:
        url = one.server.powershell_url.replace("127.0.0.1", "localhost")
        text = refused(one.session(BASIC, url=url))
        assert "is not trusted: self-signed certificate." in text
        assert "The server made it itself: give this certificate as ca_file" in text
        with one.session(BASIC, url=url, authorities=chain) as shell:
            assert shell.read(GET).objects


def test_a_certificate_for_another_host(one: Simulated) -> None:
    with Relay(one.server.powershell_url, "127.0.0.2") as relay:
        text = refused(one.session(BASIC, url=relay.url))
    assert "is not for this host name" in text
    assert "Use in the address a name that the server's certificate covers" in text


def test_a_name_that_dns_does_not_know(one: Simulated) -> None:
    text = refused(one.session(NTLM, url="http://ex01.contoso.invalid/PowerShell/"))
    assert "ex01.contoso.invalid" in text
    assert "is not known to this machine's DNS" in text


def test_a_path_that_is_not_there(one: Simulated) -> None:
    text = refused(one.session(NTLM, url=one.server.powershell_http_url.replace("PowerShell", "Powershel")))
    assert "no PowerShell virtual directory" in text


def test_windows_remote_management_instead_of_exchange(one: Simulated) -> None:
    text = refused(one.session(NTLM, url=one.server.winrm_http_url))
    assert "reached Windows Remote Management instead of Exchange" in text
