"""Tasks before and after requests, by a real authority, a real store and real programs."""

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from certwright.domain.errors import ConfigurationError, DeploymentError
from certwright.domain.events import EventKind
from certwright.domain.health_rules import Health
from certwright.domain.managed import TaskSettings
from certwright.domain.renewal import Reason
from certwright.domain.retry import Cause
from certwright.domain.runs import Outcome, RunKind, Stage
from certwright.domain.tasks import Role, Trigger
from certwright.domain.windows import MaintenanceWindow, Span
from certwright.engine.deploy import deploy
from certwright.engine.managed import details
from certwright.engine.material import version_facts
from certwright.engine.preview import preview
from certwright.engine.renew import Renewal, renew, renew_all
from certwright.engine.request import request
from certwright.engine.task_list import add_task, change_task, enable_task, move_task, remove_task
from certwright.engine.test import test as attempt
from certwright.engine.windows import put_window
from certwright.exchange_simulator import Fail
from world import dying, processes
from world.dying import Boundary, Death
from world.house import house
from world.hurry import hurried
from world.plugins import found, install
from world.scripts import Scripts
from world.site import Authority, Site, authority, describe, register

pytestmark = pytest.mark.e2e
SECRET = "s3cret of the programs"


@pytest.fixture(scope="module")
def ca() -> Iterator[Authority]:
    with authority() as made:
        yield made


@pytest.fixture(scope="module")
def template(ca: Authority, tmp_path_factory: pytest.TempPathFactory) -> Site:
    site = Site(tmp_path_factory.mktemp("template")).initialise()
    register(site, ca)
    return site


@dataclass
class Place:
    """An installation with one certificate that was never issued, and a program; its clock stands still."""

    site: Site
    ca: Authority
    scripts: Scripts
    managed_id: str
    now: datetime

    def add(self, name: str, **settings: Any) -> TaskSettings:
        params = self.scripts.params(name, **settings.pop("params", {}))
        with self.site.engine() as engine:
            return add_task(engine, self.managed_id, TaskSettings(kind="script", title=name, params=params, **settings))

    def before(self, name: str, **settings: Any) -> TaskSettings:
        return self.add(name, role=Role.PRE_REQUEST, **settings)

    def renew(self, *, later: timedelta = timedelta(), patient: bool = True, force: bool = False) -> Renewal:
        self.now += later
        with self.site.engine(now=lambda: self.now) as engine:
            return renew(engine, self.managed_id, patient=patient, force=force)

    def refuse_proofs(self) -> None:
        """Have the authority be away, for every order from now on."""
        self.ca.server.faults.problem_next("newOrder", count=1000)

    def events(self, *kinds: EventKind) -> list[str]:
        with self.site.engine() as engine, engine.store.read() as unit:
            return [event.message for _, event in unit.events.list(limit=1000) if event.kind in kinds]

    def stage(self, task: TaskSettings) -> Stage:
        with self.site.engine() as engine, engine.store.read() as unit:
            state = unit.deployments.get(task.id)
        return state.stage if state else Stage.NEW

    def next_check(self) -> datetime | None:
        with self.site.engine() as engine, engine.store.read() as unit:
            return unit.managed.next_check(self.managed_id)

    def journal(self, kind: RunKind) -> str:
        with self.site.engine() as engine, engine.store.read() as unit:
            run = next(run for run in unit.runs.list(self.managed_id) if run.kind is kind)
            return "\n".join(f"{entry.title} {entry.detail}" for entry in unit.runs.entries(run.id))

    @property
    def orders(self) -> int:
        return len(self.ca.server.state.orders)


@pytest.fixture
def place(ca: Authority, template: Site, tmp_path: Path) -> Iterator[Place]:
    scripts = Scripts.written(tmp_path)
    site = replace(template.copied(tmp_path), script_folders=(scripts.folder,))
    with site.engine() as engine:
        managed_id = describe(engine, ca).id
    yield Place(site, ca, scripts, managed_id, datetime.now(UTC))
    ca.server.faults.clear()


def test_tasks_run_in_their_order_around_a_request_that_succeeds(place: Place) -> None:
    place.add("after")
    place.add("failed", trigger=Trigger.ON_FAILURE)
    place.before("before", stops=True)
    place.add("always", trigger=Trigger.ALWAYS)
    place.add("manual", trigger=Trigger.MANUAL)
    done = place.renew()
    assert [(result.task.title, result.stage) for result in done.tasks] == [
        ("after", Stage.RAN),
        ("always", Stage.RAN),
    ]
    assert place.scripts.ran == ["before before-request", "after issued", "always issued"]
    assert place.renew().nothing_to_do
    assert place.scripts.ran == []
    with place.site.engine() as engine:
        assert details(engine, place.managed_id).deployed == "yes"
    assert place.events(EventKind.DEPLOYED, EventKind.DEPLOYMENT_FAILED) == []


def test_a_pre_request_task_that_stops_keeps_the_authority_from_being_asked(place: Place) -> None:
    for name in ("open", "check", "never"):
        place.before(name, stops=True)
    place.add("close", trigger=Trigger.ALWAYS)
    place.scripts.break_("check")
    orders = place.orders
    failed = place.renew()
    assert isinstance(failed.error, DeploymentError)
    told = "\n".join(failed.error.explain())
    assert "The authority was not asked: the pre-request task 'check' failed." in told
    assert "ended with status 1" in told
    assert "certwright task run" in told
    assert place.orders == orders
    assert place.scripts.ran == ["open before-request", "check before-request", "close request-failed"]
    assert "'check' failed" in place.scripts.environment["CERTWRIGHT_ERROR"]
    assert "'check' failed" in place.events(EventKind.ISSUANCE_FAILED)[-1]
    with place.site.engine(now=lambda: place.now) as engine, engine.store.read() as unit:
        failure = unit.renewals.get(place.managed_id).failure
    assert failure is not None
    assert failure.cause is Cause.DEPLOYMENT
    assert place.next_check() == failure.retry_at
    assert renewal_waits(place)
    place.scripts.mend()
    issued = place.renew(later=timedelta(hours=1))
    assert issued.error is None
    assert place.scripts.ran == [
        "open before-request",
        "check before-request",
        "never before-request",
        "close issued",
    ]


def renewal_waits(place: Place) -> bool:
    again = place.renew()
    assert place.scripts.ran == []
    return again.request is not None and again.request.decision.reason is Reason.BACKING_OFF


def test_a_pre_request_task_that_goes_on_does_not_hinder_the_request(place: Place) -> None:
    task = place.before("before")
    place.scripts.break_("before")
    assert place.renew().error is None
    assert place.stage(task) is Stage.FAILED
    assert "The task 'before' failed" in place.journal(RunKind.REQUEST)
    (told,) = place.events(EventKind.DEPLOYMENT_FAILED)
    assert told.startswith("before: ")


def test_a_request_that_fails_has_its_tasks_once_for_each_failure(place: Place) -> None:
    place.add("after")
    place.add("failed", trigger=Trigger.ON_FAILURE)
    place.add("always", trigger=Trigger.ALWAYS)
    place.refuse_proofs()
    assert place.renew().error is not None
    assert place.scripts.ran == ["failed request-failed", "always request-failed"]
    assert "CERTWRIGHT_ERROR" in place.scripts.environment
    assert "CERTWRIGHT_SHA256" not in place.scripts.environment
    place.renew()
    assert place.scripts.ran == []
    place.renew(later=timedelta(days=1))
    assert place.scripts.ran == ["failed request-failed", "always request-failed"]
    place.ca.server.faults.clear()
    place.renew(later=timedelta(days=1))
    assert place.scripts.ran == ["after issued", "always issued"]


def test_a_task_that_fails_is_tried_again_alone_and_nothing_is_issued_anew(place: Place) -> None:
    first, second = place.add("first"), place.add("second")
    place.scripts.break_("second")
    issued = len(place.ca.server.issued)
    failed = place.renew()
    assert [r.stage for r in failed.tasks] == [Stage.RAN, Stage.FAILED]
    assert place.scripts.ran == ["first issued", "second issued"]
    assert place.renew().tasks == ()  # it pauses
    assert place.events(EventKind.DEPLOYMENT_FAILED) == [
        f"second: {place.scripts.folder / 'program'} ended with status 1."
    ]
    place.scripts.mend()
    place.renew(later=timedelta(hours=1))
    assert place.scripts.ran == ["second issued"]
    assert (place.stage(first), place.stage(second)) == (Stage.RAN, Stage.RAN)
    assert len(place.ca.server.issued) == issued + 1
    assert place.events(EventKind.TASKS_DONE) == ["second: it ran, after it had failed."]


def test_what_stands_behind_a_task_that_stops_waits_for_it(place: Place) -> None:
    place.add("first", stops=True)
    place.add("second")
    place.add("alarm", trigger=Trigger.ON_TASK_FAILURE)
    place.scripts.break_("first")
    place.renew()
    assert place.scripts.ran == ["first issued", "alarm task-failed"]
    assert place.scripts.environment["CERTWRIGHT_ERROR"].startswith("first: ")
    place.scripts.mend()
    place.renew(later=timedelta(hours=1))
    assert place.scripts.ran == ["first issued", "second issued"]


def test_retries_of_ones_own_end_and_a_person_can_still_run_it(place: Place) -> None:
    task = place.add("one", retries=1, retry_delay=timedelta(minutes=3))
    place.scripts.break_("one")
    place.renew()
    upcoming = place.next_check()  # or when the authority's advice is asked for, which is drawn
    assert upcoming is not None
    assert upcoming <= place.now + timedelta(minutes=3)
    assert place.renew(later=timedelta(minutes=2)).tasks == ()
    place.renew(later=timedelta(minutes=1))
    assert place.scripts.ran == ["one issued"] * 2
    assert place.renew(later=timedelta(days=1)).tasks == ()
    upcoming = place.next_check()
    assert upcoming is not None
    assert upcoming > place.now
    place.scripts.mend()
    with place.site.engine() as engine:
        (by_hand,) = deploy(engine, place.managed_id, task.id, attended=True)
        assert deploy(engine, place.managed_id, attended=True) == []  # it ran
    assert by_hand.stage is Stage.RAN
    assert place.scripts.ran == ["one issued"]


def test_a_task_that_gave_up_is_told_of_with_the_version_that_it_left_in_use_until_it_ran(place: Place) -> None:
    task = place.add("one", retries=1, retry_delay=timedelta(minutes=3))
    place.renew()
    place.scripts.break_("one")
    place.renew(force=True)
    place.renew(later=timedelta(minutes=3))
    (told,) = place.events(EventKind.GIVEN_UP)
    assert told.startswith("one failed as often as it may, and is not tried again: one: ")
    with place.site.engine() as engine, engine.store.read() as unit:
        _, first = unit.versions.list(place.managed_id)
        ends = version_facts(first).not_after
        (judged,) = unit.healths.list(tuple(Health))
    assert (judged.condition.rule, judged.condition.ends) == ("given-up", ends)
    place.scripts.mend()
    with place.site.engine() as engine:
        deploy(engine, place.managed_id, task.id)
    assert place.events(EventKind.TASKS_DONE) == ["one: it ran, after it had failed."]
    place.renew(force=True)
    assert place.events(EventKind.TASKS_DONE)[1:] == ["one: it ran, and puts a new version to use."]


def test_a_change_of_the_task_ends_its_pause(place: Place) -> None:
    task = place.add("one")
    place.scripts.break_("one")
    place.renew()
    place.scripts.mend()
    with place.site.engine(now=lambda: place.now) as engine:
        change_task(engine, place.managed_id, task.id, {"timeout": 30})
        (done,) = renew_all(engine)
    assert [r.stage for r in done.tasks] == [Stage.RAN]


def test_by_hand_any_task_runs_before_there_is_a_certificate_and_with_it(place: Place) -> None:
    before, off = place.before("before", stops=True), place.add("off", enabled=False)
    with place.site.engine() as engine:
        for task in (before, off):
            (done,) = deploy(engine, place.managed_id, task.title, attended=True)
            assert done.error is None
    assert place.scripts.ran == ["before by-hand", "off by-hand"]
    place.renew()
    assert place.scripts.ran == ["before before-request"]
    with place.site.engine() as engine:
        deploy(engine, place.managed_id, "off", attended=True)
        facts = details(engine, place.managed_id).facts
    told = place.scripts.environment
    assert facts is not None
    assert told["CERTWRIGHT_SHA256"] == facts.sha256
    assert told["CERTWRIGHT_THUMBPRINT"] == facts.thumbprint
    assert told["CERTWRIGHT_NAMES"].split(",") == [str(name) for name in facts.names]
    assert datetime.fromisoformat(told["CERTWRIGHT_NOT_AFTER"]) == facts.not_after


def test_the_secret_reaches_the_program_and_no_journal(place: Place) -> None:
    for name, options in (("token", ()), ("mail", ("--username", "postmaster"))):
        place.site.cli("credential", "add", "script", name, *options, "--password-file", "-", given=SECRET, code=0)
    place.add("one", params={"credential": "mail"})
    place.scripts.break_("one")
    failed = place.renew()
    assert place.scripts.environment["CERTWRIGHT_SECRET"] == SECRET
    assert place.scripts.environment["CERTWRIGHT_USERNAME"] == "postmaster"
    told = [place.journal(RunKind.TASK), *("\n".join(r.error.explain()) for r in failed.tasks if r.error)]
    assert "one with ***" in told[0]
    assert "CERTWRIGHT_SECRET=... " in told[1]
    assert not any(SECRET in each for each in told)


_FAULTY = '''"""Breaks.

Always.
"""

from certwright.domain.deployment import Change, Inspection, Plan
from certwright.sdk.params import Params as BaseParams
from certwright.sdk.task import {base}


class Params(BaseParams):
    """None."""


class Faulty({base}[Params]):
    """Breaks."""

    Params = Params
    organisations = ("here",)

    def baseline(self):
        return ()

    def plan(self):
        return Plan(changes=(Change(target="here", action="break", why="It is asked to."),))

    def apply(self, plan):
        raise KeyError("colour")

    def verify(self, baseline):
        return ()

    def inspect(self):
        return Inspection()

    def undo(self):
        return ()

    def verify_undone(self, baseline):
        return ()
'''


def test_a_mistake_in_a_plugin_is_a_failure_of_its_task_and_of_nothing_else(place: Place, tmp_path: Path) -> None:
    packages = tmp_path / "packages"
    packages.mkdir()
    kinds = {"careless_action": "Action", "careless_task": "Task"}
    install(packages, "third_party", {kind: _FAULTY.format(base=base) for kind, base in kinds.items()})
    with found(packages, "third_party"):
        with place.site.engine() as engine:
            for kind in kinds:
                add_task(engine, place.managed_id, TaskSettings(kind=kind, title=kind, params={}))
            before = TaskSettings(kind="careless_action", title="before", params={}, role=Role.PRE_REQUEST)
            add_task(engine, place.managed_id, before)
        done = place.renew()
        assert done.error is None
        assert [result.error.message if result.error else "" for result in done.tasks] == [
            f"An unexpected KeyError stopped it: this is a fault in the task {kind!r}." for kind in kinds
        ]
        assert place.renew().nothing_to_do  # it pauses
        assert len(place.events(EventKind.DEPLOYMENT_FAILED)) == 3
        with place.site.engine() as engine, engine.store.read() as unit:
            assert unit.renewals.get(place.managed_id).failure is None
        again = place.renew(later=timedelta(days=1))
        assert [result.task.kind for result in again.tasks] == list(kinds)


def test_a_folder_that_is_not_allowed_any_more_is_a_failure_of_the_task_alone(place: Place) -> None:
    place.add("one")
    closed = replace(place, site=replace(place.site, script_folders=()))
    done = closed.renew()
    assert done.error is None
    (result,) = done.tasks
    assert "CERTWRIGHT_SCRIPT_FOLDERS" in "\n".join(result.error.explain() if result.error else ())
    assert closed.renew().tasks == ()


def test_a_program_is_shown_in_the_preview_and_tried_by_nobody(place: Place) -> None:
    place.add("after")
    place.before("before")
    with place.site.engine() as engine:
        shown = preview(engine, place.managed_id)
        report = attempt(engine, place.managed_id)
    assert [item.task.title for item in shown.tasks] == ["before", "after"]
    assert all(item.plan and item.plan.changes[0].typed.endswith("/program before") for item in shown.tasks[:1])
    assert [check.evidence for check in report.checks if check.check == "target"] == ["It may be run."] * 2
    assert place.scripts.ran == []


def test_tasks_are_moved_switched_off_and_kept_from_what_cannot_be(place: Place) -> None:
    first, second = place.add("first"), place.add("second", trigger=Trigger.ON_TASK_FAILURE, watched="first")
    assert second.watched == first.id
    with place.site.engine() as engine:
        with pytest.raises(ConfigurationError, match="does not run before it"):
            move_task(engine, place.managed_id, "second", 1)
        with pytest.raises(ConfigurationError, match="does not run before it"):
            remove_task(engine, place.managed_id, "first")
        with pytest.raises(ConfigurationError, match="no place 3"):
            move_task(engine, place.managed_id, "second", 3)
        exchange = TaskSettings(
            kind="exchange", title="x", params={"servers": ["a.contoso.test"]}, trigger=Trigger.ALWAYS
        )
        with pytest.raises(ConfigurationError, match="puts a new version to use, and cannot run always"):
            add_task(engine, place.managed_id, exchange)
        change_task(engine, place.managed_id, "second", {}, settings={"trigger": Trigger.ON_SUCCESS, "watched": None})
        assert [t.title for t in move_task(engine, place.managed_id, "second", 1)] == ["second", "first"]
        assert not enable_task(engine, place.managed_id, "second", enabled=False).enabled
    place.renew()
    assert place.scripts.ran == ["first issued"]
    with place.site.engine(now=lambda: place.now) as engine:
        enable_task(engine, place.managed_id, "second", enabled=True)
        assert [r.task.title for item in renew_all(engine) for r in item.tasks] == ["second"]


@pytest.mark.parametrize("offset", [1, 3])
def test_a_renewal_that_is_killed_anywhere_repeats_no_task_but_the_one_that_ran(
    ca: Authority, place: Place, tmp_path: Path, offset: int
) -> None:
    place.before("before", stops=True)
    place.add("one")
    place.add("two")
    survived = False
    for nth in itertools.count(offset, 5):
        assert nth < 120, "it never survived"
        site = replace(place.site.copied(tmp_path / str(nth)), script_folders=place.site.script_folders)
        issued, death = len(ca.server.issued), Death(Boundary.EFFECT, nth)
        killed = processes.run(
            dying.renew, place.managed_id, death, folder=site.folder, environment=site.environment
        ).code
        ran = place.scripts.ran
        with site.engine() as engine:
            renew(engine, place.managed_id)
            assert renew(engine, place.managed_id).nothing_to_do
            with engine.store.read() as unit:
                runs = unit.runs.list(place.managed_id)
        both = [*ran, *place.scripts.ran]
        assert list(dict.fromkeys(both)) == ["before before-request", "one issued", "two issued"]
        assert len(both) <= 4
        assert len(ca.server.issued) == issued + 1
        assert all(run.outcome in (Outcome.DONE, Outcome.INTERRUPTED) for run in runs)
        if killed == 0:
            survived = True
            break
        assert killed == -9
    assert survived


def test_a_request_by_hand_runs_what_comes_before_it_and_leaves_the_rest_to_the_schedule(place: Place) -> None:
    place.before("before")
    place.add("after")
    with place.site.engine(now=lambda: place.now) as engine:
        request(engine, place.managed_id)
        assert place.scripts.ran == ["before before-request"]
        (done,) = renew_all(engine)
    assert [r.stage for r in done.tasks] == [Stage.RAN]
    assert place.scripts.ran == ["after issued"]


def test_a_task_waits_for_its_own_window_and_others_do_not(place: Place) -> None:
    opens = (place.now + timedelta(days=2)).replace(hour=12, minute=0, second=0, microsecond=0)
    span = Span(days=(opens.date(),), start=opens.time(), end=opens.replace(hour=13).time(), nights=0)
    with place.site.engine() as engine:
        put_window(engine, MaintenanceWindow(name="noon", zone="UTC", spans=(span,)))
    place.before("before", window="noon")
    late = place.add("late", window="noon")
    place.add("early")
    place.add("alarm", trigger=Trigger.ALWAYS, window="noon")

    done = place.renew()
    assert [(result.task.title, result.is_held) for result in done.tasks] == [
        ("late", True),
        ("early", False),
        ("alarm", True),
    ]
    assert place.scripts.ran == ["before before-request", "early issued"]
    assert place.stage(late) is Stage.NEW
    upcoming = place.next_check()
    assert upcoming
    assert upcoming > place.now + timedelta(hours=1)  # the authority is asked for advice before it opens
    with place.site.engine(now=lambda: place.now) as engine:
        assert details(engine, place.managed_id).deployed == "held"

    told = place.site.cli("task", "run", place.managed_id, "late", code=3)
    assert "'noon'" in told.out + told.err
    assert place.scripts.ran == []
    place.site.cli("task", "run", place.managed_id, "late", "--now", code=0)
    assert place.scripts.ran == ["late issued"]
    assert "'noon' is used by" in place.site.cli("window", "remove", "noon", code=2).err
    place.site.cli("task", "change", place.managed_id, "script", "--task", "late", "--unset", "window", code=0)

    place.refuse_proofs()
    place.renew(force=True)
    assert place.scripts.ran == ["before before-request", "alarm request-failed"]  # a failure is told at any hour
    done = place.renew(later=opens - place.now)
    assert not any(result.is_held for result in done.tasks)


def test_from_the_command_line_tasks_are_added_listed_moved_switched_run_and_removed(place: Place) -> None:
    def told(*arguments: str, code: int = 0) -> Any:
        return json.loads(place.site.cli("task", *arguments, "--json", code=code).out)

    def add(title: str, *options: str, code: int = 0) -> Any:
        program = str(place.scripts.folder / "program")
        words = ("script", "--title", title, "--program", program, "--arguments", title)
        return told("add", place.managed_id, *words, *options, code=code)

    before = add("before", "--before-request")
    assert (before["role"], before["stops"]) == ("pre-request", True)
    assert not add("soft", "--before-request", "--go-on")["stops"]
    after = add("after", "--retries", "2", "--retry-delay", "10")
    assert (after["stops"], after["retries"], after["retry_delay"]) == (False, 2, "PT10M")
    alarm = add("alarm", "--trigger", "on-task-failure", "--failed-task", "after")
    assert alarm["watched"] == after["id"]
    assert "Choose one of: on-success, on-failure" in add("x", "--trigger", "sometimes", code=2)["error"]["hint"]
    assert "PT" not in place.site.cli("task", "show", place.managed_id, "after", code=0).out

    changed = told("change", place.managed_id, "script", "--task", "after", "--unset", "retries", "--trigger", "always")
    assert (changed["retries"], changed["trigger"], changed["params"]) == (None, "always", after["params"])
    assert [row["title"] for row in told("move", place.managed_id, "soft", "1")] == ["soft", "before", "after", "alarm"]
    assert told("disable", place.managed_id, "soft")["enabled"] is False
    listed = told("list", place.managed_id)
    assert [(row["place"], row["title"], row["enabled"], row["stage"]) for row in listed] == [
        (1, "soft", False, "new"),
        (2, "before", True, "new"),
        (1, "after", True, "new"),
        (2, "alarm", True, "new"),
    ]
    assert told("run", place.managed_id, "before")[0]["stage"] == "ran"
    place.site.cli("certificate", "renew", place.managed_id, code=0)
    assert place.scripts.ran == ["before by-hand", "before before-request", "after issued"]
    assert "\nTask after: ran\n" in place.site.cli("certificate", "show", place.managed_id, code=0).out
    assert "Nothing is left to run" in place.site.cli("deploy", place.managed_id, code=3).out
    assert "on-task-failure" in place.site.cli("certificate", "preview", place.managed_id, code=0).out
    assert "waits for the failure" in told("remove", place.managed_id, "after", code=2)["error"]["message"]
    assert told("enable", place.managed_id, "soft")["enabled"] is True
    assert told("remove", place.managed_id, "alarm")["removed"] == alarm["id"]


def test_deploying_with_tasks_for_failures_alone_is_told_to_have_no_deployment_task(place: Place) -> None:
    place.add("alarm", trigger=Trigger.ON_FAILURE)
    place.add("off", enabled=False)
    place.site.cli("certificate", "request", place.managed_id, code=0)
    told = place.site.cli("deploy", place.managed_id, code=2).err
    assert "has no deployment task that runs when a version is issued" in told
    assert "alarm: on-failure" in told
    assert "off: disabled" in told
    assert f"certwright task add {place.managed_id}" in told


def test_a_deployment_that_is_taken_back_has_its_alarm_and_what_it_stops_waits(tmp_path: Path) -> None:
    scripts = Scripts.written(tmp_path)
    with house(tmp_path, few=True) as one:
        site = replace(one.site, script_folders=(scripts.folder,))
        with site.engine() as engine:
            (exchange,) = details(engine, one.managed_id).managed.tasks
            change_task(engine, one.managed_id, exchange.id, {}, settings={"stops": True})
            for name, trigger in (("told", Trigger.ON_SUCCESS), ("alarm", Trigger.ON_TASK_FAILURE)):
                settings = TaskSettings(kind="script", title=name, params=scripts.params(name), trigger=trigger)
                add_task(engine, one.managed_id, settings)
        version = one.next_version()
        one.exchange.server.faults.inject(Fail("The disk is full.", terminating=True), "Enable-ExchangeCertificate")
        with site.engine() as engine, hurried():
            failed = renew(engine, one.managed_id)
            assert scripts.ran == ["alarm task-failed"]
            again = renew(engine, one.managed_id)
        assert [r.stage for r in failed.tasks] == [Stage.ROLLED_BACK, Stage.RAN]
        assert [r.stage for r in again.tasks] == [Stage.DEPLOYED, Stage.RAN]
        assert scripts.ran == ["told issued"]
        assert {one.exchange.served[port] for port in (443, 25, 587)} == {version.sha256}
