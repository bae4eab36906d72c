"""The store and its units of work."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from types import TracebackType
from typing import Self

from sqlalchemy import Connection

from certwright.store import leases
from certwright.store.answers import Answers
from certwright.store.credentials import Credentials
from certwright.store.crypto import Cipher
from certwright.store.database import Database
from certwright.store.deployments import Deployments
from certwright.store.events import Events
from certwright.store.issuers import Issuers
from certwright.store.leases import Lease
from certwright.store.managed import Managed
from certwright.store.orders import Orders
from certwright.store.processes import Holder
from certwright.store.runs import Runs
from certwright.store.secrets import Secrets
from certwright.store.versions import Versions


class UnitOfWork:
    """All aggregates, within one transaction."""

    def __init__(self, connection: Connection, cipher: Cipher) -> None:
        self.secrets = Secrets(connection, cipher)
        self.issuers = Issuers(connection, self.secrets)
        self.managed = Managed(connection, self.secrets)
        self.versions = Versions(connection, self.secrets)
        self.orders = Orders(connection, self.secrets)
        self.credentials = Credentials(connection, self.secrets)
        self.runs = Runs(connection)
        self.answers = Answers(connection)
        self.deployments = Deployments(connection)
        self.events = Events(connection)


class Store:
    """An open store. Any thread may use it; each unit of work belongs to one thread."""

    def __init__(self, database: Database, cipher: Cipher) -> None:
        self._database = database
        self._cipher = cipher
        self._holder = Holder.here()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the files."""
        self._database.close()

    @contextmanager
    def read(self) -> Iterator[UnitOfWork]:
        """A unit of work that sees one moment and writes nothing.

        Raises:
            StoreError: if the store cannot be used.
        """
        with self._database.read() as connection:
            yield UnitOfWork(connection, self._cipher)

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
            yield UnitOfWork(connection, self._cipher)

    def lease(self, name: str, *, ttl: timedelta = leases.TTL) -> AbstractContextManager[Lease]:
        """The right to work on `name`, such as `certificate:<id>`, kept alive until the block ends.

        Raises:
            LeaseHeld: at once, if another run holds it.
        """
        return leases.hold(self._database, name, self._holder, ttl)
