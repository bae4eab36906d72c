"""Watches ports without pause, as clients would notice: is a valid certificate for the name served all the time?"""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from certwright.probe import StartTls, Target, probe

_STARTTLS: dict[int, StartTls] = {25: "smtp", 587: "smtp", 143: "imap", 110: "pop3"}


@dataclass(slots=True)
class Watcher:
    """What was seen. A port may refuse while its service restarts; what it serves must always be valid.

    `gaps` are samples without a certificate, `faults` samples with one that a client would refuse, `seen` the
    certificates of each place in the order of their first appearance.
    """

    name: str
    ports: Mapping[tuple[str, int], tuple[str, int]]
    samples: int = 0
    gaps: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    seen: dict[tuple[str, int], list[str]] = field(default_factory=dict)
    rounds: int = 0

    def look(self) -> None:
        """One sample of every port."""
        for place, (host, port) in self.ports.items():
            target = Target(host, port, _STARTTLS.get(place[1]), server_name=self.name)
            found = probe(target, timeout=5)
            self.samples += 1
            if found.leaf is None:
                self.gaps.append(f"{place}: {found.failure.message if found.failure else 'nothing'}")
                continue
            known = self.seen.setdefault(place, [])
            if found.leaf.sha256 not in known[-1:]:
                known.append(found.leaf.sha256)
            if not (found.leaf.is_valid_at(datetime.now(UTC)) and found.leaf.covers(self.name)):
                self.faults.append(f"{place}: {found.leaf.subject} until {found.leaf.not_after}")
        self.rounds += 1


@contextmanager
def watching(name: str, ports: Mapping[tuple[str, int], tuple[str, int]]) -> Iterator[Watcher]:
    """Look at all `ports` over and over until the block ends, and once more then."""
    watcher, over = Watcher(name, ports), threading.Event()

    def watch() -> None:
        while not over.is_set():
            watcher.look()
            over.wait(0.05)

    thread = threading.Thread(target=watch, name="watcher")
    watcher.look()
    thread.start()
    try:
        yield watcher
    finally:
        over.set()
        thread.join(60)
    watcher.look()
