"""`/bulk`: the same done to all certificates that a filter finds, or a look at what that would do."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response
from pydantic import Field

from certwright.api.access import HOLDS, REQUESTS, UsesEngine, UsesJobs, Wakes
from certwright.api.certificates import Which
from certwright.api.changes import CHANGES, Body, Line
from certwright.api.jobs import BEGUN, begun
from certwright.api.repeats import RepeatableRoute
from certwright.domain.jobs import Job
from certwright.engine.bulk import Act, carry_out_all, preview_all
from certwright.engine.context import Engine

router = APIRouter(tags=["certificates"], route_class=RepeatableRoute)


class Selected(Which, Body):
    """Which certificates it is done to: a mistyped filter is an error, and not none."""


class All(Body):
    """Which certificates are meant."""

    which: Selected = Field(description="To all, if it is empty.", examples=[{"tag": "berlin"}])


class Bulk(All):
    """To which certificates it is done."""

    seen: str | None = Field(
        default=None, description="`seen` of the preview: if the filter finds others by now, nothing is done."
    )


class Hold(Bulk):
    """Which certificates are held back, and why."""

    reason: Line = Field(examples=["The servers move on Saturday."])


class _Bulk:
    """Begins the jobs of a request."""

    def __init__(self, engine: UsesEngine, jobs: UsesJobs, wake: Wakes, response: Response) -> None:
        self._engine, self._jobs, self._wake, self._response = engine, jobs, wake, response

    def look(self, act: Act, wanted: All) -> Job:
        """Begin to count."""
        which = wanted.which.filter(self._engine.now())
        job = self._jobs.begin(
            self._engine, f"bulk {act}, preview", "", lambda one: preview_all(one, act, which).data()
        )
        return begun(job, self._response)

    def do(self, act: Act, wanted: Bulk, reason: str = "") -> Job:
        """Begin to do it."""
        which = wanted.which.filter(self._engine.now())

        def work(acting: Engine) -> object:
            done = carry_out_all(acting, act, which, reason, wanted.seen).data()
            self._wake()
            return done

        return begun(self._jobs.begin(self._engine, f"bulk {act}", "", work), self._response)


Begins = Annotated[_Bulk, Depends(_Bulk)]


@router.post("/bulk/request/preview", dependencies=[REQUESTS], status_code=BEGUN, responses=CHANGES)
def post_bulk_request_preview(bulk: Begins, wanted: All) -> Job:
    """Count how many would be requested now, how many not and why, and when the last has its turn."""
    return bulk.look(Act.REQUEST, wanted)


@router.post("/bulk/hold/preview", dependencies=[HOLDS], status_code=BEGUN, responses=CHANGES)
def post_bulk_hold_preview(bulk: Begins, wanted: All) -> Job:
    """Count how many would be held back now, how many not and why."""
    return bulk.look(Act.HOLD, wanted)


@router.post("/bulk/release/preview", dependencies=[HOLDS], status_code=BEGUN, responses=CHANGES)
def post_bulk_release_preview(bulk: Begins, wanted: All) -> Job:
    """Count how many would be released now, how many not and why."""
    return bulk.look(Act.RELEASE, wanted)


@router.post("/bulk/request", dependencies=[REQUESTS], status_code=BEGUN, responses=CHANGES)
def post_bulk_request(bulk: Begins, wanted: Bulk) -> Job:
    """Request new certificates for all; the result says for how many, and why not for others."""
    return bulk.do(Act.REQUEST, wanted)


@router.post("/bulk/hold", dependencies=[HOLDS], status_code=BEGUN, responses=CHANGES)
def post_bulk_hold(bulk: Begins, wanted: Hold) -> Job:
    """Hold the renewals of all back; the result says of how many, and why not of others."""
    return bulk.do(Act.HOLD, wanted, wanted.reason)


@router.post("/bulk/release", dependencies=[HOLDS], status_code=BEGUN, responses=CHANGES)
def post_bulk_release(bulk: Begins, wanted: Bulk) -> Job:
    """Have all renewed again; the result says how many, and why others not."""
    return bulk.do(Act.RELEASE, wanted)
