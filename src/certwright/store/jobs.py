"""Jobs and their results."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from certwright.domain.errors import NotFound
from certwright.domain.jobs import Job
from certwright.store.schema import jobs

KEPT = 500


@dataclass(frozen=True, slots=True)
class Jobs:
    """The jobs; what goes on stays, and the last `KEPT` of each who begins some.

    Nothing secret: their results are not encrypted.
    """

    connection: Connection

    def add(self, job: Job) -> None:
        """Keep a new one, and forget the oldest of the same caller that have ended, if there are too many."""
        self.connection.execute(insert(jobs).values(id=job.id, begun_by=job.by, body=job))
        mine = jobs.c.begun_by == job.by
        kept = select(jobs.c.sequence).where(mine).order_by(jobs.c.sequence.desc()).limit(KEPT)
        has_ended = jobs.c.ended_at.is_not(None)
        self.connection.execute(delete(jobs).where(mine & has_ended & jobs.c.sequence.not_in(kept)))

    def end(self, job: Job, result: Any = None) -> None:
        """Keep how it ended, and its result: a JSON value."""
        told = None if result is None else json.dumps(result)
        values = {"body": job, "ended_at": job.ended_at, "result": told}
        self.connection.execute(update(jobs).where(jobs.c.id == job.id).values(values))

    def get(self, job_id: str) -> tuple[Job, Any]:
        """The job with this id, and its result; None as long as it has none.

        Raises:
            NotFound: if there is none.
        """
        row = self.connection.execute(select(jobs.c.body, jobs.c.result).where(jobs.c.id == job_id)).one_or_none()
        if row is None:
            raise NotFound(f"There is no job {job_id!r}.", hint=f"The last {KEPT} of each who begins some are kept.")
        return row.body, None if row.result is None else json.loads(row.result)

    def expire(self, older_than: datetime) -> None:
        """Forget what ended before that, and what was begun before and has no end: its process died.

        Whoever began it may be gone, and begin no others.
        """
        self.connection.execute(delete(jobs).where(jobs.c.ended_at < older_than))
        endless = self.connection.scalars(select(jobs.c.body).where(jobs.c.ended_at.is_(None)))
        died = [job.id for job in endless if job.begun_at < older_than]
        self.connection.execute(delete(jobs).where(jobs.c.id.in_(died)))

    def list(self, before: str | None = None, *, by: str | None = None, limit: int | None = None) -> list[Job]:
        """The jobs, newest first.

        Args:
            before: only those before the one of this id.
            by: only those that this one began.
            limit: so many at most.

        Raises:
            NotFound: if there is no such job.
        """
        newest = select(jobs.c.body).order_by(jobs.c.sequence.desc()).limit(limit)
        if by is not None:
            newest = newest.where(jobs.c.begun_by == by)
        if before is not None:
            self.get(before)
            newest = newest.where(
                jobs.c.sequence < select(jobs.c.sequence).where(jobs.c.id == before).scalar_subquery()
            )
        return list(self.connection.scalars(newest))
