"""The whole job through a company's proxy: Debian's Squid, which alone knows where Pebble is."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from peers.pebble import NAME, Pebble, pebble
from peers.ports import free_port
from peers.squid import PASSWORD, USER, Squid, squid
from world.processes import until
from world.site import Site

pytestmark = pytest.mark.e2e


@dataclass(frozen=True, slots=True)
class ProxiedSite(Site):
    """One whose commands have variables of their own."""

    variables: Mapping[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> Mapping[str, str]:
        """With what says the proxy."""
        nothing = dict.fromkeys(("https_proxy", "all_proxy", "no_proxy"), "")
        return {**Site.environment.__get__(self), **nothing, **self.variables}


@dataclass(frozen=True)
class Authority:
    """Pebble, and where it validates."""

    ca: Pebble
    http_port: int

    def issuer(self, *options: str) -> list[str]:
        directory = self.ca.directory_url.replace("127.0.0.1", NAME)
        known = ["--directory", directory, "--email", "postmaster@contoso.com", "--ca-file", str(self.ca.ca_file)]
        return ["issuer", "add", "acme", "pebble", *known, "--agree-tos", *options]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Authority]:
    port = free_port()
    with pebble(tmp_path_factory.mktemp("pebble"), http_port=port) as ca:
        yield Authority(ca, port)


@pytest.fixture
def proxy() -> Iterator[Squid]:
    with squid({NAME: "127.0.0.1"}) as made:
        yield made


def store_credential(site: Site, password: str = PASSWORD) -> None:
    command = ["credential", "add", "proxy", "corporate", "--username", USER, "--password-file", "-"]
    site.cli(*command, given=password, code=0)


def test_a_certificate_is_requested_through_the_proxy_of_the_installation(
    tmp_path: Path, authority: Authority, proxy: Squid
) -> None:
    house = {"CERTWRIGHT_PROXY": proxy.address, "CERTWRIGHT_PROXY_CREDENTIAL": "corporate"}
    site = ProxiedSite(tmp_path, variables=house)
    site.cli("init", code=0)
    store_credential(site)
    site.cli(*authority.issuer(), code=0)
    at = f"127.0.0.1:{authority.http_port}"
    proof = ["--http-address", at, "--http-check-via", at]
    site.cli("certificate", "new", "mail.contoso.com", "--issuer", "pebble", "--key", "ecdsa-p256", *proof, code=0)
    issued = json.loads(site.cli("certificate", "request", "mail.contoso.com", "--json", code=0).out)["issued"]
    assert "BEGIN CERTIFICATE" in issued["chain_pem"]
    until(lambda: bool(proxy.tunnels))
    assert {tunnel.rpartition(":")[0] for tunnel in proxy.tunnels} == {NAME}
    for log in (tmp_path / "data" / "logs").iterdir():
        assert PASSWORD not in log.read_text()


def test_an_issuer_has_a_proxy_of_its_own_and_shows_its_password_nowhere(
    tmp_path: Path, authority: Authority, proxy: Squid
) -> None:
    site = ProxiedSite(tmp_path, variables={"CERTWRIGHT_PROXY": "none"})
    site.cli("init", code=0)
    store_credential(site)
    own = ["--proxy", proxy.address, "--proxy-credential", "corporate"]
    added = site.cli(*authority.issuer(*own), "--json", code=0)
    assert json.loads(added.out)["params"]["proxy_credential"] == "corporate"
    listed = site.cli("credential", "list", "--json", code=0)
    assert json.loads(listed.out)[0]["used_by"] == ["the issuer 'pebble'"]
    assert "is used by the issuer 'pebble'" in site.cli("credential", "remove", "corporate", code=2).err
    assert PASSWORD not in added.told + listed.told


def test_an_issuer_s_own_proxy_is_changed_if_it_leads_to_the_authority(tmp_path: Path, authority: Authority) -> None:
    site = ProxiedSite(tmp_path, variables={"CERTWRIGHT_PROXY": "none"})
    site.cli("init", code=0)
    store_credential(site)
    with squid({NAME: "127.0.0.1"}) as gone:
        site.cli(*authority.issuer("--proxy", gone.address, "--proxy-credential", "corporate"), code=0)
    (before,) = json.loads(site.cli("issuer", "list", "--json", code=0).out)
    change = ("issuer", "change", "acme", "pebble")
    site.cli(*change, "--proxy", "none", "--unset", "proxy-credential", code=1)
    assert "counts only with proxy" in site.cli(*change, "--unset", "proxy", code=2).err
    assert "No such option" in site.cli(*change, "--email", "pki@contoso.com", code=2).err
    assert json.loads(site.cli("issuer", "list", "--json", code=0).out) == [before]
    with squid({NAME: "127.0.0.1"}) as other:
        site.cli(*change, "--proxy", other.address, code=0)
    (changed,) = json.loads(site.cli("issuer", "list", "--json", code=0).out)
    assert changed == {**before, "params": {**before["params"], "proxy": other.address}}


def test_the_machine_s_own_proxy_is_taken_unless_something_else_is_said(
    tmp_path: Path, authority: Authority, proxy: Squid
) -> None:
    with_password = proxy.address.replace("//", f"//{USER}:{PASSWORD.replace(' ', '%20')}@")
    site = ProxiedSite(tmp_path, variables={"https_proxy": with_password})
    site.cli("init", code=0)
    site.cli(*authority.issuer(), code=0)
    until(lambda: bool(proxy.tunnels))
    before = len(proxy.tunnels)
    for other in ({"no_proxy": ".contoso.test"}, {"CERTWRIGHT_PROXY": "none"}):
        elsewhere = ProxiedSite(tmp_path / "-".join(other), variables={"https_proxy": with_password, **other})
        elsewhere.folder.mkdir()
        elsewhere.cli("init", code=0)
        told = elsewhere.cli(*authority.issuer(), code=1).told
        assert "proxy" not in told.replace("stands between", "")
        assert PASSWORD not in told
    assert len(proxy.tunnels) == before


def test_what_is_wrong_with_the_proxy_is_told_with_the_next_step(
    tmp_path: Path, authority: Authority, proxy: Squid
) -> None:
    site = ProxiedSite(tmp_path, variables={"CERTWRIGHT_PROXY": proxy.address})
    site.cli("init", code=0)
    denied = site.cli(*authority.issuer(), code=1).err
    assert f"the proxy {proxy.address} wants a credential, or another one" in denied
    assert "407" in denied
    assert "certwright credential add proxy NAME" in denied

    store_credential(site, "wrong c4nary")
    wrong = ProxiedSite(tmp_path, variables={**site.variables, "CERTWRIGHT_PROXY_CREDENTIAL": "corporate"})
    told = wrong.cli(*authority.issuer(), code=1)
    assert "wants a credential, or another one" in told.err
    assert "c4nary" not in told.told

    closed = f"http://127.0.0.1:{free_port()}"
    told = ProxiedSite(tmp_path, variables={"CERTWRIGHT_PROXY": closed}).cli(*authority.issuer(), code=1)
    assert f"the proxy {closed} did not lead there" in told.err
    assert "Connection refused" in told.err
    assert "CERTWRIGHT_PROXY says which it is" in told.err

    for way in ("socks5://127.0.0.1", f"http://{USER}:c4nary@127.0.0.1"):
        told = ProxiedSite(tmp_path, variables={"CERTWRIGHT_PROXY": way}).cli("issuer", "list", code=2)
        assert "CERTWRIGHT_PROXY" in told.err or "credential add proxy" in told.err or "system, none" in told.err
        assert "c4nary" not in told.told
