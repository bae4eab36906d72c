"""The only place where objects are joined."""

from datetime import UTC, datetime

from certwright.engine.context import Engine
from certwright.engine.journal import Listen
from certwright.settings import Settings
from certwright.store import open_store


def utc_now() -> datetime:
    """The clock of everything that is not a test."""
    return datetime.now(UTC)


def open_engine(settings: Settings, listen: Listen) -> Engine:
    """The engine on an initialised data folder.

    Raises:
        StoreError: if the store cannot be opened, with what to do.
    """
    return Engine(open_store(settings), utc_now, listen, settings.resolvers, settings.script_folders, settings.proxy)
