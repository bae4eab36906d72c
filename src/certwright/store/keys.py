"""Who has the data key: this process unlocks it with the master key, and again when another process has changed it."""

import threading
from pathlib import Path

from sqlalchemy import Connection

from certwright.domain.errors import StoreError
from certwright.settings import Settings
from certwright.store import identity, master_key
from certwright.store.crypto import Cipher
from certwright.store.identity import Identity

_WRONG = "Name the right one with CERTWRIGHT_MASTER_KEY_FILE, or use the recovery key: certwright init --recover"
_WRONG_SHARED = (
    "All nodes share one master key: copy it from a node that works, or name its place with CERTWRIGHT_MASTER_KEY_FILE."
)


class Keys:
    """The data key of a store, as of the moment that a transaction sees. Any thread may use it."""

    def __init__(self, settings: Settings, store: str) -> None:
        self._settings = settings
        self._store = store
        self._known: dict[bytes, Cipher] = {}
        self._unlocking = threading.Lock()

    def cipher(self, connection: Connection) -> Cipher:
        """What encrypts the secrets that `connection` sees.

        Raises:
            StoreError: if the master key is missing, unusable, or another store's.
        """
        own = identity.read(connection, self._store)
        with self._unlocking:
            if own.key_by_master not in self._known:
                self._known[own.key_by_master] = Cipher(unlock(self._settings, own, self._store))
            return self._known[own.key_by_master]

    def left_over(self, connection: Connection) -> Path | None:
        """The file of a key that waits to become the master key, and is not the one that `connection` sees."""
        own = identity.read(connection, self._store)
        if master_key.read_next(self._settings, own.id) is None or unlock_by_next(self._settings, own) is not None:
            return None
        return master_key.next_file(self._settings, own.id)


def unlock(settings: Settings, own: Identity, store: str) -> bytes:
    """The data key, by the master key; or by the next one, where a change of keys was killed before its last step.

    Args:
        settings: the places of the keys.
        own: what the store says of itself.
        store: what it is called in the error.

    Raises:
        StoreError: if the master key is missing, unusable, or another store's.
    """
    if (key := unlock_by_next(settings, own)) is not None:
        return key
    try:
        return identity.unwrap(master_key.read(settings, own.id), own.key_by_master, own.id, "key_by_master")
    except identity.WrongKey:
        raise StoreError(
            f"The master key {_source(settings, own.id)} is not the one of the store {store}.",
            hint=_WRONG_SHARED if settings.store_url else _WRONG,
        ) from None


def unlock_by_next(settings: Settings, own: Identity) -> bytes | None:
    """The data key, if the key that waits to become the master key is the one of the store already."""
    following = master_key.read_next(settings, own.id)
    if following is None:
        return None
    try:
        return identity.unwrap(following, own.key_by_master, own.id, "key_by_master")
    except identity.WrongKey:
        return None


def _source(settings: Settings, store_id: str) -> str:
    return "in CERTWRIGHT_MASTER_KEY" if settings.master_key is not None else str(settings.key_file(store_id))
