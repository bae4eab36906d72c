"""Credentials: what signs in somewhere, typed, and who uses it."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Connection, delete, func, select

from certwright.domain.audit import SubjectKind, named
from certwright.domain.errors import ConfigurationError, InUse, NotFound
from certwright.domain.managed import Json, Value
from certwright.sdk.context import Credential
from certwright.store import rows
from certwright.store.audit import Trail
from certwright.store.schema import credentials, issuers, managed, rules, uses
from certwright.store.scope import EVERYTHING, Scope
from certwright.store.secrets import Secrets
from certwright.store.uses import SHOWN, Used, Users, credentials_in, credentials_of, users

Family = Literal["dns", "notify", "sign-in"]
"""How the kinds begin that hold the values of a plugin's parameters model."""
_FOR: Mapping[Family, str] = {
    "dns": "a DNS provider",
    "notify": "a notification channel",
    "sign-in": "a sign-in provider",
}
_USER: Mapping[str, str] = {"notify": "channel", "sign-in": "sign-in provider"}


@dataclass(frozen=True, slots=True)
class CredentialInfo:
    """What may be shown of a credential; `used_by` are titles of certificates and tasks, and who else names it."""

    name: str
    kind: str
    shown: dict[str, Any]
    used_by: Users


class Sealed(Value):
    """A credential as it is stored: what is `hidden` is encrypted, in hex, and another each time that it is stored."""

    name: str
    kind: str
    shown: Json
    hidden: str


@dataclass(frozen=True, slots=True)
class Credentials:
    """The stored credentials, by name."""

    connection: Connection
    secrets: Secrets
    trail: Trail
    scope: Scope

    def add(self, kind: str, credential: Credential) -> None:
        """Keep a user name and a password, in place of the credential of that name, wherever that is used.

        Raises:
            ConfigurationError: if the one of that name is of another kind.
        """
        self._keep(credential.name, kind, {"username": credential.username}, credential.password.encode())

    def add_typed(
        self, family: Family, kind: str, name: str, shown: Mapping[str, Any], hidden: Mapping[str, str]
    ) -> None:
        """Keep the values of a parameters model, as `add`: what may be `shown`, and what is `hidden`."""
        self._keep(name, f"{family}:{kind}", shown, json.dumps(dict(hidden)).encode())

    def get(self, name: str, kind: str) -> Credential:
        """The user name and password of this name and kind: whatever asks names the kind that it sends out.

        Raises:
            NotFound: with the names that there are of this kind.
            ConfigurationError: if it is of another kind.
        """
        found, shown = self._row(name, kind)
        if found != kind:
            raise ConfigurationError(
                f"The credential {name!r} is one of the kind {found}, and not {kind}.",
                hint="Name another one; certwright credential list shows them.",
            )
        return Credential(name, shown.get("username", ""), self.secrets.get(_secret(name)).decode())

    def sealed(self, name: str) -> Sealed:
        """The credential of this name, as it is stored.

        Raises:
            NotFound: with the names that there are.
        """
        kind, shown = self._row(name)
        return Sealed(name=name, kind=kind, shown=shown, hidden=self.secrets.sealed(_secret(name)).hex())

    def typed(self, family: Family, name: str) -> tuple[str, dict[str, Any]]:
        """The kind and all the values of a credential that `add_typed` kept.

        Raises:
            NotFound: with the names that there are of this family.
            ConfigurationError: if it is of another family.
        """
        kind, shown = self._row(name, f"{family}:")
        if _family(kind) != family:
            raise ConfigurationError(
                f"The credential {name!r} is one of the kind {kind}, and not for {_FOR[family]}.",
                hint="Name another one; certwright credential list shows them.",
            )
        return kind.partition(":")[2], {**shown, **json.loads(self.secrets.get(_secret(name)))}

    def kinds(self, family: Family) -> dict[str, str]:
        """The credentials of one family: name -> kind."""
        query = select(credentials.c.name, credentials.c.kind).where(credentials.c.kind.startswith(f"{family}:"))
        rows = self.connection.execute(query.order_by(credentials.c.name))
        return {row.name: row.kind.partition(":")[2] for row in rows}

    def shown(self, family: Family) -> dict[str, dict[str, Any]]:
        """What may be shown of those of one family: name -> values."""
        query = select(credentials.c.name, credentials.c.shown).where(credentials.c.kind.startswith(f"{family}:"))
        return {row.name: json.loads(row.shown) for row in self.connection.execute(query.order_by(credentials.c.name))}

    def of_kind(self, kind: str) -> Sequence[str]:
        """The names of those of exactly this kind."""
        query = select(credentials.c.name).where(credentials.c.kind == kind)
        return self.connection.scalars(query.order_by(credentials.c.name)).all()

    def names(self) -> tuple[str, ...]:
        """The names of all."""
        return tuple(self.connection.scalars(select(credentials.c.name).order_by(credentials.c.name)))

    def list(self) -> list[CredentialInfo]:
        """What may be shown of all, by name."""
        others = self._others()
        found = self.connection.execute(select(credentials).order_by(credentials.c.name)).all()
        return [
            CredentialInfo(row.name, row.kind, json.loads(row.shown), self._users(row.name, others, self.scope))
            for row in found
        ]

    def remove(self, name: str) -> None:
        """Forget a credential.

        Raises:
            NotFound, InUse: as `check_unused`.
        """
        self.check_unused(name)
        kind, shown = self._row(name)
        self.trail.change(named(SubjectKind.CREDENTIAL, name), {"kind": kind, "shown": shown}, None)
        self.connection.execute(delete(credentials).where(credentials.c.name == name))
        self.secrets.remove(_secret(name))

    def check_unused(self, name: str) -> None:
        """Return if there is a credential of that name and nothing uses it.

        Raises:
            NotFound: if there is none of that name.
            InUse: if it is used; the users are named.
        """
        what = _USER.get(_family(self._row(name)[0]), "credential")
        if (used_by := self._users(name, self._others())).first:
            raise InUse(
                f"The {what} {name!r} is used by {used_by}.",
                hint="Give them another one, or remove them, first; to replace it takes no removal.",
            )

    def _keep(self, name: str, kind: str, shown: Mapping[str, Any], secret: bytes) -> None:
        before = self._find(name)
        if before and before[0] != kind:
            raise ConfigurationError(
                f"There is a credential {name!r} of the kind {before[0]} already.", hint="Choose another name."
            )
        old = {"kind": kind, "shown": before[1]} if before else None
        new = {"kind": kind, "shown": json.loads(json.dumps(dict(shown)))}
        if before and self.secrets.find(_secret(name)) != secret:
            new["hidden"] = "another one"
        self.trail.change(named(SubjectKind.CREDENTIAL, name), old, new)
        rows.put(self.connection, credentials, {"name": name, "kind": kind, "shown": json.dumps(dict(shown))})
        self.secrets.put(_secret(name), secret)

    def _row(self, name: str, begins: str = "") -> tuple[str, dict[str, Any]]:
        """As `_find`; `begins` is how the kinds begin of those that could be meant.

        Raises:
            NotFound: with the names of those.
        """
        row = self._find(name)
        if row is None:
            query = select(credentials.c.name).where(credentials.c.kind.startswith(begins)).order_by(credentials.c.name)
            known = ", ".join(self.connection.scalars(query))
            raise NotFound(f"There is no credential {name!r}.", hint=f"Credentials for this: {known or 'none yet'}.")
        return row

    def _find(self, name: str) -> tuple[str, dict[str, Any]] | None:
        """The kind of a credential, and what may be shown of it."""
        row = self.connection.execute(select(credentials).where(credentials.c.name == name)).one_or_none()
        return (row.kind, json.loads(row.shown)) if row else None

    def _users(self, name: str, others: Mapping[str, Collection[str]], seen: Scope = EVERYTHING) -> Users:
        """Who uses it: the first of the managed certificates that are in sight, and all `others`."""
        using = seen.narrow(users(Used.CREDENTIAL, name), uses.c.managed_id)
        count = self.connection.scalar(using.with_only_columns(func.count())) or 0
        first = using.order_by(uses.c.managed_id).limit(SHOWN)
        bodies = select(managed.c.body).where(managed.c.id.in_(first)).order_by(managed.c.title)
        told = [
            user for each in self.connection.scalars(bodies) for named, user in credentials_of(each) if named == name
        ]
        return Users((*dict.fromkeys(told), *others.get(name, ())), max(count - SHOWN, 0))

    def _others(self) -> Mapping[str, Collection[str]]:
        """Who uses each credential beside managed certificates, each once."""
        found: dict[str, dict[str, None]] = {}
        for rule in self.connection.scalars(select(rules.c.body).order_by(rules.c.name)):
            for name in rule.channels:
                found.setdefault(name, {})[rule.as_user] = None
        for issuer in self.connection.scalars(select(issuers.c.body).order_by(issuers.c.name)):
            for name in credentials_in(issuer.params):
                found.setdefault(name, {})[f"the issuer {issuer.name!r}"] = None
        for row in self.connection.execute(select(credentials).order_by(credentials.c.name)):
            user = _USER.get(_family(row.kind), "credential")
            for name in credentials_in(json.loads(row.shown)):
                found.setdefault(name, {})[f"the {user} {row.name!r}"] = None
        return found


def _family(kind: str) -> str:
    """The family of a kind; empty if it is a user name and password."""
    family, colon, _ = kind.partition(":")
    return family if colon else ""


def _secret(name: str) -> str:
    return f"credential:{name}"
