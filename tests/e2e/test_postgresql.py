"""Certwright on PostgreSQL: the whole job, and two nodes beside each other."""

import json
import os
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from certwright.acme_server import AcmeServerConfig
from peers.postgres import Postgres
from world.house import house
from world.processes import Running, until
from world.site import Authority, Site, authority, describe, register

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def ca() -> Iterator[Authority]:
    """An authority that takes its time, so that commands overlap."""
    with authority(AcmeServerConfig(finalize_delay=1.5)) as made:
        yield made


@pytest.fixture
def nodes(tmp_path: Path, postgres: Postgres) -> tuple[Site, Site]:
    """Two, of which the first makes the store and the second is given its master key."""
    url = postgres.schema()
    one, two = (Site(tmp_path / name, store_url=url) for name in ("one", "two"))
    for node in (one, two):
        node.folder.mkdir()
    told = json.loads(one.cli("init", "--json", code=0).out)
    assert told["store"] == url
    shutil.copytree(one.folder / "keys", two.folder / "keys")
    return one, two


def _begun(node: Site, managed_id: str, running: Running) -> None:
    """Wait until a run of this certificate is under way."""
    end = time.monotonic() + 30
    with node.engine() as engine:
        while time.monotonic() < end and running.is_alive:
            with engine.store.read() as unit:
                if any(run.ended_at is None for run in unit.runs.list(managed_id)):
                    return
            time.sleep(0.02)
    raise AssertionError(f"no run began:\n{running.wait().told}")


def test_a_certificate_is_issued_and_deployed(tmp_path: Path, postgres: Postgres) -> None:
    with house(tmp_path, store_url=postgres.schema()) as one:
        version = one.next_version()
        assert one.deployed()
        assert set(one.exchange.served.values()) == {version.sha256}
        assert not one.deployed()
        assert one.journal()
        assert not one.site.settings.database.exists()


def test_the_server_restarts_between_the_steps(tmp_path: Path, postgres: Postgres) -> None:
    with house(tmp_path, store_url=postgres.schema(), few=True) as one, one.site.engine() as engine:
        with engine.store.read() as unit:
            assert unit.managed.current(one.managed_id) is None
        postgres.restart()
        one.next_version()
        with engine.store.read() as unit:
            assert unit.managed.current(one.managed_id) is not None


def test_a_service_whose_database_goes_away_while_it_begins_waits_for_it(tmp_path: Path, postgres: Postgres) -> None:
    url = postgres.schema()
    site = Site(tmp_path, store_url=url).initialise()
    with psycopg.connect(url) as keeper:
        keeper.execute("LOCK TABLE records IN ACCESS EXCLUSIVE MODE")
        service = site.begin("serve", "--listen", "none")
        struck = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        until(lambda: postgres.execute(struck) != [(0,)])
        until(lambda: service.has_told("cannot be reached"))
        assert not service.has_told("The service has begun")
    until(lambda: service.has_told("The service has begun"))
    os.kill(service.pid, signal.SIGTERM)
    ended = service.wait()
    assert ended.code == 0, ended.told


def test_two_nodes_share_the_work(nodes: tuple[Site, Site], ca: Authority) -> None:
    one, two = nodes
    register(one, ca)
    with two.engine() as engine:
        managed_id = describe(engine, ca).id
    running = one.begin("certificate", "request", managed_id)
    _begun(two, managed_id, running)
    refused = two.cli("certificate", "request", managed_id, code=1)
    assert f"It is process {running.pid} on " in refused.err
    assert "end it" not in refused.err
    beside = two.cli("credential", "add", "exchange", "c", "--username", "u", "--password-file", "-", given="x", code=0)
    assert beside.out
    assert running.wait().code == 0
    shown = json.loads(two.cli("certificate", "show", managed_id, "--json", code=0).out)
    assert len(shown["versions"]) == 1
    two.cli("certificate", "request", managed_id, code=3)
    assert (two.folder / "data" / "logs").is_dir()


def test_services_of_two_nodes_issue_each_certificate_once(nodes: tuple[Site, Site], ca: Authority) -> None:
    one, two = nodes
    register(one, ca)
    names = [f"n{number}.contoso.test" for number in range(4)]
    issued = len(ca.server.issued)
    running = [node.begin("serve") for node in nodes]
    try:
        with two.engine() as engine:
            ids = [describe(engine, ca, name).id for name in names]
            end = time.monotonic() + 90
            done: list[bool] = [False]
            while not all(done) and time.monotonic() < end:
                time.sleep(0.1)
                with engine.store.read() as unit:
                    done = [unit.managed.current(managed_id) is not None for managed_id in ids]
    finally:
        for service in running:
            os.kill(service.pid, signal.SIGTERM)
    ended = [service.wait() for service in running]
    assert all(done), "\n".join(each.told for each in ended)
    assert [each.code for each in ended] == [0, 0]
    assert len(ca.server.issued) == issued + len(names)


def test_a_second_node_is_told_what_it_lacks(nodes: tuple[Site, Site]) -> None:
    _, two = nodes
    again = two.cli("init", code=1)
    assert "There is a store in postgresql://" in again.err
    assert "master key" in again.err
    two.key_file.write_bytes(two.key_file.read_bytes().swapcase())
    refused = two.cli("certificate", "list", code=1)
    assert "is not the one of the store postgresql://" in refused.err
    assert "All nodes share one master key" in refused.err
    two.key_file.unlink()
    assert "copy it from another node" in two.cli("certificate", "list", code=1).err


def test_a_password_in_the_address_is_refused_and_not_shown(tmp_path: Path) -> None:
    site = Site(tmp_path, store_url="postgresql://certs:c4nary@127.0.0.1/certs")
    for command in (("init",), ("certificate", "list"), ("certificate", "list", "--json")):
        refused = site.cli(*command, code=1)
        assert "CERTWRIGHT_STORE holds a password" in refused.told
        assert "c4nary" not in refused.told
