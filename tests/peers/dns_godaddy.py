"""GoDaddy's Domains API v3, as https://developer.godaddy.com/en/docs/api-users documents domains and DNS records."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from peers.dns_peer import Fault
from peers.vendor import Refusal, Reply, Request, TxtEntry, Vendor, absolute, relative, served

TOKEN = "gd_pat_7Hq2mX9vB4nK1tR8sW3yZ6cD5fG0jL"
_A_PAGE = 1  # documented: at most 200 domains and 100 records; one, so that paging happens


class GoDaddyApi(Vendor):
    """Domains; the token has the scopes domains.domain:read and domains.dns:update."""

    lowest_ttl = 600

    def __init__(self) -> None:
        super().__init__()
        self.params = {"api_token": TOKEN}
        self.wrong_params = {"api_token": TOKEN[:-1] + "M"}

    def answer(self, request: Request) -> Reply:  # noqa: PLR0911 - one for each call
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            return _refused(401, "UNABLE_TO_AUTHENTICATE", "Unauthorized : Could not authenticate token")
        match request.method, request.parts:
            case "GET", ("v3", "domains", "domain-names"):
                return self._domains(request)
            case "GET", ("v3", "domains", "zones", zone, "dns-records"):
                return self._records(zone, request)
            case "POST", ("v3", "domains", "zones", zone, "dns-records"):
                return self._create(zone, self.json_of(request))
            case "DELETE", ("v3", "domains", "zones", zone, "dns-records", record):
                entries = self._entries(zone)
                found = [entry for entry in entries if _id_of(entry) == record]
                if not found:
                    return _refused(404, "NOT_FOUND", "The record was not found")
                entries.remove(found[0])
                return Reply(204)
        return self.unrouted(request, _refused(404, "NOT_FOUND", "Not Found"))

    def refusal(self, fault: Fault) -> Reply:
        match fault:
            case Fault.RATE_LIMITED:
                told = _refused(429, "TOO_MANY_REQUESTS", "Too many requests received within interval")
                return Reply(429, told.content, {"Retry-After": "0", "RateLimit-Remaining": "0"})
            case Fault.FORBIDDEN:
                return _refused(403, "ACCESS_DENIED", "Authenticated user is not allowed access")
            case _:
                return _refused(503, "SERVICE_UNAVAILABLE", "Service is unavailable")

    def invalid(self, told: str) -> Reply:
        return _refused(422, "INVALID_BODY", told)

    def _domains(self, request: Request) -> Reply:
        """Paged by an opaque token."""
        if not 1 <= int(request.query.get("pageSize", "100")) <= 200:
            self.complain(f"pageSize={request.query['pageSize']}")
        names = list(self.zones)
        start = int(request.query.get("pageToken", "at-0").removeprefix("at-"))
        following = start + _A_PAGE
        href = f"{self.url}/v3/domains/domain-names?pageSize={_A_PAGE}&pageToken=at-{following}"
        links = [{"rel": "next", "href": href}] if following < len(names) else []
        items = [{"domain": name, "status": "ACTIVE"} for name in names[start:following]]
        return Reply(200, {"items": items, "links": links})

    def _records(self, zone: str, request: Request) -> Reply:
        """Paged by number; the number of pages is told if asked for."""
        if not 1 <= int(request.query.get("pageSize", "25")) <= 100:
            self.complain(f"pageSize={request.query['pageSize']}")
        if set(request.query) - {"type", "name", "page", "pageSize", "totalRequired"}:
            self.complain(f"the parameters {dict(request.query)}")
        page, entries = int(request.query.get("page", "1")), self._entries(zone)
        items = [_shown(entry, zone) for entry in entries[(page - 1) * _A_PAGE : page * _A_PAGE]]
        total = {"totalItems": len(entries), "totalPages": -(-len(entries) // _A_PAGE)}
        return Reply(200, {"items": items, **(total if request.query.get("totalRequired") == "true" else {})})

    def _entries(self, zone: str) -> list[TxtEntry]:
        if zone not in self.zones:
            raise Refusal(_refused(404, "UNKNOWN_DOMAIN", "The domain does not exist or has no zone file"))
        return self.zones[zone]

    def _create(self, zone: str, record: Any) -> Reply:
        self._entries(zone)
        self.judge(record, "type", "name", "data", "ttl")
        if record["type"] != "TXT" or str(record["name"]).endswith(zone):
            self.complain(f"the record {record}")
        entry = self.add_entry(zone, absolute(record["name"], zone), record["data"], record["ttl"])
        return Reply(201, _shown(entry, zone))


def _id_of(entry: TxtEntry) -> str:
    return f"r-{entry.id:x}"


def _shown(entry: TxtEntry, zone: str) -> dict[str, Any]:
    name = relative(entry.name, zone)
    return {"recordId": _id_of(entry), "type": "TXT", "name": name, "data": entry.value, "ttl": entry.ttl}


def _refused(status: int, code: str, message: str) -> Reply:
    return Reply(status, {"code": code, "message": message, "fields": []})


@contextmanager
def serve() -> Iterator[GoDaddyApi]:
    """Until the block ends."""
    vendor = GoDaddyApi()
    with served(vendor):
        vendor.overrides = {"api": f"{vendor.url}/v3/domains", "per_second": 1000}
        yield vendor
