"""The same done to several certificates, or to all of a list: first what would happen, then that it did."""

from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus

from starlette.responses import Response

from certwright.domain.errors import Changed
from certwright.engine.bulk import MOST, Act, Summary, carry_out, carry_out_all, preview, preview_all
from certwright.engine.context import Engine
from certwright.web.filters import Chosen
from certwright.web.language import _, later
from certwright.web.pages import Page, Visit, see

_PICK = "pick-"
_LOOK, _DO = later("What would happen to all of them"), later("It is done to all of them")


@dataclass(frozen=True, slots=True)
class _Result:
    """What came of it, and why it is only looked at, where it was to be done."""

    found: Summary
    is_done: bool = False
    problem: str = ""


def _doing(act: Act) -> Callable[[Visit], Response]:
    def make(visit: Visit) -> Response:
        if "all" in visit.fields:
            return _of_all(visit, act)
        ids = [name.removeprefix(_PICK) for name in visit.fields if name.startswith(_PICK)][:MOST]
        reason, is_sure = visit.sent("reason"), "sure" in visit.fields
        problem = "" if ids else _("Choose certificates first: tick them in the list.")
        problem = problem or _missing(act, reason, is_sure=is_sure)
        if problem or not is_sure:
            steps = preview(visit.engine, act, ids)
            status = HTTPStatus.UNPROCESSABLE_ENTITY if problem else HTTPStatus.OK
            return visit.page("bulk.html", status, act=act, steps=steps, problem=problem, is_done=False)
        steps = carry_out(visit.engine, act, ids, _signed(visit, reason))
        visit.wake()
        return visit.page("bulk.html", act=act, steps=steps, problem="", is_done=True)

    return make


def _of_all(visit: Visit, act: Act) -> Response:
    """Begin to look at all of the list, or, if that was seen, to do it; either goes on beside."""
    chosen, reason, is_sure = Chosen.exactly(visit.sent("all")), visit.sent("reason"), "sure" in visit.fields
    wanted, problem = chosen.filter(visit.engine.now()), _missing(act, reason, is_sure=is_sure)

    def look(engine: Engine) -> _Result:
        return _Result(preview_all(engine, act, wanted), problem=problem)

    def do(engine: Engine) -> _Result:
        try:
            found = carry_out_all(engine, act, wanted, _signed(visit, reason), visit.sent("seen"))
        except Changed:
            return _Result(preview_all(engine, act, wanted), problem=others)
        visit.wake()
        return _Result(found, is_done=True)

    others = _("Nothing was done: the list finds other certificates now than those that you looked at. Look again.")
    title, work = (_DO, do) if is_sure and not problem else (_LOOK, look)
    return visit.begin(title, work, lambda job: f"/bulk/{act}/{job.id}", chosen.address())


def _seen(act: Act) -> Callable[[Visit], Response]:
    def make(visit: Visit) -> Response:
        job = visit.waited()
        if not isinstance(job.result, _Result):
            return see(f"/working/{job.id}")
        return visit.page("bulk-all.html", act=act, seen=job.result, all=job.sent.get("all", ""), back=job.back)

    return make


def _missing(act: Act, reason: str, *, is_sure: bool) -> str:
    is_missing = is_sure and act is Act.HOLD and not reason
    return _("Say why they are held back: whoever looks at them next wants to know.") if is_missing else ""


def _signed(visit: Visit, reason: str) -> str:
    return f"{reason} ({visit.person.name})"


PAGES = (
    *(Page(f"/bulk/{act}", act.permission, _doing(act), "POST", sent_from="/certificates") for act in Act),
    *(Page(f"/bulk/{act}/{{id}}", act.permission, _seen(act)) for act in Act),
)
