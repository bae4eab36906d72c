"""Leases: who works on what, with a fencing epoch that every write of a run checks.

A lease is a row. Its epoch grows with every holder and for ever, so that a holder who was frozen and overtaken is known
by the epoch it brings. A heartbeat renews it; it may be taken over when it has expired by the store's clock, or at once
when the process that holds it is gone from this host. After the database was away, holders get the time to renew.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, bindparam, delete, insert, literal, select, update

from certwright.domain.errors import LeaseHeld, LeaseLost
from certwright.store import schema
from certwright.store.database import Database
from certwright.store.processes import Holder

SERVICE = "service"
"""The lease of the service that works on a store which is not shared."""
CERTIFICATE = "certificate:"
"""Before the id of a managed certificate, in the name of the lease on it."""
PASSING = "passing:"
"""Before the name of a lease on what comes once and never again, such as a job."""
JOB = f"{PASSING}job:"
"""Before the id of a job."""
PLACE = "place:"
"""Before the name of a lease on one of the places at which several may work, and its number."""
TTL = timedelta(seconds=30)
_BEATS_PER_TTL = 3
_BY_NAME = select(schema.leases).where(schema.leases.c.name == bindparam("name"))
_IS_NAMED = schema.leases.c.name == bindparam("of_name")
_IS_MINE = _IS_NAMED & (schema.leases.c.epoch == bindparam("of_epoch"))
_TAKE_OVER = update(schema.leases).where(_IS_NAMED)
_RENEW = update(schema.leases).where(_IS_MINE & schema.leases.c.expires_at.is_not(None))
_RELEASE = update(schema.leases).where(_IS_MINE)
_INSERT = insert(schema.leases)


@dataclass(frozen=True, slots=True)
class Held:
    """A lease that somebody holds."""

    name: str
    holder: Holder
    since: datetime


@dataclass(frozen=True, slots=True)
class _Row:
    epoch: int
    holder: Holder
    since: datetime
    expires_at: datetime | None


class Lease:
    """The right to work on `name`, for as long as `check` does not raise; `first` is done in the taking transaction."""

    def __init__(
        self, database: Database, name: str, holder: Holder, ttl: timedelta, first: Callable[[Connection], None]
    ) -> None:
        self.name = name
        self.holder = holder
        self._database = database
        self._ttl = ttl
        with database.write() as connection:
            self.epoch = self._acquire(connection)
            first(connection)

    @property
    def beat_seconds(self) -> float:
        """How often it is to be renewed."""
        return (self._ttl / _BEATS_PER_TTL).total_seconds()

    def check(self) -> None:
        """Return if the lease is still ours.

        Raises:
            LeaseLost: if another took it over.
        """
        with self._database.read() as connection:
            self.verify(connection)

    def verify(self, connection: Connection) -> None:
        """As `check`, within the transaction of `connection`.

        Raises:
            LeaseLost: if another took it over.
        """
        row = _read(connection, self.name)
        if row is None or row.epoch != self.epoch or row.expires_at is None:
            taker = f"taken over by {row.holder}" if row and row.epoch != self.epoch else "given back"
            raise LeaseLost(
                f"This run has lost its hold on {self.name}: it was {taker}.",
                hint="Nothing more is done here; `certwright certificate log` shows the run that goes on with it.",
            )

    def renew(self) -> bool:
        """Put off the expiry; False if the lease is ours no more."""
        with self._database.write() as connection:
            expires_at = self._database.backend.now(connection) + self._ttl
            return connection.execute(_RENEW, {**self._mine, "expires_at": expires_at}).rowcount == 1

    def release(self) -> None:
        """Give it back; the epoch stays."""
        with self._database.write() as connection:
            connection.execute(_RELEASE, {**self._mine, "expires_at": None})

    @property
    def _mine(self) -> dict[str, str | int]:
        return {"of_name": self.name, "of_epoch": self.epoch}

    def _acquire(self, connection: Connection) -> int:
        now = self._database.backend.now(connection)
        row = _read(connection, self.name)
        if row and row.expires_at and not self._is_free(row, row.expires_at, now):
            raise LeaseHeld(
                f"{in_words(self.name)} is being worked on since {row.since:%H:%M} UTC.",
                hint="Wait for it to end.",
                holder=str(row.holder),
            )
        epoch = row.epoch + 1 if row else 1
        values = {
            "epoch": epoch,
            "host": self.holder.host,
            "pid": self.holder.pid,
            "started": self.holder.started,
            "since": now,
            "expires_at": now + self._ttl,
        }
        if row:
            connection.execute(_TAKE_OVER, {"of_name": self.name, **values})
        else:
            connection.execute(_INSERT, {"name": self.name, **values})
        return epoch

    def _is_free(self, row: _Row, expires_at: datetime, now: datetime) -> bool:
        """Whether its holder is dead: its process is known to be, or it did not renew the lease although it could."""
        if expires_at <= now:
            return self._database.was_there_for(self._ttl)
        return row.holder.is_dead(is_shared=self._database.backend.is_shared)


@dataclass(frozen=True, slots=True)
class LeaseRows:
    """The leases that are held, and what is left of those that nobody holds."""

    connection: Connection

    def held(self, now: datetime) -> list[Held]:
        """Those that somebody holds who lives, as far as is known, by holder and since when."""
        table, is_shared = schema.leases, self.connection.dialect.name != "sqlite"
        rows = self.connection.execute(
            select(table).where(table.c.expires_at > now).order_by(table.c.host, table.c.pid, table.c.since)
        )
        found = [Held(row.name, Holder(row.host, row.pid, row.started), row.since) for row in rows]
        return [held for held in found if not held.holder.is_dead(is_shared=is_shared)]

    def unreleased(self, names: Sequence[str]) -> Sequence[str]:
        """Those of these leases that somebody holds, or held when it died."""
        table = schema.leases
        return self.connection.scalars(
            select(table.c.name).where(table.c.name.in_(names), table.c.expires_at.is_not(None))
        ).all()

    def of_removed(self, before: datetime) -> Sequence[str]:
        """The leases on what is no more, certificates and what was passing, if nobody has held them since that moment.

        They alone can be forgotten: the epoch of a name that may come again has to grow for ever.
        """
        table, managed = schema.leases, schema.managed
        names = select(literal(CERTIFICATE) + managed.c.id)
        idle = (table.c.since < before) & (table.c.expires_at.is_(None) | (table.c.expires_at < before))
        removed = table.c.name.startswith(CERTIFICATE, autoescape=True) & table.c.name.not_in(names)
        passing = table.c.name.startswith(PASSING, autoescape=True)
        return self.connection.scalars(select(table.c.name).where(removed | passing, idle)).all()

    def forget(self, names: Sequence[str]) -> None:
        """Remove these, which `of_removed` gave."""
        self.connection.execute(delete(schema.leases).where(schema.leases.c.name.in_(names)))


def in_words(name: str) -> str:
    """What a lease of this name is about, for people."""
    return name.replace(":", " ", 1)


def _read(connection: Connection, name: str) -> _Row | None:
    row = connection.execute(_BY_NAME, {"name": name}).one_or_none()
    if row is None:
        return None
    return _Row(row.epoch, Holder(row.host, row.pid, row.started), row.since, row.expires_at)
