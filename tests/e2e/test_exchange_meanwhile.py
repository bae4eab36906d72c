"""What happens to a deployment while it is under way: it is killed, or somebody else changes the same things."""

import json
import os
import signal
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from certwright.domain.certificates import CertificateFacts
from certwright.domain.runs import DeploymentState, Stage
from certwright.engine.renew import renew_all
from certwright.exchange_simulator import Gone
from certwright.wiring import utc_now
from world.contoso import FRONT_END, OUTBOUND, Contoso
from world.hurry import hurried
from world.issued import issued
from world.site import Site

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]
PARTNER = "<I>CN=Partner CA<S>CN=relay.contoso.test"


@pytest.fixture
def place(tmp_path: Path) -> Iterator[tuple[Contoso, Site, str]]:
    """Two servers, and a certificate that is issued but not deployed."""
    with issued(tmp_path) as made:
        yield made


def agreed(site: Site, managed: str, *options: str) -> list[str]:
    planned = json.loads(site.cli("exchange", "plan", managed, "--json", *options, code=0).out)
    return ["exchange", "apply", managed, "--plan", planned[0]["hash"]]


def until(organisation: Contoso, cmdlet: str, times: int = 1) -> None:
    end = time.monotonic() + 60
    while organisation.mutations.count(cmdlet) < times:
        assert time.monotonic() < end, organisation.mutations
        time.sleep(0.002)


def killed(organisation: Contoso, site: Site, command: list[str]) -> None:
    """Run a command, and kill it when the first server has the certificate in use."""
    running = site.begin(*command)
    until(organisation, "Enable-ExchangeCertificate")
    os.kill(running.pid, signal.SIGKILL)
    running.wait()


def stands(site: Site, managed: str) -> DeploymentState:
    """Where the certificate's task stands."""
    with site.engine() as engine, engine.store.read() as unit:
        (task,) = unit.managed.get(managed).tasks
        found = unit.deployments.get(task.id)
    assert found
    return found


def newest(organisation: Contoso) -> str:
    """The thumbprint of what the authority signed last."""
    return CertificateFacts.of(organisation.ca.server.issued[-1].certificate).thumbprint


def names(organisation: Contoso, server: str) -> list[str | None]:
    """What the front-end receive connector of a server names."""
    connectors = organisation.organisation[server].state.receive_connectors
    return [c.tls_certificate_name for c in connectors if c.name.startswith(FRONT_END)]


@pytest.mark.parametrize("after", [3, 9])
def test_killed_half_way_the_same_command_goes_on(place: tuple[Contoso, Site, str], after: int) -> None:
    organisation, site, managed = place
    command = agreed(site, managed)
    running = site.begin(*command)
    end = time.monotonic() + 60
    while len(organisation.mutations) < after and running.is_alive:
        assert time.monotonic() < end
        time.sleep(0.002)
    os.kill(running.pid, signal.SIGKILL)
    running.wait()
    ended = site.cli(*command, code=0)
    assert "taken back" not in ended.told
    assert len(set(organisation.served().values())) == 1
    assert organisation.first.sha256 not in organisation.served().values()
    assert len(set(organisation.connectors.values())) == 1


def test_killed_half_way_a_server_that_cannot_be_read_now_takes_nothing_back(place: tuple[Contoso, Site, str]) -> None:
    organisation, site, managed = place
    command = agreed(site, managed)
    running = site.begin(*command)
    until(organisation, "Enable-ExchangeCertificate")
    os.kill(running.pid, signal.SIGKILL)
    running.wait()
    changed = organisation.mutations
    organisation.organisation["EX02"].faults.take_down()
    refused = site.cli("deploy", managed)
    assert refused.code in (1, 4)
    assert "taken back" not in refused.told
    assert organisation.mutations == changed
    organisation.organisation["EX02"].faults.heal()
    site.cli(*command, code=0)
    assert organisation.first.sha256 not in organisation.served().values()


def test_killed_half_way_no_run_that_nobody_looks_at_goes_on_or_back(place: tuple[Contoso, Site, str]) -> None:
    organisation, site, managed = place
    command = agreed(site, managed)
    killed(organisation, site, command)
    changed, served = organisation.mutations, organisation.served()
    refused = site.cli("certificate", "renew", managed, code=4)
    assert "a person has to agree first" in refused.told
    assert f"certwright deploy {managed}" in refused.told
    assert (organisation.mutations, organisation.served()) == (changed, served)
    state = stands(site, managed)
    assert state.stage is Stage.APPLYING
    assert state.retry_at
    assert state.retry_at > utc_now()
    site.cli(*command, code=0)
    assert organisation.first.sha256 not in organisation.served().values()


def test_killed_after_a_run_that_was_refused_it_says_how_to_go_on_and_not_why_that_was(
    place: tuple[Contoso, Site, str],
) -> None:
    organisation, site, managed = place
    command, sending = agreed(site, managed), organisation.organisation.state.send_connectors[0]
    sources = sending.source_servers
    sending.source_servers = (*sources, "EX09")
    assert "the plan was refused" in site.cli(*command, code=1).told
    sending.source_servers = sources
    killed(organisation, site, command)
    step = f"certwright task run {managed} {stands(site, managed).task_id}"
    for asked in (("exchange", "status"), ("certificate", "show", managed)):
        said = site.cli(*asked).told
        assert step in said
        assert "refused" not in said
    site.cli(*step.split()[1:], "--yes", code=0)
    assert step not in site.cli("exchange", "status", code=0).told
    assert organisation.first.sha256 not in organisation.served().values()


def test_servers_that_were_not_chosen_wait_for_the_maintenance_window(place: tuple[Contoso, Site, str]) -> None:
    _, site, managed = place
    chosen = ("--server", "ex01.contoso.test")
    site.cli("window", "add", "never", "--open", "2020-01-01 02:00-04:00", "--zone", "UTC", code=0)
    site.cli("certificate", "window", managed, "never", code=0)
    command = agreed(site, managed, *chosen)
    site.cli(*command, *chosen, code=3)
    site.cli(*command, *chosen, "--now", code=4)
    state = stands(site, managed)
    assert (state.stage, state.is_unfinished) == (Stage.WAITING, False)
    (held,) = json.loads(site.cli("certificate", "show", managed, "--json", code=0).out)["held"]
    assert "the window 'never' does not open" in held["message"]


def test_killed_half_way_only_the_rest_of_what_was_agreed_to_is_done(place: tuple[Contoso, Site, str]) -> None:
    organisation, site, managed = place
    named = organisation.connectors[OUTBOUND]
    command = agreed(site, managed)
    killed(organisation, site, command)
    changed, stood = organisation.mutations, stands(site, managed)
    added = organisation.organisation["EX02"].state.receive_connectors[-1]
    added.tls_certificate_name = named
    refused = site.cli(*command, code=1)
    assert f"Set-ReceiveConnector -Identity 'EX02\\{added.name}'" in refused.told
    assert (organisation.mutations, stands(site, managed)) == (changed, stood)
    newer = agreed(site, managed)
    assert newer[-1] in refused.told
    site.cli(*newer, code=0)
    assert added.tls_certificate_name != named
    assert organisation.first.sha256 not in organisation.served().values()


def test_a_plan_that_is_refused_by_its_hash_leaves_the_task_as_it_stood(place: tuple[Contoso, Site, str]) -> None:
    organisation, site, managed = place
    site.cli(*agreed(site, managed), code=0)
    stood, server = stands(site, managed), organisation.organisation["EX02"].state
    assert stood.stage is Stage.DEPLOYED
    internal = server.internal_transport
    server.internal_transport = newest(organisation)
    command = agreed(site, managed)
    server.internal_transport = internal
    site.cli(*command, code=1)
    assert stands(site, managed) == stood
    site.cli("certificate", "renew", managed, code=3)


def test_what_was_done_on_one_server_alone_goes_on_by_itself_once_that_is_released(
    place: tuple[Contoso, Site, str],
) -> None:
    organisation, site, managed = place
    command = [*agreed(site, managed, "--server", "ex01.contoso.test"), "--server", "ex01.contoso.test"]
    waits = site.cli(*command, code=4)
    assert "All is done but for ex02.contoso.test." in waits.told
    new = newest(organisation)
    assert new not in organisation.organisation["EX02"].state.certificates
    assert "All is done but for ex02.contoso.test." in site.cli("exchange", "status", code=0).out
    refused = site.cli("certificate", "renew", managed, code=4)
    assert "certwright exchange doctor" in refused.told
    site.cli("exchange", "apply", managed, "--yes", "--server", "ex01.contoso.test", code=4)
    stood, changed = stands(site, managed), organisation.mutations
    assert stood.stage is Stage.WAITING
    with site.engine() as engine, hurried():
        with engine.store.write() as unit:
            for kind in ("doctor", "supervised"):
                unit.records.put("organisation:contoso.test", kind, {"passed": True}, engine.now())
        assert renew_all(engine) == []
        assert organisation.mutations == changed
    with site.engine(now=lambda: utc_now() + timedelta(hours=30)) as engine, hurried():
        (done,) = renew_all(engine)
    assert [result.stage for result in done.tasks] == [Stage.DEPLOYED]
    assert organisation.first.sha256 not in organisation.served().values()
    assert len(set(organisation.connectors.values())) == 1
    assert "not finished" not in site.cli("exchange", "status", code=0).out


def test_a_connector_that_somebody_changes_meanwhile_stays_as_it_is(place: tuple[Contoso, Site, str]) -> None:
    organisation, site, managed = place
    running = site.begin(*agreed(site, managed))
    until(organisation, "Enable-ExchangeCertificate")
    organisation.organisation.state.send_connectors[0].tls_certificate_name = PARTNER
    ended = running.wait()
    assert ended.code == 4, ended.told
    assert "somebody else changed it" in ended.told
    assert organisation.organisation.state.send_connectors[0].tls_certificate_name == PARTNER
    assert organisation.first.sha256 not in organisation.served().values()


def test_what_a_person_repaired_before_the_undo_came_back_stays_so(place: tuple[Contoso, Site, str]) -> None:
    organisation, site, managed = place
    last = organisation.organisation["EX02"]
    last.faults.inject(Gone(committed=True, whole=True), "Enable-ExchangeCertificate", nth=3)
    stuck = site.cli(*agreed(site, managed), code=4)
    assert "EX02" in stuck.told or "ex02" in stuck.told
    again = site.cli("exchange", "plan", managed, code=4)
    assert "taken back" in again.told
    for connector in last.state.receive_connectors:
        if connector.name.startswith(FRONT_END):
            connector.tls_certificate_name = None
    last.faults.heal()
    site.cli("deploy", managed, code=1)
    assert names(organisation, "EX02") == [None]
