"""What is watched and not renewed, and when to look at each next."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Select, delete, insert, select, update

from certwright.domain.errors import ConfigurationError, NotFound
from certwright.domain.watching import Watched
from certwright.store.schema import watches


@dataclass(frozen=True, slots=True)
class Watches:
    """The watched items."""

    connection: Connection

    def add(self, watched: Watched, next_look: datetime | None) -> None:
        """Keep a new one.

        Raises:
            ConfigurationError: if there is one of that title.
        """
        if self.connection.scalar(select(watches.c.id).where(watches.c.title == watched.title)):
            raise ConfigurationError(
                f"{watched.title!r} is watched already.", hint="Choose another --title, or remove that one first."
            )
        row = {"id": watched.id, "title": watched.title, "next_look_at": next_look, "body": watched}
        self.connection.execute(insert(watches).values(row))

    def get(self, reference: str) -> Watched:
        """The one with this id or title.

        Raises:
            NotFound: if there is none.
        """
        wanted = (watches.c.id == reference) | (watches.c.title == reference)
        found = self.connection.scalars(select(watches.c.body).where(wanted)).first()
        if found is None:
            raise NotFound(f"Nothing {reference!r} is watched.", hint="`certwright watch list` shows all.")
        return found

    def list(self) -> list[Watched]:
        """All, by title."""
        return list(self.connection.scalars(select(watches.c.body).order_by(watches.c.title)))

    def due(self, now: datetime, limit: int) -> Sequence[Watched]:
        """Those whose next look has come, longest overdue first."""
        return self.connection.scalars(due_query(now, limit)).all()

    def save(self, before: Watched, after: Watched, next_look: datetime | None) -> bool:
        """Keep what a look at `before` found, unless another look was faster, or it was removed; whether it is kept."""
        stored = self.connection.scalar(select(watches.c.body).where(watches.c.id == before.id))
        if stored is None or stored.looked_at != before.looked_at:
            return False
        values = {"next_look_at": next_look, "body": after}
        self.connection.execute(update(watches).where(watches.c.id == after.id).values(values))
        return True

    def remove(self, watched_id: str) -> None:
        """Watch it no more; its events stay."""
        self.connection.execute(delete(watches).where(watches.c.id == watched_id))


def due_query(now: datetime, limit: int) -> Select[Watched]:
    """What `due` asks; the partial index on the schedule answers it."""
    due = watches.c.next_look_at.is_not(None) & (watches.c.next_look_at <= now)
    return select(watches.c.body).where(due).order_by(watches.c.next_look_at).limit(limit)
