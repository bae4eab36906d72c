"""DigitalOcean's API v2, as https://docs.digitalocean.com/reference/api/ documents its domains and domain records."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from peers.dns_peer import Fault
from peers.vendor import Refusal, Reply, Request, TxtEntry, Vendor, absolute, relative, served

TOKEN = "dop_v1_4a1f0c9e7b6d5a3f2e1d0c9b8a7f6e5d4c3b2a190817"
_PER_PAGE = 1  # documented: 1 to 200; one, so that paging happens


class DigitalOceanApi(Vendor):
    """Domains and records; the token has the four scopes of domain."""

    lowest_ttl = 30

    def __init__(self) -> None:
        super().__init__()
        self.params = {"api_token": TOKEN}
        self.wrong_params = {"api_token": TOKEN[:-1] + "0"}

    def answer(self, request: Request) -> Reply:  # noqa: PLR0911 - one for each call
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            return _refused(401, "Unauthorized", "Unable to authenticate you")
        match request.method, request.parts:
            case "GET", ("v2", "domains"):
                rows = [{"name": name, "ttl": 1800, "zone_file": f"$ORIGIN {name}."} for name in self.zones]
                return self._page(request, "domains", rows)
            case "GET", ("v2", "domains", zone, "records"):
                return self._page(request, "domain_records", self._records(zone, request))
            case "POST", ("v2", "domains", zone, "records"):
                return self._create(zone, self._entries(zone), self.json_of(request))
            case "DELETE", ("v2", "domains", zone, "records", number):
                entries = self._entries(zone)
                found = [entry for entry in entries if str(entry.id) == number]
                if not found:
                    return _NOT_FOUND
                entries.remove(found[0])
                return Reply(204)
        return self.unrouted(request, _NOT_FOUND)

    def refusal(self, fault: Fault) -> Reply:
        match fault:
            case Fault.RATE_LIMITED:
                headers = {"Retry-After": "0", "ratelimit-limit": "5000", "ratelimit-remaining": "0"}
                return Reply(429, {"id": "too_many_requests", "message": "API Rate limit exceeded."}, headers)
            case Fault.FORBIDDEN:
                return _refused(403, "Forbidden", "You are not authorized to perform this operation")
            case _:
                return _refused(503, "service_unavailable", "Service unavailable.")

    def invalid(self, told: str) -> Reply:
        return _refused(422, "unprocessable_entity", told)

    def _entries(self, zone: str) -> list[TxtEntry]:
        if zone not in self.zones:
            raise Refusal(_NOT_FOUND)
        return self.zones[zone]

    def _records(self, zone: str, request: Request) -> list[Any]:
        entries = self._entries(zone)
        if not set(request.query) <= {"name", "type", "page", "per_page"}:
            self.complain(f"the parameters {dict(request.query)}")
        name, kind = request.query.get("name"), request.query.get("type", "TXT")
        if name is not None and not f".{name}".endswith(f".{zone}"):
            self.complain(f"the name {name!r} is not fully qualified")
        return [_shown(entry, zone) for entry in entries if kind == "TXT" and name in {None, entry.name}]

    def _page(self, request: Request, what: str, rows: list[Any]) -> Reply:
        page, per_page = int(request.query.get("page", "1")), int(request.query.get("per_page", "20"))
        if not 1 <= per_page <= 200:
            self.complain(f"per_page={per_page}")
        last = -(-len(rows) // _PER_PAGE)
        pages = {"next": f"{self.url}/v2/...?page={page + 1}", "last": f"{self.url}/..."} if page < last else {}
        shown = rows[(page - 1) * _PER_PAGE : page * _PER_PAGE]
        return Reply(200, {what: shown, "links": {"pages": pages} if pages else {}, "meta": {"total": len(rows)}})

    def _create(self, zone: str, entries: list[TxtEntry], record: Any) -> Reply:
        self.judge(record, "type", "name", "data", "ttl")
        if record["type"] != "TXT" or str(record["name"]).endswith(zone):
            self.complain(f"the record {record}")
        entry = self.add_entry(zone, absolute(record["name"], zone), record["data"], record["ttl"])
        return Reply(201, {"domain_record": _shown(entry, zone)})


def _shown(entry: TxtEntry, zone: str) -> dict[str, Any]:
    name = relative(entry.name, zone)
    return {"id": entry.id, "type": "TXT", "name": name, "data": entry.value, "ttl": entry.ttl, "port": None}


def _refused(status: int, identity: str, message: str) -> Reply:
    return Reply(status, {"id": identity, "message": message, "request_id": "4d9d8375-3c56-4925-a3e7-eb137fed17e9"})


_NOT_FOUND = _refused(404, "not_found", "The resource you requested could not be found.")


@contextmanager
def serve() -> Iterator[DigitalOceanApi]:
    """Until the block ends."""
    vendor = DigitalOceanApi()
    with served(vendor):
        vendor.overrides = {"api": f"{vendor.url}/v2", "per_second": 1000}
        yield vendor
