"""`certwright diagnostics`: what somebody needs who is to say what is wrong, in one file without secrets."""

from pathlib import Path
from typing import Annotated

import typer

from certwright.cli.files import check_new, write_new
from certwright.cli.session import Session, command


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "diagnostics")(diagnostics)


def diagnostics(
    session: Session,
    to: Annotated[Path, typer.Option("--to", metavar="FILE.zip", help="The new file.")],
    pseudonyms: Annotated[
        bool, typer.Option("--pseudonyms", help="Replace names of hosts, domains and people by made-up ones.")
    ] = False,
) -> None:
    """Collect versions, settings, state, journals and logs in one file, without secrets."""
    from certwright.engine.diagnostics import bundle  # noqa: PLC0415 - loads the store

    check_new(to)
    made, files = bundle(session.engine, session.settings, pseudonyms=pseudonyms)
    write_new(to, made)
    names = "Names in it are made up" if pseudonyms else "Names of hosts and certificates in it are real"
    session.say(
        f"{len(files)} files are in {to}. {names}; secrets were removed. Look through it before you send it.",
        file=str(to),
        files=files,
    )
