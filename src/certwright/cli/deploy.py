"""`certwright deploy`: put the current version to use."""

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from certwright.cli.consent import Yes, agree
from certwright.cli.session import Exit, Session, command, exit_code
from certwright.cli.show import served_tables
from certwright.domain.deployment import Plan
from certwright.domain.runs import Stage

if TYPE_CHECKING:
    from rich.console import Console

    from certwright.engine.deployment import TaskResult

Now = Annotated[bool, typer.Option("--now", help="Also while its maintenance window is closed.")]


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "deploy")(deploy)


def deploy(
    session: Session,
    certificate: Annotated[str, typer.Argument(metavar="CERT", help="Its id, title, or a name that only it has.")],
    now: Now = False,
    yes: Yes = False,
) -> None:
    """Run the deployment tasks of a managed certificate with its current version; prove it on every port.

    Each plan is shown and asked for. Where nobody can be asked, without a terminal or with --json, it is unattended
    work, unless you say --yes.
    """
    put(session, certificate, now=now, yes=yes)


def put(session: Session, certificate: str, task: str | None = None, *, now: bool, yes: bool) -> None:
    """Run the tasks, or the one named, with the consent of who has the terminal or said `yes`; else unattended."""
    from certwright.engine.deploy import deploy as run  # noqa: PLC0415 - loads the store

    attended = yes or session.can_ask
    what = ["task", "run", certificate, task] if task else ["deploy", certificate]
    later = shlex.join(["certwright", *what, *(["--now"] if now else [])])

    def approved(plan: Plan, _: Stage) -> None:
        if attended:
            agree(session, [(certificate, plan)], later, yes=yes)

    finish(session, run(session.engine, certificate, task, attended=attended, anytime=now, approved=approved))


def finish(session: Session, results: Sequence["TaskResult"]) -> None:
    """Show the results and set the exit code."""
    unchanged = all(result.unchanged or result.is_held for result in results)
    session.code = Exit.NOTHING_TO_DO if unchanged else worst(results)
    if session.as_json:
        session.emit([result.data() for result in results], lambda _: None)
    elif results:
        report(session, results)
    else:
        session.say("Nothing is left to run: each task has run for the current version.")


def report(session: Session, results: Sequence["TaskResult"]) -> None:
    """Show each task's ports and errors to a person."""

    def show(console: "Console") -> None:
        for result in results:
            headline = f"{result.task.title}: {'held' if result.is_held else result.stage}"
            for shown in served_tables(console, result.rows, headline) if result.rows else (headline,):
                console.print(shown)
            for note in result.plan.notes if result.plan else ():
                console.print(f"note: {note}")
            if result.error:
                console.print("\n".join(result.error.explain()))
            elif result.unchanged:
                console.print("Everything was in place: nothing was changed.")

    if not session.as_json:
        session.emit(None, show)


def worst(results: Sequence["TaskResult"]) -> Exit:
    """The exit code of the worst; that one waits for its maintenance window is none."""
    code = Exit.DONE
    for result in results:
        if result.error and not result.is_held:
            found = exit_code(result.error)
            code = found if code in (Exit.DONE, Exit.WAITING) else code
    return code
