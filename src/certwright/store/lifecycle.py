"""Making, opening, recovering and restoring a store."""

import threading
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from sqlalchemy import Connection, insert, inspect, literal_column, select, table, update

from certwright.domain.access import at_the_command_line
from certwright.domain.audit import Action
from certwright.domain.errors import StoreError
from certwright.domain.managed import new_id
from certwright.settings import Settings
from certwright.store import backup, identity, master_key, rotation, schema
from certwright.store.audit import Trail, note_store
from certwright.store.backup import Head
from certwright.store.crypto import Cipher, RecoveryKey, new_key
from certwright.store.database import Backend, Database
from certwright.store.draft import drafted, refuse_existing
from certwright.store.identity import Identity, WrongKey
from certwright.store.keys import Keys
from certwright.store.processes import user
from certwright.store.rotation import Rotated
from certwright.store.secrets import Secrets
from certwright.store.sqlite import SqliteFile
from certwright.store.unit import Store

_MIGRATIONS = Path(__file__).with_name("migrations")
_MIGRATING = threading.Lock()  # Alembic keeps its context in module globals


def create(settings: Settings) -> str:
    """Make an empty store, its place and its master key; the recovery key, to be shown once.

    A process that is killed in the middle leaves no store behind: it appears as a whole.

    Raises:
        StoreError: if there is a store already, or it cannot be made there.
    """
    backend = backend_of(settings)
    backend.prepare()
    store_id, data_key, recovery = new_id(), new_key(), RecoveryKey.generate()
    master = master_key.provide(settings, store_id)
    made = Identity(
        store_id,
        identity.wrap(master, data_key, store_id, "key_by_master"),
        identity.wrap(recovery.derive(), data_key, store_id, "key_by_recovery"),
    )
    try:
        backend.publish(partial(_fill, backend=backend, made=made, keys=Keys(settings, backend.name)))
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
    database, is_upgraded = _open(settings)
    try:
        rotation.finish(settings, database)
        keys = Keys(settings, database.backend.name)
        with database.read() as connection:
            own = identity.read(connection, database.backend.name)
            keys.cipher(connection)
        if is_upgraded:
            with database.write() as connection:
                secrets = Secrets(connection, keys)
                trail = Trail(connection, at_the_command_line(user()), database.backend.now, secrets)
                trail.seal_first(own.id, secrets)
    except BaseException:
        database.close()
        raise
    return Store(database, keys, own.id)


def rotate(settings: Settings, recovery_key: str | None, tell: Callable[[Rotated], None]) -> None:
    """Change the keys: every secret is encrypted anew, and so are the wrappings of the key for that.

    Args:
        settings: the places of the store.
        recovery_key: stays; None makes another one.
        tell: shows what is changed, just before that counts, so that a recovery key was seen before it is the one of
            the store. If it raises an error, nothing is changed.

    Raises:
        StoreError: if the recovery key is not the one of the store, a secret cannot be decrypted, or a key cannot be
            written; nothing is changed then.
    """
    with closing(_open(settings)[0]) as database:
        rotation.finish(settings, database)
        rotation.rotate(settings, database, recovery_key, tell)


def recover(settings: Settings, recovery_key: str) -> None:
    """Give the store a master key again: the one that is named or in its place already, otherwise a new one.

    Raises:
        StoreError: if the recovery key is mistyped or another store's, or the master key cannot be written.
    """
    recovery = RecoveryKey.parse(recovery_key)
    with closing(_open(settings)[0]) as database, database.write() as connection:
        own = identity.read(connection, database.backend.name)
        try:
            data_key = identity.unwrap(recovery.derive(), own.key_by_recovery, own.id, "key_by_recovery")
        except WrongKey:
            raise StoreError(
                f"The recovery key belongs to another store than {database.backend.name}.",
                hint="Use the one that `certwright init` showed when this store was made.",
            ) from None
        wrapped = identity.wrap(master_key.provide(settings, own.id), data_key, own.id, "key_by_master")
        connection.execute(update(schema.store).values(key_by_master=wrapped))
        note_store(connection, database.backend.now, Action.RECOVERED, own.id)


def restore(settings: Settings, source: Path, recovery_key: str) -> Head:
    """Make the store of a backup in the data folder, where none is, and a master key unless its place holds one.

    A process that is killed in the middle leaves no store behind.

    Raises:
        StoreError: if there is a store, or it would be on a server; if the backup is damaged, no backup or of a later
            version, or the recovery key is not the one that its store had at that time.
    """
    file = backend_of(settings)
    if not isinstance(file, SqliteFile):
        raise StoreError(
            f"A backup makes a store in a data folder, and not one like {file.name}.",
            hint="Leave out CERTWRIGHT_STORE; what its server backed up is restored there.",
        )
    refuse_existing(file.path)
    recovery = RecoveryKey.parse(recovery_key)
    with backup.opened(source) as (head, _, _):
        pass
    _refuse_later(head.revision, f"The backup {source}")
    try:
        data_key = identity.unwrap(recovery.derive(), head.key_by_recovery, head.store, "key_by_recovery")
    except WrongKey:
        raise StoreError(
            f"The recovery key does not open the backup {source} of the store {head.store}, made on "
            f"{head.made_at:%Y-%m-%d %H:%M} UTC.",
            hint="Use the recovery key that this store had then: a backup keeps the one of its time.",
        ) from None
    file.prepare()
    with drafted(file.path) as draft:
        backup.unpack(source, Cipher(data_key), draft)
        wrapped = identity.wrap(master_key.provide(settings, head.store), data_key, head.store, "key_by_master")
        with closing(Database(SqliteFile(draft))) as database, database.write() as connection:
            migrate(connection)
            connection.execute(update(schema.store).values(key_by_master=wrapped))
            connection.execute(update(schema.leases).values(expires_at=None))  # their holders work on another store
            told = {"made_at": head.made_at.isoformat()}
            note_store(connection, file.now, Action.RESTORED, head.store, told)
    return head


def _open(settings: Settings) -> tuple[Database, bool]:
    """The database at the schema of this version, and whether it was brought there now."""
    backend = backend_of(settings)
    backend.check()
    database = Database(backend)
    try:
        with database.read() as connection:
            revision = _revision(connection, backend)
        is_upgraded = revision < schema.REVISION
        if is_upgraded:
            with database.write() as connection:
                migrate(connection)
    except BaseException:
        database.close()
        raise
    return database, is_upgraded


def backend_of(settings: Settings) -> Backend:
    """Where the settings say that the store is.

    Raises:
        StoreError: if that is no place for a store.
    """
    if settings.store_url is None:
        return SqliteFile(settings.database)
    from certwright.store.postgresql import Postgresql  # noqa: PLC0415 - the driver is an extra, and heavy

    return Postgresql(settings.store_url, settings.store_password_file)


def _fill(connection: Connection, backend: Backend, made: Identity, keys: Keys) -> None:
    migrate(connection)
    values = {"id": made.id, "created_at": datetime.now(UTC)}
    wrapped = {"key_by_master": made.key_by_master, "key_by_recovery": made.key_by_recovery}
    connection.execute(insert(schema.store).values(**values, **wrapped))
    note_store(connection, backend.now, Action.MADE, made.id, secrets=Secrets(connection, keys))


def migrate(connection: Connection) -> None:
    """Bring the schema up to this version, within the transaction of `connection`."""
    from alembic import command  # noqa: PLC0415 - Alembic is heavy, and an up-to-date store does not need it
    from alembic.config import Config  # noqa: PLC0415 - as above

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    with _MIGRATING:
        command.upgrade(config, "head")


def _revision(connection: Connection, backend: Backend) -> str:
    """The schema's revision, read without Alembic.

    Raises:
        StoreError: if this is no store, or one of a later version.
    """
    tables = set(inspect(connection).get_table_names())
    if not tables and backend.is_shared:
        raise backend.no_store()
    if not tables >= {"alembic_version", schema.store.name}:
        raise StoreError(
            f"{backend.name} is a database, but not a store of Certwright.", hint="Look at what put it there."
        )
    found = str(connection.scalar(select(literal_column("version_num")).select_from(table("alembic_version"))))
    _refuse_later(found, f"The store {backend.name}")
    return found


def _refuse_later(revision: str, what: str) -> None:
    if revision > schema.REVISION:
        raise StoreError(
            f"{what} was made by a later version of Certwright (schema {revision}; this one knows {schema.REVISION}).",
            hint="Install that version again, or restore a backup from before the upgrade.",
        )
