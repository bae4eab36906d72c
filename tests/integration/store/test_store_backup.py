import base64
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from certwright.domain.errors import LeaseHeld, StoreError
from certwright.domain.managed import Issuer
from certwright.settings import Settings
from certwright.store import Store, backup, create, lifecycle, open_store, restore, schema
from certwright.store.crypto import RecoveryKey
from certwright.store.database import Database
from certwright.store.sqlite import SqliteFile
from world.stores import on_sqlite

pytestmark = on_sqlite
AT = datetime(2026, 12, 1, 3, 0, tzinfo=UTC)


@pytest.fixture
def elsewhere(tmp_path: Path) -> Settings:
    """The places of a bare machine."""
    return Settings(data_folder=tmp_path / "bare" / "data", key_folder=tmp_path / "bare" / "keys")


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "store.backup"


def explained(caught: pytest.ExceptionInfo[StoreError]) -> str:
    return "\n".join(caught.value.explain())


def test_a_bare_machine_gets_all_back_with_the_recovery_key_alone(
    store: Store, issuer: Issuer, recovery_key: str, target: Path, elsewhere: Settings, settings: Settings
) -> None:
    made = store.back_up(target, AT)
    assert (made.head.store, made.head.made_at, made.size) == (store.id, AT, target.stat().st_size)
    assert made.rows["issuers"] == 1
    head = restore(elsewhere, target, recovery_key)
    assert head == made.head
    with open_store(elsewhere) as again, again.read() as unit:
        assert again.id == store.id
        assert unit.issuers.get("le") == issuer
        assert unit.issuers.account_key("le") == b"account key"
    assert [p.name for p in elsewhere.data_folder.iterdir()] == ["certwright.db"]
    assert elsewhere.key_file(store.id).read_bytes() != settings.key_file(store.id).read_bytes()
    assert elsewhere.database.stat().st_mode & 0o777 == 0o600
    assert elsewhere.data_folder.stat().st_mode & 0o777 == 0o700


def test_nothing_of_the_store_nor_the_master_key_can_be_read_in_the_file(
    store: Store, issuer: Issuer, settings: Settings, target: Path
) -> None:
    store.back_up(target, AT)
    written = target.read_bytes()
    master = settings.key_file(store.id).read_bytes().strip()
    for plain in (b"ca.test", b"SQLite format 3", b"account key", master):
        assert plain not in written
    assert target.stat().st_mode & 0o777 == 0o600


def test_the_master_key_is_in_no_form_within_the_copy(store: Store, settings: Settings, target: Path) -> None:
    store.back_up(target, AT)
    plain = target.with_name("plain.db")
    plain.touch(0o600)
    with store._database.read() as connection:
        backup.unpack(target, store._keys.cipher(connection), plain)
    text = settings.key_file(store.id).read_bytes().strip()
    assert text not in plain.read_bytes()
    assert base64.b64decode(text) not in plain.read_bytes()


def test_only_the_backup_is_left(store: Store, target: Path, settings: Settings) -> None:
    store.back_up(target, AT)
    assert not [p for p in target.parent.iterdir() if p.name.endswith(".partial")]
    assert {p.name for p in settings.data_folder.iterdir()} <= {
        "certwright.db",
        "certwright.db-wal",
        "certwright.db-shm",
    }


def test_what_is_written_meanwhile_is_in_the_store_and_not_in_the_backup(
    store: Store, issuer: Issuer, recovery_key: str, target: Path, elsewhere: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    flush = os.fsync

    def meanwhile(handle: int) -> None:
        with store.write() as unit:
            unit.secrets.put("late", b"late")
        flush(handle)

    monkeypatch.setattr(os, "fsync", meanwhile)
    store.back_up(target, AT)
    restore(elsewhere, target, recovery_key)
    with open_store(elsewhere) as again, again.read() as unit, store.read() as here:
        assert unit.secrets.find("late") is None
        assert here.secrets.get("late") == b"late"


def test_a_file_that_is_there_is_never_overwritten(store: Store, target: Path) -> None:
    target.write_text("mine")
    with pytest.raises(StoreError, match="is there already"):
        store.back_up(target, AT)
    assert target.read_text() == "mine"


def test_one_backup_is_made_at_a_time(store: Store, target: Path) -> None:
    with store.lease("backup"), pytest.raises(LeaseHeld):
        store.back_up(target, AT)


def test_a_folder_that_is_not_there(store: Store, target: Path) -> None:
    with pytest.raises(StoreError, match="cannot be written: No such file"):
        store.back_up(target / "in" / "nowhere", AT)


def test_what_the_disk_changed_is_no_backup(store: Store, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda handle: os.pwrite(handle, b"\0", os.fstat(handle).st_size - 1))
    with pytest.raises(StoreError, match="is damaged or was cut short"):
        store.back_up(target, AT)
    assert not target.exists()
    assert not target.with_name(f".{target.name}.partial").exists()


def test_a_damaged_store_makes_no_backup(store: Store, issuer: Issuer, target: Path, settings: Settings) -> None:
    with store.write() as unit:
        for number in range(200):
            unit.secrets.put(f"filler {number}", bytes(2000))
    store.close()
    with closing(sqlite3.connect(settings.database)) as plain:
        (page,) = plain.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'secrets'").fetchone()
        (size,) = plain.execute("PRAGMA page_size").fetchone()
    with settings.database.open("r+b") as file:
        file.seek((page - 1) * size + 12)
        file.write(b"\xff" * 40)
    with open_store(settings) as damaged, pytest.raises(StoreError, match="damaged"):
        damaged.back_up(target, AT)
    assert not target.exists()


def test_a_backup_that_is_killed_leaves_nothing_that_counts_and_the_next_one_succeeds(
    store: Store, settings: Settings, target: Path
) -> None:
    script = f"""
import os, signal
from datetime import UTC, datetime
from pathlib import Path
from certwright.settings import Settings
from certwright.store import open_store
os.fsync = lambda handle: os.kill(os.getpid(), signal.SIGKILL)
store = open_store(Settings(Path({str(settings.data_folder)!r}), Path({str(settings.key_folder)!r})))
store.back_up(Path({str(target)!r}), datetime.now(UTC))
"""
    done = subprocess.run([sys.executable, "-c", script], check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL
    assert not target.exists()
    store.back_up(target, AT)
    assert sorted(p.name for p in target.parent.iterdir()) == ["data", "keys", "store.backup"]
    assert not [p for p in settings.data_folder.iterdir() if p.name.startswith(".")]


def test_a_store_that_is_there_is_never_overwritten(
    store: Store, recovery_key: str, target: Path, settings: Settings
) -> None:
    store.back_up(target, AT)
    before = settings.database.read_bytes()
    with pytest.raises(StoreError, match="There is a store in"):
        restore(settings, target, recovery_key)
    assert settings.database.read_bytes() == before


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "cut in the head": lambda d: d[:40],
    "cut at the end of the head": lambda d: d[: 12 + int.from_bytes(d[8:12])],
    "cut by a byte": lambda d: d[:-1],
    "cut by half": lambda d: d[: len(d) // 2],
    "a bit of the head": lambda d: d.replace(b'"made_at":"2026', b'"made_at":"2025'),
    "a bit of the data": lambda d: d[:-100] + bytes([d[-100] ^ 1]) + d[-99:],
    "more behind it": lambda d: d + b"more",
    "a head without an end": lambda d: d[:8] + b"\xff\xff\xff\xff" + d[12:],
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_a_damaged_backup_is_refused_and_nothing_is_left(
    store: Store, recovery_key: str, target: Path, elsewhere: Settings, damage: Callable[[bytes], bytes]
) -> None:
    store.back_up(target, AT)
    target.write_bytes(damage(target.read_bytes()))
    with pytest.raises(StoreError, match="is damaged or was cut short") as caught:
        restore(elsewhere, target, recovery_key)
    assert "another backup" in caught.value.hint
    assert not elsewhere.data_folder.exists() or not list(elsewhere.data_folder.iterdir())


@pytest.mark.parametrize("content", [b"", b"SQLite format 3\0", b"PK\3\4" + bytes(100), b"CWBACKU"])
def test_a_foreign_file_is_refused(recovery_key: str, target: Path, elsewhere: Settings, content: bytes) -> None:
    target.write_bytes(content)
    with pytest.raises(StoreError, match="is not a backup of Certwright"):
        restore(elsewhere, target, recovery_key)


def test_a_file_that_is_not_there(recovery_key: str, target: Path, elsewhere: Settings) -> None:
    with pytest.raises(StoreError, match="cannot be read: No such file"):
        restore(elsewhere, target, recovery_key)


def test_a_backup_of_a_later_format_or_version_is_refused(
    store: Store, recovery_key: str, target: Path, elsewhere: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.back_up(target, AT)
    with monkeypatch.context() as later:
        later.setattr(schema, "REVISION", "0000")
        with pytest.raises(StoreError, match="later version of Certwright"):
            restore(elsewhere, target, recovery_key)
    written = target.read_bytes()
    head = written[12:].replace(b'"format":1', b'"format":2', 1)
    target.write_bytes(written[:12] + head)
    with pytest.raises(StoreError, match="has format 2"):
        restore(elsewhere, target, recovery_key)


def test_another_stores_recovery_key_opens_nothing(store: Store, target: Path, elsewhere: Settings) -> None:
    store.back_up(target, AT)
    with pytest.raises(StoreError, match=f"of the store {store.id}, made on 2026-12-01 03:00 UTC"):
        restore(elsewhere, target, str(RecoveryKey.generate()))
    with pytest.raises(StoreError, match="mistyped"):
        restore(elsewhere, target, "ABCDE")
    assert not elsewhere.data_folder.exists()


def test_the_master_key_that_is_named_is_used(
    store: Store, recovery_key: str, target: Path, elsewhere: Settings, settings: Settings
) -> None:
    store.back_up(target, AT)
    named = replace(elsewhere, master_key_file=settings.key_file(store.id))
    before = settings.key_file(store.id).read_bytes()
    restore(named, target, recovery_key)
    open_store(named).close()
    assert settings.key_file(store.id).read_bytes() == before


def test_leases_of_the_other_machine_keep_nobody_waiting(
    store: Store, recovery_key: str, target: Path, elsewhere: Settings
) -> None:
    with store.lease("certificate:x", ttl=timedelta(days=1)) as held:
        store.back_up(target, AT)
    restore(elsewhere, target, recovery_key)
    with open_store(elsewhere) as again, again.lease("certificate:x") as mine:
        assert mine.epoch == held.epoch + 1


def test_a_backup_of_an_earlier_schema_is_brought_up_to_date(
    settings: Settings, recovery_key: str, target: Path, elsewhere: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    from alembic import command
    from alembic.config import Config

    settings.database.unlink()
    earlier = Config()
    earlier.set_main_option("script_location", str(Path(schema.__file__).parent / "migrations"))
    with monkeypatch.context() as then:
        then.setattr(command, "upgrade", _only_the_first(command.upgrade))
        then.setattr(lifecycle, "note_store", lambda *_, **__: None)  # there was no audit trail
        recovery_key = create(settings)
    with monkeypatch.context() as then:
        then.setattr(schema, "REVISION", "0001")
        with open_store(settings) as old:
            old.back_up(target, AT)
    restore(elsewhere, target, recovery_key)
    with open_store(elsewhere) as again, again.read() as unit:
        assert unit.records.list("nothing", "at all") == []


def _only_the_first(upgrade: Callable[..., None]) -> Callable[..., None]:
    return lambda config, _revision: upgrade(config, "0001")


def test_the_copy_is_of_one_moment(settings: Settings, recovery_key: str, tmp_path: Path) -> None:
    file = SqliteFile(settings.database)
    with closing(Database(file)) as database:
        with database.write() as connection:
            connection.exec_driver_sql("CREATE TABLE pairs (a INTEGER, b INTEGER)")
            connection.exec_driver_sql("INSERT INTO pairs VALUES (1, 1)")
        with database.write() as connection:
            connection.exec_driver_sql("UPDATE pairs SET a = 2")
            file.copy(tmp_path / "copy.db")
            connection.exec_driver_sql("UPDATE pairs SET b = 2")
    with closing(sqlite3.connect(tmp_path / "copy.db")) as copy:
        assert copy.execute("SELECT a, b FROM pairs").fetchall() == [(1, 1)]
