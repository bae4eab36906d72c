"""What runs that died have written is removed by whoever comes next, and nothing is tried for ever: against BIND."""

import os
import signal
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from certwright.domain.errors import LeaseHeld, SolverError
from certwright.domain.runs import Entry
from certwright.engine.credentials import remove_credential, store_credential, try_credential
from certwright.engine.managed import remove
from certwright.engine.test import test as attempt
from certwright.engine.validations import put_validation
from certwright.engine.written import REMEMBERED
from certwright.wiring import utc_now
from peers.bind import World, bind_world
from world.processes import Running
from world.proofs import CREDENTIAL, Proofs, proofs

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with bind_world() as started:
        started.zone("contoso.test")
        started.zone("lagging.test", lagging=True)
        yield started


@pytest.fixture
def one(world: World, tmp_path: Path) -> Iterator[Proofs]:
    with proofs(tmp_path, world) as started:
        yield started


def begun(one: Proofs, name: str, *arguments: str) -> Running:
    """A command that has written the record of `name`, and waits for a server that will not show it."""
    running = one.site.begin(*arguments)
    while not one.standing(f"_acme-challenge.{name}"):
        assert running.is_alive
    return running


def killed(one: Proofs, name: str, *arguments: str) -> None:
    """What `begun` began is dead, and the record stands."""
    running = begun(one, name, *arguments)
    os.kill(running.pid, signal.SIGKILL)
    running.wait()
    assert one.standing(f"_acme-challenge.{name}")


def ahead(by: timedelta) -> Callable[[], datetime]:
    """A clock that is fast."""
    return lambda: utc_now() + by


def close_to_updates(one: Proofs, zone: str, key: str = "none") -> None:
    """Have the primary take no update of `zone` any more."""
    server = one.world.primary_server
    server.clauses[zone] = server.clauses[zone].replace(f'key "{one.world.key.name}"', key)
    server.reload()


def test_a_run_that_proves_the_name_otherwise_removes_them(one: Proofs) -> None:
    name = "changed.lagging.test"
    one.world.records("lagging.test", name, "A", "127.0.0.1")
    one.world.transfer("lagging.test")
    managed = one.describe(name)
    killed(one, name, "certificate", "request", managed.id)
    with one.site.engine() as engine:
        put_validation(engine, managed.id, one.ca.validation)
    one.request(managed)
    assert one.standing(f"_acme-challenge.{name}") == []


def test_they_are_removed_with_the_certificate(one: Proofs) -> None:
    name = "gone.lagging.test"
    managed = one.describe(name)
    killed(one, name, "certificate", "request", managed.id)
    one.site.cli("certificate", "remove", managed.id, "--yes", code=0)
    assert one.standing(f"_acme-challenge.{name}") == []


def test_what_cannot_be_removed_with_the_certificate_is_told(one: Proofs) -> None:
    one.world.zone("shut.test", lagging=True)
    managed = one.describe("shut.test")
    killed(one, "shut.test", "certificate", "request", managed.id)
    (value,) = one.standing("_acme-challenge.shut.test")
    close_to_updates(one, "shut.test")
    heard: list[Entry] = []
    with one.site.engine(heard.append) as engine:
        remove(engine, managed.id)
    assert f'remove it by hand: _acme-challenge.shut.test TXT "{value}"' in "\n".join(e.title for e in heard)


def test_they_are_removed_with_the_credential_whoever_wrote_them(one: Proofs) -> None:
    one.store("other")
    managed = one.describe("used.lagging.test", credential="other")
    killed(one, "used.lagging.test", "certificate", "request", managed.id)
    with one.site.engine() as engine:
        put_validation(engine, managed.id, one.ca.validation)
    killed(one, "tried.lagging.test", "credential", "test", "other", "tried.lagging.test")
    one.site.cli("credential", "remove", "other", code=0)
    assert one.standing("_acme-challenge.used.lagging.test") == []
    assert one.standing("_acme-challenge.tried.lagging.test") == []


def test_a_test_of_the_credential_removes_what_a_killed_one_has_left(one: Proofs) -> None:
    name = "twice.lagging.test"
    killed(one, name, "credential", "test", CREDENTIAL, name)
    with one.site.engine() as engine:
        try_credential(engine, CREDENTIAL, "contoso.test")
    assert one.standing(f"_acme-challenge.{name}") == []


def test_a_test_of_the_certificate_removes_what_a_killed_request_has_left(one: Proofs) -> None:
    name = "tested.lagging.test"
    managed = one.describe(name)
    killed(one, name, "certificate", "request", managed.id)
    with one.site.engine() as engine:
        put_validation(engine, managed.id, one.ca.validation)
        attempt(engine, managed.id)
    assert one.standing(f"_acme-challenge.{name}") == []


def test_what_was_never_written_is_not_tried_again(one: Proofs) -> None:
    close_to_updates(one, "contoso.test")
    heard: list[Entry] = []
    with one.site.engine(heard.append) as engine:
        with pytest.raises(SolverError, match="REFUSED"):
            try_credential(engine, CREDENTIAL, "contoso.test")
        heard.clear()
        try_credential(engine, CREDENTIAL, None)
    one.world.zone("contoso.test")
    assert "emove" not in "\n".join(e.title for e in heard)


def test_it_is_given_up_after_a_while_and_told(one: Proofs) -> None:
    one.world.zone("closing.test", lagging=True)
    killed(one, "closing.test", "credential", "test", CREDENTIAL, "closing.test")
    close_to_updates(one, "closing.test")
    told = []
    for later in (timedelta(), REMEMBERED, REMEMBERED):
        heard: list[Entry] = []
        with one.site.engine(heard.append, now=ahead(later)) as engine:
            try_credential(engine, CREDENTIAL, None)
        told.append("\n".join(e.title for e in heard))
    assert "the next run tries again: _acme-challenge.closing.test" in told[0]
    assert "remove it by hand: _acme-challenge.closing.test" in told[1]
    assert "closing.test" not in told[2]


def test_two_tests_of_a_credential_do_not_meet(one: Proofs) -> None:
    name = "meet.lagging.test"
    running = begun(one, name, "credential", "test", CREDENTIAL, name)
    with one.site.engine() as engine, pytest.raises(LeaseHeld):
        try_credential(engine, CREDENTIAL, "contoso.test")
    assert one.standing(f"_acme-challenge.{name}")
    with one.site.engine() as engine:
        store_credential(engine, "rfc2136", "unrelated", one.key, checked=False)
        remove_credential(engine, "unrelated")
    os.kill(running.pid, signal.SIGKILL)
    running.wait()
    with one.site.engine() as engine:
        try_credential(engine, CREDENTIAL, None)
    assert one.standing(f"_acme-challenge.{name}") == []


def test_a_run_that_was_overtaken_stops_waiting_and_takes_nothing_away(one: Proofs) -> None:
    name = "overtaken.lagging.test"
    managed = one.describe(name)
    running = begun(one, name, "certificate", "request", managed.id)
    with closing(sqlite3.connect(one.site.settings.database)) as connection, connection:
        connection.execute("UPDATE leases SET epoch = epoch + 1")
    assert "has lost its hold" in running.wait().told
    assert one.standing(f"_acme-challenge.{name}")
    one.site.cli("certificate", "remove", managed.id, "--yes", code=0)
    assert one.standing(f"_acme-challenge.{name}") == []


def test_a_failure_is_told_in_full_once(one: Proofs) -> None:
    managed = one.describe("once.lagging.test", timeout=1)
    told = one.site.cli("certificate", "request", managed.id, code=1).told
    assert told.count("look at the zone transfer") == 1
    logged = one.site.cli("certificate", "log", managed.id, code=0).out
    assert logged.count("look at the zone transfer") == 1


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGHUP], ids=lambda end: end.name)
def test_a_command_that_is_asked_to_end_takes_its_records_away(one: Proofs, end: signal.Signals) -> None:
    name = "asked.lagging.test"
    running = begun(one, name, "credential", "test", CREDENTIAL, name)
    os.kill(running.pid, end)
    ended = running.wait()
    assert ended.code == 1
    assert "Stopped." in ended.told
    assert one.standing(f"_acme-challenge.{name}") == []
