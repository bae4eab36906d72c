"""Whether the service can do its work: the store takes what is written, and the worker looks at the schedule."""

import logging
import threading
import time
from collections.abc import Iterator

from certwright.domain.errors import StoreError
from certwright.engine.tally import Tally
from certwright.store import Store

log = logging.getLogger("certwright")
_UNTRIED = "it has not been tried yet"
EVERY_SECONDS = 10.0
"""How often the store is tried."""
LATE_SECONDS = 20.0
"""How long a try may take; one that waits for another writer, or for a server that is away, takes half a minute."""
STALLED_SECONDS = 90.0
"""The worker looks at the schedule every 15 seconds, and waits for a store that is away no longer than 30."""


class Readiness:
    """Tries the store again and again; what it found is known at once to whoever asks."""

    def __init__(self, store: Store, tally: Tally) -> None:
        self._store = store
        self._tally = tally
        self._failure = _UNTRIED
        self._began_at: float | None = None

    def run(self, stop: threading.Event) -> None:
        """Try the store until `stop` is set."""
        while not stop.is_set():
            before = self._failure
            self.look()
            if self._failure and self._failure != before:
                log.warning("Not ready: %s", self._failure)
            elif before not in ("", _UNTRIED) and not self._failure:
                log.info("Ready: the store takes what is written.")
            stop.wait(EVERY_SECONDS)

    def look(self) -> None:
        """Try it once."""
        self._began_at = time.monotonic()
        try:
            self._store.touch()
        except StoreError as error:
            self._failure = error.message
        else:
            self._failure = ""
        self._began_at = None

    def reasons(self) -> Iterator[str]:
        """Why it is not ready, in sentences; none if it is."""
        if self._failure:
            yield f"The store cannot be used: {self._failure.rstrip('.')}."
        began_at = self._began_at
        if began_at is not None and (waited := time.monotonic() - began_at) > LATE_SECONDS:
            yield f"The store has not taken what is written for {waited:.0f} seconds."
        if (idle := self._tally.idle) > STALLED_SECONDS:
            yield f"The worker has not looked at the schedule for {idle:.0f} seconds."
