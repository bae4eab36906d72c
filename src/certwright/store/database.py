"""Short transactions, one writer at a time, on whatever keeps the store; a database that is away is waited for."""

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from certwright.domain.errors import StoreError

BUSY_SECONDS = 30
"""How long a writer waits for the others."""
PATIENCE_SECONDS = 30
"""How long a database that was there and is away is waited for."""
_PAUSE_SECONDS = 0.2
T = TypeVar("T")


class Backend(ABC):
    """A kind of database that can keep the store.

    Attributes:
        name: What the store is called in sentences.
        is_shared: Whether processes of other hosts may use it too.
    """

    name: str
    is_shared: bool

    @abstractmethod
    def engine(self) -> Engine:
        """Its connections, in autocommit: transactions are begun by the two below."""

    @abstractmethod
    def begin_reading(self, connection: Connection) -> None:
        """Begin a transaction that sees one moment and writes nothing."""

    @abstractmethod
    def begin_writing(self, connection: Connection) -> str | None:
        """Begin a transaction beside which nobody else writes; its name, if `outcome` knows it later."""

    @abstractmethod
    def outcome(self, connection: Connection, transaction: str) -> bool | None:
        """Whether an earlier transaction was committed; None while that is open."""

    @abstractmethod
    def now(self, connection: Connection) -> datetime:
        """The moment, by the clock of all who use the store."""

    @abstractmethod
    def is_away(self, error: DBAPIError) -> bool:
        """Whether an error says that the database is not there at the moment."""

    @abstractmethod
    def in_words(self, error: DBAPIError) -> StoreError:
        """An error for people; it shows no values."""

    @abstractmethod
    def check(self) -> None:
        """Refuse a place in which there can be no store.

        Raises:
            StoreError: with what is wrong.
        """

    @abstractmethod
    def prepare(self) -> None:
        """Make ready for a new store.

        Raises:
            StoreError: if there is one already, or it cannot be made there.
        """

    @abstractmethod
    def publish(self, fill: Callable[[Connection], None]) -> None:
        """Let a new store appear as a whole, as `fill` makes it, unless another process was faster.

        Raises:
            StoreError: as `prepare`.
        """

    @abstractmethod
    def no_store(self) -> StoreError:
        """That there is none."""


class Database:
    """One store, many readers, one writer at a time.

    Writers of this process queue at a lock, as SQLite's own waiting is unfair between threads; those of other processes
    are waited for by the database.
    """

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self._engine = backend.engine()
        self._writing = threading.Lock()
        self._writer: int | None = None
        self._presence = _Presence()

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    def was_there_for(self, span: timedelta) -> bool:
        """Whether it answered whenever it was asked within this span of time, for all that this process knows."""
        return self._presence.lasted(span.total_seconds())

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A snapshot that nothing can be written to."""
        with self._transaction(self.backend.begin_reading) as (connection, _):
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that is committed when its block ends well, and leaves nothing behind when it does not."""
        if self._writer == threading.get_ident():
            raise RuntimeError("This thread is writing already: a unit of work cannot be opened inside another.")
        with self._writing:
            self._writer = threading.get_ident()
            try:
                with self._transaction(self.backend.begin_writing) as (connection, transaction):
                    yield connection
                    self._commit(connection, transaction)
            finally:
                self._writer = None

    @contextmanager
    def _transaction(self, begin: Callable[[Connection], T]) -> Iterator[tuple[Connection, T]]:
        try:
            connection, begun = self._begin(begin)
            with connection:
                yield connection, begun
        except DBAPIError as error:
            if self.backend.is_away(error):
                self._presence.ended()
            raise self.backend.in_words(error) from None  # the error itself may show values

    def _begin(self, begin: Callable[[Connection], T]) -> tuple[Connection, T]:
        """A connection in a new transaction; nothing is lost with one that breaks before, so it is tried again."""
        while True:
            connection = None
            try:
                connection = self._engine.connect()
                begun = begin(connection)
            except BaseException as error:
                if connection:
                    connection.close()
                if not isinstance(error, DBAPIError) or not self.backend.is_away(error):
                    raise
                if not self._presence.may_return():
                    raise
                time.sleep(_PAUSE_SECONDS)
            else:
                self._presence.seen()
                return connection, begun

    def _commit(self, connection: Connection, transaction: str | None) -> None:
        """Commit; if the answer is lost with the connection, the database is asked what became of it."""
        try:
            connection.commit()
        except DBAPIError as error:
            if transaction is None or not self.backend.is_away(error):
                raise
            self._presence.ended()
            if not self._was_committed(transaction):
                raise

    def _was_committed(self, transaction: str) -> bool:
        end = time.monotonic() + PATIENCE_SECONDS
        try:
            while time.monotonic() < end:
                with self.read() as connection:
                    outcome = self.backend.outcome(connection, transaction)
                if outcome is not None:
                    return outcome
                time.sleep(_PAUSE_SECONDS)
        except StoreError as error:
            reason = error
        else:
            reason = StoreError("It does not say what became of it.")
        raise StoreError(
            f"The store {self.backend.name} was lost while a change was being saved: it may have been saved, or not.",
            causes=[reason],
            hint="Look at what is there before you try again.",
            retryable=True,
        )


class _Presence:
    """Since when a database answers, or does not."""

    def __init__(self) -> None:
        self._known = False
        self._gone_since: float | None = None
        self._back_since: float | None = None

    def seen(self) -> None:
        """It answered."""
        self._known = True
        if self._gone_since is not None:
            self._gone_since, self._back_since = None, time.monotonic()

    def ended(self) -> None:
        """It did not answer."""
        if self._gone_since is None:
            self._gone_since = time.monotonic()

    def may_return(self) -> bool:
        """Note that it did not answer; whether it has been there before and is worth waiting for."""
        self.ended()
        gone_since = self._gone_since
        return self._known and gone_since is not None and time.monotonic() - gone_since < PATIENCE_SECONDS

    def lasted(self, seconds: float) -> bool:
        """Whether it has not been away within these last seconds."""
        return self._back_since is None or time.monotonic() - self._back_since >= seconds
