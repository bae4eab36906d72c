from typing import Any

import pytest

from certwright.exchange.access.organisation import Organisation
from certwright.exchange.connection import Connection
from certwright.exchange.model import ServerInfo
from certwright.sdk.params import read_params

SECOND = ServerInfo("MAIL02", "mail02.contoso.com")


def organisation(**params: Any) -> Organisation:
    return Organisation(read_params(Connection, {"servers": ["mail01.contoso.com"], **params}, "test"), None)


def url(known: Organisation, server: str) -> str:
    return known.session(server)._shell.endpoint.url


@pytest.mark.parametrize(
    ("params", "first", "second"),
    [
        ({}, "http://mail01.contoso.com/PowerShell/", "http://mail02.contoso.com/PowerShell/"),
        ({"endpoint": "https://{server}/x"}, "https://mail01.contoso.com/x", "https://mail02.contoso.com/x"),
        ({"endpoint": "https://one/x"}, "https://one/x", "https://one/x"),
        ({"endpoint": {"mail01.contoso.com": "https://one/x"}}, "https://one/x", "https://one/x"),
    ],
)
def test_servers_that_were_not_named_have_their_own_endpoint_if_the_address_is_for_all(
    params: dict[str, Any], first: str, second: str
) -> None:
    known = organisation(**params)
    assert url(known, "mail01.contoso.com") == first
    assert url(known, "mail02.contoso.com") == second
    assert (known.session("mail01.contoso.com") is known.session("mail02.contoso.com")) is (first == second)


@pytest.mark.parametrize(
    ("winrm", "has_second"),
    [(None, False), ("http://{server}:5985/wsman", True), ({"mail01.contoso.com": "http://one:5985/wsman"}, False)],
)
def test_hosts_of_servers_that_were_not_named(winrm: Any, has_second: bool) -> None:
    known = organisation(winrm=winrm)
    assert (known.host("mail01.contoso.com") is not None) is (winrm is not None)
    assert (known.host("mail02.contoso.com") is not None) is has_second


@pytest.mark.parametrize(
    ("servers", "called"),
    [(["mail01.contoso.com"], "mail02.contoso.com"), (["MAIL01"], "MAIL02"), (["mail01", "Mail02"], "Mail02")],
)
def test_servers_are_called_as_the_user_calls_them(servers: list[str], called: str) -> None:
    assert organisation(servers=servers).called(SECOND) == called
