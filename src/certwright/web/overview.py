"""The overview: what needs a person now, how all is, and what is at work."""

from starlette.responses import Response

from certwright.domain.access import Permission
from certwright.engine.status import status
from certwright.web.pages import Page, Visit

_SHOWN = 20


def _overview(visit: Visit) -> Response:
    found = status(visit.engine)
    with visit.engine.store.read() as unit:
        running = [run for run in unit.runs.list(limit=_SHOWN) if run.ended_at is None]
    return visit.page(
        "overview.html",
        found=found,
        told=found.judged[:_SHOWN],
        more=max(0, len(found.judged) - _SHOWN),
        running=running,
    )


PAGES = (Page("/", Permission.READ, _overview),)
