"""Look at what is in use, daily: what deployments serve, and records in DNS that prove names; tell of what differs.

A few at a time are taken by whoever looks. What was seen, what is told of it, and when to look next are kept in one
transaction: who dies before that has not looked, and somebody looks again soon.
"""

import logging
import random
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeVar

from certwright.domain.deployment import Inspection
from certwright.domain.errors import CertwrightError, NotFound
from certwright.domain.events import Event
from certwright.domain.health import Condition
from certwright.domain.looks import SOON, Looks, ProofLook, TaskLook, Told, looked, next_look, proof_looked
from certwright.domain.managed import CertificateVersion, ManagedCertificate, TaskSettings
from certwright.domain.runs import DeploymentState, Entry, Outcome, Phase, Run, RunKind, Stage
from certwright.engine import persist
from certwright.engine.context import Engine
from certwright.engine.journal import RunJournal
from certwright.engine.material import version_facts
from certwright.engine.schedule import health
from certwright.engine.task import make_task
from certwright.probe.dns.persist import Judgement
from certwright.store import UnitOfWork

T = TypeVar("T")
log = logging.getLogger("certwright")
_AT_ONCE = 8
_BATCH = 32
_TAKEN_FOR = timedelta(minutes=15)
"""A look takes no longer; after that another one looks."""


@dataclass(frozen=True, slots=True)
class Looked:
    """What is known of a managed certificate after a look: how it is, what was seen, and what was told of it."""

    managed: ManagedCertificate
    health: Condition
    looks: Looks
    told: tuple[Told, ...]

    def data(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "id": self.managed.id,
            "title": self.managed.title,
            **self.health.model_dump(mode="json"),
            "told": [{"event": kind.value, "message": message, "hint": hint} for kind, message, hint in self.told],
            "tasks": {task: seen.model_dump(mode="json") for task, seen in self.looks.tasks.items()},
            "proof": self.looks.proof.model_dump(mode="json") if self.looks.proof else None,
        }


@dataclass(frozen=True, slots=True)
class _Deployed:
    """A task with where it stood, what was known of its ports, and the version that they should serve."""

    task: TaskSettings
    state: DeploymentState
    before: TaskLook
    version: CertificateVersion


@dataclass(frozen=True, slots=True)
class _Found:
    """What a look found: by task the inspection, or why there is none; and of the records in DNS the same."""

    tasks: tuple[tuple[_Deployed, Inspection | str], ...]
    proof: Judgement | str | None


def look_at_due(engine: Engine) -> list[Looked]:
    """Look at some of what is due, several at the same time; the rest the next time."""
    now = engine.now()
    with engine.store.read() as unit:
        if not unit.looks.is_due(now):
            return []
    with engine.store.write() as unit:
        taken = unit.looks.take(now, _BATCH, now + _TAKEN_FOR)
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="look") as pool:
        return [done for done in pool.map(lambda managed: _look(engine, managed), taken) if done]


def look_at(engine: Engine, reference: str) -> Looked:
    """Look at one now.

    Raises:
        NotFound: if there is none, or it was removed meanwhile.
    """
    with engine.store.read() as unit:
        managed = unit.managed.get(reference)
    if done := _look(engine, managed):
        return done
    raise NotFound(f"{managed.title!r} was removed meanwhile.")


def note_deployed(
    engine: Engine, unit: UnitOfWork, managed: ManagedCertificate, version: CertificateVersion, state: DeploymentState
) -> None:
    """Keep what was seen right after a deployment, and look again soon: what was told of before may be over."""
    seen, ends = unit.looks.get(managed.id), version_facts(version).not_after
    known = seen.tasks.get(state.task_id) or _unknown(version, state, engine.now())
    look = known.deployed_again(version.id, ends, state.served, engine.now())
    unit.looks.save(managed.id, seen.model_copy(update={"tasks": {**seen.tasks, state.task_id: look}}))
    unit.looks.schedule(managed.id, engine.now() + SOON)


def forget_look(unit: UnitOfWork, managed: ManagedCertificate, task: TaskSettings) -> None:
    """Forget what was seen of a deployment that is there no more."""
    seen = unit.looks.get(managed.id)
    kept = {task_id: look for task_id, look in seen.tasks.items() if task_id != task.id}
    unit.looks.save(managed.id, seen.model_copy(update={"tasks": kept}))


def _unknown(version: CertificateVersion, state: DeploymentState, now: datetime) -> TaskLook:
    """What is known of a deployment before the first look: what it said itself."""
    seen_at, ends = state.updated_at or now, version_facts(version).not_after
    return TaskLook(version_id=version.id, not_after=ends, seen_at=seen_at, rows=state.served)


def _look(engine: Engine, managed: ManagedCertificate) -> Looked | None:
    """None if it was removed meanwhile."""
    with engine.store.read() as unit:
        deployed = list(_deployed(unit, managed, engine.now()))

    def inspect(one: _Deployed) -> Inspection:
        journal = RunJournal(lambda entry: entry, engine.listen)
        return make_task(engine, managed, one.version, one.task, journal, (), attended=False).inspect()

    tasks = tuple((one, _or_why_not(managed, partial(inspect, one))) for one in deployed)
    found = _Found(tasks, _or_why_not(managed, lambda: persist.look(engine, managed, engine.now())))
    try:
        with engine.store.write() as unit:
            return _keep(engine, unit, managed.id, found)
    except NotFound:
        return None


def _or_why_not(managed: ManagedCertificate, see: Callable[[], T]) -> T | str:
    """What is seen, or why nothing is; whatever goes wrong with one keeps no other from being looked at."""
    try:
        return see()
    except CertwrightError as error:
        return error.message
    except Exception as error:
        log.exception("unexpected, at a look at %s", managed.title, extra={"certificate": managed.id})
        return f"An unexpected {type(error).__name__} stopped the look: this is a fault in Certwright."


def _deployed(unit: UnitOfWork, managed: ManagedCertificate, now: datetime) -> Iterator[_Deployed]:
    """The enabled tasks whose deployment succeeded, and is not being changed."""
    seen = unit.looks.get(managed.id)
    for task in managed.tasks:
        state = unit.deployments.get(task.id)
        if not task.enabled or state is None or state.stage is not Stage.DEPLOYED or state.version_id is None:
            continue
        version = unit.versions.get(state.version_id)
        yield _Deployed(task, state, seen.tasks.get(task.id) or _unknown(version, state, now), version)


def _keep(engine: Engine, unit: UnitOfWork, managed_id: str, found: _Found) -> Looked:
    """Keep what was found, unless a deployment or another look was faster, with all that follows from it."""
    now, managed = engine.now(), unit.managed.get(managed_id)
    known = unit.looks.get(managed.id)
    ids = {task.id for task in managed.tasks}
    tasks = {task: look for task, look in known.tasks.items() if task in ids}
    told: list[Told] = []
    overtaken = False
    for one, inspection in found.tasks:
        stands = unit.deployments.get(one.task.id) == one.state
        if not stands or known.tasks.get(one.task.id) not in (None, one.before):
            overtaken = True
            continue
        tasks[one.task.id], news = looked(one.before, inspection, now, f"certwright deploy {managed.id}")
        told += [news] if news else []
    proof, news = _proved(known.proof, found.proof, now)
    told += [news] if news else []
    looks = Looks(tasks=tasks, proof=proof)
    _tell(engine, unit, managed, told)
    unit.looks.save(managed.id, looks)
    if not overtaken:  # who was faster has said when to look again
        draw = random.random()  # noqa: S311 - spreads work, protects nothing
        unit.looks.schedule(managed.id, next_look(looks, now, draw) if looks != Looks() else None)
    condition = health(engine, unit, managed)
    unit.healths.put(managed.id, condition)
    return Looked(managed, condition, looks, tuple(told))


def _proved(
    before: ProofLook | None, found: Judgement | str | None, now: datetime
) -> tuple[ProofLook | None, Told | None]:
    match found:
        case None:
            return None, None
        case str():
            return proof_looked(before, None, "", found, now)
        case _:
            return proof_looked(before, found.ends, found.name, " ".join(found.causes), now)


def _tell(engine: Engine, unit: UnitOfWork, managed: ManagedCertificate, told: Sequence[Told]) -> None:
    """Events, and a run whose journal says the same; looks that have nothing to tell leave none."""
    if not told:
        return
    now = engine.now()
    run = Run(managed_id=managed.id, kind=RunKind.LOOK, started_at=now)
    unit.runs.start(run)
    for kind, message, hint in told:
        unit.runs.append(Entry(run_id=run.id, at=now, step=0, phase=Phase.NOTE, title=message, detail=hint))
        unit.events.add(Event(kind=kind, managed_id=managed.id, at=now, message=message, hint=hint, run_id=run.id))
    unit.runs.finish(run.id, Outcome.DONE, told[-1][1], now)
