"""What is asked by machines: `/healthz`, `/readyz`, `/metrics`; as routes, for whichever application mounts them."""

from collections.abc import Sequence
from ipaddress import ip_address

from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from certwright.domain.access import Permission
from certwright.domain.errors import CertwrightError
from certwright.engine.context import Engine
from certwright.engine.tokens import recognise
from certwright.server.metrics import Exposition
from certwright.server.readiness import Readiness

_UNAVAILABLE = 503
_FORBIDDEN = 403
_NOT_KEPT = {"Cache-Control": "no-store"}
_SCHEME = "Bearer "
_FORWARDED = {"forwarded", "x-forwarded-for", "via"}


def routes(engine: Engine, readiness: Readiness, exposition: Exposition) -> Sequence[BaseRoute]:
    """The three routes; none of them waits for anything but `/metrics`, which reads the store.

    Strangers from elsewhere are told nothing but whether it is alive and ready.
    """

    async def healthz(_request: Request) -> Response:
        """The process runs and answers; nothing else is looked at."""
        return PlainTextResponse("ok\n", headers=_NOT_KEPT)

    async def readyz(request: Request) -> Response:
        """Whether it can work, and why not."""
        reasons = list(readiness.reasons())
        body = {"ready": not reasons, "reasons": reasons if _is_here(request) else []}
        return JSONResponse(body, _UNAVAILABLE if reasons else 200, headers=_NOT_KEPT)

    def metrics(request: Request) -> Response:
        """In a thread of its own, since the store may have to be waited for."""
        if not _is_here(request) and not _may_read(engine, request):
            told = "From another machine this takes a token that may read: Authorization: Bearer TOKEN\n"
            return PlainTextResponse(told, _FORBIDDEN, headers=_NOT_KEPT)
        text = exposition.text()
        if text is None:
            return PlainTextResponse("another scrape is under way\n", _UNAVAILABLE, headers=_NOT_KEPT)
        return Response(text, media_type=CONTENT_TYPE_PLAIN_0_0_4, headers=_NOT_KEPT)

    return [Route("/healthz", healthz), Route("/readyz", readyz), Route("/metrics", metrics)]


def _is_here(request: Request) -> bool:
    """Whether it comes from this machine; what a proxy on it hands on does not."""
    if request.client is None or _FORWARDED & {name.lower() for name in request.headers}:
        return False
    return ip_address(request.client.host).is_loopback


def _may_read(engine: Engine, request: Request) -> bool:
    shown = request.headers.get("authorization")
    if shown is None or request.client is None:
        return False
    try:
        caller = recognise(engine, shown.removeprefix(_SCHEME), request.client.host)
    except CertwrightError:
        return False
    return Permission.READ in caller.permissions and not caller.tags
