"""One run, with its journal."""

from starlette.responses import Response

from certwright.domain.access import Permission
from certwright.domain.errors import NotFound
from certwright.domain.runs import Phase
from certwright.web.pages import Page, Visit


def _run(visit: Visit) -> Response:
    with visit.engine.store.read() as unit:
        run = unit.runs.get(visit.request.path_params["id"])
        entries = unit.runs.entries(run.id)
        try:
            managed = unit.managed.get(run.managed_id)
        except NotFound:
            managed = None
    ends = {entry.step: entry for entry in entries if entry.phase is Phase.END}
    lines = [entry for entry in entries if entry.phase is not Phase.END]
    return visit.page("run.html", run=run, managed=managed, lines=lines, ends=ends)


PAGES = (Page("/runs/{id}", Permission.READ, _run),)
