"""A small web server that answers challenges and nothing else: one thread a port, for all runs of this process."""

import re
import selectors
import socket
import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass

from certwright.listener.shared_port import SharedPort
from certwright.probe.http01 import CHALLENGE_PATH
from certwright.sdk.context import Answers

_MAX_HEAD = 8192
_MAX_CONNECTIONS = 128
_HEAD_SECONDS = 10.0
_LINGER_SECONDS = 1.0
_REQUEST = re.compile(rb"(?P<method>[A-Z]+) (?:http://[^/ ]*)?(?P<path>/[!-~]*) HTTP/1\.[01]\r\n")
_CHALLENGE = re.compile(re.escape(CHALLENGE_PATH.encode()) + rb"(?P<token>[A-Za-z0-9_-]{1,512})")

Lookup = Callable[[str], str | None]
Open = Callable[[str, int], SharedPort]


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


class Listener:
    """One port, served by one thread for all runs of this process that need it."""

    def __init__(self, port: SharedPort, name: str, answers: Answers) -> None:
        self.answers: tuple[Answers, ...] = (
            answers,
        )  # before the thread begins: on a shared port somebody may be waiting already
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
        with suppress(OSError):  # the thread was awake, has seen it, and is gone
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


_listeners: dict[tuple[str, int], Listener] = {}
_listeners_lock = threading.Lock()


def serve(address: str, port: int, answers: Answers, opened: Open) -> None:
    """Have `answers` served on this port, by the listener that is there or a new one on what is `opened`.

    Raises:
        OSError: if the system does not let us listen.
    """
    place = (address, port)
    with _listeners_lock:
        if place in _listeners:
            _listeners[place].answers += (answers,)
        else:
            _listeners[place] = Listener(opened(*place), f"http-01 listener on port {port}", answers)


def release(address: str, port: int, answers: Answers) -> None:
    """Serve `answers` no longer; the listener ends with the last ones."""
    place = (address, port)
    with _listeners_lock:
        listener = _listeners[place]
        rest = list(listener.answers)
        rest.remove(answers)
        if rest:
            listener.answers = tuple(rest)
        else:
            _listeners.pop(place).stop()  # which still answers who has already come
