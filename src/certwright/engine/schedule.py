"""What is due, and when to look again: the one writer of a managed certificate's next check."""

from certwright.domain import renewal
from certwright.domain.managed import ManagedCertificate
from certwright.domain.runs import Stage
from certwright.engine.context import Engine
from certwright.engine.material import version_facts
from certwright.store import UnitOfWork


def decide(engine: Engine, unit: UnitOfWork, managed: ManagedCertificate) -> renewal.Decision:
    """Whether `managed` is due now, and why."""
    current = unit.managed.current(managed.id)
    facts = version_facts(current) if current else None
    return renewal.decide(renewal.RenewalInput(managed, current, facts, engine.now()))


def needs_deployment(unit: UnitOfWork, managed: ManagedCertificate) -> bool:
    """Whether an enabled task has not yet put the current version to use."""
    version = unit.managed.current(managed.id)
    states = [unit.deployments.get(t.id) for t in managed.tasks if t.enabled]
    return version is not None and any(
        s is None or s.stage is not Stage.DEPLOYED or s.version_id != version.id for s in states
    )


def reschedule(engine: Engine, unit: UnitOfWork, managed: ManagedCertificate) -> None:
    """Look again at once while something is to be done, else when it becomes due."""
    decision = decide(engine, unit, managed)
    waits = decision.due or needs_deployment(unit, managed)
    unit.managed.set_next_check(managed.id, engine.now() if waits else decision.next_check)
