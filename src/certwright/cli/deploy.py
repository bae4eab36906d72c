"""`certwright deploy`: put the current version to use."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from certwright.cli.session import Exit, Session, command, exit_code
from certwright.cli.show import served

if TYPE_CHECKING:
    from rich.console import Console

    from certwright.engine.deploy import TaskResult


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "deploy")(deploy)


def deploy(
    session: Session,
    certificate: Annotated[str, typer.Argument(metavar="CERT", help="Its id, title, or a name that only it has.")],
) -> None:
    """Run the deployment tasks of a managed certificate with its current version; prove it on every port."""
    from certwright.engine.deploy import deploy as put  # noqa: PLC0415 - loads the store

    finish(session, put(session.engine, certificate))


def finish(session: Session, results: Sequence["TaskResult"]) -> None:
    """Show the results and set the exit code."""
    unchanged = bool(results) and all(result.unchanged for result in results)
    session.code = Exit.NOTHING_TO_DO if unchanged else worst(results)
    report(session, results)
    if session.as_json:
        session.emit([task_data(result) for result in results], lambda _: None)


def report(session: Session, results: Sequence["TaskResult"]) -> None:
    """Show each task's ports and errors to a person."""

    def show(console: "Console") -> None:
        for result in results:
            headline = f"{result.task.title}: {result.stage}"
            console.print(served(console, result.rows, headline) if result.rows else headline)
            for note in result.plan.notes if result.plan else ():
                console.print(f"note: {note}")
            if result.error:
                console.print("\n".join(result.error.explain()))
            elif result.unchanged:
                console.print("Everything was in place: nothing was changed.")

    if not session.as_json:
        session.emit(None, show)


def worst(results: Sequence["TaskResult"]) -> Exit:
    """The exit code of the worst."""
    code = Exit.DONE
    for result in results:
        if result.error:
            found = exit_code(result.error)
            code = found if code in (Exit.DONE, Exit.WAITING) else code
    return code


def task_data(result: "TaskResult") -> dict[str, Any]:
    """A task's result as JSON."""
    return {
        "task": result.task.id,
        "title": result.task.title,
        "stage": result.stage,
        "unchanged": result.unchanged,
        "plan": result.plan.model_dump(mode="json") if result.plan else None,
        "ports": [row.model_dump(mode="json") for row in result.rows],
        "error": list(result.error.explain()) if result.error else None,
    }
