"""OVHcloud's API, as its console documents /auth and /domain/zone, with signatures as its first steps document them."""

import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from peers.dns_peer import Fault
from peers.vendor import Refusal, Reply, Request, TxtEntry, Vendor, absolute, relative, served

APPLICATION_KEY = "7kbG7Bk7S9Nt7ZSV"
APPLICATION_SECRET = "EXEgWIz07P0HYwtQDs7cNIqCiQaWSuHF"
CONSUMER_KEY = "MtSwSrPpNjqfVSmJhLbPyr2i45lSwPU1"
_CLOCK_AHEAD = 3600  # this server's clock is not the client's
_TOLERATED = 30


class OvhApi(Vendor):
    """Zones; what is changed is seen by DNS only after a refresh. The keys may do what the provider's page asks for.

    `lists_zones` tells whether GET /domain/zone is granted.
    """

    def __init__(self) -> None:
        self._published: dict[str, list[TxtEntry]] = {}
        super().__init__()
        keys = {"application_key": APPLICATION_KEY, "application_secret": APPLICATION_SECRET}
        self.params = {**keys, "consumer_key": CONSUMER_KEY}
        self.wrong_params = {**self.params, "application_secret": APPLICATION_SECRET[:-1] + "G"}
        self.lists_zones = True

    def read(self, name: str) -> list[str]:
        with self.lock:
            return sorted({e.value for entries in self._published.values() for e in entries if e.name == name})

    def put(self, name: str, value: str) -> None:
        super().put(name, value)
        self._published = self._snapshot()

    def answer(self, request: Request) -> Reply:  # noqa: PLR0911 - one for each call
        if (request.method, request.parts) == ("GET", ("1.0", "auth", "time")):
            return Reply(200, int(time.time()) + _CLOCK_AHEAD)
        self._authenticate(request)
        match request.method, request.parts:
            case "GET", ("1.0", "domain", "zone"):
                return Reply(200, list(self.zones)) if self.lists_zones else _NOT_GRANTED
            case "GET", ("1.0", "domain", "zone", zone, "record"):
                return Reply(200, self._numbers(zone, request))
            case "POST", ("1.0", "domain", "zone", zone, "record"):
                return self._create(zone, self.json_of(request))
            case "GET", ("1.0", "domain", "zone", zone, "record", number):
                return Reply(200, _shown(self._one(zone, number), zone))
            case "DELETE", ("1.0", "domain", "zone", zone, "record", number):
                self._entries(zone).remove(self._one(zone, number))
                return Reply(200)
            case "POST", ("1.0", "domain", "zone", zone, "refresh"):
                self._entries(zone)
                self._published = self._snapshot()
                return Reply(200)
        return self.unrouted(request, _refused(404, "NOT_FOUND", "Got an invalid (or empty) URL"))

    def refusal(self, fault: Fault) -> Reply:
        match fault:
            case Fault.RATE_LIMITED:
                told = _refused(429, "TOO_MANY_REQUESTS", "Too many requests")
                return Reply(429, told.content, {"Retry-After": "0"})
            case Fault.FORBIDDEN:
                return _NOT_GRANTED
            case _:
                return _refused(503, "SERVICE_UNAVAILABLE", "Service unavailable")

    def invalid(self, told: str) -> Reply:
        return _refused(400, "INVALID_ARGUMENT", told)

    def _snapshot(self) -> dict[str, list[TxtEntry]]:
        return {zone: list(entries) for zone, entries in self.zones.items()}

    def _authenticate(self, request: Request) -> None:
        given = request.headers
        if given.get("x-ovh-application") != APPLICATION_KEY:
            raise Refusal(_refused(403, "INVALID_KEY", "This application key is invalid"))
        if given.get("x-ovh-consumer") != CONSUMER_KEY:
            raise Refusal(_refused(403, "INVALID_CREDENTIAL", "This credential is not valid"))
        moment = given.get("x-ovh-timestamp", "")
        if not moment.isdigit() or abs(int(moment) - time.time() - _CLOCK_AHEAD) > _TOLERATED:
            self.complain(f"the timestamp {moment!r}")
            raise Refusal(_refused(400, "QUERY_TIME_OUT", "Query out of time"))
        url, body = f"{self.url}{request.target}", request.body.decode()
        text = f"{APPLICATION_SECRET}+{CONSUMER_KEY}+{request.method}+{url}+{body}+{moment}"
        if given.get("x-ovh-signature") != f"$1${hashlib.sha1(text.encode()).hexdigest()}":
            raise Refusal(_refused(400, "INVALID_SIGNATURE", "Invalid signature"))

    def _entries(self, zone: str) -> list[TxtEntry]:
        if zone not in self.zones:
            raise Refusal(_refused(404, "NOT_FOUND", "This service does not exist"))
        return self.zones[zone]

    def _numbers(self, zone: str, request: Request) -> list[int]:
        """The filter is documented as *like*: an empty one finds all, and an underscore anything."""
        if request.query.get("fieldType") != "TXT" or set(request.query) - {"fieldType", "subDomain"}:
            self.complain(f"the parameters {dict(request.query)}")
        wanted = request.query.get("subDomain", "")
        found = [(entry, relative(entry.name, zone)) for entry in self._entries(zone)]
        return [e.id for e, name in found if not wanted or _is_like(name, wanted)]

    def _one(self, zone: str, number: str) -> TxtEntry:
        found = next((entry for entry in self._entries(zone) if str(entry.id) == number), None)
        if found is None:
            raise Refusal(_refused(404, "NOT_FOUND", f"The requested object (id = {number}) does not exist"))
        return found

    def _create(self, zone: str, record: Any) -> Reply:
        self._entries(zone)
        self.judge(record, "fieldType", "subDomain", "target", "ttl")
        if record["fieldType"] != "TXT" or str(record["subDomain"]).endswith(zone) or record["subDomain"] == "@":
            self.complain(f"the record {record}")
        name = absolute(record["subDomain"], zone)
        return Reply(200, _shown(self.add_entry(zone, name, record["target"].strip('"'), record["ttl"]), zone))


def _is_like(name: str, wanted: str) -> bool:
    return len(name) == len(wanted) and all(w in {"_", n} for n, w in zip(name, wanted, strict=True))


def _shown(entry: TxtEntry, zone: str) -> dict[str, Any]:
    name = relative(entry.name, zone).removeprefix("@")
    target = f'"{entry.value}"'
    return {"id": entry.id, "zone": zone, "subDomain": name, "fieldType": "TXT", "target": target, "ttl": entry.ttl}


def _refused(status: int, code: str, message: str) -> Reply:
    return Reply(status, {"errorCode": code, "httpCode": str(status), "message": message})


_NOT_GRANTED = _refused(403, "NOT_GRANTED_CALL", "This call has not been granted")


@contextmanager
def serve() -> Iterator[OvhApi]:
    """Until the block ends."""
    vendor = OvhApi()
    with served(vendor):
        vendor.overrides = {"apis": {"ovh-eu": f"{vendor.url}/1.0"}, "per_second": 1000}
        yield vendor
