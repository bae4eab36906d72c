"""The store and its units of work."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

from sqlalchemy import Connection, delete, insert

from certwright.domain.errors import StoreError
from certwright.store import backup, integrity, leases, schema
from certwright.store.answers import Answers
from certwright.store.backup import Backup
from certwright.store.credentials import Credentials
from certwright.store.database import Database
from certwright.store.deployments import Deployments
from certwright.store.events import Events
from certwright.store.healths import Healths
from certwright.store.heartbeat import Heartbeat
from certwright.store.issuers import Issuers
from certwright.store.keys import Keys
from certwright.store.leases import Lease
from certwright.store.ledger import Ledger
from certwright.store.listing import Listing
from certwright.store.looks import SeenLooks
from certwright.store.managed import Managed
from certwright.store.notices import Notices
from certwright.store.orders import Orders
from certwright.store.outbox import Outbox
from certwright.store.people import People
from certwright.store.processes import Holder
from certwright.store.records import Records
from certwright.store.renewals import Renewals
from certwright.store.runs import Runs
from certwright.store.secrets import Secrets
from certwright.store.tokens import Tokens
from certwright.store.versions import Versions
from certwright.store.watches import Watches
from certwright.store.windows import Windows


class UnitOfWork:
    """All aggregates, within one transaction."""

    def __init__(self, connection: Connection, keys: Keys) -> None:
        self.secrets = secrets = Secrets(connection, keys)
        self.issuers = Issuers(connection, secrets)
        self.managed = Managed(connection, secrets)
        self.listing = Listing(connection)
        self.renewals = Renewals(connection)
        self.looks = SeenLooks(connection)
        self.healths = Healths(connection)
        self.versions = Versions(connection, secrets)
        self.orders = Orders(connection, secrets)
        self.credentials = Credentials(connection, secrets)
        self.runs = Runs(connection)
        self.answers = Answers(connection)
        self.deployments = Deployments(connection)
        self.events = Events(connection)
        self.records = Records(connection)
        self.ledger = Ledger(connection)
        self.watches = Watches(connection)
        self.windows = Windows(connection)
        self.tokens = Tokens(connection)
        self.people = People(connection)
        self.notices = Notices(connection)
        self.outbox = Outbox(connection)
        self.leases = leases.LeaseRows(connection)


class Store:
    """An open store. Any thread may use it; each unit of work belongs to one thread.

    Attributes:
        id: which store it is.
        heartbeat: renews the leases, and what else is to be done now and then while a run goes on.
    """

    def __init__(self, database: Database, keys: Keys, store_id: str) -> None:
        self.id = store_id
        self._database = database
        self._keys = keys
        self._holder = Holder.here()
        self.heartbeat = Heartbeat()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @property
    def is_shared(self) -> bool:
        """Whether nodes on other hosts may use it too."""
        return self._database.backend.is_shared

    def close(self) -> None:
        """Close the files, or the connections."""
        self._database.close()

    @contextmanager
    def read(self) -> Iterator[UnitOfWork]:
        """A unit of work that sees one moment and writes nothing.

        Raises:
            StoreError: if the store cannot be used.
        """
        with self._database.read() as connection:
            yield UnitOfWork(connection, self._keys)

    @contextmanager
    def write(self, *held: Lease) -> Iterator[UnitOfWork]:
        """A unit of work that is committed, on disk, when its block ends well. Keep it short: one writes at a time.

        Args:
            held: the leases under which the writing run works.

        Raises:
            LeaseLost: if one of them is ours no more; nothing is written.
            StoreError: if the store cannot be used, or is busy for half a minute.
        """
        with self._database.write() as connection:
            for lease in held:
                lease.verify(connection)
            yield UnitOfWork(connection, self._keys)

    def back_up(self, target: Path, at: datetime) -> Backup:
        """Write a backup to the new file `target`, and read it back; one process at a time.

        Raises:
            LeaseHeld: if another run makes a backup.
            StoreError: if it cannot be written, or does not hold what was written.
        """
        with self.lease("backup"):
            return backup.write(self._database, self._keys, target, at)

    def touch(self) -> None:
        """Write a row onto the disk and take it away at once: what proves that the store can be used.

        Raises:
            StoreError: if it cannot be, or is busy for half a minute.
        """
        with self._database.write() as connection:
            connection.execute(insert(schema.memory).values(task_id="", key="touch", value=""))
            connection.execute(delete(schema.memory).where(schema.memory.c.task_id == ""))

    @property
    def revision(self) -> str:
        """Of the schema: an open store is always at the newest that this version knows."""
        return schema.REVISION

    def damages(self) -> list[str]:
        """What is wrong with the file, in SQLite's words; quick enough for a service that starts."""
        with self._database.read() as connection:
            return list(integrity.damages(connection))

    def problems(self) -> list[str]:
        """All that can be found wrong: the file, its indexes and references, and secrets that cannot be decrypted."""
        with self._database.read() as connection:
            found = list(integrity.problems(connection))
            unreadable = list(Secrets(connection, self._keys).unreadable())
        return [*found, *(f"the secret {name} cannot be decrypted" for name in unreadable)]

    def rows(self) -> Mapping[str, int]:
        """How many rows each table has."""
        with self._database.read() as connection:
            return integrity.rows(connection)

    @contextmanager
    def lease(
        self, name: str, *, ttl: timedelta = leases.TTL, first: Callable[[UnitOfWork], None] = lambda _: None
    ) -> Iterator[Lease]:
        """The right to work on `name`, such as `certificate:<id>`, kept alive until the block ends.

        Args:
            name: on what.
            ttl: how long it outlives a holder that does not renew it.
            first: what is written in the same transaction as the lease.

        Raises:
            LeaseHeld: at once, if another run holds it.
        """

        def begin(connection: Connection) -> None:
            first(UnitOfWork(connection, self._keys))

        lease = Lease(self._database, name, self._holder, ttl, begin)
        try:
            with self.heartbeat.beating(lease.renew, lease.beat_seconds):
                yield lease
        finally:
            with suppress(StoreError):  # it expires by itself, and this process will be seen to be gone
                lease.release()
