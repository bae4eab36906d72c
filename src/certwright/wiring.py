"""The only place where objects are joined."""

from collections.abc import Sequence
from datetime import UTC, datetime

from certwright.domain.errors import ConfigurationError
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
        ConfigurationError: if `CERTWRIGHT_RESOLVERS` cannot be read.
        StoreError: if the store cannot be opened, with what to do.
    """
    if settings.resolvers:
        _judge(settings.resolvers)
    return Engine(open_store(settings), utc_now, listen, settings.resolvers, settings.script_folders, settings.proxy)


def _judge(resolvers: Sequence[str]) -> None:
    from certwright.probe.dns.resolver import Resolver  # noqa: PLC0415 - dnspython is loaded only where it is used

    try:
        Resolver(resolvers)
    except ConfigurationError as error:
        raise ConfigurationError(
            f"CERTWRIGHT_RESOLVERS cannot be read: {error.message}",
            hint="Write addresses with commas between them, each ADDRESS, ADDRESS:PORT or [IPV6]:PORT: for example "
            "9.9.9.9,1.1.1.1.",
        ) from error
