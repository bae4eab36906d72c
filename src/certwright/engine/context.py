"""What every use case works with, and the frame of a run."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Self

from certwright.domain.errors import CertwrightError, Changed, LeaseLost, NeedsPerson
from certwright.domain.events import Event, EventKind
from certwright.domain.managed import ManagedCertificate, new_id
from certwright.domain.proxy import DIRECT, ProxyChoice
from certwright.domain.runs import Entry, Outcome, Run, RunKind
from certwright.engine.journal import Listen, RunJournal
from certwright.engine.logs import current_run
from certwright.store import Lease, Store, UnitOfWork

ANSWERS_KEPT = timedelta(hours=1)
"""How long challenge answers may lie in the store: no order is waited for as long as this."""


@dataclass(frozen=True, slots=True)
class Engine:
    """The store, the clock, whoever listens to journals, and what `Settings` say of names, scripts and the way out."""

    store: Store
    now: Callable[[], datetime]
    listen: Listen
    resolvers: tuple[str, ...] = ()
    script_folders: tuple[Path, ...] = ()
    proxy: ProxyChoice = DIRECT

    @contextmanager
    def changing(self, reference: str, revision: int | None = None) -> Iterator[tuple[UnitOfWork, ManagedCertificate]]:
        """A managed certificate as it is now, to be changed in this transaction: no run works on it until it ends.

        Args:
            reference: its id, title or name.
            revision: that at which it was looked at before it is changed, if somebody did.

        Raises:
            Changed: if it is at another revision meanwhile.
        """
        with self.store.read() as unit:
            found = unit.managed.get(reference)
        with self.certificate_lease(found) as lease, self.store.write(lease) as unit:
            if revision not in (None, unit.managed.revision(found.id)):
                raise Changed(
                    f"{found.title!r} was changed by somebody else meanwhile.", hint="Look at it again first."
                )
            yield unit, unit.managed.get(found.id)

    @contextmanager
    def certificate_lease(self, managed: ManagedCertificate) -> Iterator[Lease]:
        """Exclusive work on one managed certificate, over all processes; runs that died with it are closed first."""
        with self.store.lease(f"certificate:{managed.id}") as lease:
            with self.store.write(lease) as unit:
                unit.runs.interrupt_dead(managed.id, self.now())
                unit.answers.expire(self.now() - ANSWERS_KEPT)
            yield lease

    @contextmanager
    def organisation_leases(self, names: Iterable[str]) -> Iterator[tuple[Lease, ...]]:
        """Exclusive work on all that has any of these names; in one order, so that of two runs that meet one goes on.

        Raises:
            LeaseHeld: if another run works on any of them.
        """
        with ExitStack() as stack:
            yield tuple(stack.enter_context(self.store.lease(f"organisation:{name}")) for name in sorted(set(names)))

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

    @classmethod
    def unrecorded(cls, engine: Engine, *leases: Lease) -> Self:
        """A run of which nothing is stored: whoever listens hears its journal."""
        return cls(new_id(), RunJournal(lambda entry: entry, engine.listen), leases)

    def guard(self) -> None:
        """Stop here if another run has taken over."""
        for lease in self.leases:
            lease.check()

    def event(self, kind: EventKind, managed: ManagedCertificate, at: datetime, message: str, hint: str = "") -> Event:
        """An event of this run."""
        return Event(kind=kind, managed_id=managed.id, at=at, message=message, hint=hint, run_id=self.id)


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

    outside = current_run.set(run.id)
    try:
        yield ActiveRun(run.id, RunJournal(append, engine.listen), leases)
    except CertwrightError as error:
        error.run_id = run.id
        if not isinstance(error, LeaseLost):
            outcome = Outcome.WAITING if isinstance(error, NeedsPerson) else Outcome.FAILED
            finish(outcome, "\n".join(error.explain()))
        raise
    except BaseException as error:
        finish(Outcome.INTERRUPTED, f"Stopped by {type(error).__name__}.")
        raise
    else:
        finish(Outcome.DONE, "")
    finally:
        current_run.reset(outside)
