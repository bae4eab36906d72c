"""One run, with its journal."""

from collections.abc import Sequence
from typing import Any

from starlette.responses import Response

from certwright.domain.access import Permission
from certwright.domain.errors import NotFound
from certwright.domain.runs import Entry, Phase
from certwright.web.pages import Page, Visit


def _run(visit: Visit) -> Response:
    with visit.engine.store.read() as unit:
        run = unit.runs.get(visit.request.path_params["id"])
        entries = unit.runs.entries(run.id)
        try:
            managed = unit.managed.get(run.managed_id)
        except NotFound:
            managed = None
    return visit.page("run.html", certificate=run.managed_id, run=run, managed=managed, **journal(entries))


def journal(entries: Sequence[Entry]) -> dict[str, Any]:
    """What `journal.html` shows of them: their lines, and by step how it ended."""
    ends = {entry.step: entry for entry in entries if entry.phase is Phase.END}
    return {"lines": [entry for entry in entries if entry.phase is not Phase.END], "ends": ends}


PAGES = (Page("/runs/{id}", Permission.READ, _run),)
