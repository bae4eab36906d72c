"""acme-dns: its API as documented (github.com/joohoi/acme-dns), and its names in a zone of BIND's.

No package has the server itself. What is known of it beyond the documentation: of the two values of a name the one is
replaced that was written longer ago, by the clock's seconds, and of two equally old ones the first.
"""

import ipaddress
import re
import secrets
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from peers.bind import World
from peers.dns_peer import Fault
from peers.vendor import Refusal, Reply, Request, Vendor, served

_TXT = re.compile(r"[A-Za-z0-9_-]{43}")
_KEY = re.compile(r"[A-Za-z0-9_-]{40}")
_CLIENT = ipaddress.ip_address("127.0.0.1")

Publish = Callable[[str, Sequence[str]], None]


@dataclass
class Account:
    """A registered name."""

    subdomain: str
    username: str
    password: str
    allowfrom: list[str]
    values: list[tuple[str, int]] = field(default_factory=lambda: [("", 0), ("", 0)])

    @property
    def texts(self) -> list[str]:
        return [value for value, _ in self.values if value]


class AcmeDnsServer(Vendor):
    """The API; `publish` makes the values of a name known to the DNS, `odd` goes into the accounts given out."""

    tells_zones = False
    writes_anywhere = False

    def __init__(self, domain: str, publish: Publish) -> None:
        super().__init__()
        self.domain = domain
        self.accounts: dict[str, Account] = {}
        self.registration = True
        self.odd: dict[str, object] = {}
        self.now: Callable[[], float] = time.time
        self._publish = publish

    def answer(self, request: Request) -> Reply:
        match request.method, request.parts:
            case "POST", ("register",) if self.registration:
                return self._register(request)
            case "POST", ("update",):
                return self._update(request)
        return Reply(404, b"404 page not found\n", {"Content-Type": "text/plain"})

    def refusal(self, fault: Fault) -> Reply:
        """A proxy's: acme-dns itself has none but `forbidden`."""
        status = {Fault.RATE_LIMITED: 429, Fault.UNAVAILABLE: 503, Fault.FORBIDDEN: 401}[fault]
        return Reply(status, {"error": "forbidden"})

    def _register(self, request: Request) -> Reply:
        wanted = self.json_of(request) if request.body else {}
        allowfrom = list((wanted or {}).get("allowfrom", []))
        try:
            networks = [str(ipaddress.ip_network(each, strict=False)) for each in allowfrom]
        except ValueError:
            self.complain(f"allowfrom {allowfrom}")
            raise Refusal(Reply(400, {"error": "invalid_allowfrom_cidr"})) from None
        made = Account(str(uuid.uuid4()), str(uuid.uuid4()), secrets.token_urlsafe(30), networks)
        self.accounts[made.username] = made
        return Reply(
            201,
            {
                "allowfrom": made.allowfrom,
                "fulldomain": f"{made.subdomain}.{self.domain}",
                "password": made.password,
                "subdomain": made.subdomain,
                "username": made.username,
                **self.odd,
            },
        )

    def _update(self, request: Request) -> Reply:
        account = self.accounts.get(request.headers.get("x-api-user", ""))
        key = request.headers.get("x-api-key", "")
        if account is None or not _KEY.fullmatch(key) or key != account.password or not _may(account):
            return Reply(401, {"error": "forbidden"})
        wanted = self.json_of(request)
        if wanted.get("subdomain") != account.subdomain:
            return Reply(401, {"error": "forbidden"})
        if not _TXT.fullmatch(wanted.get("txt", "")):
            self.complain(f"txt {wanted.get('txt')!r}")
            return Reply(400, {"error": "bad_txt"})
        oldest = min(range(2), key=lambda number: account.values[number][1])
        account.values[oldest] = (wanted["txt"], int(self.now()))
        self._publish(f"{account.subdomain}.{self.domain}", account.texts)
        return Reply(200, {"txt": wanted["txt"]})


def _may(account: Account) -> bool:
    return not account.allowfrom or any(_CLIENT in ipaddress.ip_network(each) for each in account.allowfrom)


@contextmanager
def acme_dns(world: World | None = None, domain: str = "auth.test") -> Iterator[AcmeDnsServer]:
    """Serve the API until the block ends; the names are in the zone `domain` of `world`, which must be there."""

    def publish(name: str, values: Sequence[str]) -> None:
        if world is not None:
            world.records(domain, name, "TXT", *(f'"{value}"' for value in values))

    server = AcmeDnsServer(domain, publish)
    with served(server):
        yield server
