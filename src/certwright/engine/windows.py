"""Maintenance windows: kept, chosen for a managed certificate, and heeded."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from certwright.domain.errors import Taken, WindowClosed
from certwright.domain.managed import ManagedCertificate, TaskSettings
from certwright.domain.plain_text import check_new_name
from certwright.domain.triggers import Turn
from certwright.domain.windows import MaintenanceWindow
from certwright.engine.context import Engine
from certwright.engine.schedule import admitted, reschedule, turn_by_hand, turns
from certwright.engine.seen import taken
from certwright.store import UnitOfWork

_ANYTIME = "To do it now all the same, look at its plan on its page again, or repeat the command with --now."


def window_taken(window: MaintenanceWindow) -> Taken:
    """The error that there is this window already."""
    return taken("window", window.name, "window add")


def put_window(engine: Engine, window: MaintenanceWindow) -> None:
    """Keep a window, in place of the one of that name; whatever waits for it is looked at anew."""
    with engine.store.write() as unit:
        check_new_name(window.name, [each.name for each in unit.windows.list()])
        unit.windows.put(window)
        unit.managed.hurry(window.name, engine.now())


def remove_window(engine: Engine, name: str) -> None:
    """Forget a window that nothing refers to.

    Raises:
        NotFound: if there is none of that name.
        InUse: if something refers to it; the first of these are named.
    """
    with engine.store.write() as unit:
        unit.windows.remove(name)


def set_window(engine: Engine, reference: str, name: str | None, revision: int | None = None) -> ManagedCertificate:
    """Have a managed certificate deployed in the window of this name; at any time without one.

    Raises:
        NotFound: if there is no such window.
        Changed: if it is not at this revision any more.
    """
    with engine.changing(reference, revision) as (unit, managed):
        changed = managed.model_copy(update={"window": name})
        unit.managed.update(changed)
        reschedule(engine, unit, changed)
    return changed


@dataclass(frozen=True, slots=True)
class Held:
    """A task that is to put the current version to use, but finds its window closed then: until when, and why."""

    task: TaskSettings
    until: datetime
    message: str

    def data(self) -> dict[str, Any]:
        """As JSON."""
        return {"task_id": self.task.id, "until": self.until.isoformat(), "message": self.message}


def held(engine: Engine, unit: UnitOfWork, managed: ManagedCertificate) -> tuple[Held, ...]:
    """The tasks that wait for a window."""
    now = engine.now()
    found = [(turn.task, admitted(unit, managed, turn, turn.begins(now))) for turn in turns(unit, managed)]
    return tuple(Held(task, a.until, a.message) for task, a in found if a.until)


def entered(engine: Engine, managed: ManagedCertificate, turn: Turn, *, anytime: bool) -> str:
    """What is to be told of its window where a task begins now; empty if there is nothing.

    Args:
        engine: what to work with.
        managed: what is deployed.
        turn: the task that begins, and for what.
        anytime: whether a person wishes it though the window is closed.

    Raises:
        WindowClosed: if the window has to be waited for.
    """
    with engine.store.read() as unit:
        admission = admitted(unit, managed, turn, engine.now())
    if admission.until is None:
        return admission.message
    if anytime:
        return f"A person wishes it now. {admission.message}"
    raise WindowClosed(admission.message, admission.until, hint=_ANYTIME)


def closed(engine: Engine, managed: ManagedCertificate, tasks: Iterable[TaskSettings]) -> str:
    """Why these tasks would wait for their windows if a person began them now; empty if none would."""
    with engine.store.read() as unit:
        found = [admitted(unit, managed, turn_by_hand(unit, managed, task), engine.now()) for task in tasks]
    return " ".join(dict.fromkeys(each.message for each in found if each.until))


def check_open(engine: Engine, managed: ManagedCertificate, tasks: Iterable[TaskSettings]) -> None:
    """Return if the windows of these tasks are open, or they have none: for what has no deadline.

    Raises:
        WindowClosed: if one is closed.
    """
    now, names = engine.now(), sorted(filter(None, {managed.window_of(task) for task in tasks}))
    with engine.store.read() as unit:
        windows = [unit.windows.get(name) for name in names]
    for window in windows:
        opening = window.next_opening(now)
        if opening is None or opening.start > now:
            told = f"It waits for its maintenance window: {window.told(opening)}."
            raise WindowClosed(told, opening.start if opening else None, hint=_ANYTIME)
