import json
import shutil
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from certwright.domain.access import Identity, Person, Role
from certwright.domain.errors import InvalidIdentifier, NotFound, StoreError
from certwright.domain.managed import CertificateVersion, Issuer, ManagedCertificate, TaskSettings
from certwright.sdk.context import Credential
from certwright.settings import Settings
from certwright.store import Store, open_store
from certwright.store import database as module
from certwright.store.database import Backend, Database
from certwright.store.lifecycle import backend_of
from certwright.store.sqlite import SqliteFile
from world.stores import execute, on_sqlite

MOMENT = datetime(2026, 11, 22, 18, 0, tzinfo=UTC)


@pytest.fixture
def backend(settings: Settings) -> Backend:
    settings.data_folder.mkdir()
    settings.database.touch()
    return backend_of(settings)


@pytest.fixture
def database(backend: Backend) -> Iterator[Database]:
    with closing(Database(backend)) as opened:
        with opened.write() as connection:
            connection.exec_driver_sql("CREATE TABLE words (word TEXT)")
        yield opened


def add(connection: Connection, word: str) -> None:
    connection.execute(text("INSERT INTO words VALUES (:word)"), {"word": word})


def words(database: Database) -> list[str]:
    with database.read() as connection:
        return [word for (word,) in connection.exec_driver_sql("SELECT word FROM words ORDER BY word")]


def test_a_block_that_fails_leaves_nothing_behind(database: Database) -> None:
    with database.write() as connection:
        add(connection, "kept")

    def fail() -> None:
        with database.write() as connection:
            add(connection, "lost")
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert words(database) == ["kept"]


@on_sqlite
def test_connections_are_durable_and_checked(database: Database) -> None:
    with database.write() as connection:
        found = [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("journal_mode", "synchronous")]
        assert found == ["wal", 2]
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1


def test_a_reader_sees_one_moment_and_writes_nothing(database: Database) -> None:
    with database.read() as reading:
        assert reading.exec_driver_sql("SELECT count(*) FROM words").scalar() == 0
        with database.write() as writing:
            add(writing, "new")
        assert reading.exec_driver_sql("SELECT count(*) FROM words").scalar() == 0
    with pytest.raises(StoreError, match="cannot be written"), database.read() as reading:
        add(reading, "never")
    assert words(database) == ["new"]


def test_a_reader_of_the_store_cannot_write(store: Store) -> None:
    with pytest.raises(StoreError, match="cannot be written"), store.read() as unit:
        unit.answers.remove("token")


def test_writing_inside_writing_is_a_mistake_that_is_told_at_once(store: Store) -> None:
    with store.write(), pytest.raises(RuntimeError, match="inside another"), store.write():
        pytest.fail("unreachable")
    with store.write():
        pass


def test_threads_take_turns(database: Database) -> None:
    def work() -> None:
        for _ in range(20):
            with database.write() as connection:
                (count,) = connection.exec_driver_sql("SELECT count(*) FROM words").one()
                add(connection, f"{count:03}")

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert words(database) == [f"{n:03}" for n in range(160)]


@on_sqlite
def test_a_lock_that_does_not_go_away_is_told(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BUSY_SECONDS", 0.05)
    with closing(Database(backend)) as one, closing(Database(backend)) as other, one.write():
        with pytest.raises(StoreError, match="locked by another process") as caught, other.write():
            pytest.fail("unreachable")
        assert caught.value.retryable


@on_sqlite
def test_a_full_disk_is_told_and_nothing_is_torn(database: Database) -> None:
    with database.write() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")

    def fill() -> None:
        with database.write() as connection:
            add(connection, "small")
            add(connection, "x" * 100_000)

    with pytest.raises(StoreError, match="disk is full") as caught:
        fill()
    assert caught.value.hint.startswith("Make room")
    assert words(database) == []


def test_a_file_that_went_away_is_told(tmp_path: Path) -> None:
    with (
        closing(Database(SqliteFile(tmp_path / "missing.db"))) as database,
        pytest.raises(StoreError, match="cannot be opened"),
        database.read(),
    ):
        pytest.fail("unreachable")


@on_sqlite
@pytest.mark.parametrize("replaced", [False, True])
def test_nothing_is_written_to_a_file_that_was_taken_away(settings: Settings, store: Store, replaced: bool) -> None:
    file, away = settings.data_folder / "certwright.db", settings.data_folder / "away.db"
    store.touch()
    file.rename(away)
    if replaced:
        shutil.copy(away, file)
    with pytest.raises(StoreError, match="was removed, or another file was put in its place"):
        store.touch()
    away.replace(file)
    store.touch()


@on_sqlite
def test_a_damaged_page_is_told(settings: Settings, store: Store, issuer: Issuer) -> None:
    with store.write() as unit:
        for number in range(200):
            unit.secrets.put(f"own:{number}", b"x" * 200)
    store.close()
    with settings.database.open("r+b") as file:
        size = file.seek(0, 2)
        for page in range(4096, size, 4096):
            file.seek(page)
            file.write(b"\x99" * 4096)
    with pytest.raises(StoreError, match="damaged"), open_store(settings) as opened, opened.read() as unit:
        unit.secrets.get("own:7")


def test_a_refused_value_shows_no_parameters(database: Database) -> None:
    with database.write() as connection:
        connection.exec_driver_sql("CREATE UNIQUE INDEX once ON words (word)")
        add(connection, "canary")
    with pytest.raises(StoreError, match="refused") as caught, database.write() as connection:
        add(connection, "canary")
    (cause,) = caught.value.causes
    assert cause in {
        "UNIQUE constraint failed: words.word",
        'duplicate key value violates unique constraint "once"',
    }
    assert "canary" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_a_value_that_cannot_be_read_is_told_without_showing_it(
    settings: Settings, store: Store, issuer: Issuer
) -> None:
    execute(settings, "UPDATE issuers SET body = :body", body='{"name": "le"}')
    with pytest.raises(StoreError, match="this version of Certwright cannot read") as caught, store.read() as unit:
        unit.issuers.get("le")
    told = "\n".join(caught.value.explain())
    assert "kind: Field required" in told
    assert '"le"' not in told


def test_what_a_later_version_wrote_is_not_heeded_and_not_lost(settings: Settings, store: Store) -> None:
    vouched = Identity(provider="contoso", issuer="https://login.contoso.com", subject="7")
    with store.write() as unit:
        unit.people.add(Person(name="anna", role=Role.VIEWER, created_at=MOMENT, identity=vouched))
        body = unit.people.connection.execute(text("SELECT body FROM people")).scalar_one()
    later = json.loads(body) | {"pronoun": "ü", "identity": vouched.model_dump() | {"seen": ["home"]}}
    execute(settings, "UPDATE people SET body = :body", body=json.dumps(later))
    with store.write() as unit:
        anna = unit.people.get("anna")
        assert anna.identity == unit.people.list()[0].identity
        assert "pronoun" not in anna.model_dump()
        unit.people.update(anna.model_copy(update={"role": Role.OPERATOR}))
    with store.read() as unit:
        assert unit.people.get("anna").role is Role.OPERATOR
        kept = unit.people.connection.execute(text("SELECT body FROM people")).scalar_one()
    assert json.loads(kept) == later | {"role": "operator"}


@on_sqlite
def test_no_secret_lies_in_the_files(settings: Settings, store: Store, issuer: Issuer) -> None:
    managed = ManagedCertificate(
        title="mail",
        identifiers=("mail.contoso.com",),
        issuer="le",
        tasks=(TaskSettings(kind="exchange", title="Exchange", params={}),),
    )
    version = CertificateVersion(
        managed_id=managed.id, issuer="le", chain_pem="chain", fingerprint="f", issued_at=MOMENT
    )
    canary = b"canary-4f1c"
    with store.write() as unit:
        unit.issuers.add(Issuer(name="eab", kind="acme", params={}), canary, ("kid", canary))
        unit.managed.add(managed)
        unit.orders.begin(managed.id, "le", "f", b"csr", canary, MOMENT)
        unit.versions.add(version, canary)
        unit.credentials.add("exchange", Credential("admin", "CONTOSO\\admin", canary.decode()))
        unit.secrets.put("own-key:1", canary)
    files = list(settings.data_folder.iterdir())
    assert len(files) == 3
    assert all(canary not in path.read_bytes() for path in files)
    store.close()
    assert canary not in settings.database.read_bytes()
    with open_store(settings) as opened, opened.read() as unit:
        assert unit.issuers.account_key("eab") == canary
        assert unit.issuers.external_account_binding("eab") == ("kid", canary)
        assert unit.orders.private_key(managed.id) == canary
        assert unit.versions.private_key(version.id) == canary
        assert unit.credentials.get("admin", "exchange").password == canary.decode()
        assert unit.secrets.get("own-key:1") == canary


def test_a_secret_that_was_moved_in_the_file_is_refused(settings: Settings, store: Store) -> None:
    with store.write() as unit:
        unit.secrets.put("mine", b"one")
        unit.secrets.put("yours", b"two")
    execute(settings, "UPDATE secrets SET value = (SELECT value FROM secrets WHERE name = 'yours') WHERE name = 'mine'")
    with pytest.raises(StoreError, match="cannot be decrypted"), store.read() as unit:
        unit.secrets.get("mine")


def test_secrets_are_replaced_and_forgotten(store: Store) -> None:
    with store.write() as unit:
        unit.secrets.put("own", b"one")
        unit.secrets.put("own", b"two")
        assert unit.secrets.get("own") == b"two"
        unit.secrets.remove("own")
        unit.secrets.remove("own")
        with pytest.raises(NotFound, match="no secret 'own'"):
            unit.secrets.get("own")


def test_a_value_that_the_domain_refuses_now_is_told(settings: Settings, store: Store, issuer: Issuer) -> None:
    managed = ManagedCertificate.model_validate({"title": "mail", "identifiers": ["mail.contoso.com"], "issuer": "le"})
    with store.write() as unit:
        unit.managed.add(managed)
    execute(settings, "UPDATE managed SET body = replace(body, 'mail.contoso.com', 'no name!')")
    with pytest.raises(StoreError, match="this version of Certwright cannot read") as caught, store.read() as unit:
        unit.managed.get("mail")
    assert isinstance(caught.value.causes[0], InvalidIdentifier)
