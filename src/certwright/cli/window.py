"""`certwright window`: maintenance windows, in which deployments may begin."""

import shlex
from collections.abc import Iterable
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any
from zoneinfo import ZoneInfo

import typer

from certwright.cli.session import Session, command
from certwright.cli.show import table
from certwright.domain.windows import Dates, MaintenanceWindow, Opening, Span
from certwright.sdk.params import read_params

if TYPE_CHECKING:
    from certwright.store.uses import Users

app = typer.Typer(help="Maintenance windows: when deployments may begin.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(metavar="WINDOW", help="What you call it.")]
_OPENINGS = 5


@command(app, "add")
def add(
    session: Session,
    name: Name,
    spans: Annotated[
        list[str],
        typer.Option(
            "--open",
            metavar="SPAN",
            help='When it is open, such as "Sat 22:00-04:00" or "Mon-Fri 02:00-04:00"; may be given several times.',
        ),
    ],
    zone: Annotated[str, typer.Option(help="By whose clock, such as Europe/Berlin.")],
    closed: Annotated[
        list[str] | None,
        typer.Option(
            metavar="DAYS",
            help="Days on which it stays closed, such as 2026-12-20..2027-01-06; may be given several times.",
        ),
    ] = None,
) -> None:
    """Add a window, or replace the one of that name wherever it is used."""
    from certwright.engine.windows import put_window  # noqa: PLC0415 - loads the store

    values = {
        "name": name,
        "zone": zone,
        "spans": tuple(map(Span.parse, spans)),
        "closed": tuple(map(Dates.parse, closed or ())),
    }
    window = read_params(MaintenanceWindow, values, f"the window {name!r}")
    put_window(session.engine, window)
    _show(session, window)


@command(app, "list")
def list_windows(session: Session) -> None:
    """List the windows."""
    now = session.engine.now()
    with session.engine.store.read() as unit:
        found = [(window, unit.windows.users(window.name)) for window in unit.windows.list()]
    rows = [
        [w.name, _together(w.spans), w.zone, _opens(w, w.next_opening(now), now), str(len(used.first) + used.more)]
        for w, used in found
    ]
    session.emit(
        [_data(window, users, now) for window, users in found],
        lambda console: console.print(table(["Name", "Open", "Zone", "Opens next", "Certificates"], rows)),
    )


@command(app, "show")
def show(session: Session, name: Name) -> None:
    """Show a window: its next openings by its own clock and in UTC, and what it is used by."""
    with session.engine.store.read() as unit:
        window = unit.windows.get(name)
    _show(session, window)


@command(app, "remove")
def remove(session: Session, name: Name) -> None:
    """Remove a window that nothing uses."""
    from certwright.engine.windows import remove_window  # noqa: PLC0415 - loads the store

    remove_window(session.engine, name)
    session.say(f"The window {name!r} is removed.", name=name)


def _show(session: Session, window: MaintenanceWindow) -> None:
    now = session.engine.now()
    with session.engine.store.read() as unit:
        users = unit.windows.users(window.name)
    lines = [
        ("Window", window.name),
        ("Open", f"{_together(window.spans)} ({window.zone})"),
        ("Closed", _together(window.closed) or "on no other day"),
        ("Used by", str(users) or f"nothing yet: certwright certificate window CERT {shlex.quote(window.name)}"),
    ]
    rows = [
        [
            _opens(window, one, now),
            window.local(one.end),
            *(f"{moment:%a %Y-%m-%d %H:%M}" for moment in (one.start, one.end)),
        ]
        for one in islice(window.openings(now), _OPENINGS)
    ]

    def to_person(console: Any) -> None:
        for label, value in lines:
            console.print(f"{label:<10} {value}")
        console.print(table(["Opens", "Closes", "Opens (UTC)", "Closes (UTC)"], rows))

    session.emit(_data(window, users, now), to_person)


def _together(parts: Iterable[Span | Dates]) -> str:
    return "; ".join(map(str, parts))


def _opens(window: MaintenanceWindow, opening: Opening | None, now: datetime) -> str:
    if opening is None:
        return "not within a year"
    return "open now" if opening.start <= now else window.local(opening.start)


def _data(window: MaintenanceWindow, users: "Users", now: datetime) -> dict[str, Any]:
    zone = ZoneInfo(window.zone)
    openings = [
        {
            "start": one.start.isoformat(),
            "end": one.end.isoformat(),
            "local_start": one.start.astimezone(zone).isoformat(),
            "local_end": one.end.astimezone(zone).isoformat(),
        }
        for one in islice(window.openings(now), _OPENINGS)
    ]
    return {
        **window.model_dump(mode="json"),
        "open": window.is_open(now),
        "openings": openings,
        "used_by": list(users.first),
        "more": users.more,
    }
