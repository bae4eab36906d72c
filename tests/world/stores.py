"""What tests of the store need on either database."""

from typing import Any

import pytest
from sqlalchemy import text

from certwright.settings import Settings
from certwright.store.lifecycle import backend_of

KINDS = ("sqlite", "postgresql")
on_sqlite = pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
"""For what is said of files."""
on_postgresql = pytest.mark.parametrize("settings", ["postgresql"], indirect=True)
"""For what is said of a server."""


def execute(settings: Settings, statement: str, **values: object) -> list[tuple[Any, ...]]:
    """Execute one statement past the store; its rows."""
    engine = backend_of(settings).engine()
    try:
        with engine.connect() as connection:
            done = connection.execute(text(statement), values)
            return [tuple(row) for row in done] if done.returns_rows else []
    finally:
        engine.dispose()
