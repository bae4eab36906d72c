"""Where the end of something is awaited that takes longer than a page may."""

from starlette.responses import Response

from certwright.domain.access import Permission
from certwright.domain.errors import NotFound
from certwright.web.matrix import matrix
from certwright.web.pages import Page, Visit, own_address, see
from certwright.web.problems import BY_ITSELF
from certwright.web.runs import journal


def _working(visit: Visit) -> Response:
    try:
        job = visit.waited()
    except NotFound:
        return _elsewhere(visit)
    ended = job.ended.is_set()  # asked once: a page that goes on by itself does so until it leads on
    if ended and job.error is None and job.then:
        return _on(visit, job.then(job))
    if ended and job.error and job.refill:
        return _on(visit, f"{job.back}{'&' if '?' in job.back else '?'}again={job.id}")
    told = journal(list(job.lines))
    seen = matrix(list(job.seen.values()))
    return visit.page("working.html", certificate=job.subject, job=job, ended=ended, told=job.told, seen=seen, **told)


def _elsewhere(visit: Visit) -> Response:
    """What the store knows of it, where this node does not carry it out; its address knows where it was begun."""
    job, told = visit.waits.elsewhere(visit.engine, visit.request.path_params["id"])
    back = own_address(visit.asked("back"))
    return visit.page("working-elsewhere.html", certificate=job.subject, job=job, told=told, back=back)


def _on(visit: Visit, to: str) -> Response:
    """Go on there; a page that asks by itself would only put the other one into its own place."""
    return Response(headers={"HX-Redirect": to}) if BY_ITSELF in visit.request.headers else see(to)


PAGES = (Page("/working/{id}", Permission.READ, _working),)
