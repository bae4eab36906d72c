"""http-01 as the listener speaks it: one request, one answer (RFC 8555 section 8.3)."""

import re

from certwright.listener.conversation import Lookup
from certwright.probe.http01 import CHALLENGE_PATH

_MAX_HEAD = 8192
_REQUEST = re.compile(rb"(?P<method>[A-Z]+) (?:http://[^/ ]*)?(?P<path>/[!-~]*) HTTP/1\.[01]\r\n")
_CHALLENGE = re.compile(re.escape(CHALLENGE_PATH.encode()) + rb"(?P<token>[A-Za-z0-9_-]{1,512})")


class HttpConversation:
    """Hears a request's head, and responds."""

    def __init__(self, lookup: Lookup) -> None:
        self.is_over = False
        self._lookup = lookup
        self._received = b""

    def hear(self, data: bytes) -> bytes:
        """The response once the head is complete, or too long."""
        self._received += data
        if b"\r\n\r\n" not in self._received and len(self._received) <= _MAX_HEAD:
            return b""
        self.is_over = True
        return respond(self._received, self._lookup)


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
