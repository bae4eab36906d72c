"""`/audit`: who did what, in a trail that cannot be changed unseen."""

from typing import Annotated

from fastapi import APIRouter, Query, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from certwright.api.access import AUDITS, UsesEngine, UsesJobs
from certwright.api.changes import CHANGES, Body, Line, Moment
from certwright.api.jobs import BEGUN, begun
from certwright.api.problems import answers
from certwright.api.repeats import RepeatableRoute
from certwright.domain.audit import Action, Entry, SignedHead, SubjectKind
from certwright.domain.jobs import Job
from certwright.engine.audit import entries, exported, head, read_head, verify
from certwright.store.audit import Wanted

router = APIRouter(tags=["audit"], route_class=RepeatableRoute)
_MOST_HEADS = 100
_HASH = "3f2a9c01b7de4410" * 4
_SIGNED = {
    "head": {"store": "c4b1d0e2f3a5", "number": 815, "hash": _HASH, "at": "2026-11-30T12:00:01Z"},
    "key": "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
    "signature": "5VZDAMNgrHKQhuLMgG6CioSHfx645dl02HPgZSJJAVVfuIIVkKM7rMYeOXAc+bRr0lv18FlbvMRlnvOgZdHB1g==",
}


class Trail(BaseModel):
    """A page of the audit trail, newest first; `next` is the `before` of the page after it."""

    items: list[Entry]
    next: int | None


class JsonLines(StreamingResponse):
    """One JSON object a line."""

    media_type = "application/jsonl"


class Kept(Body):
    """What is known of the trail from elsewhere."""

    seen: list[Line] = Field(
        default=[],
        max_length=_MOST_HEADS,
        description="Heads that were kept elsewhere, each as NUMBER:HASH.",
        examples=[[f"815:{_HASH}"]],
    )


@router.get("/audit", dependencies=[AUDITS], responses=answers())
def list_audit(
    engine: UsesEngine,
    *,
    by: Annotated[str | None, Query(description="Only what this person, token or USER@HOST did.")] = None,
    action: Annotated[Action | None, Query(description="Only this.")] = None,
    kind: Annotated[SubjectKind | None, Query(description="Only what was done to this kind of thing.")] = None,
    to: Annotated[str | None, Query(description="Only what was done to what has this id, name or title.")] = None,
    since: Annotated[Moment | None, Query(description="Only from this moment on.")] = None,
    until: Annotated[Moment | None, Query(description="Only before this moment.")] = None,
    before: Annotated[int | None, Query(ge=1, lt=2**63, description="The last entry of the page before.")] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> Trail:
    """What was done, newest first."""
    found = entries(engine, Wanted(by, action, kind, to, since, until), limit, before)
    return Trail(items=list(found), next=found[-1].number if len(found) == limit else None)


@router.get("/audit/export", dependencies=[AUDITS], response_class=JsonLines, responses=answers())
def get_audit_export(engine: UsesEngine) -> JsonLines:
    """The whole trail as JSON lines, with its signed heads."""
    return JsonLines(exported(engine), headers={"Content-Disposition": 'attachment; filename="certwright-audit.jsonl"'})


@router.post("/audit/verify", dependencies=[AUDITS], status_code=BEGUN, responses=CHANGES)
def post_audit_verify(engine: UsesEngine, jobs: UsesJobs, wanted: Kept, response: Response) -> Job:
    """Look whether every entry is there and as it was written; the result names each fault."""
    known = dict(map(read_head, wanted.seen))
    return begun(jobs.begin(engine, "audit verify", "", lambda acting: verify(acting, known).data()), response)


@router.post(
    "/audit/head",
    dependencies=[AUDITS],
    responses={200: {"content": {"application/json": {"example": _SIGNED}}}, **CHANGES},
)
def post_audit_head(engine: UsesEngine) -> SignedHead:
    """Sign where the trail stands now, to be kept elsewhere; the newest head, if nothing was added since."""
    return head(engine)
