"""Events, in the order in which they happened."""

from dataclasses import dataclass

from sqlalchemy import Connection, insert, select

from certwright.domain.events import Event
from certwright.store.schema import events

_FIELDS = [events.c[name] for name in Event.model_fields]


@dataclass(frozen=True, slots=True)
class Events:
    """All events; they stay when what they happened to is removed."""

    connection: Connection

    def add(self, event: Event) -> None:
        """Keep an event."""
        self.connection.execute(insert(events).values(event.model_dump()))

    def list(self, after_sequence: int = 0, limit: int = 100) -> list[tuple[int, Event]]:
        """Each with its sequence number: those after the one given, oldest first."""
        later = select(events.c.sequence, *_FIELDS).where(events.c.sequence > after_sequence)
        rows = self.connection.execute(later.order_by(events.c.sequence).limit(limit)).mappings()
        return [(row["sequence"], Event(**{name: row[name] for name in Event.model_fields})) for row in rows]
