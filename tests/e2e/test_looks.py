"""What is in use is looked at by itself: what somebody changes is found, told by mail, and over when repaired."""

import json
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from certwright.domain.events import EventKind
from certwright.domain.health_rules import Health
from certwright.domain.runs import RunKind
from certwright.engine.channels import add_channel
from certwright.engine.context import Engine
from certwright.engine.deploy import deploy
from certwright.engine.hold import hold, release
from certwright.engine.looks import Looked, look_at_due
from certwright.engine.managed import details
from certwright.engine.notify import deliver
from certwright.engine.request import request
from certwright.engine.status import judge_stale, status
from certwright.engine.task_list import change_task
from certwright.exchange_simulator import Services
from certwright.exchange_simulator.certificates import read_bundle
from certwright.wiring import utc_now
from peers.exchange_task import Authority, pfx
from peers.mailbox import Mailbox, mailbox
from peers.ports import free_port
from world import dying, processes
from world.dying import Boundary, Death
from world.house import House, house
from world.hurry import hurried
from world.processes import until
from world.site import Site

pytestmark = pytest.mark.e2e
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
LOOKS = {EventKind.DRIFT, EventKind.DRIFT_OVER}


@dataclass
class Watch:
    """A house whose certificate was deployed, with a clock that tests move."""

    house: House
    engine: Engine
    passed: list[timedelta] = field(default_factory=list)

    def later(self, passed: timedelta) -> None:
        """Move the clock."""
        self.passed.append(passed)

    def look(self, passed: timedelta = timedelta()) -> Looked | None:
        """A while later look at what is due."""
        self.later(passed)
        with hurried():
            done = look_at_due(self.engine)
        assert len(done) <= 1
        return done[0] if done else None

    def rebind(self) -> None:
        """What somebody does who imports another certificate and binds it to the web site."""
        state = self.house.exchange.server.state
        stored = state.import_certificate(
            read_bundle(pfx(Authority("Else").issue(["else.contoso.test"])), "pfx"),
            exportable=False,
            friendly_name=None,
        )
        state.enable(stored.thumbprint, Services.IIS, replace_internal_transport=False)

    def told(self) -> list[EventKind]:
        """The events of looks, oldest first."""
        with self.engine.store.read() as unit:
            return [event.kind for event in reversed(unit.events.last(100)) if event.kind in LOOKS]

    def health(self) -> tuple[Health, str]:
        """As it is kept, which is as it is judged anew."""
        judge_stale(self.engine)
        with self.engine.store.read() as unit:
            (kept,) = unit.healths.list(tuple(Health))
        shown = details(self.engine, self.house.managed_id).health
        whenever = {"until": None}  # it counts from the judgement
        assert kept.condition.model_copy(update=whenever) == shown.model_copy(update=whenever)
        return shown.health, shown.rule


@pytest.fixture
def watch(tmp_path: Path) -> Iterator[Watch]:
    with house(tmp_path, few=True) as made:
        passed: list[timedelta] = []

        def now() -> datetime:
            return utc_now() + sum(passed, timedelta())

        with made.site.engine(now=now) as engine, hurried():
            request(engine, made.managed_id)
            (result,) = deploy(engine, made.managed_id)
            assert result.error is None, result.error
            yield Watch(made, engine, passed)


@pytest.fixture
def box(watch: Watch) -> Iterator[Mailbox]:
    with mailbox() as made:
        params = {"host": "localhost", "port": made.port, "security": "none", "sender": "certwright@contoso.test"}
        add_channel(watch.engine, "smtp", "mail", {**params, "to": ["admin@contoso.test"]}, checked=False)
        yield made


def test_what_somebody_rebinds_is_found_told_by_mail_and_over_when_it_is_repaired(watch: Watch, box: Mailbox) -> None:
    assert watch.health() == (Health.OK, "well")
    assert watch.look() is None
    assert watch.look(2 * HOUR)
    assert (watch.told(), watch.look()) == ([], None)
    watch.rebind()
    found = watch.look(1.2 * DAY)
    assert found
    assert {f.check for f in next(iter(found.looks.tasks.values())).differences} == {"drift-web-site"}
    assert watch.told() == [EventKind.DRIFT]
    assert watch.health() == (Health.CRITICAL, "served-invalid")
    with hurried():
        deliver(watch.engine)
    (mail,) = [one for one in box.mails if "served" in one["Subject"]]  # a summary may come too
    body = mail.get_body(("plain",))
    assert body
    assert "is not served as deployed" in str(mail["Subject"])
    assert "Somebody bound the Default Web Site" in " ".join(body.get_content().split())
    assert "certwright exchange plan" in body.get_content()
    (run,) = [run for run in _runs(watch) if run.kind is RunKind.LOOK]
    assert "Somebody bound the Default Web Site" in run.message

    assert watch.look(2 * HOUR)
    assert watch.told() == [EventKind.DRIFT]
    with hurried():
        (repaired,) = deploy(watch.engine, watch.house.managed_id, attended=True)
    assert repaired.error is None, repaired.error
    assert watch.health() == (Health.OK, "well")
    assert watch.look(2 * HOUR)
    assert watch.told() == [EventKind.DRIFT, EventKind.DRIFT_OVER]
    watch.later(HOUR)
    with hurried():
        deliver(watch.engine)
    assert "is served as deployed again" in str(box.mails[-1]["Subject"])
    assert watch.look(1.2 * DAY)
    assert watch.told() == [EventKind.DRIFT, EventKind.DRIFT_OVER]


def _runs(watch: Watch) -> Any:
    with watch.engine.store.read() as unit:
        return unit.runs.list(watch.house.managed_id)


def test_what_somebody_puts_back_by_hand_is_over_without_a_deployment(watch: Watch) -> None:
    state = watch.house.exchange.server.state
    ours = details(watch.engine, watch.house.managed_id).facts
    assert ours
    watch.rebind()
    assert watch.look(2 * HOUR)
    state.enable(ours.thumbprint, Services.IIS, replace_internal_transport=False)
    assert watch.look(2 * HOUR)
    assert watch.told() == [EventKind.DRIFT, EventKind.DRIFT_OVER]
    assert watch.health() == (Health.OK, "well")


def test_a_target_that_cannot_be_reached_is_unknown_and_needs_attention_when_that_repeats(watch: Watch) -> None:
    host, port = "127.0.0.1", free_port()
    with watch.engine.store.write() as unit:
        managed = unit.managed.get(watch.house.managed_id)
        (task,) = managed.tasks
        away = {**task.params, "endpoint": f"http://{host}:{port}/PowerShell/", "verify": [f"IIS:{host}:{port}"]}
        moved = managed.model_copy(update={"tasks": (task.model_copy(update={"params": away}),)})
        unit.managed.update(moved)
    found = []
    for pause in (2 * HOUR, 2 * HOUR, 3 * HOUR):
        done = watch.look(pause)
        assert done
        found.append((next(iter(done.looks.tasks.values())).failures, watch.health()))
    assert found == [
        (1, (Health.OK, "well")),
        (2, (Health.OK, "well")),
        (3, (Health.ATTENTION, "unseen")),
    ]
    assert watch.told() == []


def test_what_is_being_changed_is_left_alone(watch: Watch) -> None:
    change_task(watch.engine, watch.house.managed_id, "exchange", {"friendly_name": "Other"})
    watch.rebind()
    assert watch.look(2 * HOUR)
    assert watch.told() == []
    assert watch.health() == (Health.RENEWING, "deploying")


def test_a_deployment_during_the_look_makes_it_count_for_nothing(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    watch.rebind()
    whole = type(watch.engine.store).write
    begun: list[bool] = []

    def meanwhile(store: Any, *held: Any) -> Any:
        if not begun and not held:  # the first is that which takes what is due
            begun.append(True)
            return whole(store, *held)
        if len(begun) == 1:
            begun.append(True)
            (result,) = deploy(watch.engine, watch.house.managed_id, attended=True)
            assert result.error is None, result.error
        return whole(store, *held)

    monkeypatch.setattr(type(watch.engine.store), "write", meanwhile)
    assert watch.look(2 * HOUR)
    assert len(begun) == 2
    assert watch.look() is None
    assert watch.look(1.1 * HOUR)
    assert watch.told() == []
    assert watch.health() == (Health.OK, "well")


def test_what_two_would_look_at_is_looked_at_by_one(watch: Watch) -> None:
    watch.later(2 * HOUR)
    now = watch.engine.now()
    with watch.engine.store.write() as unit:
        assert len(unit.looks.take(now, 10, now + HOUR)) == 1
        assert unit.looks.take(now, 10, now + HOUR) == []
    assert watch.look() is None


@pytest.mark.parametrize("nth", [1, 2])
def test_who_is_killed_before_the_look_is_kept_has_told_nothing_and_another_one_tells(watch: Watch, nth: int) -> None:
    watch.rebind()
    with watch.engine.store.write() as unit:
        unit.looks.schedule(watch.house.managed_id, watch.engine.now())
    site = watch.house.site
    killed = processes.start(
        dying.look, Death(Boundary.EFFECT, nth), folder=site.folder, environment=site.environment
    ).wait()
    assert killed.code == -signal.SIGKILL, killed.told
    assert watch.told() == []
    assert watch.look(20 * timedelta(minutes=1))
    assert watch.told() == [EventKind.DRIFT]


def test_the_service_looks_by_itself(watch: Watch) -> None:
    watch.rebind()
    with watch.engine.store.write() as unit:
        unit.looks.schedule(watch.house.managed_id, watch.engine.now())
    service = watch.house.site.begin("serve", "--workers", "1")
    try:
        until(lambda: bool(watch.told()))
    finally:
        os.kill(service.pid, signal.SIGTERM)
        ended = service.wait()
    assert ended.code == 0, ended.told
    assert watch.told() == [EventKind.DRIFT]


def test_health_follows_what_a_person_decides_and_what_fails(watch: Watch) -> None:
    hold(watch.engine, watch.house.managed_id, "server move", None)
    assert watch.health() == (Health.PAUSED, "held")
    release(watch.engine, watch.house.managed_id)
    assert watch.health() == (Health.OK, "well")
    watch.later(5 * DAY)
    assert watch.health() == (Health.ATTENTION, "unseen")
    assert status(watch.engine).overall is Health.ATTENTION
    watch.later(400 * DAY)
    assert watch.health() == (Health.CRITICAL, "expired")


def test_the_commands(watch: Watch) -> None:
    site, managed = watch.house.site, watch.house.managed_id
    assert site.cli("status", code=0).out.startswith("Ok. Certificates: 1 ok.")
    told = json.loads(site.cli("status", "--health", "ok", "--json", code=0).out)
    assert (told["overall"], told["certificates"], told["watched"]) == ("ok", {"ok": 1}, {})
    assert [(one["id"], one["rule"]) for one in told["told"]] == [(managed, "well")]
    site.cli("certificate", "look", code=3)
    watch.rebind()
    looked = site.cli("certificate", "look", managed, code=1)
    assert "Somebody bound the Default Web Site" in looked.out or "does not fit its name" in looked.out
    shown = site.cli("status", code=1).out
    assert "served-invalid" in shown
    assert "certwright exchange plan" in shown
    assert json.loads(site.cli("status", "--health", "paused", "--json", code=1).out)["told"] == []
    assert "critical: served-invalid" in site.cli("certificate", "list", code=0).out
    assert "served-invalid" in site.cli("certificate", "show", managed, code=0).out
    assert json.loads(site.cli("certificate", "show", managed, "--json", code=0).out)["health"]["health"] == "critical"
    refused = site.cli("status", "--health", "ill", code=2)
    assert "There is no health 'ill'" in refused.err


def test_an_installation_without_anything_is_well(tmp_path: Path) -> None:
    site = Site(tmp_path).initialise()
    assert site.cli("status", code=0).out.startswith("Ok. Certificates: none.\n")
    assert json.loads(site.cli("certificate", "look", "--json", code=3).out) == []
