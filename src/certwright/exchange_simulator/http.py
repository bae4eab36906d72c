"""HTTPS: the PowerShell endpoints (Basic over TLS) and what Exchange's web sites answer to a stranger."""

import base64
import binascii
import hmac
import http.server
import re
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from certwright.exchange_simulator.sockets import CONNECTION_TIMEOUT, start_tls
from certwright.exchange_simulator.wsman import ConnectionDropped, Reply, WsmanService

_BODY_LIMIT = 1 << 20
_HTML = "text/html; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Account:
    """Who may sign in."""

    username: str
    password: str = field(repr=False)

    def matches(self, authorization: str | None) -> bool:
        """Whether the header value is this account's Basic credential; takes as long for a wrong one."""
        scheme, _, encoded = (authorization or "").partition(" ")
        try:
            given = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            given = b""
        expected = f"{self.username}:{self.password}".encode()
        return hmac.compare_digest(given, expected) and scheme.lower() == "basic"


Answer = Callable[[http.server.BaseHTTPRequestHandler, bytes], tuple[Reply, dict[str, str]]]
"""Given the request and its body, the reply and further headers."""


class _Connection(http.server.BaseHTTPRequestHandler):
    """Keep-alive, time-outs and size limits."""

    protocol_version = "HTTP/1.1"
    server_version = "Microsoft-IIS/10.0"
    sys_version = ""
    timeout = CONNECTION_TIMEOUT
    wbufsize = -1  # an answer leaves as a whole
    error_content_type = "text/plain"
    error_message_format = "%(code)d %(message)s"

    def __init__(self, tls: ssl.SSLSocket, answer: Answer) -> None:
        self._answer = answer
        super().__init__(tls, tls.getpeername(), None)  # type: ignore[arg-type]  # a server object is never asked

    def do_GET(self) -> None:
        self._respond()

    do_HEAD = do_POST = do_GET  # noqa: N815 - as do_GET

    def _respond(self) -> None:
        body = self._body()
        if body is None:
            return
        try:
            reply, headers = self._answer(self, body)
        except ConnectionDropped:
            self.close_connection = True
            return
        self.send_response(reply.status)
        self.send_header("Content-Type", reply.content_type)
        self.send_header("Content-Length", str(len(reply.body)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(reply.body)

    def _body(self) -> bytes | None:
        """The request's body; None if it was refused."""
        length = self.headers.get("Content-Length", "0")
        if "Transfer-Encoding" in self.headers or not length.isdecimal():
            self.close_connection = True
            self.send_error(411)
            return None
        if int(length) > _BODY_LIMIT:
            self.close_connection = True
            self.send_error(413)
            return None
        body = self.rfile.read(int(length))
        return body if len(body) == int(length) else None

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Say nothing: callers log what they see."""


def _serve(connection: socket.socket, context: ssl.SSLContext, answer: Answer) -> None:
    with start_tls(connection, context) as tls:
        _Connection(tls, answer)


def serve_wsman(
    connection: socket.socket,
    context: ssl.SSLContext,
    *,
    path: str,
    account: Account,
    realm: str,
    service: WsmanService,
) -> None:
    """Speak WSMan on `connection` at `path` (any case, with or without a final slash)."""

    def answer(request: http.server.BaseHTTPRequestHandler, body: bytes) -> tuple[Reply, dict[str, str]]:
        url = urlsplit(request.path)
        if url.path.rstrip("/").lower() != path.rstrip("/").lower():
            return Reply(404, b"Not Found", "text/plain"), {}
        if not account.matches(request.headers.get("Authorization")):
            return Reply(401, b"", "text/plain"), {"WWW-Authenticate": f'Basic realm="{realm}"'}
        if request.command != "POST":
            return Reply(405, b"", "text/plain"), {"Allow": "POST"}
        # The management shell joins its options with semicolons.
        full = "serialization=full" in re.split("[;&]", url.query.lower())
        return service.handle(body, management_shell=full), {}

    _serve(connection, context, answer)


def serve_web_site(connection: socket.socket, context: ssl.SSLContext) -> None:
    """Be Exchange's web site for someone who has not signed in: redirects and 401s."""
    _serve(connection, context, _web_answer)


def _web_answer(request: http.server.BaseHTTPRequestHandler, _body: bytes) -> tuple[Reply, dict[str, str]]:
    path = urlsplit(request.path).path.rstrip("/").lower()
    if request.command == "POST" and path == "/owa/auth.owa":
        return Reply(302, b"", _HTML), {"Location": "/owa/auth/logon.aspx?url=%2fowa%2f&reason=2"}
    if path in {"/owa/auth/logon.aspx", "/owa/healthcheck.htm"}:
        return Reply(200, b"<html><head><title>Outlook</title></head><body></body></html>", _HTML), {}
    if path in {"", "/owa", "/ecp"}:
        target = "/owa/" if not path else f"/owa/auth/logon.aspx?url=%2f{path[1:]}%2f&reason=0"
        return Reply(302, b"", _HTML), {"Location": target}
    if path.startswith(("/autodiscover", "/ews", "/mapi", "/oab", "/microsoft-server-activesync", "/rpc")):
        return Reply(401, b"", _HTML), {"WWW-Authenticate": "Negotiate"}
    return Reply(404, b"<html><body>Not Found</body></html>", _HTML), {}
