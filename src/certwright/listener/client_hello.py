"""The first message of a TLS client, as far as it tells what the client came for."""

from dataclasses import dataclass

MAX_HELLO = 16_384
_MAX_RECORDS = 64
_HANDSHAKE, _CLIENT_HELLO = 22, b"\x01"
_RECORD_HEADER, _MESSAGE_HEADER = 5, 4
_VERSION_AND_RANDOM = 2 + 32
_SERVER_NAME, _ALPN = 0, 16
_HOST_NAME = 0


@dataclass(frozen=True, slots=True)
class ClientHello:
    """What is asked for: the name (RFC 6066 section 3), and the protocols above TLS (RFC 7301 section 3.1)."""

    server_name: str | None = None
    protocols: tuple[bytes, ...] = ()


def read_client_hello(data: bytes) -> ClientHello | None:
    """The ClientHello (RFC 8446 section 4.1.2) that `data` begins with; None as long as it is not complete.

    Raises:
        ValueError: if it is none, or longer than any client's.
    """
    message = _message(data)
    if message is None:
        return None
    reader = _Reader(message)
    reader.take(_VERSION_AND_RANDOM)
    for length in (1, 2, 1):  # session, cipher suites, compression methods
        reader.vector(length)
    extensions = dict(_extensions(reader.vector(2))) if reader.rest else {}
    return ClientHello(_server_name(extensions.get(_SERVER_NAME)), _protocols(extensions.get(_ALPN)))


def _message(data: bytes) -> bytes | None:
    """The body of the handshake message, joined from its records (RFC 8446 section 5.1)."""
    joined, start = bytearray(), 0
    for _ in range(_MAX_RECORDS):
        header = data[start : start + _RECORD_HEADER]
        length = int.from_bytes(header[3:], "big")
        if (header and header[0] != _HANDSHAKE) or length > MAX_HELLO:
            raise ValueError("no TLS handshake")
        end = start + _RECORD_HEADER + length
        if len(header) < _RECORD_HEADER or len(data) < end:
            return None
        joined += data[start + _RECORD_HEADER : end]
        start = end
        if joined[:1] != _CLIENT_HELLO or len(joined) > MAX_HELLO:
            raise ValueError("no ClientHello")
        size = _MESSAGE_HEADER + int.from_bytes(joined[1:_MESSAGE_HEADER], "big")
        if len(joined) >= max(size, _MESSAGE_HEADER):
            return bytes(joined[_MESSAGE_HEADER:size])
    raise ValueError("no client sends so many records")


class _Reader:
    """Takes fields from the front of `rest`."""

    def __init__(self, data: bytes) -> None:
        self.rest = data

    def take(self, size: int) -> bytes:
        if size > len(self.rest):
            raise ValueError("the message ends within a field")
        taken, self.rest = self.rest[:size], self.rest[size:]
        return taken

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def vector(self, size: int) -> bytes:
        """A field that is preceded by its length, which takes `size` bytes."""
        return self.take(self.number(size))


def _extensions(data: bytes) -> list[tuple[int, bytes]]:
    reader, found = _Reader(data), []
    while reader.rest:
        found.append((reader.number(2), reader.vector(2)))
    return found


def _server_name(extension: bytes | None) -> str | None:
    if extension is None:
        return None
    reader = _Reader(_Reader(extension).vector(2))
    while reader.rest:
        kind, name = reader.number(1), reader.vector(2)
        if kind == _HOST_NAME:
            return name.decode("ascii").lower()
    return None


def _protocols(extension: bytes | None) -> tuple[bytes, ...]:
    if extension is None:
        return ()
    reader, found = _Reader(_Reader(extension).vector(2)), []
    while reader.rest:
        found.append(reader.vector(1))
    return tuple(found)
