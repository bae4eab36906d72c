"""What metrics count: what is due, what waits, and how long current versions last."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Select, text

from certwright.domain import certificates
from certwright.domain.errors import StoreError
from certwright.domain.identifiers import Identifier
from certwright.domain.managed import CertificateVersion, Issuer, KeyForm, ManagedCertificate
from certwright.domain.messages import test_message as message
from certwright.settings import Settings
from certwright.store import Store, UnitOfWork
from certwright.store.managed import backlog_query
from unit.domain.workshop import START, Authority, ec_key
from world.stores import on_sqlite

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def managed(unit: UnitOfWork, title: str, due: datetime | None = None) -> str:
    made = ManagedCertificate(title=title, identifiers=(Identifier.parse("mail.contoso.com"),), issuer="le")
    unit.managed.add(made)
    unit.managed.set_next_check(made.id, due)
    return made.id


def issue(unit: UnitOfWork, managed_id: str, lifetime: timedelta) -> None:
    leaf = Authority("CA").certify("mail", ec_key(), lifetime=lifetime)
    version = CertificateVersion(
        managed_id=managed_id,
        issuer="le",
        chain_pem=certificates.pem([leaf]).decode(),
        key_form=KeyForm.ELSEWHERE,
        fingerprint="f",
        issued_at=START,
    )
    unit.versions.add(version, None)


def test_the_backlog_is_what_is_due_and_since_when(store: Store, issuer: Issuer) -> None:
    with store.write() as unit:
        assert unit.managed.backlog(NOW) == (0, None)
        for title, due in (("a", NOW), ("b", NOW - 3 * HOUR), ("c", NOW + HOUR), ("d", None)):
            managed(unit, title, due)
        assert unit.managed.backlog(NOW) == (2, NOW - 3 * HOUR)
        assert unit.managed.count() == 4


@on_sqlite
def test_an_index_answers_what_is_asked_at_each_scrape(store: Store) -> None:
    def plan(unit: UnitOfWork, query: Select[int, datetime | None]) -> list[str]:
        connection = unit.managed.connection
        written = str(query.compile(connection, compile_kwargs={"literal_binds": True}))
        return [row.detail for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {written}")]

    with store.read() as unit:
        (told,) = plan(unit, backlog_query(NOW))
        assert "ix_managed_due (next_action_at>? AND next_action_at<?)" in told


def test_current_versions_are_counted_by_their_end_and_older_ones_are_not(store: Store, issuer: Issuer) -> None:
    with store.write() as unit:
        assert unit.versions.ends([START]) == ([0, 0], None)
        for number, days in enumerate((3, 10, 11, 90)):
            issue(unit, managed(unit, str(number)), timedelta(days=days))
        renewed = managed(unit, "renewed")
        issue(unit, renewed, DAY)
        issue(unit, renewed, 60 * DAY)
        managed(unit, "never issued")
        counts, first = unit.versions.ends([START + days * DAY for days in (2, 3, 11, 30)])
    assert counts == [0, 1, 2, 0, 2]
    assert first == START + 3 * DAY


def test_messages_wait_until_they_are_sent(store: Store) -> None:
    with store.write() as unit:
        assert unit.outbox.backlog() == 0
        unit.outbox.add(message("x", NOW), ["x", "y"], NOW)
        assert unit.outbox.backlog() == 2
        unit.outbox.end(unit.outbox.waiting()[0], "sent", NOW)
        assert unit.outbox.backlog() == 1


def test_touching_the_store_writes_it_and_changes_nothing(store: Store) -> None:
    def rows() -> list[object]:
        with store.read() as unit:
            return [tuple(row) for row in unit.managed.connection.execute(text("SELECT * FROM memory"))]

    before = rows()
    store.touch()
    assert rows() == before


@on_sqlite
def test_touching_a_store_that_cannot_be_written_fails(store: Store) -> None:
    with store.write() as unit:
        unit.managed.connection.execute(text("ALTER TABLE memory RENAME TO elsewhere"))
    with pytest.raises(StoreError):
        store.touch()


@on_sqlite
def test_touching_the_store_reaches_its_file(store: Store, settings: Settings) -> None:
    log = settings.database.with_name(f"{settings.database.name}-wal")
    before = log.read_bytes()
    store.touch()
    assert log.read_bytes() != before
