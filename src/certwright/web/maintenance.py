"""Maintenance windows: when deployments may begin."""

from collections.abc import Callable
from itertools import islice
from typing import Annotated, Any

from pydantic import BeforeValidator, Field
from starlette.responses import Response

from certwright.domain.access import Permission
from certwright.domain.errors import ConfigurationError
from certwright.domain.windows import Dates, MaintenanceWindow, Span
from certwright.engine.windows import put_window, remove_window, window_taken
from certwright.sdk.params import Params
from certwright.web.language import later
from certwright.web.named import Named
from certwright.web.pages import Page, Visit
from certwright.web.removing import Removal

_ALL = "/windows"
_OPENINGS = 3


def _each(parse: Callable[[str], Any]) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        try:
            return tuple(parse(each) if isinstance(each, str) else each for each in value)
        except ConfigurationError as error:
            raise ValueError(" ".join(error.explain())) from None

    return read


class WindowForm(Params):
    """A window, as it is filled in."""

    name: str = Field(min_length=1, max_length=100, description="What you call it.")
    spans: Annotated[tuple[Span, ...], BeforeValidator(_each(Span.parse))] = Field(
        min_length=1,
        title="Open",
        description="When it is open, one on each line: Sat 22:00-04:00, Mon-Fri 02:00-04:00 or Fri 20:00-Mon 06:00.",
        json_schema_extra={"whole": True},
    )
    zone: str = Field(default="UTC", title="Time zone", description="By whose clock, such as Europe/Berlin.")
    closed: Annotated[tuple[Dates, ...], BeforeValidator(_each(Dates.parse))] = Field(
        default=(),
        description="Days on which it stays closed, one on each line, such as 2026-12-20..2027-01-06.",
        json_schema_extra={"whole": True},
    )


def _windows(visit: Visit) -> Response:
    """All, with their next openings and who uses them."""
    now = visit.engine.now()
    with visit.engine.store.read() as unit:
        found = [(window, unit.windows.users(window.name)) for window in unit.windows.list()]
    openings = {w.name: [each.start for each in islice(w.openings(now), _OPENINGS)] for w, _ in found}
    return visit.page("windows.html", windows=found, openings=openings)


_NAMED = Named(
    path=_ALL,
    edit="/windows/edit",
    form=WindowForm,
    kind=MaintenanceWindow,
    new=later("A new maintenance window"),
    button=later("Store the window"),
    taken=window_taken,
    kept=lambda unit, name: unit.windows.get(name),
    known=dict,
    put=put_window,
    removal=Removal(
        path="/windows/remove",
        permission=Permission.MANAGE,
        title=later("Remove the maintenance window %(name)s?"),
        follows=(later("That is possible only while no certificate and no task waits for it."),),
        button=later("Remove it"),
        back=_ALL,
        called=lambda unit, name: unit.windows.get(name).name,
        remove=remove_window,
    ),
)
PAGES = (Page(_ALL, Permission.READ, _windows, label=later("Maintenance windows")), *_NAMED.pages)
