import signal
import subprocess
import sys
import threading
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import select

from certwright.domain.errors import StoreError
from certwright.domain.managed import Issuer
from certwright.settings import Settings
from certwright.store import Store, create, open_store, recover, restore, rotate, schema
from certwright.store.database import Database
from certwright.store.master_key import prepare_next, read_next
from certwright.store.rotation import Rotated
from certwright.store.sqlite import SqliteFile
from world.stores import on_sqlite

pytestmark = on_sqlite
MANY = 1203  # two whole batches and a part


@pytest.fixture
def filled(store: Store) -> Store:
    with store.write() as unit:
        for number in range(MANY):
            unit.secrets.put(f"secret {number}", f"value {number}".encode())
    return store


def sealed(settings: Settings) -> dict[str, bytes]:
    with closing(Database(SqliteFile(settings.database))) as database, database.read() as connection:
        return {row.name: row.value for row in connection.execute(select(schema.secrets))}


def values(settings: Settings) -> list[bytes]:
    with open_store(settings) as store, store.read() as unit:
        return [unit.secrets.get(f"secret {number}") for number in range(MANY)]


EXPECTED = [f"value {number}".encode() for number in range(MANY)]


def master_key(settings: Settings) -> bytes:
    (path,) = settings.key_folder.iterdir()
    return path.read_bytes()


def changed(settings: Settings, recovery_key: str | None) -> Rotated:
    """Change the keys; what was told of it."""
    told: list[Rotated] = []
    rotate(settings, recovery_key, told.append)
    (done,) = told
    return done


def test_every_secret_is_encrypted_anew_and_the_recovery_key_stays(
    filled: Store, settings: Settings, recovery_key: str
) -> None:
    before, key = sealed(settings), master_key(settings)
    done = changed(settings, recovery_key)
    after = sealed(settings)
    assert (done.secrets, done.master_key, done.recovery_key) == (len(before), True, None)
    assert before.keys() == after.keys()
    assert not set(before.values()) & set(after.values())
    assert master_key(settings) != key
    assert values(settings) == EXPECTED
    (path,) = settings.key_folder.iterdir()
    assert path.stat().st_mode & 0o777 == 0o600
    path.unlink()
    recover(settings, recovery_key)
    assert values(settings) == EXPECTED


def test_the_old_master_key_opens_nothing_any_more(filled: Store, settings: Settings, recovery_key: str) -> None:
    (path,) = settings.key_folder.iterdir()
    old = path.read_bytes()
    changed(settings, recovery_key)
    path.write_bytes(old)
    with pytest.raises(StoreError, match="is not the one of the store"):
        open_store(settings)


def test_another_recovery_key_takes_the_place_of_the_old_one(
    filled: Store, settings: Settings, recovery_key: str
) -> None:
    new = changed(settings, None).recovery_key
    assert new
    assert new != recovery_key
    with pytest.raises(StoreError, match="belongs to another store"):
        recover(settings, recovery_key)
    recover(settings, new)
    assert values(settings) == EXPECTED


def test_the_recovery_key_must_be_the_one_of_the_store(filled: Store, settings: Settings, tmp_path: Path) -> None:
    before, key = sealed(settings), master_key(settings)
    stranger = create(Settings(tmp_path / "other" / "data", tmp_path / "other" / "keys"))
    with pytest.raises(StoreError, match="not the recovery key that the store"):
        changed(settings, stranger)
    with pytest.raises(StoreError, match="mistyped"):
        changed(settings, "ABCDE")
    assert sealed(settings) == before
    assert master_key(settings) == key
    assert values(settings) == EXPECTED


def test_a_store_that_is_open_goes_on(filled: Store, settings: Settings, recovery_key: str) -> None:
    changed(settings, recovery_key)
    with filled.read() as unit:
        assert unit.secrets.get("secret 7") == b"value 7"
    with filled.write() as unit:
        unit.secrets.put("later", b"by the one that was open")
    changed(settings, recovery_key)
    with open_store(settings) as again, again.read() as unit:
        assert unit.secrets.get("later") == b"by the one that was open"


def test_those_who_write_meanwhile_lose_nothing(filled: Store, settings: Settings, recovery_key: str) -> None:
    done, wrong = threading.Event(), []

    def write(name: str) -> None:
        number = 0
        try:
            with open_store(settings) as own:
                while not done.is_set():
                    number += 1
                    with own.write() as unit:
                        unit.secrets.put(name, str(number).encode())
                    with own.read() as unit:
                        assert unit.secrets.get(name) == str(number).encode()
        except BaseException as error:  # noqa: BLE001 - whatever it is, the test must know
            wrong.append(error)

    threads = [threading.Thread(target=write, args=(f"writer {n}",)) for n in range(3)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(5):
            changed(settings, recovery_key)
    finally:
        done.set()
        for thread in threads:
            thread.join(60)
    assert not wrong
    assert values(settings) == EXPECTED
    with open_store(settings) as again, again.read() as unit:
        assert all(unit.secrets.get(f"writer {n}") for n in range(3))


def test_nobody_reads_a_new_key_that_is_half_written(settings: Settings, store: Store) -> None:
    (key,), done, wrong = settings.key_folder.iterdir(), threading.Event(), []

    def read() -> None:
        try:
            while not done.is_set():
                read_next(settings, key.stem)
        except StoreError as error:
            wrong.append(error)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    try:
        keys = [prepare_next(settings, key.stem) for _ in range(200)]
    finally:
        done.set()
        for reader in readers:
            reader.join(60)
    assert not wrong
    assert read_next(settings, key.stem) == keys[-1]


def test_what_the_environment_gives_stays(settings: Settings, store: Store, issuer: Issuer, recovery_key: str) -> None:
    given = replace(settings, master_key=master_key(settings).decode())
    before = sealed(settings)
    done = changed(given, recovery_key)
    assert not done.master_key
    assert sealed(settings)["issuer:le"] != before["issuer:le"]
    with open_store(given) as again, again.read() as unit:
        assert unit.issuers.account_key("le") == b"account key"


def test_a_secret_that_cannot_be_read_stops_it_before_anything_is_changed(
    filled: Store, settings: Settings, recovery_key: str
) -> None:
    with filled._database.write() as connection:
        connection.exec_driver_sql("UPDATE secrets SET value = x'01' WHERE name = 'secret 1100'")
    before = sealed(settings)
    with pytest.raises(StoreError, match="'secret 1100' cannot be decrypted"):
        changed(settings, recovery_key)
    assert sealed(settings) == before
    with open_store(settings) as again, again.read() as unit:
        assert unit.secrets.get("secret 7") == b"value 7"


def is_of(store: Store, recovery_key: str) -> bool:
    try:
        return bool(store.confirm_recovery_key(recovery_key))
    except StoreError:
        return False


def test_what_cannot_be_told_is_not_changed(filled: Store, settings: Settings, recovery_key: str) -> None:
    def refuse(_: Rotated) -> None:
        raise StoreError("The paper is empty.")

    before, key = sealed(settings), master_key(settings)
    with pytest.raises(StoreError, match="paper"):
        rotate(settings, None, refuse)
    assert sealed(settings) == before
    assert is_of(filled, recovery_key)
    (left_over,) = (path for path in settings.key_folder.iterdir() if path.suffix == ".next")
    assert filled.left_over_key == left_over
    changed(settings, recovery_key)
    assert filled.left_over_key is None
    assert master_key(settings) != key


KILLS = {
    "the next master key is written": "os.fsync = die",
    "before the transaction is committed": "event.listen(Engine, 'commit', die)",
    "before the next master key is put there": "Path.replace = die",
    "before the master key is replaced": "master_key.adopt_next = die",
}


@pytest.mark.parametrize("kill", KILLS.values(), ids=KILLS.keys())
@pytest.mark.parametrize("new_recovery_key", [False, True])
def test_who_is_killed_in_the_middle_loses_nothing(
    filled: Store, settings: Settings, recovery_key: str, kill: str, new_recovery_key: bool
) -> None:
    script = f"""
import os, signal
from pathlib import Path
from sqlalchemy import Engine, event
from certwright.settings import Settings
from certwright.store import master_key, rotate
def die(*given):
    os.kill(os.getpid(), signal.SIGKILL)
{kill}
settings = Settings(Path({str(settings.data_folder)!r}), Path({str(settings.key_folder)!r}))
rotate(settings, {None if new_recovery_key else recovery_key!r}, lambda done: print(done.recovery_key, flush=True))
"""
    done = subprocess.run([sys.executable, "-c", script], check=False, timeout=60, stdout=subprocess.PIPE, text=True)
    assert done.returncode == -signal.SIGKILL
    with filled.read() as unit:
        assert unit.secrets.get("secret 7") == b"value 7"
    assert values(settings) == EXPECTED
    seen = {recovery_key, *done.stdout.split()} - {"None"}
    assert len([key for key in seen if is_of(filled, key)]) == 1, "whoever was killed has seen the key of the store"
    again = changed(settings, None).recovery_key
    assert again
    assert len(list(settings.key_folder.iterdir())) == 1
    assert values(settings) == EXPECTED
    recover(settings, again)


def test_an_old_backup_opens_with_the_recovery_key_of_its_time(
    filled: Store, settings: Settings, recovery_key: str, tmp_path: Path
) -> None:
    now = datetime.now(UTC)
    filled.back_up(tmp_path / "old.backup", now)
    new = changed(settings, None).recovery_key
    assert new
    filled.back_up(tmp_path / "new.backup", now)
    for name, right, wrong in (("old", recovery_key, new), ("new", new, recovery_key)):
        bare = Settings(tmp_path / name / "data", tmp_path / name / "keys")
        with pytest.raises(StoreError, match="does not open the backup"):
            restore(bare, tmp_path / f"{name}.backup", wrong)
        restore(bare, tmp_path / f"{name}.backup", right)
        assert values(bare) == EXPECTED
