"""Renew: ask for what is due, deploy what is not in use yet."""

from dataclasses import dataclass

from certwright.domain.errors import CertwrightError
from certwright.domain.managed import ManagedCertificate
from certwright.engine import advice
from certwright.engine.context import Engine
from certwright.engine.deploy import run_tasks
from certwright.engine.deployment import TaskResult
from certwright.engine.housekeeping import clean_up_when_due
from certwright.engine.request import RequestResult, request_for

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
        """Whether it was neither due nor to be deployed now."""
        is_held = all(task.is_held for task in self.tasks)
        return self.error is None and is_held and (self.request is None or self.request.version is None)

    @property
    def failures(self) -> list[CertwrightError]:
        """All that did not work, the request first."""
        return [error for error in (self.error, *(task.error for task in self.tasks)) if error]


def renew(
    engine: Engine, reference: str, *, force: bool = False, patient: bool = False, anytime: bool = False
) -> Renewal:
    """Ask for the next version if one is due, then run the tasks that are to run, for that or for what failed.

    That the authority does not answer keeps no deployment, and no undo, waiting.

    Args:
        engine: what to work with.
        reference: the managed certificate.
        force: ask also if it is not due.
        patient: heed the authority's advice and keep the pauses after failures, as work that nobody waits for does; it
            cleans up too.
        anytime: deploy though the maintenance window is closed, as a person wishes.
    """
    with engine.store.read() as unit:
        managed = unit.managed.get(reference)
    if patient and not force and advice.refresh(engine, managed):
        return Renewal(managed, None, (), None)
    asked, failure = None, None
    tasks: list[TaskResult] = []
    try:
        asked = request_for(engine, managed, force=force, patient=patient)
    except CertwrightError as error:
        failure = error
    try:
        tasks = run_tasks(engine, managed, patient=patient, anytime=anytime)
        if patient:
            clean_up_when_due(engine, managed)
    except CertwrightError as error:
        failure = failure or error
    return Renewal(managed, asked, tuple(tasks), failure)


def renew_all(engine: Engine) -> list[Renewal]:
    """Renew what the store says is due now; what is not due costs nothing."""
    with engine.store.read() as unit:
        due = unit.managed.due(engine.now(), BATCH)
    return [renew(engine, managed.id, patient=True) for managed in due]
