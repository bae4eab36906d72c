"""Cloudflare's API v4, as https://developers.cloudflare.com/api/ documents its zones and DNS records."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from peers.dns_peer import ZONE, Fault
from peers.vendor import Refusal, Reply, Request, TxtEntry, Vendor, served

EMAIL = "admin@contoso.com"
GLOBAL_KEY = "c2547eb745079dac9320b638f5e225cf483cc5cfdda41"
TOKEN = "cf-token-3f9a8b7c6d5e4f3a2b1c0d9e8f7a6b5c4d3e2f1a"
PENDING = f"{ZONE} in another account"
"""Key in `zones` of a second zone called `ZONE`, which is not delegated to Cloudflare yet."""
_PER_PAGE = 2  # documented: 5 to 50 zones; few, so that paging happens


class CloudflareApi(Vendor):
    """Zones and records; the token may read zones and edit DNS."""

    def __init__(self) -> None:
        super().__init__()
        self.params = {"api_token": TOKEN}
        self.wrong_params = {"api_token": TOKEN[:-1] + "0"}
        for number in range(3):
            self.zones[f"zone{number}.example"] = []

    def answer(self, request: Request) -> Reply:
        self._authenticate(request)
        match request.method, request.parts:
            case "GET", ("zones",):
                return self._zones(request)
            case "GET", ("zones", zone, "dns_records"):
                return self._page(request, [_shown(entry) for entry in self._entries(zone)])
            case "POST", ("zones", zone, "dns_records"):
                return self._create(self._zone(zone), self.json_of(request))
            case "DELETE", ("zones", zone, "dns_records", record):
                entries = self._entries(zone)
                found = [entry for entry in entries if str(entry.id) == record]
                if not found:
                    return _refused(404, 81044, "Record does not exist.")
                entries.remove(found[0])
                return Reply(200, {"result": {"id": record}})
        return self.unrouted(request, _refused(404, 7003, "Could not route to this path"))

    def refusal(self, fault: Fault) -> Reply:
        match fault:
            case Fault.RATE_LIMITED:
                return Reply(
                    429, _errors(971, "Please wait and consider throttling your request speed"), {"Retry-After": "0"}
                )
            case Fault.FORBIDDEN:
                return _refused(403, 10000, "Authentication error")
            case _:
                return Reply(503, b"<html>Service Unavailable</html>", {"Content-Type": "text/html"})

    def invalid(self, told: str) -> Reply:
        return _refused(400, 9021, told)

    def _authenticate(self, request: Request) -> None:
        given = request.headers
        if "x-auth-key" in given:
            if (given.get("x-auth-email"), given["x-auth-key"]) != (EMAIL, GLOBAL_KEY):
                raise Refusal(_refused(403, 9103, "Unknown X-Auth-Key or X-Auth-Email"))
        elif not given.get("authorization", "").startswith("Bearer "):
            raise Refusal(_refused(400, 6003, "Invalid request headers"))
        elif given["authorization"] != f"Bearer {TOKEN}":
            raise Refusal(_refused(403, 9109, "Invalid access token"))

    def _zones(self, request: Request) -> Reply:
        wanted = request.query.get("name")
        rows = [
            {"id": _id_of(key), "name": _name_of(key), "status": "pending" if key == PENDING else "active"}
            for key in sorted(self.zones, key=lambda key: key != PENDING)
            if wanted in {None, _name_of(key)}
        ]
        return self._page(request, rows)

    def _zone(self, zone: str) -> str:
        for name in self.zones:
            if _id_of(name) == zone:
                return name
        self.complain(f"the zone id {zone!r}")
        raise Refusal(_refused(404, 7003, "Could not route to /zones, perhaps your object identifier is invalid?"))

    def _entries(self, zone: str) -> list[TxtEntry]:
        return self.zones[self._zone(zone)]

    def _page(self, request: Request, rows: list[Any]) -> Reply:
        page = int(request.query.get("page", "1"))
        per_page = int(request.query.get("per_page", "20"))
        if not 1 <= per_page <= (50 if request.parts == ("zones",) else 5_000_000):
            self.complain(f"per_page={per_page}")
        size = min(per_page, _PER_PAGE)
        shown = rows[(page - 1) * size : page * size]
        info = {"page": page, "per_page": size, "count": len(shown), "total_count": len(rows)}
        info["total_pages"] = -(-len(rows) // size)
        return Reply(200, {"success": True, "errors": [], "messages": [], "result": shown, "result_info": info})

    def _create(self, zone: str, record: Any) -> Reply:
        self.judge(record, "type", "name", "content", "ttl")
        name, content = str(record["name"]), str(record["content"])
        if record["type"] != "TXT" or not f".{name}".endswith(f".{_name_of(zone)}"):
            self.complain(f"the record {record}")
        if not (content.startswith('"') and content.endswith('"')):
            self.complain(f"the content {content!r} without quotation marks")
        value = content.strip('"')
        if value in self.read(name):
            return _refused(400, 81058, "An identical record already exists.")
        entry = self.add_entry(zone, name, value, record["ttl"])
        return Reply(200, {"success": True, "errors": [], "messages": [], "result": _shown(entry)})


def _id_of(zone: str) -> str:
    return zone.encode()[::-1].hex().ljust(32, "0")[:32]


def _name_of(key: str) -> str:
    return key.partition(" ")[0]


def _shown(entry: TxtEntry) -> dict[str, Any]:
    content = f'"{entry.value}"'
    return {"id": str(entry.id), "type": "TXT", "name": entry.name, "content": content, "ttl": entry.ttl}


def _errors(code: int, message: str) -> dict[str, Any]:
    return {"success": False, "errors": [{"code": code, "message": message}], "messages": [], "result": None}


def _refused(status: int, code: int, message: str) -> Reply:
    return Reply(status, _errors(code, message))


@contextmanager
def serve() -> Iterator[CloudflareApi]:
    """Until the block ends."""
    vendor = CloudflareApi()
    with served(vendor):
        vendor.overrides = {"api": vendor.url, "per_second": 1000}
        yield vendor
