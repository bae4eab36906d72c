"""The application: every resource, its errors, and its description."""

import importlib.metadata
from collections.abc import Callable

from fastapi import FastAPI

from certwright.api import (
    actions,
    audit,
    bulk,
    certificates,
    credentials,
    exchange,
    issuers,
    jobs,
    notifications,
    people,
    problems,
    proposals,
    providers,
    runs,
    service,
    status,
    tasks,
    wanted,
    watched,
    windows,
)
from certwright.api.changes import HEEDS_CONDITIONS, PREFIX
from certwright.api.queries import KNOWN_QUERY
from certwright.engine.context import Engine
from certwright.engine.jobs import Jobs
from certwright.engine.live import Live
from certwright.settings import Settings

RESOURCES = (
    status,
    certificates,
    wanted,
    proposals,
    actions,
    bulk,
    tasks,
    runs,
    jobs,
    issuers,
    credentials,
    windows,
    notifications,
    watched,
    exchange,
    people,
    providers,
    audit,
    service,
)
_DESCRIPTION = """\
The use cases of the command line, in the same words.

Every operation takes a token and one of its permissions. Moments are in UTC. Errors are problem details (RFC 9457);
their `hint` says what to do next. Lists give `next`, with which the same list goes on; nothing is left out or told
twice if something is added meanwhile. What changes a managed certificate takes the `ETag` with which it was read as
`If-Match`. Each POST may be sent again with the same `Idempotency-Key`: it is done once. What takes longer than an
answer may is a job: it is answered at once, and its result is fetched.
"""


def application(engine: Engine, wake: Callable[[], None], live: Live, work: Jobs, settings: Settings) -> FastAPI:
    """The API on this engine, below `PREFIX`. There are no pages that describe it: these would load strangers' scripts.

    Args:
        engine: what it shows and changes.
        wake: called when something has become due.
        live: reads journals as they are written.
        work: what takes longer than an answer may.
        settings: of this installation.
    """
    app = FastAPI(
        title="Certwright",
        version=importlib.metadata.version("certwright"),
        description=_DESCRIPTION,
        openapi_url=f"{PREFIX}/openapi.json",
        docs_url=None,
        redoc_url=None,
        generate_unique_id_function=lambda route: route.name,
        redirect_slashes=False,
        dependencies=[HEEDS_CONDITIONS],
    )
    app.state.engine = engine
    app.state.wake = wake
    app.state.live = live
    app.state.jobs = work
    app.state.settings = settings
    problems.install(app)
    for resource in RESOURCES:
        app.include_router(resource.router, prefix=PREFIX, dependencies=[KNOWN_QUERY])
    return app
