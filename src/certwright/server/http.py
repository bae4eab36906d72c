"""The service's HTTP port: an application served in a thread of its own."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus

import uvicorn
from fastapi import HTTPException
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from certwright.domain.errors import ConfigurationError
from certwright.probe import Endpoint
from certwright.server.address import is_loopback
from certwright.server.door import MOST, Door, Hurried, Named
from certwright.server.hardened import Hardened
from certwright.server.tls import OwnTls

_OPTION = "the setting listen, or with --listen"
_MOST_BODY = 1024 * 1024
_MOST_HEAD = 32 * 1024
_KEPT_SECONDS = 5
_END_SECONDS = 5


def joined(prefix: str, app: ASGIApp, others: ASGIApp) -> ASGIApp:
    """One application: what is asked below `prefix` is answered by `app`, all else by `others`."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        is_below = f"{scope['path']}/".startswith(f"{prefix}/")
        await (app if is_below else others)(scope, receive, send)

    return answer


def limited(app: ASGIApp) -> ASGIApp:
    """The application, which finds bodies of a MiB at most; a longer one is 413 where it is read, in its own words."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        left = _MOST_BODY

        async def read() -> Message:
            nonlocal left
            if _told_length(scope) > _MOST_BODY:
                raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
            message = await receive()
            left -= len(message.get("body", b""))
            if left < 0:
                raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
            return message

        await app(scope, read, send)

    return answer


def _told_length(scope: Scope) -> int:
    """How long the body is to be, by its head; h11 has seen to it that this is a number."""
    return int(Headers(scope=scope).get("content-length", "0"))


@contextmanager
def listening(
    at: Endpoint, app: ASGIApp, tls: OwnTls | None = None, knows: Callable[[str], bool] = lambda _: False
) -> Iterator[None]:
    """Serve the application until the block ends.

    Args:
        at: where; without `tls` on loopback only.
        app: what is served.
        tls: what is presented; None speaks plain HTTP.
        knows: whether a host name is a name of this service, beside those that it always has.

    Raises:
        ConfigurationError: if it is on no address of this machine, is taken, or others reach it without TLS.
    """
    if tls is None and not is_loopback(at):
        raise ConfigurationError(
            f"{at} is not on this machine's loopback address, and TLS is not spoken there.",
            hint=f"Give an address such as 127.0.0.1:{at.port} in {_OPTION}.",
        )
    config = uvicorn.Config(
        Hardened(Named(limited(app), knows, lambda: tls is not None and tls.is_trusted)),
        loop="asyncio",
        http=Hurried,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        limit_concurrency=MOST + 1,  # `Door` is there before it
        timeout_keep_alive=_KEPT_SECONDS,
        h11_max_incomplete_event_size=_MOST_HEAD,
        timeout_graceful_shutdown=_END_SECONDS,
        ssl_context_factory=(lambda _config, _default: tls.context) if tls else None,
    )
    server = uvicorn.Server(config)
    with _bound(at) as bound:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]}, name="http")
        thread.start()
        try:
            yield
        finally:
            server.should_exit = True
            thread.join()


def _bound(at: Endpoint) -> Door:
    """A socket there, at which whoever comes waits until it is served."""
    host = "127.0.0.1" if at.host == "localhost" else at.host
    made = Door(socket.AF_INET6 if ":" in host else socket.AF_INET)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        if made.family is socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)  # `::` is every address, those of IPv4 too
        made.bind((host, at.port))
        made.listen()
    except OSError as error:
        made.close()
        raise ConfigurationError(
            f"The service cannot listen on {at}: {error.strerror}.",
            hint=f"Choose another address or port in {_OPTION} (none stands for nowhere), or end what listens there.",
        ) from error
    return made
