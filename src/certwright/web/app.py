"""The application of the pages: who is let in, and what no answer is without."""

from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import urlencode, urlsplit

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from certwright.domain.errors import CertwrightError, Forbidden, LeaseHeld, NotFound, NotSignedIn
from certwright.engine.context import Engine
from certwright.engine.people import recognise_person
from certwright.web import certificate, certificates, first_start, overview, runs, sign_in
from certwright.web.pages import COOKIE, HERE, TEMPLATES, Page, Visit, endpoint, see

PAGES = (*overview.PAGES, *certificates.PAGES, *certificate.PAGES, *runs.PAGES)
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_READING = ("GET", "HEAD")


def application(engine: Engine, setup: first_start.SetupToken, wake: Callable[[], None]) -> Starlette:
    """The pages on this engine.

    Args:
        engine: what they show and change.
        setup: lets whoever started the service make the first administrator.
        wake: called when something has become due.
    """
    routes: list[BaseRoute] = [
        *(Route(page.path, _guarded(page, engine, wake), methods=[page.method]) for page in PAGES),
        *sign_in.routes(engine),
        *first_start.routes(engine, setup),
        Mount("/static", StaticFiles(directory=HERE / "static")),
    ]
    return Starlette(
        routes=routes,
        middleware=[Middleware(Protected)],
        exception_handlers={CertwrightError: _failed, 404: _nothing},
    )


class Protected:
    """Refuses what another site has a browser send, and has every answer forbid what our pages do not need."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what comes from our own pages."""

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                known = {name for name, _ in message["headers"]}
                added = [(name.lower().encode(), value.encode()) for name, value in _headers(scope).items()]
                message["headers"] = [*message["headers"], *(each for each in added if each[0] not in known)]
            await send(message)

        if scope["type"] == "http" and scope["method"] not in _READING and not _is_own(Request(scope)):
            refused = PlainTextResponse("This was not sent by a page of Certwright.\n", 403)
            await refused(scope, receive, answer)
        else:
            await self._app(scope, receive, answer)


def _headers(scope: Scope) -> Mapping[str, str]:
    is_page = not scope["path"].startswith("/static/")
    return {**_HEADERS, "Cache-Control": "no-store"} if is_page else _HEADERS


def _is_own(request: Request) -> bool:
    """Whether one of our own pages sends it; a browser says so in headers that no page can choose."""
    origin = request.headers.get("origin")
    return origin is not None and urlsplit(origin).netloc == request.headers.get("host")


def _guarded(page: Page, engine: Engine, wake: Callable[[], None]) -> Callable[[Request], Awaitable[Response]]:
    def make(request: Request, fields: Mapping[str, str]) -> Response:
        person = recognise_person(engine, request.cookies.get(COOKIE, ""))
        person.caller.require(page.permission)
        return page.make(Visit(request, engine, person, fields, wake))

    return endpoint(make)


def _failed(request: Request, error: Exception) -> Response:
    assert isinstance(error, CertwrightError)  # noqa: S101 - Starlette calls it for nothing else
    if isinstance(error, NotSignedIn):
        wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return see(f"/sign-in?{urlencode({'next': wanted})}" if request.method in _READING else "/sign-in")
    status = {NotFound: 404, Forbidden: 403, LeaseHeld: 409}.get(type(error), 500)
    told = [line for cause in error.causes for line in str(cause).splitlines()]
    return TEMPLATES.TemplateResponse(request, "problem.html", {"error": error, "causes": told}, status)


def _nothing(request: Request, _error: Exception) -> Response:
    return TEMPLATES.TemplateResponse(request, "problem.html", {"error": None, "causes": []}, 404)
