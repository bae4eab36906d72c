"""Credentials: typed user names and passwords, and who uses them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, select
from sqlalchemy.dialects.sqlite import insert

from certwright.domain.errors import ConfigurationError, NotFound
from certwright.domain.managed import ManagedCertificate
from certwright.sdk.context import Credential
from certwright.store.schema import credentials, managed
from certwright.store.secrets import Secrets


@dataclass(frozen=True, slots=True)
class CredentialInfo:
    """What may be shown of a credential; `used_by` are titles of managed certificates and of their tasks."""

    name: str
    kind: str
    username: str
    used_by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Credentials:
    """The stored credentials, by name."""

    connection: Connection
    secrets: Secrets

    def add(self, kind: str, credential: Credential) -> None:
        """Keep a credential, in place of the one of that name, wherever that is used.

        Raises:
            ConfigurationError: if the one of that name is of another kind.
        """
        row = credentials.c.name == credential.name
        known = self.connection.scalar(select(credentials.c.kind).where(row))
        if known not in (None, kind):
            raise ConfigurationError(
                f"There is a credential {credential.name!r} of the kind {known} already.", hint="Choose another name."
            )
        values = {"name": credential.name, "kind": kind, "username": credential.username}
        statement = insert(credentials).values(values)
        self.connection.execute(statement.on_conflict_do_update(index_elements=["name"], set_=values))
        self.secrets.put(_secret(credential.name), credential.password.encode())

    def get(self, name: str) -> Credential:
        """The credential of this name.

        Raises:
            NotFound: with the names that there are.
        """
        username = self.connection.scalar(select(credentials.c.username).where(credentials.c.name == name))
        if username is None:
            known = ", ".join(self.connection.scalars(select(credentials.c.name).order_by(credentials.c.name)))
            raise NotFound(f"There is no credential {name!r}.", hint=f"Credentials: {known or 'none yet'}.")
        return Credential(name, username, self.secrets.get(_secret(name)).decode())

    def list(self) -> list[CredentialInfo]:
        """What may be shown of all, by name."""
        uses = self._uses()
        rows = self.connection.execute(select(credentials).order_by(credentials.c.name))
        return [CredentialInfo(row.name, row.kind, row.username, tuple(uses.get(row.name, ()))) for row in rows]

    def remove(self, name: str) -> None:
        """Forget a credential.

        Raises:
            NotFound: if there is none of that name.
            ConfigurationError: if it is used; the users are named.
        """
        self.get(name)
        if users := self._uses().get(name):
            raise ConfigurationError(
                f"The credential {name!r} is used by {', '.join(users)}.",
                hint="Give them another one, or remove them, first; a new password needs no removal.",
            )
        self.connection.execute(delete(credentials).where(credentials.c.name == name))
        self.secrets.remove(_secret(name))

    def _uses(self) -> Mapping[str, Sequence[str]]:
        uses: dict[str, list[str]] = {}
        for certificate in self.connection.scalars(select(managed.c.body).order_by(managed.c.title)):
            for name, user in _references(certificate):
                uses.setdefault(name, []).append(user)
        return uses


def _references(certificate: ManagedCertificate) -> Iterator[tuple[str, str]]:
    """Names of credentials with the title of what uses each."""
    if certificate.pfx_password_credential:
        yield certificate.pfx_password_credential, f"{certificate.title!r}"
    for validation in certificate.validations:
        for name in _named(validation.params):
            yield name, f"{certificate.title!r}"
    for task in certificate.tasks:
        for name in _named(task.params):
            yield name, f"{certificate.title!r} (task {task.title!r})"


def _named(params: dict[str, Any]) -> Iterator[str]:
    """Names of credentials in a plugin's parameters: those whose own name says so; the plugin is not at hand here."""
    for key, value in params.items():
        if "credential" in key and isinstance(value, str):
            yield value


def _secret(name: str) -> str:
    return f"credential:{name}"
