"""The tasks of a managed certificate: added, changed, moved, switched on and off, removed."""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from certwright.domain.errors import ConfigurationError
from certwright.domain.managed import ManagedCertificate, TaskSettings
from certwright.domain.plain_text import check_line
from certwright.domain.runs import DeploymentState, Stage
from certwright.domain.tasks import Role, Trigger
from certwright.domain.triggers import check_tasks
from certwright.engine import catalog
from certwright.engine.commands import require_commands
from certwright.engine.context import Engine
from certwright.engine.destinations import require_keys
from certwright.engine.schedule import reschedule
from certwright.engine.task import is_action
from certwright.sdk.params import change_params, credentials_named, read_params
from certwright.store import UnitOfWork

Tasks = tuple[TaskSettings, ...]


def described(kind: str, params: Mapping[str, Any], settings: Mapping[str, Any]) -> TaskSettings:
    """A task as it is when nobody says otherwise: called by its kind, and before a request it stops what comes after.

    Args:
        kind: the plugin.
        params: its parameters.
        settings: other fields of `TaskSettings`, as far as somebody said something.

    Raises:
        ConfigurationError: if one of them is wrong.
    """
    role, trigger = settings.get("role", Role.DEPLOYMENT), settings.get("trigger", Trigger.ON_SUCCESS)
    usual = {"title": kind, "stops": role is Role.PRE_REQUEST and trigger is Trigger.ON_SUCCESS}
    values = {**usual, **settings, "kind": kind, "params": dict(params)}
    return read_params(TaskSettings, values, f"the task {values['title']!r}")


def add_task(engine: Engine, reference: str, settings: TaskSettings, revision: int | None = None) -> TaskSettings:
    """Add a task behind the others; `watched` may be what `ManagedCertificate.task` finds.

    Here and below, `revision` is that at which the certificate was looked at before, if somebody did.

    Raises:
        Changed: if it is not at this revision any more.
        ConfigurationError: if a parameter is wrong, a credential is missing, the title is taken, or it could never run.
        Forbidden: if it runs programs, or sends the private key somewhere, and who asks may not have that.
    """
    given = checked(engine, settings)
    added: list[TaskSettings] = []

    def add(unit: UnitOfWork, managed: ManagedCertificate) -> Tasks:
        _check_free(managed, settings.title)
        added.append(fitted(engine, unit, managed, given))
        return (*managed.tasks, *added)

    _change(engine, reference, add, revision)
    return added[0]


def checked(engine: Engine, settings: TaskSettings) -> TaskSettings:
    """A task that is to be added to a certificate, with its parameters as they are kept.

    Raises:
        ConfigurationError: if a parameter is wrong.
        Forbidden: if it runs programs, and who asks may not have that.
    """
    check_line(settings.title, "The title")
    require_commands(engine, "tasks", settings.kind, settings.params)
    found = catalog.plugin("tasks", settings.kind)
    params = read_params(found.params, settings.params, f"the task {settings.title!r}")
    return settings.model_copy(update={"params": params.model_dump(mode="json", exclude_unset=True)})


def fitted(engine: Engine, unit: UnitOfWork, managed: ManagedCertificate, task: TaskSettings) -> TaskSettings:
    """What `checked` gave, as one more task of this certificate.

    Raises:
        NotFound: if a credential is missing.
        ConfigurationError: if it could never run, or a credential is of another kind than it takes.
        Forbidden: if it sends the private key somewhere, and who asks may not have that.
    """
    require_keys(engine, task.kind, task.params, managed.tasks)
    for name, kind in credentials_named(catalog.plugin("tasks", task.kind).params, task.params):
        unit.credentials.get(name, kind)
    return _watching(managed, task)


def change_task(
    engine: Engine,
    reference: str,
    task: str,
    values: Mapping[str, Any],
    unset: Collection[str] = (),
    settings: Mapping[str, Any] = MappingProxyType({}),
    added: Mapping[str, Any] = MappingProxyType({}),
    *,
    place: int | None = None,
    revision: int | None = None,
) -> TaskSettings:
    """Change parameters of a task, or when it runs; what it remembers of its deployments stays.

    A deployment whose parameters change is done again, and a failure is not waited for any longer.

    Args:
        engine: what to work with.
        reference: the managed certificate.
        task: the task's id, title or kind.
        values: the parameters that change.
        unset: the parameters that go back to their defaults.
        settings: fields of `TaskSettings` that change.
        added: what is added to parameters that list something, after `values`.
        place: as of `move_task`, if it is to be another.
        revision: as of `add_task`.

    Raises:
        ConfigurationError: if a parameter is wrong or not known, a credential is missing or of another kind, its new
            title is taken, or it could never run.
        Forbidden: if it runs programs, or is to send the private key elsewhere, and who asks may not have that.
    """
    with engine.store.read() as unit:
        wanted = unit.managed.get(reference).task(task)
    model = catalog.plugin("tasks", wanted.kind).params
    more = {name: _both(name, {**wanted.params, **values}.get(name), new) for name, new in added.items()}
    given = change_params(model, wanted.params, {**values, **more}, unset, f"the task {wanted.title!r}")
    params = given.model_dump(mode="json", exclude_unset=True)
    changed = wanted.model_copy(update={**settings, "params": params})
    check_line(str(settings.get("title", "")), "The title")
    if changed != wanted.model_copy(update={"enabled": False}):
        require_commands(engine, "tasks", wanted.kind, params)

    def change(unit: UnitOfWork, managed: ManagedCertificate) -> Tasks:
        if changed.title != wanted.title:
            _check_free(managed, changed.title)
        require_keys(engine, wanted.kind, params, managed.tasks)
        for name, kind in credentials_named(model, params):
            unit.credentials.get(name, kind)
        if state := unit.deployments.get(wanted.id):
            again = state.stage is Stage.DEPLOYED and params != wanted.params
            fresh: dict[str, Any] = {"stage": Stage.NEW} if again else {}
            unit.deployments.save(state.model_copy(update={**fresh, "attempts": 0, "retry_at": None}))
        now = _watching(managed, changed)
        tasks = tuple(now if t.id == wanted.id else t for t in managed.tasks)
        return tasks if place is None else _moved(managed.model_copy(update={"tasks": tasks}), now, place)

    return _change(engine, reference, change, revision).task(wanted.id)


def _both(name: str, held: Any, new: Any) -> Any:
    """What a parameter lists, and what is added to that."""
    match held, new:
        case dict() | None, dict():
            return {**(held or {}), **new}
        case list() | None, list():
            return [*(held or ()), *(one for one in new if one not in (held or ()))]
        case _:
            flag = f"--{name.replace('_', '-')}"
            raise ConfigurationError(
                f"Nothing can be added to the parameter {name!r}: it does not list anything.",
                hint=f"Give all of it, with {flag}.",
            )


def check_kind(settings: TaskSettings) -> None:
    """Refuse a turn without a version for what puts one to use.

    Raises:
        ConfigurationError: if it is no action, and is not to run for a new version or by hand.
    """
    if settings.role is Role.DEPLOYMENT and settings.trigger in (Trigger.ON_SUCCESS, Trigger.MANUAL):
        return
    if not is_action(settings):
        when = "before a request" if settings.role is Role.PRE_REQUEST else settings.trigger.value
        raise ConfigurationError(
            f"A task of the kind {settings.kind!r} puts a new version to use, and cannot run {when}.",
            hint=f"Let it run {Trigger.ON_SUCCESS} or {Trigger.MANUAL}.",
        )


def enable_task(
    engine: Engine, reference: str, task: str, *, enabled: bool, revision: int | None = None
) -> TaskSettings:
    """Have a task run by itself, or no more.

    Raises:
        ConfigurationError: if it is to run programs, and the administrator does not allow them.
        Forbidden: if it is to run programs, and who asks may not have that.
    """

    def change(_unit: UnitOfWork, managed: ManagedCertificate) -> Tasks:
        wanted = managed.task(task)
        if enabled:
            require_commands(engine, "tasks", wanted.kind, wanted.params)
        return tuple(t.model_copy(update={"enabled": enabled}) if t.id == wanted.id else t for t in managed.tasks)

    return _change(engine, reference, change, revision).task(task)


def move_task(engine: Engine, reference: str, task: str, place: int, revision: int | None = None) -> Tasks:
    """Have a task run as the one of this number, counted from 1, of those with its role; all tasks, in their order.

    Raises:
        ConfigurationError: if there is no such place, or a task would come before one whose failure it waits for.
    """

    def change(_unit: UnitOfWork, managed: ManagedCertificate) -> Tasks:
        return _moved(managed, managed.task(task), place)

    return _change(engine, reference, change, revision).tasks


def _moved(managed: ManagedCertificate, wanted: TaskSettings, place: int) -> Tasks:
    line = [t for t in managed.tasks if t.role is wanted.role and t.id != wanted.id]
    if not 1 <= place <= len(line) + 1:
        raise ConfigurationError(
            f"There is no place {place}: {managed.title!r} has {len(line) + 1} {wanted.role} tasks.",
            hint=f"See their places with: certwright task list {managed.id}",
        )
    line.insert(place - 1, wanted)
    return (*(t for t in managed.tasks if t.role is not wanted.role), *line)


@dataclass(frozen=True, slots=True)
class RemovedTask:
    """A task that is no more; `unfinished` tells in sentences what it had begun and nobody goes on with now."""

    task: TaskSettings
    unfinished: tuple[str, ...]


def remove_task(engine: Engine, reference: str, task: str, revision: int | None = None) -> RemovedTask:
    """Remove a task; what it deployed stays in use, and what it had begun stays as it is.

    Raises:
        ConfigurationError: if another task waits for its failure.
    """
    with engine.store.read() as unit:
        wanted = unit.managed.get(reference).task(task)
    unfinished: list[str] = []

    def remove(unit: UnitOfWork, managed: ManagedCertificate) -> Tasks:
        state = unit.deployments.get(wanted.id)
        unfinished.extend(left_unfinished(state) if state else ())
        return tuple(t for t in managed.tasks if t.id != wanted.id)

    _change(engine, reference, remove, revision)
    return RemovedTask(wanted, tuple(unfinished))


_BROKEN_OFF = {
    Stage.APPLYING: "A deployment of it was broken off, and nobody goes on with it now.",
    Stage.UNDOING: "A deployment of it failed and was not taken back completely, and nobody goes on with that now.",
}


def left_unfinished(state: DeploymentState) -> Iterator[str]:
    """What a task has begun and nobody goes on with once it is removed, in sentences."""
    if state.stage not in _BROKEN_OFF:
        return
    yield _BROKEN_OFF[state.stage]
    yield from state.message.splitlines()
    for row in state.served:
        if row.now != row.before:
            place = f"{row.server} {row.service} {row.address}:{row.port}".lstrip()
            yield f"{place} serves {row.shown_now}, and served {row.shown_before} before."


def _check_free(managed: ManagedCertificate, title: str) -> None:
    if any(t.title == title for t in managed.tasks):
        raise ConfigurationError(
            f"{managed.title!r} has a task {title!r} already.", causes=["title: is taken"], hint="Give another title."
        )


def _watching(managed: ManagedCertificate, settings: TaskSettings) -> TaskSettings:
    """With the id of the task whose failure it waits for, in place of what a person calls that."""
    check_kind(settings)
    watched = managed.task(settings.watched).id if settings.watched else None
    return settings.model_copy(update={"watched": watched})


def _change(
    engine: Engine,
    reference: str,
    change: Callable[[UnitOfWork, ManagedCertificate], Tasks],
    revision: int | None,
) -> ManagedCertificate:
    with engine.changing(reference, revision) as (unit, managed):
        changed = managed.model_copy(update={"tasks": change(unit, managed)})
        check_tasks(changed.tasks)
        unit.managed.update(changed)
        reschedule(engine, unit, changed)
        return changed
