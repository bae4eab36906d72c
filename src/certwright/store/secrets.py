"""Encrypted values by name."""

from dataclasses import dataclass

from sqlalchemy import Connection, delete, select
from sqlalchemy.dialects.sqlite import insert

from certwright.domain.errors import NotFound
from certwright.store.crypto import Cipher
from certwright.store.schema import secrets


@dataclass(frozen=True, slots=True)
class Secrets:
    """All secrets of the store; its own are named `issuer:`, `version:`, `order:` and `credential:` something."""

    connection: Connection
    cipher: Cipher

    def put(self, name: str, value: bytes) -> None:
        """Keep `value` under `name`, in place of what was there."""
        sealed = self.cipher.seal(value, "secrets", name, "value")
        statement = insert(secrets).values(name=name, value=sealed)
        self.connection.execute(statement.on_conflict_do_update(index_elements=["name"], set_={"value": sealed}))

    def find(self, name: str) -> bytes | None:
        """What was put, or None."""
        sealed = self.connection.scalar(select(secrets.c.value).where(secrets.c.name == name))
        return None if sealed is None else self.cipher.unseal(sealed, "secrets", name, "value")

    def get(self, name: str) -> bytes:
        """What was put.

        Raises:
            NotFound: if there is nothing of that name.
        """
        value = self.find(name)
        if value is None:
            raise NotFound(f"The store holds no secret {name!r}.")
        return value

    def remove(self, *names: str) -> None:
        """Forget; that it is not there is fine."""
        self.connection.execute(delete(secrets).where(secrets.c.name.in_(names)))
