"""Preview: what a request and a deployment would do, decided and read but not done."""

from dataclasses import dataclass

from certwright.domain.capabilities import check_issuer
from certwright.domain.deployment import Plan
from certwright.domain.errors import CertwrightError
from certwright.domain.managed import ManagedCertificate, TaskSettings
from certwright.domain.renewal import Decision
from certwright.domain.tasks import Role
from certwright.engine.context import Engine
from certwright.engine.schedule import decide
from certwright.engine.task import is_action, make_task
from certwright.engine.windows import Held, held
from certwright.sdk.journal import SilentJournal


@dataclass(frozen=True, slots=True)
class TaskPreview:
    """What a task would do now: its plan, or why there is none yet."""

    task: TaskSettings
    plan: Plan | None
    error: CertwrightError | None


@dataclass(frozen=True, slots=True)
class Preview:
    """What would happen. `obstacle` is why the authority would not issue; `resumes` an order that was begun.

    `held` are tasks that would wait for their maintenance window.
    """

    managed: ManagedCertificate
    decision: Decision
    obstacle: CertwrightError | None
    resumes: bool
    tasks: tuple[TaskPreview, ...]
    held: tuple[Held, ...]


def preview(engine: Engine, reference: str) -> Preview:
    """Decide and plan; targets are read, nothing is changed."""
    with engine.store.read() as unit:
        managed = unit.managed.get(reference)
        decision = decide(engine, unit, managed)
        issuer = unit.issuers.get(managed.issuer)
        begun = unit.orders.get(managed.id)
        waiting = held(engine, unit, managed)
    obstacle: CertwrightError | None = None
    try:
        check_issuer(managed, issuer)
    except CertwrightError as error:
        obstacle = error
    return Preview(
        managed=managed,
        decision=decision,
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
        plan = make_task(engine, managed, version, settings, SilentJournal(), (), attended=True).plan()
    except CertwrightError as error:
        return TaskPreview(settings, None, error)
    return TaskPreview(settings, plan, None)
