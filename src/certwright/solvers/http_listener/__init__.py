"""Answers http-01 with a small web server of Certwright's own.

It listens only while challenges are pending, answers only `/.well-known/acme-challenge/`, and serves the answers of
every Certwright process that uses the same store. Choose it where port 80 of the machine is free, or where a firewall
or proxy leads port 80 of the names to the port chosen here. Where a web server holds port 80, choose `webroot`.
"""

import errno
import os
import re
import selectors
import socket
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from pydantic import Field, field_validator

from certwright.domain.errors import SolverError
from certwright.probe.http01 import CHALLENGE_PATH, Precheck, WrongAnswer, wrong_answers
from certwright.probe.observation import Endpoint, FailureKind
from certwright.sdk.context import Answers
from certwright.sdk.solver import Challenge, Solver
from certwright.solvers.http_listener import shared_port
from certwright.solvers.http_listener.shared_port import SharedPort

_MAX_HEAD = 8192
_MAX_CONNECTIONS = 128
_HEAD_SECONDS = 10.0
_LINGER_SECONDS = 1.0
_RETRY_SECONDS = 0.01  # the longest that nobody listens when one process succeeds another that cannot share
_ASK_SECONDS = 5.0
_HANDOVER_SECONDS = 2.0
_GONE = (FailureKind.REFUSED, FailureKind.CLOSED)
_LOOPBACK = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared with, not bound
_REQUEST = re.compile(rb"(?P<method>[A-Z]+) (?:http://[^/ ]*)?(?P<path>/[!-~]*) HTTP/1\.[01]\r\n")
_CHALLENGE = re.compile(re.escape(CHALLENGE_PATH.encode()) + rb"(?P<token>[A-Za-z0-9_-]{1,512})")

Lookup = Callable[[str], str | None]
Open = Callable[[str, int], SharedPort]


class Params(Precheck):
    """Where to listen."""

    address: str = Field(default="", description="Address to listen on; empty for all, IPv4 and IPv6.")
    port: int = Field(default=80, ge=1, le=65535, description="Port to listen on.")

    @field_validator("address")
    @classmethod
    def _is_address(cls, value: str) -> str:
        return str(ip_address(value)) if value else value


class HttpListener(Solver[Params]):
    """Serves the answers itself, if need be together with, or after, another process that has the same store."""

    Params = Params
    types = frozenset({"http-01"})

    _listens = False
    _successor: threading.Thread | None = None
    _over: threading.Event

    def present(self, challenges: Sequence[Challenge]) -> None:
        """Put the answers into the store and see to it that somebody serves them."""
        for challenge in challenges:
            self.context.answers.put(challenge.token, challenge.key_authorization)
        give_up = time.monotonic() + _HANDOVER_SECONDS
        while (refusal := self._listen(shared_port.take)) and challenges:
            if not _is_taken(refusal):
                raise _cannot_listen(self.params, refusal)
            wrong = wrong_answers(challenges[:1], _nearest(self.params), _ASK_SECONDS)
            if not wrong:
                # Only a listener with the same store is joined: it answers for us, and we shall for it.
                if not self._listen(shared_port.join):
                    return
                self._over = threading.Event()
                self._successor = threading.Thread(target=self._take_over, name="http-01 successor", daemon=True)
                self._successor.start()
                return
            # Another listener may have let the port go since we asked for it; any other program stays.
            if wrong[0].kind not in _GONE or time.monotonic() > give_up:
                raise _port_taken(self.params, wrong[0])
            time.sleep(_RETRY_SECONDS)

    def check(self, challenges: Sequence[Challenge]) -> None:
        """Fetch each answer as the authority will."""
        self.params.look(challenges, self.context.journal)

    def clean_up(self, challenges: Sequence[Challenge]) -> None:
        """Remove the answers; stop listening unless another run of this process still needs it."""
        if self._successor:
            self._over.set()
            self._successor.join()
        if self._listens:
            self._listens = False
            _release(self.params, self.context.answers)
        for challenge in challenges:
            self.context.answers.remove(challenge.token)

    def _listen(self, opened: Open) -> OSError | None:
        """Listen; the system's refusal if it does not let us."""
        try:
            _acquire(self.params, self.context.answers, opened)
        except OSError as refusal:
            return refusal
        self._listens = True
        return None

    def _take_over(self) -> None:
        """Wait until the process that holds the port lets it go, and continue in its place."""
        while self._listen(shared_port.take) and not self._over.wait(_RETRY_SECONDS):
            pass


def _is_taken(refusal: OSError) -> bool:
    # Windows calls a port that another program holds for itself forbidden.
    return refusal.errno == errno.EADDRINUSE or (os.name == "nt" and refusal.errno == errno.EACCES)


def _nearest(params: Params) -> Endpoint:
    """Where another listener on the same port is reached from here."""
    return Endpoint(_LOOPBACK.get(params.address, params.address), params.port)


def _cannot_listen(params: Params, refusal: OSError) -> SolverError:
    where = f"port {params.port}" + (f" of {params.address}" if params.address else "")
    if refusal.errno == errno.EACCES:
        return SolverError(
            f"This user may not listen on {where}: ports under 1024 need root or CAP_NET_BIND_SERVICE.",
            hint=f"Run 'setcap cap_net_bind_service=+ep {Path(sys.executable).resolve()}', or "
            f"'sysctl net.ipv4.ip_unprivileged_port_start={params.port}', or give --http-address "
            f"ADDRESS:PORT with a higher port and let a web server or firewall lead port 80 of the names to it.",
        )
    return SolverError(
        f"Cannot listen on {where}: {refusal.strerror or refusal}.",
        hint="Give --http-address one of this machine's own addresses, or leave it out for all of them.",
    )


def _port_taken(params: Params, found: WrongAnswer) -> SolverError:
    return SolverError(
        f"Port {params.port} is held by another program{f': {found.server}' if found.server else ''}.",
        causes=[found.sentence],
        hint=f"Let that web server serve the answers (--webroot FOLDER), or let it forward {CHALLENGE_PATH} to another "
        "port and give that one with --http-address ADDRESS:PORT.",
    )


def respond(head: bytes, lookup: Lookup) -> bytes:
    """The whole response to a request's head (RFC 9112); `lookup` gives the answer to a token, if there is one."""
    request = _REQUEST.match(head)
    if len(head) > _MAX_HEAD:
        return _response("431 Request Header Fields Too Large")
    if not request:
        return _response("400 Bad Request")
    challenge = _CHALLENGE.fullmatch(request["path"])
    if not challenge or request["method"] not in (b"GET", b"HEAD"):
        return _response("404 Not Found")
    try:
        answer = lookup(challenge["token"].decode())
    except Exception:  # noqa: BLE001 - a store that fails for a moment must not end the listener
        return _response("503 Service Unavailable")
    if answer is None:
        return _response("404 Not Found")
    return _response("200 OK", answer.encode(), with_body=request["method"] == b"GET")


def _response(status: str, body: bytes = b"", *, with_body: bool = True) -> bytes:
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: application/octet-stream\r\nContent-Length: {len(body)}\r\n"
        "Cache-Control: no-store\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + (body if with_body else b"")


@dataclass(slots=True, eq=False)
class _Connection:
    """A peer that is asking, or that has its response and may read it to the end."""

    sock: socket.socket
    deadline: float
    received: bytes = b""
    answered: bool = False


class _Listener:
    """One port, served by one thread for all runs of this process that need it."""

    def __init__(self, port: SharedPort, name: str) -> None:
        self.answers: tuple[Answers, ...] = ()
        self._port = port
        self._connections: set[_Connection] = set()
        self._stopping = False
        self._waker, self._wakes = socket.socketpair()
        self._selector = selectors.DefaultSelector()
        for source in (*port, self._wakes):
            source.setblocking(False)
            self._selector.register(source, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._serve, name=name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Answer who has already come, and close."""
        self._stopping = True
        self._waker.send(b"\0")
        self._thread.join()

    def _serve(self) -> None:
        with self._selector, self._waker, self._wakes, closing(self._port):
            while not self._stopping:
                self._turn()
            self._accept()
            for source in self._port:
                self._selector.unregister(source)
            self._port.close()
            for connection in self._connections:
                connection.deadline = min(connection.deadline, time.monotonic() + _LINGER_SECONDS)
            while self._connections:
                self._turn()

    def _turn(self) -> None:
        """Wait for something to happen, and deal with it."""
        nearest = min((c.deadline for c in self._connections), default=None)
        for key, _ in self._selector.select(None if nearest is None else max(nearest - time.monotonic(), 0)):
            if key.fileobj is self._port.listener:
                self._accept()
            elif key.fileobj is self._port.counter:
                self._port.serve_counter()
            elif key.data in self._connections:
                self._read(key.data)
            else:
                self._wakes.recv(1)
        now = time.monotonic()
        for connection in [c for c in self._connections if c.deadline <= now]:
            self._drop(connection)

    def _accept(self) -> None:
        with suppress(OSError):  # nobody more is waiting, or who waited has gone
            while True:
                sock, _ = self._port.listener.accept()
                sock.setblocking(False)
                connection = _Connection(sock, time.monotonic() + _HEAD_SECONDS)
                self._connections.add(connection)
                self._selector.register(sock, selectors.EVENT_READ, connection)
                if len(self._connections) > _MAX_CONNECTIONS:
                    self._drop(min(self._connections, key=lambda c: c.deadline))

    def _read(self, connection: _Connection) -> None:
        try:
            data = connection.sock.recv(_MAX_HEAD)
            if not data:
                self._drop(connection)
            elif not connection.answered:
                connection.received += data
                self._answer(connection)
        except BlockingIOError:
            pass
        except OSError:
            self._drop(connection)

    def _answer(self, connection: _Connection) -> None:
        """Respond once the head is complete, or too long; then let the peer read before closing."""
        if b"\r\n\r\n" not in connection.received and len(connection.received) <= _MAX_HEAD:
            return
        connection.answered = True
        connection.deadline = time.monotonic() + _LINGER_SECONDS
        connection.sock.sendall(respond(connection.received, self._lookup))
        connection.sock.shutdown(socket.SHUT_WR)

    def _lookup(self, token: str) -> str | None:
        return next((found for answers in self.answers if (found := answers.get(token)) is not None), None)

    def _drop(self, connection: _Connection) -> None:
        self._connections.discard(connection)
        self._selector.unregister(connection.sock)
        connection.sock.close()


_listeners: dict[tuple[str, int], _Listener] = {}
_listeners_lock = threading.Lock()


def _acquire(params: Params, answers: Answers, opened: Open) -> None:
    """Have `answers` served on the port of `params`, by the listener that is there or a new one on what is `opened`.

    Raises:
        OSError: if the system does not let us listen.
    """
    place = (params.address, params.port)
    with _listeners_lock:
        if place not in _listeners:
            _listeners[place] = _Listener(opened(*place), f"http-01 listener on port {params.port}")
        _listeners[place].answers += (answers,)


def _release(params: Params, answers: Answers) -> None:
    """Serve `answers` no longer; the listener ends with the last ones."""
    place = (params.address, params.port)
    with _listeners_lock:
        listener = _listeners[place]
        rest = list(listener.answers)
        rest.remove(answers)
        if rest:
            listener.answers = tuple(rest)
        else:
            _listeners.pop(place).stop()  # which still answers who has already come
