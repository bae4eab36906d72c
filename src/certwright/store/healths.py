"""How each managed certificate is, as it was judged last, and when it ends; kept, so that a long list can go by it."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from itertools import pairwise

from sqlalchemy import Connection, Select, bindparam, func, select, update

from certwright.domain.clocks import SKEW
from certwright.domain.health import HOLDS_AT_MOST, Condition
from certwright.domain.health_rules import Health
from certwright.domain.managed import ManagedCertificate
from certwright.store.schema import managed, versions
from certwright.store.scope import Scope

_ENDS = (
    select(versions.c.not_after)
    .where(versions.c.managed_id == managed.c.id)
    .order_by(versions.c.sequence.desc())
    .limit(1)
    .scalar_subquery()
)
_UPDATE = update(managed).where(managed.c.id == bindparam("of_id")).values(ends_at=_ENDS)
_COUNT = select(func.count()).select_from(managed)


@dataclass(frozen=True, slots=True)
class Judged:
    """A managed certificate with how it is."""

    id: str
    title: str
    condition: Condition


@dataclass(frozen=True, slots=True)
class Healths:
    """The conditions, by managed certificate."""

    connection: Connection
    scope: Scope

    def put(self, managed_id: str, condition: Condition) -> None:
        """Keep how it is, and when its current version ends."""
        values = {"health": condition.health, "health_until": condition.until, "condition": condition}
        self.connection.execute(_UPDATE, {"of_id": managed_id, **values})

    def stale(self, now: datetime, limit: int) -> Sequence[ManagedCertificate]:
        """Those whose condition held until before `now`, or that have none yet, or one that a wrong clock judged."""
        found = list(self.connection.scalars(stale_query(now, limit)))
        return [*found, *self.connection.scalars(astray_query(now, limit - len(found)))]

    def counts(self) -> dict[Health, int]:
        """How many there are of each, the worst first."""
        grouped = self.scope.narrow(select(managed.c.health, func.count()), managed.c.id).group_by(managed.c.health)
        found = {health: count for health, count in self.connection.execute(grouped)}  # noqa: C416 - typed by it
        return {health: found[health] for health in Health if health in found}

    def first(self, wanted: Collection[Health], limit: int) -> list[Judged]:
        """The first of what `list` gives; the index answers, however many there are."""
        found: list[Judged] = []
        for health in (each for each in Health if each in wanted):
            query = self.scope.narrow(list_query([health]), managed.c.id).limit(limit - len(found))
            rows = self.connection.execute(query)
            found += [Judged(row.id, row.title, row.condition) for row in rows if row.condition]
        return found

    def ending(self, edges: Sequence[datetime]) -> list[int]:
        """How many end between each of these moments and the next; it counts within an index."""
        counted = _ending_query(len(edges), self.scope)
        return list(self.connection.execute(counted, {_edge(at): edge for at, edge in enumerate(edges)}).one())

    def list(self, wanted: Collection[Health]) -> list[Judged]:
        """Those that are so, the worst first, then by title."""
        rows = self.connection.execute(self.scope.narrow(list_query(wanted), managed.c.id))
        found = [Judged(row.id, row.title, row.condition) for row in rows if row.condition]
        order = list(Health)
        return sorted(found, key=lambda judged: order.index(judged.condition.health))


@lru_cache(maxsize=64)
def _ending_query(edges: int, scope: Scope) -> Select[*tuple[int, ...]]:
    """What `ending` asks of so many moments; to put it together takes longer than to answer it."""
    moments = [bindparam(_edge(at), type_=managed.c.ends_at.type) for at in range(edges)]
    counts = [
        scope.narrow(_COUNT.where(managed.c.ends_at >= begin, managed.c.ends_at < end), managed.c.id)
        for begin, end in pairwise(moments)
    ]
    return select(*(count.scalar_subquery() for count in counts))


def _edge(at: int) -> str:
    return f"edge_{at}"


def list_query(wanted: Collection[Health]) -> Select[str, str, Condition | None]:
    """What `list` asks; an index answers it."""
    columns = (managed.c.id, managed.c.title, managed.c.condition)
    return select(*columns).where(managed.c.health.in_(wanted)).order_by(managed.c.title)


def astray_query(now: datetime, limit: int) -> Select[ManagedCertificate]:
    """Those whose condition is said to hold longer than any does; the partial index answers it."""
    astray = managed.c.health_until.is_not(None) & (managed.c.health_until > now + HOLDS_AT_MOST + SKEW)
    return select(managed.c.body).where(astray).order_by(managed.c.health_until).limit(limit)


def stale_query(now: datetime, limit: int) -> Select[ManagedCertificate]:
    """What `stale` asks; the partial index answers it."""
    over = managed.c.health_until.is_not(None) & (managed.c.health_until <= now)
    return select(managed.c.body).where(over).order_by(managed.c.health_until).limit(limit)
