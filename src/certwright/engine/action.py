"""One action: it runs, or it fails; nothing shows it, and nothing is taken back."""

from certwright.domain.audit import Action
from certwright.domain.deployment import Plan
from certwright.domain.errors import CertwrightError, DeploymentError, LeaseLost
from certwright.domain.events import EventKind
from certwright.domain.managed import CertificateVersion, ManagedCertificate
from certwright.domain.retry import cause_of
from certwright.domain.runs import Stage
from certwright.domain.triggers import Turn
from certwright.engine import catalog
from certwright.engine.commands import require_to_run
from certwright.engine.context import ActiveRun, Engine
from certwright.engine.standing import Standing, fault, said
from certwright.engine.task import make_task
from certwright.store.managed import subject


def act(
    engine: Engine,
    managed: ManagedCertificate,
    version: CertificateVersion | None,
    turn: Turn,
    run: ActiveRun,
    *,
    attended: bool = False,
) -> Plan:
    """Have an action run as a step of `run`; what it did.

    Whatever a plugin raises is a failure of the task, and of nothing else.

    Raises:
        Forbidden: if it runs programs, and who has it run may not have that; then the task stands where it stood.
        LeaseLost: if another run has taken over.
        CertwrightError: if it failed; that is stored, and when it is tried again.
    """
    require_to_run(engine, catalog.plugin("tasks", turn.task.kind).cls)
    standing = Standing(engine, managed, version, turn, *run.leases)
    had_failed, in_use = standing.state.failures > 0, standing.state.last_in_use
    standing.begin()
    standing.move(Stage.APPLYING)
    try:
        with run.journal.step(f"Task {turn.task.title}"):
            plan = _carry_out(engine, managed, version, turn, run, attended=attended)
    except LeaseLost:
        raise
    except Exception as error:
        failure = error if isinstance(error, CertwrightError) else fault(turn.task, error)
        later = standing.later(cause_of(failure), failure.retry_after)
        standing.move(Stage.FAILED, message=said(failure), changed=False, **later)
        standing.tell(run, EventKind.DEPLOYMENT_FAILED, f"{turn.task.title}: {failure.message}", failure.hint)
        raise failure from error
    standing.move(Stage.RAN, message="")
    is_replaced = in_use is not None and in_use != standing.state.in_use
    if (had_failed or is_replaced) and not _others_failed(engine, managed, turn):
        why = "after it had failed" if had_failed else "and puts a new version to use"
        standing.tell(run, EventKind.TASKS_DONE, f"{turn.task.title}: it ran, {why}.")
    return plan


def _carry_out(
    engine: Engine,
    managed: ManagedCertificate,
    version: CertificateVersion | None,
    turn: Turn,
    run: ActiveRun,
    *,
    attended: bool,
) -> Plan:
    task = make_task(
        engine,
        managed,
        version,
        turn.task,
        run.journal,
        run.leases,
        attended=attended,
        guard=run.guard,
        occasion=turn.occasion,
    )
    with engine.organisation_leases((*task.organisations, *task.identify())):
        plan = task.plan()
        if plan.refusals:
            raise DeploymentError("Nothing was done: the plan was refused.", causes=plan.refusals)
        if task.commands:
            typed = [change.typed for change in plan.changes]
            engine.note(Action.RAN, subject(managed), {"run": run.id, "task": turn.task.title, "commands": typed})
        task.apply(plan)
    return plan


def _others_failed(engine: Engine, managed: ManagedCertificate, turn: Turn) -> bool:
    """Whether another enabled task of the certificate has failed and not succeeded since."""
    with engine.store.read() as unit:
        states = [unit.deployments.get(t.id) for t in managed.tasks if t.enabled and t.id != turn.task.id]
    return any(state is not None and state.failures for state in states)
