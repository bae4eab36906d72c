"""What is read and kept of an organisation where a server is off, or whose servers are in several domains."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from certwright.domain.errors import ConfigurationError
from certwright.engine.context import Engine
from certwright.engine.exchange.discovery import discover
from certwright.engine.exchange.judgement import acknowledge, acknowledged, doctor, status
from certwright.engine.exchange.reach import reach
from certwright.exchange.connection import Connection
from certwright.exchange_simulator import SendConnector, ServerSpec
from certwright.sdk.context import Credential
from peers.exchange_reading import PASSWORD, USERNAME, Stock, stocked
from world.site import Site

pytestmark = pytest.mark.e2e
FIRST, SECOND, THIRD = "mail01.contoso.test", "mail02.emea.contoso.test", "mail03.contoso.test"
PARTNER = "To partner"


@dataclass(frozen=True, slots=True)
class Place:
    """An organisation in two domains, and an installation that knows nothing of it yet."""

    stock: Stock
    site: Site

    @contextmanager
    def engine(self) -> Iterator[Engine]:
        with self.site.engine() as engine:
            yield engine

    def words(self, *servers: str) -> list[str]:
        """How servers are named at the command line."""
        values = self.stock.connection(servers)
        said = ["--auth", "basic", "--credential", "exchange", "--ca-file", str(self.stock.ca_file)]
        for server, url in values.endpoints.items():
            said += ["--server", server, "--endpoint", f"{server}={url}"]
        return said

    def take_down(self, server: str) -> None:
        (found,) = [one for one in self.stock.organisation.servers.values() if one.spec.fqdn == server]
        found.faults.take_down()


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    specs = [ServerSpec(name=name.partition(".")[0].upper(), fqdn=name) for name in (FIRST, SECOND, THIRD)]
    with stocked(tmp_path, *specs) as stock:
        site = Site(tmp_path).initialise()
        with site.engine() as engine, engine.store.write() as unit:
            unit.credentials.add("exchange", Credential("exchange", USERNAME, PASSWORD))
        yield Place(stock, site)


@pytest.mark.parametrize("dead", [FIRST, THIRD])
def test_one_server_that_is_off_does_not_silence_the_others(place: Place, dead: str) -> None:
    place.take_down(dead)
    name, words = dead.partition(".")[0].upper(), place.words(FIRST, SECOND, THIRD)
    seen = place.site.cli("exchange", "discover", *words, code=0)
    assert f"{name}: not read" in seen.out
    assert f"unknown: {name}: the whole server (https://127.0.0.1" in seen.out
    assert "MAIL02 (" in seen.out
    shown = json.loads(place.site.cli("exchange", "status", *words, "--json", code=0).out)
    assert {one["name"]: bool(one["unread"]) for one in shown["servers"]} == {
        other: other == name for other in ("MAIL01", "MAIL02", "MAIL03")
    }
    with place.engine() as engine:
        found = doctor(engine, place.stock.connection([FIRST, SECOND, THIRD]))
    assert [f.subject for f in found.findings if f.check == "reachability"] == [name]


def test_where_no_server_answers_it_is_an_error(place: Place) -> None:
    for server in (FIRST, SECOND, THIRD):
        place.take_down(server)
    refused = place.site.cli("exchange", "status", *place.words(FIRST, SECOND, THIRD), code=1)
    assert "cannot be reached" in refused.err


def kept(engine: Engine, kind: str) -> dict[str, Any]:
    """What is on record under each domain."""
    found = {}
    with engine.store.read() as unit:
        for domain in ("contoso.test", "emea.contoso.test"):
            last = unit.records.last(f"organisation:{domain}", kind)
            found[domain] = last.value if last else None
    return found


@pytest.mark.parametrize("named", [(FIRST, SECOND, THIRD), (FIRST,)])
def test_an_organisation_over_two_domains_is_one(place: Place, named: tuple[str, ...]) -> None:
    connectors = place.stock.organisation.state.send_connectors
    connectors.append(SendConnector(PARTNER, source_servers=("MAIL01",), smart_hosts=("relay.test",)))
    url = place.stock.first.powershell_url
    connection = place.stock.connection(named, **({"endpoint": url} if len(named) == 1 else {}))
    with place.engine() as engine:
        doctor(engine, connection)
        acknowledge(engine, connection, [PARTNER])
        assert acknowledged(engine, connection) == {PARTNER}
        assert all(kept(engine, kind)["emea.contoso.test"] for kind in ("doctor", "snapshot", "acknowledged"))
        assert all(kept(engine, kind)["contoso.test"] for kind in ("doctor", "snapshot", "acknowledged"))
        assert reach(engine, {}) == connection


def test_what_was_reached_in_two_ways_is_still_one_organisation(place: Place) -> None:
    whole, first = place.stock.connection([FIRST, SECOND]), place.stock.connection([FIRST])
    with place.engine() as engine:
        discover(engine, place.stock.connection([SECOND]))
        discover(engine, first)
        with pytest.raises(ConfigurationError, match=r"contoso\.test, emea\.contoso\.test"):
            reach(engine, {})
        discover(engine, whole)
        assert reach(engine, {}) == whole
        discover(engine, first)
        assert reach(engine, {}) == first
        assert reach(engine, {"servers": [SECOND]}) == whole


def test_status_shows_the_server_that_is_off(place: Place) -> None:
    place.take_down(THIRD)
    connection: Connection = place.stock.connection([FIRST, SECOND, THIRD])
    with place.engine() as engine:
        *_, last = status(engine, connection).servers
    assert last.name == "MAIL03"
    assert "cannot be reached" in last.unread
