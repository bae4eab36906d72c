"""A simulated Exchange organisation of one server, as the peer of `exchange`."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from certwright.exchange_simulator import Fail
from certwright.sdk.context import Material
from certwright.tasks.exchange import Exchange
from peers.exchange_task import World, world
from peers.task_peer import SECRET, TaskPeer


class ExchangePeer(TaskPeer):
    """What is served on each port counts; certificates that were imported may stay."""

    def __init__(self, organisation: World) -> None:
        super().__init__(organisation.authority)
        self.world = organisation
        organisation.memory, organisation.journal = self.memory, self.journal

    def task(self, version: Material | None, *earlier: Material, guard: Callable[[], None] = lambda: None) -> Exchange:
        """The task that deploys to it."""
        assert version is not None
        made = self.world.task(version, earlier, password=SECRET)
        made.context = replace(made.context, guard=guard)
        return made

    def state(self) -> object:
        """What each port serves."""
        return self.world.served()

    def break_(self) -> None:
        """No service can be assigned."""
        self.world.first.faults.inject(Fail("The disk is full.", terminating=True), "Enable-ExchangeCertificate", nth=2)

    def mend(self) -> None:
        """All is well."""
        self.world.first.faults.heal()


@contextmanager
def serve(folder: Path) -> Iterator[TaskPeer]:
    """Until the block ends."""
    with world(folder) as organisation:
        yield ExchangePeer(organisation)
