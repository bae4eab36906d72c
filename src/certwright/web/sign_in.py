"""Signing in and out."""

from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from certwright.domain.access import LONGEST_SESSION
from certwright.domain.errors import CertwrightError, Forbidden, NotSignedIn
from certwright.engine.context import Engine
from certwright.engine.people import sign_in, sign_out
from certwright.web.pages import COOKIE, TEMPLATES, endpoint, see


def routes(engine: Engine) -> Sequence[BaseRoute]:
    """The page, what its form sends, and the way out."""

    def show(request: Request, _fields: Mapping[str, str]) -> Response:
        return _page(request, _next(request.query_params.get("next", "")))

    def enter(request: Request, fields: Mapping[str, str]) -> Response:
        name, wanted = fields.get("name", ""), _next(fields.get("next", ""))
        try:
            return signed_in(request, sign_in(engine, name, fields.get("password", "")), wanted)
        except (NotSignedIn, Forbidden) as error:
            return _page(request, wanted, error, name)

    def leave(request: Request, _fields: Mapping[str, str]) -> Response:
        sign_out(engine, request.cookies.get(COOKIE, ""))
        answer = see("/sign-in")
        answer.delete_cookie(COOKIE)
        return answer

    return [
        Route("/sign-in", endpoint(show)),
        Route("/sign-in", endpoint(enter), methods=["POST"]),
        Route("/sign-out", endpoint(leave), methods=["POST"]),
    ]


def signed_in(request: Request, secret: str, wanted: str) -> Response:
    """Go on there, with a browser that shows the secret from now on."""
    answer = see(wanted)
    answer.set_cookie(
        COOKIE,
        secret,
        max_age=int(LONGEST_SESSION.total_seconds()),
        httponly=True,
        samesite="lax",
        secure=request.url.scheme == "https",
    )
    return answer


def _page(request: Request, wanted: str, error: CertwrightError | None = None, name: str = "") -> Response:
    context = {"next": wanted, "error": error, "name": name}
    return TEMPLATES.TemplateResponse(request, "sign-in.html", context, 401 if error else 200)


def _next(wanted: str) -> str:
    """Where to go on, if it is one of our own pages."""
    parts = urlsplit(wanted)
    is_own = not parts.scheme and not parts.netloc and wanted.startswith("/") and not wanted.startswith(("//", "/\\"))
    return wanted if is_own and wanted.isprintable() else "/"
