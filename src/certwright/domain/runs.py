"""Runs: one attempt at something, with its journal; and how far the deployment of a task has come."""

from collections.abc import Collection
from datetime import datetime
from enum import StrEnum
from typing import Self

from pydantic import Field

from certwright.domain.deployment import ServedRow, between
from certwright.domain.managed import Value, new_id


class RunKind(StrEnum):
    """What a run attempts."""

    REQUEST = "request"
    DEPLOY = "deploy"
    TASK = "task"
    TEST = "test"
    REVOKE = "revoke"
    CLEANUP = "cleanup"
    LOOK = "look"


class Outcome(StrEnum):
    """How a step or a run ended; a run whose process died is interrupted."""

    DONE = "done"
    SKIPPED = "skipped"
    FAILED = "failed"
    WAITING = "waiting"
    INTERRUPTED = "interrupted"


class Phase(StrEnum):
    """What a journal entry tells of its step."""

    START = "start"
    NOTE = "note"
    END = "end"


class Entry(Value):
    """One line of a run's journal. `sequence` counts over all runs and is given by the store.

    `step` numbers the run's steps from 1 (0: the run itself), `parent` is the step around it.
    """

    sequence: int = 0
    run_id: str = ""
    at: datetime | None = None
    step: int
    parent: int = 0
    phase: Phase
    title: str
    outcome: Outcome | None = None
    detail: str = ""


class Run(Value):
    """One attempt. `message` says in one sentence how it ended."""

    id: str = Field(default_factory=new_id)
    managed_id: str
    kind: RunKind
    started_at: datetime
    ended_at: datetime | None = None
    outcome: Outcome | None = None
    message: str = ""


class Stage(StrEnum):
    """How far a task has come with its version.

    `waiting` waits for a person and goes forward then; `undoing` must go back before anything else is done. `ran` is
    the end of what no port can show.
    """

    NEW = "new"
    APPLYING = "applying"
    DEPLOYED = "deployed"
    RAN = "ran"
    WAITING = "waiting"
    UNDOING = "undoing"
    ROLLED_BACK = "rolled-back"
    FAILED = "failed"

    @property
    def is_success(self) -> bool:
        """Whether the task has done what it is for."""
        return self in (Stage.DEPLOYED, Stage.RAN)

    @property
    def is_failure(self) -> bool:
        """Whether it came to a stop before that."""
        return self in (Stage.WAITING, Stage.UNDOING, Stage.ROLLED_BACK, Stage.FAILED)


UNDER_WAY = "The deployment is under way."


class DeploymentState(Value):
    """Where one task stands: with which version, what was served before it began, and what was served last.

    `occasion` are the marks of what else it runs for (see `triggers`). `attempts` counts the failures for that alone,
    `failures` those since the last success, the first of them at `failing_since`; the next attempt is due at
    `retry_at`, and `retryable` says whether it can succeed before somebody changes something. `in_use` is the version
    that was deployed last, and `changed` says that changes were begun since that are neither proved nor taken back.
    `undone` is the version that a person had taken out of use: nothing but a person puts it to use again.
    """

    task_id: str
    managed_id: str
    version_id: str | None = None
    occasion: tuple[str, ...] = ()
    stage: Stage = Stage.NEW
    baseline: tuple[ServedRow, ...] = ()
    served: tuple[ServedRow, ...] = ()
    message: str = ""
    updated_at: datetime | None = None
    failures: int = 0
    failing_since: datetime | None = None
    retryable: bool = True
    attempts: int = 0
    retry_at: datetime | None = None
    in_use: str | None = None
    changed: bool = False
    undone: str | None = None

    @property
    def last_in_use(self) -> str | None:
        """`in_use`, also of a state that was kept before there was that field, unless something was begun since."""
        return self.in_use or (self.version_id if self.stage.is_success else None)

    @property
    def is_undone(self) -> bool:
        """Whether a person had it taken back, and that is done."""
        return self.stage is Stage.ROLLED_BACK and self.undone is not None

    @property
    def is_unfinished(self) -> bool:
        """Whether targets may be in a state between two versions."""
        return self.changed or self.stage in (Stage.APPLYING, Stage.UNDOING)

    @property
    def broken_off(self) -> str:
        """That it was broken off, as precisely as it was seen; for what is applied, and no run is at it."""
        seen = between(self.served)
        return f"The deployment was broken off half-way{f': {seen}' if seen else ''}."

    def word(self, *, deploying: bool) -> Stage | Outcome:
        """Its stage, or that it is interrupted; `deploying` is whether a run is at a deployment of the certificate."""
        is_broken_off = self.stage is Stage.APPLYING and (self.message or not deploying)
        return Outcome.INTERRUPTED if is_broken_off else self.stage

    def told(self, *, deploying: bool, by_itself: bool) -> str:
        """What a person is told of it; `deploying` is as of `word`, `by_itself` whether its task runs without them."""
        if self.word(deploying=deploying) is not Outcome.INTERRUPTED:
            return UNDER_WAY if self.stage is Stage.APPLYING else self.message
        how = "It goes on by itself. To go on at once" if by_itself and not self.message else "Go on with it"
        again = f"{how}: certwright task run {self.managed_id} {self.task_id}"
        return "\n".join(filter(None, (self.broken_off, self.message, again)))

    def is_for(self, version_id: str | None, marks: Collection[str]) -> bool:
        """Whether it stands there for all of this."""
        return self.version_id == version_id and set(marks) <= set(self.occasion)

    def begun(self, version_id: str | None, marks: tuple[str, ...], baseline: tuple[ServedRow, ...] = ()) -> Self:
        """Where it stands when it goes forward for this; what failed for something else is no attempt at it."""
        is_same = self.is_for(version_id, marks)
        update = {
            "stage": Stage.NEW,
            "version_id": version_id,
            "occasion": self.occasion if is_same else marks,
            "attempts": self.attempts if is_same else 0,
            "baseline": baseline,
            "served": (),
            "message": "",
            "retryable": True,
            "undone": None,
        }
        return self.model_copy(update=update)
