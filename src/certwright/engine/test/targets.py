"""The targets: each deployment task plans, which reads them and judges them, and changes nothing."""

from collections.abc import Iterator

from certwright.domain.deployment import Severity
from certwright.domain.errors import CertwrightError
from certwright.domain.managed import CertificateVersion, ManagedCertificate, TaskSettings
from certwright.domain.readiness import Check, Readiness, failed
from certwright.engine.commands import require_commands
from certwright.engine.context import ActiveRun, Engine
from certwright.engine.destinations import require_keys
from certwright.engine.task import is_action, make_task

_VERDICTS = {Severity.STOP: Readiness.FAILED, Severity.ASK: Readiness.FAILED, Severity.WARN: Readiness.WARNING}


def checks(engine: Engine, managed: ManagedCertificate, run: ActiveRun) -> Iterator[Check]:
    """What each enabled task's own preflight says."""
    with engine.store.read() as unit:
        version = unit.managed.current(managed.id)
    for settings in managed.tasks:
        if settings.enabled:
            try:
                yield from _target(engine, managed, version, settings, run)
            except CertwrightError as error:
                yield failed("target", settings.title, error)


def try_task(engine: Engine, reference: str, settings: TaskSettings) -> tuple[Check, ...]:
    """What a task says of itself that need not be stored; before there is a certificate, whether its target is reached.

    Raises:
        ConfigurationError: if a parameter is wrong, or a credential is missing.
        Forbidden: if it runs programs, or goes where no task of the certificate does, and who asks may not have that.
    """
    require_commands(engine, "tasks", settings.kind, settings.params)
    with engine.store.read() as unit:
        managed = unit.managed.get(reference)
        version = unit.managed.current(managed.id)
    require_keys(engine, settings.kind, settings.params, managed.tasks)
    run = ActiveRun.unrecorded(engine)
    if version is not None or is_action(settings):
        return tuple(_target(engine, managed, version, settings, run))
    names = make_task(engine, managed, None, settings, run.journal, (), attended=True).identify()
    reached = f"It was reached, and is {', '.join(names)}." if names else "Its parameters fit."
    return (_readable(settings, f"{reached} What would be changed is known when the first certificate is there."),)


def _readable(settings: TaskSettings, evidence: str) -> Check:
    return Check(check="target", subject=settings.title, verdict=Readiness.OK, evidence=evidence)


def _target(
    engine: Engine,
    managed: ManagedCertificate,
    version: CertificateVersion | None,
    settings: TaskSettings,
    run: ActiveRun,
) -> Iterator[Check]:
    if version is None and not is_action(settings):
        yield Check(
            check="target",
            subject=settings.title,
            verdict=Readiness.NOT_LOOKED_AT,
            evidence="A deployment is planned when the first certificate is there.",
        )
        return
    with run.journal.step(f"Look whether {settings.title} could run"):
        plan = make_task(engine, managed, version, settings, run.journal, (), attended=True).plan()
    for finding in plan.findings:
        if finding.severity in _VERDICTS:
            subject = f"{settings.title}, {finding.subject}" if finding.subject else settings.title
            verdict = _VERDICTS[finding.severity]
            yield Check(
                check=finding.check, subject=subject, verdict=verdict, evidence=finding.message, fix=finding.remedy
            )
    if not (plan.refusals or plan.questions):
        changes = f"{len(plan.changes)} changes would be made" if plan.changes else "everything is in place"
        read = f"It was read, and nothing is against a deployment: {changes}."
        yield _readable(settings, "It may be run." if is_action(settings) else read)
