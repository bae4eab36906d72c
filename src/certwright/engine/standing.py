"""Where one task stands: stored before each change of direction, with the moment at which it is tried again."""

import logging
import random
from datetime import timedelta
from typing import Any

from certwright.domain.deployment import ServedRow
from certwright.domain.errors import CertwrightError, DeploymentError
from certwright.domain.events import EventKind
from certwright.domain.managed import CertificateVersion, ManagedCertificate, TaskSettings
from certwright.domain.retry import Cause, next_attempt
from certwright.domain.runs import DeploymentState, Stage
from certwright.domain.triggers import Turn
from certwright.engine.context import ActiveRun, Engine
from certwright.engine.looks import note_deployed
from certwright.engine.material import version_facts
from certwright.engine.schedule import reschedule
from certwright.store import Lease

log = logging.getLogger("certwright")
_CHANGED = {Stage.APPLYING: True, Stage.DEPLOYED: False, Stage.ROLLED_BACK: False, Stage.RAN: False}
"""What is true of targets once a stage is reached: whether they are between two versions; the others change nothing."""


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
        self.state = self.state.model_copy(update=update)
        with self._engine.store.write(*self.leases) as unit:
            unit.deployments.save(self.state)
            if self.version and stage is Stage.DEPLOYED:
                note_deployed(self._engine, unit, self._managed, self.version, self.state)
            reschedule(self._engine, unit, self._managed)

    def later(self, cause: Cause, wait: timedelta | None = None) -> dict[str, Any]:
        """This failure, counted, and when it is tried again after it."""
        self._is_counted = True
        failures, now = self.state.failures + 1, self._engine.now()
        if self.task.retry_delay is not None:
            moment = now + max(self.task.retry_delay, wait or timedelta())
        else:
            moment = next_attempt(
                cause,
                failures,
                now,
                expires=version_facts(self.version).not_after if self.version else None,
                wait=wait,
                draw=random.random(),  # noqa: S311 - spreads work, protects nothing
            )
        return {"failures": failures, "attempts": self.state.attempts + 1, "retry_at": moment}

    def tell(self, run: ActiveRun, kind: EventKind, message: str, hint: str = "") -> None:
        """Record an event about the version."""
        event = run.event(kind, self._managed, self._engine.now(), message, hint)
        version_id = self.version.id if self.version else None
        self._engine.record(event.model_copy(update={"version_id": version_id}), *self.leases)

    def _pause(self, stage: Stage, wait: timedelta | None) -> dict[str, Any]:
        """When it is tried again after it has come to a stop here."""
        if stage.is_success:
            return {"failures": 0, "attempts": 0, "retry_at": None}
        if not stage.is_failure or self._is_counted:
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
