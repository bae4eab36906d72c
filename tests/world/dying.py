"""Processes that kill themselves, as a power cut would, at a chosen boundary. The product has no hooks for this."""

import os
import signal
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, event

from certwright.acme import https_transport
from certwright.domain.access import Caller
from certwright.domain.runs import Entry
from certwright.engine.context import Engine
from certwright.engine.deploy import deploy as put
from certwright.engine.issuers import add_issuer
from certwright.engine.looks import look_at_due
from certwright.engine.notify import deliver
from certwright.engine.renew import renew as do_renew
from certwright.engine.request import request as ask
from certwright.settings import Settings
from certwright.store import Store
from certwright.store.database import Database
from certwright.wiring import open_engine
from world.hurry import hurried


class Boundary(StrEnum):
    """What a process is about to do when it dies, or has just done."""

    ENTRY = "an entry of the journal was said: the beginning of a step is on disk then"
    EFFECT = "before something lasts: a transaction is committed, or the authority is asked"


@dataclass(slots=True)
class Death:
    """The ``nth`` time that this boundary is reached is the last; of entries those count in which `words` stand."""

    boundary: Boundary
    nth: int
    words: str = ""
    _seen: int = field(default=0, init=False)

    def reached(self, boundary: Boundary, said: str = "") -> None:
        """Die, if it is this one's turn."""
        if boundary is self.boundary and self.words in said:
            self._seen += 1
            if self._seen == self.nth:
                os.kill(os.getpid(), signal.SIGKILL)


def request(reference: str, death: Death) -> None:
    """Request a certificate."""
    with _engine(death) as engine:
        ask(engine, reference)


def register(name: str, params: Mapping[str, Any], death: Death) -> None:
    """Add an issuer."""
    with _engine(death) as engine:
        add_issuer(engine, "acme", name, dict(params), internal_names=True, eab=None)


def deploy(reference: str, death: Death, by: Caller | None = None) -> None:
    """Run the deployment tasks, as this person who looks on; an exit code that is not 0 says that one failed."""
    with hurried(), _engine(death) as engine:
        results = put(engine.acting(by), reference, attended=True) if by else put(engine, reference)
    if failed := [result.error for result in results if result.error]:
        raise SystemExit("\n".join(line for error in failed for line in error.explain()))


def renew(reference: str, death: Death) -> None:
    """Request what is due, and run the tasks."""
    with _engine(death) as engine:
        do_renew(engine, reference)


def notify(death: Death) -> None:
    """Send the notifications that are due."""
    with _engine(death) as engine:
        deliver(engine)


def look(death: Death) -> None:
    """Look at what is due to be looked at."""
    with hurried(), _engine(death) as engine:
        look_at_due(engine)


@contextmanager
def _engine(death: Death) -> Iterator[Engine]:
    def listen(entry: Entry) -> None:
        if entry.run_id:  # others are shown and not kept
            death.reached(Boundary.ENTRY, entry.title)

    engine = open_engine(Settings.locate(None, os.environ), listen)
    hurry(engine.store)
    _watch_database(engine.store._database, death)
    _watch_transport(death)
    try:
        yield engine
    finally:
        engine.store.close()


def hurry(store: Store) -> None:
    """Leave it to the system when a SQLite file is on the disk: a kill spares what is still to be written."""
    database = store._database

    @event.listens_for(database._engine, "connect")
    def _connected(connection: sqlite3.Connection, _record: object) -> None:
        connection.execute("PRAGMA synchronous = OFF")

    database._engine.dispose()


def _watch_database(database: Database, death: Death) -> None:
    class Dying(Database):
        @contextmanager
        def write(self) -> Iterator[Connection]:
            with super().write() as connection:
                yield connection
                death.reached(Boundary.EFFECT)

    database.__class__ = Dying


def _watch_transport(death: Death) -> None:
    class Dying(https_transport.HttpsTransport):
        def request(self, *arguments: Any, **options: Any) -> Any:
            death.reached(Boundary.EFFECT)
            return super().request(*arguments, **options)

    https_transport.HttpsTransport = Dying  # type: ignore[misc]  # a class is replaced
