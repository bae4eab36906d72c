"""Runs and their journal, whose sequence number over all runs lets views tail it whoever writes it."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Select, bindparam, delete, func, insert, select, update

from certwright.domain.errors import NotFound
from certwright.domain.runs import Entry, Outcome, Run, RunKind
from certwright.store.leases import CERTIFICATE, LeaseRows
from certwright.store.schema import entries, runs
from certwright.store.scope import Q, Scope

_RUN = [runs.c[name] for name in Run.model_fields]
_ENTRY = [entries.c[name] for name in Entry.model_fields]
_START = insert(runs)
_APPEND = insert(entries)
_FINISH = update(runs).where(runs.c.id == bindparam("of_id"))
_UNENDED = (
    select(*_RUN)
    .where(runs.c.ended_at.is_(None) & (runs.c.managed_id == bindparam("of_managed")))
    .order_by(runs.c.sequence.desc())
)
_INTERRUPT = update(runs).where((runs.c.managed_id == bindparam("of_managed")) & runs.c.ended_at.is_(None))


@dataclass(frozen=True, slots=True)
class Runs:
    """All runs; they stay when their managed certificate is removed."""

    connection: Connection
    scope: Scope

    def start(self, run: Run) -> None:
        """Keep that a run began."""
        self.connection.execute(_START, run.model_dump())

    def append(self, *told: Entry) -> None:
        """Add lines to journals; each names its run and its moment, and gets a sequence number."""
        self.connection.execute(_APPEND, [entry.model_dump(exclude={"sequence"}) for entry in told])

    def entries(self, run_id: str) -> Sequence[Entry]:
        """The whole journal of a run."""
        return self._entries(select(*_ENTRY).where(entries.c.run_id == run_id))

    def entries_after(self, sequence: int, run_id: str | None = None, limit: int = 1000) -> Sequence[Entry]:
        """The lines after this sequence number, oldest first: of one run, or of all."""
        later = select(*_ENTRY).where(entries.c.sequence > sequence).limit(limit)
        return self._entries(later if run_id is None else later.where(entries.c.run_id == run_id))

    def newest_entry(self) -> int:
        """The sequence number of the last line of all journals; 0 if there is none."""
        return self.connection.scalar(select(func.max(entries.c.sequence))) or 0

    def ended(self, run_ids: Collection[str]) -> Sequence[str]:
        """Those of these runs that have ended, or are not known any more."""
        going = select(runs.c.id).where(runs.c.id.in_(run_ids), runs.c.ended_at.is_(None))
        return sorted(set(run_ids) - set(self.connection.scalars(going)))

    def finish(self, run_id: str, outcome: Outcome, message: str, at: datetime) -> None:
        """Keep how a run ended, in one sentence."""
        values = {"outcome": outcome, "message": message, "ended_at": at}
        self.connection.execute(_FINISH, {"of_id": run_id, **values})

    def interrupt_dead(self, managed_id: str, at: datetime) -> None:
        """Close what earlier runs of a managed certificate left open.

        The caller holds the certificate's lease, under which each of them wrote: they died, or can write no more.
        """
        values = {"outcome": Outcome.INTERRUPTED, "message": "Its process ended before the run did.", "ended_at": at}
        self.connection.execute(_INTERRUPT, {"of_managed": managed_id, **values})

    def expire(self, older_than: datetime, limit: int) -> int:
        """Forget the oldest runs, with their journals, of those that began before this moment; how many there were.

        Args:
            older_than: the moment; the rows are in the order of time, so none but the oldest are looked at.
            limit: how many at most.
        """
        oldest = select(runs.c.sequence, runs.c.started_at).order_by(runs.c.sequence).limit(limit)
        gone = [row.sequence for row in self.connection.execute(oldest) if row.started_at < older_than]
        self.connection.execute(delete(runs).where(runs.c.sequence.in_(gone)))
        return len(gone)

    def get(self, run_id: str) -> Run:
        """The run with this id.

        Raises:
            NotFound: if there is none.
        """
        row = self.connection.execute(self._seen(select(*_RUN).where(runs.c.id == run_id))).mappings().one_or_none()
        if row is None:
            raise NotFound(f"There is no run {run_id!r}.")
        return Run.model_validate(row)

    def unended(self, managed_id: str) -> Run | None:
        """The run of a managed certificate that has not ended, though it may have died; None if there is none."""
        row = self.connection.execute(_UNENDED, {"of_managed": managed_id}).mappings().first()
        return Run.model_validate(row) if row else None

    def at_work(self, managed_id: str, now: datetime) -> Run | None:
        """The run that works on a managed certificate, and so holds its lease; None if there is none."""
        run = self.unended(managed_id)
        held = LeaseRows(self.connection).held(now) if run else ()
        return run if any(lease.name == f"{CERTIFICATE}{managed_id}" for lease in held) else None

    def is_deploying(self, managed_id: str, now: datetime) -> bool:
        """Whether a run is at a deployment of this managed certificate."""
        run = self.at_work(managed_id, now)
        return run is not None and run.kind is RunKind.DEPLOY

    def under_way(self, limit: int) -> Sequence[Run]:
        """Those that have not ended, newest first; the partial index answers it."""
        query = self.scope.narrow(under_way_query(limit), runs.c.managed_id)
        rows = self.connection.execute(query).mappings()
        return [Run.model_validate(row) for row in rows]

    def list(self, managed_id: str | None = None, limit: int = 50, before: str | None = None) -> list[Run]:
        """The runs of a managed certificate, or all; newest first, and those before the one of this id if it is given.

        Raises:
            NotFound: if there is no such run.
        """
        newest = self._seen(select(*_RUN)).order_by(runs.c.sequence.desc()).limit(limit)
        if managed_id is not None:
            newest = newest.where(runs.c.managed_id == managed_id)
        if before is not None:
            self.get(before)
            newest = newest.where(
                runs.c.sequence < select(runs.c.sequence).where(runs.c.id == before).scalar_subquery()
            )
        return [Run.model_validate(row) for row in self.connection.execute(newest).mappings()]

    def last(self, managed_id: str, kinds: Collection[RunKind]) -> Run | None:
        """The newest run of a managed certificate that is of one of these kinds; None if there is none."""
        found = self._seen(select(*_RUN)).where(runs.c.managed_id == managed_id, runs.c.kind.in_(kinds))
        row = self.connection.execute(found.order_by(runs.c.sequence.desc()).limit(1)).mappings().one_or_none()
        return Run.model_validate(row) if row else None

    def seen(self, run_ids: Collection[str]) -> Sequence[str]:
        """Those of these runs that there are for the caller."""
        return self.connection.scalars(self._seen(select(runs.c.id).where(runs.c.id.in_(run_ids)))).all()

    def _seen(self, query: Q) -> Q:
        return self.scope.narrow(query, runs.c.managed_id)

    def _entries(self, query: Select[*tuple[object, ...]]) -> Sequence[Entry]:
        if self.scope.tags:
            query = query.where(entries.c.run_id.in_(self._seen(select(runs.c.id))))
        rows = self.connection.execute(query.order_by(entries.c.sequence)).mappings()
        return [Entry.model_validate(row) for row in rows]


def under_way_query(limit: int) -> Select[*tuple[object, ...]]:
    """What `under_way` asks."""
    return select(*_RUN).where(runs.c.ended_at.is_(None)).order_by(runs.c.sequence.desc()).limit(limit)
