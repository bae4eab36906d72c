"""What a kind of task is tried against by the contract: one module `task_NAME.py` for each, with `serve(folder)`."""

import importlib
import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import peers
from certwright.sdk.context import Material
from certwright.sdk.task import Task
from peers.exchange_task import PASSWORD, Authority, MemoryInMemory, Notes

SECRET = PASSWORD
"""What the task signs in with."""


class TaskPeer(ABC):
    """The world of one kind of task; it outlives the tasks made in it, as the target and the store do."""

    def __init__(self, authority: Authority) -> None:
        self.authority = authority
        self.memory = MemoryInMemory()
        self.journal = Notes()

    @abstractmethod
    def task(self, version: Material | None, *earlier: Material, guard: Callable[[], None] = lambda: None) -> Task[Any]:
        """A task of this kind as a run would make it, with what earlier runs have left in its memory."""

    @abstractmethod
    def state(self) -> object:
        """What the target is like, comparable: as far as a task may have to put it back."""

    @abstractmethod
    def break_(self) -> None:
        """Have the target refuse whatever is wanted of it next."""

    @abstractmethod
    def mend(self) -> None:
        """Have it do what is wanted again."""


Serve = Callable[[Path], AbstractContextManager[TaskPeer]]


def served() -> Mapping[str, Serve]:
    """The peers there are, by the kind of task."""
    names = [
        m.name for m in pkgutil.iter_modules(peers.__path__) if m.name.startswith("task_") and m.name != "task_peer"
    ]
    return {name.removeprefix("task_"): importlib.import_module(f"peers.{name}").serve for name in names}
