"""The Exchange task against the simulated organisation, over real sockets: when all goes well."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from certwright.domain.deployment import Verdict
from certwright.exchange_simulator import Fail, ServerSpec, WireForm
from peers.exchange_task import NAME, NAMES, WAYS, World, deploy, pfx, run, spec, verdicts, world

pytestmark = pytest.mark.e2e


@pytest.fixture
def one(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        yield made


def test_first_certificate_then_nothing_more_then_renewal(one: World) -> None:
    first, second = one.authority.issue(), one.authority.issue()

    _, rows = deploy(one.task(first))
    assert verdicts(rows) == {"IIS": {"ok"}, "SMTP": {"ok"}, "IMAP": {"ok"}, "POP": {"ok"}}
    assert len(rows) == len(WAYS)
    assert all(row.valid and set(row.names) == set(NAMES) for row in rows)
    assert set(one.served().values()) == {first.facts.sha256[:16]}

    done = len(one.mutations)
    plan, rows = deploy(one.task(first))
    assert not plan.changes
    assert len(one.mutations) == done
    assert {row.verdict for row in rows} == {Verdict.OK}

    _, rows = deploy(one.task(second, [first]))
    assert {row.verdict for row in rows} == {Verdict.OK}
    assert {row.before for row in rows} == {f"{first.facts.sha256[:16]} {NAMES[0]}"}
    assert set(one.served().values()) == {second.facts.sha256[:16]}


def test_every_mutation_names_the_server_and_asks_nothing(one: World) -> None:
    deploy(one.task(one.authority.issue()))
    on_exchange = [c for c in one.organisation.mutations if c.cmdlet != "Restart-Service"]
    assert on_exchange
    assert all(call.parameters["Server"] == "mail01.contoso.test" for call in on_exchange)
    assert all(call.parameters["Confirm"] is False for call in on_exchange)
    assert all(call.parameters["Force"] is True for call in on_exchange if call.cmdlet.startswith("Enable"))
    assert one.guards == len(one.mutations) + 2  # Set-Pop/ImapSettings found their names set by the assignment


def test_names_of_pop_and_imap_that_the_certificate_covers_stay(one: World) -> None:
    version, state = one.authority.issue(), one.first.state
    state.pop.x509_certificate_name = state.imap.x509_certificate_name = NAMES[1]
    one.first.faults.inject(Fail("Access is denied."), "Set-PopSettings", times=None)
    ended = run(one.task(version))
    assert ended.stage == "waiting", ended.told
    assert f"Set-PopSettings -Server 'mail01.contoso.test' -X509CertificateName '{NAMES[1]}'" in ended.told
    assert (state.pop.x509_certificate_name, state.imap.x509_certificate_name) == (NAME, NAMES[1])

    one.first.faults.heal()
    again = run(one.task(version))
    assert again.stage == "deployed", again.told
    assert (state.pop.x509_certificate_name, state.imap.x509_certificate_name) == (NAMES[1], NAMES[1])
    assert set(one.served().values()) == {version.facts.sha256[:16]}
    assert not one.task(version).plan().changes


def test_two_servers_get_the_same_certificate_imported_everywhere_first(tmp_path: Path) -> None:
    with world(tmp_path, spec("MAIL01"), spec("MAIL02")) as two:
        version = two.authority.issue()
        plan, rows = deploy(two.task(version))
        assert {row.verdict for row in rows} == {Verdict.OK}
        assert {row.server for row in rows} == {"mail01.contoso.test", "mail02.contoso.test"}
        actions = [change.action for change in plan.changes]
        assert actions[:2] == ["Import-ExchangeCertificate"] * 2
        assert "Import-ExchangeCertificate" not in actions[2:]
        for server in two.organisation.servers.values():
            assert set(two.served(server).values()) == {version.facts.sha256[:16]}


def test_the_back_end_site_and_the_internal_transport_certificate_stay(one: World) -> None:
    before = one.first.state.internal_transport
    back_end = one.first.state.served(444)
    deploy(one.task(one.authority.issue()))
    assert one.first.state.internal_transport == before
    assert one.first.state.served(444) is back_end
    assert before in one.journal.text


@pytest.mark.parametrize("form", [WireForm.SIGNED, WireForm.UNSIGNED])
def test_services_are_read_from_serialized_objects_where_select_shows_none(tmp_path: Path, form: WireForm) -> None:
    with world(tmp_path, spec(wire_form=form, select_sees_properties=False)) as made:
        first, second = made.authority.issue(), made.authority.issue()
        deploy(made.task(first))
        assert not made.task(first).plan().changes
        _, rows = deploy(made.task(second, [first], services=None))
        assert {row.verdict for row in rows} == {Verdict.OK}


def test_where_exchange_tells_nothing_of_services_the_ports_decide(tmp_path: Path) -> None:
    with world(tmp_path, spec(wire_form=WireForm.RAW_DATA, select_sees_properties=False)) as made:
        version = made.authority.issue()
        plan, rows = deploy(made.task(version))
        assert {row.verdict for row in rows} == {Verdict.OK}
        done = len(made.mutations)
        plan, _ = deploy(made.task(version))
        assert not plan.changes
        assert any("does not tell" in note for note in plan.notes)
        assert len(made.mutations) == done


def test_services_default_to_those_of_the_certificate_that_is_replaced(one: World) -> None:
    earlier, version = one.authority.issue(), one.authority.issue()
    one.first.add_certificate(pfx(earlier), "pfx", services="IIS, SMTP")
    plan, rows = deploy(one.task(version, [earlier], services=None))
    assert {row.service for row in rows} == {"IIS", "SMTP"}
    assert not any("Pop" in change.action or "Imap" in change.action for change in plan.changes)


def test_smtp_that_switches_with_a_delay_is_waited_for(tmp_path: Path) -> None:
    with world(tmp_path, spec(smtp_delay=1.0)) as slow:
        _, rows = deploy(slow.task(slow.authority.issue()))
        assert {row.verdict for row in rows} == {Verdict.OK}


def test_secrets_stay_out_of_the_plan_the_journal_and_the_memory(one: World) -> None:
    version = one.authority.issue()
    plan, _ = deploy(one.task(version))
    told = plan.model_dump_json() + one.journal.text + repr(one.memory.values)
    assert "correct horse" not in told
    assert "PRIVATE KEY" not in told
    assert "(random, used once)" in told


def test_connectors_that_announce_no_name_of_ours_are_not_verified_and_said_so(tmp_path: Path) -> None:
    with world(tmp_path, ServerSpec(name="MAIL01", fqdn="mail01.contoso.test")) as stock:
        ended = run(stock.task(stock.authority.issue(), services="IIS,SMTP"))
        assert ended.stage == "deployed", ended.told
        assert verdicts(ended.rows)["IIS"] == {"ok"}
        assert verdicts(ended.rows)["SMTP"] == {"not verified"}
        command = f"Set-ReceiveConnector -Identity 'MAIL01\\Default Frontend MAIL01' -Fqdn '{NAME}'"
        assert all(command in row.detail for row in ended.rows if row.service == "SMTP")


def test_the_first_deployment_takes_over_the_services_of_what_the_web_site_serves(tmp_path: Path) -> None:
    with world(tmp_path) as one:
        deploy(one.task(one.authority.issue()))
        one.memory.values.clear()
        plan = one.task(one.authority.issue(), services=None).plan()
        assert plan.changes[2].parameters["Services"] == "IMAP, POP, SMTP"


def test_that_nothing_is_verified_is_said_before_and_after(tmp_path: Path) -> None:
    with world(tmp_path) as one:
        plan, rows = deploy(one.task(one.authority.issue(), verify=["off"]))
        assert not rows
        assert any("the parameter verify leaves no port to look at" in note for note in plan.notes)
        assert "the parameter verify leaves none" in one.journal.text
