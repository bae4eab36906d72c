"""What is asked by machines: `/healthz`, `/readyz`, `/metrics`; as routes, for whichever application mounts them."""

from collections.abc import Sequence

from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from certwright.server.metrics import Exposition
from certwright.server.readiness import Readiness

_UNAVAILABLE = 503
_NOT_KEPT = {"Cache-Control": "no-store"}


def routes(readiness: Readiness, exposition: Exposition) -> Sequence[BaseRoute]:
    """The three routes; none of them waits for anything but `/metrics`, which reads the store."""

    async def healthz(_request: Request) -> Response:
        """The process runs and answers; nothing else is looked at."""
        return PlainTextResponse("ok\n", headers=_NOT_KEPT)

    async def readyz(_request: Request) -> Response:
        """Whether it can work, and why not."""
        reasons = list(readiness.reasons())
        body = {"ready": not reasons, "reasons": reasons}
        return JSONResponse(body, _UNAVAILABLE if reasons else 200, headers=_NOT_KEPT)

    def metrics(_request: Request) -> Response:
        """In a thread of its own, since the store may have to be waited for."""
        text = exposition.text()
        if text is None:
            return PlainTextResponse("another scrape is under way\n", _UNAVAILABLE, headers=_NOT_KEPT)
        return Response(text, media_type=CONTENT_TYPE_PLAIN_0_0_4, headers=_NOT_KEPT)

    return [Route("/healthz", healthz), Route("/readyz", readyz), Route("/metrics", metrics)]
