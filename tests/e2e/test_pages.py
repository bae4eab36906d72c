"""The pages of a running service: the first administrator is made from the terminal on which it was started."""

import json
import os
import re
import signal
import sys
from pathlib import Path

import pytest

from certwright.probe import Endpoint
from peers.ports import free_port, wait_for_port
from world.site import Site
from world.terminal import Terminal
from world.web import PASSWORD, Browser

pytestmark = pytest.mark.e2e


def test_who_starts_the_service_makes_the_first_administrator(tmp_path: Path) -> None:
    site, at = Site(tmp_path).initialise(), Endpoint("127.0.0.1", free_port())
    arguments = [sys.executable, "-m", "certwright", "serve", "--listen", str(at)]
    terminal = Terminal(arguments, {**os.environ, **site.environment})
    try:
        terminal.read_until("first-start?token=", 60)
        terminal.read_until("\n", 60)
        token = re.search(r"token=(\S+)", terminal.shown.replace("\r\n", "\n"))
        assert token
        browser = Browser(at)
        seen = browser.post("/first-start", token=token[1], name="anna", password=PASSWORD, again=PASSWORD)
        assert seen.status == 303
        assert "anna, administrator" in browser.get("/").words
        terminal.process.send_signal(signal.SIGTERM)
        terminal.read_until(None, 60)
    finally:
        terminal.close()
    logs = "".join(file.read_text() for file in (site.settings.data_folder / "logs").iterdir())
    assert token[1] not in logs
    assert [one["name"] for one in json.loads(site.cli("person", "list", "--json", code=0).out)] == ["anna"]


def test_where_nobody_watches_nothing_secret_is_printed(tmp_path: Path) -> None:
    site, at = Site(tmp_path).initialise(), Endpoint("127.0.0.1", free_port())
    service = site.begin("serve", "--listen", str(at))
    wait_for_port(at.host, at.port, 60)
    assert Browser(at).get("/").headers["Location"] == "/sign-in?next=%2F"
    site.cli("person", "add", "anna", "viewer", "--password-file", "-", given=PASSWORD, code=0)
    browser = Browser(at)
    assert browser.post("/sign-in", name="anna", password=PASSWORD).status == 303
    site.cli("person", "password", "anna", "--password-file", "-", given="another horse battery", code=0)
    assert browser.get("/").status == 303
    site.cli("person", "add", "bob", "viewer", "--password-file", "-", given="short", code=2)
    site.cli("person", "remove", "nobody", code=2)
    os.kill(service.pid, signal.SIGTERM)
    told = service.wait().told
    assert "certwright person add NAME administrator" in told
    assert "token=" not in told
