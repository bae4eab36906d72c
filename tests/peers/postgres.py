"""PostgreSQL from Debian: a cluster of its own on loopback, run by a user without rights, with empty databases."""

import itertools
import os
import pwd
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

from peers.daemons import HOST, short_folder
from peers.debian import require
from peers.ports import free_port

OWNER = "certwright"
GUARDED, PASSWORD = "guarded", "c4nary pass"
_USER = "postgres"
_SECONDS = 30
_SETTINGS = """
listen_addresses = '127.0.0.1'
shared_buffers = 16MB
max_connections = 60
fsync = off
full_page_writes = off
autovacuum = off
jit = off
"""
_RULES = f"""
local all all trust
host all {GUARDED} 127.0.0.1/32 scram-sha-256
host all all 127.0.0.1/32 trust
"""


class Postgres:
    """A server; every database belongs to `OWNER`, who needs no password, while `GUARDED` does."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self._folder = folder
        self._data = folder / "data"
        (self._programs,) = sorted(Path("/usr/lib/postgresql").glob("*/bin"))[-1:]
        self._numbers = itertools.count(1)
        self._process: subprocess.Popen[bytes] | None = None

    def make(self) -> None:
        """Make the cluster and start it."""
        command: list[str | Path] = [
            "initdb",
            "--pgdata",
            self._data,
            "--username",
            _USER,
            "--auth",
            "trust",
            "--no-sync",
        ]
        self._run([*command, "--encoding", "UTF8", "--locale", "C"]).wait(2 * _SECONDS)
        settings = f"{_SETTINGS}port = {self.port}\nunix_socket_directories = '{self._folder}'\n"
        with (self._data / "postgresql.conf").open("a") as file:
            file.write(settings)
        (self._data / "pg_hba.conf").write_text(_RULES)
        self.start()
        self.execute(f"CREATE ROLE {OWNER} LOGIN", f"CREATE ROLE {GUARDED} LOGIN PASSWORD '{PASSWORD}'")

    def start(self) -> None:
        """Start the server; returns when it answers."""
        self._process = self._run(["postgres", "-D", self._data])
        end = time.monotonic() + _SECONDS
        while True:
            try:
                self.execute("SELECT 1")
                break
            except psycopg.OperationalError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.02)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop it: SIGINT ends the sessions, SIGQUIT is a crash."""
        if self._process:
            self._process.send_signal(how)
            self._process.wait(_SECONDS)
            self._process = None

    def restart(self) -> None:
        """End all sessions and come back."""
        self.stop()
        self.start()

    def execute(self, *statements: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Execute statements as the superuser; the rows of the last one."""
        with psycopg.connect(self._conninfo(database), autocommit=True) as connection:
            cursor = connection.cursor()
            for statement in statements:
                cursor.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def database(self, options: str = "") -> str:
        """The address of a new, empty database."""
        name = f"d{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name} OWNER {OWNER} {options}")
        return self.address(name)

    def schema(self) -> str:
        """The address of a new, empty schema of the database `postgres`: as a database, and sooner there."""
        name = f"s{next(self._numbers)}"
        self.execute(f"CREATE SCHEMA {name} AUTHORIZATION {OWNER}")
        return f"{self.address('postgres')}&options=-csearch_path%3D{name}"

    def address(self, database: str, user: str = OWNER) -> str:
        """The address of a database."""
        return f"postgresql://{user}@{HOST}:{self.port}/{database}?sslmode=disable"

    def _conninfo(self, database: str) -> str:
        return f"host={HOST} port={self.port} user={_USER} dbname={database} sslmode=disable connect_timeout={_SECONDS}"

    def _run(self, command: list[str | Path]) -> "subprocess.Popen[bytes]":
        program = [str(self._programs / command[0]), *map(str, command[1:])]
        with (self._folder / "log").open("ab") as log:
            options: dict[str, Any] = {"user": _USER, "group": _USER, "extra_groups": []} if os.geteuid() == 0 else {}
            return subprocess.Popen(
                program,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._folder,
                env={"TZ": "UTC"},
                **options,
            )


@contextmanager
def postgres() -> Iterator[Postgres]:
    """A server until the block ends."""
    require("postgresql")
    with short_folder("pg") as folder:
        if os.geteuid() == 0:
            account = pwd.getpwnam(_USER)
            os.chown(folder, account.pw_uid, account.pw_gid)
        server = Postgres(folder)
        try:
            server.make()
            yield server
        finally:
            server.stop(signal.SIGQUIT)
