"""What is Windows DNS' own; the rest is in the contract of all providers."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from certwright.domain.errors import ConfigurationError, SolverError
from certwright.engine import catalog
from certwright.exchange_simulator import Access, Scheme
from certwright.sdk.dns import DnsProvider, TxtRecord
from certwright.sdk.params import read_params
from peers import dns_windows_dns
from peers.dns_peer import ZONE, Fault
from peers.dns_windows_dns import WindowsDnsServer

Make = Callable[..., DnsProvider[Any]]
NAME = f"_acme-challenge.www.{ZONE}"
MINE = TxtRecord(NAME, "mine")
URL = "https://dc01.contoso.com:5986/wsman"


@pytest.fixture(scope="module")
def server() -> Iterator[WindowsDnsServer]:
    with dns_windows_dns.serve(Access(schemes=(Scheme.BASIC, Scheme.NEGOTIATE))) as server:
        yield server
        assert server.complaints == []


@pytest.fixture
def peer(server: WindowsDnsServer) -> Iterator[WindowsDnsServer]:
    before = server.everything()
    server.calls.clear()
    yield server
    assert server.everything() == before


def test_over_http_every_message_is_encrypted_by_ntlm(peer: WindowsDnsServer, make: Make) -> None:
    provider = make("windows_dns", peer, url=peer.url_http, auth="ntlm", ca_file=None)
    provider.add(ZONE, [MINE])
    assert peer.read(NAME) == ["mine"]
    provider.remove(ZONE, [MINE])


def test_zones_that_nothing_can_be_written_to_are_not_shown(peer: WindowsDnsServer, make: Make) -> None:
    told = make("windows_dns", peer).check()
    assert "2 zones" in told
    for absent in ("TrustAnchors", "in-addr.arpa", "adatum.example"):
        assert absent.lower() not in told.lower()


def test_a_secondary_zone_is_told_as_unknown(peer: WindowsDnsServer, make: Make) -> None:
    with pytest.raises(SolverError) as caught:
        make("windows_dns", peer).add("adatum.example", [TxtRecord("_acme-challenge.adatum.example", "x")])
    assert "adatum.example" in caught.value.message
    assert ZONE in caught.value.message


def test_only_what_is_needed_is_sent(peer: WindowsDnsServer, make: Make) -> None:
    provider = make("windows_dns", peer)
    provider.add(ZONE, [MINE, TxtRecord(NAME, "other")])
    provider.add(ZONE, [MINE])
    provider.remove(ZONE, [TxtRecord(NAME, "a third")])
    provider.remove(ZONE, [MINE, TxtRecord(NAME, "other")])
    changes = [call.cmdlet for call in peer.calls if not call.cmdlet.startswith(("Get-", "Select-"))]
    assert changes == ["Add-DnsServerResourceRecord"] * 2 + ["Remove-DnsServerResourceRecord"] * 2


@pytest.mark.parametrize("act", ["add", "remove"])
def test_a_missing_right_is_told_with_the_group_that_has_it(peer: WindowsDnsServer, make: Make, act: str) -> None:
    peer.fail(Fault.FORBIDDEN, 100)
    try:
        with pytest.raises(SolverError) as caught:
            getattr(make("windows_dns", peer), act)(ZONE, [MINE])
    finally:
        peer.fail(Fault.FORBIDDEN, 0, after=10_000)
    assert "DnsAdmins" in caught.value.hint


def test_a_server_without_the_module_is_told(make: Make) -> None:
    with dns_windows_dns.serve(has_module=False) as bare, pytest.raises(SolverError) as caught:
        make("windows_dns", bare).check()
    assert "Install-WindowsFeature" in caught.value.hint


@pytest.mark.parametrize(
    ("values", "wrong"),
    [
        ({"url": "dc01.contoso.com", "auth": "current"}, "is no address"),
        ({"url": "https:// /wsman", "auth": "current"}, "is no address"),
        ({"url": URL, "auth": "ntlm"}, "needs a user name and a password"),
        ({"url": URL, "auth": "current", "username": "x", "password": "geheim"}, "counts only with auth"),
        ({"url": URL, "auth": "kerberos", "username": "svc", "password": "geheim"}, "no user name that Kerberos knows"),
        ({"url": "http://dc01/wsman", "auth": "basic", "username": "x", "password": "geheim"}, "is not https"),
        ({"url": "https://x:geheim@dc01/wsman", "auth": "current"}, "must hold no user name and no password"),
        ({"url": URL, "auth": "current", "ca_file": "/no/such/file"}, "there is no file"),
        ({"url": URL, "auth": "digest"}, "auth"),
    ],
)
def test_what_cannot_work_is_refused_at_once(values: dict[str, str], wrong: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read_params(catalog.plugin("dns", "windows_dns").params, values, "the provider")
    told = "\n".join(caught.value.explain())
    assert wrong in told
    assert "geheim" not in told
