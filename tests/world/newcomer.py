"""Somebody who has just installed Certwright beside an Exchange organisation, with nothing set up, and a browser."""

import os
import re
import signal
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import Locator, Page, expect

from certwright.sandbox.world import NAMES, World
from peers.ports import free_port
from world import nat
from world.site import Site
from world.terminal import Terminal

_SECONDS = 60
_WHOLE_SECONDS = 600


@dataclass(frozen=True, slots=True)
class Installed:
    """The service of an empty data folder, as its output says where to begin; and the world that it is to work in."""

    world: World
    site: Site
    address: str


@contextmanager
def installed(folder: Path, servers: Sequence[str]) -> Iterator[Installed]:
    """Run the service, on a terminal of its own, until the block ends; servers and names are at their usual ports."""
    with World(lambda _: None, servers) as world:
        site, port = Site(folder).initialise(), free_port()
        around = nat.environment(world.servers.values(), NAMES, world.challenge_port)
        path = os.pathsep.join(filter(None, sys.path))
        command = [sys.executable, "-c", nat.COMMAND, "serve", "--listen", f"127.0.0.1:{port}"]
        terminal = Terminal(command, {**os.environ, **site.environment, **around, "PYTHONPATH": path})
        try:
            terminal.read_until("first-start?token=", _SECONDS)
            terminal.read_until("\n", _SECONDS)
            told = re.search(r"http://\S+token=\S+", terminal.shown)
            assert told
            with ThreadPoolExecutor(1) as pool:  # what it writes has to be read, or it waits for that
                rest = pool.submit(terminal.read_until, None, _WHOLE_SECONDS)
                try:
                    yield Installed(world, site, told[0])
                finally:
                    terminal.process.send_signal(signal.SIGTERM)
                rest.result()
            assert terminal.process.wait(_SECONDS) == 0, terminal.shown
        finally:
            terminal.close()


@dataclass
class Person:
    """Fills in and clicks; counts what had to be answered, which going on is not."""

    page: Page
    answers: list[str] = field(default_factory=list)

    def answer(self, label: str, value: str) -> None:
        """Fill in a field."""
        self.page.get_by_label(label).fill(value)
        self.answers.append(label)

    def click(self, name: str) -> None:
        """Click a button, or a link that looks like one."""
        self.page.get_by_role("main").get_by_role("button", name=name).first.click()

    def follow(self, name: str) -> None:
        """Click a link."""
        self.page.get_by_role("link", name=name).first.click()

    def sees(self, text: str) -> None:
        """Wait until this is shown."""
        expect(self.page.get_by_text(text).first).to_be_visible()

    @property
    def health(self) -> Locator:
        """That of the certificate that is looked at."""
        return self.page.locator("h1 .health")
