"""Addresses and identities: what cannot work is refused before anything is sent, and no secret shows."""

import pytest

from certwright.domain.errors import ConfigurationError
from certwright.remoting.endpoint import EXCHANGE, Authentication, Endpoint, Identity

BASIC = Identity("basic", "admin@contoso.test", "hunter2")
URL = "https://ex01.contoso.test/PowerShell/"


@pytest.mark.parametrize(
    "url",
    ["ex01", "https://", "https://ex01:0/", "https://ex01:99999/", "https://[::1/", "ftp://ex01/", "https://u:p@ex01/"],
)
def test_what_is_no_address_is_refused(url: str) -> None:
    for identity in (BASIC, Identity()):
        with pytest.raises(ConfigurationError):
            Endpoint(url, EXCHANGE, identity)
    with pytest.raises(ConfigurationError):
        Endpoint(URL, EXCHANGE, proxy=url)


def test_basic_goes_over_https_only() -> None:
    with pytest.raises(ConfigurationError, match="readable on the way"):
        Endpoint("HTTP://ex01/PowerShell/", EXCHANGE, BASIC)


def test_the_parts_of_an_address() -> None:
    one = Endpoint("HTTP://EX01.contoso.test/PowerShell/?serialization=Full", EXCHANGE)
    assert (one.host, one.port, one.path, one.is_tls, one.place) == (
        "ex01.contoso.test",
        80,
        "PowerShell/?serialization=Full",
        False,
        "EX01.contoso.test",
    )
    two = Endpoint("https://[::1]:5986/wsman", EXCHANGE)
    assert (two.host, two.port, two.path, two.is_tls, two.place) == ("::1", 5986, "wsman", True, "[::1]:5986")


def test_the_name_of_the_service() -> None:
    assert Endpoint(URL, EXCHANGE).service == "HTTP/ex01.contoso.test"
    assert Endpoint(URL, EXCHANGE, service_host="mail.contoso.test").service == "HTTP/mail.contoso.test"


def test_who_runs_this_is_the_default_and_takes_no_secret() -> None:
    assert str(Endpoint(URL, EXCHANGE).identity) == "the current user"
    with pytest.raises(ConfigurationError, match="takes no user name"):
        Identity("current", "svc@CONTOSO.COM", "hunter2")


@pytest.mark.parametrize(("username", "password"), [("svc", "hasło"), ("služba", "hunter2")])
def test_basic_carries_latin_1_alone(username: str, password: str) -> None:
    Identity("basic", "svc", "pässword\xff")
    Identity("ntlm", username, password)
    with pytest.raises(ConfigurationError, match="Latin-1") as caught:
        Identity("basic", username, password)
    assert password not in " ".join(caught.value.explain())


@pytest.mark.parametrize("auth", ["kerberos", "negotiate", "ntlm", "basic"])
def test_the_others_take_a_name_and_a_password(auth: Authentication) -> None:
    for username, password in (("svc@contoso.com", None), (None, "hunter2"), (None, None), ("", "hunter2")):
        with pytest.raises(ConfigurationError) as caught:
            Identity(auth, username, password)
        assert "hunter2" not in " ".join(caught.value.explain())


@pytest.mark.parametrize("username", ["CONTOSO\\svc", "svc", "@CONTOSO.COM", "svc@", "CONTOSO\\svc@CONTOSO.COM"])
def test_kerberos_wants_the_name_with_its_domain(username: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Identity("kerberos", username, "hunter2")
    assert "user@DOMAIN" in caught.value.hint
    assert Identity("ntlm", username, "hunter2").principal == username


def test_realms_are_in_capitals_and_only_they() -> None:
    assert Identity("kerberos", "Svc@contoso.com", "x").principal == "Svc@CONTOSO.COM"
    assert Identity("negotiate", "CONTOSO\\svc", "x").principal == "CONTOSO\\svc"
    assert Identity("basic", "svc@contoso.com", "x").principal == "svc@contoso.com"


def test_no_secret_in_the_repr() -> None:
    assert "hunter2" not in repr(Endpoint(URL, EXCHANGE, BASIC)) + str(BASIC)
