"""The only place where objects are joined."""

from collections.abc import Sequence
from datetime import UTC, datetime

from certwright.engine.context import Engine
from certwright.engine.journal import Listen
from certwright.sdk.places import Places
from certwright.settings import Settings
from certwright.store import open_store


def utc_now() -> datetime:
    """The clock of everything that is not a test."""
    return datetime.now(UTC)


def open_engine(settings: Settings, listen: Listen) -> Engine:
    """The engine on an initialised data folder.

    Raises:
        ConfigurationError: if the resolvers that were set cannot be read.
        StoreError: if the store cannot be opened, with what to do.
    """
    if settings.resolvers:
        with settings.blaming("resolvers"):
            _judge(settings.resolvers)
    places = Places(settings.script_folders, settings.file_folders)
    return Engine(open_store(settings), utc_now, listen, settings.resolvers, places, settings.proxy)


def _judge(resolvers: Sequence[str]) -> None:
    from certwright.probe.dns.resolver import Resolver  # noqa: PLC0415 - dnspython is loaded only where it is used

    Resolver(resolvers)
