"""A run that was frozen and overtaken stops at its next step: no write, no change at Exchange."""

import socket
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from certwright.domain.errors import LeaseLost
from certwright.domain.runs import Entry, Phase
from certwright.engine.deploy import deploy
from certwright.engine.request import request
from world.house import house
from world.hurry import hurried
from world.site import NAMES, Site, authority, describe, register

pytestmark = pytest.mark.e2e


class Thief:
    """Has every lease of a store taken, used and given back when a step with these words begins."""

    def __init__(self, site: Site, words: str) -> None:
        self._site = site
        self._words = words
        self.heard_after = 0
        self.struck = False

    def hear(self, entry: Entry) -> None:
        """Strike once."""
        self.heard_after += self.struck
        if entry.phase is Phase.START and self._words in entry.title and not self.struck:
            self.struck = True
            with closing(sqlite3.connect(self._site.settings.database, isolation_level=None)) as database:
                database.execute("UPDATE leases SET epoch = epoch + 1, expires_at = NULL")


@pytest.mark.parametrize("words", ["import the certificate", "assign", "Verify what every port serves"])
def test_a_deployment_that_was_overtaken_changes_nothing_more(words: str, tmp_path: Path) -> None:
    with house(tmp_path, few=True) as one:
        one.next_version()
        thief = Thief(one.site, words)
        with one.site.engine(thief.hear) as engine, hurried(), pytest.raises(LeaseLost):
            deploy(engine, one.managed_id)
        assert thief.struck
        assert thief.heard_after == 0
        expected = {"import": 0, "assign": 1}.get(words.split(maxsplit=1)[0], 4)
        assert len(one.exchange.mutations) == expected


def test_a_request_that_was_overtaken_stores_no_version(tmp_path: Path) -> None:
    with authority() as ca:
        site = Site(tmp_path).initialise()
        register(site, ca)
        thief = Thief(site, "Store the new version")
        with site.engine(thief.hear) as engine:
            managed = describe(engine, ca)
            with pytest.raises(LeaseLost):
                request(engine, managed.id)
            assert thief.struck
            assert thief.heard_after == 0
            with engine.store.read() as unit:
                assert unit.managed.current(managed.id) is None
                assert unit.orders.get(managed.id)
            assert request(engine, managed.id).version
        assert len(ca.server.issued) == 1


@pytest.mark.parametrize("words", ["See each answer", "Take the answers away"])
def test_a_run_that_is_overtaken_lets_go_of_its_port_and_leaves_the_answers(words: str, tmp_path: Path) -> None:
    with authority() as ca:
        site = Site(tmp_path).initialise()
        register(site, ca)
        thief = Thief(site, words)
        with site.engine(thief.hear) as engine:
            managed = describe(engine, ca)
            with pytest.raises(LeaseLost):
                request(engine, managed.id)
            assert thief.struck
            with closing(sqlite3.connect(site.settings.database)) as database:
                assert len(database.execute("SELECT token FROM answers").fetchall()) == len(NAMES)
            socket.create_server(("127.0.0.1", ca.http_port)).close()
            assert request(engine, managed.id).version
