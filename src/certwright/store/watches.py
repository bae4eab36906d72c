"""What is watched and not renewed, and when to look at each next."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Select, delete, insert, select, update

from certwright.domain.audit import Subject, SubjectKind
from certwright.domain.clocks import LOOKED_AT_LEAST, SKEW
from certwright.domain.errors import ConfigurationError, NotFound
from certwright.domain.watching import Watched
from certwright.store.audit import Trail
from certwright.store.schema import watches
from certwright.store.scope import Scope


@dataclass(frozen=True, slots=True)
class Watches:
    """The watched items; they have no tags, so there are none for who is limited to some."""

    connection: Connection
    trail: Trail
    scope: Scope

    def add(self, watched: Watched, next_look: datetime) -> None:
        """Keep a new one.

        Raises:
            ConfigurationError: if there is one of that title.
        """
        if self.connection.scalar(select(watches.c.id).where(watches.c.title == watched.title)):
            raise ConfigurationError(
                f"{watched.title!r} is watched already.", hint="Choose another title, or remove that one first."
            )
        row = {"id": watched.id, "title": watched.title, "next_look_at": next_look, "body": watched}
        self.connection.execute(insert(watches).values(row))
        self.trail.change(_subject(watched), None, watched)

    def get(self, reference: str) -> Watched:
        """The one with this id or title.

        Raises:
            NotFound: if there is none.
        """
        wanted = (watches.c.id == reference) | (watches.c.title == reference)
        found = self.connection.scalars(self.scope.of_all(select(watches.c.body).where(wanted))).first()
        if found is None:
            raise NotFound(f"Nothing {reference!r} is watched.", hint="`certwright watch list` shows all.")
        return found

    def list(self) -> list[Watched]:
        """All, by title."""
        return list(self.connection.scalars(self.scope.of_all(select(watches.c.body)).order_by(watches.c.title)))

    def page(self, after: str, limit: int) -> Sequence[Watched]:
        """Those whose title comes after this one, by title."""
        query = select(watches.c.body).where(watches.c.title > after).order_by(watches.c.title).limit(limit)
        return self.connection.scalars(self.scope.of_all(query)).all()

    def due(self, now: datetime, limit: int) -> Sequence[Watched]:
        """Those whose next look has come, longest overdue first; then those that a wrong clock has put off."""
        found = list(self.connection.scalars(due_query(now, limit)))
        return [*found, *self.connection.scalars(astray_query(now, limit - len(found)))]

    def save(self, before: Watched, after: Watched, next_look: datetime) -> bool:
        """Keep what a look at `before` found, unless another look was faster, or it was removed; whether it is kept."""
        stored = self.connection.scalar(select(watches.c.body).where(watches.c.id == before.id))
        if stored is None or stored.looked_at != before.looked_at:
            return False
        values = {"next_look_at": next_look, "body": after}
        self.connection.execute(update(watches).where(watches.c.id == after.id).values(values))
        return True

    def replace(self, before: Watched, after: Watched, next_look: datetime) -> None:
        """Keep what somebody gave in place of what was watched."""
        if self.save(before, after, next_look):
            self.trail.change(_subject(after), before, after)

    def remove(self, watched_id: str) -> None:
        """Watch it no more; its events stay.

        Raises:
            NotFound: if it is not watched.
        """
        self.trail.change(_subject(watched := self.get(watched_id)), watched, None)
        self.connection.execute(delete(watches).where(watches.c.id == watched_id))


def _subject(watched: Watched) -> Subject:
    return Subject(kind=SubjectKind.WATCHED, id=watched.id, title=watched.title)


def astray_query(now: datetime, limit: int) -> Select[Watched]:
    """Those that are planned later than anything is; the partial index on the schedule answers it."""
    astray = watches.c.next_look_at.is_not(None) & (watches.c.next_look_at > now + LOOKED_AT_LEAST + SKEW)
    return select(watches.c.body).where(astray).order_by(watches.c.next_look_at).limit(limit)


def due_query(now: datetime, limit: int) -> Select[Watched]:
    """What `due` asks; the partial index on the schedule answers it."""
    due = watches.c.next_look_at.is_not(None) & (watches.c.next_look_at <= now)
    return select(watches.c.body).where(due).order_by(watches.c.next_look_at).limit(limit)
