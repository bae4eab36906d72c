"""A POST that may be sent again: with the same Idempotency-Key it is done once, and answered the same.

See draft-ietf-httpapi-idempotency-key-header. What ended in an error was not done, and may be tried again with the same
key, and so may what began a job that was interrupted. Of a file it is kept which request it answered, and it is made
anew for that one; what is told once is empty in a repeat.
"""

import hashlib
import json
import logging
import re
from collections.abc import Callable, Coroutine
from contextlib import ExitStack, suppress
from http import HTTPStatus
from typing import Any

from anyio import CancelScope
from anyio.to_thread import run_sync
from fastapi import HTTPException, Request, Response
from fastapi.routing import APIRoute

from certwright.api.access import BEARER, Needs, caller, jobs
from certwright.domain.errors import ConfigurationError, LeaseHeld, NotFound, StoreError
from certwright.domain.runs import Outcome
from certwright.engine.context import Engine
from certwright.store.leases import PASSING
from certwright.store.repeats import Repeatable, name_of

log = logging.getLogger("certwright")
HEADER = "Idempotency-Key"
PARAMETER = {
    "name": HEADER,
    "in": "header",
    "required": False,
    "description": "Chosen by whoever asks, and another for each thing that is to be done: what is sent again with it, "
    "within 24 hours, is not done again, and answered as before.",
    "schema": {"type": "string", "pattern": "^[!-~]{1,255}$"},
    "example": "8e03978e-40d5-43dd-bc93-6894a57f9324",
}
_KEY = re.compile(r"[!-~]{1,255}")
_JOB = re.compile(r"/api/v1/jobs/(\w+)")
_KEPT = ("content-type", "location", "etag", "cache-control")
TOLD_ONCE = "secret"
"""The field of an answer that is not kept."""
Handle = Callable[[Request], Coroutine[Any, Any, Response]]


class RepeatableRoute(APIRoute):
    """A route whose POST may be sent again."""

    def get_route_handler(self) -> Handle:
        """What answers."""
        handle = super().get_route_handler()
        if "POST" not in (self.methods or ()):
            return handle
        (guard,) = [one.call for one in self.dependant.dependencies if isinstance(one.call, Needs)]

        async def answer(request: Request) -> Response:
            key = request.headers.get(HEADER)
            return await handle(request) if key is None else await _once(request, key, guard, handle)

        return answer


async def _once(request: Request, key: str, guard: Needs, handle: Handle) -> Response:
    if not _KEY.fullmatch(key):
        raise HTTPException(HTTPStatus.BAD_REQUEST, f"{HEADER} has 1 to 255 printable ASCII characters without blanks.")
    shown = await BEARER(request)
    guard(request, await run_sync(caller, request, shown))
    engine: Engine = request.app.state.engine
    who = hashlib.sha256((shown.credentials if shown else "").encode()).hexdigest()
    digest = hashlib.sha256(f"{request.method} {request.url.path}?{request.url.query}\n".encode())
    digest.update(await request.body())
    with ExitStack() as stack:
        known = await run_sync(_begin, request, stack, who, key)
        if known and known.digest != digest.hexdigest():
            raise ConfigurationError(
                f"Another request was sent with this {HEADER}.", hint="Choose another key for each thing to be done."
            )
        if known and known.body is not None:
            return Response(known.body, known.status, known.headers)
        try:
            made = await handle(request)
            if known is None:
                headers = {name: made.headers[name] for name in _KEPT if name in made.headers}
                is_json = headers.get("content-type") == "application/json"
                body = _without_secret(bytes(made.body)) if is_json else None
                await run_sync(_keep, engine, who, key, Repeatable(digest.hexdigest(), made.status_code, headers, body))
        finally:
            with CancelScope(shield=True):
                await run_sync(stack.close)
    return made


def _begin(request: Request, stack: ExitStack, who: str, key: str) -> Repeatable | None:
    """What was answered before and still holds; if nothing does, nobody else answers until `stack` is closed."""
    engine: Engine = request.app.state.engine
    try:
        stack.enter_context(engine.store.lease(f"{PASSING}repeat:{name_of(who, key)}"))
    except LeaseHeld as error:
        raise LeaseHeld(
            f"A request with this {HEADER} is under way.", hint="Wait for its answer, or ask again a little later."
        ) from error
    with engine.store.read() as unit:
        found = unit.repeats.find(who, key, engine.now())
    return None if found and _is_interrupted(request, engine, found) else found


def _is_interrupted(request: Request, engine: Engine, known: Repeatable) -> bool:
    """Whether a job was begun whose process ended before it did: it never comes to anything."""
    job = _JOB.fullmatch(known.headers.get("location", ""))
    with suppress(NotFound):
        return job is not None and jobs(request).get(engine, job[1])[0].outcome is Outcome.INTERRUPTED
    return False


def _keep(engine: Engine, who: str, key: str, answer: Repeatable) -> None:
    try:
        with engine.store.write() as unit:
            unit.repeats.put(who, key, answer, engine.now())
    except StoreError as error:  # it was done: whoever is told otherwise would do it again
        log.warning("An answer could not be kept, and what is sent again will be done again: %s", error.message)


def _without_secret(body: bytes) -> bytes:
    told = json.loads(body)
    if not isinstance(told, dict) or TOLD_ONCE not in told:
        return body
    return json.dumps({**told, TOLD_ONCE: ""}).encode()
