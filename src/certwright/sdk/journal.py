"""The journal of a run: the one side channel, from which logs and live progress are made."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol


class Step(Protocol):
    """A step that is under way."""

    def note(self, message: str) -> None:
        """Say something worth reading later; never a secret."""
        ...

    def skip(self, reason: str) -> None:
        """Close the step as skipped when its block ends, with the reason."""
        ...


class Journal(Protocol):
    """Where a run tells what it does."""

    def step(self, title: str) -> AbstractContextManager[Step]:
        """A step that ends with the block: done, or failed with the error that left it. Steps may nest."""
        ...

    def note(self, message: str) -> None:
        """Say something outside any step; never a secret."""
        ...


class _Silent:
    def note(self, message: str) -> None:
        """Nobody listens."""

    def skip(self, reason: str) -> None:
        """Nobody listens."""


class SilentJournal:
    """A journal that nobody reads: for probes and previews."""

    @contextmanager
    def step(self, title: str) -> Iterator[Step]:  # noqa: ARG002 - the interface
        """A step that leaves no trace."""
        yield _Silent()

    def note(self, message: str) -> None:
        """Nobody listens."""
