"""Housekeeping: what nobody needs goes, and what a deployment, a task's memory or a person may still need stays."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import select

from certwright.acme_server.ca import CertificateAuthority
from certwright.acme_server.config import KeyType
from certwright.domain.certificates import CertificateFacts
from certwright.domain.events import Event, EventKind
from certwright.domain.identifiers import Identifier
from certwright.domain.managed import CertificateVersion, Issuer, KeyForm, ManagedCertificate, TaskSettings
from certwright.domain.runs import DeploymentState, Entry, Phase, Run, RunKind, Stage
from certwright.domain.windows import MaintenanceWindow, Span
from certwright.engine.context import Engine
from certwright.engine.deploy import deploy
from certwright.engine.housekeeping import Retention, housekeep
from certwright.engine.managed import remove
from certwright.engine.material import version_facts
from certwright.engine.renew import renew_all
from certwright.engine.request import request
from certwright.engine.revoked import revoked
from certwright.engine.windows import put_window, set_window
from certwright.store.schema import leases
from certwright.wiring import utc_now
from world.house import House, house
from world.hurry import hurried
from world.site import Site

pytestmark = pytest.mark.e2e
NOW = datetime(2026, 12, 1, tzinfo=UTC)
DAY = timedelta(days=1)
TASK = TaskSettings(id="task00000001", kind="exchange", title="Exchange", params={})
FEW = Retention(versions=2)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with Site(tmp_path).initialise().engine(now=lambda: NOW) as made:
        yield made


@pytest.fixture
def managed(engine: Engine) -> ManagedCertificate:
    made = ManagedCertificate(title="Mail", identifiers=["mail.contoso.test"], issuer="ca", tasks=(TASK,))
    with engine.store.write() as unit:
        unit.issuers.add(Issuer(name="ca", kind="acme", params={}), b"account key")
        unit.managed.add(made)
    return made


def issue(engine: Engine, managed: ManagedCertificate, *ended_days_ago: int) -> list[CertificateVersion]:
    """Versions, oldest first, that ended so many days ago."""
    ca, made = CertificateAuthority(), []
    for days in ended_days_ago:
        end = NOW - timedelta(days=days)
        given = ca.issue_directly(
            ["mail.contoso.test"], KeyType.ECDSA_P256, not_before=end - timedelta(days=90), not_after=end
        )
        version = CertificateVersion(
            managed_id=managed.id,
            issuer="ca",
            chain_pem="".join(c.public_bytes(Encoding.PEM).decode() for c in given.chain),
            fingerprint="f",
            issued_at=end - timedelta(days=90),
        )
        with engine.store.write() as unit:
            unit.versions.add(version, b"key")
        made.append(version)
    return made


def left(engine: Engine, managed: ManagedCertificate) -> set[str]:
    with engine.store.read() as unit:
        versions = {v.id for v in unit.versions.list(managed.id)}
        keys = {n.removeprefix("version:") for n in unit.secrets.names() if n.startswith("version:")}
    assert versions == keys
    return versions


def test_expired_versions_go_but_for_the_newest(engine: Engine, managed: ManagedCertificate) -> None:
    versions = issue(engine, managed, 400, 300, 200, 100, 10)
    assert housekeep(engine, FEW).versions == 3
    assert left(engine, managed) == {v.id for v in versions[-2:]}
    assert housekeep(engine, FEW).versions == 0


def test_what_is_valid_stays_however_many_there_are(engine: Engine, managed: ManagedCertificate) -> None:
    versions = issue(engine, managed, 100, -1, -2, -3, -4)
    assert housekeep(engine, FEW).versions == 1
    assert left(engine, managed) == {v.id for v in versions[1:]}


def test_a_few_stay_for_the_deployments_to_go_back_to(engine: Engine, managed: ManagedCertificate) -> None:
    issue(engine, managed, *range(900, 100, -100))
    assert housekeep(engine).versions == 2
    assert len(left(engine, managed)) == 6


@pytest.mark.parametrize("where", ["version in use", "what was served", "memory", "memory in lower case"])
def test_what_a_deployment_or_a_memory_mentions_stays(engine: Engine, managed: ManagedCertificate, where: str) -> None:
    versions = issue(engine, managed, 500, 400, 300, 200, 100)
    needed = versions[1]
    facts = version_facts(needed)
    state = DeploymentState(task_id=TASK.id, managed_id=managed.id, stage=Stage.DEPLOYED)
    with engine.store.write() as unit:
        if where == "version in use":
            unit.deployments.save(state.model_copy(update={"version_id": needed.id}))
        elif where == "what was served":
            unit.deployments.save(state.model_copy(update={"message": f"{facts.sha256[:16]} mail.contoso.test"}))
        elif where == "memory":
            unit.deployments.memory_put(TASK.id, "imported", {"ex01": [facts.thumbprint]})
        else:
            unit.deployments.memory_put(TASK.id, "other", facts.sha256)
    assert housekeep(engine, FEW).versions == 2
    assert left(engine, managed) == {needed.id, *(v.id for v in versions[-2:])}


def test_what_was_revoked_is_known_as_such_for_good(engine: Engine, managed: ManagedCertificate) -> None:
    revoked_one, *others = issue(engine, managed, 500, 400, 300, 200)
    with engine.store.write() as unit:
        unit.versions.mark_revoked(revoked_one.id, NOW)
    assert [housekeep(engine, FEW).versions for _ in range(2)] == [1, 0]
    known = frozenset([version_facts(revoked_one).thumbprint])
    with engine.store.read() as unit:
        kept = unit.versions.list(managed.id)
        assert [version.id for version in kept] == [others[2].id, others[1].id, revoked_one.id]
        assert (kept[-1].revoked_at, kept[-1].key_form) == (NOW, KeyForm.ELSEWHERE)
        assert unit.versions.private_key(revoked_one.id) is None
    assert revoked(engine) == known
    remove(engine, managed.id)
    with engine.store.read() as unit:
        assert unit.versions.revoked() == []
    assert revoked(engine) == known


def test_a_certificate_that_is_being_worked_on_is_left_for_the_next_time(
    engine: Engine, managed: ManagedCertificate
) -> None:
    issue(engine, managed, 400, 300, 200)
    with engine.certificate_lease(managed):
        done = housekeep(engine, FEW)
    assert (done.versions, len(done.problems)) == (0, 1)
    assert "is being worked on" in done.problems[0].message
    assert housekeep(engine, FEW).versions == 1


def test_journals_events_and_snapshots_go_by_their_age(engine: Engine, managed: ManagedCertificate) -> None:
    old, young = NOW - timedelta(days=500), NOW - timedelta(days=5)
    with engine.store.write() as unit:
        for at, count in ((old, 450), (young, 3)):
            for number in range(count):
                run = Run(managed_id=managed.id, kind=RunKind.REQUEST, started_at=at)
                unit.runs.start(run)
                unit.runs.append(Entry(run_id=run.id, at=at, step=0, phase=Phase.NOTE, title=f"{number}"))
                unit.events.add(Event(kind=EventKind.DEPLOYED, managed_id=managed.id, at=at, message=str(number)))
        for subject in ("organisation:a", "organisation:b"):
            for number in range(3):
                unit.records.put(subject, "snapshot", number, old)
            unit.records.put(subject, "supervised", "by a person", old)
        unit.records.put("organisation:b", "snapshot", 3, young)
        unit.answers.put("token", "answer", old)
    done = housekeep(engine)
    assert (done.runs, done.events, done.snapshots, done.answers) == (450, 450, 5, 1)
    with engine.store.read() as unit:
        assert len(unit.runs.list(managed.id, 1000)) == len(unit.runs.entries_after(0)) == 3
        assert len(unit.events.last(1000)) == 3
        assert [r.value for r in unit.records.list("organisation:a", "snapshot")] == [2]
        assert [r.value for r in unit.records.list("organisation:b", "snapshot")] == [3]
        assert unit.records.last("organisation:a", "supervised")
        assert unit.answers.get("token") is None


def test_what_is_left_of_removed_certificates_and_channels_goes(engine: Engine, managed: ManagedCertificate) -> None:
    gone = ManagedCertificate(title="gone", identifiers=(Identifier.parse("gone.contoso.test"),), issuer="ca")
    with engine.store.write() as unit:
        unit.managed.add(gone)
        unit.credentials.add_typed("notify", "webhook", "chat", {}, {})
        for name in ("chat", "removed"):
            unit.records.put(f"channel:{name}", "trouble", "It refuses.", NOW)
    for subject in (gone, managed):
        with engine.certificate_lease(subject):
            pass
    with engine.store.lease("credential:removed"):
        pass
    with engine.store.write() as unit:
        unit.managed.remove(gone.id)
    assert housekeep(replace(engine, now=utc_now)).leases == 0
    later = replace(engine, now=lambda: utc_now() + timedelta(days=2))
    assert housekeep(later).leases == 1
    with engine.store.read() as unit:
        assert unit.records.last("channel:chat", "trouble")
        assert unit.records.last("channel:removed", "trouble") is None
        names = unit.leases.connection.scalars(select(leases.c.name)).all()
    assert {f"certificate:{managed.id}", "credential:removed"} <= set(names)


def test_the_oldest_alone_are_looked_at(engine: Engine, managed: ManagedCertificate) -> None:
    with engine.store.write() as unit:
        for days in range(1000):
            at = NOW - timedelta(days=1000 - days)
            unit.events.add(Event(kind=EventKind.DEPLOYED, managed_id=managed.id, at=at, message=""))
    with engine.store.write() as unit:
        assert unit.events.expire(NOW - timedelta(days=998), 10) == 2
        assert unit.events.expire(NOW - timedelta(days=500), 10) == 10


def twice_deployed(one: House) -> CertificateFacts:
    """Deploy one version after the other, with a person looking on; the first of the two."""
    versions = []
    with one.site.engine() as engine, hurried():
        for _ in range(2):
            issued = request(engine, one.managed_id, force=True).version
            assert issued
            versions.append(version_facts(issued))
            (result,) = deploy(engine, one.managed_id, attended=True)
            assert result.error is None
    return versions[0]


def test_exchange_is_cleaned_up_where_unattended_work_is_released_and_nowhere_else(tmp_path: Path) -> None:
    with house(tmp_path) as one:
        first = twice_deployed(one)
        stored = one.exchange.server.state.certificates
        with one.site.engine() as engine:
            later = replace(engine, now=lambda: utc_now() + timedelta(days=2))
            examined(engine, passed=False)
            with hurried():
                before = housekeep(later)
            assert first.thumbprint in stored
            examined(engine, passed=True)
            with hurried():
                after = housekeep(later)
    assert (len(before.waiting), before.cleaned) == (1, [])
    assert after.problems == []
    assert [c.parameters["Thumbprint"] for one in after.cleaned for c in one.removed] == [first.thumbprint]
    assert first.thumbprint not in stored


def test_with_a_maintenance_window_exchange_is_cleaned_up_when_that_opens(tmp_path: Path) -> None:
    with house(tmp_path) as one:
        first = twice_deployed(one)
        stored = one.exchange.server.state.certificates
        opens = (utc_now() + timedelta(days=3)).replace(microsecond=0)
        span = Span(days=(opens.date(),), start=opens.time(), end=opens.time(), nights=1)
        with one.site.engine() as engine:
            put_window(engine, MaintenanceWindow(name="w", zone="UTC", spans=(span,)))
            set_window(engine, one.managed_id, "w")
            examined(engine, passed=True)
            closed = replace(engine, now=lambda: opens - timedelta(days=1))
            with hurried():
                done = housekeep(closed)
                renew_all(closed)
            assert (done.cleaned, done.waiting, done.problems) == ([], [], [])
            with engine.store.write() as unit:  # as a clock that was wrong then
                state = unit.renewals.get(one.managed_id)
                unit.renewals.save(one.managed_id, state.model_copy(update={"clean_up_at": opens + 1000 * DAY}))
            with hurried():
                housekeep(closed)
            with engine.store.read() as unit:
                assert unit.renewals.get(one.managed_id).clean_up_at == opens
                upcoming = unit.managed.next_check(one.managed_id)
            assert upcoming
            assert upcoming <= opens
            refused = one.site.cli("exchange", "cleanup", one.managed_id, "--yes", code=3)
            assert "opens on" in refused.err
            assert "--now" in refused.err
            assert first.thumbprint in stored
            with hurried():
                renew_all(replace(engine, now=lambda: opens))
            assert first.thumbprint not in stored
            with engine.store.read() as unit:
                assert unit.renewals.get(one.managed_id).clean_up_at is None


def examined(engine: Engine, *, passed: bool) -> None:
    with engine.store.write() as unit:
        unit.records.put("organisation:127.0.0.1", "doctor", {"passed": passed}, utc_now())


def test_the_command_says_what_went(tmp_path: Path) -> None:
    site = Site(tmp_path).initialise()
    done = json.loads(site.cli("housekeeping", "--json", code=0).out)
    assert done == {
        **dict.fromkeys(("versions", "runs", "events", "snapshots", "answers", "leases"), 0),
        **{name: [] for name in ("exchange", "waiting", "problems")},
    }
    assert "Removed: 0 versions" in site.cli("housekeeping", code=0).out
