"""One address whose http-01 answer is wrong, and what a rule finds about it."""

import http.client
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import SplitResult, urlsplit

from cryptography import x509

from certwright.probe.chain import lenient_parsing
from certwright.probe.http import Page, Visit
from certwright.probe.http_sight import Sight, Sighting
from certwright.probe.observation import Endpoint
from certwright.probe.precheck import LOOK_ELSEWHERE
from certwright.probe.wire import harmless, quoted

_CHALLENGE_FOLDER = "/.well-known/acme-challenge/"
ENTER_ADDRESS = (
    "Enter an A or AAAA record for the name in the public DNS; if it is there and only this machine's resolver does "
    f"not know it, {LOOK_ELSEWHERE}"
)
LEAD_HERE = "Make the name lead to where the answer is served on port 80."
LET_THROUGH = (
    "Let port 80 through to this machine. If it is open but cannot be reached from inside (many routers do not lead "
    f"their own outer address back in), {LOOK_ELSEWHERE}"
)
EXEMPT = "Exempt /.well-known/acme-challenge/ from that redirect, or let it lead to a server that has the answers."
SAME_FOLDER = (
    "Name the folder that the web server serves at this name ('certwright validation set CERT webroot --path FOLDER'), "
    "or let the web server forward /.well-known/acme-challenge/ to the port where Certwright listens "
    "(docs/guide/http-validation.md has the lines)."
)


class Case:
    """One address whose answer is wrong, and the visit that shows it; `right` are addresses that answer rightly."""

    def __init__(self, sight: Sight, sighting: Sighting, right: list[Endpoint]) -> None:
        self.sight = sight
        self.sighting = sighting
        self.right = right
        self.visit: Visit = next(visit for visit in sighting.visits if not sight.is_right(visit))
        self.page: Page | None = self.visit.page
        self.server = self.page.server if self.page else ""
        self.body = self.page.body if self.page else b""
        self.status = self.page.status if self.page else 0
        self.end: SplitResult = urlsplit(self.visit.urls[-1])
        self.redirected = len(self.visit.urls) > 1
        self.leaves_the_folder = self.redirected and _CHALLENGE_FOLDER not in self.end.path
        self.other_host = self.end.hostname != urlsplit(sight.url).hostname

    @property
    def evidence(self) -> str:
        """The way, and what was at its end."""
        way = self.sight.url
        if self.redirected:
            way += f", redirected to {harmless(self.visit.urls[-1], 200)}"
        if self.page is None:
            return f"{way}: {self.visit.obstacle}"
        who = f"{self.server or 'the web server'} at {self.page.address}"
        if self.status != http.client.OK:
            return f"{way}: {who} answers {f'{self.status} {self.page.reason}'.strip()}."
        what = quoted(self.body) if self.body else "nothing"
        return f"{way}: {who} answers {what} instead of the challenge's answer."

    @property
    def remarks(self) -> Iterator[str]:
        """What else is to be known."""
        if self.right:
            good = ", ".join(map(str, self.right))
            yield f"{good} answers rightly, but the authority may ask any address of the name."
        for der in self.visit.leaves:
            if (expired := _expiry(der)) and expired < self.sight.at:
                yield f"The certificate there expired on {expired:%Y-%m-%d}, which authorities do not mind."


@dataclass(frozen=True, slots=True)
class Found:
    """What a rule says: the cause's id, why it is so, and what to do."""

    id: str
    explanation: str
    remedy: str


Rule = Callable[[Case], Found | None]
"""Finds one cause in a case, or not."""


def _expiry(der: bytes) -> datetime | None:
    try:
        with lenient_parsing():
            return x509.load_der_x509_certificate(der).not_valid_after_utc
    except ValueError:
        return None
