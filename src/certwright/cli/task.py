"""`certwright task`: the deployment tasks of a managed certificate."""

import shlex
from typing import Annotated, Any

import typer

from certwright.cli.deploy import finish
from certwright.cli.params import PluginGroup, given, options
from certwright.cli.session import Session, command
from certwright.cli.show import table
from certwright.domain.managed import TaskSettings
from certwright.engine.catalog import Plugin

app = typer.Typer(help="Deployment tasks of a managed certificate.", no_args_is_help=True)
Reference = Annotated[str, typer.Argument(metavar="CERT", help="Its id, title, or a name that only it has.")]
Wanted = Annotated[str, typer.Argument(metavar="TASK", help="The task's id, title or kind.")]


def _build(group: typer.Typer, plugin: Plugin) -> None:
    @command(group, plugin.name, signature=options(plugin.params), help=plugin.page.split("\n\n")[0])
    def add(
        session: Session,
        context: typer.Context,
        title: Annotated[str | None, typer.Option(help="What you call it [default: its kind].")] = None,
        **values: Any,
    ) -> None:
        from certwright.engine.managed import add_task  # noqa: PLC0415 - loads the store

        parent = context.parent
        certificate = parent.params["certificate"] if parent else ""
        settings = TaskSettings(kind=plugin.name, title=title or plugin.name, params=given(plugin.params, values))
        added = add_task(session.engine, certificate, settings)
        session.say(
            f"Task {added.id} ({added.title}) is added.\n"
            f"Next: certwright certificate preview {shlex.quote(certificate)}",
            **added.model_dump(mode="json"),
        )


class _AddGroup(PluginGroup):
    kind = "tasks"
    build = staticmethod(_build)


add_app = typer.Typer(cls=_AddGroup, help="Add a task.", no_args_is_help=True, subcommand_metavar="KIND [OPTIONS]")


@add_app.callback()
def add_root(certificate: Reference) -> None:
    """Add a task of one of these kinds; `certwright task add CERT KIND --help` lists its parameters."""


app.add_typer(add_app, name="add")


@command(app, "list")
def list_tasks(session: Session, certificate: Reference) -> None:
    """List the tasks of a managed certificate, in the order they run."""
    from certwright.engine.managed import details  # noqa: PLC0415 - loads the store

    found = details(session.engine, certificate)
    stages = {state.task_id: state.stage.value for state in found.states}
    session.emit(
        [{**t.model_dump(mode="json"), "stage": stages.get(t.id, "new")} for t in found.managed.tasks],
        lambda console: console.print(
            table(
                ["Id", "Title", "Kind", "Enabled", "Stage"],
                [
                    [t.id, t.title, t.kind, "yes" if t.enabled else "no", stages.get(t.id, "new")]
                    for t in found.managed.tasks
                ],
            )
        ),
    )


@command(app, "show")
def show(session: Session, certificate: Reference, task: Wanted) -> None:
    """Show a task's parameters; secrets are named, never shown."""
    with session.engine.store.read() as unit:
        found = unit.managed.get(certificate).task(task)
    session.emit(
        found.model_dump(mode="json"),
        lambda console: console.print(
            table(["Parameter", "Value"], [[name, str(value)] for name, value in found.params.items()], found.title)
        ),
    )


@command(app, "remove")
def remove(session: Session, certificate: Reference, task: Wanted) -> None:
    """Remove a task; what it deployed stays in use."""
    from certwright.engine.managed import remove_task  # noqa: PLC0415 - loads the store

    gone = remove_task(session.engine, certificate, task)
    session.say(f"Task {gone.id} ({gone.title}) is removed.", removed=gone.id)


@command(app, "run")
def run(session: Session, certificate: Reference, task: Wanted) -> None:
    """Run one task with the current version."""
    from certwright.engine.deploy import deploy  # noqa: PLC0415 - loads the store

    finish(session, deploy(session.engine, certificate, task))
