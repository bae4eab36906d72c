"""Jobs: bounded, told while they go on and afterwards, and known to be interrupted."""

import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from certwright.domain.access import Caller, Permission, Person, Role
from certwright.domain.actors import Actor, ActorKind
from certwright.domain.errors import CertwrightError, LeaseHeld, NeedsPerson, NotFound
from certwright.domain.jobs import Job
from certwright.domain.runs import Outcome
from certwright.engine.context import Engine
from certwright.engine.exchange.reach import progress
from certwright.engine.housekeeping import Retention, housekeep
from certwright.engine.jobs import Jobs
from world.site import Site


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with Site(tmp_path).initialise().engine() as engine:
        yield engine


def ended(engine: Engine, work: Any) -> tuple[Job, Any]:
    jobs = Jobs(engine)
    begun = jobs.begin(engine, "test", "subject", work)
    jobs.close()
    return jobs.get(engine, begun.id)


def test_a_job_goes_on_by_itself_and_its_result_is_kept(engine: Engine) -> None:
    job, result = ended(engine, lambda _: {"x": 1})
    assert (job.what, job.subject, job.by, job.outcome, result) == (
        "test",
        "subject",
        str(engine.caller.actor),
        Outcome.DONE,
        {"x": 1},
    )
    assert Jobs(engine).get(engine, job.id) == (job, {"x": 1})


@pytest.mark.parametrize(
    ("error", "outcome", "message"),
    [
        (CertwrightError("It broke.", hint="Mend it."), Outcome.FAILED, "It broke."),
        (NeedsPerson("Come."), Outcome.WAITING, "Come."),
        (ZeroDivisionError("c4n4ry"), Outcome.FAILED, "An unexpected ZeroDivisionError stopped it"),
    ],
)
def test_what_goes_wrong_is_told(engine: Engine, error: Exception, outcome: Outcome, message: str) -> None:
    def work(_: Engine) -> None:
        raise error

    job, result = ended(engine, work)
    assert (job.outcome, result) == (outcome, None)
    assert job.fault
    assert job.fault.message.startswith(message)
    assert "c4n4ry" not in job.model_dump_json()


def test_where_it_is_is_told_while_it_goes_on(engine: Engine) -> None:
    reached, goes_on = threading.Event(), threading.Event()

    def work(acting: Engine) -> None:
        with progress(acting).step("Look the names up"):
            reached.set()
            assert goes_on.wait(60)

    jobs = Jobs(engine)
    begun = jobs.begin(engine, "test", "", work)
    assert reached.wait(60)
    assert jobs.get(engine, begun.id)[0].step == jobs.list(engine, 1)[0].step == "Look the names up"
    assert Jobs(engine).get(engine, begun.id)[0].ended_at is None  # another process sees that somebody is at it
    goes_on.set()
    jobs.close()
    assert jobs.get(engine, begun.id)[0].outcome is Outcome.DONE


def test_no_more_than_some_go_on_at_a_time(engine: Engine) -> None:
    goes_on = threading.Event()
    jobs = Jobs(engine, most=2)
    for _ in range(2):
        jobs.begin(engine, "deploy", "", lambda _: goes_on.wait(60))
    with pytest.raises(LeaseHeld, match=r"2 jobs are under way: deploy, deploy\."):
        jobs.begin(engine, "deploy", "", lambda _: None)
    assert len(jobs.list(engine, 10)) == 2
    goes_on.set()
    jobs.close()


@pytest.mark.parametrize(
    ("subject", "hint"), [("", "Begin it again."), ("d1d92cc37ac4", "Look first at what it was about: ")]
)
def test_a_job_whose_process_died_is_told_as_interrupted(engine: Engine, subject: str, hint: str) -> None:
    job = Job(what="deploy", subject=subject, by="anna", begun_at=engine.now())
    with engine.store.write() as unit:
        unit.jobs.add(job)
    (found,) = Jobs(engine).list(engine, 1)
    assert found.fault
    assert (found.outcome, found.fault.hint.startswith(hint)) == (Outcome.INTERRUPTED, True)
    assert Jobs(engine).get(engine, job.id)[0] == found
    with pytest.raises(NotFound):
        Jobs(engine).get(engine, "none")


def test_who_looks_before_its_thread_begins_sees_a_job_that_goes_on(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Job] = []

    class Looking(ThreadPoolExecutor):
        def submit(self, *args: Any, **kwargs: Any) -> Future[Any]:
            seen.extend(Jobs(engine).list(engine, 1))
            return super().submit(*args, **kwargs)

    monkeypatch.setattr("certwright.engine.jobs.ThreadPoolExecutor", Looking)
    job, _ = ended(engine, lambda _: None)
    assert ([each.outcome for each in seen], job.outcome) == ([None], Outcome.DONE)


def test_who_looks_before_its_end_is_stored_sees_a_job_that_goes_on(engine: Engine) -> None:
    seen: list[Job] = []

    def now() -> datetime:
        if threading.current_thread() is not threading.main_thread():
            seen.extend(Jobs(engine).list(engine, 1))
        return engine.now()

    job, _ = ended(replace(engine, now=now), lambda _: None)
    assert ([each.outcome for each in seen], job.outcome) == ([None], Outcome.DONE)


def test_a_job_whose_result_cannot_be_kept_does_not_go_on_for_ever(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    jobs = Jobs(engine)
    begun = jobs.begin(engine, "test", "", lambda _: object())
    jobs.close()
    assert "unexpected, at the end of the job test" in caplog.text
    assert jobs.get(engine, begun.id)[0].outcome is Outcome.INTERRUPTED


def test_what_has_ended_goes_with_the_journals(engine: Engine) -> None:
    job, _ = ended(engine, lambda _: None)
    housekeep(engine)
    assert Jobs(engine).list(engine, 1) == [job]
    housekeep(engine, Retention(journals=timedelta()))
    assert Jobs(engine).list(engine, 1) == []


@pytest.mark.parametrize(
    ("role", "told", "result"), [(Role.OPERATOR, "It broke.", 1), (Role.VIEWER, "Why it failed is shown to who", None)]
)
def test_what_came_of_it_is_told_to_who_has_the_permission_that_it_took(
    engine: Engine, role: Role, told: str, result: int | None
) -> None:
    def broken(_: Engine) -> None:
        raise CertwrightError("It broke.", hint="Mend it.")

    manages = replace(engine, takes=Permission.MANAGE)
    well, badly = ended(manages, lambda _: 1)[0], ended(manages, broken)[0]
    asks = engine.acting(Person(name="anna", role=role, created_at=engine.now()).caller)
    assert Jobs(engine).get(asks, well.id) == (well, result)
    (listed, _) = Jobs(engine).list(asks, 2)
    assert Jobs(engine).get(asks, badly.id) == (listed, None)
    assert listed.fault
    assert (listed.id, listed.outcome, listed.fault.message.startswith(told)) == (badly.id, Outcome.FAILED, True)


@pytest.mark.parametrize(
    ("begun", "now", "is_seen"),
    [
        (("berlin",), ("berlin",), True),
        (("berlin",), ("berlin", "hamburg"), True),
        (("berlin",), (), True),
        (("berlin",), ("hamburg",), False),
        (("berlin", "hamburg"), ("berlin",), False),
        ((), ("berlin",), False),
    ],
)
def test_a_result_is_seen_by_whoever_has_the_name_and_all_tags_of_that_time(
    engine: Engine, begun: tuple[str, ...], now: tuple[str, ...], is_seen: bool
) -> None:
    robot = Actor(kind=ActorKind.TOKEN, name="robot")
    then, again = (engine.acting(Caller.limited(robot, (Permission.READ,), tags)) for tags in (begun, now))
    job, _ = ended(then, lambda _: None)
    assert (job in Jobs(engine).list(again, 1)) is is_seen
