"""Run the tasks of a managed certificate: those that have their turn, or the one that a person names."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from certwright.domain import triggers
from certwright.domain.deployment import Plan
from certwright.domain.errors import CertwrightError, ConfigurationError, DeploymentError, LeaseLost, WindowClosed
from certwright.domain.managed import ManagedCertificate
from certwright.domain.runs import RunKind, Stage
from certwright.domain.tasks import Role
from certwright.domain.triggers import Turn
from certwright.engine.action import act
from certwright.engine.admission import admitted
from certwright.engine.context import ActiveRun, Engine, running
from certwright.engine.deployment import Deployment, How, TaskResult
from certwright.engine.material import current_version
from certwright.engine.refusals import refuse_work
from certwright.engine.schedule import situation, states, turn_by_hand, turns
from certwright.engine.task import is_action
from certwright.engine.windows import entered
from certwright.store import Lease


def deploy(
    engine: Engine,
    reference: str,
    task: str | None = None,
    *,
    attended: bool = False,
    anytime: bool = False,
    approved: Callable[[Plan, Stage], None] = lambda *_: None,
    changed: Mapping[str, Any] = MappingProxyType({}),
) -> list[TaskResult]:
    """Run the tasks that put the current version to use, in their order, or the one named.

    What is in use already is looked at again; what ran and cannot be looked at is not run again, unless it is named.
    What an earlier run could not undo is undone first, and that is then all this run does for that task.

    Args:
        engine: what to work with.
        reference: the managed certificate.
        task: the one task to run, whatever its trigger; None runs all that have their turn, without regard to pauses.
        attended: whether a person started this and looks on.
        anytime: whether a person wishes it though the maintenance window is closed; else the results say that it is.
        approved: called with each plan of a deployment before anything is changed, and with the stage of what it is
            part of, which is applying where a run that was killed is gone on with; raises if it is not what was agreed
            to. Then the task stands where it stood.
        changed: parameters of the task that are other ones for this run.

    Raises:
        ConfigurationError: if there is nothing to deploy, or no task.
        LeaseHeld: if another run works on it.
    """
    how = How(attended, anytime, approved)
    with engine.store.read() as unit:
        found = unit.managed.get(reference)
    with engine.certificate_lease(found) as lease:
        with engine.store.read() as unit:
            managed = unit.managed.get(found.id)
            if task is None or not is_action(managed.task(task)):
                current_version(unit, managed)
        if task is None:
            _refuse_without_tasks(managed)
            return _in_turn(engine, managed, lease, how, patient=False, again=True)
        chosen = managed.task(task)
        with engine.store.read() as unit:
            turn = turn_by_hand(unit, managed, chosen)
        settings = chosen.model_copy(update={"params": {**chosen.params, **changed}})
        return [_run(engine, managed, replace(turn, task=settings), lease, how)]


def take_back(
    engine: Engine,
    reference: str,
    task: str,
    approved: Callable[[Plan, Stage], None],
    *,
    anytime: bool = False,
) -> TaskResult:
    """Take back what this task has put to use and verified; it stays so until a person, or a newer version, goes on.

    Args:
        engine: what to work with.
        reference: the managed certificate.
        task: the task.
        approved: called with the plan before anything is changed; raises if it is not what was agreed to.
        anytime: as of `deploy`.

    Raises:
        ConfigurationError: if there is no certificate, or no such task.
        LeaseHeld: if another run works on it.
    """
    with engine.store.read() as unit:
        found = unit.managed.get(reference)
    with engine.certificate_lease(found) as lease:
        with engine.store.read() as unit:
            managed = unit.managed.get(found.id)
            turn = turn_by_hand(unit, managed, managed.task(task))
        how = How(attended=True, anytime=anytime, approved=approved, undone=True)
        return _run(engine, managed, turn, lease, how)


def run_tasks(
    engine: Engine, found: ManagedCertificate, *, patient: bool = False, anytime: bool = False
) -> list[TaskResult]:
    """Run what is left to run: for the current version, or after a request that failed. Nothing left costs little.

    Args:
        engine: what to work with.
        found: the managed certificate, which is read anew.
        patient: keep the pauses after failures.
        anytime: as of `deploy`.

    Raises:
        LeaseHeld: if another run works on it.
    """
    if not _next(engine, found, Role.DEPLOYMENT, (), patient=patient):
        return []
    with engine.certificate_lease(found) as lease:
        with engine.store.read() as unit:
            managed = unit.managed.get(found.id)
        return _in_turn(engine, managed, lease, How(anytime=anytime), patient=patient)


def prepare(engine: Engine, managed: ManagedCertificate, run: ActiveRun) -> None:
    """Run the pre-request tasks as steps of a request; what an earlier run has done for the same attempt is done.

    Raises:
        DeploymentError: if one failed that stops others: then the authority must not be asked.
    """
    tried: set[str] = set()
    with engine.store.read() as unit:
        version = unit.managed.current(managed.id)
    while turn := _next(engine, managed, Role.PRE_REQUEST, tried):
        tried.add(turn.task.id)
        try:
            act(engine, managed, version, turn, run)
        except LeaseLost:
            raise
        except CertwrightError as error:
            run.journal.note(f"The task {turn.task.title!r} failed: {error.message}")
    with engine.store.read() as unit:
        stopping = triggers.stopping(managed.tasks, Role.PRE_REQUEST, states(unit, managed), situation(unit, managed))
    if stopping:
        task, state = stopping
        raise DeploymentError(
            f"The authority was not asked: the pre-request task {task.title!r} failed.",
            causes=state.message.splitlines(),
            hint=f"Try it by hand: certwright task run {managed.id} {task.id}",
        )


def _in_turn(
    engine: Engine, managed: ManagedCertificate, lease: Lease, how: How, *, patient: bool, again: bool = False
) -> list[TaskResult]:
    """Each task at most once: what has failed waits for its pause, or for a person."""
    results: dict[str, TaskResult] = {}
    while turn := _next(engine, managed, Role.DEPLOYMENT, results.keys(), patient=patient, again=again):
        results[turn.task.id] = _run(engine, managed, turn, lease, how)
    return list(results.values())


def _next(
    engine: Engine,
    managed: ManagedCertificate,
    role: Role,
    tried: Collection[str],
    *,
    patient: bool = False,
    again: bool = False,
) -> Turn | None:
    """Whose turn it is, by what is stored now."""
    with engine.store.read() as unit:
        waiting = turns(unit, managed, role, again=again)
    now = engine.now()
    return next((t for t in waiting if t.task.id not in tried and (not patient or t.has_come(now))), None)


def _run(engine: Engine, managed: ManagedCertificate, turn: Turn, lease: Lease, how: How) -> TaskResult:
    """One task, if whoever has it run still may; a failure is its result."""
    try:
        engine = admitted(engine)
        with engine.store.read() as unit:
            version = unit.managed.current(unit.managed.get(managed.id).id)
        told = entered(engine, managed, turn, anytime=how.anytime)
        if is_action(turn.task):
            with running(engine, managed, RunKind.TASK, lease) as run:
                if told:
                    run.journal.note(told)
                plan = act(engine, managed, version, turn, run, attended=how.attended)
            return TaskResult(turn.task, Stage.RAN, (), plan, None)
        with engine.store.read() as unit:
            deployment = Deployment(engine, managed, current_version(unit, managed), turn, lease, how)
    except LeaseLost:
        raise
    except CertwrightError as error:
        refuse_work(engine, error)
        stage = Stage.NEW if isinstance(error, WindowClosed) else Stage.FAILED
        return TaskResult(turn.task, stage, (), None, error)
    return deployment.carry_out(told)


def _refuse_without_tasks(managed: ManagedCertificate) -> None:
    if not managed.deploying:
        raise ConfigurationError(
            f"{managed.title!r} has no deployment task that runs when a version is issued.",
            causes=[f"{t.title}: {t.when if t.enabled else 'disabled'}" for t in managed.tasks],
            hint=f"Add one: certwright task add {managed.id} exchange ...",
        )
