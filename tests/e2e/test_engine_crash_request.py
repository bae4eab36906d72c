"""A process that is killed in the middle of a request loses nothing: the next run goes on, with the same order."""

import itertools
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from certwright.acme_server.resources import Status
from certwright.domain import certificates, keys
from certwright.domain.runs import Outcome
from certwright.engine.request import request
from certwright.wiring import utc_now
from world import dying, processes
from world.dying import Boundary, Death
from world.site import Authority, Site, authority, describe, register

pytestmark = pytest.mark.e2e
MOST = 60


@pytest.fixture(scope="module")
def ca() -> Iterator[Authority]:
    with authority() as made:
        yield made


@pytest.fixture(scope="module")
def ready(ca: Authority, tmp_path_factory: pytest.TempPathFactory) -> tuple[Site, str]:
    site = Site(tmp_path_factory.mktemp("ready")).initialise()
    register(site, ca)
    with site.engine() as engine:
        return site, describe(engine, ca).id


def test_a_request_that_is_killed_anywhere_is_gone_on_with(
    ca: Authority, ready: tuple[Site, str], tmp_path: Path
) -> None:
    """Dying before the n-th effect is dying after the one before it: these are all the cases there are."""
    template, managed_id = ready
    for nth in itertools.count(1):
        assert nth < MOST, "it never survived"
        site = template.copied(tmp_path / str(nth))
        issued, orders = len(ca.server.issued), len(ca.server.state.orders)
        killed = _request(site, managed_id, Death(Boundary.EFFECT, nth))
        if killed == 0:
            break
        assert killed == -9
        _goes_on(site, managed_id, ca, issued, orders)
    assert nth > 25, "it was hardly ever killed"


def _request(site: Site, managed_id: str, death: Death) -> int:
    return processes.run(dying.request, managed_id, death, folder=site.folder, environment=site.environment).code


def _goes_on(site: Site, managed_id: str, ca: Authority, issued: int, orders: int) -> None:
    with site.engine() as engine:
        with engine.store.read() as unit:
            begun, kept = unit.orders.get(managed_id), unit.managed.current(managed_id)
            key = unit.orders.private_key(managed_id)
        assert (request(engine, managed_id).version is None) == (kept is not None)

    new = ca.server.issued[issued:]
    assert len(new) == 1, "a second certificate was issued"
    first, *others = list(ca.server.state.orders.values())[orders:]
    # Its address was lost with the answer, or the authority looked for the challenge's answer when nobody gave it.
    assert not others or not (begun and begun.url) or first.status is Status.INVALID
    assert len(others) <= 1
    with site.engine() as engine, engine.store.read() as unit:
        version = unit.managed.current(managed_id)
        assert version
        stored = unit.versions.private_key(version.id)
        assert stored
        leaf = certificates.load_certificates(version.chain_pem.encode())[0]
        assert leaf == new[0].certificate
        assert keys.load_own_key(stored).public_key() == leaf.public_key()
        assert kept is None or kept == version
        assert version.order_url == new[0].order_url
        if begun and begun.url and not others:
            assert begun.url == version.order_url
            assert stored == key
    _leaves_nothing_behind(site, managed_id)


def _leaves_nothing_behind(site: Site, managed_id: str) -> None:
    with site.engine(now=lambda: utc_now() + timedelta(hours=2)) as engine:
        assert request(engine, managed_id).version is None
        with engine.store.read() as unit:
            assert unit.orders.get(managed_id) is None
            assert unit.orders.private_key(managed_id) is None
            assert len(unit.versions.list(managed_id)) == 1
            outcomes = [run.outcome for run in unit.runs.list(managed_id)]
    assert set(outcomes) <= {Outcome.INTERRUPTED, Outcome.DONE}
    assert len(outcomes) <= 2
    with closing(sqlite3.connect(site.settings.database)) as database:
        assert not database.execute("SELECT * FROM answers").fetchall()


@pytest.mark.parametrize("nth", range(1, 6))
def test_an_account_whose_registration_was_killed_is_found_by_the_same_command(
    nth: int, ca: Authority, tmp_path: Path
) -> None:
    site = Site(tmp_path).initialise()
    accounts = len(ca.server.state.accounts)
    death = Death(Boundary.EFFECT, nth)
    code = processes.run(
        dying.register, "again", ca.params, death, folder=site.folder, environment=site.environment
    ).code
    assert code == -9
    register(site, ca, name="again")
    assert len(ca.server.state.accounts) == accounts + 1
    with site.engine() as engine, engine.store.read() as unit:
        assert unit.issuers.get("again").account["url"]
