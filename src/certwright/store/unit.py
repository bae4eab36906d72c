"""The store and its units of work."""

import copy
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

from sqlalchemy import Connection, delete, insert

from certwright.domain.access import Caller, at_the_command_line
from certwright.domain.errors import StoreError
from certwright.store import backup, identity, integrity, leases, rotation, schema
from certwright.store.answers import Answers
from certwright.store.audit import Trail
from certwright.store.backup import Backup
from certwright.store.credentials import Credentials
from certwright.store.database import Database
from certwright.store.deployments import Deployments
from certwright.store.events import Events
from certwright.store.healths import Healths
from certwright.store.heartbeat import Heartbeat
from certwright.store.issuers import Issuers
from certwright.store.jobs import Jobs
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
from certwright.store.processes import Holder, user
from certwright.store.records import Records
from certwright.store.renewals import Renewals
from certwright.store.repeats import Repeats
from certwright.store.runs import Runs
from certwright.store.scope import Scope
from certwright.store.secrets import Secrets
from certwright.store.tokens import Tokens
from certwright.store.versions import Versions
from certwright.store.watches import Watches
from certwright.store.windows import Windows


class UnitOfWork:
    """All aggregates, within one transaction.

    Those of what is wanted, and of who may do what, write the `trail`; all that is said of managed certificates is
    limited to what the caller sees.
    """

    def __init__(self, connection: Connection, secrets: Secrets, trail: Trail) -> None:
        self.trail, scope = trail, Scope(trail.caller.tags)
        self.secrets = secrets
        self.issuers = Issuers(connection, secrets, trail)
        self.managed = Managed(connection, secrets, trail, scope)
        self.listing = Listing(connection, scope)
        self.renewals = Renewals(connection)
        self.looks = SeenLooks(connection)
        self.healths = Healths(connection, scope)
        self.versions = Versions(connection, secrets)
        self.orders = Orders(connection, secrets)
        self.credentials = Credentials(connection, secrets, trail, scope)
        self.runs = Runs(connection, scope)
        self.answers = Answers(connection)
        self.deployments = Deployments(connection)
        self.events = Events(connection, scope)
        self.records = Records(connection)
        self.ledger = Ledger(connection)
        self.watches = Watches(connection, trail, scope)
        self.windows = Windows(connection, trail, scope)
        self.tokens = Tokens(connection, trail)
        self.people = People(connection, secrets, trail)
        self.notices = Notices(connection, trail)
        self.outbox = Outbox(connection)
        self.jobs = Jobs(connection)
        self.repeats = Repeats(connection, secrets)
        self.leases = leases.LeaseRows(connection)


class Store:
    """An open store. Any thread may use it; each unit of work belongs to one thread.

    Attributes:
        id: which store it is.
        caller: who reads and writes by it; at first the user of the operating system.
        conditions: are looked at before the next write, and raise if it must not be.
        heartbeat: renews the leases, and what else is to be done now and then while a run goes on.
    """

    def __init__(self, database: Database, keys: Keys, store_id: str) -> None:
        self.id = store_id
        self.caller = at_the_command_line(user())
        self._database = database
        self._keys = keys
        self._holder = Holder.here()
        self.heartbeat = Heartbeat()
        self.conditions: list[Callable[[UnitOfWork], None]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def acting(self, caller: Caller) -> Self:
        """The same store, read and written by somebody else."""
        acting = copy.copy(self)
        acting.caller = caller
        return acting

    def provided(self, condition: Callable[[UnitOfWork], None]) -> Self:
        """The same store; what `condition` raises ends the next transaction that writes, before it has written."""
        provided = copy.copy(self)
        provided.conditions = [*self.conditions, condition]
        return provided

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
            yield self._unit(connection)

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
            unit = self._unit(connection)
            while self.conditions:
                self.conditions.pop()(unit)
            yield unit

    def back_up(self, target: Path, at: datetime) -> Backup:
        """Write a backup to the new file `target`, and read it back; one process at a time.

        Raises:
            LeaseHeld: if another run makes a backup.
            StoreError: if it cannot be written, or does not hold what was written.
        """
        with self.lease("backup"):
            return backup.write(self._database, self._keys, target, at)

    @property
    def wrapping(self) -> str:
        """Names the recovery key that the store has now: another one gives another name, and it tells nothing of it."""
        with self._database.read() as connection:
            return identity.read(connection, self._database.backend.name).wrapping

    def confirm_recovery_key(self, recovery_key: str) -> str:
        """The `wrapping`, if this is the recovery key that the store has now.

        Raises:
            StoreError: if it is mistyped, or another one.
        """
        with self._database.read() as connection:
            own = identity.read(connection, self._database.backend.name)
        rotation.confirmed(recovery_key, own)
        return own.wrapping

    @property
    def left_over_key(self) -> Path | None:
        """What a change of keys that was killed before it changed anything has left beside the master key."""
        with self._database.read() as connection:
            return self._keys.left_over(connection)

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
            first(self._unit(connection))

        lease = Lease(self._database, name, self._holder, ttl, begin)
        try:
            with self.heartbeat.beating(lease.renew, lease.beat_seconds):
                yield lease
        finally:
            with suppress(StoreError):  # it expires by itself, and this process will be seen to be gone
                lease.release()

    def _unit(self, connection: Connection) -> UnitOfWork:
        secrets = Secrets(connection, self._keys)
        return UnitOfWork(connection, secrets, Trail(connection, self.caller, self._database.backend.now, secrets))
