"""`certwright task`: the tasks of a managed certificate."""

import shlex
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Annotated, Any

import typer

from certwright.cli.consent import Yes
from certwright.cli.deploy import Now, put
from certwright.cli.params import PluginGroup, given, options
from certwright.cli.session import Session, command
from certwright.cli.show import table
from certwright.domain.errors import ConfigurationError
from certwright.domain.managed import TaskSettings
from certwright.domain.tasks import Role, Trigger
from certwright.engine.catalog import Plugin
from certwright.sdk.fields import in_line

app = typer.Typer(help="Tasks of a managed certificate, before and after requests.", no_args_is_help=True)
Reference = Annotated[str, typer.Argument(metavar="CERT", help="Its id, title, or a name that only it has.")]
Wanted = Annotated[str, typer.Argument(metavar="TASK", help="The task's id, title or kind.")]
When = Annotated[
    str | None,
    typer.Option("--trigger", help=f"What has it run: {', '.join(Trigger)} [default: {Trigger.ON_SUCCESS}]."),
]
Failed = Annotated[
    str | None,
    typer.Option("--failed-task", metavar="TASK", help="For on-task-failure: which task's [default: any before it]."),
]
Stops = Annotated[
    bool | None,
    typer.Option(
        "--stop/--go-on",
        help="Whether what comes after it waits while it has failed [default: only before a request].",
    ),
]
Retries = Annotated[int | None, typer.Option(min=0, help="How often it is tried again [default: until it succeeds].")]
Delay = Annotated[
    float | None,
    typer.Option("--retry-delay", metavar="MINUTES", min=1, help="Minutes between tries [default: more each time]."),
]

Window = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="The maintenance window in which it runs [default: the certificate's]."),
]


def _build(group: typer.Typer, plugin: Plugin) -> None:
    @command(group, plugin.name, signature=options(plugin.params), help=plugin.page.split("\n\n")[0])
    def add(
        session: Session,
        context: typer.Context,
        title: Annotated[str | None, typer.Option(help="What you call it [default: its kind].")] = None,
        before_request: Annotated[
            bool, typer.Option("--before-request", help="Run before the authority is asked, not after.")
        ] = False,
        trigger: When = None,
        failed_task: Failed = None,
        stop: Stops = None,
        retries: Retries = None,
        retry_delay: Delay = None,
        window: Window = None,
        **values: Any,
    ) -> None:
        from certwright.engine.task_list import add_task, described  # noqa: PLC0415 - loads the store

        certificate = context.parent.params["certificate"] if context.parent else ""
        settings = {
            "role": Role.PRE_REQUEST if before_request else Role.DEPLOYMENT,
            **({"title": title} if title else {}),
            **_when(trigger, failed_task, retries, retry_delay, window, stop=stop),
        }
        added = add_task(session.engine, certificate, described(plugin.name, given(plugin.params, values), settings))
        session.say(
            f"Task {added.id} ({added.title}) is added.\n"
            f"Next: certwright certificate preview {shlex.quote(certificate)}",
            **added.model_dump(mode="json"),
        )


def _build_change(group: typer.Typer, plugin: Plugin) -> None:
    @command(group, plugin.name, signature=options(plugin.params), help=f"Change a task of the kind {plugin.name}.")
    def change(
        session: Session,
        context: typer.Context,
        task: Annotated[str | None, typer.Option(help="Its id or title, if there are several of its kind.")] = None,
        unset: Annotated[
            list[str] | None, typer.Option(metavar="PARAMETER", help="Back to its default; may be given several times.")
        ] = None,
        add: Annotated[
            list[str] | None,
            typer.Option(
                metavar="PARAMETER=VALUE",
                help="Add this to what the parameter lists, where its own option replaces that; may be given several "
                "times.",
            ),
        ] = None,
        trigger: When = None,
        failed_task: Failed = None,
        stop: Stops = None,
        retries: Retries = None,
        retry_delay: Delay = None,
        window: Window = None,
        **values: Any,
    ) -> None:
        from certwright.engine.task_list import change_task  # noqa: PLC0415 - loads the store

        certificate = context.parent.params["certificate"] if context.parent else ""
        names = [name.lstrip("-").replace("-", "_") for name in unset or ()]
        with session.engine.store.read() as unit:
            before = unit.managed.get(certificate).task(task or plugin.name)
        changed = change_task(
            session.engine,
            certificate,
            task or plugin.name,
            given(plugin.params, values),
            [name for name in names if name not in _UNSET],
            {
                **{_UNSET[name]: None for name in names if name in _UNSET},
                **_when(trigger, failed_task, retries, retry_delay, window, stop=stop),
            },
            _added(plugin, add or ()),
        )
        dropped = _dropped(certificate, before, changed, [name for name in values if name not in names])
        session.say(
            f"Task {changed.id} ({changed.title}) is changed.\n{dropped}"
            f"Next: certwright certificate preview {shlex.quote(certificate)}",
            **changed.model_dump(mode="json"),
        )


_UNSET = {"failed_task": "watched", "retries": "retries", "retry_delay": "retry_delay", "window": "window"}


def _added(plugin: Plugin, texts: Sequence[str]) -> dict[str, Any]:
    """What is to be added, by parameter."""
    found: dict[str, list[str]] = {}
    for text in texts:
        name, _, value = text.partition("=")
        name = name.lstrip("-").replace("-", "_")
        if name not in plugin.params.model_fields or not value:
            known = ", ".join(sorted(plugin.params.model_fields))
            raise ConfigurationError(
                f"{text!r} cannot be added: it is no parameter with a value.",
                hint=f"Write PARAMETER=VALUE; the parameters are {known}.",
            )
        found.setdefault(name, []).append(value)
    return given(plugin.params, found)


def _dropped(certificate: str, before: TaskSettings, after: TaskSettings, names: Sequence[str]) -> str:
    """What lists no longer hold that a person may have meant to add to, a line each, and the way back."""
    lines, again = "", f"certwright task change {shlex.quote(certificate)} {after.kind} --task {after.id}"
    for name in names:
        held, now = before.params.get(name), after.params.get(name)
        if not isinstance(held, list | dict) or not isinstance(now, type(held)):
            continue
        if gone := [f"{one}={held[one]}" if isinstance(held, dict) else str(one) for one in held if one not in now]:
            lines += f"No longer in {name.replace('_', ' ')}: {', '.join(gone)}.\n"
            again += "".join(f" --add {shlex.quote(f'{name}={one}')}" for one in gone)
    return f"{lines}If they were to stay: {again}\n" if lines else ""


def _when(
    trigger: str | None,
    failed_task: str | None,
    retries: int | None,
    retry_delay: float | None,
    window: str | None,
    *,
    stop: bool | None = None,
) -> dict[str, Any]:
    """What was said of when a task runs, as fields of its settings."""
    if trigger is not None and trigger not in set(Trigger):
        raise ConfigurationError(f"There is no trigger {trigger!r}.", hint=f"Choose one of: {', '.join(Trigger)}.")
    said = {
        "trigger": None if trigger is None else Trigger(trigger),
        "watched": failed_task,
        "stops": stop,
        "retries": retries,
        "retry_delay": None if retry_delay is None else timedelta(minutes=retry_delay),
        "window": window,
    }
    return {name: value for name, value in said.items() if value is not None}


class _AddGroup(PluginGroup):
    kind = "tasks"
    build = staticmethod(_build)


class _ChangeGroup(PluginGroup):
    kind = "tasks"
    build = staticmethod(_build_change)


add_app = typer.Typer(cls=_AddGroup, help="Add a task.", no_args_is_help=True, subcommand_metavar="KIND [OPTIONS]")


@add_app.callback()
def add_root(certificate: Reference) -> None:
    """Add a task of one of these kinds; `certwright task add CERT KIND --help` lists its parameters."""


app.add_typer(add_app, name="add")
change_app = typer.Typer(
    cls=_ChangeGroup, help="Change a task.", no_args_is_help=True, subcommand_metavar="KIND [OPTIONS]"
)


@change_app.callback()
def change_root(certificate: Reference) -> None:
    """Change parameters of a task, or when it runs; the others stay, and so does what it knows of its deployments."""


app.add_typer(change_app, name="change")


@command(app, "list")
def list_tasks(session: Session, certificate: Reference) -> None:
    """List the tasks of a managed certificate, in the order they run."""
    from certwright.engine.managed import details  # noqa: PLC0415 - loads the store

    found = details(session.engine, certificate)
    stages = {state.task_id: state.stage.value for state in found.states}
    _list(session, found.managed.tasks, stages)


def _list(session: Session, tasks: Sequence[TaskSettings], stages: Mapping[str, str]) -> None:
    lines = [[t for t in tasks if t.role is role] for role in (Role.PRE_REQUEST, Role.DEPLOYMENT)]
    placed = [(place, task) for line in lines for place, task in enumerate(line, 1)]
    session.emit(
        [{**t.model_dump(mode="json"), "place": n, "stage": stages.get(t.id, "new")} for n, t in placed],
        lambda console: console.print(
            table(
                ["Place", "Id", "Title", "Kind", "Runs", "Enabled", "Stage"],
                [
                    [str(n), t.id, t.title, t.kind, t.when, "yes" if t.enabled else "no", stages.get(t.id, "new")]
                    for n, t in placed
                ],
            )
        ),
    )


@command(app, "show")
def show(session: Session, certificate: Reference, task: Wanted) -> None:
    """Show when a task runs, and its parameters; secrets are named, never shown."""
    with session.engine.store.read() as unit:
        managed = unit.managed.get(certificate)
    found = managed.task(task)
    watched = managed.task(found.watched).title if found.watched else "any before it"
    delay = f", {found.retry_delay} apart" if found.retry_delay else ""
    rows = [
        ("runs", found.when),
        *([("failed task", watched)] if found.trigger is Trigger.ON_TASK_FAILURE else []),
        ("enabled", "yes" if found.enabled else "no"),
        *([("window", found.window)] if found.window else []),
        ("retries", f"{'until it succeeds' if found.retries is None else found.retries}{delay}"),
        *((name, in_line(value)) for name, value in found.params.items()),
    ]
    session.emit(
        found.model_dump(mode="json"), lambda console: console.print(table(["Parameter", "Value"], rows, found.title))
    )


@command(app, "move")
def move(
    session: Session,
    certificate: Reference,
    task: Wanted,
    place: Annotated[int, typer.Argument(help="Its new place, as `certwright task list` counts them.")],
) -> None:
    """Have a task run earlier or later than others."""
    from certwright.engine.managed import details  # noqa: PLC0415 - loads the store
    from certwright.engine.task_list import move_task  # noqa: PLC0415 - as above

    tasks = move_task(session.engine, certificate, task, place)
    stages = {state.task_id: state.stage.value for state in details(session.engine, certificate).states}
    _list(session, tasks, stages)


@command(app, "enable")
def enable(session: Session, certificate: Reference, task: Wanted) -> None:
    """Have a task run by itself again."""
    _enable(session, certificate, task, enabled=True)


@command(app, "disable")
def disable(session: Session, certificate: Reference, task: Wanted) -> None:
    """Have a task no longer run by itself; `certwright task run` still runs it."""
    _enable(session, certificate, task, enabled=False)


def _enable(session: Session, certificate: str, task: str, *, enabled: bool) -> None:
    from certwright.engine.task_list import enable_task  # noqa: PLC0415 - loads the store

    changed = enable_task(session.engine, certificate, task, enabled=enabled)
    session.say(
        f"Task {changed.id} ({changed.title}) is {'enabled' if enabled else 'disabled'}.",
        **changed.model_dump(mode="json"),
    )


@command(app, "remove")
def remove(session: Session, certificate: Reference, task: Wanted) -> None:
    """Remove a task; what it deployed stays in use."""
    from certwright.engine.task_list import remove_task  # noqa: PLC0415 - loads the store

    gone = remove_task(session.engine, certificate, task)
    session.say(
        "\n".join([f"Task {gone.task.id} ({gone.task.title}) is removed.", *gone.unfinished]),
        removed=gone.task.id,
        unfinished=list(gone.unfinished),
    )


@command(app, "run")
def run(session: Session, certificate: Reference, task: Wanted, now: Now = False, yes: Yes = False) -> None:
    """Run one task now with the current version, whatever has it run otherwise.

    A plan is shown and asked for, as by `certwright deploy`.
    """
    put(session, certificate, task, now=now, yes=yes)
