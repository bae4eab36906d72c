"""`certwright keys`: the keys under which the store's secrets lie."""

from typing import Annotated

import typer

from certwright.cli.secret import read_secret
from certwright.cli.session import Session, command
from certwright.domain.errors import ConfigurationError

app = typer.Typer(help="The keys under which the store's secrets lie.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """The keys under which the store's secrets lie."""


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
    done = store.rotate(session.settings, kept)
    lines = [f"{done.secrets} secrets were encrypted anew."]
    lines.append(
        "There is a new master key in the place of the old one."
        if done.master_key
        else "The master key stays: it is given by CERTWRIGHT_MASTER_KEY."
    )
    if done.recovery_key:
        lines += [
            f"\nRecovery key: {done.recovery_key}\n",
            "Write it down: it is shown only now. Keep the old one for as long as there are backups from before.",
        ]
    session.emit(
        {"secrets": done.secrets, "new_master_key": done.master_key, "recovery_key": done.recovery_key},
        lambda console: console.print("\n".join(lines)),
    )
