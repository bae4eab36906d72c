"""What was seen of each managed certificate in use, and when to look next."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Select, bindparam, select, update

from certwright.domain.clocks import SKEW
from certwright.domain.looks import LONGEST, Looks
from certwright.domain.managed import ManagedCertificate
from certwright.store import rows
from certwright.store.schema import looks, managed

_GET = select(looks.c.body).where(looks.c.managed_id == bindparam("managed_id"))


@dataclass(frozen=True, slots=True)
class SeenLooks:
    """What was seen, by managed certificate; it goes with that."""

    connection: Connection

    def get(self, managed_id: str) -> Looks:
        """What was seen last; nothing at first."""
        return self.connection.scalar(_GET, {"managed_id": managed_id}) or Looks()

    def save(self, managed_id: str, seen: Looks) -> None:
        """Keep what was seen, in place of what was."""
        rows.put(self.connection, looks, {"managed_id": managed_id, "body": seen})

    def next(self, managed_id: str) -> datetime | None:
        """When it is looked at next; None: never."""
        return self.connection.scalar(select(managed.c.next_look_at).where(managed.c.id == managed_id))

    def schedule(self, managed_id: str, when: datetime | None) -> None:
        """Look at it then; None: never."""
        self.connection.execute(update(managed).where(managed.c.id == managed_id).values(next_look_at=when))

    def is_due(self, now: datetime) -> bool:
        """Whether there is anything to look at."""
        return any(self.connection.scalar(query(now, 1)) is not None for query in (due_query, astray_query))

    def take(self, now: datetime, limit: int, until: datetime) -> list[ManagedCertificate]:
        """Those whose look has come, longest overdue first, for whoever asks alone: it comes again at `until`.

        So a look is lost with nobody who dies before its result is kept. Those that a wrong clock has put off follow.
        """
        found = list(self.connection.scalars(due_query(now, limit)))
        found += self.connection.scalars(astray_query(now, limit - len(found)))
        taken = managed.c.id.in_([each.id for each in found])
        self.connection.execute(update(managed).where(taken).values(next_look_at=until))
        return found


def due_query(now: datetime, limit: int) -> Select[ManagedCertificate]:
    """What `take` asks; the partial index on the schedule answers it."""
    due = managed.c.next_look_at.is_not(None) & (managed.c.next_look_at <= now)
    return select(managed.c.body).where(due).order_by(managed.c.next_look_at).limit(limit)


def astray_query(now: datetime, limit: int) -> Select[ManagedCertificate]:
    """Those whose look a wrong clock has put off; the partial index on the schedule answers it."""
    astray = managed.c.next_look_at.is_not(None) & (managed.c.next_look_at > now + LONGEST + SKEW)
    return select(managed.c.body).where(astray).order_by(managed.c.next_look_at).limit(limit)
