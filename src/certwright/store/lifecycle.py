"""Making, opening and recovering a store."""

import os
import threading
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Connection, insert, inspect, literal_column, select, table, update

from certwright.domain.errors import StoreError
from certwright.domain.managed import new_id
from certwright.settings import Settings
from certwright.store import master_key, place, schema
from certwright.store.crypto import Cipher, RecoveryKey, new_key
from certwright.store.database import Database
from certwright.store.unit import Store

_MIGRATIONS = Path(__file__).with_name("migrations")
_MIGRATING = threading.Lock()  # Alembic keeps its context in module globals


@dataclass(frozen=True, slots=True)
class _Identity:
    """The row that says which store this is."""

    id: str
    key_by_master: bytes
    key_by_recovery: bytes


def create(settings: Settings) -> str:
    """Make an empty store, its data folder and its master key; the recovery key, to be shown once.

    A process that is killed in the middle leaves no store behind: it appears as a whole.

    Raises:
        StoreError: if there is a store already, or it cannot be made there.
    """
    _refuse_existing(settings)
    place.prepare(settings.data_folder)
    store_id, data_key, recovery = new_id(), new_key(), RecoveryKey.generate()
    identity = _Identity(
        store_id,
        _wrap(master_key.provide(settings, store_id), data_key, store_id, "key_by_master"),
        _wrap(recovery.derive(), data_key, store_id, "key_by_recovery"),
    )
    try:
        _publish(settings, identity)
    except BaseException:
        if settings.master_key_file is None and settings.master_key is None:  # what was given may be another store's
            settings.key_file(store_id).unlink(missing_ok=True)
        raise
    return str(recovery)


def open_store(settings: Settings) -> Store:
    """Open the store, bringing it up to this version if an earlier one made it.

    Raises:
        StoreError: if there is none, it is damaged, of a later version, in a place where it cannot be used, or its
            master key is missing or wrong.
    """
    database = _open(settings)
    try:
        with database.read() as connection:
            identity = _identity(connection, database.path)
        master = Cipher(master_key.read(settings, identity.id))
        try:
            data_key = master.unseal(identity.key_by_master, "store", identity.id, "key_by_master")
        except StoreError:
            raise StoreError(
                f"The master key {_source(settings, identity.id)} is not the one of the store {settings.database}.",
                hint="Name the right one with CERTWRIGHT_MASTER_KEY_FILE, or use the recovery key: "
                "certwright init --recover",
            ) from None
    except BaseException:
        database.close()
        raise
    return Store(database, Cipher(data_key))


def recover(settings: Settings, recovery_key: str) -> None:
    """Give the store a master key again: the one that is named or in its place already, otherwise a new one.

    Raises:
        StoreError: if the recovery key is mistyped or another store's, or the master key cannot be written.
    """
    recovery = RecoveryKey.parse(recovery_key)
    with closing(_open(settings)) as database, database.write() as connection:
        identity = _identity(connection, database.path)
        try:
            data_key = Cipher(recovery.derive()).unseal(
                identity.key_by_recovery, "store", identity.id, "key_by_recovery"
            )
        except StoreError:
            raise StoreError(
                f"The recovery key belongs to another store than {settings.database}.",
                hint="Use the one that `certwright init` showed when this store was made.",
            ) from None
        wrapped = _wrap(master_key.provide(settings, identity.id), data_key, identity.id, "key_by_master")
        connection.execute(update(schema.store).values(key_by_master=wrapped))


def _open(settings: Settings) -> Database:
    """The database at the schema of this version."""
    if not place.exists(settings.database):
        raise StoreError(
            f"There is no store in {settings.data_folder}.",
            hint="Make one with `certwright init`, or name another folder with --data or CERTWRIGHT_DATA.",
        )
    place.check(settings.data_folder)
    database = Database(settings.database)
    try:
        with database.read() as connection:
            revision = _revision(connection, settings.database)
        if revision < schema.REVISION:
            with database.write() as connection:
                migrate(connection)
    except BaseException:
        database.close()
        raise
    return database


def _publish(settings: Settings, identity: _Identity) -> None:
    """Make the database beside its place and put it there whole, unless another process was faster."""
    draft = settings.data_folder / f".{identity.id}.db"
    try:
        os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        _fill(draft, identity)
        os.link(draft, settings.database)
    except FileExistsError:
        _refuse_existing(settings)
        raise
    except OSError as error:
        raise StoreError(f"The store {settings.database} cannot be made: {error.strerror}.") from error
    finally:
        draft.unlink(missing_ok=True)


def _fill(draft: Path, identity: _Identity) -> None:
    with closing(Database(draft)) as database, database.write() as connection:
        migrate(connection)
        connection.execute(
            insert(schema.store).values(
                id=identity.id,
                created_at=datetime.now(UTC),
                key_by_master=identity.key_by_master,
                key_by_recovery=identity.key_by_recovery,
            )
        )


def migrate(connection: Connection) -> None:
    """Bring the schema up to this version, within the transaction of `connection`."""
    from alembic import command  # noqa: PLC0415 - Alembic is heavy, and an up-to-date store does not need it
    from alembic.config import Config  # noqa: PLC0415 - as above

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    with _MIGRATING:
        command.upgrade(config, "head")


def _revision(connection: Connection, path: Path) -> str:
    """The schema's revision, read without Alembic.

    Raises:
        StoreError: if this is no store, or one of a later version.
    """
    if not inspect(connection).has_table("alembic_version"):
        raise StoreError(f"{path} is a database, but not a store of Certwright.", hint="Look at what put it there.")
    found = str(connection.scalar(select(literal_column("version_num")).select_from(table("alembic_version"))))
    if found > schema.REVISION:
        raise StoreError(
            f"The store {path} was made by a later version of Certwright (schema {found}; this one knows "
            f"{schema.REVISION}).",
            hint="Install that version again, or restore a backup from before the upgrade.",
        )
    return found


def _identity(connection: Connection, path: Path) -> _Identity:
    columns = (schema.store.c.id, schema.store.c.key_by_master, schema.store.c.key_by_recovery)
    row = connection.execute(select(*columns)).one_or_none()
    if row is None:
        raise StoreError(f"The store {path} does not say which store it is: it is damaged.", hint="Restore a backup.")
    return _Identity(*row)


def _refuse_existing(settings: Settings) -> None:
    if place.exists(settings.database):
        raise StoreError(
            f"There is a store in {settings.data_folder} already.",
            hint="Use it as it is, or name another folder with --data or CERTWRIGHT_DATA.",
        )


def _wrap(key: bytes, data_key: bytes, store_id: str, column: str) -> bytes:
    return Cipher(key).seal(data_key, "store", store_id, column)


def _source(settings: Settings, store_id: str) -> str:
    return "in CERTWRIGHT_MASTER_KEY" if settings.master_key is not None else str(settings.key_file(store_id))
