"""What was seen or decided about a subject, such as an organisation: JSON values by kind, newest last."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select

from certwright.store.schema import records

KEPT = 50
TROUBLE = "trouble"
"""The kind of what is the matter with a subject."""
RECOVERY_KEY = ("service", "recovery_key")
"""Subject and kind of the recovery key that somebody has shown to know: as `Identity.wrapping` names it."""


@dataclass(frozen=True, slots=True)
class Record:
    """One value and when it was put."""

    sequence: int
    at: datetime
    value: Any


@dataclass(frozen=True, slots=True)
class Records:
    """The records; of each subject and kind the last `KEPT` stay. Nothing secret: they are not encrypted."""

    connection: Connection

    def put(self, subject: str, kind: str, value: Any, at: datetime) -> Record:
        """Keep a JSON value."""
        row = {"subject": subject, "kind": kind, "at": at, "value": json.dumps(value)}
        sequence = self.connection.scalars(insert(records).values(row).returning(records.c.sequence)).one()
        mine = (records.c.subject == subject) & (records.c.kind == kind)
        kept = select(records.c.sequence).where(mine).order_by(records.c.sequence.desc()).limit(KEPT)
        self.connection.execute(delete(records).where(mine & records.c.sequence.not_in(kept)))
        return Record(sequence, at, value)

    def expire(self, kind: str, older_than: datetime) -> int:
        """Forget records of a kind from before this moment, but for the newest of each subject; how many there were."""
        newest = select(func.max(records.c.sequence)).where(records.c.kind == kind).group_by(records.c.subject)
        old = (records.c.kind == kind) & (records.c.at < older_than) & records.c.sequence.not_in(newest)
        return self.connection.execute(delete(records).where(old)).rowcount

    def forget(self, prefix: str, *, but_for: Iterable[str]) -> int:
        """Forget all of subjects that begin so, but for those that go on with one of these; how many there were."""
        kept = [f"{prefix}{name}" for name in but_for]
        gone = records.c.subject.startswith(prefix, autoescape=True) & records.c.subject.not_in(kept)
        return self.connection.execute(delete(records).where(gone)).rowcount

    def list(self, subject: str, kind: str, limit: int = KEPT) -> list[Record]:
        """The last ones, newest first."""
        mine = (records.c.subject == subject) & (records.c.kind == kind)
        rows = self.connection.execute(
            select(records.c.sequence, records.c.at, records.c.value)
            .where(mine)
            .order_by(records.c.sequence.desc())
            .limit(limit)
        )
        return [Record(row.sequence, row.at, json.loads(row.value)) for row in rows]

    def last(self, subject: str, kind: str) -> Record | None:
        """The newest, or None."""
        return next(iter(self.list(subject, kind, 1)), None)

    def newest(self, prefix: str, kind: str) -> dict[str, Record]:
        """The newest of each subject that begins so, by subject."""
        mine = records.c.subject.startswith(prefix, autoescape=True) & (records.c.kind == kind)
        newest = select(func.max(records.c.sequence)).where(mine).group_by(records.c.subject)
        rows = self.connection.execute(
            select(records).where(records.c.sequence.in_(newest)).order_by(records.c.subject)
        )
        return {row.subject: Record(row.sequence, row.at, json.loads(row.value)) for row in rows}
