"""Cleanup: only what Certwright imported, nothing uses, and a later version has replaced for long enough."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from certwright.domain.deployment import Change
from certwright.domain.runs import Stage
from certwright.engine.exchange import cleanup as cleaning
from certwright.engine.task_list import change_task
from certwright.exchange.access.organisation import connect
from certwright.exchange.deployment import memory
from certwright.exchange.deployment.cleanup import CleanupPlan, Deferred, Ours, carry_out, plan_cleanup, stopped
from certwright.exchange.discovery.discover import discover
from certwright.exchange.model import Service
from certwright.exchange.settings import Settings
from certwright.exchange.snapshot import Snapshot
from certwright.exchange_simulator import Drop, Fail, SendConnector
from certwright.sdk.context import Credential, Material
from certwright.sdk.params import read_params
from peers.exchange_task import PASSWORD, USERNAME, Authority, World, deploy, pfx, spec, world
from world.house import House, house
from world.hurry import hurried

pytestmark = pytest.mark.e2e

NOW = datetime.now(UTC)
LESS: dict[str, Any] = {"services": "IIS,SMTP", "winrm": None}
REMOVE = "Remove-ExchangeCertificate"


@pytest.fixture
def renewed(tmp_path: Path) -> Iterator[tuple[World, Material, Material]]:
    """Two servers to which a first version was deployed, and then one of another issuer."""
    with world(tmp_path, spec("MAIL01"), spec("MAIL02")) as made:
        old, new = Authority("Contoso Old CA").issue(), made.authority.issue()
        deploy(made.task(old, **LESS))
        deploy(made.task(new, [old], **LESS))
        made.organisation.mutations.clear()
        yield made, old, new


def ours(made: World, old: Material, new: Material) -> Ours:
    return Ours(
        versions=(new.facts.thumbprint, old.facts.thumbprint),
        current=new.facts.thumbprint,
        since=NOW - timedelta(days=2),
        imported=memory.imported(made.memory),
        inspection=made.task(new, [old], **LESS).inspect(),
    )


def cleaned(made: World, known: Ours) -> tuple[CleanupPlan, tuple[Change, ...], tuple[Deferred, ...]]:
    settings = read_params(Settings, made.params(**LESS), "the task")
    with connect(settings, lambda name: Credential(name, USERNAME, PASSWORD)) as organisation:
        plan = plan_cleanup(discover(organisation, settings.servers, made.journal), known, NOW)
        return plan, *carry_out(plan, organisation, made.journal, lambda: None)


def seen(made: World) -> Snapshot:
    settings = read_params(Settings, made.params(**LESS), "the task")
    with connect(settings, lambda name: Credential(name, USERNAME, PASSWORD)) as organisation:
        return discover(organisation, settings.servers, made.journal)


def test_what_is_superseded_and_unused_is_removed_and_nothing_else(renewed: tuple[World, Material, Material]) -> None:
    made, old, new = renewed
    stranger = made.first.add_certificate(pfx(made.authority.issue(("other.test",))), "pfx", services="None")
    before = {name: set(server.state.certificates) for name, server in made.organisation.servers.items()}
    plan, removed, deferred = cleaned(made, ours(made, old, new))
    assert not plan.kept
    assert not deferred
    assert {change.target for change in removed} == {"mail01.contoso.test", "mail02.contoso.test"}
    assert made.mutations == [REMOVE, REMOVE]
    for name, server in made.organisation.servers.items():
        assert before[name] - set(server.state.certificates) == {old.facts.thumbprint}
    assert stranger.thumbprint in made.first.state.certificates


def test_a_response_that_was_lost_is_read_back(renewed: tuple[World, Material, Material]) -> None:
    made, old, new = renewed
    made.first.faults.inject(Drop(committed=True), REMOVE)
    _, removed, deferred = cleaned(made, ours(made, old, new))
    assert len(removed) == 2
    assert not deferred
    assert made.mutations == [REMOVE, REMOVE]


def test_what_exchange_refuses_is_deferred_with_its_reason(renewed: tuple[World, Material, Material]) -> None:
    made, old, new = renewed
    settings = read_params(Settings, made.params(**LESS), "the task")
    with connect(settings, lambda name: Credential(name, USERNAME, PASSWORD)) as organisation:
        plan = plan_cleanup(discover(organisation, settings.servers, made.journal), ours(made, old, new), NOW)
        stored = made.first.state.certificates[old.facts.thumbprint]
        made.organisation.state.send_connectors.append(
            SendConnector("To partner", tls_certificate_name=stored.tls_certificate_name)
        )
        removed, deferred = carry_out(plan, organisation, made.journal, lambda: None)
    assert not removed
    assert all("tagged with following Send Connectors : To partner" in one.reason for one in deferred)


class TestKept:
    """Each certificate of ours that stays has its reason."""

    def reasons(self, made: World, known: Ours) -> set[str]:
        plan = plan_cleanup(seen(made), known, NOW)
        assert not plan.removals
        return {"; ".join(kept.reasons) for kept in plan.kept}

    def test_for_a_day(self, renewed: tuple[World, Material, Material]) -> None:
        made, old, new = renewed
        known = replace(ours(made, old, new), since=NOW - timedelta(hours=23))
        assert all("24 hours" in reason for reason in self.reasons(made, known))
        assert self.reasons(made, replace(known, since=None)) == {
            "the current version is not known to be in use, verified on every port"
        }

    def test_until_all_ports_are_right(self, renewed: tuple[World, Material, Material]) -> None:
        made, old, new = renewed
        wrong = made.authority.issue()
        for server in made.organisation.servers.values():
            stored = server.add_certificate(pfx(wrong), "pfx", services="IIS")
            assert server.state.served(443) is stored
        reasons = self.reasons(made, ours(made, old, new))
        assert all("not every port serves what it should" in reason for reason in reasons)
        assert all("on which IIS serves the current version" in reason for reason in reasons)

    def test_while_a_connector_names_it(self, renewed: tuple[World, Material, Material]) -> None:
        made, old, new = renewed
        name = made.first.state.certificates[old.facts.thumbprint].tls_certificate_name
        made.organisation.state.send_connectors.append(SendConnector("To partner", tls_certificate_name=name))
        assert self.reasons(made, ours(made, old, new)) == {"the send connector 'To partner' names it"}

    def test_while_servers_use_it_among_themselves(self, renewed: tuple[World, Material, Material]) -> None:
        made, old, new = renewed
        for server in made.organisation.servers.values():
            server.state.internal_transport = old.facts.thumbprint
        assert self.reasons(made, ours(made, old, new)) == {"it is the internal transport certificate"}

    def test_while_not_all_connectors_could_be_read(self, renewed: tuple[World, Material, Material]) -> None:
        made, old, new = renewed
        blind = replace(seen(made), send_connectors=None)
        plan = plan_cleanup(blind, ours(made, old, new), NOW)
        assert {"; ".join(kept.reasons) for kept in plan.kept} == {"the send connectors cannot be read"}


def test_what_mail_ports_serve_is_kept_though_the_next_version_was_for_the_web_site_alone(tmp_path: Path) -> None:
    with world(tmp_path) as made:
        old, new = Authority("Contoso Old CA").issue(), made.authority.issue()
        deploy(made.task(old))
        deploy(made.task(new, [old], services="IIS"))
        assert made.served()[995] == old.facts.sha256[:16]
        known = replace(ours(made, old, new), inspection=made.task(new, [old], services="IIS").inspect())
        plan = plan_cleanup(seen(made), known, NOW)
        assert not plan.removals
        (kept,) = plan.kept
        for service in ("SMTP", "POP", "IMAP"):
            assert f"no port was seen on which {service} serves the current version" in kept.reasons
        for port in (25, 587, 143, 993, 110, 995):
            where = f"{':'.join(map(str, made.first.ports[port]))} (mail01.contoso.test) serves it"
            assert any(reason.endswith(where) for reason in kept.reasons)


def test_pop_that_does_not_run_keeps_nothing_if_its_host_says_so(tmp_path: Path) -> None:
    with world(tmp_path) as made:
        old, new = Authority("Contoso Old CA").issue(), made.authority.issue()
        for service in ("MSExchangePOP3", "MSExchangePOP3BE"):
            made.first.state.stop_service(service)
        deploy(made.task(old))
        deploy(made.task(new, [old]))
        known = replace(ours(made, old, new), inspection=made.task(new, [old]).inspect())
        (kept,) = plan_cleanup(seen(made), known, NOW).kept
        assert kept.reasons == ("no port was seen on which POP serves the current version",)
        settings = read_params(Settings, made.params(), "the task")
        with connect(settings, lambda name: Credential(name, USERNAME, PASSWORD)) as organisation:
            known = replace(known, stopped=stopped(organisation, settings.servers))
        assert known.stopped == {"mail01.contoso.test": Service.POP}
        assert plan_cleanup(seen(made), known, NOW).removals


class TestThroughTheEngine:
    """What is known of the ports and of the deployment comes from a real look, and from the store."""

    @pytest.fixture
    def one(self, tmp_path: Path) -> Iterator[House]:
        """Two versions were deployed, one after the other."""
        with house(tmp_path, few=True) as made:
            for _ in range(2):
                made.next_version()
                made.deployed()
            yield made

    def planned(self, one: House) -> CleanupPlan:
        later = datetime.now(UTC) + timedelta(days=2)
        with one.site.engine(now=lambda: later) as engine, hurried():
            (found,) = cleaning.plan(engine, one.managed_id)
        return found.plan

    def test_what_is_superseded_on_green_ports_goes(self, one: House) -> None:
        plan = self.planned(one)
        assert len(plan.removals) == 1
        assert not plan.kept

    def test_nothing_is_removed_to_which_nobody_agreed(self, one: House) -> None:
        shown, later = self.planned(one), datetime.now(UTC) + timedelta(days=2)
        with one.site.engine(now=lambda: later) as engine, hurried():
            (kept,) = cleaning.carry_out(engine, one.managed_id, ())
            assert not kept.removed
            assert [each.reasons for each in kept.plan.kept] == [("nobody has agreed to its removal yet",)]
            (done,) = cleaning.carry_out(engine, one.managed_id, shown.removals)
        assert [change.target for change in done.removed] == [change.target for change in shown.removals]

    def test_a_removal_that_exchange_refuses_is_told_by_the_exit_code(self, one: House) -> None:
        with one.site.engine() as engine, engine.store.write() as unit:
            (task,) = unit.managed.get(one.managed_id).tasks
            state = unit.deployments.get(task.id)
            assert state
            before = datetime.now(UTC) - timedelta(days=2)
            unit.deployments.save(state.model_copy(update={"updated_at": before}))
        one.exchange.server.faults.inject(Fail("It is referred to.", terminating=True), REMOVE)
        refused = one.site.cli("exchange", "cleanup", one.managed_id, "--yes", code=1)
        assert "It is referred to." in refused.out
        one.site.cli("exchange", "cleanup", one.managed_id, "--yes", code=0)

    def test_no_port_that_is_looked_at_is_no_green_port(self, one: House) -> None:
        with one.site.engine() as engine, engine.store.read() as unit:
            (task,) = unit.managed.get(one.managed_id).tasks
        with one.site.engine() as engine:
            change_task(engine, one.managed_id, task.id, {"verify": ["off"]})
        one.deployed()
        (kept,) = self.planned(one).kept
        told = [f"no port was seen on which {service} serves the current version" for service in ("IIS", "SMTP")]
        assert kept.reasons == tuple(told)

    @pytest.mark.parametrize("changed", [{"stage": Stage.WAITING}, {"version_id": "another"}])
    def test_the_version_has_to_be_deployed(self, one: House, changed: dict[str, Any]) -> None:
        with one.site.engine() as engine, engine.store.write() as unit:
            (task,) = unit.managed.get(one.managed_id).tasks
            state = unit.deployments.get(task.id)
            assert state
            unit.deployments.save(state.model_copy(update=changed))
        (kept,) = self.planned(one).kept
        assert kept.reasons == ("the current version is not known to be in use, verified on every port",)


def test_a_connector_that_names_both_gets_a_window_proposed_and_is_not_touched(tmp_path: Path) -> None:
    with world(tmp_path) as made:
        old, new = made.authority.issue(), made.authority.issue(days=120)
        deploy(made.task(old, **LESS))
        name = made.first.state.certificates[old.facts.thumbprint].tls_certificate_name
        made.organisation.state.send_connectors.append(SendConnector("To partner", tls_certificate_name=name))
        deploy(made.task(new, [old], **LESS))
        plan, removed, _ = cleaned(made, ours(made, old, new))
        assert not removed
        (kept,) = plan.kept
        (told,) = kept.reasons
        blank = told.index("-TlsCertificateName $null")
        removal = told.index(f"-Thumbprint '{old.facts.thumbprint}'")
        assert blank < removal < told.index(f"-TlsCertificateName '{name}'")
        assert made.organisation.state.send_connectors[0].tls_certificate_name == name
