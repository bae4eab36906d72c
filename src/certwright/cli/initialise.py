"""`certwright init`: make the store, once."""

from typing import Annotated

import typer

from certwright.cli.secret import read_secret
from certwright.cli.session import Session, command


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "init")(init)


def init(
    session: Session,
    recover: Annotated[bool, typer.Option("--recover", help="Make a new master key from the recovery key.")] = False,
    recovery_key_file: Annotated[
        str | None, typer.Option(help="File with the recovery key; - is standard input.")
    ] = None,
) -> None:
    """Make the data folder, its store and its keys; prints the recovery key once."""
    from certwright import store  # noqa: PLC0415 - SQLAlchemy is loaded only where it is used

    if recover:
        store.recover(session.settings, read_secret(recovery_key_file, "recovery key"))
        session.say("The master key is back.", **_places(session))
        return
    make(
        session,
        "Next, for Exchange: certwright exchange discover --server SERVER, then certwright exchange setup --email YOU\n"
        "For other services: certwright issuer add acme letsencrypt --authority letsencrypt --email YOU --agree-tos",
    )


def make(session: Session, following: str) -> None:
    """Make the store, show its recovery key, and say what comes next."""
    from certwright import store  # noqa: PLC0415 - as above

    key = store.create(session.settings)
    session.emit(
        {**_places(session), "recovery_key": key},
        lambda console: console.print(
            f"The store is in {session.settings.place}.\n\n"
            f"Recovery key: {key}\n\n"
            "Write it down and keep it away from this machine: it is shown only now, and without it a lost master key\n"
            f"means lost private keys.\n\n{following}"
        ),
    )


def _places(session: Session) -> dict[str, str]:
    return {"data_folder": str(session.settings.data_folder), "store": session.settings.place}
