"""`/audit`: who did what, in a trail that cannot be changed unseen."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel

from certwright.api.access import AUDITS, UsesEngine
from certwright.api.changes import Moment
from certwright.api.problems import answers
from certwright.domain.audit import Action, Entry, SubjectKind
from certwright.engine.audit import entries
from certwright.store.audit import Wanted

router = APIRouter(tags=["audit"])


class Trail(BaseModel):
    """A page of the audit trail, newest first; `next` is the `before` of the page after it."""

    items: list[Entry]
    next: int | None


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
