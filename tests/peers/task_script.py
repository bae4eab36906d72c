"""A program that writes down when it was run, as the peer of `script`."""

import datetime as dt
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from certwright.sdk.context import Credential, Material, TaskContext
from certwright.sdk.params import read_params
from certwright.sdk.places import Places
from certwright.tasks.script import Params, Script
from peers.exchange_task import Authority
from peers.task_peer import SECRET, TaskPeer
from world.scripts import Scripts


class ScriptPeer(TaskPeer):
    """What a program did is a line in a file."""

    def __init__(self, folder: Path) -> None:
        super().__init__(Authority())
        self.scripts = Scripts.written(folder)
        self._lines: list[str] = []

    def task(self, version: Material | None, *earlier: Material, guard: Callable[[], None] = lambda: None) -> Script:
        """The task that runs it."""
        context = TaskContext(
            certificate_title="Contoso mail",
            version=version,
            predecessors=earlier,
            credentials=lambda name: Credential(name, "postmaster", SECRET),
            memory=self.memory,
            journal=self.journal,
            now=lambda: dt.datetime.now(dt.UTC),
            guard=guard,
            places=Places((self.scripts.folder,)),
        )
        return Script(read_params(Params, self.scripts.params("it", credential="own"), "the task"), context)

    def state(self) -> object:
        """All runs."""
        self._lines += self.scripts.ran
        return tuple(self._lines)

    def break_(self) -> None:
        """The program fails."""
        self.scripts.break_("it")

    def mend(self) -> None:
        """The program succeeds."""
        self.scripts.mend()


@contextmanager
def serve(folder: Path) -> Iterator[TaskPeer]:
    """Until the block ends."""
    yield ScriptPeer(folder)
