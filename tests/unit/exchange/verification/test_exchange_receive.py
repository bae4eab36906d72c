"""Which receive connector answered."""

import pytest

from certwright.exchange.model import Connector
from certwright.exchange.verification.receive import who_answered
from certwright.probe import Greeting

SERVER = "ex01.contoso.test"
ANYONE = ("0.0.0.0-255.255.255.255", "::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")


def connector(name: str, **changed: object) -> Connector:
    values = {
        "fqdn": "mail.contoso.test",
        "server": "EX01",
        "role": "FrontendTransport",
        "ports": (25,),
        "remote_ranges": ANYONE,
    }
    return Connector(name, "receive", **{**values, **changed})  # type: ignore[arg-type]


DEFAULT = connector("Default Frontend EX01")
CLIENT = connector("Client Frontend EX01", ports=(587,))
RELAY = connector("Relay", remote_ranges=("10.0.0.0/24",))
PRINTER = connector("Printer", remote_ranges=("10.0.0.7",))
MASKED = connector("Masked", remote_ranges=("10.0.0.0(255.255.255.240)",))
RANGED = connector("Ranged", remote_ranges=("10.0.0.4 - 10.0.0.9", "not an address"))
PARTNER = connector("Partner", fqdn="edge.contoso.test")
HUB = connector("Default EX01", role="HubTransport", ports=(2525,), fqdn="")
OTHER_SERVER = connector("Default Frontend EX02", server="ex02.contoso.test")
OFF = connector("Off", enabled=False, remote_ranges=("10.0.0.7",))
SEND = Connector("Internet", "send", fqdn="mail.contoso.test")
OURS = Greeting("mail.contoso.test Microsoft ESMTP MAIL Service ready", "mail.contoso.test")


@pytest.mark.parametrize(
    ("connectors", "port", "source", "named"),
    [
        ([DEFAULT, CLIENT], 25, "", "'Default Frontend EX01'"),
        ([DEFAULT, CLIENT], 587, "", "'Client Frontend EX01'"),
        ([DEFAULT, PARTNER, OTHER_SERVER, OFF, SEND], 25, "10.0.0.7", "'Default Frontend EX01'"),
        ([DEFAULT, RELAY], 25, "10.0.0.9", "'Relay'"),
        ([DEFAULT, RELAY], 25, "10.0.1.9", "'Default Frontend EX01'"),
        ([DEFAULT, RELAY, PRINTER, MASKED, RANGED], 25, "10.0.0.7", "'Printer'"),
        ([DEFAULT, RELAY, MASKED, RANGED], 25, "10.0.0.7", "'Ranged'"),
        ([DEFAULT, RELAY, MASKED], 25, "10.0.0.7", "'Masked'"),
        ([DEFAULT, RELAY], 25, "2001:db8::7", "'Default Frontend EX01'"),
        ([DEFAULT, RELAY], 25, "", "'Default Frontend EX01' or 'Relay'"),
        ([DEFAULT, HUB], 40_025, "", "'Default Frontend EX01'"),
    ],
)
def test_the_connector_is_named(connectors: list[Connector], port: int, source: str, named: str) -> None:
    told = who_answered(SERVER, port, OURS, connectors, source)
    assert told == f"answered by the receive connector {named}"


def test_a_connector_without_a_name_of_its_own_calls_itself_as_the_server() -> None:
    told = who_answered(SERVER, 2525, Greeting("EX01.contoso.test Microsoft ESMTP"), [HUB])
    assert told == "answered by the receive connector 'Default EX01'"


def test_what_calls_itself_otherwise_is_something_else() -> None:
    told = who_answered(SERVER, 25, Greeting("gw ready", "gateway.contoso.test"), [DEFAULT])
    assert "'gateway.contoso.test' answered, which no receive connector of ex01.contoso.test calls itself" in told


@pytest.mark.parametrize("greeting", [Greeting("", ""), OURS])
def test_nothing_is_said_where_nothing_is_known(greeting: Greeting) -> None:
    assert who_answered(SERVER, 25, greeting, [DEFAULT] if greeting is not OURS else [OTHER_SERVER, SEND]) == ""
