"""What every use case works with, and the frame of a run."""

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Self

from certwright.domain.access import SERVICE, Caller, Permission
from certwright.domain.audit import Action, Subject
from certwright.domain.deployment import ServedRow
from certwright.domain.errors import CertwrightError, Changed, LeaseHeld, LeaseLost, NeedsPerson
from certwright.domain.events import Event, EventKind
from certwright.domain.managed import Json, ManagedCertificate, new_id
from certwright.domain.proxy import DIRECT, ProxyChoice
from certwright.domain.runs import Entry, Outcome, Phase, Run, RunKind
from certwright.engine import busy
from certwright.engine.attempts import Attempts
from certwright.engine.journal import Listen, RunJournal
from certwright.engine.logs import current_run
from certwright.sdk.places import NOWHERE, Places
from certwright.store import Lease, Store, UnitOfWork
from certwright.store.leases import CERTIFICATE
from certwright.store.managed import subject

ANSWERS_KEPT = timedelta(hours=1)
"""How long challenge answers may lie in the store: no order is waited for as long as this."""
_LATEST_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Engine:
    """The store, the clock, whoever listens to journals, and what `Settings` say of names, places and the way out.

    `attempts` are those to sign in; `seen` hears of each port as a task looks at it, from several threads. `takes` is
    the permission by which whoever acts was let in.
    """

    store: Store
    now: Callable[[], datetime]
    listen: Listen
    resolvers: tuple[str, ...] = ()
    places: Places = NOWHERE
    proxy: ProxyChoice = DIRECT
    attempts: Attempts = field(default_factory=Attempts, compare=False, repr=False)
    seen: Callable[[ServedRow], None] = lambda _: None
    takes: Permission = Permission.READ

    @property
    def caller(self) -> Caller:
        """Who acts; whoever opened the store, until `acting` says otherwise."""
        return self.store.caller

    def acting(self, caller: Caller, takes: Permission = Permission.READ) -> Self:
        """The same engine, with which somebody else acts, who was let in by the permission that it `takes`."""
        return replace(self, store=self.store.acting(caller), takes=takes)

    def provided(self, condition: Callable[[UnitOfWork], None]) -> Self:
        """The same engine; what `condition` raises ends the next transaction that writes, before it has written."""
        return replace(self, store=self.store.provided(condition))

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
            check_revision(unit, found, revision)
            yield unit, unit.managed.get(found.id)

    @contextmanager
    def certificate_lease(self, managed: ManagedCertificate) -> Iterator[Lease]:
        """Exclusive work on one managed certificate, over all processes; runs that died with it are closed first.

        Raises:
            LeaseHeld: if another run works on it.
        """

        def tidy(unit: UnitOfWork) -> None:
            unit.runs.interrupt_dead(managed.id, self.now())
            unit.answers.expire(self.now() - ANSWERS_KEPT)

        with ExitStack() as stack:
            try:
                lease = stack.enter_context(self.store.lease(f"{CERTIFICATE}{managed.id}", first=tidy))
            except LeaseHeld as held:
                raise busy.on_certificate(self.store, managed, held, self.now()) from held
            yield lease

    @contextmanager
    def organisation_leases(self, names: Iterable[str]) -> Iterator[tuple[Lease, ...]]:
        """Exclusive work on all that has any of these names; in one order, so that of two runs that meet one goes on.

        Raises:
            LeaseHeld: if another run works on any of them.
        """
        with ExitStack() as stack:
            leases = []
            for name in sorted(set(names)):
                try:
                    leases.append(stack.enter_context(self.store.lease(f"organisation:{name}")))
                except LeaseHeld as held:
                    raise busy.on_organisation(self.store, name, held, self.now()) from held
            yield tuple(leases)

    def record(self, event: Event, *leases: Lease) -> None:
        """Store an event in a transaction of its own."""
        with self.store.write(*leases) as unit:
            unit.events.add(event)

    def note(self, action: Action, about: Subject, after: Json | None = None) -> None:
        """Note in the audit trail an act that changes nothing in the store, before it is done."""
        with self.store.write() as unit:
            unit.trail.note(action, about, after=after)


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
        guard(self.leases)

    def event(self, kind: EventKind, managed: ManagedCertificate, at: datetime, message: str, hint: str = "") -> Event:
        """An event of this run."""
        return Event(kind=kind, managed_id=managed.id, at=at, message=message, hint=hint, run_id=self.id)


def check_revision(unit: UnitOfWork, managed: ManagedCertificate, revision: int | None) -> None:
    """Return if it is still at this revision, or nobody has looked at one.

    Raises:
        Changed: if it is at another one meanwhile.
    """
    if revision not in (None, unit.managed.revision(managed.id)):
        raise Changed(f"{managed.title!r} was changed by somebody else meanwhile.", hint="Look at it again first.")


def guard(leases: Iterable[Lease]) -> None:
    """Stop here if another run has taken one of these over.

    Raises:
        LeaseLost: then nothing more may be done.
    """
    for lease in leases:
        lease.check()


class _Record:
    """A run's journal in the store: that a step begins is on disk before anything of it is done.

    What else was said is saved with the next beginning, with the end of the run, or after a moment.
    """

    def __init__(self, engine: Engine, run: Run, leases: tuple[Lease, ...]) -> None:
        self._engine = engine
        self._run = run
        self._leases = leases
        self._unsaved: list[Entry] = []
        self._changing = threading.Lock()
        self._saving = threading.Lock()

    def __call__(self, entry: Entry) -> Entry:
        """Add an entry, which gets its run and its moment, unless another run has taken over."""
        said = entry.model_copy(update={"run_id": self._run.id, "at": self._engine.now()})
        if entry.phase is not Phase.START:
            guard(self._leases)
        with self._changing:
            self._unsaved.append(said)
        if entry.phase is Phase.START:
            self.save()
        return said

    def save(self, also: Callable[[UnitOfWork], None] | None = None) -> None:
        """Save what was said, and whatever else `also` writes in the same transaction."""
        with self._saving:
            with self._changing:
                said = list(self._unsaved)
            if said or also:
                with self._engine.store.write(*self._leases) as unit:
                    if said:
                        unit.runs.append(*said)
                    if also:
                        also(unit)
            with self._changing:
                del self._unsaved[: len(said)]

    def save_late(self) -> bool:
        """Save what waits to be saved with something else, for those who look on; False once another run took over."""
        try:
            self.save()
        except LeaseLost:
            return False
        return True


@contextmanager
def running(engine: Engine, managed: ManagedCertificate, kind: RunKind, *leases: Lease) -> Iterator[ActiveRun]:
    """A run with a journal; how the block ends is how the run ends."""
    run = Run(managed_id=managed.id, kind=kind, started_at=engine.now())
    with engine.store.write(*leases) as unit:
        unit.runs.start(run)
        if engine.caller != SERVICE:  # whose runs follow from what others wanted
            unit.trail.note(Action.BEGAN, subject(managed), after={"run": run.id, "kind": run.kind.value})
    record = _Record(engine, run, leases)

    def finish(outcome: Outcome, message: str) -> None:
        record.save(lambda unit: unit.runs.finish(run.id, outcome, message, engine.now()))

    outside = current_run.set(run.id)
    try:
        with engine.store.heartbeat.beating(record.save_late, _LATEST_SECONDS):
            yield ActiveRun(run.id, RunJournal(record, engine.listen), leases)
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
