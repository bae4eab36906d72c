"""Runs: one attempt at something, with its journal; and how far the deployment of a task has come."""

from datetime import datetime
from enum import StrEnum

from pydantic import Field

from certwright.domain.deployment import ServedRow
from certwright.domain.managed import Value, new_id


class RunKind(StrEnum):
    """What a run attempts."""

    REQUEST = "request"
    DEPLOY = "deploy"
    TEST = "test"
    REVOKE = "revoke"


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
    """One line of a run's journal. `sequence` counts over all runs and is given by the store, as is `run_id`.

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

    `waiting` waits for a person and goes forward then; `undoing` must go back before anything else is done.
    """

    NEW = "new"
    APPLYING = "applying"
    DEPLOYED = "deployed"
    WAITING = "waiting"
    UNDOING = "undoing"
    ROLLED_BACK = "rolled-back"
    FAILED = "failed"


class DeploymentState(Value):
    """Where one task stands: with which version, what was served before it began, and what was served last."""

    task_id: str
    managed_id: str
    version_id: str | None = None
    stage: Stage = Stage.NEW
    baseline: tuple[ServedRow, ...] = ()
    served: tuple[ServedRow, ...] = ()
    message: str = ""
    updated_at: datetime | None = None
