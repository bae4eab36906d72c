"""What the rules of health look at: a managed certificate, its tasks, and what was seen of them last. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property

from certwright.domain import renewal
from certwright.domain.looks import ProofLook, TaskLook
from certwright.domain.managed import TaskSettings
from certwright.domain.renewal import Decision, RenewalInput
from certwright.domain.renewal_state import Failure
from certwright.domain.retry import Cause
from certwright.domain.runs import DeploymentState, Stage
from certwright.domain.triggers import is_spent


@dataclass(frozen=True, slots=True)
class TaskFacts:
    """An enabled task: how far it has come (None: it never began), and what was seen of what it deployed last.

    `in_use_until` is the end of the version that it put to use last; None if it never did. `waits` tells until when it
    waits for its maintenance window; empty if it does not.
    """

    settings: TaskSettings
    state: DeploymentState | None = None
    look: TaskLook | None = None
    in_use_until: datetime | None = None
    waits: str = ""

    @property
    def ends(self) -> datetime | None:
        """When what it has in use ends: as it was seen, else by what it did."""
        return self.look.not_after if self.look else self.in_use_until


@dataclass(frozen=True)
class HealthInput:
    """All that the rules look at. `planned_at` is when something is, or was, to be done next; None for never.

    `deploying` is whether a run is at its deployment.
    """

    renewal: RenewalInput
    tasks: tuple[TaskFacts, ...] = ()
    proof: ProofLook | None = None
    planned_at: datetime | None = None
    deploying: bool = False

    @cached_property
    def decision(self) -> Decision:
        """Whether a renewal is due; when the authority is asked for advice next is no matter here."""
        state = self.renewal.state.model_copy(update={"ask_again": None})
        return renewal.decide(replace(self.renewal, state=state))

    @property
    def now(self) -> datetime:
        """The moment that is asked about."""
        return self.renewal.now

    @property
    def failure(self) -> Failure | None:
        """Why the last requests failed."""
        return self.renewal.failure

    @property
    def waits_for_person(self) -> bool:
        """Whether the renewal goes on when a person has done something."""
        return self.failure is not None and self.failure.cause is Cause.PERSON

    @cached_property
    def ends(self) -> datetime | None:
        """When the first certificate in use ends: the current version, or an earlier one that a task put to use."""
        ends = [task.ends for task in self.tasks]
        ends += [self.renewal.facts.not_after] if self.renewal.facts else []
        return min(filter(None, ends), default=None)

    def starts(self, span: timedelta, share: float) -> datetime | None:
        """When less than `span`, and than this share of the lifetime, is left of what is in use."""
        if self.ends is None or self.renewal.facts is None:
            return None
        return self.ends - min(span, self.renewal.facts.lifetime * share)

    def is_within(self, span: timedelta, share: float) -> bool:
        """Whether that has come."""
        start = self.starts(span, share)
        return start is not None and start <= self.now

    def waiting(self) -> Iterator[tuple[TaskFacts, DeploymentState]]:
        """The tasks that have begun and did not put the current version to use, and where they stand."""
        for task in self.tasks:
            if task.state and not task.state.is_undone and not self.is_deployed(task):
                yield task, task.state

    def applied(self) -> Iterator[tuple[TaskSettings, DeploymentState]]:
        """The tasks of which changes were begun that are neither proved nor taken back, and where they stand."""
        for task in self.tasks:
            if task.state and task.state.stage is Stage.APPLYING:
                yield task.settings, task.state

    def given_up(self) -> Iterator[TaskFacts]:
        """The tasks that failed for the current version as often as they may."""
        for task in self.tasks:
            is_current = task.state and self.renewal.current and task.state.version_id == self.renewal.current.id
            if is_current and is_spent(task.settings, task.state):
                yield task

    def is_deployed(self, task: TaskFacts) -> bool:
        """Whether the current version was put to use, and seen to be."""
        current, state = self.renewal.current, task.state
        return bool(current and state and state.stage.is_success and state.version_id == current.id)

    def command(self, words: str) -> str:
        """A command about this certificate."""
        return f"certwright {words} {self.renewal.managed.id}"
