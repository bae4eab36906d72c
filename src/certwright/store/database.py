"""The SQLite file: connections, short transactions, and its failures in words."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import URL, Connection, create_engine
from sqlalchemy.exc import DBAPIError

from certwright.domain.errors import StoreError

BUSY_SECONDS = 30
_PRIMARY_CODE = 0xFF
_RESTORE = "Restore the data folder from a backup."
_SENTENCES = {
    sqlite3.SQLITE_BUSY: (f"has been locked by another process for {BUSY_SECONDS} seconds", "Try again."),
    sqlite3.SQLITE_LOCKED: (f"has been locked by another process for {BUSY_SECONDS} seconds", "Try again."),
    sqlite3.SQLITE_NOTADB: ("is not a database: it is damaged, or another file lies in its place", _RESTORE),
    sqlite3.SQLITE_CORRUPT: ("is damaged", _RESTORE),
    sqlite3.SQLITE_READONLY: ("cannot be written", "Run as the user who owns the data folder."),
    sqlite3.SQLITE_CANTOPEN: ("cannot be opened", "Run as the user who owns the data folder."),
    sqlite3.SQLITE_PERM: ("cannot be opened", "Run as the user who owns the data folder."),
    sqlite3.SQLITE_FULL: ("cannot be written: the disk is full", "Make room on the disk and try again."),
    sqlite3.SQLITE_IOERR: ("cannot be read or written: the disk reports an error", "Look at the disk's health."),
}
_RETRYABLE = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL}


class Database:
    """One file, many readers, one writer at a time.

    Writers of this process queue at a lock, as SQLite's own waiting is unfair between threads; those of other processes
    are waited for by SQLite.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._engine = create_engine(
            URL.create("sqlite", database=str(path)), creator=self._connect, hide_parameters=True, max_overflow=-1
        )
        self._writing = threading.Lock()
        self._writer: int | None = None

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A snapshot that nothing can be written to."""
        with self._connection() as connection:
            connection.exec_driver_sql("PRAGMA query_only = ON")
            connection.exec_driver_sql("BEGIN")
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that is committed when its block ends well, and leaves nothing behind when it does not."""
        if self._writer == threading.get_ident():
            raise RuntimeError("This thread is writing already: a unit of work cannot be opened inside another.")
        with self._writing:
            self._writer = threading.get_ident()
            try:
                with self._connection() as connection:
                    connection.exec_driver_sql("PRAGMA query_only = OFF")
                    connection.exec_driver_sql("BEGIN IMMEDIATE")
                    yield connection
                    connection.commit()
            finally:
                self._writer = None

    @contextmanager
    def _connection(self) -> Iterator[Connection]:
        try:
            with self._engine.connect() as connection:
                yield connection
        except DBAPIError as error:
            raise _in_words(error, self.path) from error

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            f"{self.path.as_uri()}?mode=rw",
            uri=True,
            timeout=BUSY_SECONDS,
            isolation_level=None,
            check_same_thread=False,
        )
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA foreign_keys = ON")
        except BaseException:
            connection.close()
            raise
        return connection


def _in_words(error: DBAPIError, path: Path) -> StoreError:
    code = getattr(error.orig, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & _PRIMARY_CODE
    what, hint = _SENTENCES.get(code, ("refused what was asked of it", ""))
    return StoreError(f"The store {path} {what}.", causes=[str(error.orig)], hint=hint, retryable=code in _RETRYABLE)
