import os
import re
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from certwright.domain.errors import LeaseHeld, LeaseLost, StoreError
from certwright.domain.identifiers import Identifier
from certwright.domain.managed import Issuer, ManagedCertificate
from certwright.settings import Settings
from certwright.store import Store, database, heartbeat, open_store
from certwright.store.database import Database
from certwright.store.leases import TTL
from certwright.store.processes import Holder
from certwright.store.schema import leases
from peers.postgres import Postgres
from world.stores import execute, on_postgresql

NAME = "certificate:ab12cd34ef56"
PAST = "2026-01-01 00:00:00.000000"


def expire(settings: Settings) -> None:
    """As if the holder had been frozen for longer than its lease."""
    execute(settings, f"UPDATE leases SET expires_at = '{PAST}'")


def holder_told(store: Store, ttl: timedelta = TTL) -> str:
    """Who is said to hold the lease."""
    with pytest.raises(LeaseHeld) as caught, store.lease(NAME, ttl=ttl):
        pytest.fail("unreachable")
    return caught.value.holder


def test_one_holds_and_the_next_is_refused_at_once(store: Store) -> None:
    with store.lease(NAME) as lease:
        lease.check()
        with pytest.raises(LeaseHeld) as caught, store.lease(NAME):
            pytest.fail("unreachable")
        assert re.fullmatch(r"certificate ab12cd34ef56 is being worked on since \d\d:\d\d UTC\.", caught.value.message)
        assert caught.value.holder == f"process {os.getpid()} on {socket.gethostname()}"
        assert caught.value.retryable
        with store.lease("organisation:ex01.contoso.com"):
            lease.check()
    with store.lease(NAME):
        pass


def test_another_thread_is_refused_too(store: Store) -> None:
    results: list[str] = []

    def contend() -> None:
        try:
            with store.lease(NAME):
                results.append("held")
        except LeaseHeld:
            results.append("refused")

    with store.lease(NAME):
        thread = threading.Thread(target=contend)
        thread.start()
        thread.join(30)
    assert results == ["refused"]


def test_a_lease_is_given_back_when_its_block_fails(store: Store) -> None:
    with pytest.raises(KeyError), store.lease(NAME):
        raise KeyError
    with store.lease(NAME) as lease:
        lease.check()


def test_the_epoch_grows_for_ever(settings: Settings, store: Store) -> None:
    epochs = []
    for _ in range(3):
        with store.lease(NAME) as lease:
            epochs.append(lease.epoch)
    with open_store(settings) as other, other.lease(NAME) as lease:
        epochs.append(lease.epoch)
    assert epochs == [1, 2, 3, 4]


def test_writes_are_fenced(settings: Settings, store: Store) -> None:
    with store.lease(NAME) as old, store.lease("organisation:ex01") as kept:
        with store.write(old, kept) as unit:
            unit.secrets.put("own", b"one")
        expire(settings)
        with store.lease(NAME) as new:
            with pytest.raises(LeaseLost, match=f"taken over by process {os.getpid()}"):
                old.check()
            with pytest.raises(LeaseLost), store.write(kept, old):
                pytest.fail("unreachable")
            kept.check()
            with store.write(new) as unit:
                unit.secrets.put("own", b"two")
    with store.read() as unit:
        assert unit.secrets.get("own") == b"two"


def test_who_was_overtaken_does_not_give_back_what_is_no_longer_his(settings: Settings, store: Store) -> None:
    with store.lease(NAME) as old:
        expire(settings)
        successor = store.lease(NAME)
        new = successor.__enter__()
    new.check()
    with pytest.raises(LeaseHeld), store.lease(NAME):
        pytest.fail("unreachable")
    with pytest.raises(LeaseLost):
        old.check()
    successor.__exit__(None, None, None)


def test_a_lease_that_was_given_back_writes_nothing(store: Store) -> None:
    with store.lease(NAME) as lease:
        pass
    with pytest.raises(LeaseLost, match="given back"):
        lease.check()
    with pytest.raises(LeaseLost), store.write(lease):
        pytest.fail("unreachable")


def test_one_that_expired_but_was_not_taken_is_still_held(settings: Settings, store: Store) -> None:
    with store.lease(NAME) as lease:
        expire(settings)
        lease.check()
        with store.write(lease) as unit:
            unit.secrets.put("own", b"one")
        assert lease.renew()
        with pytest.raises(LeaseHeld), store.lease(NAME):
            pytest.fail("unreachable")


def test_the_heartbeat_keeps_it(settings: Settings, store: Store) -> None:
    def expiry() -> str:
        ((text,),) = execute(settings, "SELECT expires_at FROM leases")
        return str(text)

    with store.lease(NAME, ttl=timedelta(seconds=0.3)):
        for _ in range(3):
            before = expiry()
            deadline = time.monotonic() + 60
            while expiry() == before and time.monotonic() < deadline:
                time.sleep(0.02)
            assert expiry() > before


def test_one_heartbeat_is_for_all_and_ends_when_they_are_overtaken(
    settings: Settings, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heartbeat, "_IDLE_SECONDS", 0.1)
    others = set(threading.enumerate())
    ttl = timedelta(seconds=0.3)
    with store.lease(NAME, ttl=ttl) as lease, store.lease("organisation:ex01.contoso.com", ttl=ttl):
        (beat,) = set(threading.enumerate()) - others
        execute(settings, "UPDATE leases SET epoch = epoch + 1")
        beat.join(60)
        assert not beat.is_alive()
        with pytest.raises(LeaseLost):
            lease.check()


def test_a_heartbeat_begins_again_after_it_ended(
    settings: Settings, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heartbeat, "_IDLE_SECONDS", 0.0)
    others = set(threading.enumerate())
    with store.lease(NAME):
        (beat,) = set(threading.enumerate()) - others
    with store.lease(NAME, ttl=timedelta(seconds=0.3)):  # sooner than the one that it waits for
        expire(settings)
        _until(lambda: not execute(settings, f"SELECT 1 FROM leases WHERE expires_at = '{PAST}'"))
    beat.join(60)
    assert not beat.is_alive()
    with store.lease(NAME, ttl=timedelta(seconds=0.3)):
        expire(settings)
        _until(lambda: not execute(settings, f"SELECT 1 FROM leases WHERE expires_at = '{PAST}'"))


def _until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_heartbeat_survives_a_store_that_is_away(
    settings: Settings, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = threading.Event()
    beats = threading.Semaphore(0)
    real = Database.write

    def write(self: Database) -> object:
        beats.release()
        if away.is_set() and threading.current_thread().name == "heartbeat":
            raise StoreError("The disk is gone.")
        return real(self)

    with store.lease(NAME, ttl=timedelta(seconds=0.3)) as lease:
        monkeypatch.setattr(Database, "write", write)
        away.set()
        assert beats.acquire(timeout=60)
        assert beats.acquire(timeout=60)
        away.clear()
        expire(settings)
        deadline = time.monotonic() + 60
        while execute(settings, f"SELECT 1 FROM leases WHERE expires_at = '{PAST}'") and time.monotonic() < deadline:
            time.sleep(0.02)
        assert not execute(settings, f"SELECT 1 FROM leases WHERE expires_at = '{PAST}'")
        lease.check()


def hold_as(settings: Settings, holder: Holder) -> None:
    execute(
        settings,
        f"INSERT INTO leases VALUES (:name, 7, :host, :pid, :started, '{PAST}', '2999-01-01 00:00:00.000000')",
        name=NAME,
        host=holder.host,
        pid=holder.pid,
        started=holder.started,
    )


def test_a_process_of_another_host_is_waited_for(settings: Settings, store: Store) -> None:
    hold_as(settings, Holder("elsewhere", 1, "boot/pid:[1]/1"))
    assert holder_told(store) == "process 1 on elsewhere"


def test_a_process_number_that_was_used_again_holds_nothing(settings: Settings, store: Store) -> None:
    me = Holder.here()
    hold_as(settings, Holder(me.host, me.pid, me.started + "1"))
    with store.lease(NAME) as lease:
        assert lease.epoch == 8


@on_postgresql
def test_another_host_of_the_same_name_is_waited_for(settings: Settings, store: Store) -> None:
    me = Holder.here()
    hold_as(settings, Holder(me.host, 1, f"another boot/{me.started.partition('/')[2]}"))
    assert holder_told(store) == f"process 1 on {me.host}"
    expire(settings)
    with store.lease(NAME) as lease:
        assert lease.epoch == 8


@on_postgresql
def test_the_clock_is_the_servers(settings: Settings, recovery_key: str) -> None:
    later = "SELECT timestamptz '2040-01-01 17:04:00+00'"
    execute(settings, f"CREATE FUNCTION clock_timestamp() RETURNS timestamptz LANGUAGE sql AS $${later}$$")
    later_there = replace(settings, store_url=f"{settings.store_url},pg_catalog")
    with open_store(later_there) as store, store.lease(NAME, ttl=timedelta(minutes=1)) as lease:
        assert lease.renew()
        ((since, expires_at),) = execute(settings, "SELECT since, expires_at FROM leases")
        assert since == datetime(2040, 1, 1, 17, 4, tzinfo=UTC)
        assert expires_at == since + timedelta(minutes=1)


@on_postgresql
def test_after_the_server_was_away_holders_get_the_time_to_renew(
    settings: Settings, store: Store, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold_as(settings, Holder("elsewhere", 1, "boot/pid:[1]/1"))
    expire(settings)
    monkeypatch.setattr(database, "PATIENCE_SECONDS", 0)
    postgres.stop()
    with pytest.raises(StoreError, match="cannot be reached"), store.read():
        pytest.fail("unreachable")
    postgres.start()
    assert holder_told(store, ttl=timedelta(hours=1)) == "process 1 on elsewhere"
    with open_store(settings) as fresh, fresh.lease(NAME) as lease:
        assert lease.epoch == 8


@pytest.mark.parametrize("lives", [True, False])
def test_what_a_dead_process_holds_is_not_told_as_held(lives: bool, settings: Settings, store: Store) -> None:
    me = Holder.here()
    hold_as(settings, Holder(me.host, me.pid, me.started + ("" if lives else "1")))
    with store.read() as unit:
        assert [lease.name for lease in unit.leases.held(datetime.now(UTC))] == [NAME] * lives


def test_who_is_gone() -> None:
    me = Holder.here()
    boot, namespace, ticks = me.started.split("/")
    unused = int(Path("/proc/sys/kernel/pid_max").read_text())
    assert not me.is_gone
    assert Holder(me.host, unused, f"{boot}/{namespace}/1").is_gone
    assert Holder(me.host, me.pid, f"{boot}/{namespace}/1{ticks}").is_gone
    assert Holder(me.host, me.pid, f"earlier boot/{namespace}/{ticks}").is_gone
    assert not Holder(me.host, unused, f"{boot}/pid:[1]/1").is_gone
    assert not Holder("elsewhere", unused, f"{boot}/{namespace}/1").is_gone


def test_who_has_ended_on_this_system_whatever_the_hosts_name() -> None:
    me = Holder.here()
    boot, namespace, ticks = me.started.split("/")
    unused = int(Path("/proc/sys/kernel/pid_max").read_text())
    assert not me.has_ended
    assert Holder("renamed", unused, f"{boot}/{namespace}/1").has_ended
    assert not Holder(me.host, me.pid, f"earlier boot/{namespace}/{ticks}").has_ended
    assert not Holder(me.host, unused, f"{boot}/pid:[1]/1").has_ended
    assert not Holder(me.host, unused, "").has_ended


def test_who_is_gone_where_the_system_tells_no_start_times() -> None:
    host = socket.gethostname()
    assert not Holder(host, os.getpid(), "").is_gone
    assert not Holder(host, 1, "").is_gone
    assert Holder(host, int(Path("/proc/sys/kernel/pid_max").read_text()), "").is_gone


def test_leases_on_what_was_removed_are_forgotten_and_no_others(store: Store, issuer: Issuer) -> None:
    kept = ManagedCertificate(title="x", identifiers=(Identifier.parse("mail.contoso.com"),), issuer=issuer.name)
    with store.write() as unit:
        unit.managed.add(kept)
    names = (f"certificate:{kept.id}", "certificate:removed", "credential:removed", "passing:job:ended")
    for name in names:
        with store.lease(name):
            pass
    with store.write() as unit:
        now = datetime.now(UTC)
        assert unit.leases.of_removed(now - timedelta(days=1)) == []
        gone = unit.leases.of_removed(now + timedelta(days=1))
        unit.leases.forget(gone)
        left = set(unit.leases.connection.scalars(select(leases.c.name)))
    assert sorted(gone) == ["certificate:removed", "passing:job:ended"]
    assert {names[0], names[2]} <= left
