"""Preview: what a request and a deployment would do, decided and read but not done."""

from dataclasses import dataclass

from certwright.domain.deployment import Plan
from certwright.domain.errors import CertwrightError
from certwright.domain.managed import ManagedCertificate, TaskSettings, check_capabilities
from certwright.domain.renewal import Decision
from certwright.engine.context import Engine
from certwright.engine.deploy import make_task
from certwright.engine.schedule import decide
from certwright.sdk.journal import SilentJournal


@dataclass(frozen=True, slots=True)
class TaskPreview:
    """What a task would do now: its plan, or why there is none yet."""

    task: TaskSettings
    plan: Plan | None
    error: CertwrightError | None


@dataclass(frozen=True, slots=True)
class Preview:
    """What would happen. `obstacle` is why the authority would not issue; `resumes` an order that was begun."""

    managed: ManagedCertificate
    decision: Decision
    obstacle: CertwrightError | None
    resumes: bool
    tasks: tuple[TaskPreview, ...]


def preview(engine: Engine, reference: str) -> Preview:
    """Decide and plan; targets are read, nothing is changed."""
    with engine.store.read() as unit:
        managed = unit.managed.get(reference)
        decision = decide(engine, unit, managed)
        issuer = unit.issuers.get(managed.issuer)
        begun = unit.orders.get(managed.id)
    obstacle: CertwrightError | None = None
    try:
        check_capabilities(managed, issuer.capabilities)
    except CertwrightError as error:
        obstacle = error
    return Preview(
        managed=managed,
        decision=decision,
        obstacle=obstacle,
        resumes=begun is not None and begun.fingerprint == managed.fingerprint,
        tasks=tuple(_task(engine, managed, settings) for settings in managed.tasks if settings.enabled),
    )


def _task(engine: Engine, managed: ManagedCertificate, settings: TaskSettings) -> TaskPreview:
    with engine.store.read() as unit:
        version = unit.managed.current(managed.id)
    if version is None:
        return TaskPreview(settings, None, None)
    try:
        return TaskPreview(settings, make_task(engine, managed, version, settings, SilentJournal(), ()).plan(), None)
    except CertwrightError as error:
        return TaskPreview(settings, None, error)
