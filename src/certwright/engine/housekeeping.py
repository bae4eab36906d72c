"""What nobody needs any more goes: old versions, journals, events, snapshots; and certificates on Exchange servers."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from certwright.domain.errors import CertwrightError, LeaseHeld, WindowClosed
from certwright.domain.managed import KeyForm, ManagedCertificate
from certwright.engine.channels import forget_removed
from certwright.engine.clock import doubt
from certwright.engine.context import ANSWERS_KEPT, Engine
from certwright.engine.exchange import cleanup
from certwright.engine.exchange.cleanup import Cleaned
from certwright.engine.exchange.discovery import SNAPSHOT
from certwright.engine.material import version_facts
from certwright.engine.schedule import reschedule
from certwright.engine.task import MAX_PREDECESSORS
from certwright.store import UnitOfWork

_BATCH = 200
_IDLE = timedelta(days=1)
_SHOWN = 16  # digits of a SHA-256 by which tables of ports name a certificate


@dataclass(frozen=True, slots=True)
class Retention:
    """For how long what is kept; of each managed certificate the newest `versions` stay whatever their age.

    Deployments are handed that many predecessors, so fewer must not be kept.
    """

    versions: int = MAX_PREDECESSORS + 1
    journals: timedelta = timedelta(days=180)
    events: timedelta = timedelta(days=400)
    snapshots: timedelta = timedelta(days=90)


@dataclass(slots=True)
class Housekept:
    """How much was removed of what.

    `cleaned` is what was done on Exchange servers, `waiting` are titles of certificates whose servers could be cleaned,
    where unattended work is not released; `problems` are what could not be done.
    """

    versions: int = 0
    runs: int = 0
    events: int = 0
    snapshots: int = 0
    answers: int = 0
    leases: int = 0
    cleaned: list[Cleaned] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)
    problems: list[CertwrightError] = field(default_factory=list)


def housekeep(engine: Engine, retention: Retention = Retention()) -> Housekept:
    """Remove what is too old and refers to nothing, in short transactions; others work meanwhile.

    One thing that cannot be done keeps no other from being done; but by a clock that may be wrong, nothing is.
    """
    done, now = Housekept(), engine.now()
    if doubted := doubt(engine):
        done.problems.append(doubted)
        return done
    with engine.store.write() as unit:
        done.answers = unit.answers.expire(now - ANSWERS_KEPT)
        done.snapshots = unit.records.expire(SNAPSHOT, now - retention.snapshots)
        unit.repeats.expire(now)
        unit.jobs.expire(now - retention.journals)
        forget_removed(unit)
    done.runs = _all(engine, lambda unit: unit.runs.expire(now - retention.journals, _BATCH))
    done.events = _all(engine, lambda unit: unit.events.expire(now - retention.events, _BATCH))
    _all(engine, lambda unit: unit.managed.find_again(_BATCH))
    done.leases = _forget_leases(engine, now - _IDLE)
    _prune_versions(engine, retention, now, done)
    _clean_up_exchange(engine, done)
    return done


def keep_house(engine: Engine) -> None:
    """As `housekeep`, for who hears of it only if something could not be done; what is worked on is left for later.

    Raises:
        CertwrightError: what could not be done, after all the rest was.
    """
    problems = [problem for problem in housekeep(engine).problems if not isinstance(problem, LeaseHeld)]
    if len(problems) > 1:
        first = problems[0]
        raise CertwrightError(
            f"{len(problems)} things could not be done, of which the first: {first.message}",
            hint=first.hint,
            causes=problems[1:],
        )
    if problems:
        raise problems[0]


def _all(engine: Engine, expire: Callable[[UnitOfWork], int]) -> int:
    total = 0
    while True:
        with engine.store.write() as unit:
            gone = expire(unit)
        total += gone
        if gone < _BATCH:
            return total


def _forget_leases(engine: Engine, before: datetime) -> int:
    """What is left of the leases on certificates that were removed."""
    with engine.store.read() as unit:
        gone = unit.leases.of_removed(before)
    for start in range(0, len(gone), _BATCH):
        with engine.store.write() as unit:
            unit.leases.forget(gone[start : start + _BATCH])
    return len(gone)


def _prune_versions(engine: Engine, retention: Retention, now: datetime, done: Housekept) -> None:
    with engine.store.read() as unit:
        crowded = unit.versions.owners_of_more_than(retention.versions)
    for managed_id in crowded:
        try:
            done.versions += _prune(engine, managed_id, retention.versions, now)
        except CertwrightError as error:
            done.problems.append(error)


def _prune(engine: Engine, managed_id: str, kept: int, now: datetime) -> int:
    """Remove the expired versions of one certificate that no deployment, and no memory of a task, knows; how many.

    Of what was revoked the key alone goes, if it is with us.
    """
    with engine.store.read() as unit:
        managed = unit.managed.get(managed_id)
    with engine.certificate_lease(managed) as lease, engine.store.write(lease) as unit:
        known = unit.deployments.texts([task.id for task in managed.tasks])
        gone = []
        for version in unit.versions.list(managed_id)[kept:]:
            facts = version_facts(version)
            marks = (version.id, facts.thumbprint, facts.sha256[:_SHOWN])
            is_done = version.revoked_at is not None and version.key_form is KeyForm.ELSEWHERE
            if facts.not_after < now and not is_done and not any(mark in known for mark in marks):
                gone.append(version)
        unit.versions.remove([version.id for version in gone])
    return sum(version.revoked_at is None for version in gone)


def _clean_up_exchange(engine: Engine, done: Housekept) -> None:
    for managed in cleanup.crowded(engine):
        try:
            if cleanup.is_released(engine, managed):
                done.cleaned += _in_window(engine, managed)
            else:
                done.waiting.append(managed.title)
        except CertwrightError as error:
            done.problems.append(error)


def clean_up_when_due(engine: Engine, managed: ManagedCertificate) -> None:
    """Clean up what was put off until its maintenance window opened; the next housekeeping sees to what is left."""
    with engine.store.read() as unit:
        due = unit.renewals.get(managed.id).clean_up_at
    if due and due <= engine.now():
        _put_off(engine, managed, None)
        if not doubt(engine) and cleanup.is_released(engine, managed):
            _in_window(engine, managed)


def _in_window(engine: Engine, managed: ManagedCertificate) -> list[Cleaned]:
    """Clean up now, or when the maintenance window opens."""
    try:
        return cleanup.carry_out(engine, managed.id)
    except WindowClosed as closed:
        _put_off(engine, managed, closed.until)
        return []


def _put_off(engine: Engine, managed: ManagedCertificate, until: datetime | None) -> None:
    with engine.certificate_lease(managed) as lease, engine.store.write(lease) as unit:
        state = unit.renewals.get(managed.id)
        unit.renewals.save(managed.id, state.model_copy(update={"clean_up_at": until}))
        reschedule(engine, unit, unit.managed.get(managed.id))
