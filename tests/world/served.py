"""A service with some certificates, an administrator and an operator: what a browser is pointed at."""

import os
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Page, expect

from certwright.engine import hold
from certwright.engine.request import request
from certwright.web.app import PAGES
from peers.ports import free_port, wait_for_port
from world.processes import Running
from world.site import Authority, Site, authority, describe, register
from world.web import PASSWORD

TITLE, HELD = "mail.contoso.test", "shop.contoso.test"
STEPS = {
    "/credentials/remove",
    "/first-start/authority",
    "/issuers/change",
    "/issuers/remove",
    "/notifications/channels/remove",
    "/notifications/rule/remove",
    "/people/providers/remove",
    "/people/tokens/remove",
    "/watched/remove",
    "/watched/replace",
    "/windows/remove",
}
"""Pages that other pages lead to with what was typed or chosen there."""
UNDER_WAY = re.compile(r"{(id|job|task|form)}")
"""What pages of something that was begun, and files, have in their path."""


@dataclass
class Served:
    """The service at `address`; `certificate` was issued by `run`."""

    site: Site
    ca: Authority
    address: str
    certificate: str
    run: str
    process: Running

    def stop(self) -> None:
        """End the service."""
        os.kill(self.process.pid, signal.SIGTERM)
        assert self.process.wait().code == 0

    def start(self) -> None:
        """Begin it again, at the same address."""
        self.process = _serve(self.site, int(self.address.rpartition(":")[2]))

    def pages(self) -> list[str]:
        """The path of every page that is looked at: all but those that are steps of something under way."""
        filled = {
            "/certificates/{id}": f"/certificates/{self.certificate}",
            "/runs/{id}": f"/runs/{self.run}",
            "/guide/{name}": "/guide/pages",
            "/validation/{solver}": "/validation/http_listener",
            "/tasks/add/{kind}": "/tasks/add/exchange",
            "/issuers/add/{kind}": "/issuers/add/acme",
            "/credentials/add/{kind}": "/credentials/add/rfc2136",
            "/channels/add/{kind}": "/channels/add/smtp",
            "/people/role": "/people/role?name=anna",
            "/people/remove": "/people/remove?name=anna",
            "/people/password": "/people/password?name=anna",
        }
        paths = [page.path for page in PAGES if page.method == "GET" and page.path not in STEPS]
        for pattern, path in filled.items():
            paths = [each.replace(pattern, path) for each in paths]
        return [path for path in paths if not UNDER_WAY.search(path)]

    def sign_in(self, page: Page, name: str = "anna") -> None:
        """As a person does."""
        page.goto(f"{self.address}/sign-in")
        page.locator("[name=name]").fill(name)
        page.locator("[name=password]").fill(PASSWORD)
        page.locator("main button").click()
        expect(page.locator("nav a[aria-current=page]")).to_have_count(1)


@contextmanager
def served(folder: Path) -> Iterator[Served]:
    """Run it until the block ends."""
    with authority() as ca:
        site = Site(folder).initialise()
        register(site, ca)
        with site.engine() as engine:
            mail = describe(engine, ca, TITLE)
            version = request(engine, mail.id).version
            assert version
            hold.hold(engine, describe(engine, ca, HELD).id, "the shop moves in December", None)
            with engine.store.read() as unit:
                run = unit.runs.list(mail.id)[0].id
        for name, role in (("anna", "operator"), ("admin", "administrator")):
            site.cli("person", "add", name, role, "--password-file", "-", given=PASSWORD, code=0)
        port = free_port()
        provide(site, "contoso", "https://login.contoso.test", f"http://127.0.0.1:{port}", "--no-check")
        made = Served(site, ca, f"http://127.0.0.1:{port}", mail.id, run, _serve(site, port))
        try:
            yield made
        finally:
            made.stop()


def provide(site: Site, name: str, issuer: str, address: str, *more: str) -> str:
    """Have the certificate team sign in by a provider; what is said."""
    told = ("--title", name.title(), "--issuer", issuer, "--client-id", "certwright", "--address", address)
    return site.cli("person", "provider", "add", name, *told, "--operator", "certificate team", *more, code=0).out


def _serve(site: Site, port: int) -> Running:
    process = site.begin("serve", "--listen", f"127.0.0.1:{port}")
    wait_for_port("127.0.0.1", port, 60)
    return process
