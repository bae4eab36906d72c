"""Hetzner's Cloud API, as https://docs.hetzner.cloud/reference/cloud documents its zones, RRSets and actions."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from peers.dns_peer import Fault
from peers.vendor import Refusal, Reply, Request, TxtEntry, Vendor, absolute, served

TOKEN = "hc4f6Lq0sXv9Bz2Kw7Rt1Yp8Nm3Jd5Ge6Hf0Ua4Ci9Ob2Es7Tx1Vw8Zq3Ml5Kj6"
_PER_PAGE = 1  # documented: at most 50; one, so that paging happens


class HetznerApi(Vendor):
    """Zones of one project; the token may read and write. An action is done at the first look at it.

    `hindrances` are answered in place of the next actions.
    """

    def __init__(self) -> None:
        super().__init__()
        self.params = {"api_token": TOKEN}
        self.wrong_params = {"api_token": TOKEN[:-1] + "0"}
        self.hindrances: list[Reply] = []
        self.fails_actions = False
        self._actions: dict[int, str] = {}

    def answer(self, request: Request) -> Reply:  # noqa: PLR0911 - one for each call
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            return refused(401, "unauthorized", "unable to authenticate")
        match request.method, request.parts:
            case "GET", ("v1", "zones"):
                return self._zones(request)
            case "GET", ("v1", "zones", zone):
                self._entries(zone)
                return Reply(200, {"zone": {"id": 1, "name": zone, "mode": "primary"}})
            case "GET", ("v1", "zones", zone, "rrsets", name, "TXT"):
                there = self._there(zone, name)
                return Reply(200, {"rrset": _shown(name, there)}) if there else _NOT_FOUND
            case "POST", (
                "v1",
                "zones",
                zone,
                "rrsets",
                name,
                "TXT",
                "actions",
                "add_records" | "remove_records" as what,
            ):
                return self._act(zone, name, what, self.json_of(request))
            case "GET", ("v1", "actions", number) if int(number) in self._actions:
                status = "error" if self.fails_actions else "success"
                return Reply(200, {"action": self._action(int(number), status)})
        return self.unrouted(request, _NOT_FOUND)

    def refusal(self, fault: Fault) -> Reply:
        match fault:
            case Fault.RATE_LIMITED:
                told = refused(429, "rate_limit_exceeded", "limit of 3600 requests per hour reached")
                return Reply(429, told.content, {"Retry-After": "0", "RateLimit-Remaining": "0"})
            case Fault.FORBIDDEN:
                return refused(403, "token_readonly", "The token is only allowed to perform GET requests")
            case _:
                return refused(503, "unavailable", "a service or product is currently not available")

    def invalid(self, told: str) -> Reply:
        return refused(422, "invalid_input", told)

    def _zones(self, request: Request) -> Reply:
        page, per_page = int(request.query.get("page", "1")), int(request.query.get("per_page", "25"))
        if not 1 <= per_page <= 50:
            self.complain(f"per_page={per_page}")
        names = list(self.zones)
        rows = [{"id": 1, "name": name, "mode": "primary"} for name in names[(page - 1) * _PER_PAGE : page * _PER_PAGE]]
        following = page + 1 if page * _PER_PAGE < len(names) else None
        pagination = {"page": page, "per_page": _PER_PAGE, "next_page": following, "total_entries": len(names)}
        return Reply(200, {"zones": rows, "meta": {"pagination": pagination}})

    def _entries(self, zone: str) -> list[TxtEntry]:
        if zone not in self.zones:
            raise Refusal(_NOT_FOUND)
        return self.zones[zone]

    def _there(self, zone: str, name: str) -> list[TxtEntry]:
        if name.endswith((".", zone)) or name != name.lower():
            self.complain(f"the RRSet name {name!r}")
        return [entry for entry in self._entries(zone) if entry.name == absolute(name, zone)]

    def _act(self, zone: str, name: str, what: str, given: Any) -> Reply:
        if self.hindrances:
            return self.hindrances.pop(0)
        there = self._there(zone, name)
        quoted = [str(record["value"]) for record in given["records"]]
        if not quoted or len(set(quoted)) < len(quoted) or not all(v[0] == v[-1] == '"' for v in quoted):
            self.complain(f"the values {quoted}")
        values = [value.strip('"') for value in quoted]
        if what == "add_records":
            self.judge(given, "records", *(["ttl"] if "ttl" in given else []))
            self._add(absolute(name, zone), there, values, given.get("ttl"))
        else:
            self.judge(given, "records")
            self._remove(zone, there, values)
        number = len(self._actions) + 1
        self._actions[number] = what
        return Reply(201, {"action": self._action(number, "running")})

    def _add(self, name: str, there: list[TxtEntry], values: list[str], ttl: int | None) -> None:
        """The TTL must be that of the RRSet, if there is one; the records must be distinct."""
        if there and ttl not in {None, there[0].ttl}:
            raise Refusal(self.invalid("the TTL is not that of the RRSet"))
        if {entry.value for entry in there} & set(values):
            raise Refusal(self.invalid("records must be distinct"))
        zone = next(zone for zone in self.zones if f".{name}".endswith(f".{zone}"))
        for value in values:
            self.add_entry(zone, name, value, there[0].ttl if there else ttl or 3600)

    def _remove(self, zone: str, there: list[TxtEntry], values: list[str]) -> None:
        """All of them must be there; the RRSet goes with its last record."""
        if not there:
            raise Refusal(_NOT_FOUND)
        if set(values) - {entry.value for entry in there}:
            raise Refusal(self.invalid("there is no such record"))
        for entry in there:
            if entry.value in values:
                self.zones[zone].remove(entry)

    def _action(self, number: int, status: str) -> dict[str, Any]:
        error = {"code": "action_failed", "message": "Action failed"} if status == "error" else None
        return {"id": number, "command": self._actions[number], "status": status, "progress": 50, "error": error}


def _shown(name: str, there: list[TxtEntry]) -> dict[str, Any]:
    records = [{"value": f'"{entry.value}"', "comment": ""} for entry in there]
    return {"id": f"{name}/TXT", "name": name, "type": "TXT", "ttl": there[0].ttl, "records": records}


def refused(status: int, code: str, message: str) -> Reply:
    """A refusal in Hetzner's shape."""
    return Reply(status, {"error": {"code": code, "message": message, "details": None}})


_NOT_FOUND = refused(404, "not_found", "resource not found")


@contextmanager
def serve() -> Iterator[HetznerApi]:
    """Until the block ends."""
    vendor = HetznerApi()
    with served(vendor):
        vendor.overrides = {"api": f"{vendor.url}/v1", "per_second": 1000, "pause": 0.0}
        yield vendor
