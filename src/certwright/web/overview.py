"""The overview: what needs a person now, how all is, what is at work, and what comes."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from starlette.responses import Response

from certwright.domain.access import Permission
from certwright.engine.outlook import Outlook, outlook
from certwright.web.language import later
from certwright.web.pages import Page, Visit

WIDTH, HEIGHT = 900, 120
_SOON_DAYS = 14


@dataclass(frozen=True, slots=True)
class Bar:
    """How many certificates end on a day, drawn; lengths are those of the chart."""

    day: datetime
    count: int
    x: float
    width: float
    height: float
    is_soon: bool


def _overview(visit: Visit) -> Response:
    found = outlook(visit.engine)
    return visit.page(
        "overview.html",
        found=found,
        more=max(0, found.waiting - len(found.judged)),
        more_watched=found.waiting_watched - len(found.seen),
        bars=bars(found),
        width=WIDTH,
        height=HEIGHT,
    )


def bars(found: Outlook) -> Sequence[Bar]:
    """The chart: a bar a day, the tallest as high as the chart."""
    most, step = max(*found.days, 1), WIDTH / len(found.days)
    return [
        Bar(
            day=found.today + timedelta(days=number),
            count=count,
            x=round(number * step + 1, 1),
            width=round(step - 2, 1),
            height=round(max(count / most * HEIGHT, 2 if count else 0), 1),
            is_soon=number < _SOON_DAYS,
        )
        for number, count in enumerate(found.days)
    ]


PAGES = (Page("/", Permission.READ, _overview, label=later("Overview")),)
