"""`/runs`: attempts, their journals, and both as they happen."""

from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from http import HTTPStatus
from typing import Annotated

from anyio.to_thread import run_sync
from fastapi import APIRouter, Header, Path, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from certwright.api.access import READS, Shown, UsesEngine, caller
from certwright.api.problems import answers
from certwright.domain.access import Permission
from certwright.domain.errors import Forbidden, NotSignedIn
from certwright.domain.managed import Value
from certwright.domain.runs import Entry, Run
from certwright.engine.context import Engine
from certwright.engine.live import EVENT_STREAM, STREAM_HEADERS, Live, Place, changes, events, goes_on_after

router = APIRouter(tags=["runs"])
Id = Annotated[str, Path(pattern="^[0-9a-f]{12}$", description="Of the run.")]
_Sequence = Query(ge=0, lt=2**63, description="The sequence number of the last entry that is known.")
_Number = Query(ge=0, lt=2**63, description="The number of the last change that is known.")
_LAST_EVENT = "^[0-9]{1,18}(-[0-9]{1,18})?$"
_EXAMPLE = """\
id: 815-41
event: entry
data: {"sequence":815,"run_id":"9b1f04c2d7e6","at":"2026-11-30T12:00:00Z","step":2,"phase":"note","title":"Order"}

id: 815-42
event: change
data: {"number":42,"at":"2026-11-30T12:00:01Z","action":"held back","kind":"certificate","id":"3f2a9c01b7de",\
"title":"mail.contoso.com"}
"""


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
            "description": "A stream of server-sent events: `entry` with an entry of a journal as JSON, `change` with "
            "what was done to something that the caller may list: `number`, `at`, `action`, and the `kind`, `id` and "
            "`title` of that; `end` when the run has ended that was asked for.",
            "content": {"text/event-stream": {"schema": {"type": "string"}, "example": _EXAMPLE}},
        },
        **answers(),
    },
)
async def stream_entries(
    request: Request,
    engine: UsesEngine,
    shown: Shown,
    run: Annotated[str | None, Query(description="Only those of this run; the stream ends when it has ended.")] = None,
    after: Annotated[int | None, _Sequence] = None,
    after_change: Annotated[int | None, _Number] = None,
    last_event_id: Annotated[
        str | None,
        Header(pattern=_LAST_EVENT, description="The last `id`, as a browser sends it that lost the stream."),
    ] = None,
) -> StreamingResponse:
    """Journal entries as they are written, and changes of lists as they are made, from now on or after those given.

    With `run` changes are left out. How a certificate is follows from its runs, and from the time that passes.
    """
    live: Live = request.app.state.live
    if last_event_id:
        sequence, _, number = last_event_id.partition("-")
        after, after_change = int(sequence), int(number) if number else after_change
    batches = live.entries(after, run)
    await anext(batches)
    known = Place(goes_on_after(after, live.newest), goes_on_after(after_change, live.acts))

    def admit() -> Engine:
        again = caller(request, shown)
        again.require(Permission.READ)
        return engine.acting(again)

    async def write(acting: Engine, batch: Sequence[Entry]) -> str:
        seen = await run_sync(_seen, acting, batch) if acting.caller.tags else batch
        acts = () if run else await live.acts_after(known.number)
        told = await run_sync(changes, acting, acts) if acts else ()
        text = ""
        for entry in seen:
            known.sequence = entry.sequence
            text += _event(known, "entry", entry)
        known.sequence = batch[-1].sequence if batch else known.sequence
        for change in told:
            known.number = change.number
            text += _event(known, "change", change)
        known.number = acts[-1].number if acts else known.number
        return text

    async def told() -> AsyncIterator[str]:
        try:
            async with aclosing(events(batches, engine, admit, write)) as texts:
                async for text in texts:
                    yield text
        except (NotSignedIn, Forbidden):
            return
        yield "event: end\ndata:\n\n"

    return StreamingResponse(told(), media_type=EVENT_STREAM, headers=STREAM_HEADERS)


def _seen(engine: Engine, batch: Sequence[Entry]) -> Sequence[Entry]:
    """Those of runs that there are for the caller."""
    with engine.store.read() as unit:
        seen = set(unit.runs.seen({entry.run_id for entry in batch}))
    return [entry for entry in batch if entry.run_id in seen]


def _event(known: Place, name: str, told: Value) -> str:
    return f"id: {known}\nevent: {name}\ndata: {told.model_dump_json()}\n\n"
