"""The service's HTTP port: an application served in a thread of its own."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address

import uvicorn
from starlette.middleware.body_limit import RequestBodyLimitMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from certwright.domain.errors import ConfigurationError
from certwright.probe import Endpoint

_OPTION = "--listen (or CERTWRIGHT_LISTEN)"
_MOST_CONNECTIONS = 1000
"""Each browser keeps a stream open."""
_MOST_BYTES = 1024 * 1024
_END_SECONDS = 5


def joined(prefix: str, app: ASGIApp, others: ASGIApp) -> ASGIApp:
    """One application: what is asked below `prefix` is answered by `app`, all else by `others`."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        await (app if scope["path"].startswith(f"{prefix}/") else others)(scope, receive, send)

    return answer


@contextmanager
def listening(at: Endpoint, app: ASGIApp) -> Iterator[None]:
    """Serve the application on an address of loopback until the block ends.

    Raises:
        ConfigurationError: if it is another address, or is taken.
    """
    # A page of a stranger that a browser here shows could ask under a name of its own that leads here.
    known = ["localhost", "127.0.0.1", "[::1]", at.host, f"[{at.host}]"]
    config = uvicorn.Config(
        TrustedHostMiddleware(RequestBodyLimitMiddleware(app, max_body_size=_MOST_BYTES), allowed_hosts=known),
        loop="asyncio",
        http="h11",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        limit_concurrency=_MOST_CONNECTIONS,
        timeout_graceful_shutdown=_END_SECONDS,
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


def _bound(at: Endpoint) -> socket.socket:
    """A socket there, at which whoever comes waits until it is served."""
    if at.host != "localhost" and not _is_loopback(at.host):
        raise ConfigurationError(
            f"{at} is not on this machine's loopback address.",
            hint=f"Give {_OPTION} an address such as 127.0.0.1:{at.port}; others reach it through a proxy of yours.",
        )
    host = "127.0.0.1" if at.host == "localhost" else at.host
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((host, at.port))
        made.listen()
    except OSError as error:
        made.close()
        raise ConfigurationError(
            f"The service cannot listen on {at}: {error.strerror}.",
            hint=f"Choose another port with {_OPTION}, or end what listens there.",
        ) from error
    return made


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
