"""Renew: ask for what is due, deploy what is not in use yet."""

from dataclasses import dataclass

from certwright.domain.errors import CertwrightError
from certwright.domain.managed import ManagedCertificate
from certwright.engine.context import Engine
from certwright.engine.deploy import TaskResult, deploy
from certwright.engine.request import RequestResult, request
from certwright.engine.schedule import needs_deployment

BATCH = 500


@dataclass(frozen=True, slots=True)
class Renewal:
    """What was done for one managed certificate; `error` is why its request failed, or no task could be begun."""

    managed: ManagedCertificate
    request: RequestResult | None
    tasks: tuple[TaskResult, ...]
    error: CertwrightError | None

    @property
    def nothing_to_do(self) -> bool:
        """Whether it was neither due nor waiting to be deployed."""
        return self.error is None and not self.tasks and (self.request is None or self.request.version is None)


def renew(engine: Engine, reference: str, *, force: bool = False) -> Renewal:
    """Ask for the next version if one is due, then run the tasks that have not put the current one to use.

    That the authority does not answer keeps no deployment, and no undo, waiting.
    """
    with engine.store.read() as unit:
        managed = unit.managed.get(reference)
    asked, failure = None, None
    try:
        asked = request(engine, managed.id, force=force)
    except CertwrightError as error:
        failure = error
    try:
        with engine.store.read() as unit:
            waits = needs_deployment(unit, managed)
        tasks = deploy(engine, managed.id) if waits else []
    except CertwrightError as error:
        return Renewal(managed, asked, (), failure or error)
    return Renewal(managed, asked, tuple(tasks), failure)


def renew_all(engine: Engine) -> list[Renewal]:
    """Renew what the store says is due now; what is not due costs nothing."""
    with engine.store.read() as unit:
        due = unit.managed.due(engine.now(), BATCH)
    return [renew(engine, managed.id) for managed in due]
