"""Pages of the managed certificates, by title: each begins after the last title of the one before."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Select, select

from certwright.domain.health import Condition
from certwright.domain.health_rules import Health
from certwright.domain.identifiers import Identifier
from certwright.domain.managed import ManagedCertificate
from certwright.store.schema import managed, names, versions


@dataclass(frozen=True, slots=True)
class Listed:
    """A managed certificate in a list: how it was judged last, when it is looked at next, and when it ends."""

    managed: ManagedCertificate
    condition: Condition | None
    next_check: datetime | None
    not_after: datetime | None


@dataclass(frozen=True, slots=True)
class Listing:
    """The list of all managed certificates."""

    connection: Connection

    def page(
        self,
        after: str,
        limit: int,
        *,
        health: Collection[Health] = (),
        issuer: str | None = None,
        name: Identifier | None = None,
    ) -> list[Listed]:
        """Those whose title comes after this one.

        Args:
            after: the last title of the page before; empty for the first page.
            limit: how many at most.
            health: only those that are so; empty for all.
            issuer: only those that this issuer signs first.
            name: only those that have this name.
        """
        query = page_query(after, limit, health=health, issuer=issuer, name=name)
        return [Listed(*row) for row in self.connection.execute(query)]


def page_query(
    after: str, limit: int, *, health: Collection[Health], issuer: str | None, name: Identifier | None
) -> Select[ManagedCertificate, Condition | None, datetime | None, datetime | None]:
    """What `page` asks; indexes answer it."""
    ends = (
        select(versions.c.not_after)
        .where(versions.c.managed_id == managed.c.id)
        .order_by(versions.c.sequence.desc())
        .limit(1)
        .scalar_subquery()
    )
    query = select(managed.c.body, managed.c.condition, managed.c.next_action_at, ends).where(managed.c.title > after)
    if health:
        query = query.where(managed.c.health.in_(health))
    if issuer is not None:
        query = query.where(managed.c.issuer == issuer)
    if name is not None:
        query = query.where(managed.c.id.in_(select(names.c.managed_id).where(names.c.identifier == str(name))))
    return query.order_by(managed.c.title).limit(limit)
