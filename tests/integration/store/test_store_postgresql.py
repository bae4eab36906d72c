"""What is PostgreSQL's alone: addresses, passwords, refusals in words, and a server that goes away."""

import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from certwright.domain.errors import NotFound, StoreError
from certwright.domain.managed import Issuer
from certwright.settings import Settings
from certwright.store import (
    Store,
    create,
    database,
    lifecycle,
    open_store,
    postgresql,
    recover,
    restore,
    rotate,
)
from certwright.store.postgresql import Postgresql
from peers.postgres import GUARDED, PASSWORD, Postgres
from peers.postgres_proxy import Break, Proxy, breaking
from world.stores import execute, on_postgresql

pytestmark = on_postgresql
CANARY = "c4nary"


def explanation(caught: pytest.ExceptionInfo[StoreError]) -> str:
    return "\n".join(caught.value.explain())


def secret(store: Store, name: str) -> bytes | None:
    with store.read() as unit:
        return unit.secrets.find(name)


def put(store: Store, name: str, value: bytes = b"x") -> None:
    with store.write() as unit:
        unit.secrets.put(name, value)


class TestAddresses:
    @pytest.mark.parametrize(
        "url",
        [
            f"postgresql://certs:{CANARY}@db.contoso.com/certwright",
            f"postgresql://certs:{CANARY}/#?x@db.contoso.com/certwright",
            f"postgresql://certs:{CANARY}@127.0.0.1:5432,127.0.0.2/certwright",
            f"postgresql://db.contoso.com/certwright?password={CANARY}",
            f"postgresql://db.contoso.com/certwright?sslmode=require&%70assword={CANARY}",
            f"postgresql://db.contoso.com/certwright?sslpassword={CANARY}",
        ],
    )
    def test_a_password_is_refused_and_not_shown(self, settings: Settings, url: str) -> None:
        places = replace(settings, store_url=url)
        for work in (create, open_store):
            with pytest.raises(StoreError, match="CERTWRIGHT_STORE holds a password") as caught:
                work(places)
            assert "CERTWRIGHT_STORE_PASSWORD_FILE" in caught.value.hint
            assert CANARY not in explanation(caught)
            assert caught.value.__cause__ is caught.value.__context__ is None
        assert CANARY not in repr(places)

    @pytest.mark.parametrize(
        "url",
        [
            CANARY,
            f"mysql://{CANARY}/certwright",
            f"postgresql://{CANARY}",
            f"postgresql://{CANARY}/",
            f"postgresql://{CANARY}:port/certwright",
            f"postgresql://{CANARY}/certwright#fragment",
            f"postgresql://{CANARY}/certwright?option_that_is_none=1",
            f"postgresql://{CANARY}/certwright?sslmode",
            f"postgresql+psycopg://{CANARY}/certwright",
        ],
    )
    def test_what_is_none_is_refused_and_not_shown(self, settings: Settings, url: str) -> None:
        with pytest.raises(StoreError, match="is no address of a PostgreSQL database") as caught:
            open_store(replace(settings, store_url=url))
        assert "postgresql://USER@HOST:PORT/DATABASE" in caught.value.hint
        assert CANARY not in explanation(caught)

    @pytest.mark.parametrize(
        ("url", "name"),
        [
            (
                "postgresql://certs@db.contoso.com:5433/certs?sslmode=verify-full",
                "postgresql://certs@db.contoso.com:5433/certs",
            ),
            ("postgres://[::1]:5432,db2/certs", "postgres://[::1]:5432,db2/certs"),
            ("postgresql:///certs?host=/run/postgresql", "postgresql:///certs"),
        ],
    )
    def test_those_of_libpq_are_taken(self, settings: Settings, url: str, name: str) -> None:
        assert Postgresql(url, None).name == name


class TestPasswords:
    @pytest.fixture
    def guarded(self, settings: Settings, postgres: Postgres) -> Settings:
        """A database whose user needs a password."""
        address = postgres.database().replace("certwright@", f"{GUARDED}@")
        name = re.search(r"/(d\d+)\?", address)
        assert name
        postgres.execute(f"ALTER DATABASE {name[1]} OWNER TO {GUARDED}")
        return replace(settings, store_url=address)

    def file(self, folder: Path, text: str) -> Path:
        path = folder / "password"
        path.write_text(text)
        path.chmod(0o600)
        return path

    @pytest.mark.parametrize("end", ["", "\n", "\r\n"])
    def test_one_from_a_file(self, guarded: Settings, tmp_path: Path, end: str) -> None:
        places = replace(guarded, store_password_file=self.file(tmp_path, PASSWORD + end))
        create(places)
        open_store(places).close()

    def test_one_from_where_libpq_looks(
        self, guarded: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PGPASSFILE", str(self.file(tmp_path, f"*:*:*:{GUARDED}:{PASSWORD}\n")))
        create(guarded)
        open_store(guarded).close()

    @pytest.mark.parametrize("given", [None, CANARY])
    def test_a_wrong_one_is_told_and_not_shown(
        self, guarded: Settings, tmp_path: Path, given: str | None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PGPASSFILE", str(tmp_path / "none"))
        places = replace(guarded, store_password_file=self.file(tmp_path, given) if given else None)
        with pytest.raises(StoreError, match="the password is wrong or missing") as caught:
            open_store(places)
        assert "CERTWRIGHT_STORE_PASSWORD_FILE" in caught.value.hint
        assert not caught.value.retryable
        assert CANARY not in explanation(caught)

    def test_a_file_that_others_can_read_is_refused(self, guarded: Settings, tmp_path: Path) -> None:
        path = self.file(tmp_path, PASSWORD)
        path.chmod(0o640)
        with pytest.raises(StoreError, match=r"password file .* can be read by others \(mode 0640\)"):
            open_store(replace(guarded, store_password_file=path))

    def test_a_file_that_is_missing_is_told(self, guarded: Settings, tmp_path: Path) -> None:
        with pytest.raises(StoreError, match=r"password file .* is missing") as caught:
            open_store(replace(guarded, store_password_file=tmp_path / "none"))
        assert "CERTWRIGHT_STORE_PASSWORD_FILE" in caught.value.hint

    def test_a_new_one_needs_no_restart(self, guarded: Settings, tmp_path: Path, postgres: Postgres) -> None:
        path = self.file(tmp_path, PASSWORD)
        places = replace(guarded, store_password_file=path)
        create(places)
        try:
            with open_store(places) as store:
                postgres.execute(f"ALTER ROLE {GUARDED} PASSWORD 'another'")
                path.write_text("another")
                postgres.restart()
                put(store, "own")
        finally:
            postgres.execute(f"ALTER ROLE {GUARDED} PASSWORD '{PASSWORD}'")


class TestRefusals:
    def test_a_server_that_is_not_there(
        self, settings: Settings, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(database, "_PAUSE_SECONDS", None)  # it is not waited for at first
        places = replace(settings, store_url="postgresql://certs@127.0.0.1:1/certs")
        for work in (create, open_store):
            with pytest.raises(StoreError, match=r"certs@127\.0\.0\.1:1/certs cannot be reached") as caught:
                work(places)
            assert caught.value.retryable
            assert "Connection refused" in explanation(caught)

    def test_a_database_that_is_not_there(self, settings: Settings, postgres: Postgres) -> None:
        with pytest.raises(StoreError, match="has no database of that name") as caught:
            open_store(replace(settings, store_url=postgres.address("nowhere")))
        assert "CREATE DATABASE" in caught.value.hint

    def test_a_user_whom_the_server_does_not_know(self, settings: Settings, postgres: Postgres) -> None:
        with pytest.raises(StoreError, match="does not let us in") as caught:
            open_store(replace(settings, store_url=postgres.address("postgres", "nobody")))
        assert "pg_hba.conf" in caught.value.hint

    def test_a_server_without_tls(self, settings: Settings, postgres: Postgres) -> None:
        address = postgres.address("postgres").replace("sslmode=disable", "sslmode=require")
        with pytest.raises(StoreError, match="cannot be reached over TLS"):
            open_store(replace(settings, store_url=address))

    def test_a_user_who_may_not_make_tables(self, settings: Settings, postgres: Postgres) -> None:
        with pytest.raises(StoreError, match="does not let its user do this") as caught:
            create(replace(settings, store_url=postgres.address("postgres")))
        assert "OWNER TO" in caught.value.hint
        assert not list(settings.key_folder.iterdir())

    def test_a_database_that_is_read_only(self, settings: Settings, postgres: Postgres) -> None:
        places = replace(settings, store_url=postgres.database())
        create(places)
        with open_store(places) as store:
            name = (places.store_url or "").partition("?")[0].rpartition("/")[2]
            postgres.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
            put(store, "before")
            with pytest.raises(StoreError, match="read-only") as caught:
                open_store(places)
            assert "primary" in caught.value.hint

    def test_a_database_in_another_encoding(self, settings: Settings, postgres: Postgres) -> None:
        address = postgres.database("ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
        with pytest.raises(StoreError, match="keeps its text in LATIN1"):
            create(replace(settings, store_url=address))

    def test_a_driver_that_is_not_installed(self, settings: Settings, tmp_path: Path) -> None:
        script = """
import sys
from pathlib import Path
from certwright.domain.errors import StoreError
from certwright.settings import Settings
from certwright.store import open_store
sys.modules["psycopg"] = None
for _ in range(2):
    try:
        open_store(Settings(Path("data"), Path("keys"), store_url="postgresql://db/certs"))
    except StoreError as error:
        print(error.hint)
"""
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
        assert done.stdout.splitlines() == ["Install it: pip install 'certwright[postgresql]'"] * 2


class TestCreation:
    def test_an_empty_database_holds_no_store_yet(self, settings: Settings) -> None:
        with pytest.raises(StoreError, match="the database is empty") as caught:
            open_store(settings)
        assert "certwright init" in caught.value.hint

    def test_the_database_of_something_else_is_left_alone(self, settings: Settings) -> None:
        execute(settings, "CREATE TABLE alembic_version (version_num text)")
        with pytest.raises(StoreError, match="belongs to something else: it has the tables alembic_version"):
            create(settings)
        with pytest.raises(StoreError, match="not a store of Certwright"):
            open_store(settings)
        assert not settings.key_folder.exists()

    def test_an_existing_store_is_left_alone(self, settings: Settings, recovery_key: str) -> None:
        with pytest.raises(StoreError, match=r"There is a store in .* already") as caught:
            create(settings)
        assert "master key" in caught.value.hint
        assert len(list(settings.key_folder.iterdir())) == 1
        open_store(settings).close()

    def test_of_those_who_create_at_once_one_succeeds(self, settings: Settings) -> None:
        start = threading.Barrier(3)
        results: list[str | StoreError] = []

        def contend() -> None:
            start.wait(30)
            try:
                results.append(create(settings))
            except StoreError as error:
                results.append(error)

        threads = [threading.Thread(target=contend) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert sorted(type(result).__name__ for result in results) == ["StoreError", "StoreError", "str"]
        assert len(list(settings.key_folder.iterdir())) == 1
        open_store(settings).close()

    def test_a_creation_that_breaks_off_leaves_nothing_behind(
        self, settings: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def break_off(connection: Connection) -> None:
            connection.exec_driver_sql("CREATE TABLE half (name text)")
            connection.connection.driver_connection.close()  # type: ignore[union-attr]

        with monkeypatch.context() as patch:
            patch.setattr(lifecycle, "migrate", break_off)
            with pytest.raises(StoreError, match="cannot be reached"):
                create(settings)
        assert not list(settings.key_folder.iterdir())
        with pytest.raises(StoreError, match="the database is empty"):
            open_store(settings)
        create(settings)

    def test_a_node_with_another_master_key_is_refused(
        self, settings: Settings, recovery_key: str, tmp_path: Path
    ) -> None:
        other = replace(settings, key_folder=tmp_path / "elsewhere")
        with pytest.raises(StoreError, match=r"master key .* is missing") as caught:
            open_store(other)
        assert "copy it from another node" in caught.value.hint
        (key,) = settings.key_folder.iterdir()
        other.key_folder.mkdir()
        wrong = other.key_folder / key.name
        wrong.write_bytes(key.read_bytes().swapcase())
        wrong.chmod(0o600)
        with pytest.raises(StoreError, match="is not the one of the store") as caught:
            open_store(other)
        assert "All nodes share one master key" in caught.value.hint
        wrong.write_bytes(key.read_bytes())
        open_store(other).close()

    def test_a_recovered_master_key_is_that_of_all_nodes(
        self, settings: Settings, recovery_key: str, tmp_path: Path
    ) -> None:
        other = replace(settings, key_folder=tmp_path / "elsewhere")
        recover(other, recovery_key)
        open_store(other).close()
        with pytest.raises(StoreError, match="is not the one of the store"):
            open_store(settings)

    def test_a_node_needs_the_new_master_key_when_the_keys_were_changed(
        self, settings: Settings, store: Store, recovery_key: str, tmp_path: Path
    ) -> None:
        other = replace(settings, key_folder=tmp_path / "elsewhere")
        shutil.copytree(settings.key_folder, other.key_folder)
        put(store, "own")
        with open_store(other) as node:
            rotate(settings, recovery_key, lambda _: None)
            assert secret(store, "own") == b"x"
            with pytest.raises(StoreError, match="is not the one of the store") as caught:
                secret(node, "own")
            assert "copy it from a node that works" in caught.value.hint
            shutil.copytree(settings.key_folder, other.key_folder, dirs_exist_ok=True)
            assert secret(node, "own") == b"x"

    def test_backups_are_the_servers(self, settings: Settings, store: Store, recovery_key: str, tmp_path: Path) -> None:
        with pytest.raises(StoreError, match="is backed up on its server") as caught:
            store.back_up(tmp_path / "backup", datetime(2026, 11, 24, tzinfo=UTC))
        assert "pg_dump" in caught.value.hint
        with pytest.raises(StoreError, match="makes a store in a data folder") as caught:
            restore(settings, tmp_path / "backup", recovery_key)
        assert "CERTWRIGHT_STORE" in caught.value.hint
        assert not list(tmp_path.glob("*backup*"))

    def test_it_is_looked_whether_secrets_can_be_decrypted(self, settings: Settings, store: Store) -> None:
        put(store, "own")
        assert store.damages() == store.problems() == []
        assert store.rows()["secrets"] == 1
        execute(settings, "UPDATE secrets SET name = 'moved' WHERE name = 'own'")
        assert store.problems() == ["the secret moved cannot be decrypted"]


class TestValues:
    def test_a_character_that_it_cannot_keep_is_replaced(self, store: Store) -> None:
        with store.write() as unit:
            unit.answers.put("token", "a\0b", datetime(2026, 11, 22, tzinfo=UTC))
            assert unit.answers.get("token") == "a\N{REPLACEMENT CHARACTER}b"

    def test_moments_are_in_utc_whatever_the_zone_of_the_session(self, settings: Settings, recovery_key: str) -> None:
        moment = datetime(2026, 11, 22, 18, 0, tzinfo=UTC)
        tokyo = replace(settings, store_url=f"{settings.store_url}%20-ctimezone%3DAsia/Tokyo")
        with open_store(tokyo) as store:
            with store.write() as unit:
                record = unit.records.put("subject", "kind", 1, moment)
            with store.read() as unit:
                last = unit.records.last("subject", "kind")
        assert last == record
        assert last is not None
        assert last.at.tzinfo is UTC


class TestServerThatGoesAway:
    @pytest.fixture(autouse=True)
    def back(self, postgres: Postgres) -> Iterator[None]:
        """It is there for the next test, whatever became of this one."""
        yield
        postgres.stop()
        postgres.start()

    def test_a_restart_is_not_noticed_between_transactions(self, store: Store, postgres: Postgres) -> None:
        put(store, "one")
        postgres.restart()
        put(store, "two")
        postgres.stop(signal.SIGQUIT)
        postgres.start()
        assert secret(store, "one") == secret(store, "two") == b"x"

    def test_what_it_is_asked_meanwhile_waits(self, store: Store, postgres: Postgres) -> None:
        postgres.stop()
        workers = [
            threading.Thread(target=put, args=(store, "one")),
            threading.Thread(target=put, args=(store, "two")),
            threading.Thread(target=secret, args=(store, "one")),
        ]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(0.3)
            assert worker.is_alive()
        postgres.start()
        for worker in workers:
            worker.join(60)
        assert secret(store, "one") == secret(store, "two") == b"x"

    def test_one_that_stays_away_is_told_and_one_that_comes_back_is_used(
        self, store: Store, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(database, "PATIENCE_SECONDS", 0.3)
        postgres.stop()
        for _ in range(2):
            with pytest.raises(StoreError, match="cannot be reached") as caught:
                put(store, "lost")
            assert caught.value.retryable
        postgres.start()
        put(store, "kept")
        assert secret(store, "lost") is None

    def test_a_transaction_that_it_leaves_is_told_and_leaves_nothing(self, store: Store, postgres: Postgres) -> None:
        def work() -> None:
            with store.write() as unit:
                unit.secrets.put("one", b"x")
                postgres.restart()
                unit.secrets.put("two", b"x")

        with pytest.raises(StoreError, match="cannot be reached") as caught:
            work()
        assert caught.value.retryable
        put(store, "three")
        with store.read() as unit:
            assert [unit.secrets.find(name) for name in ("one", "two", "three")] == [None, None, b"x"]


class TestCommits:
    """The connection is lost with the answer to a commit: what became of it is asked, and never guessed."""

    @pytest.fixture
    def proxy(self, postgres: Postgres) -> Iterator[Proxy]:
        with breaking(postgres.port) as proxy:
            yield proxy

    @pytest.fixture
    def far(self, settings: Settings, recovery_key: str, postgres: Postgres, proxy: Proxy) -> Iterator[Store]:
        """The store on a way that breaks."""
        address = (settings.store_url or "").replace(f":{postgres.port}/", f":{proxy.port}/")
        with open_store(replace(settings, store_url=address)) as store:
            yield store

    def test_one_that_was_done_is_done(self, far: Store, store: Store, proxy: Proxy) -> None:
        proxy.break_next_commit(Break.AFTER)
        put(far, "own")
        assert proxy.broken == 1
        assert secret(store, "own") == b"x"
        put(far, "own", b"y")
        assert secret(store, "own") == b"y"

    def test_one_that_was_not_done_is_told(self, far: Store, store: Store, proxy: Proxy) -> None:
        proxy.break_next_commit(Break.BEFORE)
        with pytest.raises(StoreError, match="cannot be reached") as caught:
            put(far, "own")
        assert caught.value.retryable
        assert proxy.broken == 1
        assert secret(store, "own") is None

    def test_what_cannot_be_found_out_is_said(
        self, far: Store, proxy: Proxy, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(database, "PATIENCE_SECONDS", 0.3)
        proxy.break_next_commit(Break.AFTER)
        proxy.close()
        with pytest.raises(StoreError, match="it may have been saved, or not") as caught:
            put(far, "own")
        assert "cannot be reached" in explanation(caught)


def test_a_writer_that_stands_still_does_not_hold_up_the_others(
    settings: Settings, recovery_key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgresql, "_STANDSTILL_SECONDS", 0.2)
    with ExitStack() as stack:
        still, other = (stack.enter_context(open_store(settings)) for _ in range(2))

        def stand_still() -> None:
            with still.write() as unit:
                unit.secrets.put("still", b"x")
                put(other, "other")
                unit.secrets.put("later", b"x")

        with pytest.raises(StoreError) as caught:
            stand_still()
        assert caught.value.retryable
        with other.read() as unit:
            assert [unit.secrets.find(name) for name in ("still", "later", "other")] == [None, None, b"x"]
            with pytest.raises(NotFound):
                unit.secrets.get("later")


@contextmanager
def bare(settings: Settings) -> Iterator[tuple[Postgresql, Connection]]:
    """A connection that nothing looks after."""
    backend = Postgresql(settings.store_url or "", settings.store_password_file)
    engine = backend.engine()
    try:
        with engine.connect() as connection:
            yield backend, connection
    finally:
        engine.dispose()


def test_a_writer_that_the_server_does_not_end_is_ended_by_who_waits_for_it(
    settings: Settings, recovery_key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgresql, "_STANDSTILL_SECONDS", 1)
    with open_store(settings) as other, bare(settings) as (backend, still):
        still.exec_driver_sql("SET idle_in_transaction_session_timeout = 0")
        backend.begin_writing(still)
        put(other, "other")
        assert secret(other, "other") == b"x"
        with pytest.raises(DBAPIError, match="terminating connection"):
            still.exec_driver_sql("SELECT 1")


def test_a_writer_at_work_is_not_ended_and_who_waits_is_told(
    settings: Settings, recovery_key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgresql, "_STANDSTILL_SECONDS", 0.2)
    with open_store(settings) as other, bare(settings) as (backend, busy):
        backend.begin_writing(busy)
        work = threading.Thread(target=busy.exec_driver_sql, args=("SELECT pg_sleep(2)",))
        work.start()
        with pytest.raises(StoreError, match="locked by another process") as caught:
            put(other, "other")
        assert caught.value.retryable
        work.join()
        busy.exec_driver_sql("COMMIT")


def test_issuers_are_seen_by_another_node_at_once(settings: Settings, store: Store) -> None:
    with open_store(settings) as other:
        with store.write() as unit:
            unit.issuers.add(Issuer(name="le", kind="acme", params={}), b"account key")
        with other.read() as unit:
            assert unit.issuers.account_key("le") == b"account key"
