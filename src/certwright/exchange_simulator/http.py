"""HTTP, inside TLS or not: connections for web sites, and the PowerShell endpoints that ask who it is."""

import http.server
import re
import socket
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from certwright.exchange_simulator import message_encryption
from certwright.exchange_simulator.authentication import Access, Account, Scheme, SignIn
from certwright.exchange_simulator.sockets import CONNECTION_TIMEOUT, start_tls
from certwright.exchange_simulator.wire import Wire
from certwright.exchange_simulator.wsman import Caller, ConnectionDropped, Reply, WsmanService

_BODY_LIMIT = 1 << 20


Headers = Mapping[str, str] | Mapping[str, list[str]]
"""By name; a list is a header for each value."""
Answer = Callable[[http.server.BaseHTTPRequestHandler, bytes], tuple[Reply, Headers]]
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

    def __init__(self, connection: socket.socket, answer: Answer) -> None:
        self._answer = answer
        super().__init__(connection, connection.getpeername(), None)  # type: ignore[arg-type]  # a server object is never asked

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
            for one in [value] if isinstance(value, str) else value:
                self.send_header(name, one)
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


def serve_https(connection: socket.socket, context: ssl.SSLContext, answer: Answer) -> None:
    """Be an HTTPS server on `connection` until the client leaves; `answer` makes each reply."""
    with start_tls(connection, context) as tls:
        _Connection(tls, answer)


@dataclass(frozen=True, slots=True)
class WsmanSite:
    """One PowerShell endpoint, whichever port leads to it.

    Attributes:
        path: Where it is (any case, with or without a final slash).
        service: Its shells.
        account: Who may use it.
        access: How.
        wire: What is in between.
        realm: Shown with Basic.
        dashes: What precedes a boundary in its sealed answers.
    """

    path: str
    service: WsmanService
    account: Account
    access: Access
    wire: Wire
    realm: str
    dashes: str = "--"

    def serve_http(self, connection: socket.socket) -> None:
        """Speak WSMan on `connection` outside TLS."""
        _Connection(connection, _WsmanConnection(self, certificate=None).answer)

    def serve_https(self, connection: socket.socket, context: ssl.SSLContext, certificate: bytes) -> None:
        """Speak WSMan on `connection` inside TLS; `certificate` is the one of `context`, as DER."""
        serve_https(connection, context, _WsmanConnection(self, certificate).answer)


class _WsmanConnection:
    """One connection to an endpoint, and who it is signed in as."""

    def __init__(self, site: WsmanSite, certificate: bytes | None) -> None:
        self._site = site
        self._secure = certificate is not None
        self._sign_in = SignIn(site.access, site.account, site.realm, certificate)

    def answer(self, request: http.server.BaseHTTPRequestHandler, body: bytes) -> tuple[Reply, Headers]:
        if (instead := self._site.wire.intercepted) is not None:
            return Reply(instead.status, instead.page.encode(), "text/html; charset=utf-8"), instead.headers
        url = urlsplit(request.path)
        if url.path.rstrip("/").lower() != self._site.path.rstrip("/").lower():
            return Reply(404, b"Not Found", "text/plain"), {}
        signed = self._sign_in.check(request.headers.get("Authorization"))
        if not signed.granted:
            return Reply(401, b"", "text/plain"), signed.headers
        if request.command != "POST":
            return Reply(405, b"", "text/plain"), {"Allow": "POST"}
        # The management shell joins its options with semicolons.
        full = "serialization=full" in re.split("[;&]", url.query.lower())
        user = self._sign_in.user
        caller = Caller(user, self._site.account.is_named(user), management_shell=full)
        return self._handle(body, request.headers.get("Content-Type", ""), caller), signed.headers

    def _handle(self, body: bytes, content_type: str, caller: Caller) -> Reply:
        if self._sign_in.context and not body:
            return Reply(200, b"", "text/plain")  # a client that had to sign in before it could seal anything
        if message_encryption.is_sealed(content_type):
            return self._handle_sealed(body, content_type, caller)
        if not self._secure:
            return Reply(500, b"", "text/plain")  # as with AllowUnencrypted=false
        return self._site.service.handle(body, caller)

    def _handle_sealed(self, body: bytes, content_type: str, caller: Caller) -> Reply:
        context = self._sign_in.context
        protocol = "Kerberos" if self._sign_in.scheme is Scheme.KERBEROS else "SPNEGO"
        if context is None:
            return Reply(400, b"Bad Request", "text/plain")
        try:
            message = message_encryption.unseal(body, content_type, context, protocol)
        except message_encryption.Unreadable:
            return Reply(400, b"Bad Request", "text/plain")
        reply = self._site.service.handle(message, caller)
        if not reply.content_type.startswith("application/soap+xml"):
            return reply  # not of the service's making: nothing that seals saw it
        sealed = message_encryption.seal(reply.body, context, protocol, self._site.dashes)
        return Reply(reply.status, sealed, message_encryption.content_type(protocol))
