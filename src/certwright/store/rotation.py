"""Another data key, master key and, if asked for, recovery key.

In this order: the next master key is written beside the one that is there; one transaction encrypts every secret anew,
wraps the new data key, and tells what is new as the last before it ends; the next master key takes its place. Whoever
is killed in between leaves a store that one of the two files opens, and the next to open it takes the last step.
Processes that have the store open see the change in their next transaction.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from sqlalchemy import Connection, bindparam, select, update

from certwright.domain.audit import Action
from certwright.domain.errors import StoreError
from certwright.settings import Settings
from certwright.store import identity, master_key, schema
from certwright.store.audit import note_store
from certwright.store.crypto import Cipher, RecoveryKey, new_key
from certwright.store.database import Database
from certwright.store.identity import Identity, WrongKey
from certwright.store.keys import unlock, unlock_by_next
from certwright.store.records import RECOVERY_KEY, Records

_BATCH = 500


@dataclass(frozen=True, slots=True)
class Rotated:
    """What was changed: `recovery_key` is the new one, or None if it stayed; `secrets` is how many were encrypted anew.

    `master_key` is whether there is a new one: what the environment gives stays.
    """

    recovery_key: str | None = field(repr=False)
    master_key: bool
    secrets: int


def rotate(settings: Settings, database: Database, recovery_key: str | None, tell: Callable[[Rotated], None]) -> None:
    """Change the keys, in one transaction; see `lifecycle.rotate`."""
    with database.write() as connection:
        own = identity.read(connection, database.backend.name)
        old = Cipher(unlock(settings, own, database.backend.name))
        recovery = RecoveryKey.generate() if recovery_key is None else confirmed(recovery_key, own)
        changes_master = settings.master_key is None
        master = master_key.prepare_next(settings, own.id) if changes_master else master_key.read(settings, own.id)
        data_key = new_key()
        count = _encrypt_anew(connection, old, Cipher(data_key))
        new = replace(
            own,
            key_by_master=identity.wrap(master, data_key, own.id, "key_by_master"),
            key_by_recovery=identity.wrap(recovery.derive(), data_key, own.id, "key_by_recovery"),
        )
        wrapped = {"key_by_master": new.key_by_master, "key_by_recovery": new.key_by_recovery}
        connection.execute(update(schema.store).values(wrapped))
        if recovery_key is not None:  # whoever typed it has shown to know it
            Records(connection).put(*RECOVERY_KEY, new.wrapping, database.backend.now(connection))
        told = {"recovery_key": "the same" if recovery_key else "another one", "master_key_changed": changes_master}
        note_store(connection, database.backend.now, Action.KEYS_CHANGED, own.id, told)
        tell(Rotated(str(recovery) if recovery_key is None else None, changes_master, count))
    finish(settings, database)


def finish(settings: Settings, database: Database) -> None:
    """Take the last step of a change of keys that was killed before it.

    Raises:
        StoreError: if the master key cannot be replaced.
    """
    with database.read() as connection:
        own = identity.read(connection, database.backend.name)
        if unlock_by_next(settings, own) is None:
            return
    with database.write() as connection:  # only one process at a time may prepare or adopt
        own = identity.read(connection, database.backend.name)
        if unlock_by_next(settings, own) is not None:
            master_key.adopt_next(settings, own.id)


def confirmed(text: str, own: Identity) -> RecoveryKey:
    """The recovery key that was typed.

    Raises:
        StoreError: if it is mistyped, or not the one that the store has now.
    """
    recovery = RecoveryKey.parse(text)
    try:
        identity.unwrap(recovery.derive(), own.key_by_recovery, own.id, "key_by_recovery")
    except WrongKey:
        raise StoreError(
            f"This is not the recovery key that the store {own.id} has now.",
            hint="Type the one that was shown last, or the one before if that change of keys did not end well. If it "
            "is lost, make another: certwright keys rotate --new-recovery-key",
        ) from None
    return recovery


def _encrypt_anew(connection: Connection, old: Cipher, new: Cipher) -> int:
    table, count = schema.secrets, 0
    put = update(table).where(table.c.name == bindparam("of")).values(value=bindparam("sealed"))
    for batch in _batches(connection):
        rows = []
        for name, sealed in batch:
            plain = old.unseal(sealed, "secrets", name, "value")
            rows.append({"of": name, "sealed": new.seal(plain, "secrets", name, "value")})
        connection.execute(put, rows)
        count += len(rows)
    return count


def _batches(connection: Connection) -> Iterator[Sequence[tuple[str, bytes]]]:
    """All secrets, by name, as they are when their turn comes."""
    table, last = schema.secrets, ""
    while True:
        later = select(table.c.name, table.c.value).where(table.c.name > last).order_by(table.c.name).limit(_BATCH)
        batch = [(name, sealed) for name, sealed in connection.execute(later)]
        if not batch:
            return
        yield batch
        last = batch[-1][0]
