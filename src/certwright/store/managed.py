"""Managed certificates: by id, title or name; and the schedule of when to look at each next."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from string import hexdigits

from sqlalchemy import Connection, Select, bindparam, delete, func, insert, select, update

from certwright.domain.errors import ConfigurationError, InvalidIdentifier, NotFound
from certwright.domain.identifiers import Identifier
from certwright.domain.managed import CertificateVersion, ManagedCertificate
from certwright.store import orders, schema, versions
from certwright.store.schema import managed, names, window_uses
from certwright.store.secrets import Secrets
from certwright.store.versions import Versions
from certwright.store.windows import Windows

_BY_ID = select(managed.c.body).where(managed.c.id == bindparam("id"))
_REVISION = select(managed.c.revision).where(managed.c.id == bindparam("id"))
_NEXT_CHECK = select(managed.c.next_action_at).where(managed.c.id == bindparam("id"))
_UPDATE = update(managed).where(managed.c.id == bindparam("of_id"))
_MIN_PREFIX = 4
_AFTER_DIGITS = "g"
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Managed:
    """The managed certificates."""

    connection: Connection
    secrets: Secrets

    def add(self, certificate: ManagedCertificate) -> None:
        """Keep a new one. It is not scheduled until `set_next_check`.

        Raises:
            ConfigurationError: if there is one of that title.
            NotFound: if its issuer or its window is not in the store.
        """
        self._check(certificate)
        values = {"id": certificate.id, "title": certificate.title, "issuer": certificate.issuer, "body": certificate}
        self.connection.execute(insert(managed).values(**values, revision=1))
        self._refer(certificate)

    def get(self, reference: str) -> ManagedCertificate:
        """The one with this id, title, beginning of an id (four digits at least), or name that only it has.

        Raises:
            NotFound: with what comes close.
            ConfigurationError: if several fit.
        """
        if certificate := self.connection.scalar(_BY_ID, {"id": reference}):
            return certificate
        for query in self._queries(reference):
            found = list(self.connection.scalars(query.limit(_SHOWN)))
            if len(found) == 1:
                return found[0]
            if found:
                which = ", ".join(f"{c.id} ({c.title})" for c in found)
                raise ConfigurationError(
                    f"{reference!r} fits several managed certificates.", hint=f"Name one by its id: {which}."
                )
        raise NotFound(f"There is no managed certificate {reference!r}.", hint=self._suggestion(reference))

    def list(self) -> list[ManagedCertificate]:
        """All, by title."""
        return list(self.connection.scalars(select(managed.c.body).order_by(managed.c.title)))

    def revision(self, managed_id: str) -> int:
        """How often it was changed.

        Raises:
            NotFound: if it was removed.
        """
        revision = self.connection.scalar(_REVISION, {"id": managed_id})
        if revision is None:
            raise NotFound(f"There is no managed certificate {managed_id!r}.")
        return revision

    def update(self, certificate: ManagedCertificate) -> int:
        """Replace the one with this id, and forget the deployments of tasks that it no longer has; its new revision.

        Raises:
            NotFound: if it was removed, or its issuer or its window is not in the store.
            ConfigurationError: if another one has its title.
        """
        revision = self.revision(certificate.id)
        self._check(certificate)
        self._forget_tasks(certificate.id, keep={task.id for task in certificate.tasks})
        values = {"title": certificate.title, "issuer": certificate.issuer, "body": certificate}
        row = managed.c.id == certificate.id
        self.connection.execute(update(managed).where(row).values(**values, revision=revision + 1))
        self._refer(certificate)
        return revision + 1

    def remove(self, managed_id: str) -> None:
        """Forget it with its versions, keys, order and deployments; its runs and events stay.

        Raises:
            NotFound: if there is none.
        """
        self.revision(managed_id)
        issued = select(schema.versions.c.id).where(schema.versions.c.managed_id == managed_id)
        keys = [versions.key_name(version_id) for version_id in self.connection.scalars(issued)]
        self._forget_tasks(managed_id, keep=set())
        self.secrets.remove(orders.key_name(managed_id), *keys)
        self.connection.execute(delete(managed).where(managed.c.id == managed_id))

    def current(self, managed_id: str) -> CertificateVersion | None:
        """The newest version, or None if it was never issued."""
        return Versions(self.connection, self.secrets).newest(managed_id)

    def next_check(self, managed_id: str) -> datetime | None:
        """When it is looked at next; None when it is not scheduled."""
        return self.connection.scalar(_NEXT_CHECK, {"id": managed_id})

    def set_next_check(self, managed_id: str, when: datetime | None) -> None:
        """Schedule it; None takes it off the schedule. That it was removed meanwhile is fine."""
        self.connection.execute(_UPDATE, {"of_id": managed_id, "next_action_at": when})

    def hurry(self, window: str, now: datetime) -> None:
        """Have all on the schedule that refer to this maintenance window be looked at now."""
        users = select(window_uses.c.managed_id).where(window_uses.c.window == window)
        later = managed.c.id.in_(users) & (managed.c.next_action_at > now)
        self.connection.execute(update(managed).where(later).values(next_action_at=now))

    def due(self, now: datetime, limit: int) -> Sequence[ManagedCertificate]:
        """Those whose next check has come, longest overdue first."""
        return list(self.connection.scalars(due_query(now, limit)))

    def backlog(self, now: datetime) -> tuple[int, datetime | None]:
        """How many are due, and since when the longest overdue; the same index answers it."""
        count, oldest = self.connection.execute(backlog_query(now)).one()
        return count, oldest

    def count(self) -> int:
        """How many there are; it reads an index from end to end."""
        return self.connection.scalar(select(func.count()).select_from(managed)) or 0

    def next_moment(self, after: datetime) -> datetime | None:
        """When the next of all is to be looked at, after the moment given."""
        planned = managed.c.next_action_at.is_not(None) & (managed.c.next_action_at > after)
        return self.connection.scalar(select(func.min(managed.c.next_action_at)).where(planned))

    def _check(self, certificate: ManagedCertificate) -> None:
        same_title = (managed.c.title == certificate.title) & (managed.c.id != certificate.id)
        if self.connection.scalar(select(managed.c.id).where(same_title)):
            raise ConfigurationError(
                f"There is a managed certificate {certificate.title!r} already.",
                hint=f"See it with: certwright certificate show {shlex.quote(certificate.title)}. Or choose another "
                "title.",
            )
        known = set(self.connection.scalars(select(schema.issuers.c.name)))
        for name in certificate.issuers:
            if name not in known:
                raise NotFound(f"There is no issuer {name!r}.", hint="Add it first: certwright issuer add.")
        for name in certificate.windows:
            Windows(self.connection).get(name)

    def _refer(self, certificate: ManagedCertificate) -> None:
        """Have it found by its names and its windows."""
        for table in (names, window_uses):
            self.connection.execute(delete(table).where(table.c.managed_id == certificate.id))
        rows = [{"identifier": str(i), "managed_id": certificate.id} for i in certificate.identifiers]
        self.connection.execute(insert(names), rows)
        if uses := [{"window": name, "managed_id": certificate.id} for name in sorted(certificate.windows)]:
            self.connection.execute(insert(window_uses), uses)

    def _forget_tasks(self, managed_id: str, keep: set[str]) -> None:
        """Tasks live in the certificate's body, so what is stored about them is removed by hand."""
        stored = self.connection.scalars(select(managed.c.body).where(managed.c.id == managed_id)).one()
        gone = {task.id for task in stored.tasks} - keep
        for table in (schema.deployments, schema.memory):
            self.connection.execute(delete(table).where(table.c.task_id.in_(gone)))
        plans = schema.records.c.subject.in_([f"task:{task_id}" for task_id in gone])
        self.connection.execute(delete(schema.records).where(plans))

    def _queries(self, reference: str) -> Sequence[Select[ManagedCertificate]]:
        whole = select(managed.c.body)
        queries = [whole.where(managed.c.title == reference)]
        if len(reference) >= _MIN_PREFIX and set(reference) <= set(hexdigits):
            queries.append(whole.where(managed.c.id.between(reference, reference + _AFTER_DIGITS)))
        try:
            identifier = str(Identifier.parse(reference))
        except InvalidIdentifier:
            return queries
        named = select(names.c.managed_id).where(names.c.identifier == identifier)
        return [*queries, whole.where(managed.c.id.in_(named)).order_by(managed.c.title)]

    def _suggestion(self, reference: str) -> str:
        titles = set(self.connection.scalars(select(managed.c.title)))
        known = titles | set(self.connection.scalars(select(names.c.identifier).distinct()))
        if close := get_close_matches(reference, sorted(known), _SHOWN):
            return f"Did you mean {' or '.join(map(repr, close))}?"
        return "`certwright certificate list` shows all." if titles else "Make one with: certwright certificate new"


def backlog_query(now: datetime) -> Select[int, datetime | None]:
    """What `backlog` asks; the partial index on the schedule answers it."""
    due = (managed.c.next_action_at.is_not(None)) & (managed.c.next_action_at <= now)
    return select(func.count(), func.min(managed.c.next_action_at)).where(due)


def due_query(now: datetime, limit: int) -> Select[ManagedCertificate]:
    """What `due` asks; the partial index on the schedule answers it."""
    due = (managed.c.next_action_at.is_not(None)) & (managed.c.next_action_at <= now)
    return select(managed.c.body).where(due).order_by(managed.c.next_action_at).limit(limit)
