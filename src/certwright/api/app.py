"""The application: every resource, its errors, and its description."""

import importlib.metadata
from collections.abc import Callable

from fastapi import FastAPI

from certwright.api import certificates, issuers, problems, runs, status
from certwright.api.live import Live
from certwright.engine.context import Engine

PREFIX = "/api/v1"
RESOURCES = (status, certificates, runs, issuers)
_DESCRIPTION = """\
The same use cases, in the same words, as the command line.

Every operation takes a token and one of its permissions. Moments are in UTC. Errors are problem details (RFC 9457);
their `hint` says what to do next. Lists give `next`, with which the same list goes on; nothing is left out or told
twice if something is added meanwhile. What changes a managed certificate takes the `ETag` with which it was read as
`If-Match`.
"""


def application(engine: Engine, wake: Callable[[], None]) -> FastAPI:
    """The API on this engine, below `PREFIX`. There are no pages that describe it: these would load strangers' scripts.

    Args:
        engine: what it shows and changes.
        wake: called when something has become due.
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
    )
    app.state.engine = engine
    app.state.wake = wake
    app.state.live = Live(engine.store)
    problems.install(app)
    for resource in RESOURCES:
        app.include_router(resource.router, prefix=PREFIX)
    return app
