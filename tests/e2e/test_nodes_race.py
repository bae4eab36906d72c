"""Nodes race over due certificates on one PostgreSQL, and are killed and frozen meanwhile: each is issued once.

`make soak` plays it with more certificates. The answers lie in a folder that a web server has in front of both nodes,
so that what the authority sees of a name does not depend on which node lives.
"""

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from certwright.acme_server import AcmeServerConfig
from certwright.domain.certificates import CertificateFacts
from certwright.domain.keys import KeyType
from certwright.domain.validation import Validation
from certwright.engine import worker
from certwright.engine.issuers import add_issuer
from certwright.engine.managed import Wish, create
from certwright.store import leases
from certwright.wiring import utc_now
from peers.folder import served
from peers.pebble import pebble
from peers.ports import free_port
from peers.postgres import Postgres
from world.nodes import WORKERS, Nodes, nodes
from world.site import ISSUER, authority, register

WHOLE = bool(os.environ.get("SOAK"))
MANY, FEW = (500, 100) if WHOLE else (40, 12)
SEEDS = [int(seed) for seed in (os.environ.get("SOAK") or "1").split()]
TAKEN_OVER = timedelta(minutes=1)
SECONDS = 3000.0 if WHOLE else 240.0
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(2 * SECONDS)]


@contextmanager
def site(folder: Path) -> Iterator[tuple[int, Validation]]:
    """A web server that both nodes write their answers to: its port, and how names are proved by it."""
    port, root = free_port(), folder / "site"
    root.mkdir()
    with served(root, port):
        yield (
            port,
            Validation(
                challenge="http-01",
                solver="webroot",
                params={"path": str(root), "check_via": f"127.0.0.1:{port}"},
            ),
        )


def describe(all_of_them: Nodes, validation: Validation, count: int) -> list[str]:
    """So many managed certificates that are due; their names."""
    names = [f"n{number}.contoso.test" for number in range(count)]
    for name in names:
        create(all_of_them.engine, Wish((name,), ISSUER, validation, key_type=KeyType.ECDSA_P256))
    return names


def race(running: Nodes, count: int, chance: random.Random) -> int:
    """Have all of it issued, with a kill each time that some more are; how many there were."""
    kills, goal = 0, 0
    while True:
        goal = min(goal + chance.randint(1, 10), count)
        running.until(lambda: running.issued() >= goal, SECONDS)  # noqa: B023 - it is called at once
        if goal == count:
            return kills
        time.sleep(chance.random() * 0.2)  # at any moment of the runs that are under way
        chance.choice(running.all).kill()
        kills += 1


def finish(running: Nodes) -> None:
    """End all services, which must be well."""
    running.until(lambda: all(node.running.has_told("The service has begun") for node in running.all), SECONDS)
    for node in running.all:
        ended = node.end()
        assert ended.code == 0, ended.told
        assert "Traceback" not in ended.told


@pytest.mark.parametrize("seed", SEEDS)
def test_killed_again_and_again_they_issue_each_certificate_once(seed: int, tmp_path: Path, postgres: Postgres) -> None:
    with (
        site(tmp_path) as (port, validation),
        authority(AcmeServerConfig(finalize_delay=0.3), http_port=port) as ca,
        nodes(tmp_path, postgres) as running,
    ):
        register(running.all[0].site, ca)
        names = describe(running, validation, MANY)
        for node in running.all:
            node.begin()
        kills = race(running, MANY, random.Random(seed))
        finish(running)
        issued = [str(CertificateFacts.of(each.certificate).names[0]) for each in ca.server.issued]
        assert Counter(issued) == Counter(names)
        assert running.versions() == MANY
        assert kills
        assert len(ca.server.state.orders) <= MANY + kills * WORKERS, "only a kill may orphan an order"


@pytest.mark.parametrize("seed", SEEDS)
def test_against_pebble_too(seed: int, tmp_path: Path, postgres: Postgres) -> None:
    with (
        site(tmp_path) as (port, validation),
        pebble(tmp_path / "pebble", http_port=port) as ca,
        nodes(tmp_path, postgres) as running,
    ):
        params = {"directory": ca.directory_url, "email": "a@contoso.test", "ca_file": str(ca.ca_file)}
        add_issuer(running.engine, "acme", ISSUER, {**params, "agree_tos": True}, internal_names=True, eab=None)
        describe(running, validation, FEW)
        for node in running.all:
            node.begin()
        assert race(running, FEW, random.Random(seed))
        finish(running)
        log = (tmp_path / "pebble" / "pebble.log").read_text()
        assert log.count("Issued certificate serial") == FEW
        assert running.versions() == FEW


@pytest.mark.parametrize("seed", SEEDS)
def test_a_frozen_node_is_succeeded_and_writes_nothing_when_it_thaws(
    seed: int, tmp_path: Path, postgres: Postgres
) -> None:
    chance = random.Random(seed)
    with (
        site(tmp_path) as (port, validation),
        authority(AcmeServerConfig(finalize_delay=0.3), http_port=port) as ca,
        nodes(tmp_path, postgres) as running,
    ):
        register(running.all[0].site, ca)
        names = describe(running, validation, FEW)
        for node in running.all:
            node.begin()
        frozen = running.all[0]
        running.until(lambda: bool(running.runs_of(frozen.running.pid)), SECONDS)
        time.sleep(chance.random() * 0.2)
        frozen.tell(signal.SIGSTOP)
        stopped, stood = utc_now(), running.runs_of(frozen.running.pid)
        running.until(lambda: running.issued() == FEW, SECONDS)
        assert max(issued_at(running, stood), default=stopped) - stopped < TAKEN_OVER
        before = journals(running, stood)
        frozen.tell(signal.SIGCONT)
        finish(running)
        assert journals(running, stood) == before
        issued = [str(CertificateFacts.of(each.certificate).names[0]) for each in ca.server.issued]
        assert Counter(issued) == Counter(names)
        assert running.versions() == FEW
        assert len(ca.server.state.orders) <= FEW + WORKERS


def journals(running: Nodes, ids: set[str]) -> dict[str, object]:
    """All that is stored of these runs."""
    with running.engine.store.read() as unit:
        return {run_id: (unit.runs.get(run_id), unit.runs.entries(run_id)) for run_id in ids}


def issued_at(running: Nodes, ids: set[str]) -> list[datetime]:
    """When that was issued for which these runs were begun."""
    with running.engine.store.read() as unit:
        found = [unit.managed.current(unit.runs.get(run_id).managed_id) for run_id in ids]
    return [version.issued_at for version in found if version]


def test_what_a_killed_node_had_begun_is_finished_by_another_within_a_minute(
    tmp_path: Path, postgres: Postgres
) -> None:
    with (
        site(tmp_path) as (port, validation),
        authority(AcmeServerConfig(finalize_delay=2), http_port=port) as ca,
        nodes(tmp_path, postgres) as running,
    ):
        register(running.all[0].site, ca)
        gone, other = running.all
        left = replace(running, all=[other])
        describe(running, validation, FEW)
        for node in running.all:
            node.begin()
        running.until(lambda: all(running.runs_of(node.running.pid) for node in running.all), SECONDS)
        pid, stopped = gone.vanish(), utc_now()
        stood = running.runs_of(pid)
        assert stood
        left.until(lambda: left.issued() == FEW, SECONDS)
        done = issued_at(left, stood)
        assert stopped < min(done)
        assert max(done) - stopped < TAKEN_OVER
        finish(left)
        assert len(ca.server.issued) == left.versions() == FEW


def test_the_longest_that_a_takeover_is_waited_for_is_less_than_a_minute() -> None:
    assert leases.TTL + worker.LONGEST + worker.REST < TAKEN_OVER
