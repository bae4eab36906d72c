"""Which proxy the engine chooses, and with what credential."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trustme

from certwright.domain.errors import ConfigurationError, NotFound
from certwright.domain.managed import Issuer
from certwright.domain.proxy import DIRECT, SYSTEM, ProxyChoice
from certwright.engine.context import Engine
from certwright.engine.credentials import credentials, remove_credential
from certwright.engine.issuers import change_issuer
from certwright.engine.outbound import proxy_for
from certwright.sdk.context import Credential
from certwright.sdk.params import read_params
from certwright.sdk.proxy import ProxiedParams
from certwright.settings import Settings
from certwright.store import open_store
from world import stores

HOUSE = ProxyChoice("http://proxy.contoso.com:3128", "corporate")


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    for name in ("HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    settings = Settings(tmp_path / "data", key_folder=tmp_path / "keys")
    stores.fresh(settings)
    with open_store(settings) as store:
        with store.write() as unit:
            unit.credentials.add("proxy", Credential("corporate", "svc-certs", "c4nary"))
        yield Engine(store, lambda: datetime.now(UTC), lambda _: None)


def chosen(**values: object) -> ProxiedParams:
    return read_params(ProxiedParams, dict(values), "the channel")


def test_without_a_choice_there_is_none(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.contoso.com:3128")
    assert engine.proxy == DIRECT
    assert proxy_for(engine) is None


def test_the_installation_s_has_its_stored_credential(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "intranet.contoso.com")
    proxy = proxy_for(replace(engine, proxy=HOUSE))
    assert proxy
    assert (proxy.host, proxy.port, proxy.roots) == ("proxy.contoso.com", 3128, None)
    assert (proxy.username, proxy.password) == ("svc-certs", "c4nary")
    assert not proxy.takes("intranet.contoso.com")


def test_the_machine_s_is_what_its_variables_say(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = replace(engine, proxy=ProxyChoice(SYSTEM))
    assert proxy_for(machine) is None
    monkeypatch.setenv("HTTPS_PROXY", "http://u:p%20w@proxy.contoso.com:3128")
    monkeypatch.setenv("NO_PROXY", ".contoso.com,10.0.0.0/8")
    proxy = proxy_for(machine)
    assert proxy
    assert (proxy.address, proxy.username, proxy.password) == ("http://proxy.contoso.com:3128", "u", "p w")
    assert not proxy.takes("ca.contoso.com")
    assert proxy.takes("acme.example.org")


def test_one_of_its_own_comes_before_it(engine: Engine) -> None:
    house = replace(engine, proxy=HOUSE)
    assert proxy_for(house, chosen(proxy="none")) is None
    own = proxy_for(house, chosen(proxy="http://dmz.contoso.com:8080"))
    assert own
    assert (own.address, own.username, own.roots) == ("http://dmz.contoso.com:8080", "", None)
    assert proxy_for(house, chosen()) == proxy_for(house)


def test_a_credential_that_is_not_there_is_told(engine: Engine) -> None:
    with pytest.raises(NotFound, match="There is no credential 'other'"):
        proxy_for(engine, chosen(proxy="http://dmz.contoso.com", proxy_credential="other"))


def test_roots_that_cannot_be_read_are_told(engine: Engine, tmp_path: Path) -> None:
    roots = tmp_path / "roots.pem"
    house = replace(engine, proxy=replace(HOUSE, roots=roots))
    with pytest.raises(ConfigurationError, match="No such file"):
        proxy_for(house)
    roots.write_text("nothing")
    with pytest.raises(ConfigurationError, match="roots cannot be read") as refused:
        proxy_for(house)
    assert "CERTWRIGHT_PROXY_CA_FILE" in refused.value.hint
    trustme.CA().cert_pem.write_to_path(roots)
    proxy = proxy_for(house)
    assert proxy
    assert proxy.roots == roots


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"proxy": "socks5://x.test"}, "begins with socks5"),
        ({"proxy": "http://u:c4nary@x.test"}, "certwright credential add proxy"),
        ({"proxy_credential": "corporate"}, "counts only with proxy"),
        ({"proxy": "none", "proxy_ca_file": "/nowhere"}, "there is no file"),
    ],
)
def test_what_does_not_fit_is_refused(values: dict[str, str], told: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        read_params(ProxiedParams, dict(values), "the channel")
    said = "\n".join(refused.value.explain())
    assert told in said
    assert "c4nary" not in said


def test_settings_say_the_installation_s(tmp_path: Path) -> None:
    home = {"HOME": str(tmp_path)}
    assert Settings.locate(None, home).proxy == ProxyChoice(SYSTEM)
    given = {
        "CERTWRIGHT_PROXY": HOUSE.way,
        "CERTWRIGHT_PROXY_CREDENTIAL": "corporate",
        "CERTWRIGHT_PROXY_CA_FILE": "/etc/roots.pem",
    }
    assert Settings.locate(None, {**home, **given}).proxy == replace(HOUSE, roots=Path("/etc/roots.pem"))
    with pytest.raises(ConfigurationError):
        Settings.locate(None, {**home, "CERTWRIGHT_PROXY": "proxy.contoso.com"})


def test_the_credential_of_the_installation_s_proxy_is_in_use(engine: Engine) -> None:
    home = replace(engine, proxy=HOUSE)
    (shown,) = credentials(home)
    assert shown.used_by.first == ("the installation's proxy (CERTWRIGHT_PROXY_CREDENTIAL)",)
    with pytest.raises(ConfigurationError, match=r"used by the installation's proxy \(CERTWRIGHT_PROXY_CREDENTIAL\)"):
        remove_credential(home, "corporate")
    assert credentials(engine)[0].used_by.first == ()
    remove_credential(engine, "corporate")
    assert credentials(engine) == []


@pytest.mark.parametrize(
    ("values", "unset", "told"),
    [
        ({"directory": "https://other.test/"}, (), "was registered with its directory"),
        ({}, ("email",), "was registered with its email"),
        ({}, ("prxy",), "no parameter 'prxy' of the issuer 'le'"),
        ({"proxy": "proxy.contoso.com"}, (), "1 parameter is wrong for the issuer 'le'"),
    ],
)
def test_an_issuer_keeps_what_its_account_is_registered_with(
    values: dict[str, str], unset: tuple[str, ...], told: str, engine: Engine
) -> None:
    issuer = Issuer(name="le", kind="acme", params={"authority": "letsencrypt", "email": "pki@contoso.com"})
    with engine.store.write() as unit:
        unit.issuers.add(issuer, b"key")
    with pytest.raises(ConfigurationError, match=told):
        change_issuer(engine, "acme", "le", values, unset)
    with pytest.raises(ConfigurationError, match="is of the kind acme, and not other"):
        change_issuer(engine, "other", "le", values, unset)
    with engine.store.read() as unit:
        assert unit.issuers.list() == [issuer]


def test_a_credential_that_an_issuer_or_a_channel_names_is_in_use(engine: Engine) -> None:
    own = {"proxy": "http://dmz.contoso.com", "proxy_credential": "corporate"}
    with engine.store.write() as unit:
        unit.issuers.add(Issuer(name="le", kind="acme", params=own), b"key")
        unit.credentials.add_typed("notify", "webhook", "alerts", own, {"url": "https://hook.test"})
    with engine.store.read() as unit, pytest.raises(ConfigurationError) as refused:
        unit.credentials.check_unused("corporate")
    assert "the issuer 'le', the channel 'alerts'" in refused.value.message
