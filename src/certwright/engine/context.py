"""What every use case works with, and the frame of a run."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from certwright.domain.errors import CertwrightError, LeaseLost, NeedsPerson
from certwright.domain.events import Event, EventKind
from certwright.domain.managed import ManagedCertificate
from certwright.domain.runs import Entry, Outcome, Run, RunKind
from certwright.engine.journal import Listen, RunJournal
from certwright.store import Lease, Store

ANSWERS_KEPT = timedelta(hours=1)
"""How long challenge answers may lie in the store: no order is waited for as long as this."""


@dataclass(frozen=True, slots=True)
class Engine:
    """The store, the clock and whoever listens to journals."""

    store: Store
    now: Callable[[], datetime]
    listen: Listen

    @contextmanager
    def certificate_lease(self, managed: ManagedCertificate) -> Iterator[Lease]:
        """Exclusive work on one managed certificate, over all processes; runs that died with it are closed first."""
        with self.store.lease(f"certificate:{managed.id}") as lease:
            with self.store.write(lease) as unit:
                unit.runs.interrupt_dead(managed.id, self.now())
                unit.answers.expire(self.now() - ANSWERS_KEPT)
            yield lease

    def record(self, event: Event, *leases: Lease) -> None:
        """Store an event in a transaction of its own."""
        with self.store.write(*leases) as unit:
            unit.events.add(event)


@dataclass(frozen=True, slots=True)
class ActiveRun:
    """A run under way: its journal, and the leases that each of its writes checks."""

    id: str
    journal: RunJournal
    leases: tuple[Lease, ...]

    def guard(self) -> None:
        """Stop here if another run has taken over."""
        for lease in self.leases:
            lease.check()

    def event(self, kind: EventKind, managed: ManagedCertificate, at: datetime, message: str) -> Event:
        """An event of this run."""
        return Event(kind=kind, managed_id=managed.id, at=at, message=message, run_id=self.id)


@contextmanager
def running(engine: Engine, managed: ManagedCertificate, kind: RunKind, *leases: Lease) -> Iterator[ActiveRun]:
    """A run with a journal; how the block ends is how the run ends."""
    run = Run(managed_id=managed.id, kind=kind, started_at=engine.now())
    with engine.store.write(*leases) as unit:
        unit.runs.start(run)

    def append(entry: Entry) -> Entry:
        with engine.store.write(*leases) as unit:
            return unit.runs.append(run.id, entry, engine.now())

    def finish(outcome: Outcome, message: str) -> None:
        with engine.store.write(*leases) as unit:
            unit.runs.finish(run.id, outcome, message, engine.now())

    try:
        yield ActiveRun(run.id, RunJournal(append, engine.listen), leases)
    except LeaseLost:
        raise
    except NeedsPerson as error:
        finish(Outcome.WAITING, "\n".join(error.explain()))
        raise
    except CertwrightError as error:
        finish(Outcome.FAILED, "\n".join(error.explain()))
        raise
    except BaseException as error:
        finish(Outcome.INTERRUPTED, f"Stopped by {type(error).__name__}.")
        raise
    finish(Outcome.DONE, "")
