"""The tasks of all certificates: what runs where, how it went last, and when it runs next."""

from starlette.responses import Response

from certwright.domain.access import Permission
from certwright.domain.runs import Stage
from certwright.engine.all_tasks import all_tasks
from certwright.web.language import later
from certwright.web.pages import Page, Visit, with_query

_CERTIFICATES = 50
_STAGES = [stage for stage in Stage if stage is not Stage.NEW]


def _tasks(visit: Visit) -> Response:
    typed, stage, after = visit.asked("name"), visit.asked("stage"), visit.asked("after")
    chosen = Stage(stage) if stage in set(_STAGES) else None
    found, last = all_tasks(visit.engine, after, _CERTIFICATES, part=typed, stage=chosen)
    filters = {"name": typed, "stage": chosen or ""}
    return visit.page(
        "tasks.html",
        found=found,
        stages=_STAGES,
        filters=filters,
        first=with_query("/tasks", **filters) if after else "",
        following=with_query("/tasks", **filters, after=last) if last else "",
    )


PAGES = (Page("/tasks", Permission.READ, _tasks, label=later("Tasks")),)
