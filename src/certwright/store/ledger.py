"""How much of authorities' rate limits is used: one row for each bucket that is not full."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, delete, func, select

from certwright.domain.limits import Bucket, Key, Scope
from certwright.store import rows
from certwright.store.schema import buckets


@dataclass(frozen=True, slots=True)
class Ledger:
    """The buckets. Read and save them within one unit of work, so that nothing is taken twice."""

    connection: Connection

    def get(self, keys: Iterable[Key]) -> dict[Key, Bucket]:
        """Those of `keys` that are kept; all others are full and open."""
        wanted = set(keys)
        subjects = sorted({key.subject for key in wanted})
        found = self._select(buckets.c.subject.in_(subjects))
        return {key: bucket for key, bucket in found.items() if key in wanted}

    def of(self, authority: str) -> dict[Key, Bucket]:
        """All of one authority."""
        return self._select(buckets.c.authority == authority)

    def fullest(self, limit: int) -> dict[Key, Bucket]:
        """Those of all authorities that are full again last; an index answers it."""
        latest = select(buckets).order_by(buckets.c.full_at.desc()).limit(limit)
        return {
            Key(r.authority, Scope(r.scope), r.subject): Bucket(r.full_at, r.shut_until)
            for r in self.connection.execute(latest)
        }

    def save(self, changed: Mapping[Key, Bucket], now: datetime) -> None:
        """Keep what changed, and forget what has become full."""
        for key, bucket in changed.items():
            state = {"full_at": bucket.full_at, "shut_until": bucket.shut_until}
            rows.put(self.connection, buckets, {**key._asdict(), **state})
        opened = func.coalesce(buckets.c.shut_until, buckets.c.full_at) <= now
        self.connection.execute(delete(buckets).where((buckets.c.full_at <= now) & opened))

    def _select(self, which: ColumnElement[bool]) -> dict[Key, Bucket]:
        found = self.connection.execute(select(buckets).where(which))
        return {Key(r.authority, Scope(r.scope), r.subject): Bucket(r.full_at, r.shut_until) for r in found}
