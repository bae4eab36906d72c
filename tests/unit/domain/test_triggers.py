"""Whose turn it is: by trigger, by what became of the request and of earlier tasks, and never twice for one thing."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certwright.domain.errors import ConfigurationError
from certwright.domain.managed import TaskSettings
from certwright.domain.renewal_state import Failure
from certwright.domain.retry import Cause
from certwright.domain.runs import DeploymentState, Stage
from certwright.domain.tasks import Role, Trigger
from certwright.domain.triggers import (
    Occasion,
    OccasionKind,
    Situation,
    Turn,
    by_hand,
    check_tasks,
    is_done,
    stopping,
    turns,
)

NOW = datetime(2026, 11, 29, tzinfo=UTC)
NOTHING, ISSUED = Situation(None), Situation("v1")
Outcomes = Callable[[TaskSettings], bool]


def task(name: str, **changes: Any) -> TaskSettings:
    return TaskSettings(id=name, kind="script", title=f"Task {name}", params={}, **changes)


def failure(count: int = 1) -> Failure:
    at = NOW + timedelta(hours=count)
    retry_at = at + timedelta(minutes=5)
    return Failure(
        cause=Cause.PROOF, count=count, since=NOW, at=at, retry_at=retry_at, message="No proof was found.", revision=1
    )


FAILED, FAILED_AGAIN = Situation("v1", failure()), Situation("v1", failure(2))


@dataclass
class Line:
    """The tasks of one certificate, and where each stands; runs are told in their order."""

    tasks: Sequence[TaskSettings]
    states: dict[str, DeploymentState] = field(default_factory=dict)
    ran: list[tuple[str, Occasion]] = field(default_factory=list)
    minutes: int = 0

    def turns(self, situation: Situation, role: Role = Role.DEPLOYMENT, *, again: bool = False) -> list[str]:
        return [t.task.id for t in turns(self.tasks, role, self.states, situation, again=again)]

    def begin(self, turn: Turn) -> DeploymentState:
        """As a process that is killed now leaves it."""
        known = self.states.get(turn.task.id) or DeploymentState(task_id=turn.task.id, managed_id="m")
        begun = known.begun(turn.occasion.version_id, turn.occasion.marks)
        self.states[turn.task.id] = begun.model_copy(update={"stage": Stage.APPLYING})
        self.ran.append((turn.task.id, turn.occasion))
        return begun

    def run(self, turn: Turn, *, succeeds: bool, stage: Stage = Stage.RAN) -> None:
        self.minutes += 1
        begun, now = self.begin(turn), NOW + timedelta(days=1, minutes=self.minutes)
        if succeeds:
            update: dict[str, Any] = {"stage": stage, "failures": 0, "attempts": 0, "retry_at": None, "message": ""}
        else:
            update = {"stage": Stage.FAILED, "message": "It broke.\n  Badly."}
            update |= {"failures": begun.failures + 1, "attempts": begun.attempts + 1, "retry_at": now}
        self.states[turn.task.id] = begun.model_copy(update={**update, "updated_at": now})

    def pass_through(
        self, situation: Situation, succeeds: Outcomes = lambda _: True, role: Role = Role.DEPLOYMENT
    ) -> list[str]:
        """What runs, each at most once, as the engine does it."""
        tried: list[str] = []
        while turn := next((t for t in self._turns(situation, role) if t.task.id not in tried), None):
            tried.append(turn.task.id)
            self.run(turn, succeeds=succeeds(turn.task))
        return tried

    def _turns(self, situation: Situation, role: Role) -> tuple[Turn, ...]:
        return turns(self.tasks, role, self.states, situation)


def broken(*names: str) -> Outcomes:
    return lambda task: task.id not in names


EVERY = [task(trigger.value, trigger=trigger) for trigger in Trigger]


def test_each_trigger_has_its_turn() -> None:
    assert Line(EVERY).turns(NOTHING) == []
    assert Line(EVERY).turns(ISSUED) == ["on-success", "always"]
    assert Line(EVERY).turns(Situation(None, failure())) == ["on-failure", "always"]
    assert Line(EVERY).pass_through(ISSUED, broken("always")) == ["on-success", "always", "on-task-failure"]


def test_nothing_runs_twice_for_one_version() -> None:
    line = Line(EVERY)
    line.pass_through(ISSUED)
    assert line.pass_through(ISSUED) == []
    assert line.pass_through(Situation("v2")) == ["on-success", "always"]


def test_each_failure_of_a_request_has_its_turn_once_and_the_version_is_not_deployed_again() -> None:
    line = Line(EVERY)
    line.pass_through(ISSUED)
    assert line.pass_through(FAILED) == ["on-failure", "always"]
    assert line.pass_through(FAILED) == []
    assert line.pass_through(FAILED_AGAIN) == ["on-failure", "always"]
    assert line.pass_through(ISSUED) == []  # the failure was forgotten, as a release does it
    assert line.pass_through(Situation("v2")) == ["on-success", "always"]


def test_a_version_that_is_not_in_use_goes_on_being_deployed_while_requests_fail() -> None:
    line = Line([task("deploy"), task("tell", trigger=Trigger.ON_FAILURE)])
    assert line.pass_through(ISSUED, broken("deploy")) == ["deploy"]
    assert line.pass_through(FAILED) == ["deploy", "tell"]


def test_a_failed_task_does_not_hold_up_the_others_unless_it_stops_them() -> None:
    first, second = task("first"), task("second")
    assert Line([first, second]).pass_through(ISSUED, broken("first")) == ["first", "second"]
    stops = first.model_copy(update={"stops": True})
    line = Line([stops, second, task("last", trigger=Trigger.ALWAYS), task("alarm", trigger=Trigger.ON_TASK_FAILURE)])
    assert line.pass_through(ISSUED, broken("first")) == ["first", "last", "alarm"]
    assert line.pass_through(ISSUED) == ["first", "second"]


def test_what_stops_others_by_its_failure_for_a_version_does_not_stop_what_tells_of_a_failed_request() -> None:
    line = Line([task("deploy", stops=True), task("tell", trigger=Trigger.ON_FAILURE)])
    line.pass_through(ISSUED, broken("deploy"))
    assert line.pass_through(FAILED, broken("deploy")) == ["deploy", "tell"]


def test_what_waits_for_its_turn_behind_a_stopping_task_that_is_given_up_stays_there() -> None:
    line = Line([task("first", stops=True, retries=1), task("second")])
    assert line.pass_through(ISSUED, broken("first")) == ["first"]
    assert line.pass_through(ISSUED, broken("first")) == ["first"]
    assert line.pass_through(ISSUED) == []
    assert line.turns(ISSUED, again=True) == ["first"]
    assert line.pass_through(Situation("v2")) == ["first", "second"]


def test_the_failures_for_an_earlier_version_are_no_attempts_at_the_next() -> None:
    line = Line([task("one", retries=1)])
    for situation in (ISSUED, Situation("v2")):
        runs = [line.pass_through(situation, broken("one")) for _ in range(3)]
        assert runs == [["one"], ["one"], []]


def test_what_has_to_be_taken_back_is_never_given_up() -> None:
    line = Line([task("one", retries=0)])
    line.pass_through(ISSUED, broken("one"))
    assert line.turns(ISSUED) == []
    for stage in (Stage.UNDOING, Stage.WAITING, Stage.APPLYING):
        line.states["one"] = line.states["one"].model_copy(update={"stage": stage})
        assert line.turns(ISSUED) == ["one"]


def test_each_failure_of_a_task_has_its_alarm_and_what_was_said_is_told() -> None:
    line = Line([task("a"), task("b"), task("alarm", trigger=Trigger.ON_TASK_FAILURE)])
    assert line.pass_through(ISSUED, broken("a", "b")) == ["a", "b", "alarm"]
    assert line.ran[-1][1].message == "Task a: It broke.\nTask b: It broke."
    assert line.pass_through(ISSUED, broken("b")) == ["a", "b", "alarm"]
    assert line.ran[-1][1].message == "Task b: It broke."
    assert line.pass_through(ISSUED) == ["b"]


def test_that_one_of_two_failed_tasks_has_recovered_is_no_new_alarm() -> None:
    line = Line([task("a"), task("b", retries=0), task("alarm", trigger=Trigger.ON_TASK_FAILURE)])
    line.pass_through(ISSUED, broken("a", "b"))
    assert line.pass_through(ISSUED) == ["a"]


def test_an_alarm_can_be_for_one_task_alone() -> None:
    tasks = [task("a"), task("b"), task("alarm", trigger=Trigger.ON_TASK_FAILURE, watched="b")]
    check_tasks(tasks)
    assert Line(tasks).pass_through(ISSUED, broken("a")) == ["a", "b"]
    assert Line(tasks).pass_through(ISSUED, broken("b")) == ["a", "b", "alarm"]


def test_an_alarm_that_fails_has_an_alarm_behind_it() -> None:
    alarms = [task(name, trigger=Trigger.ON_TASK_FAILURE) for name in ("one", "two")]
    line = Line([task("a"), *alarms])
    assert line.pass_through(ISSUED, broken("a", "one")) == ["a", "one", "two"]


def test_pre_request_tasks_run_for_each_attempt_and_once_for_it() -> None:
    tasks = [task(name, role=Role.PRE_REQUEST, stops=True) for name in ("a", "b")]
    line = Line([*tasks, task("deploy")])
    assert line.pass_through(NOTHING, broken("b"), Role.PRE_REQUEST) == ["a", "b"]
    assert line.pass_through(NOTHING, role=Role.PRE_REQUEST) == ["b"]  # the run was killed before it said so
    assert line.pass_through(Situation(None, failure()), role=Role.PRE_REQUEST) == ["a", "b"]
    assert line.pass_through(ISSUED, role=Role.PRE_REQUEST) == ["a", "b"]
    assert line.pass_through(ISSUED, role=Role.PRE_REQUEST) == []


def test_the_request_is_stopped_by_a_failure_for_this_attempt_alone() -> None:
    line = Line([task("goes-on", role=Role.PRE_REQUEST), task("stops", role=Role.PRE_REQUEST, stops=True)])
    line.pass_through(NOTHING, broken("goes-on"), Role.PRE_REQUEST)
    assert stopping(line.tasks, Role.PRE_REQUEST, line.states, NOTHING) is None
    line.pass_through(ISSUED, broken("stops"), Role.PRE_REQUEST)
    found = stopping(line.tasks, Role.PRE_REQUEST, line.states, ISSUED)
    assert found is not None
    assert (found[0].id, found[1].message) == ("stops", "It broke.\n  Badly.")
    assert stopping(line.tasks, Role.PRE_REQUEST, line.states, FAILED) is None


def test_by_hand_a_task_runs_for_its_own_occasion_where_it_has_one() -> None:
    line = Line([*EVERY, task("first", role=Role.PRE_REQUEST)])

    def occasion(name: str, situation: Situation) -> OccasionKind:
        wanted = next(t for t in line.tasks if t.id == name)
        return by_hand(wanted, line.tasks, line.states, situation).occasion.kind

    assert occasion("on-success", ISSUED) is OccasionKind.ISSUED
    assert occasion("always", FAILED) is OccasionKind.REQUEST_FAILED
    assert occasion("on-failure", ISSUED) is OccasionKind.BY_HAND
    assert occasion("manual", ISSUED) is OccasionKind.BY_HAND
    assert occasion("first", ISSUED) is OccasionKind.BY_HAND


def test_what_ran_by_hand_is_done_for_the_version_and_a_pre_request_task_none_the_less_for_the_next_request() -> None:
    line = Line([task("deploy"), task("off", enabled=False), task("first", role=Role.PRE_REQUEST)])
    for each in line.tasks:
        line.run(by_hand(each, line.tasks, line.states, ISSUED), succeeds=True)
    assert line.turns(ISSUED) == []
    assert line.turns(ISSUED, Role.PRE_REQUEST) == ["first"]


def test_what_a_person_had_taken_back_is_left_alone_until_a_newer_version_is_issued() -> None:
    known = task("a")
    undone = DeploymentState(task_id="a", managed_id="m", version_id="v1", stage=Stage.ROLLED_BACK, undone="v1")
    assert turns([known], Role.DEPLOYMENT, {"a": undone}, ISSUED, again=True) == ()
    assert [t.task.id for t in turns([known], Role.DEPLOYMENT, {"a": undone}, Situation("v2"))] == ["a"]
    unfinished = undone.model_copy(update={"stage": Stage.UNDOING})
    assert [t.task.id for t in turns([known], Role.DEPLOYMENT, {"a": unfinished}, ISSUED)] == ["a"]
    assert undone.begun("v1", ()).undone is None


def test_what_can_be_looked_at_again_is_and_what_only_ran_is_not() -> None:
    line = Line([task("deployed"), task("ran"), task("new")])
    for name, stage in (("deployed", Stage.DEPLOYED), ("ran", Stage.RAN)):
        turn = next(t for t in turns(line.tasks, Role.DEPLOYMENT, line.states, ISSUED) if t.task.id == name)
        line.run(turn, succeeds=True, stage=stage)
    assert line.turns(ISSUED, again=True) == ["deployed", "new"]


def test_a_pause_is_told_and_ends() -> None:
    line = Line([task("one")])
    line.pass_through(ISSUED, broken("one"))
    (turn,) = turns(line.tasks, Role.DEPLOYMENT, line.states, ISSUED)
    assert turn.at is not None
    assert not turn.has_come(turn.at - timedelta(seconds=1))
    assert turn.has_come(turn.at)


@pytest.mark.parametrize(
    ("tasks", "told"),
    [
        ([task("a", role=Role.PRE_REQUEST, trigger=Trigger.ON_FAILURE)], "cannot run on the failure of that"),
        ([task("a", role=Role.PRE_REQUEST, retries=3)], "is tried again with that alone"),
        ([task("a", trigger=Trigger.ON_TASK_FAILURE, stops=True)], "cannot stop the tasks after it"),
        ([task("a"), task("b", watched="a")], "its trigger is on-success"),
        ([task("b", trigger=Trigger.ON_TASK_FAILURE, watched="a"), task("a")], "does not run before it"),
        ([task("b", trigger=Trigger.ON_TASK_FAILURE, watched="b")], "does not run before it"),
        (
            [task("a", role=Role.PRE_REQUEST), task("b", trigger=Trigger.ON_TASK_FAILURE, watched="a")],
            "does not run before it",
        ),
    ],
)
def test_what_could_never_run_is_refused(tasks: Sequence[TaskSettings], told: str) -> None:
    with pytest.raises(ConfigurationError, match=told) as raised:
        check_tasks(tasks)
    assert raised.value.hint


# --- properties -----------------------------------------------------------------------------------


@st.composite
def lines(draw: st.DrawFn) -> Line:
    """Tasks that `check_tasks` allows."""
    tasks: list[TaskSettings] = []
    for number in range(draw(st.integers(0, 6))):
        role, trigger = draw(st.sampled_from(Role)), draw(st.sampled_from(Trigger))
        if role is Role.PRE_REQUEST and trigger is Trigger.ON_FAILURE:
            trigger = Trigger.ALWAYS
        watches = trigger is Trigger.ON_TASK_FAILURE
        before = [t.id for t in tasks if t.role is role]
        changes: dict[str, Any] = {
            "watched": draw(st.sampled_from(before)) if watches and before and draw(st.booleans()) else None,
            "stops": not watches and draw(st.booleans()),
            "enabled": draw(st.integers(0, 4)) > 0,
            "retries": draw(st.none() | st.integers(0, 2)) if role is Role.DEPLOYMENT else None,
        }
        tasks.append(task(str(number), role=role, trigger=trigger, **changes))
    check_tasks(tasks)
    return Line(tasks)


SITUATIONS = st.sampled_from([NOTHING, Situation(None, failure()), ISSUED, FAILED, FAILED_AGAIN, Situation("v2")])
FATES = st.dictionaries(st.integers(0, 5).map(str), st.booleans())


def outcomes(fates: Mapping[str, bool]) -> Outcomes:
    return lambda task: fates.get(task.id, True)


def _chosen(line: Line, names: Sequence[str]) -> Iterator[TaskSettings]:
    known = {t.id: t for t in line.tasks}
    return (known[name] for name in names)


@given(lines(), st.lists(st.tuples(SITUATIONS, FATES), min_size=1, max_size=5), st.sampled_from(Role))
def test_whatever_happens_tasks_run_in_their_order_and_only_by_their_trigger(
    line: Line, story: list[tuple[Situation, dict[str, bool]]], role: Role
) -> None:
    order = [t.id for t in line.tasks]
    for situation, fates in story:
        before = len(line.ran)
        ran = line.pass_through(situation, outcomes(fates), role)
        assert ran == sorted(set(ran), key=order.index)
        for each, (_, occasion) in zip(_chosen(line, ran), line.ran[before:], strict=True):
            assert each.enabled
            assert each.role is role
            assert each.trigger is not Trigger.MANUAL
            if each.trigger is Trigger.ON_FAILURE:
                assert situation.failure
            if each.trigger is Trigger.ON_TASK_FAILURE:
                assert occasion.kind is OccasionKind.TASK_FAILED
                assert all(order.index(mark.split()[0]) < order.index(each.id) for mark in occasion.marks)
            if role is Role.DEPLOYMENT and each.trigger is Trigger.ON_SUCCESS:
                assert situation.version_id


@given(lines(), SITUATIONS, FATES, st.sampled_from(Role))
def test_behind_a_task_that_stops_nothing_runs_but_what_runs_regardless(
    line: Line, situation: Situation, fates: dict[str, bool], role: Role
) -> None:
    ran = line.pass_through(situation, outcomes(fates), role)
    occasions = dict(line.ran)
    for place, each in enumerate(_chosen(line, ran)):
        if each.stops and not fates.get(each.id, True):
            for later in _chosen(line, ran[place + 1 :]):
                same = occasions[later.id].kind is occasions[each.id].kind
                assert later.trigger in (Trigger.ALWAYS, Trigger.ON_TASK_FAILURE) or not same


@given(lines(), SITUATIONS, FATES, st.sampled_from(Role))
def test_once_all_goes_well_everything_is_done_and_stays_done(
    line: Line, situation: Situation, fates: dict[str, bool], role: Role
) -> None:
    forever = [t.model_copy(update={"retries": None}) for t in line.tasks]
    patient = Line(forever)
    patient.pass_through(situation, outcomes(fates), role)
    patient.pass_through(situation, role=role)
    assert patient.pass_through(situation, role=role) == []
    alarms = {t.id for t in forever if t.trigger is Trigger.ON_TASK_FAILURE}
    assert all(state.stage.is_success for name, state in patient.states.items() if name not in alarms)


@given(lines(), SITUATIONS, st.integers(0, 6), st.sampled_from(Role))
def test_a_kill_repeats_the_task_that_ran_and_no_other(line: Line, situation: Situation, nth: int, role: Role) -> None:
    whole = Line(line.tasks)
    expected = whole.pass_through(situation, role=role)
    for number in range(nth):
        waiting = turns(line.tasks, role, line.states, situation)
        if not waiting:
            break
        if number == nth - 1:
            line.begin(waiting[0])
        else:
            line.run(waiting[0], succeeds=True)
    line.pass_through(situation, role=role)
    runs = [name for name, _ in line.ran]
    assert list(dict.fromkeys(runs)) == expected
    assert len(runs) <= len(expected) + 1
    assert all(is_done(line.states[name], occasion) for name, occasion in line.ran)
