"""Preview: what a request and a deployment would do, decided and read but not done."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from certwright.domain.capabilities import check_issuer
from certwright.domain.deployment import Plan
from certwright.domain.errors import CertwrightError
from certwright.domain.managed import ManagedCertificate, TaskSettings
from certwright.domain.renewal import Decision
from certwright.domain.renewal_moments import renewed_after
from certwright.domain.tasks import Role
from certwright.domain.validation import choose
from certwright.engine.context import ActiveRun, Engine
from certwright.engine.material import version_facts
from certwright.engine.schedule import decide
from certwright.engine.task import is_action, make_task
from certwright.engine.windows import Held, held


@dataclass(frozen=True, slots=True)
class TaskPreview:
    """What a task would do now: its plan, or why there is none yet."""

    task: TaskSettings
    plan: Plan | None
    error: CertwrightError | None


@dataclass(frozen=True, slots=True)
class Preview:
    """What would happen. `obstacle` is why the authority would not issue; `resumes` an order that was begun.

    `held` are tasks that would wait for their maintenance window. `proofs` are the names, each with how it is proved;
    `authority` is what that of the first issuer is called, and `lifetime` how long its certificates are valid, or
    else the present one is, None if neither is known. `is_first` tells that nothing was issued yet.
    """

    managed: ManagedCertificate
    decision: Decision
    is_first: bool
    proofs: tuple[tuple[str, str], ...]
    authority: str
    lifetime: timedelta | None
    obstacle: CertwrightError | None
    resumes: bool
    tasks: tuple[TaskPreview, ...]
    held: tuple[Held, ...]

    @property
    def renewed_after(self) -> timedelta | None:
        """How old it is when it is renewed, unless the authority advises to do it sooner; None if that is not known."""
        return renewed_after(self.managed.renewal, self.lifetime) if self.lifetime else None

    def data(self) -> dict[str, Any]:
        """As JSON; spans of time are in seconds."""
        return {
            "first": self.is_first,
            "names": [{"name": name, "proof": proof} for name, proof in self.proofs],
            "authority": self.authority,
            "lifetime": self.lifetime.total_seconds() if self.lifetime else None,
            "renewed_after": self.renewed_after.total_seconds() if self.renewed_after else None,
            "due": self.decision.due,
            "reason": self.decision.reason.value,
            "message": self.decision.message,
            "resumes": self.resumes,
            "obstacle": list(self.obstacle.explain()) if self.obstacle else None,
            "tasks": [
                {
                    "task": item.task.id,
                    "plan": {**item.plan.model_dump(mode="json"), "digest": item.plan.digest} if item.plan else None,
                    "error": list(item.error.explain()) if item.error else None,
                }
                for item in self.tasks
            ],
            "held": [one.data() for one in self.held],
        }


def preview(engine: Engine, reference: str) -> Preview:
    """Decide and plan; targets are read, nothing is changed."""
    with engine.store.read() as unit:
        managed = unit.managed.get(reference)
        decision = decide(engine, unit, managed)
        issuer = unit.issuers.get(managed.issuer)
        begun = unit.orders.get(managed.id)
        waiting = held(engine, unit, managed)
        current = unit.managed.current(managed.id)
    lifetime = issuer.able(managed.asked_of(issuer).profile).lifetime
    if lifetime is None and current:
        lifetime = version_facts(current).lifetime
    obstacle: CertwrightError | None = None
    try:
        check_issuer(managed, issuer)
    except CertwrightError as error:
        obstacle = error
    return Preview(
        managed=managed,
        decision=decision,
        is_first=current is None,
        proofs=tuple((each.unicode, choose(managed.validations, each).title) for each in managed.identifiers),
        authority=issuer.title,
        lifetime=lifetime,
        obstacle=obstacle,
        resumes=begun is not None and begun.fingerprint == managed.fingerprint,
        tasks=tuple(_task(engine, managed, t) for role in Role for t in managed.tasks if t.enabled and t.role is role),
        held=waiting,
    )


def _task(engine: Engine, managed: ManagedCertificate, settings: TaskSettings) -> TaskPreview:
    with engine.store.read() as unit:
        version = unit.managed.current(managed.id)
    try:
        if version is None and not is_action(settings):
            return TaskPreview(settings, None, None)
        journal = ActiveRun.unrecorded(engine).journal
        plan = make_task(engine, managed, version, settings, journal, (), attended=True).plan()
    except CertwrightError as error:
        return TaskPreview(settings, None, error)
    return TaskPreview(settings, plan, None)
