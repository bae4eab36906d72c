"""What failed until somebody would mend it is tried again as soon as that is done, not when its pause is over."""

from contextlib import suppress

from certwright.domain.errors import NotFound
from certwright.domain.runs import DeploymentState
from certwright.engine.context import Engine
from certwright.engine.schedule import reschedule
from certwright.store import UnitOfWork


def retry_with(engine: Engine, unit: UnitOfWork, credential: str) -> None:
    """Have the deployments that were refused, and sign in with this credential, begin now."""
    for state in unit.deployments.refused():
        with suppress(NotFound):  # it is out of sight, or was removed meanwhile
            _retry(engine, unit, state, credential)


def _retry(engine: Engine, unit: UnitOfWork, state: DeploymentState, credential: str) -> None:
    managed = unit.managed.get(state.managed_id)
    if any(task.id == state.task_id and credential in task.params.values() for task in managed.tasks):
        unit.deployments.save(state.model_copy(update={"retry_at": engine.now()}))
        reschedule(engine, unit, managed)
