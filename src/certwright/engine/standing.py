"""Where one task stands: stored before each change of direction, with the moment at which it is tried again."""

import logging
import random
from datetime import datetime, timedelta
from typing import Any

from certwright.domain.deployment import ServedRow, recognised
from certwright.domain.errors import CertwrightError, DeploymentError
from certwright.domain.events import EventKind
from certwright.domain.managed import CertificateVersion, ManagedCertificate, TaskSettings
from certwright.domain.retry import Cause, next_attempt
from certwright.domain.runs import DeploymentState, Stage
from certwright.domain.triggers import Turn, is_spent
from certwright.engine.context import ActiveRun, Engine
from certwright.engine.looks import forget_look, note_deployed
from certwright.engine.material import version_facts
from certwright.engine.schedule import reschedule
from certwright.store import Lease

log = logging.getLogger("certwright")
_CHANGED = {Stage.APPLYING: True, Stage.DEPLOYED: False, Stage.ROLLED_BACK: False, Stage.RAN: False}
"""What is true of targets once a stage is reached: whether they are between two versions; the others change nothing."""
_NO_FAILURE: dict[str, Any] = {"failures": 0, "failing_since": None, "attempts": 0, "retry_at": None}


class Standing:
    """The state of one task in one run; each change of it is on disk when the call returns.

    `version` is None for an action before the first certificate. `leases` are those that each write checks.
    """

    def __init__(
        self,
        engine: Engine,
        managed: ManagedCertificate,
        version: CertificateVersion | None,
        turn: Turn,
        *leases: Lease,
    ) -> None:
        self.turn = turn
        self.version = version
        self.leases = leases
        self._engine = engine
        self._managed = managed
        self._is_counted = False
        with engine.store.read() as unit:
            known = unit.deployments.get(turn.task.id)
        self.state = known or DeploymentState(task_id=turn.task.id, managed_id=managed.id)

    @property
    def task(self) -> TaskSettings:
        """What the user wants of it."""
        return self.turn.task

    def begin(self, baseline: tuple[ServedRow, ...] = ()) -> None:
        """Go forward for this run's occasion; nothing of that is stored before something is done."""
        occasion = self.turn.occasion
        self.state = self.state.begun(occasion.version_id, occasion.marks, baseline)

    def move(self, stage: Stage, *, wait: timedelta | None = None, **changes: Any) -> None:
        """Store that it has come to `stage`; `wait` is how long the target asked us to wait."""
        update = {
            "stage": stage,
            "updated_at": self._engine.now(),
            "changed": _CHANGED.get(stage, self.state.changed),
            "in_use": self.version.id if self.version and stage.is_success else self.state.in_use,
            **self._pause(stage, wait),
            **changes,
        }
        if "served" in update:
            update["served"] = recognised(update["served"], self.state.baseline)
        self.state = self.state.model_copy(update=update)
        with self._engine.store.write(*self.leases) as unit:
            unit.deployments.save(self.state)
            if self.version and stage is Stage.DEPLOYED:
                note_deployed(self._engine, unit, self._managed, self.version, self.state)
            reschedule(self._engine, unit, self._managed)

    def undone(self, *, is_kept: bool) -> None:
        """Store that a person had it taken back: it is no failure, and not looked at, until they say otherwise.

        `is_kept` tells that some port goes on serving it.
        """
        self.move(Stage.ROLLED_BACK, message="", **_NO_FAILURE, in_use=self.state.in_use if is_kept else None)
        with self._engine.store.write(*self.leases) as unit:
            forget_look(unit, self._managed, self.task)
            reschedule(self._engine, unit, self._managed)

    def later(self, cause: Cause, wait: timedelta | None = None) -> dict[str, Any]:
        """This failure, which counts once in a run, and when it is tried again after it."""
        count, self._is_counted = int(not self._is_counted), True
        failures, now = self.state.failures + count, self._engine.now()
        if self.task.retry_delay is not None:
            moment = now + max(self.task.retry_delay, wait or timedelta())
        else:
            moment = next_attempt(
                cause,
                failures,
                now,
                expires=self._ends(),
                wait=wait,
                draw=random.random(),  # noqa: S311 - spreads work, protects nothing
            )
        return {
            "failures": failures,
            "failing_since": self.state.failing_since or now,
            "attempts": self.state.attempts + count,
            "retry_at": moment,
        }

    def _ends(self) -> datetime | None:
        """When what is in use ends; of what was never put to use, the version itself."""
        version = self.version
        if version and self.state.last_in_use:
            with self._engine.store.read() as unit:
                version = unit.versions.get(self.state.last_in_use)
        return version_facts(version).not_after if version else None

    def tell(self, run: ActiveRun, kind: EventKind, message: str, hint: str = "") -> None:
        """Record an event about the version; and that it was the last attempt, if it was."""
        self._record(run, kind, message, hint)
        if is_spent(self.task, self.state):
            why = f"{self.task.title} failed as often as it may, and is not tried again: {message}"
            by_hand = f"certwright task run {self._managed.id} {self.task.id}"
            self._record(run, EventKind.GIVEN_UP, why, f"When the cause is gone, run it: {by_hand}")

    def _record(self, run: ActiveRun, kind: EventKind, message: str, hint: str) -> None:
        event = run.event(kind, self._managed, self._engine.now(), message, hint)
        version_id = self.version.id if self.version else None
        self._engine.record(event.model_copy(update={"version_id": version_id}), *self.leases)

    def _pause(self, stage: Stage, wait: timedelta | None) -> dict[str, Any]:
        """When it is tried again after it has come to a stop here; at once, if it is killed on its way."""
        if stage.is_success:
            return _NO_FAILURE
        if self._is_counted:
            return {}
        if stage is Stage.APPLYING:
            return {"retry_at": None}
        if not stage.is_failure:
            return {}
        return self.later(Cause.PERSON if stage is Stage.WAITING else Cause.DEPLOYMENT, wait)


def said(error: CertwrightError) -> str:
    """An error as it is stored."""
    return "\n".join(error.explain())


def fault(task: TaskSettings, error: Exception) -> DeploymentError:
    """What a person is told of an exception that no plugin should raise; the log has all of it."""
    log.error("unexpected, in the task %s", task.title, exc_info=error)
    return DeploymentError(
        f"An unexpected {type(error).__name__} stopped it: this is a fault in the task {task.kind!r}.",
        hint="The log has the details; tell whoever wrote it.",
    )
