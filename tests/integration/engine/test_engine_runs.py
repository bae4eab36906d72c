"""The frame of a run: how its block ends is how the run ends, and what died is closed by whoever comes next."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from certwright.domain.errors import ConfigurationError, DeploymentError, LeaseHeld, LeaseLost, NeedsPerson
from certwright.domain.identifiers import parse_all
from certwright.domain.managed import Issuer, ManagedCertificate
from certwright.domain.runs import Outcome, Run, RunKind
from certwright.engine import context
from certwright.engine.context import ANSWERS_KEPT, Engine, running
from certwright.settings import Settings
from certwright.store import open_store
from world import stores

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    settings = Settings(tmp_path / "data", key_folder=tmp_path / "keys")
    stores.fresh(settings)
    with open_store(settings) as store:
        yield Engine(store, lambda: NOW, lambda _: None)


@pytest.fixture
def managed(engine: Engine) -> ManagedCertificate:
    managed = ManagedCertificate(title="mail", identifiers=parse_all(["mail.contoso.com"]), issuer="ca")
    with engine.store.write() as unit:
        unit.issuers.add(Issuer(name="ca", kind="acme", params={}), b"account key")
        unit.managed.add(managed)
    return managed


def _last(engine: Engine, managed: ManagedCertificate) -> Run:
    with engine.store.read() as unit:
        return unit.runs.list(managed.id)[0]


def test_a_run_that_ends_well_is_done(engine: Engine, managed: ManagedCertificate) -> None:
    with engine.certificate_lease(managed) as lease, running(engine, managed, RunKind.TEST, lease) as run:
        run.journal.note("A word.")
        assert _last(engine, managed).outcome is None
    ended = _last(engine, managed)
    assert (ended.outcome, ended.ended_at, ended.kind) == (Outcome.DONE, NOW, RunKind.TEST)
    with engine.store.read() as unit:
        assert [entry.title for entry in unit.runs.entries(run.id)] == ["A word."]


def test_a_step_is_kept_before_it_begins_and_the_rest_with_the_next_or_at_the_end(
    engine: Engine, managed: ManagedCertificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(context, "_LATEST_SECONDS", 3600.0)

    def kept() -> list[str]:
        with engine.store.read() as unit:
            return [f"{entry.phase} {entry.title}" for entry in unit.runs.entries(run.id)]

    with engine.certificate_lease(managed) as lease, running(engine, managed, RunKind.TEST, lease) as run:
        run.journal.note("First.")
        assert kept() == []
        with run.journal.step("Ask"):
            assert kept() == ["note First.", "start Ask"]
            run.journal.note("It answers.")
        assert len(kept()) == 2
        with run.journal.step("Keep"):
            assert kept()[2:] == ["note It answers.", "end Ask", "start Keep"]
    assert kept()[5:] == ["end Keep"]


def test_what_is_said_before_a_long_wait_is_kept_meanwhile(
    engine: Engine, managed: ManagedCertificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(context, "_LATEST_SECONDS", 0.01)
    with engine.certificate_lease(managed) as lease, running(engine, managed, RunKind.TEST, lease) as run:
        run.journal.note("Waiting for the DNS.")
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with engine.store.read() as unit:
                if unit.runs.entries(run.id):
                    break
            time.sleep(0.01)
        else:
            pytest.fail("it was not kept")


@pytest.mark.parametrize(
    ("error", "outcome", "told"),
    [
        (NeedsPerson("Restart it."), Outcome.WAITING, "Restart it."),
        (DeploymentError("It is full."), Outcome.FAILED, "It is full."),
        (ConfigurationError("There is none."), Outcome.FAILED, "There is none."),
        (KeyboardInterrupt("c4nary"), Outcome.INTERRUPTED, "KeyboardInterrupt"),
        (ValueError("c4nary"), Outcome.INTERRUPTED, "ValueError"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_run_ends_as_its_block_does(
    error: BaseException, outcome: Outcome, told: str, engine: Engine, managed: ManagedCertificate
) -> None:
    with (
        pytest.raises(type(error)),
        engine.certificate_lease(managed) as lease,
        running(engine, managed, RunKind.DEPLOY, lease),
    ):
        raise error
    ended = _last(engine, managed)
    assert ended.outcome is outcome
    assert told in ended.message
    assert "c4nary" not in ended.message


def test_what_died_is_closed_by_whoever_takes_the_lease_next(engine: Engine, managed: ManagedCertificate) -> None:
    dead = Run(managed_id=managed.id, kind=RunKind.REQUEST, started_at=NOW - timedelta(hours=3))
    with engine.store.write() as unit:
        unit.runs.start(dead)
        unit.answers.put("old", "old.answer", NOW - ANSWERS_KEPT - timedelta(seconds=1))
        unit.answers.put("new", "new.answer", NOW - ANSWERS_KEPT + timedelta(seconds=1))
    with engine.certificate_lease(managed):
        closed = _last(engine, managed)
        with engine.store.read() as unit:
            assert unit.answers.get("old") is None
            assert unit.answers.get("new") == "new.answer"
    assert closed.id == dead.id
    assert (closed.outcome, closed.ended_at) == (Outcome.INTERRUPTED, NOW)


def test_a_second_run_is_told_at_once_and_closes_nothing(engine: Engine, managed: ManagedCertificate) -> None:
    with engine.certificate_lease(managed) as lease, running(engine, managed, RunKind.REQUEST, lease):
        with pytest.raises(LeaseHeld), engine.certificate_lease(managed):
            pytest.fail("two at once")
        assert _last(engine, managed).outcome is None


def _overtaken(engine: Engine, managed: ManagedCertificate) -> None:
    with engine.certificate_lease(managed) as lease, running(engine, managed, RunKind.DEPLOY, lease) as run:
        lease.release()
        with engine.certificate_lease(managed):
            with pytest.raises(LeaseLost):
                run.guard()
            run.journal.note("It writes although it was overtaken.")


def test_a_run_that_was_overtaken_writes_nothing_more(engine: Engine, managed: ManagedCertificate) -> None:
    with pytest.raises(LeaseLost):
        _overtaken(engine, managed)
    ended = _last(engine, managed)
    assert ended.outcome is Outcome.INTERRUPTED
    with engine.store.read() as unit:
        assert not unit.runs.entries(ended.id)
