"""The audit trail: entries are added, in the transaction of the change that they tell of, and never changed.

Every aggregate of what is wanted, and of who may do what, is given the trail, and notes each change there.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import ColumnElement, Connection, Select, insert, select, tuple_

from certwright.domain.access import Caller, at_the_command_line
from certwright.domain.audit import Action, Entry, Head, Recorded, SignedHead, Subject, difference, the_store
from certwright.domain.managed import Json, Value
from certwright.store.processes import user
from certwright.store.schema import audit, audit_heads
from certwright.store.secrets import Secrets

KEY = "audit:key"
END = "audit:end"
"""Where the trail stands, sealed by the data key, so that one that was cut short is found."""
_BATCH = 500
_EVERY = timedelta(minutes=1)
_MOST, _MOST_TRIED = 10, 1000
"""So many refusals of one who acts are told of in that time, among others that strangers have tried to be that one."""
_LAST = select(audit.c.number, audit.c.hash).order_by(audit.c.number.desc()).limit(1)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which entries are wanted: those of this actor, action, kind and subject, from a moment until another.

    That at which it ends is not in it. `subject` is an id or a title, `subject_id` an id alone, which an index finds.
    """

    actor: str | None = None
    action: Action | None = None
    kind: str | None = None
    subject: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    subject_id: str | None = None

    def clauses(self) -> list[ColumnElement[bool]]:
        """As conditions."""
        columns = {
            audit.c.actor: self.actor,
            audit.c.action: self.action,
            audit.c.kind: self.kind,
            audit.c.subject: self.subject_id,
        }
        found = [column == value for column, value in columns.items() if value is not None]
        if self.subject is not None:
            found.append((audit.c.subject == self.subject) | (audit.c.title == self.subject))
        if self.since is not None:
            found.append(audit.c.at >= self.since)
        if self.until is not None:
            found.append(audit.c.at < self.until)
        return found


ALL = Wanted()


class End(Value):
    """Where a trail stands: the number and the hash of its last entry, and the number of that of its newest head."""

    number: int
    hash: str
    head: int | None = None


@dataclass(frozen=True, slots=True)
class Trail:
    """The trail, to which `caller` adds; `clock` tells the moment by the clock of all who use the store.

    `secrets` keep its end; None if the store is not opened yet.
    """

    connection: Connection
    caller: Caller
    clock: Callable[[Connection], datetime]
    secrets: Secrets | None = None

    def note(self, action: Action, subject: Subject, before: Json | None = None, after: Json | None = None) -> None:
        """Add an entry. Only one writes at a time, so nothing comes between it and the one before.

        Args:
            action: what is done.
            subject: to what.
            before: what is known of that before, in JSON values; no secrets.
            after: the same, after it.
        """
        number, previous = self.end() or (0, "")
        entry = Entry(
            number=number + 1,
            previous=previous,
            at=self.clock(self.connection).astimezone(UTC),
            actor=self.caller.actor,
            action=action,
            subject=subject,
            before=before,
            after=after,
        )
        recorded = Recorded.of(entry)
        self.connection.execute(insert(audit).values(_columns(recorded)))
        if self.secrets:
            before_it = sealed_end(self.secrets)
            if number == 0 or self._has(before_it):
                _seal(self.secrets, End(number=entry.number, hash=recorded.hash, head=before_it and before_it.head))

    def change(self, subject: Subject, before: Value | Json | None, after: Value | Json | None) -> None:
        """Note that something was added, changed or removed; nothing, if it is as it was."""
        old, new = _json(before), _json(after)
        if old == new:
            return
        action = Action.ADDED if old is None else Action.REMOVED if new is None else Action.CHANGED
        self.note(action, subject, *difference(old, new))

    def is_refusal_told(self, subject: Subject, told: Json | None) -> bool:
        """Whether it is told already that whoever acts was refused so as `subject`; or so often that more says nothing.

        So no flood of them fills the trail, and none hides what another one is refused.
        """
        since = self.clock(self.connection) - _EVERY
        recent = Wanted(action=Action.REFUSED, kind=subject.kind, subject=subject.title, since=since)
        found = [each.after for each in self.list(recent, _MOST_TRIED) if each.actor == self.caller.actor]
        return len(found) >= _MOST or told in found

    def refuse(self, subject: Subject, told: Json | None) -> None:
        """Note that whoever acts was refused as `subject`, unless that is told already."""
        if not self.is_refusal_told(subject, told):
            self.note(Action.REFUSED, subject, after=told)

    def _has(self, end: End | None) -> bool:
        """Whether what is sealed is there; if not, it is left as it is: it tells that something was taken away."""
        if end is None:
            return False
        entry = self.connection.scalar(select(audit.c.hash).where(audit.c.number == end.number))
        head = self.connection.scalar(select(audit_heads.c.number).where(audit_heads.c.number == end.head))
        return entry == end.hash and head == end.head

    def seal_first(self, store: str, secrets: Secrets) -> None:
        """Seal the end that an earlier version wrote without, and note that; nothing if it is sealed."""
        end, head = self.end(), self.last_head()
        if end and sealed_end(secrets) is None:
            _seal(secrets, End(number=end[0], hash=end[1], head=head and head.head.number))
            self.note(Action.CHANGED, the_store(store), after={"sealed_from": end[0]})

    def end(self) -> tuple[int, str] | None:
        """The number and the hash of the last entry; None if there is none."""
        row = self.connection.execute(_LAST).first()
        return (row.number, row.hash) if row else None

    def list(self, wanted: Wanted = ALL, limit: int = 50, before: int | None = None) -> Sequence[Entry]:
        """The newest entries, newest first; those before the one of this number, if it is given."""
        found = self.connection.scalars(list_query(wanted, limit, before))
        return [Entry.model_validate_json(text) for text in found]

    def after(self, number: int, limit: int = 1000) -> Sequence[Entry]:
        """The entries after the one of this number, oldest first, but for those that were altered and say nothing."""
        query = select(audit.c.text).where(audit.c.number > number).order_by(audit.c.number).limit(limit)
        return [entry for text in self.connection.scalars(query) if (entry := _said(text))]

    def whole(self) -> Iterator[Recorded | SignedHead]:
        """All entries as they are kept, oldest first, and each head behind the entry that it names."""
        heads = deque(self.heads())
        for number, recorded in self._entries():
            while heads and heads[0].head.number < number:
                yield heads.popleft()
            yield recorded
        yield from heads

    def _entries(self) -> Iterator[tuple[int, Recorded]]:
        """By their numbers; one that the columns, by which it is found, tell of otherwise than its text is altered."""
        last = None
        while True:
            query = select(audit).order_by(audit.c.number).limit(_BATCH)
            batch = self.connection.execute(query if last is None else query.where(audit.c.number > last)).all()
            for row in batch:
                recorded = Recorded(row.text, row.hash)
                yield row.number, recorded if _columns(recorded) == row._asdict() else Recorded(row.text, "")
            if len(batch) < _BATCH:
                return
            last = batch[-1].number

    def heads(self) -> Sequence[SignedHead]:
        """All signed heads, oldest first."""
        return self.connection.scalars(select(audit_heads.c.body).order_by(audit_heads.c.number)).all()

    def last_head(self) -> SignedHead | None:
        """The newest signed head; None if none was signed yet."""
        newest = select(audit_heads.c.body).order_by(audit_heads.c.number.desc()).limit(1)
        return self.connection.scalar(newest)

    def sign(self, store: str, secrets: Secrets) -> SignedHead | None:
        """Sign where the trail stands now, by a key that is made for the first head; None if that was signed before."""
        end = self.end()
        if end is None:
            return None
        is_signed = self.connection.scalar(select(audit_heads.c.number).where(audit_heads.c.number == end[0]))
        if is_signed:
            return None
        if self._has(sealed_end(secrets)):
            _seal(secrets, End(number=end[0], hash=end[1], head=end[0]))
        head = Head(store=store, number=end[0], hash=end[1], at=self.clock(self.connection).astimezone(UTC))
        signed = SignedHead.by(_key(secrets), head)
        self.connection.execute(insert(audit_heads).values(number=head.number, body=signed))
        return signed


def list_query(wanted: Wanted, limit: int, before: int | None = None) -> Select[str]:
    """The texts of these entries, newest first; from a moment on by theirs, as an index has them."""
    order = (audit.c.number,) if wanted.since is None else (audit.c.at, audit.c.number)
    query = select(audit.c.text).where(*wanted.clauses()).order_by(*(each.desc() for each in order)).limit(limit)
    if before is None:
        return query
    return query.where(tuple_(*order) < select(*order).where(audit.c.number == before).scalar_subquery())


def note_store(
    connection: Connection,
    clock: Callable[[Connection], datetime],
    action: Action,
    store: str,
    after: Json | None = None,
    secrets: Secrets | None = None,
) -> None:
    """Note what the user of the operating system does to a store as a whole."""
    Trail(connection, at_the_command_line(user()), clock, secrets).note(action, the_store(store), after=after)


def sealed_end(secrets: Secrets) -> End | None:
    """Where the trail stood when it was added to last; None if that is missing."""
    kept = secrets.find(END)
    return End.model_validate_json(kept) if kept else None


def _seal(secrets: Secrets, end: End) -> None:
    secrets.put(END, end.model_dump_json().encode())


def key(secrets: Secrets) -> Ed25519PrivateKey | None:
    """By which heads are signed; None if none was yet."""
    kept = secrets.find(KEY)
    return Ed25519PrivateKey.from_private_bytes(kept) if kept else None


def _key(secrets: Secrets) -> Ed25519PrivateKey:
    if known := key(secrets):
        return known
    made = Ed25519PrivateKey.generate()
    secrets.put(KEY, made.private_bytes_raw())
    return made


def _columns(recorded: Recorded) -> dict[str, object]:
    """An entry with what it is found by; without that, if it cannot be read."""
    whole: dict[str, object] = {"text": recorded.text, "hash": recorded.hash}
    try:
        entry = recorded.entry
    except ValueError:
        return whole
    about = {"kind": entry.subject.kind.value, "subject": entry.subject.id, "title": entry.subject.title}
    by = {"actor": entry.actor.name, "action": entry.action.value}
    return {"number": entry.number, "at": entry.at, **by, **about, **whole}


def _said(text: str) -> Entry | None:
    with suppress(ValueError):
        return Entry.model_validate_json(text)
    return None


def _json(state: Value | Json | None) -> Json | None:
    return state.model_dump(mode="json") if isinstance(state, Value) else state
