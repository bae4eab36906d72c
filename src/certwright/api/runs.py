"""`/runs`: attempts, their journals, and both as they happen."""

import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Header, Path, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from certwright.api.access import READS, UsesEngine
from certwright.api.live import Live
from certwright.api.problems import answers
from certwright.domain.runs import Entry, Run

router = APIRouter(tags=["runs"])
Id = Annotated[str, Path(pattern="^[0-9a-f]{12}$", description="Of the run.")]
_Sequence = Query(ge=0, lt=2**63, description="The sequence number of the last entry that is known.")
_SILENCE_SECONDS = 15


class Runs(BaseModel):
    """A page of runs, newest first; `next` is the `before` of the page after it."""

    items: list[Run]
    next: str | None = Field(examples=["3f2a9c01b7de"])


class Entries(BaseModel):
    """A page of a journal; `next` is the `after` of the page after it."""

    items: list[Entry]
    next: int | None


@router.get("/runs", dependencies=[READS], responses=answers(HTTPStatus.NOT_FOUND))
def list_runs(
    engine: UsesEngine,
    certificate: Annotated[str | None, Query(description="Only those of the managed certificate of this id.")] = None,
    before: Annotated[str | None, Query(description="The last run of the page before.")] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> Runs:
    """The runs, newest first."""
    with engine.store.read() as unit:
        found = unit.runs.list(certificate, limit, before)
    return Runs(items=found, next=found[-1].id if len(found) == limit else None)


@router.get("/runs/{id}", dependencies=[READS], responses=answers(HTTPStatus.NOT_FOUND))
def get_run(engine: UsesEngine, id: Id) -> Run:  # noqa: A002 - the API's word
    """One run."""
    with engine.store.read() as unit:
        return unit.runs.get(id)


@router.get("/runs/{id}/entries", dependencies=[READS], responses=answers(HTTPStatus.NOT_FOUND))
def list_entries(
    engine: UsesEngine,
    id: Id,  # noqa: A002 - the API's word
    after: Annotated[int, _Sequence] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
) -> Entries:
    """The journal of a run, oldest first."""
    with engine.store.read() as unit:
        unit.runs.get(id)
        found = unit.runs.entries_after(after, id, limit)
    return Entries(items=list(found), next=found[-1].sequence if len(found) == limit else None)


@router.get(
    "/entries",
    dependencies=[READS],
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "A stream of server-sent events, each with an entry as JSON.",
            "content": {"text/event-stream": {"schema": {"type": "string"}}},
        },
        **answers(),
    },
)
async def stream_entries(
    request: Request,
    run: Annotated[str | None, Query(description="Only those of this run; the stream ends when it has ended.")] = None,
    after: Annotated[int | None, _Sequence] = None,
    last_event_id: Annotated[
        int | None, Header(ge=0, lt=2**63, description="As a browser sends it that lost the stream.")
    ] = None,
) -> StreamingResponse:
    """Journal entries as they are written, from now on or after the one given."""
    live: Live = request.app.state.live
    batches = live.entries(last_event_id if last_event_id is not None else after, run)
    await anext(batches)

    async def events() -> AsyncIterator[str]:
        told = time.monotonic()
        async with aclosing(batches):
            async for batch in batches:
                if batch or time.monotonic() - told > _SILENCE_SECONDS:
                    told = time.monotonic()
                    yield "".join(map(_event, batch)) or ": nothing new\n\n"
        yield "event: end\ndata:\n\n"

    return StreamingResponse(
        events(), media_type="text/event-stream", headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    )


def _event(entry: Entry) -> str:
    return f"id: {entry.sequence}\nevent: entry\ndata: {entry.model_dump_json()}\n\n"
