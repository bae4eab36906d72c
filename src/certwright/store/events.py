"""Events, in the order in which they happened."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, func, insert, select

from certwright.domain.events import Event
from certwright.store.schema import events
from certwright.store.scope import Q, Scope

_FIELDS = [events.c[name] for name in Event.model_fields]
_INSERT = insert(events)


@dataclass(frozen=True, slots=True)
class Events:
    """All events; they stay when what they happened to is removed."""

    connection: Connection
    scope: Scope

    def add(self, event: Event) -> None:
        """Keep an event."""
        self.connection.execute(_INSERT, event.model_dump())

    def list(self, after_sequence: int = 0, limit: int = 100) -> list[tuple[int, Event]]:
        """Each with its sequence number: those after the one given, oldest first."""
        later = select(events.c.sequence, *_FIELDS).where(events.c.sequence > after_sequence)
        rows = self.connection.execute(self._seen(later).order_by(events.c.sequence).limit(limit)).mappings()
        return [(row["sequence"], Event(**{name: row[name] for name in Event.model_fields})) for row in rows]

    def last(self, limit: int) -> Sequence[Event]:
        """The newest ones, newest first."""
        newest = self._seen(select(*_FIELDS)).order_by(events.c.sequence.desc()).limit(limit)
        rows = self.connection.execute(newest).mappings()
        return [Event(**row) for row in rows]

    def expire(self, older_than: datetime, limit: int) -> int:
        """Forget the oldest events, `limit` at most, of those before this moment; how many there were."""
        oldest = select(events.c.sequence, events.c.at).order_by(events.c.sequence).limit(limit)
        gone = [row.sequence for row in self.connection.execute(oldest) if row.at < older_than]
        self.connection.execute(delete(events).where(events.c.sequence.in_(gone)))
        return len(gone)

    def newest(self) -> int:
        """The sequence number of the last one; 0 if there is none."""
        return self.connection.scalar(select(func.max(events.c.sequence))) or 0

    def _seen(self, query: Q) -> Q:
        return self.scope.narrow(query, events.c.managed_id)
