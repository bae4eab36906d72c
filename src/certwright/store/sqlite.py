"""The store in a SQLite file: connections, and its failures in words."""

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import URL, Connection, Engine, create_engine
from sqlalchemy.exc import DBAPIError

from certwright.domain.errors import NoStore, StoreError
from certwright.store import database, place
from certwright.store.database import Backend, Database
from certwright.store.draft import drafted, refuse_existing

_PRIMARY_CODE = 0xFF
_RESTORE = "Restore the data folder from a backup."
_LOCKED = (f"has been locked by another process for {database.BUSY_SECONDS} seconds", "Try again.")
_SENTENCES = {
    sqlite3.SQLITE_BUSY: _LOCKED,
    sqlite3.SQLITE_LOCKED: _LOCKED,
    sqlite3.SQLITE_NOTADB: ("is not a database: it is damaged, or another file lies in its place", _RESTORE),
    sqlite3.SQLITE_CORRUPT: ("is damaged", _RESTORE),
    sqlite3.SQLITE_READONLY: ("cannot be written", "Run as the user who owns the data folder."),
    sqlite3.SQLITE_CANTOPEN: ("cannot be opened", "Run as the user who owns the data folder."),
    sqlite3.SQLITE_PERM: ("cannot be opened", "Run as the user who owns the data folder."),
    sqlite3.SQLITE_FULL: ("cannot be written: the disk is full", "Make room on the disk and try again."),
    sqlite3.SQLITE_IOERR: ("cannot be read or written: the disk reports an error", "Look at the disk's health."),
}
_RETRYABLE = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL}


def _begin(connection: Connection, begin: str, *, query_only: bool) -> None:
    """Every transaction pays for this, so it goes straight to the driver."""
    driver = connection.connection.cursor()
    try:
        if connection.info.get("query_only") is not query_only:
            driver.execute(f"PRAGMA query_only = {query_only:d}")
            connection.info["query_only"] = query_only
        driver.execute(begin)
    except sqlite3.Error as error:
        raise DBAPIError(begin, None, error) from error


class SqliteFile(Backend):
    """One file in the data folder."""

    is_shared = False

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = str(path)
        self._opened: tuple[int, int] | None = None

    def engine(self) -> Engine:
        """Connections that check references and write through to the disk."""
        url = URL.create("sqlite", database=str(self.path))
        return create_engine(url, creator=self._connect, hide_parameters=True, max_overflow=-1)

    def begin_reading(self, connection: Connection) -> None:
        """Begin a transaction that writes nothing."""
        _begin(connection, "BEGIN", query_only=True)

    def begin_writing(self, connection: Connection) -> None:
        """Begin a transaction with SQLite's one lock for writers.

        Raises:
            StoreError: if what is open is not the file in the data folder any more: whatever is written would be lost.
        """
        if self._found() != self._opened:
            raise StoreError(
                f"The store {self.path} was removed, or another file was put in its place, while it is in use.",
                hint="Nothing more is written. Stop what uses it, put it back or restore a backup, and start again.",
            )
        _begin(connection, "BEGIN IMMEDIATE", query_only=False)

    def outcome(self, connection: Connection, transaction: str) -> bool | None:
        """Never asked: what a file does is known at once."""
        raise NotImplementedError

    def now(self, connection: Connection) -> datetime:  # noqa: ARG002 - the interface
        """This machine's clock: nobody else uses the file."""
        return datetime.now(UTC)

    def is_away(self, error: DBAPIError) -> bool:  # noqa: ARG002 - the interface
        """A file does not go away for a while."""
        return False

    def in_words(self, error: DBAPIError) -> StoreError:
        """By SQLite's result code (https://sqlite.org/rescode.html)."""
        return self._in_words(error.orig)

    def check(self) -> None:
        """Refuse a file that is not there, or a folder in which locks do not hold."""
        if not place.exists(self.path):
            raise self.no_store()
        place.check(self.path.parent)

    def prepare(self) -> None:
        """Make the data folder."""
        refuse_existing(self.path)
        place.prepare(self.path.parent)

    def publish(self, fill: Callable[[Connection], None]) -> None:
        """Make the file beside its place and put it there whole."""
        with (
            drafted(self.path) as draft,
            closing(Database(SqliteFile(draft))) as made,
            made.write() as connection,
        ):
            fill(connection)

    def copy(self, target: Path) -> None:
        """Copy all as it is at one moment to `target`, in place of what is there; others read and write meanwhile."""
        target.unlink(missing_ok=True)
        os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        try:
            with closing(self._connect()) as source, closing(sqlite3.connect(target)) as copy:
                source.backup(copy)
        except sqlite3.Error as error:
            raise self._in_words(error) from error

    def no_store(self) -> NoStore:
        """That there is none in the data folder."""
        return NoStore(
            f"There is no store in {self.path.parent}.",
            hint="Make one with `certwright init`, or name another folder with --data or CERTWRIGHT_DATA.",
        )

    def _in_words(self, error: BaseException | None) -> StoreError:
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & _PRIMARY_CODE
        what, hint = _SENTENCES.get(code, ("refused what was asked of it", ""))
        causes = [str(error)]
        return StoreError(f"The store {self.name} {what}.", causes=causes, hint=hint, retryable=code in _RETRYABLE)

    def _found(self) -> tuple[int, int] | None:
        """Which file lies there; None if there is none."""
        try:
            found = self.path.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            f"{self.path.as_uri()}?mode=rw",
            uri=True,
            timeout=database.BUSY_SECONDS,
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
        self._opened = self._opened or self._found()
        return connection
