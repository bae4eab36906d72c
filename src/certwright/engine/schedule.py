"""What is due, and when to look again: the one writer of a managed certificate's next check, and of how it is."""

import random
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from certwright.domain import explained, renewal, retry, triggers
from certwright.domain.advice import ASK_AT_LEAST, is_asked_later
from certwright.domain.clocks import LOOKED_AT_LEAST
from certwright.domain.errors import CertwrightError
from certwright.domain.health import Condition, judge
from certwright.domain.health_input import HealthInput, TaskFacts
from certwright.domain.managed import ManagedCertificate, TaskSettings
from certwright.domain.persist import proved_so
from certwright.domain.renewal_state import Failure
from certwright.domain.runs import DeploymentState
from certwright.domain.tasks import Role
from certwright.domain.triggers import Situation, Turn
from certwright.domain.windows import Admission, Deadline, admit
from certwright.engine.context import Engine
from certwright.engine.material import version_facts
from certwright.engine.scrub import without_looks
from certwright.store import UnitOfWork


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
    waits = _waits(unit, given, known)
    tasks = tuple(
        TaskFacts(task, state, seen.tasks.get(task.id), _in_use_until(unit, given, task, state), waits.get(task.id, ""))
        for task in enabled
        for state in [known.get(task.id)]
    )
    found = HealthInput(given, tasks, seen.proof, next_check)
    if any(found.applied()):
        found = replace(found, deploying=unit.runs.is_deploying(given.managed.id, given.now))
    return judge(found)


def _waits(unit: UnitOfWork, given: renewal.RenewalInput, known: Mapping[str, DeploymentState]) -> dict[str, str]:
    """Why tasks wait for their maintenance windows, by their ids."""
    if not any(map(given.managed.window_of, given.managed.tasks)):
        return {}
    found = {
        turn.task.id: admitted(unit, given.managed, turn, turn.begins(given.now)) for turn in _coming(given, known)
    }
    return {task: admission.message for task, admission in found.items() if admission.until}


def _coming(given: renewal.RenewalInput, known: Mapping[str, DeploymentState]) -> tuple[Turn, ...]:
    """The deployments that are to run, by what is known."""
    requested = Situation(given.current.id if given.current else None, given.state.failure)
    return triggers.turns(given.managed.tasks, Role.DEPLOYMENT, known, requested)


def _in_use_until(
    unit: UnitOfWork, given: renewal.RenewalInput, task: TaskSettings, state: DeploymentState | None
) -> datetime | None:
    """When the version ends that the task put to use last, if that is what it is for."""
    if state is None or state.last_in_use is None or not task.puts_to_use:
        return None
    if given.current and given.facts and state.last_in_use == given.current.id:
        return given.facts.not_after
    return version_facts(unit.versions.get(state.last_in_use)).not_after


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

    At the latest a day later: a moment that a wrong clock has stored is mended by a look.
    What is decided for now is returned. Whoever changes anything that is known of it calls this in the same
    transaction; so how it is, is judged anew too.
    """
    given, known = renewal_input(engine, unit, managed), states(unit, managed)
    now, decision = given.now, renewal.decide(given)
    moments = [now if decision.due else decision.next_check]
    for turn in _coming(given, known):
        begin = turn.begins(now)
        moments.append(admitted(unit, managed, turn, begin).until or begin)
    if given.state.clean_up_at:
        moments.append(max(given.state.clean_up_at, now))
    if given.state.ask_again and given.current and not given.current.revoked_at:
        moments.append(
            given.state.ask_again if is_asked_later(given.state, now) else now
        )  # whatever holds the renewal: a person may have to release it
    next_check = min(*moments, now + LOOKED_AT_LEAST)
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
        since=min(before.since, now) if before else now,
        at=now,
        retry_at=retry.next_attempt(
            cause,
            count,
            now,
            expires=version_facts(current).not_after if current else None,
            wait=wait,
            draw=random.random(),  # noqa: S311 - spreads work, protects nothing
        ),
        message=without_looks(explained.kept(error)),
        revision=unit.managed.revision(managed.id),
        by_peer=wait is not None and cause is retry.Cause.LIMIT,
    )
    unit.renewals.save(managed.id, state.model_copy(update={"failure": failure, "wish": None}))


def note_success(engine: Engine, unit: UnitOfWork, managed: ManagedCertificate) -> None:
    """Forget failures, wishes, and what was advised about an earlier version; about this one it is asked soon."""
    soon = engine.now() + ASK_AT_LEAST * random.random()  # noqa: S311 - spreads work, protects nothing
    state = unit.renewals.get(managed.id)
    forgotten = {"failure": None, "wish": None, "advice": None}
    unit.renewals.save(managed.id, state.model_copy(update={**forgotten, "ask_again": soon}))
