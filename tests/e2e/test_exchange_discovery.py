"""Discovery against the simulated organisation, over real sockets."""

from pathlib import Path
from typing import Any

import pytest

from certwright.domain.errors import DeploymentError, Unreachable
from certwright.exchange.discovery.discover import discover
from certwright.exchange.snapshot import Snapshot, dump, load
from certwright.exchange_simulator import (
    Delay,
    Fail,
    FederationTrust,
    Gone,
    HttpStatus,
    HybridConfiguration,
    Role,
    SendConnector,
    Version,
    WireForm,
)
from peers.exchange_reading import Notes, spec, stocked

pytestmark = pytest.mark.e2e
FIRST, SECOND = "Get-ExchangeCertificate", "Get-TransportService"


def unknown(snapshot: Snapshot) -> set[str]:
    return {u.what for u in snapshot.unknown} | {u.what for s in snapshot.servers for u in s.unknown}


def test_all_that_exchange_tells(tmp_path: Path) -> None:
    specs = [spec("MAIL01", dag="DAG1", public_host="mail.contoso.test"), spec("MAIL02", dag="DAG1")]
    with stocked(tmp_path, *specs, spec("EDGE01", role=Role.EDGE)) as stock:
        state = stock.organisation.state
        state.send_connectors.append(
            SendConnector("Out", source_servers=("MAIL02",), smart_hosts=("relay.test",), cloud_services_mail=True)
        )
        state.federation_trusts.append(FederationTrust("F" * 40, next="E" * 40))
        state.hybrid = HybridConfiguration("<I>CN=CA<S>CN=mail", domains=("contoso.test",))
        found = stock.discovered()
    assert found.organisation == "Contoso"
    assert [s.server for s in found.servers] == ["mail01.contoso.test", "mail02.contoso.test"]
    assert [e.name for e in found.edges] == ["EDGE01"]
    assert found.subscriptions == ("EDGE01",)
    assert found.accepted_domains is not None
    assert [(d.name, d.is_default) for d in found.accepted_domains] == [("contoso.test", True)]
    assert found.auth is not None
    assert found.protected == {found.auth.current, "F" * 40, "E" * 40}
    assert found.hybrid is not None
    assert (found.hybrid.tls_certificate_name, found.hybrid.domains) == ("<I>CN=CA<S>CN=mail", ("contoso.test",))
    assert found.send_connectors is not None
    assert [(c.source_servers, c.cloud_mail) for c in found.send_connectors] == [(("MAIL02",), True)]
    assert found.rights is not None
    assert "Services" in found.rights["Enable-ExchangeCertificate"]
    assert "Get-ClientAccessServer" not in found.rights
    assert found.domain_controller == "DC01.contoso.test"
    first, second = found.servers
    assert (first.dag, first.away, first.wire_form) == ("DAG1", "", "selected")
    assert first.info.site == "Default-First-Site-Name"
    assert first.addresses is not None
    external = {a.service: a.external for a in first.addresses}
    assert external["OWA"] == "https://mail.contoso.test/owa"
    assert external.keys() == {
        *("OWA", "ECP", "EWS", "ActiveSync", "OAB", "MAPI", "PowerShell"),
        *("Outlook Anywhere", "Autodiscover"),
    }
    assert second.addresses is not None
    assert {a.external for a in second.addresses} == {""}
    assert first.components is not None
    assert first.components["ServerWideOffline"] == "Active"
    assert first.connectors is not None
    assert {c.role: c.ports for c in first.connectors}["HubTransport"]
    assert not unknown(found)
    assert load(dump(found)) == found


def test_reading_changes_nothing(tmp_path: Path) -> None:
    with stocked(tmp_path) as stock:
        stock.discovered()
        assert stock.organisation.mutations == []


def test_every_read_after_the_first_asks_the_same_domain_controller(tmp_path: Path) -> None:
    with stocked(tmp_path, domain_controllers=("DC01", "DC02", "DC03")) as stock:
        found = stock.discovered()
        asked = [call.parameters.get("DomainController") for call in stock.organisation.calls[1:]]
    assert set(asked) <= {found.domain_controller, None}
    assert asked.count(found.domain_controller) > 20


def test_an_account_that_may_do_little_is_told_what_stays_unknown(tmp_path: Path) -> None:
    hidden = ("Get-SendConnector", "Get-OwaVirtualDirectory", "Get-Command", "Get-DatabaseAvailabilityGroup")
    with stocked(tmp_path, hidden_cmdlets=hidden) as stock:
        found = stock.discovered()
    assert found.send_connectors is None
    assert found.rights is None
    assert unknown(found) == {
        *("the send connectors", "the addresses of OWA", "what the account may do", "servers in maintenance")
    }
    assert found.servers[0].addresses
    reasons = {u.what: u.why for u in found.unknown}
    assert "may not use Get-SendConnector" in reasons["the send connectors"]


def test_a_parameter_that_the_account_may_not_use_is_left_out(tmp_path: Path) -> None:
    with stocked(tmp_path, hidden_parameters=("DomainController",)) as stock:
        assert not unknown(stock.discovered())
    with stocked(tmp_path, hidden_parameters=("DomainController",), hidden_cmdlets=("Get-Command",)) as stock:
        found = stock.discovered()
    assert unknown(found) == {"what the account may do"}


def test_one_server_that_does_not_answer_leaves_the_others_known(tmp_path: Path) -> None:
    with stocked(tmp_path, spec("MAIL01"), spec("MAIL02")) as stock:
        stock.organisation["MAIL02"].faults.inject(Gone(), "Get-ExchangeCertificate", times=None)
        found = stock.discovered()
        assert [s.info.name for s in found.servers] == ["MAIL01"]
        assert [info.name for info in found.unread] == ["MAIL02"]
        assert any((u.subject == "MAIL02" and "mail02" in u.why.lower()) or u.why for u in found.unknown)


def test_a_server_that_the_user_named_has_to_answer(tmp_path: Path) -> None:
    with stocked(tmp_path, spec("MAIL01"), spec("MAIL02")) as stock:
        stock.organisation["MAIL02"].faults.take_down()
        with pytest.raises(Unreachable):
            stock.discovered(["mail01.contoso.test", "mail02.contoso.test"])


@pytest.mark.parametrize("gone", ["MAIL01", "MAIL02"])
def test_or_is_told_of_where_that_is_enough(tmp_path: Path, gone: str) -> None:
    named = ["mail01.contoso.test", "mail02.contoso.test"]
    with stocked(tmp_path, spec("MAIL01"), spec("MAIL02")) as stock:
        stock.organisation[gone].faults.take_down()
        with stock.reached(named) as organisation:
            found = discover(organisation, named, Notes(), complete=False, pauses=())
        for server in stock.organisation.servers.values():
            server.faults.take_down()
        with stock.reached(named) as organisation, pytest.raises(Unreachable):
            discover(organisation, named, Notes(), complete=False, pauses=())
    assert [s.info.name for s in found.servers] == [name for name in ("MAIL01", "MAIL02") if name != gone]
    assert [info.name for info in found.unread] == [gone]
    assert [u.what for u in found.unknown if u.subject == gone and "refused" in u.why] == ["the whole server"]


def test_one_call_without_an_answer_leaves_one_thing_unknown(tmp_path: Path) -> None:
    with stocked(tmp_path) as stock:
        stock.first.faults.inject(HttpStatus(503), "Get-PopSettings", times=None)
        found = stock.discovered()
    assert unknown(found) == {"the POP settings"}
    assert found.servers[0].imap_name


def test_a_cmdlet_that_fails_leaves_one_thing_unknown(tmp_path: Path) -> None:
    with stocked(tmp_path) as stock:
        stock.first.faults.inject(Fail("Active Directory is on holiday."), "Get-EcpVirtualDirectory")
        found = stock.discovered()
    assert [u.why for u in found.servers[0].unknown if "holiday" in u.why]
    assert unknown(found) == {"the addresses of ECP"}


def test_a_server_that_exchange_does_not_know(tmp_path: Path) -> None:
    with stocked(tmp_path) as stock, pytest.raises(DeploymentError, match="it knows MAIL01"):
        stock.discovered(["mail09.contoso.test"], endpoint=stock.first.powershell_url)


def test_a_node_in_maintenance_is_away(tmp_path: Path) -> None:
    with stocked(tmp_path, spec("MAIL01", dag="DAG1"), spec("MAIL02", dag="DAG1")) as stock:
        stock.organisation["MAIL02"].state.enter_maintenance()
        first, second = stock.discovered().servers
    assert not first.away
    assert "ServerWideOffline is Inactive" in second.away
    assert "DAG1" in second.away


@pytest.mark.parametrize("gone", ["MAIL01", "MAIL02"])
def test_a_node_in_maintenance_that_does_not_answer_is_away_too(tmp_path: Path, gone: str) -> None:
    with stocked(tmp_path, spec("MAIL01", dag="DAG1"), spec("MAIL02", dag="DAG1")) as stock:
        stock.organisation[gone].state.enter_maintenance()
        stock.organisation[gone].faults.take_down()
        found = stock.discovered(["mail01.contoso.test", "mail02.contoso.test"])
    away = {state.info.name: state.away for state in found.servers}
    assert away.pop(gone).endswith("it does not answer")
    assert set(away.values()) == {""}


def test_servers_are_read_at_the_same_time(tmp_path: Path) -> None:
    specs = [spec(f"MAIL0{number}") for number in (1, 2, 3)]
    with stocked(tmp_path, *specs) as stock:
        for server in stock.organisation.servers.values():
            server.faults.inject(Delay(4.0), "Get-ExchangeCertificate")
        stock.discovered([one.fqdn for one in specs])
        order = [c.cmdlet for c in stock.organisation.calls if c.cmdlet in {FIRST, SECOND}]
    assert order == [FIRST] * 3 + [SECOND] * 3


def test_a_session_that_breaks_off_is_opened_again_and_all_is_read(tmp_path: Path) -> None:
    with stocked(tmp_path) as stock:
        for cmdlet in ("Get-PopSettings", "Get-ImapSettings"):
            stock.first.faults.inject(HttpStatus(503), cmdlet, times=2)
        found = stock.discovered()
    assert found.servers[0].pop_name
    assert not unknown(found)


@pytest.mark.parametrize(
    ("options", "form"),
    [
        ({}, "selected"),
        ({"select_sees_properties": False}, "serialized with query"),
        ({"select_sees_properties": False, "serializes_unasked": True}, "serialized"),
        ({"select_sees_properties": False, "wire_form": WireForm.RAW_DATA}, "raw"),
    ],
)
def test_the_form_in_which_certificates_come(tmp_path: Path, options: dict[str, Any], form: str) -> None:
    with stocked(tmp_path, spec(**options)) as stock:
        found = stock.discovered()
    assert found.servers[0].wire_form == form
    assert bool(unknown(found)) is (form == "raw")


def test_exchange_2013_has_its_own_cmdlet_for_autodiscover(tmp_path: Path) -> None:
    with stocked(tmp_path, spec(version=Version.EXCHANGE_2013)) as stock:
        (server,) = stock.discovered().servers
    assert server.addresses is not None
    assert "Autodiscover" in {a.service for a in server.addresses}
    assert not server.unknown


def test_the_server_that_answered_and_its_clock(tmp_path: Path) -> None:
    with stocked(tmp_path) as stock:
        (server,) = stock.discovered().servers
    assert server.clock_skew is not None
    assert abs(server.clock_skew.total_seconds()) < 5


def test_exchange_2013_with_its_roles_on_different_servers(tmp_path: Path) -> None:
    old = Version.EXCHANGE_2013
    specs = [spec("CAS01", version=old, role=Role.CLIENT_ACCESS), spec("MBX01", version=old, role=Role.MAILBOX)]
    with stocked(tmp_path, *specs) as stock:
        front, back = stock.discovered().servers
    assert (front.info.roles, back.info.roles) == ("ClientAccess", "Mailbox")
    assert front.addresses
    assert back.addresses == ()
    assert back.internal_transport
    assert not front.dag
    assert not {u.what for u in (*front.unknown, *back.unknown)}


def test_a_server_whose_certificates_cannot_be_read_is_told_by_name(tmp_path: Path) -> None:
    with stocked(tmp_path, spec("MAIL01"), spec("MAIL02")) as stock:
        stock.organisation["MAIL02"].faults.inject(Fail("The RPC server is unavailable."), FIRST, times=None)
        found = stock.discovered()
        assert [info.name for info in found.unread] == ["MAIL02"]
        assert [u.why for u in found.unknown if "RPC server is unavailable" in u.why]
        with pytest.raises(DeploymentError, match="RPC server is unavailable"):
            stock.discovered(["mail01.contoso.test", "mail02.contoso.test"])
