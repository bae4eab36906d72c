"""Several nodes on one PostgreSQL: services that are begun, killed, frozen, thawed, and ended."""

import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import Select, distinct, func, select

from certwright.engine.context import Engine
from certwright.store.schema import leases, runs, versions
from peers.postgres import Postgres
from world.processes import Ended, Running
from world.site import Site

WORKERS = 4
_LEASE = "certificate:"
_SECONDS = 60


@dataclass
class Node:
    """One machine, with its service."""

    site: Site
    running: Running = field(init=False)

    def begin(self) -> None:
        """Start the service."""
        self.running = self.site.begin("serve", "--workers", str(WORKERS))

    def kill(self) -> None:
        """Kill it, as a power cut would, and start it anew."""
        self.tell(signal.SIGKILL)
        assert self.running.wait().code == -signal.SIGKILL
        self.begin()

    def vanish(self) -> int:
        """Kill it for good; the number that its process had."""
        pid = self.running.pid
        self.tell(signal.SIGKILL)
        assert self.running.wait().code == -signal.SIGKILL
        return pid

    def tell(self, number: signal.Signals) -> None:
        """Send it a signal: with SIGSTOP it stands still, with SIGCONT it goes on as if nothing had happened."""
        os.kill(self.running.pid, number)

    def end(self) -> Ended:
        """Have it finish what is under way, and end."""
        self.tell(signal.SIGTERM)
        return self.running.wait(_SECONDS)


@dataclass(frozen=True)
class Nodes:
    """All of them, and an engine that looks at their store."""

    all: Sequence[Node]
    engine: Engine

    def issued(self) -> int:
        """How many managed certificates have a version."""
        return self._number(select(func.count(distinct(versions.c.managed_id))))

    def versions(self) -> int:
        """How many versions there are."""
        return self._number(select(func.count()).select_from(versions))

    def _number(self, query: Select[int]) -> int:
        with self.engine.store.read() as unit:
            return unit.managed.connection.execute(query).scalar_one()

    def runs_of(self, pid: int) -> set[str]:
        """The runs that are open under a lease of this process."""
        mine = (leases.c.pid == pid) & leases.c.expires_at.is_not(None)
        is_open = runs.c.ended_at.is_(None) & (leases.c.name == _LEASE + runs.c.managed_id)
        with self.engine.store.read() as unit:
            return set(unit.runs.connection.scalars(select(runs.c.id).where(mine & is_open)))

    def until(self, is_so: Callable[[], bool], seconds: float) -> None:
        """Wait for something to come about, while no service ends."""
        end = time.monotonic() + seconds
        while not is_so():
            assert time.monotonic() < end, f"it did not come about in time; {self.issued()} are issued"
            assert all(node.running.is_alive for node in self.all), "a service has ended"
            time.sleep(0.02)


@contextmanager
def nodes(folder: Path, postgres: Postgres, count: int = 2) -> Iterator[Nodes]:
    """So many nodes on a new store, of which the first makes it and the others are given its master key."""
    url = postgres.schema()
    made = [Node(Site(folder / f"node{number}", store_url=url)) for number in range(count)]
    first = made[0].site
    for node in made:
        node.site.folder.mkdir()
        if node.site is first:
            first.initialise()
        else:
            shutil.copytree(first.folder / "keys", node.site.folder / "keys")
    with first.engine() as engine:
        try:
            yield Nodes(made, engine)
        finally:
            for node in made:
                with suppress(AttributeError, ValueError, ProcessLookupError):  # it never began, or has ended
                    node.tell(signal.SIGKILL)
