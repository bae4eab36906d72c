"""When planned faults strike, what a role group shows, and messages in other languages."""

import pytest

from certwright.exchange_simulator import Delay, Drop, Fail, Faults, Gone, RoleGroup
from certwright.exchange_simulator.languages import localised
from certwright.exchange_simulator.roles import Rights


class Switches:
    """What a server's faults switch."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.faults = Faults(*(lambda name=name: self.done.append(name) for name in ("shut", "open", "off", "on")))


def test_faults_strike_in_their_order() -> None:
    faults = Switches().faults
    faults.inject(Fail("late"), "Get-Thing", nth=3)
    faults.inject(Drop(), "get-thing", times=2)
    faults.inject(Delay(1), "*", times=None)
    struck = [faults.strike("Get-Thing") for _ in range(4)]
    assert struck == [Drop(), Drop(), Fail("late"), Delay(1)]
    assert faults.strike("Set-Other") == Delay(1)
    faults.heal()
    assert faults.strike("Set-Other") is None


def test_an_endpoint_and_a_whole_server() -> None:
    switches = Switches()
    switches.faults.take_down()
    switches.faults.heal()
    assert switches.done == ["shut", "open"]
    switches.faults.inject(Gone(whole=True), "Get-Thing")
    switches.faults.power_off()
    assert switches.faults.off
    switches.faults.heal()
    assert switches.done[2:] == ["off", "on", "open"]
    assert not switches.faults.off


@pytest.mark.parametrize("group", list(RoleGroup))
def test_what_is_always_shown(group: RoleGroup) -> None:
    assert Rights(group).show("Get-Command")
    assert Rights(group).show("Get-OrganizationConfig")
    assert not Rights(group, hidden_cmdlets=frozenset({"Get-Command"})).show("Get-Command")


def test_only_some_groups_change_connectors() -> None:
    changing = {group for group in RoleGroup if Rights(group).show("Set-SendConnector")}
    assert changing == {RoleGroup.ORGANIZATION_MANAGEMENT, RoleGroup.CERTWRIGHT}


@pytest.mark.parametrize(
    ("english", "german"),
    [
        (
            "A special Rpc error occurs on server EX01: The RPC server is unavailable.",
            "Ein spezieller RPC-Fehler ist auf dem Server EX01 aufgetreten: Der RPC-Server ist nicht verfügbar.",
        ),
        (
            "These certificates are tagged with following Send Connectors : Out, In. Removing and replacing them.",
            "Diese Zertifikate sind mit den folgenden Send-Connectors gekennzeichnet: Out, In.",
        ),
        ("Something that nobody has translated.", "Something that nobody has translated."),
    ],
)
def test_german(english: str, german: str) -> None:
    assert localised(english, "de") == german
    assert localised(english, "en") == english
