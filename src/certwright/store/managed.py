"""Managed certificates: by id, title or name; and the schedule of when to look at each next."""

import shlex
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from string import hexdigits
from typing import TypeVar

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    bindparam,
    delete,
    func,
    insert,
    select,
    update,
)

from certwright.domain.audit import Subject, SubjectKind
from certwright.domain.clocks import LOOKED_AT_LEAST, SKEW
from certwright.domain.errors import ConfigurationError, InvalidIdentifier, NotFound
from certwright.domain.identifiers import Identifier
from certwright.domain.managed import CertificateVersion, ManagedCertificate
from certwright.store import orders, schema, versions
from certwright.store.audit import Trail
from certwright.store.schema import managed, names, searched, tags, uses, window_uses
from certwright.store.scope import Scope
from certwright.store.secrets import Secrets
from certwright.store.uses import Used, used_by, users
from certwright.store.versions import Versions
from certwright.store.windows import Windows

_BY_ID = select(managed.c.body).where(managed.c.id == bindparam("id"))
_REVISION = select(managed.c.revision).where(managed.c.id == bindparam("id"))
_NEXT_CHECK = select(managed.c.next_action_at).where(managed.c.id == bindparam("id"))
_UPDATE = update(managed).where(managed.c.id == bindparam("of_id"))
_MIN_PREFIX = 4
T = TypeVar("T")
_AFTER_DIGITS = "g"
_SHOWN = 5
_AROUND = 50
_ID_DIGITS = 12
_LONGEST_NAME = 253


@dataclass(frozen=True, slots=True)
class Managed:
    """The managed certificates."""

    connection: Connection
    secrets: Secrets
    trail: Trail
    scope: Scope

    def add(self, certificate: ManagedCertificate) -> None:
        """Keep a new one. It is not scheduled until `set_next_check`.

        Raises:
            ConfigurationError: if there is one of that title.
            NotFound: if its issuer or its window is not in the store.
        """
        self._check(certificate)
        values = {"id": certificate.id, "title": certificate.title, "issuer": certificate.issuer, "body": certificate}
        self.connection.execute(insert(managed).values(**values, revision=1, referred=1))
        self._refer(certificate)
        self.trail.change(subject(certificate), None, certificate)

    def get(self, reference: str) -> ManagedCertificate:
        """The one with this id, title, beginning of an id (four digits at least), or name that only it has.

        Raises:
            NotFound: with what comes close.
            ConfigurationError: if several fit.
        """
        if certificate := self.connection.scalar(self._seen(_BY_ID), {"id": reference}):
            return certificate
        for query in self._queries(reference):
            found = list(self.connection.scalars(self._seen(query).limit(_SHOWN)))
            if len(found) == 1:
                return found[0]
            if found:
                which = ", ".join(f"{c.id} ({c.title})" for c in found)
                raise ConfigurationError(
                    f"{reference!r} fits several managed certificates.", hint=f"Name one by its id: {which}."
                )
        raise NotFound(f"There is no managed certificate {reference!r}.", hint=self._suggestion(reference))

    def there(self, ids: Collection[str]) -> Collection[str]:
        """Those of these ids of which there is a certificate for the caller."""
        return self.connection.scalars(self._seen(select(managed.c.id).where(managed.c.id.in_(ids)))).all()

    def list(self, tag: str | None = None, limit: int | None = None) -> list[ManagedCertificate]:
        """All, or those with a tag, by title; the first of them if there is a limit."""
        query = self._seen(select(managed.c.body)).order_by(managed.c.title).limit(limit)
        if tag is not None:
            query = query.where(managed.c.id.in_(select(tags.c.managed_id).where(tags.c.tag == tag)))
        return list(self.connection.scalars(query))

    def with_task(self, kind: str) -> Sequence[ManagedCertificate]:
        """Those with a task of this kind, by title."""
        query = self._seen(select(managed.c.body)).where(managed.c.id.in_(users(Used.TASK, kind)))
        return self.connection.scalars(query.order_by(managed.c.title)).all()

    def holders(self, identifiers: Collection[str], but: str = "") -> dict[str, Subject]:
        """For each of these identifiers that is on one, but not on that of the id `but`: which one, the first by id."""
        of_others = names.c.identifier.in_(identifiers) & (names.c.managed_id != but)
        query = select(names.c.identifier, func.min(names.c.managed_id)).where(of_others).group_by(names.c.identifier)
        first = self.scope.narrow(query, names.c.managed_id).subquery()
        titles = select(first.c[0], managed.c.id, managed.c.title).join(managed, managed.c.id == first.c[1])
        return {
            identifier: Subject(kind=SubjectKind.CERTIFICATE, id=managed_id, title=title)
            for identifier, managed_id, title in self.connection.execute(titles)
        }

    def check_title(self, title: str, but: str = "") -> None:
        """Refuse a title that another one has than that of the id `but`.

        Raises:
            ConfigurationError: if one has it.
        """
        taken = select(managed.c.id).where((managed.c.title == title) & (managed.c.id != but))
        if self.connection.scalar(taken):
            is_seen = self.connection.scalar(self.scope.narrow(taken, managed.c.id))
            see = f"See it with: certwright certificate show {shlex.quote(title)}. Or choose another title."
            raise ConfigurationError(
                f"There is a managed certificate {title!r} already.",
                causes=["title: is taken"],
                hint=see if is_seen else "Choose another title.",
            )

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
        revision, before = self.revision(certificate.id), self._stored(certificate.id)
        self._check(certificate)
        self._forget_tasks(before, keep={task.id for task in certificate.tasks})
        values = {"title": certificate.title, "issuer": certificate.issuer, "body": certificate}
        numbers = {"revision": revision + 1, "referred": revision + 1}
        row = managed.c.id == certificate.id
        self.connection.execute(update(managed).where(row).values(**values, **numbers))
        self._refer(certificate)
        self.trail.change(subject(certificate), before, certificate)
        return revision + 1

    def count_change(self, managed_id: str) -> None:
        """Count as a change what is wanted of it, and kept elsewhere."""
        numbers = {"revision": managed.c.revision + 1, "referred": managed.c.referred + 1}
        self.connection.execute(update(managed).where(managed.c.id == managed_id).values(numbers))

    def remove(self, managed_id: str) -> None:
        """Forget it with its versions, keys, order and deployments; its runs and events stay.

        Raises:
            NotFound: if there is none.
        """
        certificate = self._stored(managed_id)
        issued = select(schema.versions.c.id).where(schema.versions.c.managed_id == managed_id)
        keys = [versions.key_name(version_id) for version_id in self.connection.scalars(issued)]
        self._forget_tasks(certificate, keep=set())
        self.secrets.remove(orders.key_name(managed_id), *keys)
        self.connection.execute(delete(managed).where(managed.c.id == managed_id))
        self.trail.change(subject(certificate), certificate, None)

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

    def hurry_ending(self, before: datetime, now: datetime) -> None:
        """Have all on the schedule that end before that moment, or were never issued, be looked at now."""
        soon = managed.c.ends_at.is_(None) | (managed.c.ends_at < before)
        later = soon & (managed.c.next_action_at > now)
        self.connection.execute(update(managed).where(later).values(next_action_at=now))

    def due(self, now: datetime, limit: int) -> Sequence[ManagedCertificate]:
        """Those whose next check has come, longest overdue first; then those that a wrong clock has put off."""
        found = list(self.connection.scalars(due_query(now, limit)))
        room = limit - len(found)
        return [*found, *self.connection.scalars(astray_query(now, room))] if room else found

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

    def find_again(self, limit: int) -> int:
        """Have those be found that a process of an earlier version described; how many."""
        is_behind = managed.c.referred.is_distinct_from(managed.c.revision)
        found = self.connection.scalars(select(managed.c.body).where(is_behind).limit(limit)).all()
        for certificate in found:
            self._refer(certificate)
        mine = managed.c.id.in_([certificate.id for certificate in found])
        self.connection.execute(update(managed).where(mine).values(referred=managed.c.revision))
        return len(found)

    def _stored(self, managed_id: str) -> ManagedCertificate:
        """The one with exactly this id.

        Raises:
            NotFound: if it was removed.
        """
        if found := self.connection.scalar(_BY_ID, {"id": managed_id}):
            return found
        raise NotFound(f"There is no managed certificate {managed_id!r}.")

    def _check(self, certificate: ManagedCertificate) -> None:
        self.check_title(certificate.title, certificate.id)
        known = set(self.connection.scalars(select(schema.issuers.c.name)))
        for name in certificate.issuers:
            if name not in known:
                raise NotFound(f"There is no issuer {name!r}.", hint="Add it first: certwright issuer add.")
        for name in certificate.windows:
            Windows(self.connection, self.trail, self.scope).get(name)

    def _refer(self, certificate: ManagedCertificate) -> None:
        """Have it found by its names, by parts of these and of its title, by its windows, its tags and what it uses."""
        for table in (names, window_uses, tags, uses):
            self.connection.execute(delete(table).where(table.c.managed_id == certificate.id))
        rows = [{"identifier": str(i), "managed_id": certificate.id} for i in certificate.identifiers]
        self.connection.execute(insert(names), rows)
        mine = (searched.c.managed_id == certificate.id) | (searched.c.title == certificate.title)
        self.connection.execute(delete(searched).where(mine))
        text = "\n".join((certificate.title.lower(), *map(str, certificate.identifiers)))
        row = {"title": certificate.title, "managed_id": certificate.id, "text": text}
        self.connection.execute(insert(searched).values(row))
        if at := [{"window": name, "managed_id": certificate.id} for name in sorted(certificate.windows)]:
            self.connection.execute(insert(window_uses), at)
        if words := [{"tag": tag, "managed_id": certificate.id} for tag in certificate.tags]:
            self.connection.execute(insert(tags), words)
        used = [
            {"used": used, "name": name, "managed_id": certificate.id} for used, name in sorted(used_by(certificate))
        ]
        self.connection.execute(insert(uses), used)

    def _forget_tasks(self, stored: ManagedCertificate, keep: set[str]) -> None:
        """Tasks live in the certificate's body, so what is stored about them is removed by hand."""
        gone = {task.id for task in stored.tasks} - keep
        for table in (schema.deployments, schema.targets, schema.memory):
            self.connection.execute(delete(table).where(table.c.task_id.in_(gone)))
        plans = schema.records.c.subject.in_([f"task:{task_id}" for task_id in gone])
        self.connection.execute(delete(schema.records).where(plans))

    def _seen(self, query: Select[T]) -> Select[T]:
        return self.scope.narrow(query, managed.c.id)

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
        """What was meant perhaps, among what stands around it in the order of titles and of names."""
        if not self.connection.scalar(self._seen(select(managed.c.id)).limit(1)):
            return "Make one with: certwright certificate new"
        is_id = len(reference) == _ID_DIGITS and set(reference) <= set(hexdigits)
        if not is_id and len(reference) <= _LONGEST_NAME:
            titles = (managed.c.title, self._seen(select(managed.c.title)))
            named = (names.c.identifier, self.scope.narrow(select(names.c.identifier), names.c.managed_id))
            known = {each for column, query in (titles, named) for each in self._around(reference, column, query)}
            if close := get_close_matches(reference, sorted(known), _SHOWN):
                return f"Did you mean {' or '.join(map(repr, close))}?"
        return "`certwright certificate list` shows all."

    def _around(self, reference: str, column: ColumnElement[str], query: Select[str]) -> Iterator[str]:
        """The nearest few on both sides: the index on the column gives them, however many there are."""
        yield from self.connection.scalars(query.where(column < reference).order_by(column.desc()).limit(_AROUND))
        yield from self.connection.scalars(query.where(column >= reference).order_by(column).limit(_AROUND))


def subject(certificate: ManagedCertificate) -> Subject:
    """A managed certificate, in the audit trail."""
    return Subject(kind=SubjectKind.CERTIFICATE, id=certificate.id, title=certificate.title)


def backlog_query(now: datetime) -> Select[int, datetime | None]:
    """What `backlog` asks; the partial index on the schedule answers it."""
    due = (managed.c.next_action_at.is_not(None)) & (managed.c.next_action_at <= now)
    return select(func.count(), func.min(managed.c.next_action_at)).where(due)


def astray_query(now: datetime, limit: int) -> Select[ManagedCertificate]:
    """Those that are planned later than anything is; the partial index on the schedule answers it."""
    astray = managed.c.next_action_at.is_not(None) & (managed.c.next_action_at > now + LOOKED_AT_LEAST + SKEW)
    return select(managed.c.body).where(astray).order_by(managed.c.next_action_at).limit(limit)


def due_query(now: datetime, limit: int) -> Select[ManagedCertificate]:
    """What `due` asks; the partial index on the schedule answers it."""
    due = (managed.c.next_action_at.is_not(None)) & (managed.c.next_action_at <= now)
    return select(managed.c.body).where(due).order_by(managed.c.next_action_at).limit(limit)
