"""What pages listen to, so that nobody has to load them again: which run wrote, and what was changed.

`static/live.js` keeps one such stream for all tabs of a browser, and asks for a page again when something came.
"""

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import aclosing

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from certwright.domain.access import Permission
from certwright.domain.errors import Forbidden, NotSignedIn
from certwright.domain.runs import Entry
from certwright.engine.context import Engine
from certwright.engine.live import EVENT_STREAM, STREAM_HEADERS, Live, Place, events, goes_on_after
from certwright.engine.sign_in import recognise_person
from certwright.web.pages import shown_secret
from certwright.web.received import whole


def routes(engine: Engine, live: Live) -> Sequence[BaseRoute]:
    """The stream; it ends with the session, and is refused with 401 from then on."""

    def admit(request: Request) -> Engine:
        person = recognise_person(engine, shown_secret(request), alive=False)
        person.caller.require(Permission.READ)
        return engine.acting(person.caller)

    async def listen(request: Request) -> Response:
        try:
            acting = await run_in_threadpool(admit, request)
        except (NotSignedIn, Forbidden):
            return Response(status_code=401)
        sequence, number = _known(request)
        batches = live.entries(sequence, None)
        await anext(batches)
        known = Place(goes_on_after(sequence, live.newest), goes_on_after(number, live.acts))

        async def write(acting: Engine, batch: Sequence[Entry]) -> str:
            acts = await live.acts_after(known.number)
            newest = {entry.run_id: entry.sequence for entry in batch}
            seen = await run_in_threadpool(_seen, acting, newest) if newest else []
            text = ""
            for sequence, run_id in sorted((newest[run_id], run_id) for run_id in seen):
                known.sequence = sequence
                text += f"id: {known}\nevent: entry\ndata: {run_id}\n\n"
            known.number = acts[-1].number if acts else known.number
            kinds = sorted({act.subject.kind for act in acts})
            return text + "".join(f"id: {known}\nevent: act\ndata: {kind}\n\n" for kind in kinds)

        async def told() -> AsyncIterator[str]:
            try:
                async with aclosing(events(batches, acting, lambda: admit(request), write)) as texts:
                    async for text in texts:
                        yield text
            except (NotSignedIn, Forbidden):
                return

        return StreamingResponse(told(), media_type=EVENT_STREAM, headers=STREAM_HEADERS)

    return [Route("/live", listen)]


def _known(request: Request) -> tuple[int | None, int | None]:
    """The last entry and the last act that the browser knows of; one that lost the stream says so by itself."""
    sequence, _, number = (request.headers.get("last-event-id") or request.query_params.get("after", "")).partition("-")
    return whole(sequence), whole(number)


def _seen(engine: Engine, run_ids: Collection[str]) -> Collection[str]:
    """Those of these runs that there are for whoever listens."""
    if not engine.caller.tags:
        return run_ids
    with engine.store.read() as unit:
        return unit.runs.seen(run_ids)
