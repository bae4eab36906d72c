"""The application of the pages: who is let in, and what no answer is without."""

from collections.abc import Awaitable, Callable

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from certwright.domain.errors import CertwrightError, Forbidden
from certwright.engine.context import Engine
from certwright.engine.jobs import Jobs
from certwright.engine.live import Live, Place
from certwright.engine.sign_in import recognise_person
from certwright.web import (
    account,
    all_tasks,
    audit,
    bulk,
    certificate,
    certificate_acts,
    certificate_changes,
    certificate_export,
    certificates,
    credentials,
    exchange,
    exchange_deployment,
    first_account,
    first_start,
    guide,
    issuers,
    live_pages,
    maintenance,
    new,
    new_exchange,
    notifications,
    overview,
    people,
    providers,
    runs,
    sign_in,
    system,
    tasks,
    tokens,
    verdicts,
    watched,
    working,
)
from certwright.web.language import _, spoken
from certwright.web.pages import Page, Visit, endpoint, shown_secret
from certwright.web.problems import BY_ITSELF, READING, Problems, problem
from certwright.web.received import Sent, address_parts
from certwright.web.rendering import STATIC
from certwright.web.waiting import Waits

PAGES = (
    *overview.PAGES,
    *certificates.PAGES,
    *certificate.PAGES,
    *certificate_changes.PAGES,
    *certificate_acts.PAGES,
    *certificate_export.PAGES,
    *tasks.PAGES,
    *all_tasks.PAGES,
    *bulk.PAGES,
    *new.PAGES,
    *new_exchange.PAGES,
    *verdicts.PAGES,
    *exchange.PAGES,
    *exchange_deployment.PAGES,
    *watched.PAGES,
    *runs.PAGES,
    *first_account.PAGES,
    *issuers.PAGES,
    *credentials.PAGES,
    *notifications.PAGES,
    *maintenance.PAGES,
    *people.PAGES,
    *providers.PAGES,
    *tokens.PAGES,
    *audit.PAGES,
    *working.PAGES,
    *system.PAGES,
    *account.PAGES,
    *guide.PAGES,
)
"""All pages; those with a label are in the navigation, in this order."""

_KEEP = "public, max-age=31536000, immutable"
_THERE = (200, 304)
_SMALL = 500
_ONE = "/certificates/{id}"


def application(
    engine: Engine, setup: first_start.SetupToken, wake: Callable[[], None], live: Live, jobs: Jobs
) -> Starlette:
    """The pages on this engine.

    Args:
        engine: what they show and change.
        setup: lets whoever started the service make the first administrator.
        wake: called when something has become due.
        live: reads journals as they are written.
        jobs: what takes longer than an answer may.
    """
    waits = Waits(jobs)
    routes: list[BaseRoute] = [
        *(Route(page.path, _guarded(page, engine, wake, waits), methods=[page.method]) for page in PAGES),
        *sign_in.routes(engine),
        *first_start.routes(engine, setup),
        *live_pages.routes(engine, live),
        Mount("/static", StaticFiles(directory=STATIC)),
    ]
    app = Starlette(
        routes=routes,
        middleware=[Middleware(Protected), Middleware(GZipMiddleware, minimum_size=_SMALL)],
        exception_handlers=Problems(engine).handlers(),
    )
    app.state.pages = PAGES
    return app


class Protected:
    """Refuses what another site has a browser send, and has browsers keep our files."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what comes from our own pages."""

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] in _THERE:
                MutableHeaders(raw=message["headers"])["Cache-Control"] = _KEEP
            await send(message)

        request = Request(scope)
        with spoken(request.headers.get("accept-language", "")):
            if scope["method"] not in READING and not _is_own(request):
                await problem(request, _strange())(scope, receive, send)
            else:
                await self._app(scope, receive, answer if scope["path"].startswith("/static/") else send)


def _strange() -> CertwrightError:
    return Forbidden(
        _("This was not sent by a page of Certwright."), hint=_("Open the page here, and send its form from there.")
    )


def _is_own(request: Request) -> bool:
    """Whether one of our own pages sends it; a browser says so in headers that no page can choose.

    Where we speak no TLS, a proxy may.
    """
    origin = address_parts(request.headers.get("origin", ""))
    if origin is None or origin.scheme not in ("https", request.url.scheme):
        return False
    return origin.netloc != "" and origin.netloc == request.headers.get("host")


def _guarded(
    page: Page, engine: Engine, wake: Callable[[], None], waits: Waits
) -> Callable[[Request], Awaitable[Response]]:
    def make(request: Request, fields: Sent) -> Response:
        alive = BY_ITSELF not in request.headers
        person = recognise_person(engine, shown_secret(request), alive=alive)
        request.state.person = person
        person.caller.require(page.permission)
        acting = engine.acting(person.caller, page.permission)
        with engine.store.read() as unit:
            number, _ = unit.trail.end() or (0, "")
            known = Place(unit.runs.newest_entry(), number)
        if page.path.startswith(_ONE):
            with acting.store.read() as unit:
                unit.managed.get(request.path_params["id"])
        return page.make(Visit(request, acting, person, fields, wake, known, waits))

    return endpoint(make)
