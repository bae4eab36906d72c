"""The same done to several managed certificates: what would happen to each, and when, before it happens."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from typing import Any

from certwright.domain.access import Permission, UseCase
from certwright.domain.errors import CertwrightError, Changed, ConfigurationError, NotFound
from certwright.domain.limits import Bucket, Key
from certwright.domain.managed import ManagedCertificate
from certwright.domain.renewal import Decision, Reason
from certwright.engine import first_request, hold
from certwright.engine.admission import admitted
from certwright.engine.context import ActiveRun, Engine
from certwright.engine.ledger import charges
from certwright.engine.schedule import decide
from certwright.store import UnitOfWork
from certwright.store.listing import Filter

MOST = 200
"""So many at once, named one by one."""
MOST_OF_ALL = 100_000
"""So many that a filter finds."""
_BATCH = 200
_SHOWN = 50
_REASONS = 10
_OTHERS = "Other reasons."


class Act(StrEnum):
    """What can be done to several."""

    REQUEST = "request"
    HOLD = "hold"
    RELEASE = "release"

    @property
    def permission(self) -> Permission:
        """What it takes."""
        return (UseCase.REQUEST if self is Act.REQUEST else UseCase.HOLD).permission


@dataclass(frozen=True, slots=True)
class Step:
    """What is done to one: `obstacle` says why nothing is; `at` is when its turn comes, None for at once."""

    managed: ManagedCertificate
    obstacle: str = ""
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Summary:
    """What would be done to many, or was: to `done` of them, and to others nothing, for some `obstacles`.

    `shown` are the first steps; `last_at` is when the last has its turn, None if that is at once. `seen` tells which
    certificates these are, so that no others are acted on than were looked at.
    """

    total: int
    done: int
    obstacles: Mapping[str, int]
    last_at: datetime | None
    shown: Sequence[Step]
    seen: str

    def data(self) -> dict[str, Any]:
        """As JSON values."""
        at = self.last_at.isoformat() if self.last_at else None
        counts = {"total": self.total, "done": self.done, "obstacles": dict(self.obstacles)}
        return {**counts, "last_at": at, "seen": self.seen}


def preview(engine: Engine, act: Act, ids: Sequence[str]) -> list[Step]:
    """What `carry_out` would do now to each that is still there, by title; nothing is changed."""
    return list(_steps(engine, act, ids))


def carry_out(engine: Engine, act: Act, ids: Sequence[str], reason: str = "") -> list[Step]:
    """Do it to each of those that nothing stands in the way of, and tell of the others.

    Args:
        engine: what to work with.
        act: what to do.
        ids: the managed certificates.
        reason: why they are held back.

    Raises:
        Forbidden: from where on the caller may not any more.
    """
    return [_one(engine, act, step, reason) for step in preview(engine, act, ids)]


def preview_all(engine: Engine, act: Act, wanted: Filter) -> Summary:
    """What `carry_out_all` would do now; nothing is changed.

    Raises:
        ConfigurationError: if there are too many.
    """
    ids = _all(engine, wanted)
    return _summary(_told(engine, len(ids), _steps(engine, act, ids)), _digest(ids))


def carry_out_all(engine: Engine, act: Act, wanted: Filter, reason: str = "", seen: str | None = None) -> Summary:
    """Do it to each that the filter finds and nothing stands in the way of; others may be changed meanwhile.

    Args:
        engine: what to work with.
        act: what to do.
        wanted: to which.
        reason: why they are held back.
        seen: what the preview tells of which these are, if somebody looked.

    Raises:
        Changed: if the filter finds others than were looked at; nothing is done then.
        ConfigurationError: if there are too many.
        Forbidden: from where on the caller may not any more.
    """
    ids = _all(engine, wanted)
    digest = _digest(ids)
    if seen not in (None, digest):
        raise Changed("These are not the certificates that were looked at.", hint="Look again first what would happen.")
    steps = (_one(engine, act, step, reason) for step in _steps(engine, act, ids))
    return _summary(_told(engine, len(ids), steps), digest)


def _digest(ids: Sequence[str]) -> str:
    return sha256(" ".join(sorted(ids)).encode()).hexdigest()[:32]


def _all(engine: Engine, wanted: Filter) -> Sequence[str]:
    with engine.store.read() as unit:
        ids = unit.listing.ids(wanted, MOST_OF_ALL + 1)
    if len(ids) > MOST_OF_ALL:
        raise ConfigurationError(
            f"These are more than {MOST_OF_ALL} certificates.", hint="Narrow the list, by a tag or an issuer."
        )
    return ids


def _told(engine: Engine, total: int, steps: Iterable[Step]) -> Iterator[Step]:
    """The steps, of which whoever waits hears how far they are."""
    journal = ActiveRun.unrecorded(engine).journal
    for number, step in enumerate(steps):
        if number % _BATCH == 0:
            journal.note(f"{number} of {total}")
        yield step


def _summary(steps: Iterable[Step], seen: str) -> Summary:
    shown, done, obstacles, last_at = list[Step](), 0, Counter[str](), None
    for step in steps:
        if len(shown) < _SHOWN:
            shown.append(step)
        if step.obstacle:
            obstacles[step.obstacle if step.obstacle in obstacles or len(obstacles) < _REASONS else _OTHERS] += 1
            continue
        done += 1
        if step.at and (last_at is None or step.at > last_at):
            last_at = step.at
    return Summary(done + obstacles.total(), done, dict(obstacles.most_common()), last_at, shown, seen)


def _steps(engine: Engine, act: Act, ids: Sequence[str]) -> Iterator[Step]:
    """What would be done to each that is still there; a bounded number is looked at in each transaction."""
    taken = Counter[Key]()
    for begin in range(0, len(ids), _BATCH):
        with engine.store.read() as unit:
            found = sorted(_found(unit, ids[begin : begin + _BATCH]), key=lambda each: each.title)
            if act is Act.REQUEST:
                steps = list(_requests(engine, unit, found, taken))
            else:
                steps = [_holding(unit, act, each) for each in found]
        yield from steps


def _holding(unit: UnitOfWork, act: Act, managed: ManagedCertificate) -> Step:
    is_held = unit.renewals.get(managed.id).hold is not None
    if act is Act.HOLD:
        return Step(managed, "It is held back already." if is_held else "")
    if first_request.waits(unit, managed.id):
        return Step(managed, "It waits for its first request: request it.")
    return Step(managed, "" if is_held else "It is not held back.")


def _one(engine: Engine, act: Act, step: Step, reason: str) -> Step:
    if step.obstacle:
        return step
    engine = admitted(engine)
    try:
        match act:
            case Act.REQUEST:
                hold.ask(engine, step.managed.id)
            case Act.HOLD:
                hold.hold(engine, step.managed.id, reason, None)
            case Act.RELEASE:
                hold.release(engine, step.managed.id)
    except CertwrightError as error:
        return Step(step.managed, " ".join(error.explain()))
    return step


def _found(unit: UnitOfWork, ids: Sequence[str]) -> Iterator[ManagedCertificate]:
    for each in dict.fromkeys(ids):
        try:
            yield unit.managed.get(each)
        except NotFound:
            continue


def _requests(
    engine: Engine, unit: UnitOfWork, found: Sequence[ManagedCertificate], taken: Counter[Key]
) -> Iterator[Step]:
    """One after another, as the authorities' rate limits let them through; `taken` is what those before them take."""
    now = engine.now()
    for managed in found:
        if obstacle := _obstacle(unit, managed, decide(engine, unit, managed)):
            yield Step(managed, obstacle)
            continue
        issuer = unit.issuers.get(managed.issuer)
        asked = charges(managed, issuer, unit.managed.current(managed.id))
        buckets = unit.ledger.get(charge.key for charge in asked)
        moments = [now]
        for charge in asked:
            taken[charge.key] += charge.takes
            bucket = buckets.get(charge.key, Bucket(now))
            moments.append(bucket.ready(charge.limit, now, max(taken[charge.key], 1)))
        at = max(moments)
        yield Step(managed, at=at if at > now else None)


def _obstacle(unit: UnitOfWork, managed: ManagedCertificate, decision: Decision) -> str:
    """Why a wish would not be heeded."""
    is_held = decision.reason is Reason.HELD and not first_request.waits(unit, managed.id)
    return decision.message if is_held or decision.reason is Reason.LIMITED else ""
