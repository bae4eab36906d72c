"""Real processes on one store: beside each other, frozen, and killed."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from certwright.domain.audit import Action, SubjectKind
from certwright.domain.audit_faults import Verification
from certwright.domain.errors import LeaseHeld
from certwright.domain.windows import MaintenanceWindow
from certwright.settings import Settings
from certwright.store import Store
from certwright.store.audit import Wanted
from peers.postgres import Postgres
from world.stores import execute, on_postgresql, on_sqlite

NAME = "certificate:ab12cd34ef56"
SCRIPT = Path(__file__).with_name("contender.py")


class Contender:
    """The script in a process of its own."""

    def __init__(self, settings: Settings, *command: str) -> None:
        places = (str(settings.data_folder), str(settings.key_folder))
        arguments = [sys.executable, str(SCRIPT), *places, *command]
        environ = {**os.environ, "CERTWRIGHT_STORE": settings.store_url} if settings.store_url else None
        self.process = subprocess.Popen(
            arguments, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def hear(self) -> str:
        assert self.process.stdout
        return self.process.stdout.readline().strip()

    def ask(self, line: str) -> str:
        assert self.process.stdin
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()
        return self.hear()

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def kill(self) -> None:
        """As kill -9; returns when it is dead, though nobody has collected it yet."""
        self.process.kill()
        os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOWAIT)

    def close(self) -> None:
        self.process.kill()
        self.process.communicate(timeout=60)


Start = Callable[..., Contender]


@pytest.fixture
def start(settings: Settings, recovery_key: str) -> Iterator[Start]:
    with ExitStack() as stack:

        def begin(*command: str) -> Contender:
            contender = Contender(settings, *command)
            stack.callback(contender.close)
            return contender

        yield begin


def written(store: Store, name: str) -> bytes | None:
    with store.read() as unit:
        return unit.secrets.find(name)


def take_when_free(store: Store) -> None:
    """Take the lease and give it back, trying for as long as another holds it."""
    deadline = time.monotonic() + 60
    while True:
        try:
            with store.lease(NAME):
                return
        except LeaseHeld:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


@on_sqlite
def test_processes_write_beside_each_other_and_lose_nothing(store: Store, start: Start) -> None:
    contenders = [start("count", "150") for _ in range(2)]
    for _ in range(50):
        with store.write() as unit:
            unit.secrets.put("count", str(int(unit.secrets.find("count") or 0) + 1).encode())
    assert [contender.hear() for contender in contenders] == ["counted", "counted"]
    assert written(store, "count") == b"350"


@on_sqlite
def test_processes_that_spend_of_one_limit_never_spend_more_than_it(store: Store, start: Start) -> None:
    contenders = [start("spend", "80") for _ in range(2)]
    spent = [int(contender.hear()) for contender in contenders]
    assert sum(spent) == 100
    assert min(spent) > 0


def test_processes_write_one_chain_of_what_was_done(
    store: Store, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = start("change", "20")
    monkeypatch.setenv("ANOTHER_HOST", "node2")
    contenders = [first, start("change", "20"), start("change", "20")]
    assert [contender.hear() for contender in contenders] == ["changed"] * 3
    with store.read() as unit:
        told = unit.trail.list(Wanted(kind=SubjectKind.WINDOW), limit=1000)
        assert len(told) == 60
        assert len({entry.actor.name for entry in told}) == 2
        assert not list(Verification().faults(unit.trail.whole()))


def test_who_is_killed_leaves_a_change_with_its_entry_or_neither(store: Store, start: Start) -> None:
    for _ in range(5):
        contender = start("change", "100000")
        with store.read() as unit:
            before = len(unit.windows.list())
        while len(_windows(store)) < before + 5:
            time.sleep(0.005)
        contender.kill()
        with store.read() as unit:
            told = unit.trail.list(Wanted(action=Action.ADDED, kind=SubjectKind.WINDOW), limit=100_000)
            assert len(told) == len(unit.windows.list())
            assert not list(Verification().faults(unit.trail.whole()))


def _windows(store: Store) -> Sequence[MaintenanceWindow]:
    with store.read() as unit:
        return unit.windows.list()


def test_a_lease_excludes_other_processes(store: Store, start: Start) -> None:
    contenders = [start("take-turns", "25") for _ in range(2)]
    assert [contender.hear() for contender in contenders] == ["done", "done"]
    assert written(store, "turns") == b"50"
    with store.lease("organisation:shared") as lease:
        assert lease.epoch == 51


@on_sqlite
def test_a_second_process_is_told_who_works(store: Store, start: Start) -> None:
    holder = start("hold", NAME, "3600")
    assert holder.hear() == "held 1"
    with pytest.raises(LeaseHeld) as caught, store.lease(NAME):
        pytest.fail("unreachable")
    assert caught.value.holder.startswith(f"process {holder.process.pid} on ")
    assert holder.ask("write mine") == "ok"


def test_the_lease_of_a_killed_process_is_free_at_once(store: Store, start: Start) -> None:
    holder = start("hold", NAME, "3600")
    assert holder.hear() == "held 1"
    holder.kill()
    with store.lease(NAME) as lease:
        assert lease.epoch == 2


@on_postgresql
def test_the_lease_of_a_node_that_was_killed_is_free_when_it_expires(
    store: Store, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANOTHER_HOST", "node2")
    holder = start("hold", NAME, "3")
    assert holder.hear() == "held 1"
    holder.kill()
    with pytest.raises(LeaseHeld) as caught, store.lease(NAME):
        pytest.fail("unreachable")
    assert caught.value.holder.startswith(f"process {holder.process.pid} on node2")
    take_when_free(store)


@on_postgresql
def test_processes_go_on_when_the_server_is_back(store: Store, start: Start, postgres: Postgres) -> None:
    holder, counter = start("hold", NAME, "3600"), start("count", "300")
    assert holder.hear() == "held 1"
    assert holder.ask("write before") == "ok"
    while not written(store, "count"):
        time.sleep(0.01)
    postgres.restart()
    assert holder.ask("check") == "ok"
    assert holder.ask("write after") == "ok"
    assert counter.hear() == "counted"
    assert written(store, "count") == b"300"


def test_a_process_that_was_frozen_and_overtaken_writes_nothing_more(store: Store, start: Start) -> None:
    holder = start("hold", NAME, "3")
    assert holder.hear() == "held 1"
    assert holder.ask("write before") == "ok"
    holder.signal(signal.SIGSTOP)
    take_when_free(store)
    with store.lease(NAME) as lease:
        holder.signal(signal.SIGCONT)
        assert holder.ask("write zombie").startswith("lost: This run has lost its hold")
        assert holder.ask("check").startswith("lost: ")
        with store.write(lease) as unit:
            assert unit.secrets.get("written") == b"before"
            unit.secrets.put("written", b"after")
    assert holder.ask("write zombie").startswith("lost: ")
    assert written(store, "written") == b"after"


@on_sqlite
def test_a_process_that_was_frozen_and_not_overtaken_goes_on(store: Store, start: Start) -> None:
    holder = start("hold", NAME, "3600")
    assert holder.hear() == "held 1"
    holder.signal(signal.SIGSTOP)
    with pytest.raises(LeaseHeld), store.lease(NAME):
        pytest.fail("unreachable")
    holder.signal(signal.SIGCONT)
    assert holder.ask("write after") == "ok"


def test_a_process_killed_inside_a_transaction_leaves_nothing_of_it(store: Store, start: Start) -> None:
    holder = start("hold", NAME, "3600")
    assert holder.hear() == "held 1"
    assert holder.ask("write before") == "ok"
    assert holder.ask("begin") == "begun"
    assert written(store, "written") == b"before"
    holder.kill()
    with store.lease(NAME) as lease, store.write(lease) as unit:
        assert unit.secrets.get("written") == b"before"
        unit.secrets.put("written", b"after")
    assert written(store, "written") == b"after"


@on_sqlite
def test_a_process_killed_while_writing_leaves_the_store_whole(settings: Settings, store: Store, start: Start) -> None:
    told = 0
    for commits in (1, 3, 10, 30):
        writer = start("write-pairs")
        for _ in range(commits):
            told = int(writer.hear())
        writer.kill()
        left, right = written(store, "left"), written(store, "right")
        assert left == right
        assert int(left or 0) >= told
    assert execute(settings, "PRAGMA integrity_check") == [("ok",)]
