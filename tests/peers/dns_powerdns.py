"""The peer of `powerdns`: Debian's server, with faults in front of it."""

import http.client
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from urllib.parse import urlsplit

from peers.dns_peer import OTHER_ZONE, ZONE, Fault
from peers.pdns import PowerDns, pdns
from peers.vendor import Front, Reply, Request, served

KEY = "pdns-4kq0Jv9sT2xW7yB1"
_SECONDS = 10
_KEPT = ("content-type", "retry-after")


class PowerDnsFront(Front):
    """Hands each request to the real server, and its answer back; `meddlers` act after the next changes, one each."""

    def __init__(self, server: PowerDns) -> None:
        super().__init__()
        self.server = server
        self.meddlers: list[Callable[[], None]] = []
        for zone in (ZONE, OTHER_ZONE):
            server.zone(zone)
            self.put(zone, f"v=spf1 mx:{zone} -all")
            self.put(f"_dmarc.{zone}", "v=DMARC1; p=none")

    def answer(self, request: Request) -> Reply:
        if request.method in {"PATCH", "POST", "PUT"} and request.headers.get("content-type") != "application/json":
            self.complain(f"{request.method} {request.target} without Content-Type: application/json")
        connection = http.client.HTTPConnection(urlsplit(self.server.url).netloc, timeout=_SECONDS)
        try:
            connection.request(request.method, request.target, request.body, dict(request.headers))
            got = connection.getresponse()
            content = got.read()
        finally:
            connection.close()
        if request.method == "PATCH" and self.meddlers:
            self.meddlers.pop(0)()
        return Reply(got.status, content, {name: got.headers[name] for name in _KEPT if name in got.headers})

    def refusal(self, fault: Fault) -> Reply:
        """What a web server in front of it answers; the server itself knows no limits and no rights."""
        match fault:
            case Fault.RATE_LIMITED:
                return Reply(429, b"Too Many Requests", {"Content-Type": "text/plain", "Retry-After": "0"})
            case Fault.FORBIDDEN:
                return Reply(403, b"Forbidden", {"Content-Type": "text/plain"})
            case _:
                return Reply(503, b"Service Unavailable", {"Content-Type": "text/plain"})

    def read(self, name: str) -> list[str]:
        return self.server.texts(name)

    def put(self, name: str, value: str) -> None:
        self.write(name, [*self.read(name), value])

    def write(self, name: str, texts: Sequence[str]) -> None:
        """Let exactly `texts` stand at `name`."""
        zone = next(zone for zone in (ZONE, OTHER_ZONE) if f".{name}".endswith(f".{zone}"))
        values = [f'"{text}"' for text in texts]
        rrset = {"name": f"{name}.", "type": "TXT", "ttl": 3600, "changetype": "REPLACE"}
        rrset["records"] = [{"content": text, "disabled": False} for text in values]
        self.server.call("PATCH", f"/servers/localhost/zones/{zone}.", {"rrsets": [rrset]})

    def everything(self) -> object:
        found = []
        for zone in self.server.call("GET", "/servers/localhost/zones"):
            rrsets = self.server.call("GET", f"/servers/localhost/zones/{zone['id']}")["rrsets"]
            found += [
                (rrset["name"], rrset["type"], rrset["ttl"], sorted(record["content"] for record in rrset["records"]))
                for rrset in rrsets
                if rrset["type"] != "SOA"
            ]
        return sorted(found)


@contextmanager
def serve() -> Iterator[PowerDnsFront]:
    """Until the block ends."""
    with pdns(KEY) as server:
        front = PowerDnsFront(server)
        with served(front):
            front.params = {"url": front.url, "api_key": KEY}
            front.wrong_params = {"url": front.url, "api_key": KEY[:-1] + "2"}
            front.overrides = {"per_second": 1000}
            yield front
