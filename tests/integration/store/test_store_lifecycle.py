import base64
import itertools
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, inspect

from certwright.domain.audit import Action
from certwright.domain.errors import LeaseHeld, StoreError
from certwright.domain.managed import Issuer
from certwright.settings import Settings
from certwright.store import create, lifecycle, open_store, recover, schema
from certwright.store.audit import sealed_end
from certwright.store.crypto import RecoveryKey
from certwright.store.lifecycle import backend_of
from peers.postgres import Postgres
from world.stores import execute, on_postgresql, on_sqlite

BARE = Path(schema.__file__).parent / "migrations"


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def key_file(settings: Settings) -> Path:
    (path,) = settings.key_folder.iterdir()
    return path


def explanation(caught: pytest.ExceptionInfo[StoreError]) -> str:
    return "\n".join(caught.value.explain())


@on_sqlite
def test_a_new_store_is_empty_and_its_owners_alone(settings: Settings) -> None:
    create(settings)
    with open_store(settings) as store:
        with store.write() as unit:
            assert unit.managed.list() == []
            unit.secrets.put("own", b"key")
        files = sorted(path.name for path in settings.data_folder.iterdir())
        assert files == ["certwright.db", "certwright.db-shm", "certwright.db-wal"]
        assert {mode(path) for path in settings.data_folder.iterdir()} == {0o600}
    assert mode(settings.data_folder) == 0o700
    assert mode(settings.key_folder) == 0o700
    assert mode(key_file(settings)) == 0o600


@on_sqlite
def test_files_are_the_owners_alone_whatever_the_umask(settings: Settings) -> None:
    before = os.umask(0)
    try:
        create(settings)
        with open_store(settings) as store, store.write() as unit:
            unit.secrets.put("own", b"key")
            assert {mode(path) for path in settings.data_folder.iterdir()} == {0o600}
    finally:
        os.umask(before)
    assert mode(settings.data_folder) == 0o700
    assert mode(key_file(settings)) == 0o600


@on_sqlite
def test_an_existing_store_is_left_alone(settings: Settings, recovery_key: str) -> None:
    before = settings.database.read_bytes()
    with pytest.raises(StoreError, match=r"There is a store in .* already"):
        create(settings)
    assert settings.database.read_bytes() == before
    assert len(list(settings.key_folder.iterdir())) == 1


@on_sqlite
def test_of_those_who_create_at_once_one_succeeds(settings: Settings) -> None:
    start = threading.Barrier(4)
    results: list[str | StoreError] = []

    def contend() -> None:
        start.wait(30)
        try:
            results.append(create(settings))
        except StoreError as error:
            results.append(error)

    threads = [threading.Thread(target=contend) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(type(result).__name__ for result in results) == ["StoreError", "StoreError", "StoreError", "str"]
    assert [path.name for path in settings.data_folder.iterdir()] == ["certwright.db"]
    assert len(list(settings.key_folder.iterdir())) == 1
    open_store(settings).close()


@on_sqlite
def test_a_process_killed_while_it_creates_leaves_no_store_behind(settings: Settings) -> None:
    script = f"""
import os, signal
from pathlib import Path
from certwright.settings import Settings
from certwright.store import create
os.link = lambda *places: os.kill(os.getpid(), signal.SIGKILL)
create(Settings(Path({str(settings.data_folder)!r}), Path({str(settings.key_folder)!r})))
"""
    done = subprocess.run([sys.executable, "-c", script], check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL
    with pytest.raises(StoreError, match="There is no store"):
        open_store(settings)
    create(settings)
    open_store(settings).close()


def test_without_a_store_the_error_says_how_to_make_one(settings: Settings) -> None:
    with pytest.raises(StoreError, match="There is no store in") as caught:
        open_store(settings)
    assert "certwright init" in caught.value.hint


@on_sqlite
def test_a_data_folder_that_cannot_be_made(settings: Settings) -> None:
    settings.data_folder.write_text("a file")
    with pytest.raises(StoreError, match="cannot be made: File exists"):
        create(settings)


def test_a_missing_master_key(settings: Settings, recovery_key: str) -> None:
    path = key_file(settings)
    path.unlink()
    with pytest.raises(StoreError, match=f"master key {path} is missing") as caught:
        open_store(settings)
    assert "certwright init --recover" in caught.value.hint


@pytest.mark.parametrize("bits", [0o640, 0o604, 0o660, 0o601])
def test_a_master_key_that_others_can_reach_is_refused(settings: Settings, recovery_key: str, bits: int) -> None:
    path = key_file(settings)
    path.chmod(bits)
    with pytest.raises(StoreError, match=f"mode {bits:04o}") as caught:
        open_store(settings)
    assert caught.value.hint == f"chmod 600 '{path}'"


@on_sqlite
def test_a_master_key_of_another_store(settings: Settings, recovery_key: str, tmp_path: Path) -> None:
    other = replace(settings, data_folder=tmp_path / "other", key_folder=tmp_path / "other keys")
    create(other)
    with pytest.raises(StoreError, match="is not the one of the store"):
        open_store(replace(settings, master_key_file=key_file(other)))


@pytest.mark.parametrize("content", [b"", b"hello", b"\xff" * 44, base64.b64encode(bytes(31)), b"A" * 100_000])
def test_a_file_that_holds_no_key(settings: Settings, recovery_key: str, content: bytes) -> None:
    key_file(settings).write_bytes(content)
    with pytest.raises(StoreError, match="holds no master key") as caught:
        open_store(settings)
    assert "hello" not in explanation(caught)


def test_the_environment_can_give_the_key(settings: Settings) -> None:
    given = replace(settings, master_key=base64.b64encode(bytes(range(32))).decode())
    create(given)
    assert not settings.key_folder.exists()
    open_store(given).close()
    with pytest.raises(StoreError, match="is missing"):
        open_store(settings)
    with pytest.raises(StoreError, match="CERTWRIGHT_MASTER_KEY is not the one"):
        open_store(replace(settings, master_key=base64.b64encode(bytes(32)).decode()))
    with pytest.raises(StoreError, match="CERTWRIGHT_MASTER_KEY holds no master key") as caught:
        open_store(replace(settings, master_key="canary"))
    assert "canary" not in explanation(caught)


@on_sqlite
def test_stores_may_share_a_key_file_which_is_never_overwritten(settings: Settings, tmp_path: Path) -> None:
    shared = tmp_path / "shared.key"
    first = replace(settings, master_key_file=shared)
    create(first)
    before = shared.read_bytes()
    second = replace(first, data_folder=tmp_path / "second")
    create(second)
    assert shared.read_bytes() == before
    open_store(first).close()
    open_store(second).close()


@on_sqlite
def test_a_master_key_inside_the_data_folder_is_refused(settings: Settings) -> None:
    with pytest.raises(StoreError, match="would lie inside the data folder"):
        create(replace(settings, master_key_file=settings.data_folder / "keys" / "master"))
    assert list(settings.data_folder.iterdir()) == []


def test_a_key_file_that_cannot_be_written(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be written: File exists") as caught:
        create(replace(settings, master_key_file=tmp_path / "file" / "key"))
    assert "CERTWRIGHT_MASTER_KEY_FILE" in caught.value.hint


def test_recovery_makes_a_new_master_key(settings: Settings, recovery_key: str) -> None:
    with open_store(settings) as store, store.write() as unit:
        unit.issuers.add(Issuer(name="le", kind="acme", params={}), b"account key")
    lost = key_file(settings)
    old = lost.read_bytes()
    lost.unlink()
    recover(settings, recovery_key.lower())
    assert key_file(settings) == lost
    assert lost.read_bytes() != old
    assert mode(lost) == 0o600
    with open_store(settings) as store, store.read() as unit:
        assert unit.issuers.account_key("le") == b"account key"
    recover(settings, recovery_key)
    open_store(settings).close()


def test_recovery_takes_the_key_that_is_there(settings: Settings, recovery_key: str) -> None:
    path = key_file(settings)
    other = base64.b64encode(bytes(range(32)))
    path.write_bytes(other)
    recover(settings, recovery_key)
    assert path.read_bytes() == other
    open_store(settings).close()


def test_a_wrong_recovery_key_changes_nothing(settings: Settings, recovery_key: str) -> None:
    path = key_file(settings)
    kept = path.read_bytes()
    path.unlink()
    with pytest.raises(StoreError, match="belongs to another store"):
        recover(settings, str(RecoveryKey.generate()))
    with pytest.raises(StoreError, match="mistyped"):
        recover(settings, recovery_key[:-1])
    assert not path.exists()
    path.write_bytes(kept)
    path.chmod(0o600)
    open_store(settings).close()


@on_sqlite
def test_neither_key_is_in_the_data_folder(settings: Settings, recovery_key: str) -> None:
    data = settings.database.read_bytes()
    master = key_file(settings).read_bytes().strip()
    for secret in (master, base64.b64decode(master), recovery_key.encode(), recovery_key.replace("-", "").encode()):
        assert secret not in data


def test_a_store_of_a_later_version_is_refused(settings: Settings, recovery_key: str) -> None:
    execute(settings, "UPDATE alembic_version SET version_num = '0099'")
    with pytest.raises(StoreError, match=r"made by a later version of Certwright \(schema 0099; this one knows"):
        open_store(settings)


@on_sqlite
def test_another_database_is_refused(settings: Settings) -> None:
    settings.data_folder.mkdir()
    with closing(sqlite3.connect(settings.database)) as database, database:
        database.execute("CREATE TABLE recipes (name)")
    with pytest.raises(StoreError, match="not a store of Certwright"):
        open_store(settings)


def test_a_store_without_its_identity_is_damaged(settings: Settings, recovery_key: str) -> None:
    execute(settings, "DELETE FROM store")
    with pytest.raises(StoreError, match="damaged"):
        open_store(settings)


@on_sqlite
@pytest.mark.parametrize(
    "content", [b"these bytes are no database, whatever it is called" * 100, b"SQLite format 3\0" * 9]
)
def test_a_damaged_file_is_refused(settings: Settings, recovery_key: str, content: bytes) -> None:
    settings.database.write_bytes(content)
    with pytest.raises(StoreError, match="damaged") as caught:
        open_store(settings)
    assert "backup" in caught.value.hint


def words(tables: Iterable[Sequence[Any]]) -> dict[str, list[str]]:
    """The words of each definition, sorted: SQLite writes a column that was added later at the end."""
    return {name: sorted(re.findall(r"[\w']+", sql)) for name, sql in tables}


def test_the_migrations_make_what_the_schema_says(settings: Settings, recovery_key: str) -> None:
    made = backend_of(settings).engine()
    with made.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, schema.metadata) == []
    made.dispose()


@on_sqlite
def test_the_migrations_make_what_the_schema_says_to_the_word(settings: Settings, recovery_key: str) -> None:
    query = "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name != 'alembic_version'"
    wanted = create_engine("sqlite://")
    with wanted.begin() as connection:
        schema.metadata.create_all(connection)
        assert words(execute(settings, query)) == words(connection.exec_driver_sql(query).all())
    wanted.dispose()


@on_postgresql
def test_the_migrations_make_on_postgresql_what_the_schema_says_to_the_letter(
    settings: Settings, recovery_key: str, postgres: Postgres
) -> None:
    wanted = replace(settings, store_url=postgres.schema())
    engine = backend_of(wanted).engine()
    schema.metadata.create_all(engine)
    engine.dispose()
    assert described(settings) == described(wanted)


def described(settings: Settings) -> list[tuple[object, ...]]:
    """Columns, constraints and indexes of a schema, without its name."""
    here = execute(settings, "SELECT current_schema()")[0][0]
    told = """
        SELECT table_name, column_name, data_type, is_nullable || coalesce(column_default, '')
        FROM information_schema.columns WHERE table_schema = current_schema()
        UNION SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid), ''
        FROM pg_constraint WHERE connamespace = current_schema()::regnamespace
        UNION SELECT tablename, indexname, indexdef, '' FROM pg_indexes WHERE schemaname = current_schema()
    """
    rows = [tuple(str(part).replace(f"{here}.", "") for part in row) for row in execute(settings, told)]
    return sorted(row for row in rows if row[0] != "alembic_version")


def test_the_revision_is_that_of_the_newest_migration() -> None:
    assert ScriptDirectory(str(BARE)).get_current_head() == schema.REVISION


NEXT = """
import sqlalchemy as sa
from alembic import op

revision = "{next}"
down_revision = "{newest}"

def upgrade() -> None:
    op.add_column("store", sa.Column("motto", sa.String, nullable=True))
    {rest}
"""


def next_version(folder: Path, monkeypatch: pytest.MonkeyPatch, rest: str) -> None:
    shutil.copytree(BARE, folder)
    newest, following = schema.REVISION, f"{int(schema.REVISION) + 1:04}"
    (folder / "versions" / "v_next.py").write_text(NEXT.format(rest=rest, newest=newest, next=following))
    monkeypatch.setattr(lifecycle, "_MIGRATIONS", folder)
    monkeypatch.setattr(schema, "REVISION", following)


def columns(settings: Settings) -> list[str]:
    engine = backend_of(settings).engine()
    try:
        return [str(column["name"]) for column in inspect(engine).get_columns("store")]
    finally:
        engine.dispose()


def test_opening_brings_an_earlier_store_up_to_date(
    settings: Settings, recovery_key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_store(settings) as store, store.write() as unit:
        unit.secrets.put("own", b"key")
    next_version(tmp_path / "100% next", monkeypatch, "")
    with open_store(settings) as store, store.read() as unit:
        assert unit.secrets.get("own") == b"key"
    assert "motto" in columns(settings)
    open_store(settings).close()


def test_the_end_of_an_earlier_trail_is_sealed_at_the_upgrade_and_at_no_other_opening(
    settings: Settings, recovery_key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    execute(settings, "DELETE FROM secrets WHERE name = 'audit:end'")
    with open_store(settings) as store, store.read() as unit:
        assert sealed_end(unit.secrets) is None
    next_version(tmp_path / "next", monkeypatch, "")
    with open_store(settings) as store, store.read() as unit:
        newest, made = unit.trail.list()
        end = sealed_end(unit.secrets)
    assert (made.action, newest.action, newest.after) == (Action.MADE, Action.CHANGED, {"sealed_from": 1})
    assert end
    assert end.number == newest.number


def test_an_upgrade_that_fails_leaves_the_store_as_it_was(
    settings: Settings, recovery_key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        next_version(tmp_path / "next", patch, 'raise RuntimeError("half-way")')
        with pytest.raises(RuntimeError, match="half-way"):
            open_store(settings)
    assert "motto" not in columns(settings)
    open_store(settings).close()


def test_of_those_who_open_an_earlier_store_at_once_each_finds_it_up_to_date(
    settings: Settings, recovery_key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    next_version(tmp_path / "next", monkeypatch, "")
    start = threading.Barrier(3)
    opened: list[list[str]] = []

    def contend() -> None:
        start.wait(30)
        with open_store(settings):
            opened.append(columns(settings))

    threads = [threading.Thread(target=contend) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [names.count("motto") for names in opened] == [1, 1, 1]


def test_a_process_of_the_version_before_works_on_beside_a_later_one(
    settings: Settings, recovery_key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_store(settings) as earlier:
        next_version(tmp_path / "next", monkeypatch, "")
        with open_store(settings) as later, later.lease("certificate:one") as lease:
            with later.write(lease) as unit:
                unit.issuers.add(Issuer(name="le", kind="acme", params={}), b"account key")
            with earlier.write() as unit:
                assert unit.issuers.account_key("le") == b"account key"
                unit.issuers.add(Issuer(name="other", kind="acme", params={}), b"other key")
            with pytest.raises(LeaseHeld), earlier.lease("certificate:one"):
                pytest.fail("unreachable")


BREAKING = {"0003": "nothing of ours was released before it"}


def test_migrations_only_add() -> None:
    """A process of the version before goes on with what it knew: decision 18."""
    shapes: dict[str, dict[tuple[str, str], bool]] = {}
    revisions = [each.revision for each in reversed(list(ScriptDirectory(str(BARE)).walk_revisions()))]
    for revision in revisions:
        engine = create_engine("sqlite://")
        with engine.begin() as connection:
            config = Config(attributes={"connection": connection})
            config.set_main_option("script_location", str(BARE))
            command.upgrade(config, revision)
            seen = inspect(connection)
            shapes[revision] = {
                (table, column["name"]): bool(column["nullable"] or column["default"])
                for table in seen.get_table_names()
                for column in seen.get_columns(table)
            }
        engine.dispose()
    for before, after in itertools.pairwise(revisions):
        known, tables = shapes[before], {table for table, _ in shapes[before]}
        added = [place for place in shapes[after] if place not in known and place[0] in tables]
        broken = [place for place in known if place not in shapes[after]]
        broken += [place for place in added if not shapes[after][place]]
        assert not broken or after in BREAKING, f"{after} breaks what the version before does with {broken}"


@on_sqlite
def test_opening_an_up_to_date_store_imports_neither_alembic_nor_the_orm(settings: Settings, recovery_key: str) -> None:
    script = """
import os, sys
from certwright.settings import Settings
from certwright.store import open_store
with open_store(Settings.locate(None, os.environ)) as store:
    with store.read() as unit:
        unit.managed.list()
print(sorted(name for name in ("alembic", "mako", "sqlalchemy.orm") if name in sys.modules))
"""
    environ = {
        **os.environ,
        "CERTWRIGHT_DATA": str(settings.data_folder),
        "CERTWRIGHT_MASTER_KEY_FILE": str(key_file(settings)),
    }
    done = subprocess.run(
        [sys.executable, "-c", script], env=environ, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"
