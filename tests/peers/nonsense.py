"""Servers that behave badly, on loopback."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

Behaviour = Callable[[socket.socket, threading.Event], None]


@contextmanager
def nonsense(behave: Behaviour, host: str = "127.0.0.1", port: int = 0) -> Iterator[int]:
    """The port of a server that does ``behave`` with each connection; the event tells it that the test is over."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    over = threading.Event()
    threads: list[threading.Thread] = []

    def attend(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.settimeout(10)
            behave(connection, over)

    def accept() -> None:
        while not over.is_set():
            with suppress(TimeoutError):
                connection, _ = server.accept()
                threads.append(threading.Thread(target=attend, args=(connection,)))
                threads[-1].start()

    with socket.create_server((host, port), family=family) as server:
        server.settimeout(0.05)
        acceptor = threading.Thread(target=accept)
        acceptor.start()
        try:
            yield server.getsockname()[1]
        finally:
            over.set()
            acceptor.join()
            for thread in threads:
                thread.join()


def silent(_: socket.socket, over: threading.Event) -> None:
    """Accepts and says nothing."""
    over.wait(30)


def closes(_connection: socket.socket, _over: threading.Event) -> None:
    """Accepts and closes."""


def says(*pieces: bytes) -> Behaviour:
    """Says all of ``pieces`` at once, whatever it hears, reads what comes, and closes when the client does."""

    def behave(connection: socket.socket, over: threading.Event) -> None:
        connection.sendall(b"".join(pieces))
        while not over.is_set() and connection.recv(4096):
            pass

    return behave


def converses(*pieces: bytes) -> Behaviour:
    """Says one of ``pieces``, and the next one whenever it has heard something; then it closes."""

    def behave(connection: socket.socket, over: threading.Event) -> None:
        for index, piece in enumerate(pieces):
            if index and not connection.recv(4096):
                return
            connection.sendall(piece)
        connection.shutdown(socket.SHUT_WR)
        while not over.is_set() and connection.recv(4096):
            pass

    return behave


def drips(data: bytes, seconds: float) -> Behaviour:
    """Says ``data`` again and again, one byte every so many ``seconds``."""

    def behave(connection: socket.socket, over: threading.Event) -> None:
        index = 0
        while not over.wait(seconds):
            connection.sendall(data[index % len(data) :][:1])
            index += 1

    return behave


def floods(data: bytes) -> Behaviour:
    """Says ``data`` for ever."""

    def behave(connection: socket.socket, over: threading.Event) -> None:
        while not over.is_set():
            connection.sendall(data * 100)

    return behave
