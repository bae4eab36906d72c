"""A clock that was wrong for a while, and is right again: nothing that it stored puts anything to sleep."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from certwright.acme_server import AcmeServerConfig
from certwright.acme_server.config import CaConfig, Profile
from certwright.domain.events import Event, EventKind
from certwright.domain.health_rules import Health
from certwright.domain.renewal import Reason
from certwright.domain.runs import Run, RunKind
from certwright.domain.sighting import STANDS
from certwright.engine import hold
from certwright.engine.backup import back_up, back_up_daily
from certwright.engine.clock import ClockWatch
from certwright.engine.context import Engine
from certwright.engine.housekeeping import Housekept, housekeep, keep_house
from certwright.engine.material import version_facts
from certwright.engine.renew import renew, renew_all
from certwright.engine.request import request
from certwright.engine.status import status
from certwright.engine.watch import look_at_all, watch_file
from certwright.server.duties import Duties, Duty
from certwright.wiring import utc_now
from peers.hook import PATH, SECRET, Hook
from peers.ports import free_port
from peers.vendor import served
from unit.domain.workshop import START, leaf
from world.alarms import Alarms, alarms
from world.site import ISSUER, Authority, Site, authority, describe, register

pytestmark = pytest.mark.e2e
DAY = timedelta(days=1)


@dataclass
class Clock:
    """So much ahead of the authority's."""

    ahead: timedelta = timedelta()

    def __call__(self) -> datetime:
        return utc_now() + self.ahead


@contextmanager
def house(folder: Path, clock: Clock, config: AcmeServerConfig | None = None) -> Iterator[tuple[Engine, Authority]]:
    with authority(config) as ca:
        site = Site(folder).initialise()
        register(site, ca, authority="letsencrypt")
        with site.engine(now=clock) as engine:
            yield engine, ca


@contextmanager
def unreached(engine: Engine) -> Iterator[None]:
    """The authority is somewhere else."""
    with engine.store.read() as unit:
        issuer = unit.issuers.get(ISSUER)
    away = issuer.model_copy(update={"params": {**issuer.params, "directory": f"https://127.0.0.1:{free_port()}/"}})
    for each in (away, issuer):
        with engine.store.write() as unit:
            unit.issuers.update(each)
        if each is away:
            yield


@pytest.mark.parametrize("ahead", [timedelta(hours=30), 400 * DAY])
def test_renewals_go_on_after_a_tick_with_a_wrong_clock(tmp_path: Path, ahead: timedelta) -> None:
    clock = Clock()
    with house(tmp_path, clock) as (engine, ca):
        mail, new = describe(engine, ca), describe(engine, ca, "new.fabrikam.test")
        request(engine, mail.id)
        clock.ahead = ahead
        with unreached(engine):
            assert all(done.error or done.nothing_to_do for done in renew_all(engine))
        clock.ahead = timedelta()
        for done in renew_all(engine):
            assert not done.error
        with engine.store.read() as unit:
            assert unit.managed.current(new.id)
            for each in (mail, new):
                planned = unit.managed.next_check(each.id)
                assert planned
                assert planned <= clock() + DAY
        assert len(ca.server.issued) == 2
        assert renew_all(engine) == []


def test_a_wish_is_fulfilled_once_though_the_clock_is_set_back(tmp_path: Path) -> None:
    clock = Clock()
    with house(tmp_path, clock) as (engine, ca):
        mail = describe(engine, ca)
        request(engine, mail.id)
        clock.ahead = 2 * DAY
        assert hold.ask(engine, mail.id).reason is Reason.ASKED_FOR
        clock.ahead = timedelta()
        done = [renew(engine, mail.id, patient=True) for _ in range(3)]
        assert [bool(each.request and each.request.version) for each in done] == [True, False, False]
        hold.ask(engine, mail.id)
        with unreached(engine):
            assert renew(engine, mail.id, patient=True).error
        again = renew(engine, mail.id, patient=True)
        assert again.request
        assert again.request.decision.reason is Reason.BACKING_OFF
        assert len(ca.server.issued) == 2


@pytest.fixture
def told(tmp_path: Path) -> Iterator[Alarms]:
    hook = Hook()
    with served(hook), alarms(tmp_path) as one:
        one.channel("webhook", "chat", url=f"{hook.url}{PATH}?room=7", secret=SECRET)
        yield one


@pytest.mark.parametrize("ahead", [timedelta(hours=7), 60 * DAY])
def test_people_are_told_after_something_was_told_by_a_wrong_clock(told: Alarms, ahead: timedelta) -> None:
    (mail,) = told.certificates("mail")
    right = told.now
    told.issued(mail, days=20)

    def need() -> Sequence[tuple[str, str]]:
        with told.engine.store.write() as unit:
            unit.events.add(
                Event(kind=EventKind.NEEDS_PERSON, managed_id=mail, at=told.now, message="It waits.", hint="x")
            )
        return told.told()

    told.now = right + ahead
    assert need()
    told.now = right + timedelta(hours=1)
    assert [subject.partition(";")[0] for _, subject in need()] == ["Urgent: mail needs a person"]
    told.now = right + 15 * DAY
    assert any("expire" in subject for _, subject in told.told())


@pytest.mark.parametrize("ahead", [timedelta(hours=7), 400 * DAY])
def test_duties_and_backups_go_on_after_a_wrong_clock(told: Alarms, tmp_path: Path, ahead: timedelta) -> None:
    folder, right, done = tmp_path / "backups", told.now, list[str]()
    often = Duty("often", "A", timedelta(minutes=1), lambda _: done.append("often"))
    seldom = Duty("seldom", "B", timedelta(hours=6), lambda _: done.append("seldom"))
    duties, stop = Duties(told.engine, (often, seldom)), threading.Event()

    told.now = right + ahead
    duties.do_due(stop)
    for _ in range(3):
        assert back_up_daily(told.engine, folder, 3)
        told.now += DAY
    done.clear()
    told.now = right
    duties.do_due(stop)
    Duties(told.engine, (seldom,)).do_due(stop)
    assert done == ["often", "seldom"]
    made = []
    for _ in range(3):
        found = back_up_daily(told.engine, folder, 3)
        assert found
        made.append(found.backup.path)
        told.now += DAY
    assert sorted(folder.iterdir()) == sorted(made)


YEARS = 3 * 365 * DAY
OLD = 200 * DAY
"""Journals of this age go."""


def full(told: Alarms) -> str:
    """A certificate with eight versions, of which two are to go, a journal that is to go, and two that are to stay."""
    (mail,) = told.certificates("mail")
    for days in range(-80, 80, 20):
        told.issued(mail, days=days, lifetime=100)
    with told.engine.store.write() as unit:
        for age in (OLD, DAY, DAY):
            unit.runs.start(Run(managed_id=mail, kind=RunKind.REQUEST, started_at=told.now - age))
    told.happen(EventKind.DEPLOYED, mail, times=3)
    return mail


def kept(engine: Engine, managed_id: str) -> tuple[int, int, int]:
    """How many versions, journals and events of deployments there are."""
    with engine.store.read() as unit:
        deployed = [event for event in unit.events.last(1000) if event.kind is EventKind.DEPLOYED]
        return len(unit.versions.list(managed_id)), len(unit.runs.list(managed_id)), len(deployed)


def test_nothing_is_removed_by_a_clock_that_has_leapt_and_people_hear_of_it(told: Alarms, tmp_path: Path) -> None:
    mail, right, folder, stop = full(told), told.now, tmp_path / "backups", threading.Event()
    duties = Duties(told.engine, (Duty("housekeeping", "Housekeeping", DAY, keep_house),))
    folder.mkdir()
    duties.do_due(stop)
    assert kept(told.engine, mail) == (6, 2, 3)
    backups = [back_up(told.engine, folder, keep=1).backup.path]

    told.now = right + YEARS
    duties.do_due(stop)
    made = back_up(told.engine, folder, keep=1)
    assert (made.removed, kept(told.engine, mail)) == ((), (6, 2, 3))
    (trouble,) = status(told.engine).service
    assert "The clock is more than 30 days ahead" in trouble.message
    assert trouble.health is Health.ATTENTION
    with told.engine.store.read() as unit:
        assert unit.events.last(1)[0].kind is EventKind.DUTY_FAILED

    told.now = right + timedelta(hours=1)
    duties.do_due(stop)
    assert (kept(told.engine, mail), status(told.engine).service) == ((6, 2, 3), ())
    made = back_up(told.engine, folder, keep=2)
    assert sorted(folder.iterdir()) == sorted([*backups, made.backup.path])


def test_a_clock_that_goes_on_so_is_believed_after_a_week(told: Alarms) -> None:
    def house_was_kept() -> Housekept:
        told.now += DAY
        return housekeep(told.engine)

    mail = full(told)
    housekeep(told.engine)
    told.now += YEARS
    for _ in range(STANDS // DAY):
        assert len(house_was_kept().problems) == 1
    assert kept(told.engine, mail) == (6, 2, 3)
    done = house_was_kept()
    assert (done.problems, done.runs, done.events) == ([], 2, 3)


def test_a_file_that_a_wrong_clock_took_for_ended_is_told_of_before_it_ends(told: Alarms) -> None:
    def seen() -> list[EventKind]:
        return [kind for one in look_at_all(told.engine) for kind, _ in one.events]

    told.now = START
    watch_file(told.engine, leaf("shop.fabrikam.test").public_bytes(Encoding.PEM), "shop")
    told.now = START + YEARS
    assert seen() == [EventKind.WATCHED_ENDING]
    told.now = START + timedelta(hours=1)
    assert seen() == []
    told.now = START + 77 * DAY
    assert seen() == [EventKind.WATCHED_ENDING]


@pytest.mark.parametrize("is_started_anew", [False, True])
def test_a_certificate_of_hours_does_not_end_while_it_waits_as_a_wrong_clock_has_planned(
    tmp_path: Path, is_started_anew: bool
) -> None:
    clock, hours = Clock(), timedelta(hours=6)
    config = AcmeServerConfig(ca=CaConfig(profiles={"hours": Profile(description="Six hours", lifetime=hours)}))
    with house(tmp_path, clock, config) as (engine, ca):
        mail, watch = describe(engine, ca), ClockWatch()

        def planned() -> datetime:
            with engine.store.read() as unit:
                found = unit.managed.next_check(mail.id)
            assert found
            return found

        version = request(engine, mail.id).version
        assert version
        ends = version_facts(version).not_after
        watch.look(engine)
        clock.ahead = timedelta(hours=20)
        watch.look(engine)
        (failed,) = renew_all(engine)
        assert "look at the clock of this machine" in "".join(failed.error.explain() if failed.error else ())
        assert planned() > ends
        clock.ahead = timedelta()
        assert renew_all(engine) == []
        (ClockWatch() if is_started_anew else watch).look(engine)
        assert [done.error for done in renew_all(engine)] == [None]
        assert planned() <= ends - hours / 4
        assert renew_all(engine) == []
        assert len(ca.server.issued) == 2, "the other one was refused for its dates"
