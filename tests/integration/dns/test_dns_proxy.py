"""Every DNS provider that asks a service over HTTPS asks it through the proxy, and nowhere else."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest

from certwright.domain.errors import CertwrightError
from certwright.domain.proxy import Proxy
from certwright.engine import catalog
from certwright.rest import Api
from certwright.sdk.dns import DnsProvider, TxtRecord
from peers.dns_peer import ZONE, peers
from peers.tunnel import Tunnel, tunnelling
from world.dns_accounts import provider

ELSEWHERE = "https://dns.contoso.test"
OWN: Mapping[str, Mapping[str, Any]] = {
    "acme_dns": {"server": ELSEWHERE},
    "lexicon:cloudflare": {"auth_token": "x" * 40, "zone": ZONE},
    "powerdns": {"url": ELSEWHERE, "api_key": "x" * 20},
}
NEEDS_NONE = {"lexicon", "manual", "rfc2136", "script", "windows_dns"}
"""They speak no HTTPS, or have members."""
ASKS = sorted({*catalog.names("dns"), *OWN} - NEEDS_NONE)


@contextmanager
def params(name: str) -> Iterator[Mapping[str, Any]]:
    if name in OWN:
        yield OWN[name]
        return
    with peers()[name]() as peer:
        yield peer.params


def write(made: DnsProvider[Any]) -> None:
    name = f"_acme-challenge.{ZONE}"
    made.delegate(name)
    made.add(ZONE, [TxtRecord(name, "a" * 43)])


@pytest.fixture
def proxy() -> Iterator[Tunnel]:
    with tunnelling({}, "svc-certs:c4nary of the proxy") as made:
        yield made


@pytest.mark.parametrize("name", ASKS)
def test_it_asks_through_the_proxy(name: str, proxy: Tunnel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Api, "pauses", ())
    way = Proxy("127.0.0.1", proxy.port, "svc-certs", "c4nary of the proxy")
    if name.startswith("lexicon"):
        monkeypatch.setattr(catalog.plugin("dns", name).cls.__mro__[1], "pauses", ())
    with params(name) as given:
        made = provider(name, given, proxy=way)
        with pytest.raises(CertwrightError) as caught:
            write(made)
    told = "\n".join(caught.value.explain())
    assert proxy.asked
    assert all(head.startswith("CONNECT ") and ":443 " in head for head in proxy.asked)
    assert "c4nary" not in told
    assert "dmM" not in told
    if not name.startswith("lexicon"):
        assert f"the proxy http://127.0.0.1:{proxy.port} did not lead there" in told
        assert "CERTWRIGHT_PROXY" in told
