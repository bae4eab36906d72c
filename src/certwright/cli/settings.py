"""`certwright settings`: what each setting comes to, and where that was said."""

from dataclasses import asdict

import typer

from certwright.cli.session import Session, command
from certwright.cli.show import table
from certwright.settings import shown


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "settings")(settings)


def settings(session: Session) -> None:
    """Show each setting and where it comes from: command line, environment, settings file or default."""
    found, file = shown(session.settings), session.settings.file
    rows = [[one.name, one.value, one.where] for one in found]
    session.emit(
        {"file": str(file) if file else None, "settings": [asdict(one) for one in found]},
        lambda console: console.print(table(["Setting", "Value", "From"], rows)),
    )
