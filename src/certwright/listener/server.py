"""A small server that answers challenges and nothing else: one thread a port, for all runs of this process."""

import logging
import selectors
import socket
import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass

from certwright.domain.errors import CertwrightError
from certwright.listener.conversation import Conversation, Lookup
from certwright.listener.http_01 import HttpConversation
from certwright.listener.shared_port import Place, SharedPort
from certwright.listener.tls_alpn_01 import TlsConversation
from certwright.sdk.context import Answers

log = logging.getLogger("certwright")
_CHUNK = 8192
_MAX_CONNECTIONS = 128
_HEARING_SECONDS = 10.0
_LINGER_SECONDS = 1.0
Open = Callable[[Place], SharedPort]
_CONVERSATIONS: dict[str, Callable[[Lookup], Conversation]] = {
    "http-01": HttpConversation,
    "tls-alpn-01": TlsConversation,
}


@dataclass(slots=True, eq=False)
class _Connection:
    """A peer that is asking, or that has its response and may read it to the end."""

    sock: socket.socket
    conversation: Conversation
    deadline: float


class Listener:
    """One port, served by one thread for all runs of this process that need it."""

    def __init__(self, port: SharedPort, place: Place, answers: Answers) -> None:
        self.answers: tuple[Answers, ...] = (
            answers,
        )  # before the thread begins: on a shared port somebody may be waiting already
        self._port = port
        self._begin = _CONVERSATIONS[place.challenge]
        self._connections: set[_Connection] = set()
        self._stopping = False
        self._waker, self._wakes = socket.socketpair()
        self._selector = selectors.DefaultSelector()
        for source in (*port, self._wakes):
            source.setblocking(False)
            self._selector.register(source, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._serve, name=f"{place} listener", daemon=True)
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
                connection = _Connection(sock, self._begin(self._lookup), time.monotonic() + _HEARING_SECONDS)
                self._connections.add(connection)
                self._selector.register(sock, selectors.EVENT_READ, connection)
                if len(self._connections) > _MAX_CONNECTIONS:
                    self._drop(min(self._connections, key=lambda c: c.deadline))

    def _read(self, connection: _Connection) -> None:
        try:
            data = connection.sock.recv(_CHUNK)
            if not data:
                self._drop(connection)
            elif not connection.conversation.is_over:
                self._answer(connection, data)
        except BlockingIOError:
            pass
        except OSError:
            self._drop(connection)

    def _answer(self, connection: _Connection, data: bytes) -> None:
        """Say what is to be said; after the last of it let the peer read before closing."""
        connection.sock.sendall(connection.conversation.hear(data))
        if connection.conversation.is_over:
            connection.deadline = time.monotonic() + _LINGER_SECONDS
            connection.sock.shutdown(socket.SHUT_WR)

    def _lookup(self, key: str) -> str | None:
        try:
            return next((found for answers in self.answers if (found := answers.get(key)) is not None), None)
        except CertwrightError:
            raise
        except Exception:
            log.exception("unexpected, at the answer to a challenge")
            raise

    def _drop(self, connection: _Connection) -> None:
        self._connections.discard(connection)
        self._selector.unregister(connection.sock)
        connection.sock.close()


_listeners: dict[Place, Listener] = {}
_listeners_lock = threading.Lock()


def serve(place: Place, answers: Answers, opened: Open) -> None:
    """Have `answers` served there, by the listener that is there or a new one on what is `opened`.

    Raises:
        OSError: if the system does not let us listen.
    """
    with _listeners_lock:
        if place in _listeners:
            _listeners[place].answers += (answers,)
        else:
            _listeners[place] = Listener(opened(place), place, answers)


def release(place: Place, answers: Answers) -> None:
    """Serve `answers` no longer; the listener ends with the last ones."""
    with _listeners_lock:
        listener = _listeners[place]
        rest = list(listener.answers)
        rest.remove(answers)
        if rest:
            listener.answers = tuple(rest)
        else:
            _listeners.pop(place).stop()  # which still answers who has already come
