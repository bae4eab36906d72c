"""`/windows`: maintenance windows, in which deployments may begin."""

from datetime import datetime
from http import HTTPStatus
from itertools import islice
from typing import Annotated

from fastapi import APIRouter, Depends, Response
from pydantic import AwareDatetime, BaseModel, Field

from certwright.api import listing
from certwright.api.access import MANAGES, READS, UsesEngine
from certwright.api.changes import UNCHANGED, Body, Line, Name, Unchanged, UnchangedOrNew, show_tag
from certwright.api.listing import Asked, Named
from certwright.api.problems import answers
from certwright.domain.windows import Dates, MaintenanceWindow, Span
from certwright.engine.context import Engine
from certwright.engine.windows import put_window, remove_window, window_taken
from certwright.sdk.params import read_params
from certwright.store import UnitOfWork

router = APIRouter(tags=["windows"])
_OPENINGS = 5
Guarded = Annotated[Engine, Depends(Unchanged(lambda unit, name: unit.windows.get(name)))]
Put = Annotated[Engine, Depends(UnchangedOrNew(lambda unit, name: unit.windows.get(name), window_taken))]
_MOST = 100
Spans = Annotated[
    list[Line], Field(min_length=1, max_length=_MOST, examples=[["Sat 22:00-04:00", "Mon-Fri 02:00-04:00"]])
]
Days = Annotated[list[Line], Field(max_length=_MOST, examples=[["2026-12-20..2027-01-06"]])]
Zone = Annotated[Line, Field(description="By whose clock.", examples=["Europe/Berlin"])]


class Opening(BaseModel):
    """A time during which it is open."""

    start: AwareDatetime
    end: AwareDatetime


class WantedWindow(Body):
    """When deployments may begin: in `spans`, by the clock of `zone`, but not on the days that are `closed`."""

    spans: Spans
    zone: Zone
    closed: Days = Field(default=[])


class Window(BaseModel):
    """A maintenance window, and its next openings.

    `used_by` are the titles of the first certificates that refer to it, and `more` are left out.
    """

    name: str
    spans: list[str]
    zone: str
    closed: list[str]
    open: bool
    openings: list[Opening]
    used_by: list[str]
    more: int

    @classmethod
    def of(cls, unit: UnitOfWork, kept: MaintenanceWindow, now: datetime) -> "Window":
        """As it is at this moment."""
        users = unit.windows.users(kept.name)
        openings = [Opening(start=one.start, end=one.end) for one in islice(kept.openings(now), _OPENINGS)]
        return cls(
            name=kept.name,
            spans=list(map(str, kept.spans)),
            zone=kept.zone,
            closed=list(map(str, kept.closed)),
            open=kept.is_open(now),
            openings=openings,
            used_by=list(users.first),
            more=users.more,
        )


@router.get("/windows", dependencies=[READS], responses=answers())
def list_windows(engine: UsesEngine, asked: Asked) -> Named[Window]:
    """The maintenance windows, by name."""
    with engine.store.read() as unit:
        page = listing.page(unit.windows.list(), asked)
        return Named(items=[Window.of(unit, kept, engine.now()) for kept in page.items], next=page.next)


@router.get("/windows/{name:path}", dependencies=[READS], responses=answers(HTTPStatus.NOT_FOUND))
def get_window(engine: UsesEngine, name: Name, response: Response) -> Window:
    """One maintenance window; its ETag changes with what is kept, not with its openings."""
    with engine.store.read() as unit:
        kept = unit.windows.get(name)
        show_tag(response, kept)
        return Window.of(unit, kept, engine.now())


@router.put("/windows/{name:path}", dependencies=[MANAGES], responses=UNCHANGED)
def put_maintenance_window(engine: Put, name: Name, wanted: WantedWindow, response: Response) -> Window:
    """Keep a window, in place of the one of that name wherever it is used."""
    values = {
        "name": name,
        "zone": wanted.zone,
        "spans": tuple(map(Span.parse, wanted.spans)),
        "closed": tuple(map(Dates.parse, wanted.closed)),
    }
    put_window(engine, read_params(MaintenanceWindow, values, f"the window {name!r}"))
    return get_window(engine, name, response)


@router.delete("/windows/{name:path}", dependencies=[MANAGES], status_code=HTTPStatus.NO_CONTENT, responses=UNCHANGED)
def delete_window(engine: Guarded, name: Name) -> None:
    """Remove a window that nothing uses."""
    remove_window(engine, name)
