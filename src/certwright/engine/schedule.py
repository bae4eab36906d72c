"""What is due, and when to look again: the one writer of a managed certificate's next check, and of how it is."""

import random
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from certwright.domain import renewal, retry, triggers
from certwright.domain.errors import CertwrightError
from certwright.domain.health import Condition, judge
from certwright.domain.health_rules import HealthInput, TaskFacts
from certwright.domain.managed import ManagedCertificate, TaskSettings
from certwright.domain.persist import proved_so
from certwright.domain.renewal import Failure
from certwright.domain.runs import DeploymentState
from certwright.domain.tasks import Role
from certwright.domain.triggers import Situation, Turn
from certwright.domain.windows import Admission, Deadline, admit
from certwright.engine.context import Engine
from certwright.engine.material import version_facts
from certwright.store import UnitOfWork

_MAX_MESSAGE = 500


def decide(engine: Engine, unit: UnitOfWork, managed: ManagedCertificate, *, patient: bool = True) -> renewal.Decision:
    """Whether `managed` is due now, and why; without patience, whatever failed is tried again at once."""
    given = renewal_input(engine, unit, managed)
    if not patient and given.state.failure and not given.state.failure.by_peer:
        given = replace(given, state=given.state.model_copy(update={"failure": None}))
    return renewal.decide(given)


def renewal_input(engine: Engine, unit: UnitOfWork, managed: ManagedCertificate) -> renewal.RenewalInput:
    """All that the decision about a renewal looks at."""
    current = unit.managed.current(managed.id)
    facts = version_facts(current) if current else None
    state, revision = unit.renewals.get(managed.id), unit.managed.revision(managed.id)
    return renewal.RenewalInput(managed, current, facts, engine.now(), state, revision)


def health(engine: Engine, unit: UnitOfWork, managed: ManagedCertificate) -> Condition:
    """How it is now."""
    given, known = renewal_input(engine, unit, managed), states(unit, managed)
    return _judged(unit, given, known, unit.managed.next_check(managed.id))


def _judged(
    unit: UnitOfWork, given: renewal.RenewalInput, known: Mapping[str, DeploymentState], next_check: datetime | None
) -> Condition:
    seen = unit.looks.get(given.managed.id)
    enabled = [task for task in given.managed.tasks if task.enabled]
    tasks = tuple(TaskFacts(task, known.get(task.id), seen.tasks.get(task.id)) for task in enabled)
    return judge(HealthInput(given, tasks, seen.proof, next_check))


def turns(
    unit: UnitOfWork, managed: ManagedCertificate, role: Role = Role.DEPLOYMENT, *, again: bool = False
) -> tuple[Turn, ...]:
    """The tasks of `managed` that are to run, in their order, by what is stored."""
    return triggers.turns(managed.tasks, role, states(unit, managed), situation(unit, managed), again=again)


def turn_by_hand(unit: UnitOfWork, managed: ManagedCertificate, task: TaskSettings) -> Turn:
    """The turn that a person's command gives to a task."""
    return triggers.by_hand(task, managed.tasks, states(unit, managed), situation(unit, managed))


def states(unit: UnitOfWork, managed: ManagedCertificate) -> dict[str, DeploymentState]:
    """Where each task stands that has ever begun, by its id."""
    return {task.id: state for task in managed.tasks if (state := unit.deployments.get(task.id))}


def situation(unit: UnitOfWork, managed: ManagedCertificate) -> Situation:
    """What became of the last request."""
    current = unit.managed.current(managed.id)
    return Situation(current.id if current else None, unit.renewals.get(managed.id).failure)


def admitted(unit: UnitOfWork, managed: ManagedCertificate, turn: Turn, at: datetime) -> Admission:
    """Whether a task may begin at this moment, by the maintenance window, if what it does is to wait for that."""
    current = unit.managed.current(managed.id)
    window = managed.window_of(turn.task)
    if window is None or current is None or not turn.heeds_window:
        return Admission()
    state = unit.deployments.get(turn.task.id)
    in_use = unit.versions.get(state.last_in_use) if state and state.last_in_use else None
    replaced = in_use or current
    deadline = Deadline.of(version_facts(replaced), replaced.revoked_at, in_use=in_use is not None)
    is_unfinished = state is not None and state.is_unfinished
    return admit(unit.windows.get(window), deadline, at, is_unfinished=is_unfinished)


def reschedule(engine: Engine, unit: UnitOfWork, managed: ManagedCertificate) -> renewal.Decision:
    """Look again when it becomes due, when a task is to run and may, or when the authority's advice is asked for.

    What is decided for now is returned. Whoever changes anything that is known of it calls this in the same
    transaction; so how it is, is judged anew too.
    """
    given, known = renewal_input(engine, unit, managed), states(unit, managed)
    now, decision = given.now, renewal.decide(given)
    moments = [now if decision.due else decision.next_check]
    requested = Situation(given.current.id if given.current else None, given.state.failure)
    for turn in triggers.turns(managed.tasks, Role.DEPLOYMENT, known, requested):
        begin = max(turn.at, now) if turn.at else now
        moments.append(admitted(unit, managed, turn, begin).until or begin)
    if given.state.clean_up_at:
        moments.append(max(given.state.clean_up_at, now))
    next_check = min(moments)
    unit.managed.set_next_check(managed.id, next_check)
    if proved_so(managed) and unit.looks.next(managed.id) is None:
        unit.looks.schedule(managed.id, now)
    unit.healths.put(managed.id, _judged(unit, given, known, next_check))
    return decision


def note_failure(engine: Engine, unit: UnitOfWork, managed: ManagedCertificate, error: CertwrightError) -> None:
    """Remember that a request failed, and when it is tried again."""
    now = engine.now()
    state = unit.renewals.get(managed.id)
    before = state.failure
    current = unit.managed.current(managed.id)
    cause, count = retry.cause_of(error), before.count + 1 if before else 1
    wait = retry.retry_after(error)
    failure = Failure(
        cause=cause,
        count=count,
        since=before.since if before else now,
        at=now,
        retry_at=retry.next_attempt(
            cause,
            count,
            now,
            expires=version_facts(current).not_after if current else None,
            wait=wait,
            draw=random.random(),  # noqa: S311 - spreads work, protects nothing
        ),
        message=error.message[:_MAX_MESSAGE],
        revision=unit.managed.revision(managed.id),
        by_peer=wait is not None,
    )
    unit.renewals.save(managed.id, state.model_copy(update={"failure": failure}))


def note_success(engine: Engine, unit: UnitOfWork, managed: ManagedCertificate) -> None:
    """Forget the failures, and what the authority advised about an earlier version; it is asked about this one soon."""
    soon = engine.now() + renewal.ASK_AT_LEAST * random.random()  # noqa: S311 - spreads work, protects nothing
    state = unit.renewals.get(managed.id)
    unit.renewals.save(managed.id, state.model_copy(update={"failure": None, "advice": None, "ask_again": soon}))
