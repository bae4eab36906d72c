"""How each managed certificate is, as it was judged last; kept, so that a long list can be filtered by it."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Select, bindparam, func, select, update

from certwright.domain.health import Condition
from certwright.domain.health_rules import Health
from certwright.domain.managed import ManagedCertificate
from certwright.store.schema import managed

_UPDATE = update(managed).where(managed.c.id == bindparam("of_id"))


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

    def put(self, managed_id: str, condition: Condition) -> None:
        """Keep how it is."""
        values = {"health": condition.health, "health_until": condition.until, "condition": condition}
        self.connection.execute(_UPDATE, {"of_id": managed_id, **values})

    def stale(self, now: datetime, limit: int) -> Sequence[ManagedCertificate]:
        """Those whose condition held until before `now`, or that have none yet."""
        return self.connection.scalars(stale_query(now, limit)).all()

    def counts(self) -> dict[Health, int]:
        """How many there are of each, the worst first."""
        grouped = select(managed.c.health, func.count()).group_by(managed.c.health)
        found = {health: count for health, count in self.connection.execute(grouped)}  # noqa: C416 - typed by it
        return {health: found[health] for health in Health if health in found}

    def list(self, wanted: Collection[Health]) -> list[Judged]:
        """Those that are so, the worst first, then by title."""
        rows = self.connection.execute(list_query(wanted))
        found = [Judged(row.id, row.title, row.condition) for row in rows if row.condition]
        order = list(Health)
        return sorted(found, key=lambda judged: order.index(judged.condition.health))


def list_query(wanted: Collection[Health]) -> Select[str, str, Condition | None]:
    """What `list` asks; an index answers it."""
    columns = (managed.c.id, managed.c.title, managed.c.condition)
    return select(*columns).where(managed.c.health.in_(wanted)).order_by(managed.c.title)


def stale_query(now: datetime, limit: int) -> Select[ManagedCertificate]:
    """What `stale` asks; the partial index answers it."""
    over = managed.c.health_until.is_not(None) & (managed.c.health_until <= now)
    return select(managed.c.body).where(over).order_by(managed.c.health_until).limit(limit)
