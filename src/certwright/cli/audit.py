"""`certwright audit`: who did what, and whether what is told of that is whole."""

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from certwright.cli.files import check_new
from certwright.cli.session import Exit, Session, command
from certwright.cli.show import table
from certwright.domain.audit import Action, SubjectKind
from certwright.domain.errors import ConfigurationError

if TYPE_CHECKING:
    from rich.console import Console

    from certwright.domain.audit import Entry
    from certwright.engine.audit import Verified

app = typer.Typer(help="Who did what: entries that cannot be changed unseen.", no_args_is_help=True)
_LONGEST = 80


@command(app, "list")
def list_entries(
    session: Session,
    by: Annotated[str | None, typer.Option(help="Only what this person, token or USER@HOST did.")] = None,
    action: Annotated[Action | None, typer.Option(help="Only this.")] = None,
    kind: Annotated[SubjectKind | None, typer.Option(help="Only what was done to this kind of thing.")] = None,
    to: Annotated[str | None, typer.Option(help="Only what was done to what has this id, name or title.")] = None,
    since: Annotated[datetime | None, typer.Option(help="Only from this moment on, in UTC.")] = None,
    until: Annotated[datetime | None, typer.Option(help="Only before this moment, in UTC.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="How many at most.")] = 50,
) -> None:
    """List what was done, newest first."""
    from certwright.engine.audit import entries  # noqa: PLC0415 - loads the store
    from certwright.store.audit import Wanted  # noqa: PLC0415 - as above

    first, end = (moment.replace(tzinfo=UTC) if moment else None for moment in (since, until))
    wanted = Wanted(by, action, kind, to, first, end)
    found = entries(session.engine, wanted, limit)
    session.emit(
        [entry.model_dump(mode="json") for entry in found],
        lambda console: console.print(
            table(["Nr", "When (UTC)", "Who", "What", "To", "Before", "After"], [_row(entry) for entry in found])
            if found
            else "Nothing of that kind was done."
        ),
    )


def _row(entry: "Entry") -> list[str]:
    about = f"{entry.subject.kind} {entry.subject.title}"
    moment = f"{entry.at:%Y-%m-%d %H:%M:%S}"
    who = f"{entry.actor.kind} {entry.actor.name}"
    return [str(entry.number), moment, who, entry.action, about, _short(entry.before), _short(entry.after)]


def _short(state: dict[str, Any] | None) -> str:
    told = ", ".join(f"{name}: {value}" for name, value in (state or {}).items())
    return told if len(told) <= _LONGEST else f"{told[:_LONGEST]}..."


@command(app, "head")
def head(session: Session) -> None:
    """Sign where the trail stands now; keep that elsewhere, and `verify --seen` shows whether it was rewritten."""
    from certwright.engine.audit import head as sign  # noqa: PLC0415 - loads the store

    signed = sign(session.engine)
    lines = [
        f"Head       {signed.head}",
        f"At         {signed.head.at:%Y-%m-%d %H:%M:%S} UTC",
        f"Key        {signed.key}",
        f"Signature  {signed.signature_in_hex}",
    ]
    session.emit(signed.model_dump(mode="json"), lambda console: console.print("\n".join(lines)))


@command(app, "export")
def export(session: Session, file: Annotated[Path, typer.Argument(metavar="FILE", help="A new file.")]) -> None:
    """Write the whole trail to a file as JSON lines, with its signed heads."""
    from certwright.engine.audit import export as write  # noqa: PLC0415 - loads the store

    check_new(file)
    try:
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as target:
            count = write(session.engine, target)
    except OSError as error:
        file.unlink(missing_ok=True)
        raise ConfigurationError(
            f"{file} cannot be written: {error.strerror}.", hint="Choose another folder or disk."
        ) from error
    session.say(f"{count} entries are in {file}.", file=str(file), entries=count)


@command(app, "verify")
def verify(
    session: Session,
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="An exported file [default: the store].")
    ] = None,
    seen: Annotated[
        list[str] | None,
        typer.Option(metavar="NUMBER:HASH", help="A head that was kept elsewhere; may be given several times."),
    ] = None,
    key: Annotated[
        str | None, typer.Option(help="By which the heads of the file are signed [default: what it says].")
    ] = None,
) -> None:
    """Look whether every entry is there and as it was written, and whether the heads are signed rightly."""
    from certwright.engine import audit  # noqa: PLC0415 - loads the store

    known = dict(map(audit.read_head, seen or ()))
    found = audit.verify_file(file, known, key) if file else audit.verify(session.engine, known)
    session.code = Exit.FAILED if found.faults else Exit.DONE
    session.emit(found.data(), lambda console: _show(console, found))


def _show(console: "Console", found: "Verified") -> None:
    if not found.faults:
        console.print(found.whole)
        return
    console.print("\n".join((*found.told, found.advice)))
