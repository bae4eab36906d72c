"""`certwright serve`: issues and deploys what is due by itself, alone on its data folder, and survives being killed."""

import os
import re
import signal
import socket
import sys
import time
from pathlib import Path

import pytest

from certwright.acme_server import AcmeServer, AcmeServerConfig
from certwright.acme_server.resources import Status
from certwright.domain.renewal_state import Failure
from certwright.engine.audit import entries
from certwright.engine.request import request
from certwright.engine.slots import MOST
from certwright.store.audit import Wanted
from certwright.wiring import utc_now
from peers.ports import free_port
from world.processes import until
from world.site import Site, authority, describe, register
from world.terminal import Terminal

pytestmark = pytest.mark.e2e
NAMES = tuple(f"host{number}.contoso.test" for number in range(6))


def issued(site: Site) -> int:
    with site.engine() as engine, engine.store.read() as unit:
        return sum(unit.managed.current(managed.id) is not None for managed in unit.managed.list())


def test_what_is_due_is_done_and_a_second_service_is_refused(tmp_path: Path) -> None:
    with authority() as ca:
        site = Site(tmp_path).initialise()
        register(site, ca)
        with site.engine() as engine:
            for name in NAMES:
                describe(engine, ca, name)
        service = site.begin("serve", "--workers", "3")
        until(lambda: issued(site) == len(NAMES))
        refused = site.cli("serve", code=2)
        assert "Another certwright serve works on this data folder" in refused.err
        with site.engine() as engine:
            late = describe(engine, ca, "late.contoso.test")
        until(lambda: issued(site) == len(NAMES) + 1)
        os.kill(service.pid, signal.SIGTERM)
        ended = service.wait()
        assert ended.code == 0, ended.told
        assert "Traceback" not in ended.told
        assert len(ca.server.issued) == len(NAMES) + 1
        with site.engine() as engine:
            assert request(engine, late.id).version is None
            (told,) = entries(engine, Wanted(kind="settings"))
        assert told.after
        assert told.after["listen"] == "none"
        assert list((site.settings.data_folder / "backups").iterdir())


def test_the_first_start_makes_the_store_if_somebody_agrees_who_sees_the_recovery_key(tmp_path: Path) -> None:
    site, at = Site(tmp_path), f"127.0.0.1:{free_port()}"
    refused = site.cli("serve", code=1)
    assert "Make one with `certwright init`" in refused.err
    arguments = [sys.executable, "-m", "certwright", "serve", "--listen", at]
    terminal = Terminal(arguments, {**os.environ, **site.environment})
    try:
        terminal.read_until("Make one there now? [Y/n]", 60)
        terminal.type("\n")
        terminal.read_until("first-start?token=", 60)
        assert re.search(r"Recovery key: [0-9A-Z-]{40,}", terminal.shown)
        terminal.process.send_signal(signal.SIGTERM)
        terminal.read_until(None, 60)
    finally:
        terminal.close()
    assert terminal.process.returncode == 0


def test_a_question_that_is_not_answered_says_what_this_command_takes(tmp_path: Path) -> None:
    site = Site(tmp_path)
    terminal = Terminal([sys.executable, "-m", "certwright", "serve"], {**os.environ, **site.environment})
    try:
        terminal.read_until("Make one there now? [Y/n]", 60)
        terminal.interrupt()
        terminal.read_until(None, 60)
    finally:
        terminal.close()
    assert "the question was not answered." in terminal.shown
    assert ("Run it again, and answer." in terminal.shown, "--yes" in terminal.shown) == (True, False)
    assert not site.settings.data_folder.exists()


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGHUP], ids=lambda end: end.name)
def test_systemd_is_told_of_the_begin_each_tick_and_the_end(tmp_path: Path, end: signal.Signals) -> None:
    site = Site(tmp_path).initialise()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(60)
        service = site.begin("serve", NOTIFY_SOCKET=str(tmp_path / "notify"))
        assert [systemd.recv(100) for _ in range(2)] == [b"READY=1", b"WATCHDOG=1"]
        os.kill(service.pid, end)
        while (told := systemd.recv(100)) == b"WATCHDOG=1":
            pass
        assert told == b"STOPPING=1"
        assert service.wait().code == 0


def test_a_killed_service_is_succeeded_and_nothing_is_issued_twice(tmp_path: Path) -> None:
    with authority() as ca:
        site = Site(tmp_path).initialise()
        register(site, ca)
        with site.engine() as engine:
            for name in NAMES:
                describe(engine, ca, name)
        first = site.begin("serve", "--workers", "4")
        until(lambda: issued(site) >= 1)
        os.kill(first.pid, signal.SIGKILL)
        first.wait()
        second = site.begin("serve", "--workers", "4")
        until(lambda: second.has_told("The service has begun") and issued(site) == len(NAMES))
        os.kill(second.pid, signal.SIGTERM)
        assert second.wait().code == 0
        assert len(ca.server.issued) == len(NAMES)


def test_an_authority_that_refuses_is_asked_again_later_and_the_others_go_on(tmp_path: Path) -> None:
    with authority(AcmeServerConfig(forbidden_domains=("wrong.contoso.test",))) as ca:
        site = Site(tmp_path).initialise()
        register(site, ca)
        with site.engine() as engine:
            wrong = describe(engine, ca, "wrong.contoso.test")
            for name in NAMES:
                describe(engine, ca, name)

        def failure() -> Failure | None:
            with site.engine() as engine, engine.store.read() as unit:
                return unit.renewals.get(wrong.id).failure

        service = site.begin("serve")
        until(lambda: issued(site) == len(NAMES) and failure() is not None)
        os.kill(service.pid, signal.SIGTERM)
        assert service.wait().code == 0
        found = failure()
        assert found
        assert found.count == 1
        assert found.retry_at > utc_now()
        shown = site.cli("certificate", "show", wrong.id, code=0)
        assert "next attempt" in shown.out


def in_flight(server: AcmeServer) -> int:
    with server.state.lock:
        return sum(order.status not in (Status.VALID, Status.INVALID) for order in server.state.orders.values())


def test_an_authority_has_no_more_orders_in_flight_than_there_are_places(tmp_path: Path) -> None:
    names = [f"host{number}.contoso.test" for number in range(2 * MOST["authority"])]
    with authority(AcmeServerConfig(finalize_delay=3)) as ca:
        site = Site(tmp_path).initialise()
        register(site, ca)
        with site.engine() as engine:
            for name in names:
                describe(engine, ca, name)
        service = site.begin("serve", "--workers", str(len(names)))
        most = 0
        while len(ca.server.issued) < len(names):
            most = max(most, in_flight(ca.server))
            assert service.is_alive
            time.sleep(0.02)
        os.kill(service.pid, signal.SIGTERM)
        assert service.wait().code == 0
        assert 1 < most <= MOST["authority"]
