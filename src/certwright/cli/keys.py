"""`certwright keys`: the keys under which the store's secrets lie."""

from typing import TYPE_CHECKING, Annotated

import typer

from certwright.cli.secret import read_secret
from certwright.cli.session import Session, command
from certwright.domain.errors import CertwrightError, ConfigurationError

if TYPE_CHECKING:
    from certwright.store.rotation import Rotated

app = typer.Typer(help="The keys under which the store's secrets lie.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """The keys under which the store's secrets lie."""


@command(app, "confirm")
def confirm(
    session: Session,
    recovery_key_file: Annotated[
        str | None, typer.Option(help="File with the recovery key; - is standard input. Without it you are asked.")
    ] = None,
) -> None:
    """Show that the recovery key that you wrote down is the one of this store."""
    from certwright.engine.recovery import confirm as note  # noqa: PLC0415 - loads the store

    note(session.engine, read_secret(recovery_key_file, "recovery key"))
    session.say("This is the recovery key of the store. Keep it away from this machine.")


@command(app, "rotate")
def rotate(
    session: Session,
    new_recovery_key: Annotated[
        bool, typer.Option("--new-recovery-key", help="Make another recovery key too, and print it once.")
    ] = False,
    recovery_key_file: Annotated[
        str | None,
        typer.Option(help="File with the recovery key, which stays; - is standard input. Without it you are asked."),
    ] = None,
) -> None:
    """Encrypt all secrets under a new data key, and make a new master key; what runs goes on."""
    from certwright import store  # noqa: PLC0415 - SQLAlchemy is loaded only where it is used

    if new_recovery_key and recovery_key_file:
        raise ConfigurationError("--new-recovery-key and --recovery-key-file exclude each other.")
    kept = None if new_recovery_key else read_secret(recovery_key_file, "recovery key")
    store.rotate(session.settings, kept, lambda done: _tell(session, done))


def _tell(session: Session, done: "Rotated") -> None:
    lines = [f"{done.secrets} secrets are encrypted anew."]
    lines.append(
        "There is a new master key in the place of the old one."
        if done.master_key
        else "The master key stays: it is given by CERTWRIGHT_MASTER_KEY."
    )
    if done.recovery_key:
        lines += [
            f"\nRecovery key: {done.recovery_key}\n",
            "Write it down: it is shown only now. Keep the old one for as long as there are backups from before.",
            "If this command is stopped now, certwright keys confirm tells which of the two is the one of the store.",
        ]
    data = {"secrets": done.secrets, "new_master_key": done.master_key, "recovery_key": done.recovery_key}
    try:
        session.emit(data, lambda console: console.print("\n".join(lines)))
    except CertwrightError as error:
        raise CertwrightError(
            "All keys stay as they are: what is new cannot be printed.",
            causes=[str(error.__cause__ or error)],
            hint=error.hint,
        ) from error
