"""What the service does beside renewals, and cannot do: told by notifications, in `status`, and over when it works."""

import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from certwright.domain.errors import LeaseHeld, Unreachable
from certwright.domain.events import EventKind
from certwright.domain.health_rules import Health
from certwright.engine import housekeeping
from certwright.engine.backup import back_up_daily
from certwright.engine.context import Engine
from certwright.engine.status import status
from certwright.server.duties import Duties, Duty
from peers.hook import PATH, SECRET, Hook
from peers.vendor import served
from world.alarms import Alarms, alarms

pytestmark = pytest.mark.e2e
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def hook() -> Iterator[Hook]:
    hook = Hook()
    with served(hook):
        yield hook


@pytest.fixture
def told(tmp_path: Path, hook: Hook) -> Iterator[Alarms]:
    with alarms(tmp_path) as one:
        one.channel("webhook", "chat", url=f"{hook.url}{PATH}?room=7", secret=SECRET)
        yield one


def do(one: Alarms, duties: Duties, after: timedelta = timedelta()) -> None:
    one.now += after
    duties.do_due(threading.Event())


def events(one: Alarms) -> list[EventKind]:
    with one.engine.store.read() as unit:
        return [event.kind for _, event in unit.events.list(limit=500)]


def test_a_backup_that_fails_again_and_again_is_told_of_and_that_it_works_again(
    told: Alarms, hook: Hook, tmp_path: Path
) -> None:
    folder = tmp_path / "backups"
    folder.write_text("somebody's file")
    duty = Duty("backup", "The daily backup", 6 * HOUR, lambda engine: back_up_daily(engine, folder))
    duties = Duties(told.engine, (duty,))
    do(told, duties)
    assert told.told() == []
    found = status(told.engine)
    assert [(trouble.title, trouble.health) for trouble in found.service] == [("The daily backup", Health.ATTENTION)]
    assert found.overall is Health.ATTENTION
    do(told, duties, HOUR)
    do(told, Duties(told.engine, (duty,)), HOUR)  # a service that was restarted meanwhile
    assert told.told() == [("chat", "The daily backup fails again and again")]
    (body,) = hook.messages.values()
    for part in (f"The folder for backups {folder} cannot be made", "2026-11-04 12:00 UTC (3 times)", "Choose another"):
        assert part in body["text"]
    assert told.told(DAY / 2) == []
    do(told, duties)
    assert told.told(DAY / 2) == [("chat", "The daily backup fails again and again")]
    shown = told.site.cli("status", code=1)
    assert "failing: The daily backup fails since 2026-11-04 12:00 UTC: The folder for backups" in shown.out
    folder.unlink()
    do(told, duties)
    assert told.told(HOUR) == [("chat", "The daily backup works again")]
    assert status(told.engine).overall is Health.OK
    assert list(folder.iterdir())


def test_what_housekeeping_cannot_do_is_a_failure_of_it_but_for_what_is_being_worked_on(
    told: Alarms, monkeypatch: pytest.MonkeyPatch
) -> None:
    problems: list[Any] = [LeaseHeld("mail is being worked on.")]
    monkeypatch.setattr(housekeeping, "_clean_up_exchange", lambda _, done: done.problems.extend(problems))
    duties = Duties(told.engine, (Duty("housekeeping", "Housekeeping", DAY, housekeeping.keep_house),))
    do(told, duties)
    assert events(told) == []
    problems += [Unreachable("ex01 does not answer.", hint="Start it."), Unreachable("ex02 does not answer.")]
    do(told, duties, DAY)
    (trouble,) = status(told.engine).service
    assert (trouble.message, trouble.hint) == (
        "2 things could not be done, of which the first: ex01 does not answer.",
        "Start it.",
    )


def test_what_fails_is_tried_again_within_the_hour_and_what_was_done_is_remembered(told: Alarms) -> None:
    tries: list[Any] = []

    def work(engine: Engine) -> None:
        tries.append(engine.now())
        if len(tries) == 1:
            raise Unreachable("It is away.")

    duty = Duty("housekeeping", "Housekeeping", DAY, work)
    duties = Duties(told.engine, (duty,))
    do(told, duties)
    do(told, duties, HOUR - MINUTE)
    assert len(tries) == 1
    do(told, duties, MINUTE)
    do(told, Duties(told.engine, (duty,)), HOUR)
    assert len(tries) == 2
    assert events(told) == [EventKind.DUTY_FAILED, EventKind.DUTY_WORKED]


def test_what_fails_and_works_by_turns_or_every_minute_makes_no_storm_of_events(told: Alarms) -> None:
    turns = iter(range(10_000))

    def work(_: Engine) -> None:
        if next(turns) % 2 == 0:
            raise Unreachable("It is away.")

    def fail(_: Engine) -> None:
        raise ZeroDivisionError("secret")

    duties = Duties(told.engine, (Duty("watch", "A", MINUTE, work), Duty("looks", "B", MINUTE, fail)))
    for _ in range(120):
        do(told, duties, MINUTE)
    assert [events(told).count(kind) for kind in (EventKind.DUTY_FAILED, EventKind.DUTY_WORKED)] == [4, 2]
    (trouble,) = (each for each in status(told.engine).service if each.title == "B")
    assert trouble.message == "An unexpected ZeroDivisionError stopped it."
    do(told, duties, HOUR)
    (attempt,) = told.deliver()
    assert attempt.subject == "B fails again and again"
