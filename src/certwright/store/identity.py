"""The row that says which store this is, with the data key as the master key and the recovery key wrap it."""

from dataclasses import dataclass, field
from hashlib import sha256
from typing import Literal

from sqlalchemy import Connection, select

from certwright.domain.errors import StoreError
from certwright.store import schema
from certwright.store.crypto import Cipher

Wrapping = Literal["key_by_master", "key_by_recovery"]
_READ = select(schema.store.c.id, schema.store.c.key_by_master, schema.store.c.key_by_recovery)


@dataclass(frozen=True, slots=True)
class Identity:
    """Which store it is; the data key is wrapped."""

    id: str
    key_by_master: bytes = field(repr=False)
    key_by_recovery: bytes = field(repr=False)

    @property
    def wrapping(self) -> str:
        """Names the recovery key that the store has now: another one gives another name, and it tells nothing of it."""
        return sha256(self.key_by_recovery).hexdigest()


def read(connection: Connection, name: str) -> Identity:
    """The identity of the store; `name` is what it is called in the error.

    Raises:
        StoreError: if it has none.
    """
    row = connection.execute(_READ).one_or_none()
    if row is None:
        raise StoreError(f"The store {name} does not say which store it is: it is damaged.", hint="Restore a backup.")
    return Identity(*row)


def wrap(key: bytes, data_key: bytes, store_id: str, by: Wrapping) -> bytes:
    """The data key of this store, for whoever has `key`."""
    return Cipher(key).seal(data_key, "store", store_id, by)


class WrongKey(Exception):
    """The data key was wrapped with another key."""


def unwrap(key: bytes, wrapped: bytes, store_id: str, by: Wrapping) -> bytes:
    """The data key.

    Raises:
        WrongKey: if `key` is not the one that it was wrapped with.
    """
    try:
        return Cipher(key).unseal(wrapped, "store", store_id, by)
    except StoreError:
        raise WrongKey from None
