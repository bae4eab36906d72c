"""`certwright serve`: renews and deploys by itself."""

import logging
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from certwright.cli import streams
from certwright.cli.initialise import make
from certwright.cli.session import Session, command
from certwright.domain.errors import NoStore
from certwright.settings import LogFormat

if TYPE_CHECKING:
    from certwright.engine.context import Engine


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "serve")(serve)


def serve(
    session: Session,
    workers: Annotated[int, typer.Option(min=1, max=64, help="How many certificates at the same time.")] = 4,
    listen: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS:PORT",
            help="Offer the pages, the API, health and metrics there, or nowhere: none [setting: listen].",
        ),
    ] = None,
    log_format: Annotated[
        LogFormat | None,
        typer.Option(help="What is written to standard error: lines for people, or JSON [setting: log_format]."),
    ] = None,
) -> None:
    """Renew and deploy whatever is due, until it is stopped; this is what runs as a service.

    One on a data folder, or one on each node of a shared store; every other command works beside it. Killed at any
    moment, the next one goes on. Where there is no store yet it makes one, if somebody is there who agrees.
    """
    from certwright.server.service import serve as run  # noqa: PLC0415 - loads the store

    settings = session.settings
    if listen is not None:
        settings = replace(settings, listen=listen, origins={**settings.origins, "listen": "--listen"})
    engine = _logged(_engine(session), log_format or LogFormat(settings.log_format))
    run(engine, settings, workers, _welcome)
    session.say("The service has ended.")


def _engine(session: Session) -> "Engine":
    """The engine; a store is made first where there is none, if there is somebody who keeps its recovery key."""
    try:
        return session.engine
    except NoStore as error:
        if not session.can_ask or not typer.confirm(f"{error.message} Make one there now?", default=True, err=True):
            raise
    make(session, "The service begins now.")
    return session.engine


def _welcome(address: str) -> None:
    """Tell a person where to begin; where nobody watches, what is printed may be kept, and must hold no secret."""
    if sys.stdout.isatty():
        streams.write(
            sys.stdout, f"Nobody can sign in yet. Make the first administrator here, within half an hour:\n{address}\n"
        )
    else:
        streams.write(
            sys.stdout,
            "Nobody can sign in yet. Make the first administrator: certwright person add NAME administrator\n",
        )


def _logged(engine: "Engine", form: LogFormat) -> "Engine":
    """The engine, what it logs going to standard error; as JSON, so do the journals that people see as progress."""
    from certwright.engine import logs  # noqa: PLC0415 - loads the store

    lines = logging.StreamHandler(sys.stderr)
    logging.getLogger("certwright").addHandler(lines)
    if form is LogFormat.TEXT:
        lines.setFormatter(logs.Lines("%(asctime)s %(message)s", "%H:%M:%S"))
        return engine
    lines.setFormatter(logs.JsonLines())
    logs.log_entries(lines)
    return replace(engine, listen=logs.log_entry)
