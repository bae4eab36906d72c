"""The pages of an engine of its own, and a browser of a kind: it keeps cookies, and says where it comes from."""

import http.client
import re
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from urllib.parse import urlencode, urlsplit

from sqlalchemy import text

from certwright import web
from certwright.domain.access import Role
from certwright.domain.identifiers import parse_all
from certwright.domain.managed import Issuer
from certwright.engine.context import Engine
from certwright.engine.jobs import Jobs
from certwright.engine.live import Live
from certwright.engine.own_certificate import self_made
from certwright.engine.people import add_person
from certwright.engine.service import DutyState
from certwright.engine.service import Service as OwnService
from certwright.probe import Endpoint
from certwright.sdk.places import Places
from certwright.server.http import listening
from certwright.settings import Settings
from certwright.store import Store, open_store
from certwright.web import SetupToken
from certwright.wiring import utc_now
from peers.ports import free_port
from world import stores
from world.api import Clock, Service
from world.site import Site

PASSWORD = "correct horse battery"
_SECONDS = 60
_BOUNDARY = "boundary"


@dataclass(frozen=True)
class Seen:
    """What a browser was answered."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def text(self) -> str:
        """The page as it was sent."""
        return self.body.decode()

    @property
    def words(self) -> str:
        """What a person reads."""
        return " ".join(re.sub(r"<[^>]+>", " ", self.text).split())


def digest_in(form: Seen) -> str:
    """What the form says of what it showed."""
    (found,) = re.findall(r'name="seen" value="([0-9a-f]{32})"', form.text)
    return str(found)


@dataclass
class Browser:
    """Follows no redirect by itself."""

    at: Endpoint
    cookie: str = ""
    others: dict[str, str] = field(default_factory=dict)
    tls: bool = False

    @property
    def cookie_name(self) -> str:
        """What the cookie of a session is called there."""
        return "__Host-certwright" if self.tls else "certwright"

    def get(self, path: str, **headers: str) -> Seen:
        return self._ask("GET", path, None, headers)

    def post(self, path: str, *, origin: str | None = "", **fields: str) -> Seen:
        """Send a form, from a page of ours unless another origin is given; None for none."""
        origin = f"http{'s' if self.tls else ''}://{self.at}" if origin == "" else origin
        headers = {"Content-Type": "application/x-www-form-urlencoded"} | ({"Origin": origin} if origin else {})
        return self._ask("POST", path, urlencode(fields), headers)

    def _ask(self, method: str, path: str, body: str | None, headers: dict[str, str]) -> Seen:
        connection = self._connection()
        try:
            kept = {self.cookie_name: self.cookie} | self.others
            cookie = "; ".join(f"{name}={value}" for name, value in kept.items() if value)
            connection.request(method, path, body, headers | ({"Cookie": cookie} if cookie else {}))
            answer = connection.getresponse()
            for given in answer.headers.get_all("Set-Cookie") or ():
                name, _, value = given.partition(";")[0].partition("=")
                if name == self.cookie_name:
                    self.cookie = value.strip('"')
                else:
                    self.others[name] = value.strip('"')
            return Seen(answer.status, answer.headers, answer.read())
        finally:
            connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        if not self.tls:
            return http.client.HTTPConnection(self.at.host, self.at.port, timeout=_SECONDS)
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return http.client.HTTPSConnection(self.at.host, self.at.port, timeout=_SECONDS, context=context)


@dataclass(frozen=True)
class House(Service):
    """The engine with its pages, instead of the API."""

    setup: SetupToken = field(default_factory=SetupToken)
    settings: Settings = field(kw_only=True)
    recovery_key: str = field(kw_only=True)

    @cached_property
    def service(self) -> OwnService:
        """What the service tells of itself."""
        return OwnService(
            settings=self.settings,
            address=f"http://{self.at}/",
            reasons=lambda: ["The schedule has not been looked at."],
            duties=lambda: [DutyState("Housekeeping", timedelta(days=1), self.clock.now, 0)],
            presented=lambda: self_made(self.engine, parse_all(["localhost"])),
        )

    def make_unreadable(self, managed_id: str) -> None:
        """Have the store hold what no version reads, so that a page fails which reads this certificate."""
        with self.engine.store.write() as unit:
            spoilt = text("UPDATE managed SET body = '{}' WHERE id = :id")
            unit.managed.connection.execute(spoilt, {"id": managed_id})

    def browser(self) -> Browser:
        """One that nobody has signed in with."""
        return Browser(self.at)

    def signed_in(self, role: Role = Role.ADMINISTRATOR, *tags: str) -> Browser:
        """One with which somebody in this role has signed in, for certificates with one of these tags."""
        name = "-".join((role.value, *tags))
        with self.engine.store.read() as unit:
            is_there = unit.people.find(name)
        if not is_there:
            add_person(self.engine, name, role, PASSWORD, tags)
        browser = self.browser()
        assert browser.post("/sign-in", name=name, password=PASSWORD).status == 303
        return browser


@contextmanager
def opened(folder: Path) -> Iterator[House]:
    """A house in this folder; its clock stands still until a test moves it."""
    settings = Settings(folder / "data", key_folder=folder / "keys")
    recovery_key = stores.fresh(settings)
    said = {"resolvers": "/etc/certwright/certwright.toml, line 7"}
    told = replace(settings, resolvers=("9.9.9.9",), origins=said, master_key="c4nary")
    with open_store(settings) as store:
        with store.write() as unit:
            unit.issuers.add(Issuer(name="le", kind="acme", params={}), b"account key")
        with _answering(store, folder, Clock(), told, recovery_key) as made:
            yield made


@contextmanager
def pages_of(site: Site) -> Iterator[House]:
    """The pages of an installation, from now on; its clock stands still, too."""
    with open_store(site.settings) as store, _answering(store, site.folder, Clock(utc_now()), site.settings) as made:
        yield made


@contextmanager
def _answering(store: Store, folder: Path, clock: Clock, settings: Settings, recovery_key: str = "") -> Iterator[House]:
    places = Places((folder,), (folder,))
    engine, at = Engine(store, clock, lambda _: None, places=places), Endpoint("127.0.0.1", free_port())
    made = House(engine, clock, at, Jobs(engine), folder, settings=settings, recovery_key=recovery_key)
    app = web.application(made.engine, made.setup, lambda: None, Live(store), made.jobs)
    app.state.service = made.service
    with listening(made.at, app):
        yield made
    made.jobs.close()


def upload(browser: Browser, path: str, content: bytes, **fields: str) -> Seen:
    """Send a form with a file, as a browser does."""
    parts = [f'Content-Disposition: form-data; name="{name}"\r\n\r\n{value}'.encode() for name, value in fields.items()]
    parts.append(b'Content-Disposition: form-data; name="file"; filename="a.pfx"\r\n\r\n' + content)
    body = b"".join(f"--{_BOUNDARY}\r\n".encode() + part + b"\r\n" for part in parts) + f"--{_BOUNDARY}--\r\n".encode()
    return send(browser, path, f"multipart/form-data; boundary={_BOUNDARY}", body)


def send(browser: Browser, path: str, kind: str, body: bytes) -> Seen:
    """Send this from a page of ours, whatever it is."""
    connection = http.client.HTTPConnection(browser.at.host, browser.at.port, timeout=_SECONDS)
    try:
        headers = {
            "Content-Type": kind,
            "Origin": f"http://{browser.at}",
            "Cookie": f"certwright={browser.cookie}",
        }
        connection.request("POST", path, body, headers)
        answer = connection.getresponse()
        return Seen(answer.status, answer.headers, answer.read())
    finally:
        connection.close()


def landed(browser: Browser, seen: Seen) -> tuple[str, Seen]:
    """Where a browser ends up, and what it sees there: it follows, and waits where it is told to."""
    path, give_up = "", time.monotonic() + _SECONDS
    while time.monotonic() < give_up:
        if seen.status == 303:
            path = seen.headers["Location"]
        elif 'http-equiv="refresh"' not in seen.text:
            return path, seen
        else:
            time.sleep(0.1)
        seen = browser.get(path)
    raise AssertionError(f"{path} has no end")


def job_of(seen: Seen) -> str:
    """The id of what was begun, whose end is awaited where this leads."""
    return urlsplit(seen.headers["Location"]).path.removeprefix("/working/")
