"""A transcript of what an organisation answers, without a real name in it."""

from certwright.engine.context import Engine
from certwright.engine.exchange.reach import open_organisation, progress
from certwright.exchange.connection import Connection
from certwright.exchange.discovery.capture import capture as record


def capture(engine: Engine, connection: Connection) -> str:
    """What Exchange answers to read-only calls, as lines of JSON; names, addresses and certificates are made up.

    Raises:
        Unreachable, DeploymentError: if a server that was named cannot be read.
    """
    with open_organisation(engine, connection) as organisation:
        return record(organisation, connection.servers, progress(engine))
