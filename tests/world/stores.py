"""What tests of the store need on either database, and stores that cost next to nothing."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from sqlalchemy import text

from certwright import store as stores
from certwright.settings import Settings
from certwright.store import place
from certwright.store.lifecycle import backend_of

KINDS = ("sqlite", "postgresql")
on_sqlite = pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
"""For what is said of files."""
on_postgresql = pytest.mark.parametrize("settings", ["postgresql"], indirect=True)
"""For what is said of a server."""


@dataclass(frozen=True, slots=True)
class _Empty:
    """An empty store on SQLite."""

    store_id: str
    database: bytes
    master_key: bytes
    recovery_key: str


@cache
def _empty() -> _Empty:
    """Made once in each process: the migrations take longer than most tests."""
    with TemporaryDirectory() as folder:
        places = Settings(Path(folder, "data"), key_folder=Path(folder, "keys"))
        recovery_key = stores.create(places)
        (key_file,) = places.key_folder.iterdir()
        return _Empty(key_file.stem, places.database.read_bytes(), key_file.read_bytes(), recovery_key)


def fresh(settings: Settings) -> str:
    """What `certwright.store.create` makes on SQLite, without its labour: one store, with its keys, in many places."""
    empty, key_file = _empty(), settings.key_file(_empty().store_id)
    place.prepare(settings.data_folder)
    key_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    for path, content in ((settings.database, empty.database), (key_file, empty.master_key)):
        path.touch(0o600, exist_ok=False)
        path.write_bytes(content)
    return empty.recovery_key


def execute(settings: Settings, statement: str, **values: object) -> list[tuple[Any, ...]]:
    """Execute one statement past the store; its rows."""
    engine = backend_of(settings).engine()
    try:
        with engine.connect() as connection:
            done = connection.execute(text(statement), values)
            return [tuple(row) for row in done] if done.returns_rows else []
    finally:
        engine.dispose()
