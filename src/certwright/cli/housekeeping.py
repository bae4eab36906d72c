"""`certwright housekeeping`: what nobody needs any more goes."""

from typing import Any

import typer

from certwright.cli.session import Exit, Session, command


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "housekeeping")(housekeeping)


def housekeeping(session: Session) -> None:
    """Remove what is old: versions, journals, events, snapshots; certificates from Exchange where that is released."""
    from certwright.engine.housekeeping import housekeep  # noqa: PLC0415 - loads the store

    done = housekeep(session.engine)
    removed = [change for one in done.cleaned for change in one.removed]
    session.code = Exit.FAILED if done.problems else Exit.DONE

    def to_person(console: Any) -> None:
        console.print(
            f"Removed: {done.versions} versions, {done.runs} journals, {done.events} events, {done.snapshots} "
            f"snapshots, {len(removed)} certificates from Exchange servers."
        )
        for title in done.waiting:
            console.print(
                f"Servers of {title!r} hold superseded certificates, and unattended work is not released there: "
                f"certwright exchange cleanup {title!r}"
            )
        for error in done.problems:
            console.print("\n".join(error.explain()))

    data = {
        "versions": done.versions,
        "runs": done.runs,
        "events": done.events,
        "snapshots": done.snapshots,
        "answers": done.answers,
        "leases": done.leases,
        "exchange": [{"server": c.target, "thumbprint": c.parameters["Thumbprint"]} for c in removed],
        "waiting": done.waiting,
        "problems": [list(error.explain()) for error in done.problems],
    }
    session.emit(data, to_person)
