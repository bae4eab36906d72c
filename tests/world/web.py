"""The pages of an engine of its own, and a browser of a kind: it keeps cookies, and says where it comes from."""

import http.client
import re
from dataclasses import dataclass, field
from urllib.parse import urlencode

from certwright.domain.access import Role
from certwright.engine.people import add_person
from certwright.probe import Endpoint
from certwright.web import SetupToken
from world.api import Service

PASSWORD = "correct horse battery"
_SECONDS = 60


@dataclass(frozen=True)
class Seen:
    """What a browser was answered."""

    status: int
    headers: http.client.HTTPMessage
    text: str

    @property
    def words(self) -> str:
        """What a person reads."""
        return " ".join(re.sub(r"<[^>]+>", " ", self.text).split())


@dataclass
class Browser:
    """Follows no redirect by itself."""

    at: Endpoint
    cookie: str = ""

    def get(self, path: str, **headers: str) -> Seen:
        return self._ask("GET", path, None, headers)

    def post(self, path: str, *, origin: str | None = "", **fields: str) -> Seen:
        """Send a form, from a page of ours unless another origin is given; None for none."""
        origin = f"http://{self.at}" if origin == "" else origin
        headers = {"Content-Type": "application/x-www-form-urlencoded"} | ({"Origin": origin} if origin else {})
        return self._ask("POST", path, urlencode(fields), headers)

    def _ask(self, method: str, path: str, body: str | None, headers: dict[str, str]) -> Seen:
        connection = http.client.HTTPConnection(self.at.host, self.at.port, timeout=_SECONDS)
        try:
            sent = headers | ({"Cookie": f"certwright={self.cookie}"} if self.cookie else {})
            connection.request(method, path, body, sent)
            answer = connection.getresponse()
            for given in answer.headers.get_all("Set-Cookie") or ():
                self.cookie = given.partition("=")[2].partition(";")[0].strip('"')
            return Seen(answer.status, answer.headers, answer.read().decode())
        finally:
            connection.close()


@dataclass(frozen=True)
class House(Service):
    """The engine with its pages, instead of the API."""

    setup: SetupToken = field(default_factory=SetupToken)

    def browser(self) -> Browser:
        """One that nobody has signed in with."""
        return Browser(self.at)

    def signed_in(self, role: Role = Role.ADMINISTRATOR) -> Browser:
        """One with which somebody in this role has signed in."""
        with self.engine.store.read() as unit:
            is_there = unit.people.find(role.value)
        if not is_there:
            add_person(self.engine, role.value, role, PASSWORD)
        browser = self.browser()
        assert browser.post("/sign-in", name=role.value, password=PASSWORD).status == 303
        return browser
