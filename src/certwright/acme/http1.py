"""HTTP/1.1 on one connection: a request goes out, and its answer comes in, bounded in time and size.

What an answer means is read by llhttp, the parser of Node.js, through httptools.
"""

import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass

from httptools import HttpParserError, HttpResponseParser

from certwright.acme.transport import Headers, Response

MOST_BYTES = 1024 * 1024
"""The largest body that is read; ACME's objects and chains are a few kilobytes."""

_MOST_HEAD_BYTES = 64 * 1024
_MOST_FIELDS = 100
_PIECE = 64 * 1024
_FINAL = 200


class Broken(Exception):
    """No complete answer of HTTP came before the connection ended."""


class TooLarge(Exception):
    """The answer is larger than `MOST_BYTES`."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer; `reason` are the server's own words for its status, and `keeps` whether it takes another request."""

    response: Response
    reason: str
    keeps: bool


def head(method: str, target: str, fields: Mapping[str, str]) -> bytes:
    """The beginning of a request.

    Raises:
        ValueError: if a field would end too early, and something else begin.
    """
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
    told = "\r\n".join([*lines, "\r\n"])
    if told.count("\r") != len(lines) + 1 or told.count("\n") != len(lines) + 1 or "\0" in told:
        raise ValueError("a header field holds a line break")
    return told.encode("latin-1")


def exchange(connection: socket.socket, request: bytes, ends: float, *, bodiless: bool = False) -> Answer:
    """Send a request and read its answer; interim answers are passed over.

    Args:
        connection: nobody else's meanwhile.
        request: its head and its body.
        ends: until when, on time.monotonic.
        bodiless: the answer ends with its head: to HEAD, and to CONNECT.

    Raises:
        TimeoutError: if the answer is not complete by then.
        Broken: if it never will be, or is no answer of HTTP.
        TooLarge: if it is larger than any should be.
        OSError: if the connection breaks.
    """
    rest = memoryview(request)
    while rest:
        connection.settimeout(left(ends))
        rest = rest[connection.send(rest) :]
    reading = _Reading(bodiless=bodiless)
    while not reading.is_complete:
        connection.settimeout(left(ends))
        reading.feed(connection.recv(_PIECE))
    return reading.answer()


def left(ends: float) -> float:
    """The seconds until then, for a socket.

    Raises:
        TimeoutError: if there are none.
    """
    seconds = ends - time.monotonic()
    if seconds <= 0:
        raise TimeoutError("the answer took too long")
    return seconds


def is_quiet(connection: socket.socket) -> bool:
    """Whether an idle connection stands: its server has neither ended it nor said anything unasked."""
    connection.settimeout(0)
    try:
        connection.recv(1)
    except (BlockingIOError, ssl.SSLWantReadError):
        return True
    except OSError:
        return False
    return False


class _Reading:
    """What has come of one answer: the protocol of httptools."""

    def __init__(self, *, bodiless: bool) -> None:
        self.is_complete = False
        self._bodiless = bodiless
        self._parser = HttpResponseParser(self)
        self._fields: list[tuple[str, str]] = []
        self._status = 0
        self._reason = b""
        self._body = bytearray()
        self._head_bytes = 0
        self._is_in_body = False
        self._is_framed = False
        self._is_last = False
        self._extra = False

    def feed(self, data: bytes) -> None:
        """Take what has come; nothing is the end of the connection.

        Raises:
            Broken: as `exchange`.
            TooLarge: as `exchange`.
        """
        if not data:
            if not self._is_in_body or self._is_framed:
                raise Broken("it ended before the answer was complete")
            self.is_complete = self._is_last = True
            return
        if not self._is_in_body:
            self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except HttpParserError as error:
            if isinstance(error.__context__, TooLarge | Broken):
                raise error.__context__ from None
            if not self.is_complete:
                raise Broken(f"the answer is not HTTP: {error}") from None
            self._extra = True
        if not self._is_in_body and not self.is_complete and self._head_bytes > _MOST_HEAD_BYTES:
            raise Broken("the head of the answer is too large")
        if len(self._body) > MOST_BYTES:
            raise TooLarge

    def answer(self) -> Answer:
        """The whole of it."""
        response = Response(self._status, Headers(self._fields), bytes(self._body))
        return Answer(response, self._reason.decode("latin-1"), not (self._is_last or self._extra))

    def on_message_begin(self) -> None:
        """Another answer begins: the first, or that after an interim one."""
        self._extra = self.is_complete
        if not self._extra:
            self._fields, self._is_framed, self._is_last, self._reason = [], False, False, b""

    def on_status(self, reason: bytes) -> None:
        """The words after the status."""
        if not self.is_complete:
            self._reason += reason

    def on_header(self, name: bytes, value: bytes) -> None:
        """One field of the head, or after a body in chunks."""
        if self.is_complete or self._is_in_body:
            return
        if len(self._fields) >= _MOST_FIELDS:
            raise Broken("too many header fields")
        key, said = name.decode("latin-1").lower(), value.decode("latin-1")
        self._fields.append((key, said))
        if key in {"content-length", "transfer-encoding"}:
            self._is_framed = True
        elif key == "connection":
            self._is_last = self._is_last or "close" in said.lower()
        if key == "content-length" and not self._bodiless and int(said) > MOST_BYTES:
            raise TooLarge

    def on_headers_complete(self) -> None:
        """The head is whole."""
        if self.is_complete:
            return
        self._status = self._parser.get_status_code()
        if self._status >= _FINAL:
            self._is_in_body = True
            self._is_last = self._is_last or self._parser.get_http_version() != "1.1"
            self.is_complete = self._bodiless

    def on_body(self, data: bytes) -> None:
        """A piece of the body."""
        if self.is_complete:
            self._extra = True
        else:
            self._body += data

    def on_message_complete(self) -> None:
        """An answer is whole; an interim one is followed by another."""
        if self._is_in_body:
            self.is_complete = True
