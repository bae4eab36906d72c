"""Which certificate each connector gets, what is logged about it, and when it comes into force."""

import dataclasses
import datetime as dt

import pytest

from certwright.exchange_simulator import ReceiveConnector, SendConnector, Services, StoredCertificate
from certwright.exchange_simulator.certificates import self_signed, utc_now
from certwright.exchange_simulator.configuration import FRONT_END_TRANSPORT, HUB_TRANSPORT
from certwright.exchange_simulator.transport import (
    CERTIFICATE_NOT_FOUND,
    CERTIFICATE_UNUSABLE,
    Selection,
    Transport,
    select,
)
from certwright.exchange_simulator.versions import Version, check_coexistence
from certwright.exchange_simulator.web_bindings import WebBinding, binding_for
from peers.exchange_shell import TestAuthority

AUTHORITY = TestAuthority()
NAME = "mail.contoso.test"
NOTHING = "<I>CN=Nobody<S>CN=nothing"
INTERNAL = StoredCertificate(*self_signed("EX01", ("EX01", "ex01.contoso.test"), now=utc_now()))


def stored(*names: str, days: int = 90, services: Services = Services.SMTP) -> StoredCertificate:
    issued = AUTHORITY.issue(*names, age=dt.timedelta(days=100), life=dt.timedelta(days=100 + days))
    return StoredCertificate(issued.certificate, issued.key, services=services)


def receive(**options: object) -> ReceiveConnector:
    return dataclasses.replace(ReceiveConnector("Front", NAME, (25,)), **options)  # type: ignore[arg-type]


def chosen(
    certificates: list[StoredCertificate], connector: ReceiveConnector
) -> tuple[StoredCertificate | None, list[int]]:
    selection = select(certificates, INTERNAL, [connector], [])
    return selection.inbound("Front"), [event.id for event in selection.events]


def test_the_name_selects_and_the_internal_certificate_stands_in() -> None:
    public, other = stored(NAME), stored("other.contoso.test")
    assert chosen([public, other], receive()) == (public, [])
    assert chosen([other], receive()) == (INTERNAL, [12014])
    assert chosen([public], receive(auth_mechanism="Integrated")) == (None, [])


def test_a_named_certificate_or_none() -> None:
    short, long, foreign = stored(NAME, days=40), stored(NAME, days=80), stored("other.contoso.test")
    named = receive(fqdn="other.contoso.test", tls_certificate_name=short.tls_certificate_name)
    assert chosen([short, long, foreign], named) == (long, [])  # the longest-lived of the same name
    assert chosen([foreign], named) == (None, [12014])
    long.readable_by_network_service = False
    assert chosen([short, long], named) == (short, [])
    short.services = Services.IIS
    assert chosen([short, long], named) == (None, [12014])


@pytest.mark.parametrize(("days", "events"), [(90, []), (10, [12018]), (-5, [12016])])
def test_a_certificate_that_ends_is_logged(days: int, events: list[int]) -> None:
    assert chosen([stored(NAME, days=days)], receive())[1] == events


@pytest.mark.parametrize(("days", "events"), [(90, []), (10, [12017]), (-5, [12015])])
def test_an_internal_certificate_that_ends_is_logged(days: int, events: list[int]) -> None:
    assert [e.id for e in select([], stored("ex01.contoso.test", days=days), [], []).events] == events


def test_what_a_send_connector_finds() -> None:
    public, ended = stored(NAME), stored("old.contoso.test", days=-5)
    connectors = [
        SendConnector("any"),
        SendConnector("named", tls_certificate_name=public.tls_certificate_name),
        SendConnector("ended", tls_certificate_name=ended.tls_certificate_name),
        SendConnector("lost", tls_certificate_name=NOTHING),
    ]
    selection = select([public, ended], INTERNAL, [], connectors)
    assert selection.outbound == {
        "any": "",
        "named": "",
        "ended": CERTIFICATE_UNUSABLE,
        "lost": CERTIFICATE_NOT_FOUND,
    }
    public.services = Services.NONE
    assert select([public], INTERNAL, [], connectors).outbound["named"] == CERTIFICATE_NOT_FOUND


class Configuration:
    """Selections that differ each time."""

    def __init__(self) -> None:
        self.made = 0

    def select(self) -> Selection:
        self.made += 1
        return Selection({}, {}, {"Out": str(self.made)})


def test_changes_wait_for_the_restart_of_their_service() -> None:
    transport = Transport(Configuration().select, 0.0, stale_until_restart=True)
    transport.changed()
    assert transport.loaded().outbound == {"Out": "1"}
    transport.restarted(FRONT_END_TRANSPORT)
    assert transport.loaded().outbound == {"Out": "1"}  # send connectors are not its own
    transport.restarted(HUB_TRANSPORT)
    assert transport.loaded().outbound == {"Out": "3"}


def test_a_restart_is_not_undone_by_a_change_that_was_under_way() -> None:
    transport = Transport(Configuration().select, 3600.0)
    transport.changed()
    transport.restarted(HUB_TRANSPORT)
    assert transport.loaded().outbound == {"Out": "3"}
    assert [pending.outbound for _, pending in transport._pending] == [{"Out": "3"}]


@pytest.mark.parametrize(
    ("ranges", "client", "size"),
    [
        (("0.0.0.0-255.255.255.255",), "10.0.0.1", 2**32),
        (("0.0.0.0-255.255.255.255", "10.0.0.0/24"), "10.0.0.1", 256),
        (("10.0.0.1",), "10.0.0.1", 1),
        (("10.0.0.1",), "10.0.0.2", None),
        (("::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",), "10.0.0.1", None),
        (("fd00::/8",), "fd00::1", 2**120),
    ],
)
def test_ranges(ranges: tuple[str, ...], client: str, size: int | None) -> None:
    assert receive(remote_ip_ranges=ranges).takes(client) == size


@pytest.mark.parametrize(
    ("address", "name", "expected"),
    [
        (None, None, "any"),
        (None, "other.test", "any"),
        (None, "NAMED.test", "named"),
        ("10.0.0.5", "named.test", "address"),
        ("10.0.0.6", None, "any"),
    ],
)
def test_http_sys_takes_the_most_special_binding(address: str | None, name: str | None, expected: str) -> None:
    bindings = [
        WebBinding(1, 443, "any"),
        WebBinding(1, 443, "loopback", address="127.0.0.1"),
        WebBinding(1, 443, "named", host="named.test"),
        WebBinding(1, 443, "address", address="10.0.0.5"),
        WebBinding(2, 444, "back end"),
    ]
    found = binding_for(bindings, 443, address, name)
    assert found is not None
    assert found.thumbprint == expected
    assert binding_for(bindings[1:], 443, None, "else.test") is None


def test_versions() -> None:
    assert [v.build for v in (Version.EXCHANGE_2013, Version.EXCHANGE_SE)] == ["15.0.1497.2", "15.2.2562.17"]
    check_coexistence([Version.EXCHANGE_2013, Version.EXCHANGE_2016, Version.EXCHANGE_2019_CU14])
    check_coexistence([Version.EXCHANGE_2016, Version.EXCHANGE_2019_CU15, Version.EXCHANGE_SE])
    with pytest.raises(ValueError, match="2013"):
        check_coexistence([Version.EXCHANGE_2013, Version.EXCHANGE_2019_CU15])
