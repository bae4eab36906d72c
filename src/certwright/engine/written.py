"""The TXT records that runs write: remembered from before they are written until somebody has removed them.

They belong to an *owner*, the first lease under which a run works: ``certificate:ID`` or ``credential:NAME``.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any, TypeVar

from certwright.domain.audit import Action, SubjectKind, named
from certwright.domain.errors import CertwrightError, Forbidden, LeaseHeld, SolverError, StoreError
from certwright.engine import dns
from certwright.engine.commands import require_to_run
from certwright.engine.context import ActiveRun, Engine
from certwright.engine.slots import places
from certwright.engine.unexpected import in_words
from certwright.sdk.dns import DnsProvider, TxtRecord
from certwright.store import UnitOfWork

REMEMBERED = timedelta(days=7)
"""How long it is tried to remove a record; the services' outages are shorter."""

_KEY = "dns-01 records"
_WORKERS = 8
_TURN = 900.0  # seconds: as long as others may take until servers show their records and the authority has looked
_PAUSE = 1.0
T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class _Written:
    """One record where it is written. `run` needs it, `at` (ISO 8601) is when that wrote it: neither tells it apart."""

    credential: str
    zone: str
    name: str
    value: str
    run: str = field(compare=False)
    at: str = field(compare=False)

    @property
    def place(self) -> tuple[str, str]:
        return self.credential, self.zone

    @property
    def record(self) -> TxtRecord:
        return TxtRecord(self.name, self.value)


class WrittenRecords:
    """What the runs of one owner have written: `run` is one of them; it adds and removes.

    Where a provider takes runs in turn, the turn at a name begins when its records are added, and ends when records are
    removed there, or with `close`.
    """

    def __init__(self, engine: Engine, run: ActiveRun) -> None:
        self._engine = engine
        self._owner = run.leases[0].name
        self._run = run
        self._never: set[_Written] = set()
        self._turns: dict[tuple[str, str], ExitStack] = {}  # by credential and name

    def close(self) -> None:
        """End all turns."""
        for turn in list(self._turns):
            self._turns.pop(turn).close()

    def add(self, credential: str, zones: Mapping[str, Sequence[TxtRecord]]) -> None:
        """Remember the records of all `zones`, and have the DNS provider write them, all zones at the same time.

        Raises:
            Forbidden: if it runs programs, and who has it work may not have that.
            CertwrightError: when all have ended; with one cause for each zone that failed, if there are several.
        """
        provider = self._allowed(credential, zones)
        if provider.in_turn:
            for name in sorted({record.name for some in zones.values() for record in some}):
                self._await_turn(credential, name)
        now = self._engine.now().isoformat()
        new = [_Written(credential, z, r.name, r.value, self._run.id, now) for z, some in zones.items() for r in some]
        self._change(lambda known: [*(w for w in known if w not in new), *new])

        def write(zone: str) -> CertwrightError | None:
            here = {w for w in new if w.zone == zone}
            self._never -= here
            try:
                with places.taken(self._engine.store, f"dns:{credential}"):
                    provider.add(zone, zones[zone])
            except CertwrightError as error:
                if not error.retryable and (provider.in_one or len(here) == 1):  # of several, the first may stand
                    self._never |= here
                return error
            return None

        failures = [failure for failure in _at_once(write, sorted(zones)) if failure]
        if len(failures) == 1:
            raise failures[0]
        if failures:
            raise SolverError(
                f"The records of {len(failures)} of {len(zones)} zones could not be written.",
                causes=failures,
                retryable=all(f.retryable for f in failures),
            )

    def remove(self, credential: str, zones: Mapping[str, Sequence[TxtRecord]]) -> None:
        """Have the DNS provider remove these records, all zones at the same time; what it cannot remove is noted.

        Raises:
            LeaseLost: if another run has taken over; nothing is removed.
        """
        wanted = {(zone, record) for zone, some in zones.items() for record in some}
        try:
            self._remove([w for w in self._known() if w.credential == credential and (w.zone, w.record) in wanted])
        finally:
            for name in {record.name for _, record in wanted}:
                self._turns.pop((credential, name), ExitStack()).close()

    def clear(self, *, last: bool) -> None:
        """As `certwright.engine.left_over.clear_left_over`, the records."""
        with self._engine.store.read() as unit:
            order = unit.orders.get(self._owner.partition(":")[2])
        unwanted = [w for w in self._known() if self._is_left_over(w, goes_on=order is not None and not last)]
        if unwanted:
            with self._run.journal.step("Remove the TXT records that are left over"):
                self._remove(unwanted, last=last)

    def clear_of(self, credential: str) -> None:
        """Remove all that was written with `credential`, which nobody can use afterwards.

        Raises:
            Forbidden: if it runs programs, and who has it done may not have that.
        """
        self._remove([w for w in self._known() if w.credential == credential], last=True)

    def _allowed(self, credential: str, zones: Iterable[str]) -> DnsProvider[Any]:
        """The DNS provider, if who has it work may have that; the trail tells where it runs programs.

        Raises:
            Forbidden: if it runs programs, and they may not have that done.
        """
        provider = dns.provider(self._engine, credential, self._run.journal)
        require_to_run(self._engine, provider)
        if provider.commands:
            done = {"run": self._run.id, "zones": sorted(zones)}
            self._engine.note(Action.RAN, named(SubjectKind.CREDENTIAL, credential), done)
        return provider

    def _await_turn(self, credential: str, name: str) -> None:
        """Wait until no other run has values at `name` that it needs; in one's own turn, there is nothing to wait for.

        Raises:
            SolverError: if that takes too long.
        """
        if (credential, name) in self._turns:
            return
        told: set[str] = set()

        def waits(held: LeaseHeld) -> None:
            self._run.guard()
            if not told:
                told.add(name)
                self._run.journal.note(
                    f"Another run needs its values at {name} for now, so this one waits for it. {held}"
                )

        with ExitStack() as stack:
            stack.enter_context(dns.alone(self._engine, credential, name, seconds=_TURN, pause=_PAUSE, waits=waits))
            self._turns[credential, name] = stack.pop_all()

    def _is_left_over(self, written: _Written, *, goes_on: bool) -> bool:
        """Whether nobody needs it: what a person made is needed as long as the order goes on."""
        try:
            by_hand = dns.provider(self._engine, written.credential, self._run.journal).by_hand
        except CertwrightError:
            by_hand = False
        return not goes_on if by_hand else written.run != self._run.id

    def _remove(self, unwanted: Collection[_Written], *, last: bool = False) -> None:
        self._run.guard()
        groups = [list(group) for _, group in groupby(sorted(unwanted, key=lambda w: w.place), lambda w: w.place)]
        gone = {w for some in _at_once(lambda group: self._removed(group, last=last), groups) for w in some}
        if gone:
            self._change(lambda known: [w for w in known if w not in gone])

    def _removed(self, written: Sequence[_Written], *, last: bool) -> Sequence[_Written]:
        """Remove these, which are of one zone; which of them need not be remembered.

        Raises:
            Forbidden: if who has it done may not, and nobody does it after them.
        """
        credential, zone = written[0].place
        try:
            provider = self._allowed(credential, [zone])
            with places.taken(self._engine.store, f"dns:{credential}"):
                provider.remove(zone, [w.record for w in written])
        except StoreError:
            raise
        except Exception as error:  # a provider may fail in any way; the other zones are cleaned all the same
            if last and isinstance(error, Forbidden):
                raise
            return self._given_up(written, error, last=last)
        return written

    def _given_up(self, written: Sequence[_Written], error: Exception, *, last: bool) -> Sequence[_Written]:
        """Say what could not be removed; which of it is not tried again."""
        told = in_words(error, "the removal of records")
        lasting = isinstance(error, CertwrightError) and not error.retryable
        never = [w for w in written if lasting and w in self._never]
        left = [w for w in written if w not in never]
        oldest = self._engine.now() - REMEMBERED
        over = [w for w in left if last or datetime.fromisoformat(w.at) < oldest]
        if later := list(dict.fromkeys(w.name for w in left if w not in over)):
            self._run.journal.note(f"Not removed yet, the next run tries again: {', '.join(later)}. {told}")
        for w in over:
            self._run.journal.note(
                f'Not removed, and not tried again; remove it by hand: {w.name} TXT "{w.value}" in the zone {w.zone}. '
                f"{told}"
            )
        return [*never, *over]

    def _known(self) -> list[_Written]:
        with self._engine.store.read() as unit:
            return _known(unit, self._owner)

    def _change(self, change: Callable[[list[_Written]], list[_Written]]) -> None:
        with self._engine.store.write(*self._run.leases) as unit:
            kept = change(_known(unit, self._owner))
            unit.deployments.memory_clear(self._owner)
            if kept:
                unit.deployments.memory_put(self._owner, _KEY, [asdict(w) for w in kept])


def clear_credential(engine: Engine, credential: str, run: ActiveRun) -> None:
    """Remove what any run wrote with `credential` and has left; afterwards nothing of it is remembered.

    Args:
        engine: what to work with.
        credential: which.
        run: it removes, and tells in its journal; it holds the lease ``credential:NAME``.

    Raises:
        LeaseHeld: if a run that wrote with it is at work.
    """
    WrittenRecords(engine, run).clear_of(credential)
    with engine.store.read() as unit:
        writers = [owner for owner in unit.deployments.memory_owners(_KEY) if _has_of(unit, owner, credential)]
    for owner in writers:
        with engine.store.lease(owner) as lease:
            WrittenRecords(engine, replace(run, leases=(lease,))).clear_of(credential)


def _known(unit: UnitOfWork, owner: str) -> list[_Written]:
    return [_Written(**each) for each in unit.deployments.memory_get(owner, _KEY, [])]


def _has_of(unit: UnitOfWork, owner: str, credential: str) -> bool:
    return any(w.credential == credential for w in _known(unit, owner))


def _at_once(work: Callable[[T], R], items: Sequence[T]) -> list[R]:
    """What `work` gives for each of `items`, all at the same time."""
    with ThreadPoolExecutor(_WORKERS, thread_name_prefix="dns") as pool:
        return list(pool.map(work, items))
