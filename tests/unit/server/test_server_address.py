"""Where the service answers, by its settings."""

import socket
from pathlib import Path

import pytest

from certwright.domain.errors import ConfigurationError
from certwright.probe import Endpoint
from certwright.server import address
from certwright.settings import Settings

PLACES = Path("/data"), Path("/keys")


@pytest.mark.parametrize(
    ("listen", "tls", "url"),
    [
        ("127.0.0.1:8480", False, "http://127.0.0.1:8480/"),
        ("localhost:1", False, "http://localhost:1/"),
        ("[::1]:8480", False, "http://[::1]:8480/"),
        ("192.0.2.1:443", True, "https://192.0.2.1:443/"),
        ("[2001:db8::1]:443", True, "https://[2001:db8::1]:443/"),
        ("0.0.0.0:8480", True, "https://certs.contoso.com:8480/"),
        ("[::]:8480", True, "https://certs.contoso.com:8480/"),
    ],
)
def test_others_reach_it_by_tls_alone(listen: str, tls: bool, url: str) -> None:
    settings = Settings(*PLACES, listen=listen, hosts=("certs.contoso.com",))
    at = address.listens_at(settings)
    assert at
    assert address.speaks_tls(settings, at) is tls
    assert address.address(settings, at) == url


@pytest.mark.parametrize("own", [{"own_certificate": "certs"}, {"tls_certificate_file": Path("/x")}])
def test_a_certificate_of_its_own_is_presented_on_loopback_too(own: dict[str, str]) -> None:
    settings = Settings(*PLACES, **own)  # type: ignore[arg-type]
    assert address.speaks_tls(settings, Endpoint("127.0.0.1", 8480))


def test_its_names_are_those_that_were_set_its_address_and_loopback() -> None:
    settings = Settings(*PLACES, hosts=("certs.contoso.com", "Certs.Fabrikam.com"))
    loopback = ["localhost", "127.0.0.1", "::1"]
    for at, here in ((Endpoint("192.0.2.1", 1), ["192.0.2.1"]), (Endpoint("0.0.0.0", 1), [])):
        names = [name.value for name in address.own_names(settings, at)]
        assert names == ["certs.contoso.com", "certs.fabrikam.com", *here, *loopback]


@pytest.mark.parametrize(("machine", "named"), [("VM", ["vm"]), ("vm_1", [])])
def test_where_it_listens_at_every_address_the_host_that_is_told_is_one_of_its_names(
    monkeypatch: pytest.MonkeyPatch, machine: str, named: list[str]
) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: machine)
    settings, at = Settings(*PLACES), Endpoint("0.0.0.0", 8480)
    assert address.address(settings, at) == f"https://{machine}:8480/"
    assert [name.value for name in address.own_names(settings, at)] == [*named, "localhost", "127.0.0.1", "::1"]


@pytest.mark.parametrize(
    ("listen", "told"),
    [("8480", "names no port"), ("certs.contoso.com:8480", "is a name"), ("127.0.0.1:0", "is not a port")],
)
def test_an_address_that_is_none_is_blamed_on_the_setting(listen: str, told: str) -> None:
    settings = Settings(*PLACES, listen=listen, origins={"listen": "/etc/certwright/certwright.toml, line 3"})
    with pytest.raises(ConfigurationError) as refused:
        address.listens_at(settings)
    assert refused.value.message.startswith("/etc/certwright/certwright.toml, line 3: listen cannot be used: ")
    assert told in refused.value.message
    assert "ADDRESS:PORT" in refused.value.hint


def test_a_host_that_is_no_name_is_blamed_too() -> None:
    with pytest.raises(ConfigurationError, match="hosts cannot be used"):
        address.own_names(Settings(*PLACES, hosts=("a b",)), Endpoint("127.0.0.1", 1))


def test_it_may_answer_nowhere() -> None:
    assert address.listens_at(Settings(*PLACES, listen="none")) is None


@pytest.mark.parametrize(("host", "here"), [("0.0.0.0", "127.0.0.1"), ("::", "::1"), ("192.0.2.1", "192.0.2.1")])
def test_a_program_here_reaches_it(host: str, here: str) -> None:
    assert address.on_this_machine(Endpoint(host, 1)) == Endpoint(here, 1)
