"""HTTPS on real sockets: a thread for each connection, every one of them bounded."""

import contextlib
import io
import json
import logging
import socket
import ssl
from collections.abc import Callable, Iterator
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from socketserver import TCPServer, ThreadingMixIn
from threading import BoundedSemaphore, Lock, Thread
from typing import Any

from certwright.acme_server.bounded import BoundedReader, Deadline
from certwright.acme_server.messages import PROBLEM_TYPE, Request, Response
from certwright.acme_server.problem import Problem, malformed

Application = Callable[[Request], Response | None]

MAX_BODY = 128 * 1024
MAX_CONNECTIONS = 256
MAX_REQUEST = 2 * MAX_BODY
REQUEST_SECONDS = 30.0
HANDSHAKE_SECONDS = 10.0
_POLL_SECONDS = 0.05
_LINGER_SECONDS = 1.0
_LINGER_READS = 64
_MAX_DIGITS = 9
_LOG = logging.getLogger(__name__)


class _Connection(BaseHTTPRequestHandler):
    """One connection: HTTP/1.1, kept alive until it idles."""

    protocol_version = "HTTP/1.1"
    server_version = "certwright-acme-server"
    sys_version = ""
    disable_nagle_algorithm = True
    wbufsize = -1  # an answer leaves in one piece
    server: "Listener"

    def setup(self) -> None:
        """Read through bounds."""
        super().setup()
        self.rfile.close()
        self._reader = BoundedReader(self.connection, Deadline(REQUEST_SECONDS), MAX_REQUEST)
        self.rfile = io.BufferedReader(self._reader)

    def handle_one_request(self) -> None:
        """Wait for a request and serve it; a peer that drips bytes has no more time than an idle one."""
        self._reader.renew(Deadline(REQUEST_SECONDS), MAX_REQUEST)
        super().handle_one_request()

    def handle(self) -> None:
        """Serve requests until either side has had enough; a peer that vanishes is nothing to report."""
        with contextlib.suppress(OSError):
            super().handle()

    def finish(self) -> None:
        """Flush what is left to say, if somebody still listens."""
        with contextlib.suppress(OSError):
            super().finish()

    def do_GET(self) -> None:
        """Any method: the application decides."""
        try:
            body = self._body()
        except Problem as problem:
            self._refuse(problem)
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        answer = self.server.application(Request(self.command, self.path, headers, body))
        if answer is None:
            self.close_connection = True
        else:
            self._send(answer)

    do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_GET  # noqa: N815 -- http.server's names

    def send_error(self, code: int, message: str | None = None, _explain: str | None = None) -> None:
        """Refuse what is not HTTP as we speak it, with a problem document like everything else."""
        self.request_version = self.protocol_version  # HTTP/0.9 has no status
        self._refuse(malformed(f"{message or HTTPStatus(code).phrase}.", code))

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 -- the base class's name
        """To the log, not to standard error."""
        _LOG.debug(format, *args)

    def _body(self) -> bytes:
        if "Transfer-Encoding" in self.headers:
            raise malformed("A body has a Content-Length, no Transfer-Encoding.", HTTPStatus.LENGTH_REQUIRED)
        length = self.headers.get("Content-Length", "0")
        if not (length.isascii() and length.isdigit()):
            raise malformed("Content-Length is not a number.")
        if len(length) > _MAX_DIGITS or int(length) > MAX_BODY:
            raise malformed(f"A body has at most {MAX_BODY} bytes.", HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        body = self.rfile.read(int(length))
        if len(body) < int(length):
            raise ConnectionAbortedError("the peer closed within the body")
        return body

    def _refuse(self, problem: Problem) -> None:
        """The rest of the request cannot be found any more: answer and close."""
        self.close_connection = True
        body = json.dumps(problem.as_json()).encode()
        self._send(Response(problem.status, body, PROBLEM_TYPE, (("Connection", "close"),)))
        self.wfile.flush()
        # Closed with data unread, the connection would be reset, and the answer lost with it.
        socket.socket.shutdown(self.connection, socket.SHUT_WR)
        self.connection.settimeout(_LINGER_SECONDS)
        for _ in range(_LINGER_READS):
            if not self.connection.recv(MAX_BODY):
                break

    def _send(self, answer: Response) -> None:
        self.connection.settimeout(REQUEST_SECONDS)
        self.send_response(answer.status)
        for name, value in answer.headers:
            self.send_header(name, value)
        if answer.content_type is not None:
            self.send_header("Content-Type", answer.content_type)
        if answer.status != HTTPStatus.NO_CONTENT:
            self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)


class Listener(ThreadingMixIn, TCPServer):
    """Listens from its creation on, serves from `start` to `close`."""

    allow_reuse_address = True
    request_queue_size = 128
    daemon_threads = False
    block_on_close = True

    def __init__(self, host: str, port: int) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, port), _Connection)
        self.application: Application = _not_started
        self._tls: ssl.SSLContext | None = None
        self._slots = BoundedSemaphore(MAX_CONNECTIONS)
        self._open: set[socket.socket] = set()
        self._open_lock = Lock()
        self._closing = False
        self._thread = Thread(
            target=self.serve_forever, args=(_POLL_SECONDS,), name="acme-server-listener", daemon=True
        )

    @property
    def port(self) -> int:
        """The port, also where a free one was chosen."""
        return int(self.server_address[1])

    def start(self, application: Application, tls: ssl.SSLContext) -> None:
        """Answer connections, each on a thread, with ``application``."""
        self.application, self._tls = application, tls
        self._thread.start()

    def close(self) -> None:
        """Close all connections and return when no thread is left."""
        if self._thread.is_alive():
            self.shutdown()
            self._thread.join()
        with self._open_lock:
            self._closing = True
            for connection in self._open:
                _cut(connection)
        self.server_close()

    def verify_request(self, _request: Any, _client_address: Any) -> bool:
        """Whether there is room for one more connection; beyond that they are closed at once."""
        return self._slots.acquire(blocking=False)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve a connection and make room for the next."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._slots.release()

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Shake hands on the connection's own thread, so that a slow peer holds up nobody else."""
        assert self._tls is not None  # noqa: S101 -- `start` came first
        request.settimeout(HANDSHAKE_SECONDS)
        secure = self._tls.wrap_socket(request, server_side=True, do_handshake_on_connect=False)
        with secure, self._tracked(secure):
            try:
                secure.do_handshake()
            except OSError as error:
                _LOG.debug("TLS handshake with %s failed: %s", client_address, error)
                return
            super().finish_request(secure, client_address)

    def handle_error(self, _request: Any, _client_address: Any) -> None:
        """To the log, not to standard error."""
        _LOG.exception("a connection of the ACME server failed")

    @contextlib.contextmanager
    def _tracked(self, connection: socket.socket) -> Iterator[None]:
        with self._open_lock:
            self._open.add(connection)
            if self._closing:
                _cut(connection)
        try:
            yield
        finally:
            with self._open_lock:
                self._open.discard(connection)


def _cut(connection: socket.socket) -> None:
    """End a connection whose own thread may be reading it; SSLSocket.shutdown would pull its state away."""
    with contextlib.suppress(OSError):
        socket.socket.shutdown(connection, socket.SHUT_RDWR)


def _not_started(_request: Request) -> Response:
    return Response(HTTPStatus.SERVICE_UNAVAILABLE)
