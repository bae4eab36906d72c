"""How much is done at once: so many places for each authority and DNS provider, over all nodes of a store.

A target needs none: whoever changes it holds its lease, over all processes.
"""

import random
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from types import MappingProxyType

from certwright.domain.errors import LeaseHeld
from certwright.store import Store
from certwright.store.leases import PLACE

MOST = MappingProxyType({"authority": 8, "dns": 4})
"""Places by kind of what is worked with: orders in flight at an authority, calls of a DNS provider."""
_AGAIN_SECONDS = 0.5


class Slots:
    """Places to work with something, by names such as `authority:letsencrypt`; who finds none free waits.

    Those of a process are counted by the process; where nodes share a store, each is a lease besides.
    """

    def __init__(self, most: Mapping[str, int] = MOST) -> None:
        self._most = most
        self._places: dict[str, threading.Semaphore] = {}
        self._lock = threading.Lock()

    @contextmanager
    def taken(self, store: Store, name: str) -> Iterator[None]:
        """A place at `name` while the block runs."""
        most = self._most[name.partition(":")[0]]
        with self._lock:
            place = self._places.setdefault(name, threading.Semaphore(most))
        with place, _shared(store, name, most) if store.is_shared else nullcontext():
            yield


@contextmanager
def _shared(store: Store, name: str, most: int) -> Iterator[None]:
    """One of the places of all nodes while the block runs."""
    names = [f"{PLACE}{name}:{number}" for number in range(most)]
    with ExitStack() as stack:
        while not _take(stack, store, names):
            time.sleep(_AGAIN_SECONDS)
        yield


def _take(stack: ExitStack, store: Store, names: list[str]) -> bool:
    with store.read() as unit:
        held = unit.leases.unreleased(names)
    free = [name for name in names if name not in held]
    for name in free or [random.choice(names)]:  # noqa: S311 - one may be a dead node's
        with suppress(LeaseHeld):
            stack.enter_context(store.lease(name))
            return True
    return False


places = Slots()
"""Those of this process."""
