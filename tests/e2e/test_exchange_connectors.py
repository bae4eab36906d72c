"""Connectors follow the certificate, by what Exchange itself tells of it; and go back with it."""

import itertools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from certwright.domain.errors import NeedsPerson
from certwright.exchange_simulator import Fail, Gone, HybridConfiguration, SendConnector, StoredCertificate
from certwright.sdk.context import Material
from peers.exchange_task import Authority, World, deploy, pfx, run, spec, world

pytestmark = pytest.mark.e2e

SET_SEND, SET_RECEIVE, SET_HYBRID = "Set-SendConnector", "Set-ReceiveConnector", "Set-HybridConfiguration"
LESS: dict[str, Any] = {"services": "IIS,SMTP", "winrm": None}


@pytest.fixture
def two(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path, spec("MAIL01"), spec("MAIL02")) as made:
        yield made


def less(made: World) -> dict[str, Any]:
    """Fewer ports, so that less is looked at."""
    return {**LESS, "verify": [word for word in made.params()["verify"] if "/IIS" in word or "/SMTP" in word]}


def stored(made: World, material: Material) -> StoredCertificate:
    found = [s.add_certificate(pfx(material), "pfx", services="IIS, SMTP") for s in made.organisation.servers.values()]
    return found[0]


def named_by(made: World, earlier: StoredCertificate) -> SendConnector:
    """An organisation all of whose connectors name `earlier`."""
    connector = SendConnector("To partner", tls_certificate_name=earlier.tls_certificate_name)
    made.organisation.state.send_connectors.append(connector)
    made.organisation.state.hybrid = HybridConfiguration(tls_certificate_name=earlier.tls_certificate_name)
    made.first.state.receive_connectors[0].tls_certificate_name = earlier.tls_certificate_name
    return connector


def values(made: World) -> set[str | None]:
    state = made.organisation.state
    assert state.hybrid is not None
    return {
        state.send_connectors[0].tls_certificate_name,
        state.hybrid.tls_certificate_name,
        made.first.state.receive_connectors[0].tls_certificate_name,
    }


def test_all_that_named_the_earlier_certificate_name_the_new_one_of_another_issuer(two: World) -> None:
    old = Authority("Contoso Old CA").issue()
    version = two.authority.issue()
    named_by(two, stored(two, old))
    plan, rows = deploy(two.task(version, [old], **less(two)))
    assert values(two) == {"<I>CN=Contoso Test CA<S>CN=mail.contoso.test"}
    assert {row.verdict.value for row in rows} == {"ok"}
    last = plan.changes[-2:]
    assert [change.action for change in last] == [SET_SEND, SET_HYBRID]
    assert {change.wave for change in last} == {3}
    assert "as Exchange writes" in last[0].parameters["TlsCertificateName"]
    assert '"<I>$($new.Issuer)<S>$($new.Subject)"' in last[0].typed
    assert "<I>CN=Contoso Old CA<S>CN=mail.contoso.test" in last[0].inverse
    assert not two.task(version, [old], **less(two)).plan().changes


def test_what_cannot_be_read_when_it_is_its_turn_stays_as_it_is(two: World) -> None:
    old, version = Authority("Contoso Old CA").issue(), two.authority.issue()
    named_by(two, stored(two, old))
    state = two.organisation.state
    before = state.send_connectors[0].tls_certificate_name
    task = two.task(version, [old], **less(two))
    rows, plan = task.baseline(), task.plan()
    silent = Fail("Active Directory does not answer.", terminating=True)
    for server in two.organisation.servers.values():
        server.faults.inject(silent, "Get-SendConnector", times=None)
    assert {SET_SEND, SET_HYBRID} <= {change.action for change in plan.changes}
    task.apply(plan)
    with pytest.raises(NeedsPerson) as waiting:
        task.verify(rows)
    told = "\n".join(waiting.value.explain())
    assert "The send connector 'To partner' cannot be read now" in told
    assert not {SET_SEND, SET_HYBRID} & set(two.mutations)
    assert state.send_connectors[0].tls_certificate_name == before
    for server in two.organisation.servers.values():
        server.faults.heal()
    assert run(two.task(version, [old], **less(two))).stage == "deployed"
    assert values(two) == {"<I>CN=Contoso Test CA<S>CN=mail.contoso.test"}


def test_where_issuer_and_subject_stay_the_same_nothing_is_set_and_that_is_said(two: World) -> None:
    old, version = two.authority.issue(), two.authority.issue(days=120)
    named_by(two, stored(two, old))
    plan, _ = deploy(two.task(version, [old], **less(two)))
    assert not {SET_SEND, SET_RECEIVE, SET_HYBRID} & set(two.mutations)
    assert len([f for f in plan.findings if f.check == "connector-same-name"]) == 3


def test_a_connector_that_names_nothing_of_ours_is_left_alone_unless_it_is_chosen(two: World) -> None:
    version = two.authority.issue()
    state = two.organisation.state
    state.send_connectors += [SendConnector("To partner"), SendConnector("To internet")]
    ended = run(two.task(version, **less(two), connectors=["to partner", "MAIL02\\Default Frontend MAIL02"]))
    assert ended.stage == "deployed", ended.told
    assert [c.tls_certificate_name for c in state.send_connectors] == [
        "<I>CN=Contoso Test CA<S>CN=mail.contoso.test",
        None,
    ]
    names = [s.state.receive_connectors[0].tls_certificate_name for s in two.organisation.servers.values()]
    assert names == [None, "<I>CN=Contoso Test CA<S>CN=mail.contoso.test"]


def test_a_connector_that_does_not_exist_is_named_before_anything_is_changed(two: World) -> None:
    ended = run(two.task(two.authority.issue(), **less(two), connectors="To nowhere"))
    assert ended.stage == "failed"
    assert "There is no connector 'To nowhere'" in ended.told
    assert not two.mutations


def test_a_connector_that_sends_through_a_server_without_the_certificate_stops_all(two: World) -> None:
    old = Authority("Contoso Old CA").issue()
    named_by(two, stored(two, old)).source_servers = ("MAIL01", "MAIL09")
    ended = run(two.task(two.authority.issue(), [old], **less(two)))
    assert ended.stage == "failed"
    assert "sends through MAIL09 too" in ended.told
    assert not two.mutations


def test_a_connector_that_cannot_be_set_is_left_to_a_person_and_all_else_is_done(two: World) -> None:
    old = Authority("Contoso Old CA").issue()
    version = two.authority.issue()
    connector = named_by(two, stored(two, old))
    two.first.faults.inject(Fail("Access is denied."), SET_SEND, times=None)
    ended = run(two.task(version, [old], **less(two)))
    assert ended.stage == "waiting", ended.told
    assert "Set-SendConnector -Identity 'To partner'" in ended.told
    assert connector.tls_certificate_name == "<I>CN=Contoso Old CA<S>CN=mail.contoso.test"
    assert {two.served(s)[443] for s in two.organisation.servers.values()} == {version.facts.sha256[:16]}
    two.first.faults.heal()
    again = run(two.task(version, [old], **less(two)))
    assert again.stage == "deployed", again.told
    assert values(two) == {"<I>CN=Contoso Test CA<S>CN=mail.contoso.test"}


@pytest.mark.parametrize("transport", ["restarted here", "restarted by a person"])
def test_a_receive_connector_of_the_canary_that_cannot_be_set_is_left_too(two: World, transport: str) -> None:
    """Its port goes on serving the earlier, valid certificate, as it would after an undo."""
    old = Authority("Contoso Old CA").issue()
    version = two.authority.issue()
    named_by(two, stored(two, old))
    params = less(two) if transport == "restarted by a person" else {**less(two), "winrm": two.params()["winrm"]}
    two.first.faults.inject(Fail("Access is denied."), SET_RECEIVE, times=None)
    ended = run(two.task(version, [old], **params))
    assert ended.stage == "waiting", ended.told
    assert "Set-ReceiveConnector -Identity 'MAIL01\\Default Frontend MAIL01'" in ended.told
    assert {two.served(s)[443] for s in two.organisation.servers.values()} == {version.facts.sha256[:16]}
    assert two.served(two.organisation["MAIL02"])[25] == version.facts.sha256[:16]
    assert two.served()[25] == old.facts.sha256[:16]
    two.first.faults.heal()
    again = run(two.task(version, [old], **params))
    assert again.stage == "deployed", again.told
    assert two.served()[25] == version.facts.sha256[:16]


def test_another_server_carries_it_out_when_the_first_is_gone(two: World) -> None:
    old = Authority("Contoso Old CA").issue()
    version = two.authority.issue()
    named_by(two, stored(two, old))
    two.first.faults.inject(Gone(committed=True), SET_SEND)
    ended = run(two.task(version, [old], **less(two)))
    two.first.faults.heal()
    assert ended.stage == "deployed", ended.told
    assert values(two) == {"<I>CN=Contoso Test CA<S>CN=mail.contoso.test"}
    assert two.mutations.count(SET_SEND) == 1


def test_after_a_run_that_died_the_undo_restores_what_each_named_and_blank_where_it_was_blank(two: World) -> None:
    old = Authority("Contoso Old CA").issue()
    connector = named_by(two, stored(two, old))
    two.organisation.state.send_connectors.append(SendConnector("To internet"))
    task = two.task(two.authority.issue(), [old], **less(two), connectors="To internet")
    before = task.baseline()
    task.apply(task.plan())
    assert connector.tls_certificate_name == "<I>CN=Contoso Test CA<S>CN=mail.contoso.test"
    later = two.task(task.context.material, [old], **less(two))
    later.undo()
    assert values(two) == {"<I>CN=Contoso Old CA<S>CN=mail.contoso.test"}
    assert two.organisation.state.send_connectors[1].tls_certificate_name is None
    assert {row.verdict.value for row in later.verify_undone(before)} == {"ok"}


@pytest.mark.parametrize("survivors", [3, 7, 9])
def test_a_run_that_is_killed_on_the_way_is_gone_on_with(two: World, survivors: int) -> None:
    old = Authority("Contoso Old CA").issue()
    version = two.authority.issue()
    named_by(two, stored(two, old))
    internal = [server.state.internal_transport for server in two.organisation.servers.values()]
    task = two.task(version, [old], **less(two))
    before = task.baseline()
    plan = task.plan()
    left = itertools.count(survivors, -1)

    def guard() -> None:
        if next(left) <= 0:
            raise KeyboardInterrupt

    task.context = replace(task.context, guard=guard)
    with pytest.raises(KeyboardInterrupt):
        task.apply(plan)
    assert 0 < len(two.mutations) < len(plan.changes)
    ended = run(two.task(version, [old], **less(two)), before)
    assert ended.stage == "deployed", ended.told
    assert values(two) == {"<I>CN=Contoso Test CA<S>CN=mail.contoso.test"}
    assert {two.served(s)[443] for s in two.organisation.servers.values()} == {version.facts.sha256[:16]}
    assert [server.state.internal_transport for server in two.organisation.servers.values()] == internal
    assert two.mutations.count("Import-ExchangeCertificate") == 2
