"""The tasks of all managed certificates: what runs where, how it went last, and when it runs next."""

from dataclasses import dataclass
from datetime import datetime

from certwright.domain.managed import ManagedCertificate, TaskSettings
from certwright.domain.runs import DeploymentState, Outcome, Stage
from certwright.domain.tasks import Trigger
from certwright.engine.context import Engine
from certwright.engine.windows import held
from certwright.store.listing import Filter


@dataclass(frozen=True, slots=True)
class Placed:
    """A task, and its place among those of its role; `next_at` is when it runs next, as far as that is known.

    `is_issued` is whether there is something that it could put to use, `word` and `told` say where it stands.
    """

    managed: ManagedCertificate
    task: TaskSettings
    place: int
    state: DeploymentState | None
    next_at: datetime | None
    is_issued: bool
    word: Stage | Outcome
    told: str

    @property
    def stage(self) -> Stage:
        """Where it stands."""
        return self.state.stage if self.state else Stage.NEW


def all_tasks(
    engine: Engine, after: str, certificates: int, *, part: str = "", stage: Stage | None = None
) -> tuple[list[Placed], str]:
    """The tasks of so many certificates after the one of this title, and the last title if there may be more.

    Args:
        engine: what to work with.
        after: empty for the first page.
        certificates: of how many at most.
        part: only of those in whose title or names this stands, as `Filter` reads it.
        stage: only those that stand there.
    """
    begun = None if stage is Stage.NEW else stage
    with engine.store.read() as unit:
        rows = unit.listing.page(after, certificates, Filter(part=part, has_tasks=True, stage=begun))
        states = unit.deployments.some([task.id for row in rows for task in row.managed.tasks])
        begun_there = {state.managed_id for state in states.values() if state.stage is Stage.APPLYING}
        deploying = {each for each in begun_there if unit.runs.is_deploying(each, engine.now())}
        windowed = [row.managed for row in rows if row.managed.windows]
        waits = {one.task.id: one.until for managed in windowed for one in held(engine, unit, managed)}
    found = [
        Placed(
            row.managed,
            task,
            _place(row.managed, task),
            state := states.get(task.id),
            _next(task, state, row.next_check, waits.get(task.id)),
            row.not_after is not None,
            state.word(deploying=row.managed.id in deploying) if state else Stage.NEW,
            state.told(deploying=row.managed.id in deploying, by_itself=task.deploys) if state else "",
        )
        for row in rows
        for task in row.managed.tasks
    ]
    shown = [placed for placed in found if stage in (None, placed.stage)]
    return shown, rows[-1].managed.title if len(rows) == certificates else ""


def _place(managed: ManagedCertificate, task: TaskSettings) -> int:
    return [each.id for each in managed.tasks if each.role is task.role].index(task.id) + 1


def _next(
    task: TaskSettings, state: DeploymentState | None, next_check: datetime | None, window: datetime | None
) -> datetime | None:
    """When its window opens that it waits for, when it is tried again, or when its certificate is looked at next.

    Never by itself, if it is not to run so.
    """
    if not task.enabled or task.trigger is Trigger.MANUAL:
        return None
    return window or (state.retry_at if state and state.retry_at else next_check)
