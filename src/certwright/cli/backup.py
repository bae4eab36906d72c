"""The store in one file (`backup`), back on a bare machine (`restore`), and whether it is whole (`check`)."""

from pathlib import Path
from typing import Annotated

import typer

from certwright.cli.secret import read_secret
from certwright.cli.session import Session, command


def register(app: typer.Typer) -> None:
    """Add the commands."""
    command(app, "backup")(backup)
    command(app, "restore")(restore)
    command(app, "check")(check)


def backup(
    session: Session,
    to: Annotated[Path, typer.Option("--to", help="A new file, or a folder in which the file gets a name of its own.")],
    keep: Annotated[
        int, typer.Option(min=1, help="How many backups of this store stay in the folder; older ones are removed.")
    ] = 14,
) -> None:
    """Write all that a bare machine needs to one file, encrypted to the recovery key, and read it back."""
    from certwright.engine.backup import back_up  # noqa: PLC0415 - loads the store

    done = back_up(session.engine, to.absolute(), keep)
    made = done.backup
    content = f"{made.rows['managed']} managed certificates, {made.rows['versions']} versions of them"
    lines = [
        f"The backup is in {made.path} ({made.size:,} bytes; {content}). It was read back.",
        *[f"{path.name} was removed: {keep} newer ones are there." for path in done.removed],
        "The recovery key that the store has now opens it, and no other does.",
    ]
    data = {
        "file": str(made.path),
        "store": made.head.store,
        "made_at": made.head.made_at.isoformat(),
        "size": made.size,
        "rows": dict(made.rows),
        "removed": [str(path) for path in done.removed],
    }
    session.emit(data, lambda console: console.print("\n".join(lines)))


def restore(
    session: Session,
    file: Annotated[Path, typer.Argument(help="The backup.")],
    recovery_key_file: Annotated[
        str | None, typer.Option(help="File with the recovery key; - is standard input. Without it you are asked.")
    ] = None,
) -> None:
    """Make the store of a backup on a machine that has none, with the recovery key alone."""
    from certwright import store  # noqa: PLC0415 - SQLAlchemy is loaded only where it is used

    head = store.restore(session.settings, file.absolute(), read_secret(recovery_key_file, "recovery key"))
    folder, made_at = str(session.settings.data_folder), f"{head.made_at:%Y-%m-%d %H:%M} UTC"
    session.say(
        f"The store is in {folder}, as it was on {made_at}, and has a master key here. Later changes are not in it.\n"
        "See that Certwright does not run any more where it came from. Then: certwright certificate renew",
        data_folder=folder,
        store=head.store,
        made_at=head.made_at.isoformat(),
    )


def check(session: Session) -> None:
    """Look whether the store is whole: every page, index, reference and secret."""
    from certwright.engine import check as checks  # noqa: PLC0415 - loads the store

    seen = checks.check(session.engine)
    left_over = (
        f"\nUnless keys are being changed at this moment, a change of keys was stopped before it changed anything: the "
        f"key in {seen.left_over_key} opens nothing. Remove that file, or change the keys: certwright keys rotate"
        if seen.left_over_key
        else ""
    )
    session.say(
        f"The store is whole: {seen.rows['managed']} managed certificates, {seen.rows['versions']} versions of them, "
        f"{seen.rows['secrets']} secrets, each of which can be decrypted.{left_over}",
        store=seen.store,
        rows=dict(seen.rows),
        left_over_key=seen.left_over_key,
    )
