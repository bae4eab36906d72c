"""`/status`: how all is, and what needs a person."""

from datetime import datetime

from fastapi import APIRouter
from pydantic import BaseModel

from certwright.api.access import READS, UsesEngine
from certwright.api.problems import answers
from certwright.domain.health import Condition
from certwright.domain.health_rules import Health
from certwright.engine.status import status as count

router = APIRouter(tags=["status"])
_SHOWN = 50


class NeedsPerson(BaseModel):
    """A managed certificate that needs a person."""

    id: str
    title: str
    health: Condition


class FailingDuty(BaseModel):
    """What the service does beside renewals, and cannot do `since` that moment: such as the daily backup."""

    title: str
    health: Health
    since: datetime
    message: str
    hint: str


class Status(BaseModel):
    """How all is.

    `certificates` and `watched` count by health. `needs_person` are the worst, and at most 50; `more` are left out.
    `service` are duties of the service that fail, `missing` is what nobody has set up yet and somebody should.
    """

    overall: Health
    certificates: dict[Health, int]
    watched: dict[Health, int]
    service: list[FailingDuty]
    needs_person: list[NeedsPerson]
    more: int
    missing: list[str]


@router.get("/status", dependencies=[READS], responses=answers())
def status(engine: UsesEngine) -> Status:
    """How all is, and what needs a person."""
    found = count(engine, limit=_SHOWN)
    return Status(
        overall=found.overall,
        certificates=dict(found.certificates),
        watched=dict(found.watched),
        service=[FailingDuty(health=e.health, **e.model_dump()) for e in found.service],
        needs_person=[NeedsPerson(id=e.id, title=e.title, health=e.condition) for e in found.judged],
        more=found.more,
        missing=list(map(str, found.gaps)),
    )
