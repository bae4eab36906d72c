"""Jobs and their results, and answers that are given again, on either database."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, select, text

from certwright.domain.errors import NotFound
from certwright.domain.jobs import Fault, Job
from certwright.domain.runs import Outcome
from certwright.store import Store, jobs, lifecycle, repeats, schema
from certwright.store.repeats import Repeatable

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def test_a_job_is_kept_with_its_result(store: Store) -> None:
    job = Job(what="certificate test", by="anna", begun_at=NOW)
    with store.write() as unit:
        unit.jobs.add(job)
        assert unit.jobs.get(job.id) == (job, None)
        ended = job.model_copy(
            update={"ended_at": NOW, "outcome": Outcome.FAILED, "fault": Fault(message="No.", causes=("because",))}
        )
        unit.jobs.end(ended, {"ready": [True, None, "é\0"]})
    with store.read() as unit:
        assert unit.jobs.get(job.id) == (ended, {"ready": [True, None, "é\0"]})
        with pytest.raises(NotFound, match="There is no job 'none'"):
            unit.jobs.get("none")


def test_the_last_jobs_are_kept_and_read_page_by_page(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "KEPT", 3)
    made = [Job(what=str(number), by="anna", begun_at=NOW) for number in range(5)]
    for job in made:
        with store.write() as unit:
            unit.jobs.add(job)
            unit.jobs.end(job.model_copy(update={"ended_at": NOW}))
    with store.read() as unit:
        assert [job.what for job in unit.jobs.list()] == ["4", "3", "2"]
        assert [job.what for job in unit.jobs.list(made[4].id)] == ["3", "2"]
        with pytest.raises(NotFound):
            unit.jobs.list(made[0].id)


def test_what_goes_on_and_what_others_began_is_driven_out_by_nothing(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "KEPT", 2)
    goes_on, other = (Job(what="deploy", by=by, begun_at=NOW) for by in ("anna", "ben"))
    with store.write() as unit:
        for job in (goes_on, other):
            unit.jobs.add(job)
        unit.jobs.end(other.model_copy(update={"ended_at": NOW}), "done")
        for _ in range(3):
            quick = Job(what="look", by="anna", begun_at=NOW)
            unit.jobs.add(quick)
            unit.jobs.end(quick.model_copy(update={"ended_at": NOW}))
        assert [job.what for job in unit.jobs.list()] == ["look", "look", "deploy", "deploy"]
        assert [job.what for job in unit.jobs.list(by="ben")] == ["deploy"]
        assert [job.what for job in unit.jobs.list(limit=3)] == ["look", "look", "deploy"]
        unit.jobs.expire(NOW)
        assert len(unit.jobs.list()) == 4
        later = Job(what="deploy", by="anna", begun_at=NOW + SECOND)
        unit.jobs.add(later)
        unit.jobs.expire(NOW + SECOND)
        assert unit.jobs.list() == [later]


def test_an_older_store_learns_who_began_its_jobs_and_when_they_ended(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'old.db'}")
    goes_on = Job(what="deploy", by="anna", begun_at=NOW)
    ended = Job(what="deploy", by="ben", begun_at=NOW, ended_at=NOW)
    with engine.begin() as connection:
        config = Config(attributes={"connection": connection})
        config.set_main_option("script_location", str(Path(schema.__file__).parent / "migrations"))
        command.upgrade(config, "0021")
        for job in (goes_on, ended):
            row = {"id": job.id, "body": job.model_dump_json()}
            connection.execute(text("INSERT INTO jobs (id, body) VALUES (:id, :body)"), row)
        lifecycle.migrate(connection)
        found = connection.execute(select(schema.jobs.c.begun_by, schema.jobs.c.ended_at)).all()
        assert found == [("anna", None), ("ben", NOW)]
    engine.dispose()


def test_an_answer_is_found_by_caller_and_key_until_it_is_too_old(store: Store) -> None:
    answer = Repeatable("digest", 201, {"etag": '"1"'}, b'{"secret": "c4n4ry"}')
    with store.write() as unit:
        unit.repeats.put("anna", "key", answer, NOW)
    with store.read() as unit:
        assert unit.repeats.find("anna", "key", NOW + repeats.LIFE) == answer
        late = NOW + repeats.LIFE + SECOND
        for caller, key, now in (("berta", "key", NOW), ("anna", "other", NOW), ("anna", "key", late)):
            assert unit.repeats.find(caller, key, now) is None


def test_what_is_too_old_or_too_many_is_forgotten_with_its_secret(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repeats, "KEPT", 2)
    answer = Repeatable("digest", 201, {}, b"{}")
    for number in range(4):
        with store.write() as unit:
            unit.repeats.put("anna", f"key {number}", answer, NOW)
            unit.repeats.put("berta", "key", answer, NOW)
    with store.read() as unit:
        kept = [number for number in range(4) if unit.repeats.find("anna", f"key {number}", NOW)]
        assert kept == [2, 3]
        assert unit.repeats.find("berta", "key", NOW)
    with store.write() as unit:
        unit.repeats.put("clara", "key", answer, NOW + SECOND)
        unit.repeats.expire(NOW + SECOND + repeats.LIFE)
        assert len([name for name in unit.secrets.names() if name.startswith("repeat:")]) == 1
