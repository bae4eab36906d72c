"""Issuers, their account keys and their external account bindings."""

import base64
import json
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, delete, func, insert, select, update

from certwright.domain.audit import SubjectKind, named
from certwright.domain.errors import ConfigurationError, InUse, NotFound
from certwright.domain.managed import Issuer
from certwright.store.audit import Trail
from certwright.store.schema import issuers, managed
from certwright.store.secrets import Secrets
from certwright.store.uses import SHOWN, Used, Users, users

_GET = select(issuers.c.body).where(issuers.c.name == bindparam("name"))


@dataclass(frozen=True, slots=True)
class Issuers:
    """The configured issuers, by name."""

    connection: Connection
    secrets: Secrets
    trail: Trail

    def add(self, issuer: Issuer, account_key_pem: bytes, eab: tuple[str, bytes] | None = None) -> None:
        """Keep a new issuer; `eab` is key id and MAC key of its external account binding.

        Raises:
            ConfigurationError: if there is one of that name.
        """
        if self._find(issuer.name):
            raise ConfigurationError(
                f"There is an issuer {issuer.name!r} already.", hint="Choose another name, or remove that one first."
            )
        self.connection.execute(insert(issuers).values(name=issuer.name, body=issuer))
        self.trail.change(named(SubjectKind.ISSUER, issuer.name), None, issuer)
        self.secrets.put(_key(issuer.name), account_key_pem)
        if eab:
            binding = {"kid": eab[0], "key": base64.b64encode(eab[1]).decode()}
            self.secrets.put(_eab(issuer.name), json.dumps(binding).encode())

    def get(self, name: str) -> Issuer:
        """The issuer of this name.

        Raises:
            NotFound: with the names that there are.
        """
        found = self._find(name)
        if found is None:
            known = ", ".join(i.name for i in self.list()) or "none yet"
            raise NotFound(f"There is no issuer {name!r}.", hint=f"Issuers: {known}.")
        return found

    def list(self) -> list[Issuer]:
        """All, by name."""
        return list(self.connection.scalars(select(issuers.c.body).order_by(issuers.c.name)))

    def update(self, issuer: Issuer) -> None:
        """Replace the issuer of this name.

        Raises:
            NotFound: if there is none.
        """
        self.trail.change(named(SubjectKind.ISSUER, issuer.name), self.get(issuer.name), issuer)
        self.connection.execute(update(issuers).where(issuers.c.name == issuer.name).values(body=issuer))

    def account_key(self, name: str) -> bytes:
        """The account key in PEM.

        Raises:
            NotFound: if there is no such issuer.
        """
        return self.secrets.get(_key(name))

    def external_account_binding(self, name: str) -> tuple[str, bytes] | None:
        """Key id and MAC key, if it was added with them."""
        stored = self.secrets.find(_eab(name))
        if stored is None:
            return None
        binding = json.loads(stored)
        return binding["kid"], base64.b64decode(binding["key"])

    def remove(self, name: str) -> None:
        """Forget the issuer and its keys.

        Raises:
            NotFound: if there is none.
            InUse: if managed certificates use it; the first of these are named.
        """
        issuer = self.get(name)
        using = users(Used.ISSUER, name)
        if count := self.connection.scalar(using.with_only_columns(func.count())):
            titles = select(managed.c.title).where(managed.c.id.in_(using)).order_by(managed.c.title)
            first = [repr(title) for title in self.connection.scalars(titles.limit(SHOWN))]
            raise InUse(
                f"The issuer {name!r} is used by {Users(first, count - len(first))}.",
                hint="Remove them, or give them another issuer, first.",
            )
        self.connection.execute(delete(issuers).where(issuers.c.name == name))
        self.trail.change(named(SubjectKind.ISSUER, name), issuer, None)
        self.secrets.remove(_key(name), _eab(name))

    def _find(self, name: str) -> Issuer | None:
        return self.connection.scalar(_GET, {"name": name})


def _key(name: str) -> str:
    return f"issuer:{name}"


def _eab(name: str) -> str:
    return f"issuer-eab:{name}"
