"""Consent to a plan: a person sees it and answers, or has said yes before."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from certwright.cli.show import plan_lines
from certwright.domain.errors import ConfigurationError

if TYPE_CHECKING:
    from rich.console import Console

    from certwright.cli.session import Session
    from certwright.domain.deployment import Plan

Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


def agree(session: "Session", plans: Sequence[tuple[str, "Plan"]], later: str, *, yes: bool) -> None:
    """Show plans with their titles, and ask; nothing is asked where they have no changes, or `yes` was said.

    Args:
        session: the command.
        plans: what is to be done.
        later: the command that does it later, or where nobody can be asked.
        yes: whether consent was given before.

    Raises:
        ConfigurationError: if nobody agreed.
    """
    if yes or not any(plan.changes for _, plan in plans):
        return
    if not session.can_ask:
        raise ConfigurationError("Nothing was changed: nobody agreed to the plan.", hint=f"Agree to it with: {later}")
    session.progress.close()
    show_plans(session.console, plans)
    if not typer.confirm("Do this now?"):
        raise ConfigurationError("Nothing was changed, as you wished.", hint=f"To do it later: {later}")


def show_plans(console: "Console", plans: Sequence[tuple[str, "Plan"]]) -> None:
    """Show plans, each with its title and hash."""
    for title, plan in plans:
        console.print(f"{title}: plan {plan.digest}")
        for line in plan_lines(plan):
            console.print(line)
