"""What is said on one connection to a listener."""

from collections.abc import Callable
from typing import Protocol

Lookup = Callable[[str], str | None]
"""The answer that the store has under a key, if there is one; raises if the store fails."""


class Conversation(Protocol):
    """One peer's questions and our answers; it neither waits nor touches a socket."""

    is_over: bool
    """Whether all is said: the peer may read it to the end, and is heard no more."""

    def hear(self, data: bytes) -> bytes:
        """What is said to `data`; it raises nothing, whatever that is."""
        ...
