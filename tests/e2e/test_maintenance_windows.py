"""Renewed when it is right, deployed in the window; near the end the window counts no more; what was begun is finished.

Simulated time lies behind us, so that what is issued in it is valid on the wire today.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from certwright.acme_server import AcmeServer, AcmeServerConfig
from certwright.acme_server.config import CaConfig, Profile
from certwright.domain.certificates import CertificateFacts
from certwright.domain.managed import ManagedCertificate, TaskSettings
from certwright.domain.renewal_state import RenewalState
from certwright.domain.runs import DeploymentState, Stage
from certwright.domain.windows import MaintenanceWindow, Span
from certwright.engine.context import Engine
from certwright.engine.managed import details
from certwright.engine.renew import renew, renew_all
from certwright.engine.request import request
from certwright.engine.schedule import admitted, reschedule, turn_by_hand
from certwright.engine.windows import put_window, set_window
from certwright.exchange_simulator import Gone
from certwright.wiring import utc_now
from peers.acme_server import loopback_config
from world import dying, processes
from world.dying import Boundary, Death
from world.exchange import attach, exchange
from world.house import House, house, told
from world.hurry import hurried
from world.site import ISSUER, Authority, Site, authority, describe, register
from world.year import Clock

pytestmark = pytest.mark.e2e
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
LIFETIME = timedelta(days=60)
CONFIG = AcmeServerConfig(
    ca=CaConfig(profiles={"days60": Profile(description="60 days", lifetime=LIFETIME, common_name=True)})
)
NAME = "maintenance"


def window(begin: datetime, end: datetime) -> MaintenanceWindow:
    """Open once."""
    span = Span(days=(begin.date(),), start=begin.time(), end=end.time(), nights=(end.date() - begin.date()).days)
    return MaintenanceWindow(name=NAME, zone="UTC", spans=(span,))


@dataclass(frozen=True)
class Past:
    """A house whose first certificate was issued and deployed 58 days ago; in two days it is to be renewed."""

    house: House
    clock: Clock
    begin: datetime

    @property
    def issued(self) -> list[CertificateFacts]:
        return [CertificateFacts.of(each.certificate) for each in self.house.ca.server.issued]

    @property
    def served(self) -> set[str | None]:
        return {self.house.exchange.served[port] for port in (443, 25, 587)}

    def live(self, until: datetime) -> list[datetime]:
        """Do what is due until then, jumping from one moment of the schedule to the next; when something was done."""
        done = []
        with self.house.site.engine(now=self.clock) as engine, hurried():
            while self.clock() < until:
                if not all(renewal.nothing_to_do for renewal in renew_all(engine)):
                    done.append(self.clock())
                with engine.store.read() as unit:
                    upcoming = unit.managed.next_moment(self.clock())
                self.clock.set(min(max(upcoming or until, self.clock() + timedelta(seconds=1)), until))
        return done

    def notes(self) -> str:
        return "\n".join(entry.title for entry in self.house.journal())


@contextmanager
def past(folder: Path) -> Iterator[Past]:
    begin = utc_now().replace(microsecond=0) - 58 * DAY
    clock = Clock(folder / "clock", begin)
    loopback = loopback_config(CONFIG)
    with AcmeServer(loopback, clock=clock) as server, exchange(folder) as target:
        ca = Authority(server, loopback.validation.http_port, loopback.validation.tls_port)
        site = Site(folder).initialise()
        register(site, ca)
        with site.engine(now=clock) as engine, hurried():
            managed = describe(engine, ca, key_type="rsa-2048")
            attach(engine, managed.id, target, **target.few_params)
            (first,) = renew(engine, managed.id).tasks
            assert first.error is None, told(first)
        clock.set(begin + 38 * DAY)
        yield Past(House(site, ca, target, managed.id), clock, begin)


def close(one: Past, begin: datetime, end: datetime) -> None:
    """Have it deployed only in this window."""
    with one.house.site.engine(now=one.clock) as engine:
        put_window(engine, window(begin, end))
        set_window(engine, one.house.managed_id, NAME)


def test_it_is_renewed_by_its_own_clock_and_deployed_in_the_window(tmp_path: Path) -> None:
    with past(tmp_path) as one:
        opens = one.begin + 50 * DAY
        close(one, opens, opens + 2 * HOUR)
        one.live(opens - HOUR)
        first, second = one.issued
        assert second.not_before < opens - 5 * DAY
        assert one.served == {first.sha256}
        shown = json.loads(_show(one))
        assert shown["deployed"] == "held"
        assert [datetime.fromisoformat(held["until"]) for held in shown["held"]] == [opens]
        assert f"when the window {NAME!r} opens; at the latest until" in shown["held"][0]["message"]
        assert one.live(opens + 2 * HOUR) == [opens]
        assert one.served == {second.sha256}
        assert one.live(opens + 3 * DAY) == []
        assert len(one.issued) == 2


def _show(one: Past) -> str:
    """What `certificate show --json` prints at the simulated time."""
    with one.house.site.engine(now=one.clock) as engine:
        return json.dumps(details(engine, one.house.managed_id).data(), default=str)


@pytest.mark.parametrize("opens", [59 * DAY, -500 * DAY], ids=["after the deadline", "never again"])
def test_near_the_end_of_what_is_served_the_window_counts_no_more(opens: timedelta, tmp_path: Path) -> None:
    with past(tmp_path) as one:
        close(one, one.begin + opens, one.begin + opens + HOUR)
        first = one.issued[0]
        deadline = first.not_after - first.lifetime / 20
        one.live(deadline - timedelta(minutes=1))
        assert one.served == {first.sha256}
        assert len(one.issued) == 2
        done = one.live(deadline + DAY)
        assert len(done) == 1
        assert timedelta() <= done[0] - deadline < timedelta(seconds=2)
        assert one.served == {one.issued[1].sha256}
        assert "no longer waited for: the certificate in use ends on" in one.notes()


def test_a_window_that_is_changed_is_heeded_at_once(tmp_path: Path) -> None:
    with past(tmp_path) as one:
        close(one, one.begin + 56 * DAY, one.begin + 57 * DAY)
        one.live(one.begin + 45 * DAY)
        assert one.served == {one.issued[0].sha256}
        now = one.clock()
        with one.house.site.engine(now=one.clock) as engine:
            put_window(engine, window(now - HOUR, now + HOUR))
        assert one.live(now + timedelta(minutes=1)) == [now]
        assert one.served == {one.issued[1].sha256}


@contextmanager
def windowed(folder: Path) -> Iterator[House]:
    """A house with a deployed version, the next one issued, and a window that is open now and for two hours."""
    with house(folder, few=True) as one:
        one.next_version()
        one.deployed()
        one.next_version()
        now = utc_now()
        with one.site.engine() as engine:
            put_window(engine, window(now - HOUR, now + 2 * HOUR))
            set_window(engine, one.managed_id, NAME)
        yield one


def tomorrow() -> datetime:
    """When that window is closed."""
    return utc_now() + DAY


def test_what_a_killed_run_began_is_gone_on_with_outside_the_window(tmp_path: Path) -> None:
    with windowed(tmp_path) as one:
        for nth in range(11, 40):
            ended = processes.run(
                dying.deploy,
                one.managed_id,
                Death(Boundary.ENTRY, nth),
                folder=one.site.folder,
                environment=one.site.environment,
            )
            assert ended.code == -9
            if state(one).is_unfinished:
                break
        version = CertificateFacts.of(one.ca.server.issued[-1].certificate)
        with one.site.engine(now=tomorrow) as engine, hurried():
            (done,) = renew_all(engine)
        assert [(result.stage, result.error) for result in done.tasks] == [(Stage.DEPLOYED, None)]
        assert {one.exchange.served[port] for port in (443, 25, 587)} == {version.sha256}
        assert any("what was begun is finished first" in entry.title for entry in one.journal())


def test_an_undo_goes_on_outside_the_window_and_the_next_attempt_waits_for_it(tmp_path: Path) -> None:
    with windowed(tmp_path) as one:
        one.exchange.server.faults.inject(Gone(), "Enable-ExchangeCertificate", nth=2)
        with one.site.engine() as engine, hurried():
            (stuck,) = renew_all(engine)[0].tasks
        assert stuck.stage is Stage.UNDOING
        one.exchange.server.faults.heal()
        with one.site.engine(now=tomorrow) as engine, hurried():
            (back,) = renew_all(engine)[0].tasks
            assert back.stage is Stage.ROLLED_BACK
            (held,) = renew(engine, one.managed_id).tasks
        assert held.is_held


def test_by_hand_outside_the_window_it_takes_a_word(tmp_path: Path) -> None:
    with windowed(tmp_path) as one:
        changes = len(one.exchange.mutations)
        with one.site.engine() as engine:
            put_window(engine, window(utc_now() + DAY, utc_now() + DAY + HOUR))
        refused = one.site.cli("deploy", one.managed_id, code=3)
        assert "exchange: held" in refused.out
        assert f"when the window {NAME!r} opens" in refused.out
        assert "--now" in refused.out
        (told,) = json.loads(one.site.cli("task", "run", one.managed_id, "exchange", "--json", code=3).out)
        assert datetime.fromisoformat(told["held_until"]) > utc_now() + 23 * HOUR
        assert "--now" in one.site.cli("exchange", "apply", one.managed_id, "--yes", code=3).err
        renewed = one.site.cli("certificate", "renew", one.managed_id, "--force", code=0)
        assert "issued version" in renewed.out
        assert "exchange: held" in renewed.out
        assert "held" in one.site.cli("certificate", "list", code=0).out
        assert f"when the window {NAME!r} opens" in one.site.cli("certificate", "preview", one.managed_id, code=0).out
        reach = one.exchange.options[:12]
        found = json.loads(one.site.cli("exchange", "doctor", *reach, "--json").out)["findings"]
        (told,) = [finding for finding in found if finding["check"] == "not-deployed"]
        assert f"when the window {NAME!r} opens" in told["message"]
        assert len(one.exchange.mutations) == changes
        one.site.cli("certificate", "renew", "--now", code=2)
        assert "exchange: deployed" in one.site.cli("deploy", one.managed_id, "--now", code=0).out
        assert any("A person wishes it now." in entry.title for entry in one.journal())


def state(one: House) -> DeploymentState:
    with one.site.engine() as engine, engine.store.read() as unit:
        (task,) = unit.managed.get(one.managed_id).tasks
        found = unit.deployments.get(task.id)
    assert found
    return found


def test_a_run_that_was_killed_before_its_first_change_waits_for_the_window(tmp_path: Path) -> None:
    with windowed(tmp_path) as one:
        changes = len(one.exchange.mutations)
        death = Death(Boundary.ENTRY, 3)
        ended = processes.run(
            dying.deploy, one.managed_id, death, folder=one.site.folder, environment=one.site.environment
        )
        assert ended.code == -9
        with one.site.engine(now=tomorrow) as engine, hurried():
            (held,) = renew(engine, one.managed_id).tasks
        assert held.is_held
        assert len(one.exchange.mutations) == changes


@pytest.fixture(scope="module")
def waiting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Engine, ManagedCertificate]]:
    """A certificate that waits for a window that is closed."""
    with authority() as ca:
        site = Site(tmp_path_factory.mktemp("waiting")).initialise()
        register(site, ca)
        with site.engine() as engine:
            put_window(engine, window(utc_now() + DAY / 2, utc_now() + DAY / 2 + HOUR))
            managed = describe(engine, ca)
            with engine.store.write() as unit:
                task = TaskSettings(kind="exchange", title="Exchange", params={})
                unit.managed.update(managed.model_copy(update={"tasks": (task,)}))
            for _ in range(2):
                request(engine, managed.id, force=True)
            with engine.store.write() as unit:  # else the authority's advice is asked for at a moment that is drawn
                state = unit.renewals.get(managed.id)
                unit.renewals.save(managed.id, state.model_copy(update={"ask_again": utc_now() + DAY}))
            yield engine, set_window(engine, managed.id, NAME)


@pytest.mark.parametrize(
    ("stage", "changed", "held"),
    [
        (Stage.WAITING, False, True),
        (Stage.WAITING, True, False),
        (Stage.FAILED, False, True),
        (Stage.FAILED, True, False),
        (Stage.APPLYING, False, False),
        (Stage.UNDOING, False, False),
        (Stage.ROLLED_BACK, False, True),
    ],
)
def test_only_what_may_have_left_targets_between_two_versions_goes_on(
    stage: Stage, changed: bool, held: bool, waiting: tuple[Engine, ManagedCertificate]
) -> None:
    engine, managed = waiting
    (task,) = managed.tasks
    state = DeploymentState(task_id=task.id, managed_id=managed.id, stage=stage, changed=changed)
    with engine.store.write() as unit:
        unit.deployments.save(state)
        assert (admitted(unit, managed, turn_by_hand(unit, managed, task), engine.now()).until is not None) is held
        reschedule(engine, unit, managed)
        upcoming = unit.managed.next_check(managed.id)
    assert upcoming
    assert (upcoming > engine.now() + HOUR) is held


@pytest.mark.parametrize(
    ("stage", "field", "told"),
    [
        (Stage.DEPLOYED, "version_id", "the certificate in use"),
        (Stage.ROLLED_BACK, "in_use", "the certificate in use"),
        (Stage.ROLLED_BACK, "version_id", "the new certificate itself"),
        (Stage.NEW, None, "the new certificate itself"),
    ],
)
def test_the_deadline_is_that_of_what_was_deployed_last(
    stage: Stage, field: str | None, told: str, waiting: tuple[Engine, ManagedCertificate]
) -> None:
    engine, managed = waiting
    (task,) = managed.tasks
    with engine.store.write() as unit:
        *_, first = unit.versions.list(managed.id)
        state = DeploymentState(task_id=task.id, managed_id=managed.id, stage=stage)
        unit.deployments.save(state.model_copy(update={field: first.id} if field else {}))
        assert f"as {told} ends on" in admitted(unit, managed, turn_by_hand(unit, managed, task), engine.now()).message


def test_a_pause_and_a_window_are_both_kept(waiting: tuple[Engine, ManagedCertificate]) -> None:
    engine, managed = waiting
    (task,) = managed.tasks
    for pause, later in ((HOUR, False), (DAY / 2 + HOUR / 2, True)):
        retry_at = engine.now() + pause
        state = DeploymentState(task_id=task.id, managed_id=managed.id, stage=Stage.FAILED, retry_at=retry_at)
        with engine.store.write() as unit:
            unit.deployments.save(state)
            unit.renewals.save(managed.id, RenewalState())
            reschedule(engine, unit, managed)
            upcoming = unit.managed.next_check(managed.id)
            opening = unit.windows.get(NAME).next_opening(engine.now())
        assert opening
        assert upcoming == (retry_at if later else opening.start)


def test_windows_on_the_command_line(tmp_path: Path) -> None:
    with authority() as ca:
        site = Site(tmp_path).initialise()
        register(site, ca)
        with site.engine() as engine:
            managed = describe(engine, ca)
        spans = ["--open", "Sat 22:00-04:00", "--open", "Wed 12:00-13:00"]
        added = site.cli("window", "add", "weekend", *spans, "--zone", "Europe/Berlin", code=0)
        assert "Sat 22:00-04:00; Wed 12:00-13:00 (Europe/Berlin)" in added.out
        site.cli(
            "window", "add", "night", "--open", "daily 01:00-04:00", "--zone", "UTC", "--closed", "2099-01-01", code=0
        )
        assert json.loads(site.cli("certificate", "window", managed.id, "weekend", "--json", code=0).out)["held"] == []
        shown = json.loads(site.cli("window", "show", "weekend", "--json", code=0).out)
        assert shown["used_by"] == [managed.title]
        assert len(shown["openings"]) == 5
        for opening in shown["openings"]:
            local, moment = (datetime.fromisoformat(opening[key]) for key in ("local_start", "start"))
            assert local == moment
            assert (f"{local:%a}", local.hour) in (("Sat", 22), ("Wed", 12))
            assert moment.utcoffset() == timedelta()
        assert "Sat " in site.cli("window", "show", "weekend", code=0).out
        listed = json.loads(site.cli("window", "list", "--json", code=0).out)
        assert [(one["name"], len(one["used_by"])) for one in listed] == [("night", 0), ("weekend", 1)]
        assert "weekend" in site.cli("window", "list", code=0).out
        assert managed.title in site.cli("window", "remove", "weekend", code=2).err
        assert "weekend" in site.cli("certificate", "show", managed.id, code=0).out
        site.cli("certificate", "window", managed.id, "--anytime", code=0)
        site.cli("window", "remove", "weekend", code=0)


def test_a_certificate_is_described_with_its_window(tmp_path: Path) -> None:
    with authority() as ca:
        site = Site(tmp_path).initialise()
        register(site, ca)
    new = ("certificate", "new", "mail.contoso.test", "--issuer", ISSUER, "--window", "night")
    assert "no maintenance window 'night'" in site.cli(*new, code=2).err
    assert json.loads(site.cli("certificate", "list", "--json", code=0).out) == []
    site.cli("window", "add", "night", "--open", "daily 01:00-04:00", "--zone", "UTC", code=0)
    assert json.loads(site.cli(*new, "--json", code=0).out)["window"] == "night"
    assert json.loads(site.cli("window", "show", "night", "--json", code=0).out)["used_by"] == ["mail.contoso.test"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("window", "add", "w", "--open", "Sat", "--zone", "UTC"), "names no span"),
        (("window", "add", "w", "--open", "Sat 22:00-04:00", "--zone", "Berlin"), "no time zone 'Berlin'"),
        (("window", "add", "w", "--open", "Sat 22:00-04:00", "--zone", "UTC", "--closed", "x"), "names no days"),
        (("window", "add", "w" * 101, "--open", "Sat 22:00-04:00", "--zone", "UTC"), "1 parameter is wrong"),
        (("window", "show", "w"), "no maintenance window 'w'"),
        (("window", "remove", "w"), "no maintenance window 'w'"),
        (("certificate", "window", "mail.contoso.test", "w"), "no maintenance window 'w'"),
        (("certificate", "window", "mail.contoso.test"), "either a window or --anytime"),
        (("certificate", "window", "mail.contoso.test", "w", "--anytime"), "either a window or --anytime"),
    ],
)
def test_what_is_wrong_on_the_command_line_is_told(arguments: tuple[str, ...], told: str, mail: Site) -> None:
    assert told in mail.cli(*arguments, code=2).err


@pytest.fixture(scope="module")
def mail(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with authority() as ca:
        site = Site(tmp_path_factory.mktemp("mail")).initialise()
        register(site, ca)
        with site.engine() as engine:
            describe(engine, ca, "mail.contoso.test")
        yield site
