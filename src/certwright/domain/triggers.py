"""Which tasks are to run now, in which order, and for what: by what is stored, so that a kill forgets nothing.

What a task runs for is an *occasion*: a version that was issued, a request that failed, one that is about to be made,
another task's failure. A task runs until it has succeeded once for its occasion, and then no more.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from certwright.domain.clocks import happened
from certwright.domain.errors import ConfigurationError
from certwright.domain.managed import TaskSettings
from certwright.domain.renewal_state import Failure
from certwright.domain.runs import DeploymentState, Stage
from certwright.domain.tasks import Role, Trigger

_REGARDLESS = (Trigger.ALWAYS, Trigger.ON_TASK_FAILURE)


class OccasionKind(StrEnum):
    """Kinds of occasion; `by-hand` is a person's command where there is no other."""

    BEFORE_REQUEST = "before-request"
    ISSUED = "issued"
    REQUEST_FAILED = "request-failed"
    TASK_FAILED = "task-failed"
    BY_HAND = "by-hand"


@dataclass(frozen=True, slots=True)
class Occasion:
    """What a task runs for: the version that was current then, and the `marks` of what happened beside it.

    A task that has succeeded for these marks, or for more, is done. `message` says what failed, if something did.
    """

    kind: OccasionKind
    version_id: str | None = None
    marks: tuple[str, ...] = ()
    message: str = ""


BY_HAND = Occasion(OccasionKind.BY_HAND)


@dataclass(frozen=True, slots=True)
class Situation:
    """The current version, if there is one, and the failures of requests since it was issued."""

    version_id: str | None
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class Turn:
    """A task that is to run, for what, and when at the earliest, as was stored `since`; None is at once."""

    task: TaskSettings
    occasion: Occasion
    at: datetime | None = None
    since: datetime | None = None

    @property
    def heeds_window(self) -> bool:
        """Whether it waits for the maintenance window: what tells of a failure, or prepares a request, does not."""
        puts_to_use = self.occasion.kind in (OccasionKind.ISSUED, OccasionKind.BY_HAND)
        return puts_to_use and self.task.role is Role.DEPLOYMENT

    def has_come(self, now: datetime) -> bool:
        """Whether it may run now."""
        return self.begins(now) <= now

    def begins(self, now: datetime) -> datetime:
        """When it may run; now, if the clock was wrong that said when."""
        is_believed = self.since is None or happened(self.since, now)
        return max(self.at, now) if self.at and is_believed else now


States = Mapping[str, DeploymentState]


def turns(
    tasks: Sequence[TaskSettings], role: Role, states: States, situation: Situation, *, again: bool = False
) -> tuple[Turn, ...]:
    """The enabled tasks of this role that are to run, in their order; what waits for another task is not among them.

    Args:
        tasks: all tasks of the managed certificate.
        role: whose turns are asked for.
        states: where each task stands, by its id; what never began has none.
        situation: what became of the last request.
        again: also what is deployed and can be looked at again, and what was given up.
    """
    found: list[Turn] = []
    stopped: set[OccasionKind] = set()
    for task, occasion, state in _occasions(tasks, role, states, situation):
        is_open = not is_done(state, occasion)
        waits = occasion.kind in stopped and task.trigger not in _REGARDLESS
        if again:
            wanted = is_open or (state is not None and state.stage is Stage.DEPLOYED)
        else:
            wanted = is_open and not _is_given_up(task, state, occasion)
        if wanted and not waits:
            found.append(_turn(task, occasion, state if is_open else None))
        if task.stops and is_open:
            stopped.add(occasion.kind)
    return tuple(found)


def _turn(task: TaskSettings, occasion: Occasion, state: DeploymentState | None) -> Turn:
    return Turn(task, occasion, state.retry_at, state.updated_at) if state else Turn(task, occasion)


def by_hand(task: TaskSettings, tasks: Sequence[TaskSettings], states: States, situation: Situation) -> Turn:
    """The turn that a person's command gives to a task: for its own occasion, if there is one now.

    A pre-request task that is tried out is none the less to run before the next request.
    """
    own = (o for other, o, _ in _occasions(tasks, task.role, states, situation) if other.id == task.id)
    occasion = None if task.role is Role.PRE_REQUEST else next(own, None)
    return Turn(task, occasion or Occasion(OccasionKind.BY_HAND, situation.version_id))


def is_done(state: DeploymentState | None, occasion: Occasion) -> bool:
    """Whether the task has succeeded for this occasion, or a person had taken back what it would put to use."""
    if state is None:
        return False
    if state.is_undone and state.undone == occasion.version_id:
        return True
    return state.stage.is_success and state.is_for(occasion.version_id, occasion.marks)


def stopping(
    tasks: Sequence[TaskSettings], role: Role, states: States, situation: Situation
) -> tuple[TaskSettings, DeploymentState] | None:
    """The first task of this role that stops what comes after it, because it has failed; and where it stands."""
    for task, occasion, state in _occasions(tasks, role, states, situation):
        if task.stops and state and _has_failed(state, occasion):
            return task, state
    return None


def check_tasks(tasks: Sequence[TaskSettings]) -> None:
    """Refuse tasks that could never run, or not as it is meant.

    Raises:
        ConfigurationError: with the first that is wrong.
    """
    for place, task in enumerate(tasks):
        _check_trigger(task)
        if task.watched is not None and not any(t.id == task.watched and t.role is task.role for t in tasks[:place]):
            raise ConfigurationError(
                f"The task {task.title!r} waits for the failure of a task that does not run before it.",
                hint=f"It must be a {task.role} task that stands before {task.title!r}: certwright task list CERT",
            )


def _check_trigger(task: TaskSettings) -> None:
    if task.watched is not None and task.trigger is not Trigger.ON_TASK_FAILURE:
        raise ConfigurationError(
            f"The task {task.title!r} names a task whose failure it waits for, but its trigger is {task.trigger}.",
            hint=f"Give it --trigger {Trigger.ON_TASK_FAILURE}.",
        )
    if task.stops and task.trigger is Trigger.ON_TASK_FAILURE:
        raise ConfigurationError(
            f"The task {task.title!r} runs on another task's failure, and cannot stop the tasks after it.",
            hint="Have the task stop them whose failure it waits for.",
        )
    if task.role is not Role.PRE_REQUEST:
        return
    if task.trigger is Trigger.ON_FAILURE:
        raise ConfigurationError(
            f"The task {task.title!r} is to run before the request, so it cannot run on the failure of that.",
            hint="Make it a deployment task: those run after a request, also after one that failed.",
        )
    if task.retries is not None or task.retry_delay is not None:
        raise ConfigurationError(
            f"The task {task.title!r} runs before the request, and is tried again with that alone.",
            hint="Leave --retries and --retry-delay out.",
        )


def _occasions(
    tasks: Sequence[TaskSettings], role: Role, states: States, situation: Situation
) -> Iterator[tuple[TaskSettings, Occasion, DeploymentState | None]]:
    """What each enabled task of this role is for now; those are left out for which there is nothing."""
    failed: list[tuple[TaskSettings, DeploymentState]] = []
    for task in tasks:
        if not task.enabled or task.role is not role:
            continue
        occasion, state = _occasion(task, failed, situation), states.get(task.id)
        if occasion is not None:
            yield task, occasion, state
            if state and _has_failed(state, occasion):
                failed.append((task, state))


def _occasion(
    task: TaskSettings, failed: Sequence[tuple[TaskSettings, DeploymentState]], situation: Situation
) -> Occasion | None:
    """What the task is for now, where these tasks before it have failed."""
    version, failure = situation.version_id, situation.failure
    mark = f"{failure.at.isoformat()} {failure.count}" if failure else "first"
    match task.trigger:
        case Trigger.MANUAL:
            return None
        case Trigger.ON_TASK_FAILURE:
            return _task_failed(version, [(t, s) for t, s in failed if task.watched in (None, t.id)])
        case _ if task.role is Role.PRE_REQUEST:
            return Occasion(OccasionKind.BEFORE_REQUEST, version, (f"after {mark}",))
        case Trigger.ON_FAILURE | Trigger.ALWAYS if failure:
            return Occasion(OccasionKind.REQUEST_FAILED, version, (mark,), failure.headline)
        case Trigger.ON_SUCCESS | Trigger.ALWAYS if version:
            return Occasion(OccasionKind.ISSUED, version)
        case _:
            return None


def _task_failed(version: str | None, failed: Sequence[tuple[TaskSettings, DeploymentState]]) -> Occasion | None:
    if not failed:
        return None
    marks = tuple(f"{task.id} {state.failures} {state.updated_at}" for task, state in failed)
    message = "\n".join(f"{task.title}: {state.message.partition(chr(10))[0]}" for task, state in failed)
    return Occasion(OccasionKind.TASK_FAILED, version, marks, message)


def _has_failed(state: DeploymentState, occasion: Occasion) -> bool:
    return state.stage.is_failure and state.is_for(occasion.version_id, occasion.marks)


def _is_given_up(task: TaskSettings, state: DeploymentState | None, occasion: Occasion) -> bool:
    """Whether it failed so often for this occasion that it is left."""
    if state is None or not state.is_for(occasion.version_id, occasion.marks):
        return False
    return is_spent(task, state)


def is_spent(task: TaskSettings, state: DeploymentState | None) -> bool:
    """Whether it failed, for what it stands at, as often as it may; what has still to be taken back goes on."""
    if task.retries is None or state is None:
        return False
    return state.stage in (Stage.FAILED, Stage.ROLLED_BACK) and state.attempts > task.retries
