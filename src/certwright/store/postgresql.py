"""The store on PostgreSQL, shared by several nodes: connections, and its failures in words."""

import re
from collections.abc import Callable
from contextlib import closing, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, inspect
from sqlalchemy.exc import DBAPIError

from certwright.domain.errors import NoStore, StoreError
from certwright.store import database, private
from certwright.store.database import Backend, Database

try:
    import psycopg
    from psycopg import conninfo
    from psycopg.types.string import StrDumper
except ImportError as missing:
    raise StoreError(
        "CERTWRIGHT_STORE names a PostgreSQL database, and its driver is not installed.",
        causes=[str(missing)],
        hint="Install it: pip install 'certwright[postgresql]'",
    ) from missing

_HOST = r"(?:\[[0-9A-Fa-f:.]+\]|[^:@/?#,\[\]]+)(?::\d+)?"
_ADDRESS = re.compile(
    rf"postgres(?:ql)?://(?:[^:@/?#]+@)?(?:{_HOST}(?:,{_HOST})*)?/[^/?#@]+(?:\?[^#]*)?", re.ASCII | re.IGNORECASE
)
_SHOWS_PASSWORD = re.compile(r"[^/?#]*//[^/?#@:]*:[^@]*@|.*[?&](?:ssl)?password=", re.IGNORECASE)
_PLACES = "name a file with it in CERTWRIGHT_STORE_PASSWORD_FILE, or use PGPASSFILE"
_WRITERS = int.from_bytes(b"certwrit")
"""The advisory lock that who writes holds until the end of its transaction."""
_STANDSTILL_SECONDS = database.BUSY_SECONDS / 2
"""How long a writer may stand still; less than the others wait for it."""
_LOCK = f"SELECT pg_advisory_xact_lock({_WRITERS}), pg_current_xact_id()::text"
_END_STANDING = """
    SELECT pg_terminate_backend(pid) FROM pg_locks JOIN pg_stat_activity USING (pid)
    WHERE locktype = 'advisory' AND granted AND objsubid = 1 AND datname = current_database()
      AND database = datid AND (classid::bigint << 32) + objid::bigint = %s
      AND starts_with(state, 'idle in transaction')
      AND state_change < clock_timestamp() - make_interval(secs => %s)
"""
"""End a writer whose process is frozen: the server's own time-out for that was seen not to strike."""
_OLDEST = 130_000
_CONNECTION = {
    "application_name": "certwright",
    "connect_timeout": "10",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": str(1000 * database.PATIENCE_SECONDS),
    "target_session_attrs": "read-write",
}
_AWAY = re.compile("08...|57P0[1-4]|53300|25P03")
_LOCKED = "55P03"
_STATES = {
    _LOCKED: (f"has been locked by another process for more than {_STANDSTILL_SECONDS:.0f} seconds", "Try again."),
    "40P01": ("is being brought up to a later version by another process", "Try again."),
    "53100": ("cannot be written: the disk of its server is full", "Make room on that disk and try again."),
    "25006": ("cannot be written: it, or its server, is read-only", "Name the primary server in CERTWRIGHT_STORE."),
    "42501": (
        "does not let its user do this",
        "Make that user the owner of the database: ALTER DATABASE name OWNER TO user;",
    ),
}
_RETRYABLE = {_LOCKED, "40P01", "53100"}
_REFUSALS = (
    (
        re.compile("password authentication failed|no password supplied|empty password"),
        "does not let us in: the password is wrong or missing",
        f"Give the right one: {_PLACES}.",
    ),
    (
        re.compile('database "[^"]*" does not exist'),
        "is not there: the server has no database of that name",
        "Make it: CREATE DATABASE name OWNER user ENCODING 'UTF8' LOCALE 'C' TEMPLATE template0;",
    ),
    (
        re.compile('role "[^"]*" does not exist|pg_hba.conf|authentication failed|permission denied for database'),
        "does not let us in",
        "See that the server knows this user, and that its pg_hba.conf lets the user in from here.",
    ),
    (re.compile("session is read-only|hot standby|read-write"), *_STATES["25006"]),
    (
        re.compile("SSL|certificate"),
        "cannot be reached over TLS",
        "See sslmode and sslrootcert in CERTWRIGHT_STORE, and the server's certificate.",
    ),
)
"""What libpq says when no connection comes about; it passes on no SQLSTATE then."""


class Postgresql(Backend):
    """A database of a PostgreSQL server, or of several of which one can be written."""

    is_shared = True

    def __init__(self, url: str, password_file: Path | None) -> None:
        """Read the address.

        Args:
            url: a connection URI of libpq without a password.
            password_file: read for each connection, so that a new password needs no restart.

        Raises:
            StoreError: if it is no such address, or holds a password; it is not shown then.
        """
        self._parameters = {**_CONNECTION, **_parse(url)}
        self._password_file = password_file
        self.name = url.partition("?")[0]

    def engine(self) -> Engine:
        """Connections that give up on a server that is silent."""
        return create_engine(
            "postgresql+psycopg://",
            creator=self._connect,
            hide_parameters=True,
            max_overflow=-1,
            use_native_hstore=False,
        )

    def begin_reading(self, connection: Connection) -> None:
        """Begin a transaction on a snapshot; the query makes sure that the connection still stands."""
        connection.exec_driver_sql("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        connection.exec_driver_sql("SELECT 1")

    def begin_writing(self, connection: Connection) -> str:
        """Begin a transaction with the lock of all writers: each statement in it sees what the last of them wrote."""
        try:
            return self._locked(connection)
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) != _LOCKED:
                raise
        connection.exec_driver_sql("ROLLBACK")
        connection.exec_driver_sql(_END_STANDING, (_WRITERS, _STANDSTILL_SECONDS / 2))
        return self._locked(connection)

    def _locked(self, connection: Connection) -> str:
        connection.exec_driver_sql("BEGIN ISOLATION LEVEL READ COMMITTED")
        return str(connection.exec_driver_sql(_LOCK).one()[1])

    def outcome(self, connection: Connection, transaction: str) -> bool | None:
        """By the server's log of commits."""
        status = connection.exec_driver_sql("SELECT pg_xact_status(%s::xid8)", (transaction,)).scalar_one()
        return {"committed": True, "aborted": False}.get(status)

    def now(self, connection: Connection) -> datetime:
        """The server's clock, which all nodes share."""
        moment: datetime = connection.exec_driver_sql("SELECT clock_timestamp()").scalar_one()
        return moment

    def is_away(self, error: DBAPIError) -> bool:
        """Whether there is no connection any more, or the server ends or begins."""
        state = getattr(error.orig, "sqlstate", None)
        return bool(_AWAY.fullmatch(state)) if state else isinstance(error.orig, psycopg.OperationalError)

    def in_words(self, error: DBAPIError) -> StoreError:
        """By SQLSTATE, or by the words of libpq where there is none. What a server adds in detail may show values."""
        state = getattr(error.orig, "sqlstate", None)
        if self.is_away(error):
            return self._away(str(error.orig).strip())
        cause = error.orig.diag.message_primary if isinstance(error.orig, psycopg.Error) else ""
        what, hint = _STATES.get(state or "", ("refused what was asked of it", ""))
        return StoreError(
            f"The store {self.name} {what}.",
            causes=[cause] if cause else [],
            hint=hint,
            retryable=state in _RETRYABLE,
        )

    def check(self) -> None:
        """Nothing: whether there is a database shows when it is connected to."""

    def prepare(self) -> None:
        """Look whether the database is empty and fit."""
        with closing(Database(self)) as opened, opened.read() as connection:
            self._refuse_unfit(connection)
            self._refuse_existing(connection)

    def publish(self, fill: Callable[[Connection], None]) -> None:
        """Fill the database in one transaction."""
        with closing(Database(self)) as opened, opened.write() as connection:
            self._refuse_existing(connection)
            fill(connection)

    def no_store(self) -> NoStore:
        """That the database is empty."""
        return NoStore(
            f"There is no store in {self.name} yet: the database is empty.",
            hint="Make one with `certwright init`, or name another database in CERTWRIGHT_STORE.",
        )

    def _refuse_existing(self, connection: Connection) -> None:
        tables = set(inspect(connection).get_table_names())
        if {"alembic_version", "store"} <= tables:
            raise StoreError(
                f"There is a store in {self.name} already.",
                hint="Use it as it is: another node needs its master key and nothing else.",
            )
        if tables:
            shown = ", ".join(sorted(tables)[:5])
            raise StoreError(
                f"The database {self.name} belongs to something else: it has the tables {shown}.",
                hint="Make an empty one for Certwright, and name it in CERTWRIGHT_STORE.",
            )

    def _refuse_unfit(self, connection: Connection) -> None:
        info: Any = connection.connection.driver_connection
        encoding = info.info.parameter_status("server_encoding")
        if info.info.server_version < _OLDEST:
            raise StoreError(
                f"The server of {self.name} is PostgreSQL {info.info.server_version // 10_000}.",
                hint=f"Certwright needs PostgreSQL {_OLDEST // 10_000} or newer.",
            )
        if encoding != "UTF8":
            raise StoreError(
                f"The database {self.name} keeps its text in {encoding}, where not every name can be written.",
                hint="Make it with ENCODING 'UTF8'.",
            )

    def _away(self, said: str) -> StoreError:
        what, hint = "cannot be reached", "See that its server runs, and that CERTWRIGHT_STORE names the right one."
        for words, instead, then in _REFUSALS:
            if words.search(said):
                what, hint = instead, then
                break
        later = what == "cannot be reached"
        return StoreError(f"The store {self.name} {what}.", causes=[said], hint=hint, retryable=later)

    def _connect(self) -> "psycopg.Connection[Any]":
        parameters = dict(self._parameters)
        if self._password_file is not None:
            parameters["password"] = self._password(self._password_file)
        connection = psycopg.connect(**parameters, autocommit=True, prepare_threshold=None)
        connection.adapters.register_dumper(str, _Text)
        connection.execute(
            f"SET lock_timeout = {1000 * _STANDSTILL_SECONDS:.0f};"
            f"SET idle_in_transaction_session_timeout = {1000 * _STANDSTILL_SECONDS:.0f}"
        )
        return connection

    def _password(self, path: Path) -> str:
        try:
            return private.read(path, "password file").rstrip("\r\n")
        except FileNotFoundError:
            hint = "Name the right file in CERTWRIGHT_STORE_PASSWORD_FILE."
            raise StoreError(f"The password file {path} is missing.", hint=hint) from None


class _Text(StrDumper):
    """Text as PostgreSQL can keep it: a peer may send NUL, which only SQLite takes."""

    def dump(self, obj: str) -> Any:
        """In UTF-8."""
        return super().dump(obj.replace("\0", "\N{REPLACEMENT CHARACTER}"))


def _parse(url: str) -> dict[str, Any]:
    """The connection parameters of a URI.

    Raises:
        StoreError: if it is none of ours; it is not shown, since it may hold a password in any of its parts.
    """
    found: dict[str, Any] = {}
    with suppress(psycopg.Error):
        found = conninfo.conninfo_to_dict(url) if _ADDRESS.fullmatch(url) else {}
    if _SHOWS_PASSWORD.match(url) or {"password", "sslpassword"} & found.keys():
        raise StoreError("CERTWRIGHT_STORE holds a password.", hint=f"Take it out of there, and {_PLACES}.")
    if found:
        return found
    raise StoreError(
        "CERTWRIGHT_STORE is no address of a PostgreSQL database.",
        hint=f"Write it as postgresql://USER@HOST:PORT/DATABASE; if there is a password, {_PLACES}.",
    )
