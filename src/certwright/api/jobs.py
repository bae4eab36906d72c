"""`/jobs`: what takes longer than an answer may; who began one comes back for its result."""

from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, Field

from certwright.api.access import READS, UsesEngine, UsesJobs
from certwright.api.problems import answers
from certwright.domain.jobs import Job

router = APIRouter(tags=["jobs"])
PATH = "/api/v1/jobs"
BEGUN = HTTPStatus.ACCEPTED


class Jobs(BaseModel):
    """A page of jobs, newest first; `next` is the `before` of the page after it."""

    items: list[Job]
    next: str | None = Field(examples=["3f2a9c01b7de"])


class Done(BaseModel):
    """A job, and its result, in the words that the command line prints with --json; null as long as there is none.

    Who has not the permission that it took (`job.takes`) gets none, and no reason in `job.fault`.
    """

    job: Job
    result: Any = None


def begun(job: Job, response: Response) -> Job:
    """Answered where a job was begun: the job, and where it is looked at."""
    response.headers["Location"] = f"{PATH}/{job.id}"
    return job


@router.get("/jobs", dependencies=[READS], responses=answers(HTTPStatus.NOT_FOUND))
def list_jobs(
    engine: UsesEngine,
    jobs: UsesJobs,
    before: Annotated[str | None, Query(description="The last job of the page before.")] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> Jobs:
    """The jobs, newest first."""
    found = jobs.list(engine, limit, before)
    return Jobs(items=found, next=found[-1].id if len(found) == limit else None)


@router.get("/jobs/{id}", dependencies=[READS], responses=answers(HTTPStatus.NOT_FOUND))
def get_job(
    engine: UsesEngine,
    jobs: UsesJobs,
    id: Annotated[str, Path(pattern="^[0-9a-f]{12}$", description="Of the job.")],  # noqa: A002 - the API's word
) -> Done:
    """One job, and its result as soon as it has ended."""
    job, result = jobs.get(engine, id)
    return Done(job=job, result=result)
