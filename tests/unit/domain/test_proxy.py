"""Which proxy requests take, and which hosts are reached without it."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certwright.domain.errors import ConfigurationError
from certwright.domain.proxy import Proxy, ProxyChoice, environment, explicit, of_system

TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["C"]), min_size=1, max_size=20)


@pytest.mark.parametrize(
    ("entry", "host", "is_bypassed"),
    [
        ("contoso.com", "contoso.com", True),
        ("contoso.com", "CA.Contoso.com.", True),
        (".contoso.com", "ca.contoso.com", True),
        ("*.contoso.com", "ca.contoso.com", True),
        ("contoso.com:443", "ca.contoso.com", True),
        ("contoso.com", "fabrikam-contoso.com", False),
        ("contoso.com", "contoso.com.evil.test", False),
        ("*", "anything.test", True),
        ("10.0.0.0/8", "10.1.2.3", True),
        ("10.0.0.0/8", "11.1.2.3", False),
        ("10.1.2.3", "10.1.2.3", True),
        ("2001:db8::/32", "[2001:db8::1]", True),
        ("[2001:db8::1]", "2001:db8::1", True),
        ("10.0.0.0/8", "ca.contoso.com", False),
        (" , ,", "ca.contoso.com", False),
        ("nonsense/99", "ca.contoso.com", False),
        ("", "ca.contoso.com", False),
    ],
)
def test_no_proxy_means_what_it_means_elsewhere(entry: str, host: str, is_bypassed: bool) -> None:
    proxy = explicit(ProxyChoice("http://proxy.contoso.com:3128"), f"other.test, {entry}")
    assert proxy.takes(host) is not is_bypassed


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST.", "a.localhost", "127.0.0.1", "127.9.9.9", "[::1]", "::1"])
def test_this_machine_itself_is_never_reached_through_it(host: str) -> None:
    assert not Proxy("proxy.contoso.com", 3128).takes(host)


@given(TEXT, TEXT, st.integers(1, 65535))
def test_a_credential_survives_the_variables_of_libraries(username: str, password: str, port: int) -> None:
    proxy = Proxy("proxy.contoso.com", port, username, password, ("10.0.0.0/8", ".contoso.com"))
    told = environment(proxy)
    again = of_system({"https": told["https_proxy"], "no": told["no_proxy"]})
    assert again
    assert (again.host, again.port, again.username, again.password) == ("proxy.contoso.com", port, username, password)
    assert set(proxy.bypass) < set(again.bypass)
    assert not again.takes("mail.contoso.com")


def test_an_address_of_ipv6_is_written_in_brackets() -> None:
    proxy = explicit(ProxyChoice("http://[2001:db8::5]:8080/"), "")
    assert (proxy.host, proxy.address) == ("2001:db8::5", "http://[2001:db8::5]:8080")
    assert environment(proxy)["https_proxy"] == "http://[2001:db8::5]:8080"


def test_the_password_is_in_no_representation() -> None:
    proxy = of_system({"https": "http://user:c4nary@proxy.contoso.com:3128"})
    assert proxy
    assert "c4nary" not in f"{proxy} {proxy!r} {proxy.address}"
    assert proxy.authorization == "Basic dXNlcjpjNG5hcnk="


@pytest.mark.parametrize(
    ("found", "address"),
    [
        ({}, None),
        ({"http": "http://proxy.test:1"}, None),
        ({"https": "http://proxy.test:1", "all": "http://other.test"}, "http://proxy.test:1"),
        ({"all": "http://proxy.test"}, "http://proxy.test:80"),
        ({"https": "proxy.test:3128"}, "http://proxy.test:3128"),
    ],
)
def test_the_machine_says_which(found: dict[str, str], address: str | None) -> None:
    proxy = of_system(found)
    assert (proxy and proxy.address) == address


@pytest.mark.parametrize(
    "way",
    [
        "https://proxy.test",
        "socks5://proxy.test",
        "proxy.test:3128",
        "http://",
        "http://proxy.test:99999",
        "http://proxy.test:x",
        "http://proxy.test/path",
        "http://proxy.test?x",
        "http://[::1",
        "http://pro xy.test",
        "http://u:c4nary@proxy.test",
        "http://c4nary@proxy.test",
        "http://u:c4nary@proxy.test:x",
        "",
    ],
)
def test_what_is_no_proxy_is_refused_without_being_shown(way: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        ProxyChoice(way)
    assert refused.value.hint
    assert "c4nary" not in "".join(refused.value.explain())


def test_a_machine_s_proxy_that_cannot_be_used_is_told_without_its_password() -> None:
    with pytest.raises(ConfigurationError) as refused:
        of_system({"https": "socks5://u:c4nary@proxy.test"})
    told = "".join(refused.value.explain())
    assert "HTTPS_PROXY" in told
    assert "c4nary" not in told


@pytest.mark.parametrize(
    "way", ["system", "none", "http://proxy.test", "http://proxy.test:3128", "http://10.0.0.1:8080/"]
)
def test_what_is_one_is_taken(way: str) -> None:
    assert ProxyChoice(way, "corporate", Path("/roots.pem")).way == way
