"""A deployment whose process is killed half-way: what is at work, what is told of it, and who goes on with it."""

import os
import re
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from certwright.domain.access import Caller, Permission, Role
from certwright.domain.actors import Actor, ActorKind
from certwright.domain.managed import TaskSettings
from certwright.domain.runs import DeploymentState, Outcome, Run, RunKind, Stage
from certwright.engine.people import add_person
from certwright.engine.request import request
from certwright.engine.task_list import add_task
from certwright.engine.worker import Worker
from certwright.exchange_simulator import Fail
from certwright.sdk.context import Credential
from e2e.test_exchange_departed import some
from world import dying, processes
from world.contoso import AUTODISCOVER, OUTBOUND, PASSWORD, PUBLIC, USERNAME, Contoso, contoso
from world.dying import Boundary, Death
from world.house import house, told
from world.hurry import hurried
from world.site import Site, describe, register
from world.web import Browser, pages_of

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]
ANNA = Caller(Actor(kind=ActorKind.PERSON, name="anna"), frozenset(Permission))
HALF = "broken off half-way"
SEEN = "ex01.contoso.test has the new certificate; ex02.contoso.test has the old one."


@dataclass(frozen=True, slots=True)
class Place:
    """Two servers, of which the first has the new certificate: whoever changed them was killed then."""

    organisation: Contoso
    site: Site
    managed: str
    task: str

    def state(self) -> DeploymentState:
        with self.site.engine() as engine, engine.store.read() as unit:
            found = unit.deployments.get(self.task)
        assert found
        return found

    def newest(self) -> Run:
        with self.site.engine() as engine, engine.store.read() as unit:
            return next(run for run in unit.runs.list(self.managed) if run.kind is RunKind.DEPLOY)

    def served(self) -> set[str | None]:
        return {self.organisation.served()[server, 443] for server in ("EX01", "EX02")}

    def work(self) -> None:
        """What the worker of a service does with what is due, until that is done."""
        with self.site.engine() as engine, hurried():
            worker = Worker(engine)
            with worker._pool:
                worker.tick()


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """Nobody has looked on yet when a deployment succeeded, and an earlier one has failed: it is tried again later."""
    with contoso(tmp_path / "exchange", ("EX01", "EX02")) as organisation:
        site = Site(tmp_path).initialise()
        register(site, organisation.ca)
        params = some(organisation, [server.spec.fqdn for server in organisation.servers])
        with site.engine() as engine:
            add_person(engine, ANNA.actor.name, Role.ADMINISTRATOR, "correct horse battery")
            managed = describe(engine, organisation.ca, PUBLIC, AUTODISCOVER, key_type="rsa-2048").id
            with engine.store.write() as unit:
                unit.records.put("organisation:contoso.test", "acknowledged", [OUTBOUND], engine.now())
                unit.credentials.add("exchange", Credential("exchange", USERNAME, PASSWORD))
            task = add_task(engine, managed, TaskSettings(kind="exchange", title="exchange", params=params)).id
            request(engine, managed)
            with engine.store.write() as unit:
                failed = {"failures": 2, "failing_since": engine.now(), "retry_at": engine.now() + timedelta(hours=1)}
                state = DeploymentState(task_id=task, managed_id=managed, stage=Stage.FAILED, message="It was late.")
                unit.deployments.save(state.model_copy(update={**failed, "updated_at": engine.now()}))
        made = Place(organisation, site, managed, task)
        death = Death(Boundary.ENTRY, 1, "Wave 2")
        killed = processes.run(dying.deploy, managed, death, ANNA, folder=site.folder, environment=site.environment)
        assert killed.code == -9, killed.told
        assert len(made.served()) == 2
        yield made


def section(browser: Browser, title: str) -> str:
    """What stands on the overview beneath this heading."""
    text = browser.get("/").text.partition(f"<h2>{title}</h2>")[2].partition("<h2>")[0]
    return " ".join(re.sub(r"<[^>]+>", " ", text).split())


def test_nobody_is_called_at_work_whose_process_was_killed_and_who_has_to_agree_is_asked(place: Place) -> None:
    path = f"/certificates/{place.managed}"
    with pages_of(place.site) as pages:
        browser = pages.signed_in()
        assert place.newest().outcome is None
        assert section(browser, "At work now") == "Nothing."
        assert PUBLIC not in browser.get("/system").words.partition("Who works on the store")[2]
        assert place.newest().outcome is Outcome.INTERRUPTED
        assert "deploy interrupted" in browser.get(f"{path}/log").words
        for words in (browser.get(path).words, browser.get(f"{path}/deployment").words):
            assert f"The deployment was {HALF}. It goes on by itself." in words
            assert "At work now" not in words
            assert "Nothing was changed" not in words
    place.work()
    assert place.newest().outcome is Outcome.WAITING
    assert len(place.served()) == 2
    with pages_of(place.site) as pages:
        browser = pages.signed_in()
        wants = section(browser, "What needs a person")
        assert f"The deployment was {HALF}: {SEEN} Nothing more was changed: a person has to agree first." in wants
        assert browser.get("/").text.count(f'href="{path}/deployment" title="certwright task run') == 1
        for words in (browser.get(path).words, browser.get(f"{path}/deployment").words):
            assert f"{HALF}: {SEEN}" in words
            assert "Nothing was changed" not in words
        assert re.search(r"ex01\.contoso\.test IIS", browser.get(f"{path}/deployment").words)
    listed = place.site.cli("status", code=1).told
    assert f"{HALF}: {SEEN}" in listed
    assert "Nothing was changed" not in listed


def test_a_service_that_is_started_again_goes_on_at_once_whatever_pause_was_kept_before(place: Place) -> None:
    with place.site.engine() as engine, engine.store.write() as unit:
        for kind in ("doctor", "supervised"):
            unit.records.put("organisation:contoso.test", kind, {"passed": True}, engine.now())
    running, give_up = place.site.begin("serve"), time.monotonic() + 120
    try:
        while place.state().stage is not Stage.DEPLOYED:
            assert time.monotonic() < give_up, place.state()
            time.sleep(0.2)
    finally:
        os.kill(running.pid, signal.SIGTERM)
        running.wait()
    with place.site.engine() as engine, engine.store.read() as unit:
        done, killed = [run for run in unit.runs.list(place.managed) if run.kind is RunKind.DEPLOY]
    assert (done.outcome, killed.outcome) == (Outcome.DONE, Outcome.INTERRUPTED)
    assert killed.ended_at
    assert killed.ended_at <= done.started_at
    assert len(place.served()) == 1


def test_what_was_being_taken_back_is_gone_on_with_at_once(tmp_path: Path) -> None:
    with house(tmp_path, few=True) as one:
        one.next_version()
        one.exchange.server.faults.inject(Fail("Access is denied."), "Enable-ExchangeCertificate", times=None)
        death = Death(Boundary.ENTRY, 1, "Take the changes back")
        killed = processes.run(
            dying.deploy, one.managed_id, death, folder=one.site.folder, environment=one.site.environment
        )
        assert killed.code == -9, killed.told
        one.exchange.server.faults.heal()
        with one.site.engine() as engine, engine.store.read() as unit:
            (task,) = unit.managed.get(one.managed_id).tasks
            state, due = unit.deployments.get(task.id), unit.managed.next_check(one.managed_id)
            assert state
            assert (state.stage, state.failures, state.retry_at) == (Stage.UNDOING, 1, None)
            assert due
            assert due <= engine.now()
        result = one.deploy()
        assert result.stage is Stage.ROLLED_BACK, told(result)
