"""The Exchange task's parameters, as people write them."""

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certwright.domain.errors import ConfigurationError
from certwright.exchange import addresses
from certwright.exchange.model import SUPPORTED, Service
from certwright.exchange.settings import Settings
from certwright.sdk.params import read_params


def params(**given: Any) -> Settings:
    values = {"servers": "mail01.contoso.test", "auth": "basic", "credential": "exchange", **given}
    return read_params(Settings, {name: value for name, value in values.items() if value is not None}, "the task")


def complaint(**given: Any) -> str:
    with pytest.raises(ConfigurationError) as caught:
        params(**given)
    return "\n".join(caught.value.explain())


def test_defaults() -> None:
    made = params()
    assert made.endpoints == {"mail01.contoso.test": "https://mail01.contoso.test/PowerShell/"}
    assert made.hosts == {}
    assert made.chosen is None
    assert made.keep_internal_transport_certificate is None
    assert {p.service for p in made.ports} >= {Service.IIS, Service.SMTP, Service.IMAP, Service.POP}


@pytest.mark.parametrize("written", ["iis, SMTP", "SMTP,IIS", ["Smtp", "iis"], "smtp iis smtp"])
def test_services_in_any_order_and_spelling_become_exchanges(written: object) -> None:
    assert params(services=written).services == ("IIS", "SMTP")


@given(st.lists(st.sampled_from(["imap", "POP", "Iis", "SMTP"]), min_size=1), st.sampled_from([",", " ", ", "]))
def test_what_is_chosen_is_what_was_written(words: list[str], separator: str) -> None:
    chosen = params(services=separator.join(words)).chosen
    assert chosen == Service.read(",".join(words))
    assert chosen is not None
    assert not chosen & ~SUPPORTED


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ("IIS,HTTP", "'HTTP' is no Exchange service"),
        ("Federation", "never touched"),
        ("IIS, UM", "choose among"),
        ("", "choose among"),
        (7, "separated by commas"),
    ],
)
def test_other_services_are_refused_with_the_reason(written: object, says: str) -> None:
    assert says in complaint(services=written)


@pytest.mark.parametrize("way", ["kerberos", "NTLM", "negotiate"])
def test_ways_that_encrypt_by_themselves_go_over_http(way: str) -> None:
    made = params(auth=way, winrm="http://{server}:5985/wsman")
    assert made.endpoints == {"mail01.contoso.test": "http://mail01.contoso.test/PowerShell/"}
    assert made.hosts == {"mail01.contoso.test": "http://mail01.contoso.test:5985/wsman"}


def test_who_runs_this_is_the_default_and_has_no_credential() -> None:
    assert params(auth=None, credential=None).auth == "current"
    assert "counts only with auth kerberos, negotiate, ntlm or basic" in complaint(auth=None)
    assert "certwright credential add" in complaint(auth="kerberos", credential=None)


def test_other_ways_to_sign_in_do_not_exist() -> None:
    assert "basic" in complaint(auth="digest")
    assert params(auth="Basic").auth == "basic"


@pytest.mark.parametrize("name", ["endpoint", "winrm"])
def test_plain_http_is_refused_with_the_reason(name: str) -> None:
    said = complaint(**{name: "http://{server}/PowerShell/"})
    assert "is not https" in said
    assert "password would be readable" in said


class TestSeveralServers:
    """Addresses by server."""

    servers = "mail01.contoso.test, MAIL02.contoso.test"

    def test_a_template(self) -> None:
        made = params(servers=self.servers, endpoint="https://{server}:444/PowerShell/")
        assert made.endpoints["MAIL02.contoso.test"] == "https://MAIL02.contoso.test:444/PowerShell/"

    @pytest.mark.parametrize(
        "written",
        [
            "mail01.contoso.test=https://a/P/, mail02.contoso.test=https://b/P/?x=1",
            {"mail01.contoso.test": "https://a/P/", "Mail02.contoso.test": "https://b/P/?x=1"},
        ],
    )
    def test_one_for_each(self, written: object) -> None:
        made = params(servers=self.servers, endpoint=written)
        assert list(made.endpoints.values()) == ["https://a/P/", "https://b/P/?x=1"]

    def test_one_that_is_missing_or_unknown_is_named(self) -> None:
        assert "no address for MAIL02" in complaint(
            servers=self.servers, endpoint={"mail01.contoso.test": "https://a/"}
        )
        assert "mail03 is none" in complaint(
            servers="mail01", endpoint={"mail01": "https://a/", "mail03": "https://b/"}
        )

    def test_ports_say_whose_they_are(self) -> None:
        made = params(
            servers=self.servers, verify="mail02.contoso.test/IMAPS:127.0.0.1:20993,SMTP:mail01.contoso.test:25"
        )
        assert [(p.server, p.way, str(p.endpoint)) for p in made.ports] == [
            ("MAIL02.contoso.test", "IMAPS", "127.0.0.1:20993"),
            ("mail01.contoso.test", "SMTP", "mail01.contoso.test:25"),
        ]
        assert "say which server's port" in complaint(servers=self.servers, verify="IIS:127.0.0.1:443")
        assert "none of the servers" in complaint(servers=self.servers, verify="mail03/IIS:127.0.0.1:443")


@pytest.mark.parametrize("written", ["IIS:127.0.0.1:20443", "iis:[::1]:20443"])
def test_a_port_of_the_only_server(written: str) -> None:
    (port,) = params(verify=written).ports
    assert (port.server, port.way, port.endpoint.port) == ("mail01.contoso.test", "IIS", 20443)


@pytest.mark.parametrize("written", ["off", "OFF", ["off"]])
def test_looking_at_ports_can_be_turned_off(written: object) -> None:
    assert params(verify=written).ports == ()


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ("443", "write SERVICE:HOST:PORT"),
        ("LDAP:a:1", "write SERVICE:HOST:PORT"),
        ("IIS:443", "names no port"),
        ("IIS:a:0", "is not a port"),
        ("IIS:a:99999", "is not a port"),
        ("IIS:::1:443", "ambiguous"),
    ],
)
def test_ports_that_cannot_be_read_are_refused(written: str, says: str) -> None:
    said = complaint(verify=written)
    assert "verify: " in said
    assert says in said


@given(st.text(max_size=60), st.text(max_size=60), st.text(max_size=60))
def test_any_text_is_read_or_refused_in_words(endpoint: str, verify: str, services: str) -> None:
    with contextlib.suppress(ConfigurationError):
        assert params(endpoint=endpoint, verify=verify, services=services).endpoints


def test_what_is_missing_or_too_long_is_named() -> None:
    assert "servers" in complaint(servers="")
    assert "friendly_name" in complaint(friendly_name="x" * 64)
    with pytest.raises(ConfigurationError, match="1 parameter is wrong"):
        read_params(Settings, {}, "the task")


@pytest.mark.parametrize(
    ("server", "url", "domain"),
    [
        ("MAIL01.Contoso.test", "https://10.0.0.1/PowerShell/", "contoso.test"),
        ("mail01", "https://Mail01.contoso.test/PowerShell/", "contoso.test"),
        ("mail01", "https://mail01/PowerShell/", "mail01"),
        ("mail01", "https://10.0.0.1:444/PowerShell/", "10.0.0.1"),
    ],
)
def test_servers_of_one_organisation_exclude_each_other(server: str, url: str, domain: str) -> None:
    assert addresses.domain(server, url) == domain


def test_a_server_named_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="is named twice"):
        addresses.servers("mail01, MAIL01")


class TestOrderOfServers:
    """Which servers, which first, and which together."""

    three = "ex01, ex02, ex03"

    def test_all_by_default(self) -> None:
        made = params(servers=self.three)
        assert made.chosen_servers == ("ex01", "ex02", "ex03")
        assert made.chosen_pools == ()
        assert (made.canary, made.wave_width, made.rollback) == (None, None, "all")

    def test_some_of_them_in_the_order_and_spelling_of_all(self) -> None:
        made = params(servers=self.three, only="EX03 ex01", pools="ex01+EX02, ex03", canary="EX02")
        assert made.chosen_canary == "ex02"
        assert made.chosen_servers == ("ex01", "ex03")
        assert made.chosen_pools == (("ex01", "ex02"), ("ex03",))

    @pytest.mark.parametrize(
        ("given", "says"),
        [
            ({"only": "ex09"}, "only: 'ex09' is none of the servers"),
            ({"canary": "ex09"}, "canary: 'ex09' is none"),
            ({"pools": "ex01+ex09"}, "pools: 'ex09' is none"),
            ({"pools": "ex01+ex02, EX01"}, "ex01 is in two pools"),
            ({"wave_width": 0}, "wave_width"),
            ({"rollback": "none"}, "rollback"),
            ({"restart_web_site": True}, "counts only with winrm"),
        ],
    )
    def test_what_makes_no_sense_is_named(self, given: dict[str, Any], says: str) -> None:
        assert says in complaint(servers=self.three, **given)


def test_connectors_are_named_by_identities_that_may_hold_spaces_and_commas() -> None:
    assert params(connectors="Partner, Inc. relay").connectors == ("Partner, Inc. relay",)
    both = ("To partner", "EX01\\Default Frontend EX01")
    assert params(connectors=list(both)).connectors == both
