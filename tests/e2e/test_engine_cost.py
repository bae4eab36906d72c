"""What work costs the disk and the authority, counted: no more transactions and requests than are needed."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import event

from certwright.acme_server.messages import Endpoint
from certwright.domain.advice import ASK_AT_LEAST
from certwright.engine.context import Engine
from certwright.engine.renew import renew
from certwright.engine.request import request
from certwright.wiring import utc_now
from world.site import Authority, Site, authority, describe, register

pytestmark = pytest.mark.e2e
MOST = 16


@pytest.fixture
def ca() -> Iterator[Authority]:
    with authority() as made:
        yield made


@contextmanager
def _commits(engine: Engine) -> Iterator[list[object]]:
    """Each transaction that is committed while the block runs."""
    seen: list[object] = []

    @event.listens_for(engine.store._database._engine, "commit")
    def hear(connection: object) -> None:
        if is_heard:
            seen.append(connection)

    is_heard = True
    yield seen
    is_heard = False


def test_a_certificate_takes_few_transactions_and_its_journal_is_whole(ca: Authority, tmp_path: Path) -> None:
    site = Site(tmp_path).initialise()
    register(site, ca)
    with site.engine() as engine:
        managed = describe(engine, ca, "one.contoso.test")
        with _commits(engine) as commits:
            assert request(engine, managed.id).version
        assert len(commits) <= MOST
        with engine.store.read() as unit:
            (run,) = unit.runs.list(managed.id)
            assert len(unit.runs.entries(run.id)) > MOST


def test_advice_takes_one_request_and_one_transaction(ca: Authority, tmp_path: Path) -> None:
    site = Site(tmp_path).initialise()
    register(site, ca)
    ahead = [timedelta()]
    with site.engine(now=lambda: utc_now() + ahead[0]) as engine:
        managed = describe(engine, ca, "two.contoso.test")
        renew(engine, managed.id, patient=True)
        for polls in range(1, 4):
            ahead[0] = polls * ASK_AT_LEAST
            before = ca.server.requests.copy()
            with _commits(engine) as commits:
                assert renew(engine, managed.id, patient=True).nothing_to_do
            assert len(commits) == 1
            asked = ca.server.requests - before
            assert asked[Endpoint.RENEWAL_INFO] == 1
            assert asked[Endpoint.DIRECTORY] == (polls == 1)


def test_after_a_failure_the_directory_is_read_again(ca: Authority, tmp_path: Path) -> None:
    site = Site(tmp_path).initialise()
    register(site, ca)
    ahead = [timedelta()]
    with site.engine(now=lambda: utc_now() + ahead[0]) as engine:
        managed = describe(engine, ca, "three.contoso.test")
        renew(engine, managed.id, patient=True)
        asked = []
        for polls in range(1, 4):
            ahead[0] = polls * ASK_AT_LEAST
            if polls == 2:
                ca.server.faults.http_error_next(Endpoint.RENEWAL_INFO, 404)
            before = ca.server.requests[Endpoint.DIRECTORY]
            assert renew(engine, managed.id, patient=True).nothing_to_do
            asked.append(ca.server.requests[Endpoint.DIRECTORY] - before)
        assert asked[1:] == [0, 1]
