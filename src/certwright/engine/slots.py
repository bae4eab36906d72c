"""How much is done at once: so many places for each authority and DNS provider, within this process.

A target needs none: whoever changes it holds its lease, over all processes.
"""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType

MOST = MappingProxyType({"authority": 8, "dns": 4})
"""Places by kind of what is worked with: orders in flight at an authority, calls of a DNS provider."""


class Slots:
    """Places to work with something, by names such as `authority:letsencrypt`; who finds none free waits."""

    def __init__(self, most: Mapping[str, int] = MOST) -> None:
        self._most = most
        self._places: dict[str, threading.Semaphore] = {}
        self._lock = threading.Lock()

    @contextmanager
    def taken(self, name: str) -> Iterator[None]:
        """A place at `name` while the block runs."""
        with self._lock:
            place = self._places.setdefault(name, threading.Semaphore(self._most[name.partition(":")[0]]))
        with place:
            yield


places = Slots()
"""Those of this process."""
