"""What holds for every answer of the port, whoever gives it: browsers may do with it only what our pages need."""

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from certwright.api import PREFIX
from certwright.api.problems import of_text

_HEADERS = {
    # Pico's pictures (a tick, an arrow) are in its style sheet, as data.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_FAILED = 400


class Hardened:
    """Adds the headers that an answer does not have, and has errors below the API's prefix be problem details."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on."""
        is_api = f"{scope['path']}/".startswith(f"{PREFIX}/")
        held: Message | None = None

        async def answer(message: Message) -> None:
            nonlocal held
            if message["type"] == "http.response.start":
                headers = MutableHeaders(raw=message["headers"])
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                if is_api and message["status"] >= _FAILED and _is_text(headers):
                    held = message
                    return
            elif held is not None:
                text = message.get("body", b"").decode(errors="replace").strip()
                problem, held = of_text(held["status"], text), None
                problem.headers.update(_HEADERS)
                await problem(scope, receive, send)
                return
            await send(message)

        await self._app(scope, receive, answer)


def _is_text(headers: Headers) -> bool:
    return headers.get("content-type", "").startswith("text/plain")
