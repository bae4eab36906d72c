"""A recording server: HTTP on loopback in place of a vendor's API, with state, that judges each request.

A vendor is a subclass of `Vendor` (or of `Front`, if its state is elsewhere) that answers requests as the vendor's
documentation says, from that documentation alone. What a right client never sends is answered with the documented
error *and* written down in `complaints`.
"""

import json
import socket
import threading
from abc import abstractmethod
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from peers.dns_peer import OTHER_ZONE, ZONE, DnsPeer, Fault


@dataclass(frozen=True)
class Request:
    """What was asked. `target` is path and query as sent; `parts` the path's decoded parts, `query` decoded."""

    method: str
    target: str
    parts: tuple[str, ...]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Reply:
    """What is answered; `content` as JSON unless it is bytes or None."""

    status: int
    content: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class TxtEntry:
    """One TXT record as it stands in a zone: `name` absolute, `value` without quotes."""

    id: int
    name: str
    value: str
    ttl: int


class Front(DnsPeer):
    """What stands before a vendor's state: requests are recorded, and faults happen; subclasses answer."""

    def __init__(self) -> None:
        self.overrides: Mapping[str, Any] = {}
        self.complaints: list[str] = []
        self.requests: list[Request] = []
        self.url = ""
        self.lock = threading.RLock()
        self._faults: deque[Fault | None] = deque()
        self._interruption: tuple[int, Callable[[], None]] | None = None

    @abstractmethod
    def answer(self, request: Request) -> Reply:
        """What the vendor answers; raises `Refusal` for what it refuses."""

    @abstractmethod
    def refusal(self, fault: Fault) -> Reply:
        """The documented answer for RATE_LIMITED, UNAVAILABLE and FORBIDDEN."""

    def fail(self, fault: Fault, times: int = 1, *, after: int = 0) -> None:
        """Queue it."""
        self._faults = deque([None] * after + [fault] * times)

    def interrupt(self, act: Callable[[], None], *, after: int) -> None:
        """Do `act` once, before the request that comes after `after` others: others may ask meanwhile."""
        with self.lock:
            self._interruption = (len(self.requests) + after, act)

    def _interrupted(self) -> None:
        with self.lock:
            if not self._interruption or len(self.requests) < self._interruption[0]:
                return
            (_, act), self._interruption = self._interruption, None
        act()

    def complain(self, about: str) -> None:
        """Write down what a right client never does."""
        self.complaints.append(about)

    def handle(self, request: Request) -> Reply | None:
        """The reply; None if the connection breaks instead."""
        self._interrupted()
        with self.lock:
            self.requests.append(request)
            fault = self._faults.popleft() if self._faults else None
            match fault:
                case Fault.BROKEN:
                    return None
                case Fault.NONSENSE:
                    return Reply(200, b"<html><body>Please sign in</body></html>", {"Content-Type": "text/html"})
                case Fault.RATE_LIMITED | Fault.UNAVAILABLE | Fault.FORBIDDEN:
                    return self.refusal(fault)
            try:
                reply = self.answer(request)
            except Refusal as refusal:
                reply = refusal.reply
            except Exception as error:  # noqa: BLE001 - a request that no documentation allows, or a mistake of ours
                self.complain(f"{request.method} {request.target}: {error!r}")
                reply = Reply(500)
            return None if fault is Fault.ANSWER_LOST else reply


class Vendor(Front):
    """A vendor whose state is the TXT records of each zone."""

    lowest_ttl = 60

    def __init__(self) -> None:
        super().__init__()
        self.zones: dict[str, list[TxtEntry]] = {ZONE: [], OTHER_ZONE: []}
        self._ids = 1000
        for zone in self.zones:
            self.put(zone, f"v=spf1 mx:{zone} -all")
            self.put(f"_dmarc.{zone}", "v=DMARC1; p=none")

    def read(self, name: str) -> list[str]:
        """What stands at `name`."""
        with self.lock:
            return sorted({entry.value for entries in self.zones.values() for entry in entries if entry.name == name})

    def put(self, name: str, value: str) -> None:
        """Add one, as if it had long been there."""
        zone = next(zone for zone in self.zones if name == zone or name.endswith(f".{zone}"))
        self.add_entry(zone, name, value, 3600)

    def everything(self) -> object:
        """Names, values and TTLs, without ids."""
        with self.lock:
            return {zone: sorted((e.name, e.value, e.ttl) for e in entries) for zone, entries in self.zones.items()}

    def add_entry(self, zone: str, name: str, value: str, ttl: int) -> TxtEntry:
        """A new record."""
        self._ids += 1
        entry = TxtEntry(self._ids, name, value, ttl)
        self.zones[zone].append(entry)
        return entry

    def json_of(self, request: Request) -> Any:
        """The body, which must be declared as JSON and be it."""
        if not request.headers.get("content-type", "").startswith("application/json"):
            self.complain(f"{request.method} {request.target} without Content-Type: application/json")
        try:
            return json.loads(request.body)
        except ValueError:
            self.complain(f"{request.method} {request.target} with a body that is no JSON")
            raise Refusal(self.invalid("the body is no JSON")) from None

    def judge(self, given: Any, *needed: str) -> None:
        """An object that must have exactly the fields `needed`; one that is called `ttl` must be high enough."""
        if not isinstance(given, dict) or set(given) != set(needed):
            self.complain(f"{given!r} has not the fields {needed}")
            raise Refusal(self.invalid("the fields are not as documented"))
        ttl = given.get("ttl", self.lowest_ttl)
        if not isinstance(ttl, int) or ttl < self.lowest_ttl:
            self.complain(f"a TTL of {ttl!r}")
            raise Refusal(self.invalid(f"ttl {ttl!r} is too low"))

    def invalid(self, told: str) -> Reply:
        """The documented answer to a request that is not well-formed."""
        return Reply(400, {"message": told})

    def unrouted(self, request: Request, reply: Reply) -> Reply:
        """`reply`, for a request that the documentation does not know."""
        self.complain(f"{request.method} {request.target}")
        return reply


def relative(name: str, zone: str) -> str:
    """`name` as most vendors write it within its zone."""
    return "@" if name == zone else name.removesuffix(f".{zone}")


def absolute(name: str, zone: str) -> str:
    """The opposite of `relative`."""
    return zone if name in {"@", ""} else f"{name}.{zone}"


class Refusal(Exception):
    """Leaves `Vendor.answer` with this reply."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.status)
        self.reply = reply


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one piece, or the second waits for an acknowledgement of the first
    vendor: Front

    def _serve(self) -> None:
        length = int(self.headers.get("Content-Length", "0"))
        parts = urlsplit(self.path)
        request = Request(
            self.command,
            self.path,
            tuple(unquote(part) for part in parts.path.strip("/").split("/")),
            dict(parse_qsl(parts.query, keep_blank_values=True)),
            {name.lower(): value for name, value in self.headers.items()},
            self.rfile.read(length),
        )
        reply = self.vendor.handle(request)
        if reply is None:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        content = reply.content if isinstance(reply.content, bytes) else _as_json(reply.content)
        self.send_response(reply.status)
        for name, value in {"Content-Type": "application/json", **reply.headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815 - the names that http.server calls

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as in http.server
        pass


def _as_json(content: Any) -> bytes:
    return b"" if content is None else json.dumps(content).encode()


@contextmanager
def served(vendor: Front) -> Iterator[None]:
    """Serve `vendor` at its `url` until the block ends."""
    handler = type("Handler", (_Handler,), {"vendor": vendor})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        vendor.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()
