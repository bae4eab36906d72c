"""Encrypted values by name."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, delete, select

from certwright.domain.errors import NotFound, StoreError
from certwright.store import rows
from certwright.store.keys import Keys
from certwright.store.schema import secrets

_GET = select(secrets.c.value).where(secrets.c.name == bindparam("name"))


@dataclass(frozen=True, slots=True)
class Secrets:
    """All secrets of the store; its own are named by whose they are, a colon, and which."""

    connection: Connection
    keys: Keys

    def put(self, name: str, value: bytes) -> None:
        """Keep `value` under `name`, in place of what was there."""
        sealed = self.keys.cipher(self.connection).seal(value, "secrets", name, "value")
        rows.put(self.connection, secrets, {"name": name, "value": sealed})

    def find(self, name: str) -> bytes | None:
        """What was put, or None."""
        sealed = self.connection.scalar(_GET, {"name": name})
        return None if sealed is None else self.keys.cipher(self.connection).unseal(sealed, "secrets", name, "value")

    def sealed(self, name: str) -> bytes:
        """What was put, as it is encrypted: never the same twice.

        Raises:
            NotFound: if there is nothing of that name.
        """
        found = self.connection.scalar(_GET, {"name": name})
        if found is None:
            raise _missing(name)
        return found

    def get(self, name: str) -> bytes:
        """What was put.

        Raises:
            NotFound: if there is nothing of that name.
        """
        value = self.find(name)
        if value is None:
            raise _missing(name)
        return value

    def names(self) -> Sequence[str]:
        """The names of all."""
        return self.connection.scalars(select(secrets.c.name).order_by(secrets.c.name)).all()

    def unreadable(self) -> Iterator[str]:
        """The names of those that cannot be decrypted."""
        cipher = self.keys.cipher(self.connection)
        for name, sealed in self.connection.execute(select(secrets.c.name, secrets.c.value).order_by(secrets.c.name)):
            try:
                cipher.unseal(sealed, "secrets", name, "value")
            except StoreError:
                yield name

    def remove(self, *names: str) -> None:
        """Forget; that it is not there is fine."""
        self.connection.execute(delete(secrets).where(secrets.c.name.in_(names)))


def _missing(name: str) -> NotFound:
    return NotFound(f"The store holds no secret {name!r}.")
