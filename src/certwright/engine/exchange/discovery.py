"""Read an organisation, keep what was seen, and say what is different from before."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from certwright.domain.errors import ConfigurationError
from certwright.engine.context import Engine
from certwright.engine.exchange.account import store_account
from certwright.engine.exchange.reach import last_record, open_organisation, progress, put_record, remember
from certwright.exchange.connection import Connection
from certwright.exchange.discovery.differences import Difference, differences
from certwright.exchange.discovery.discover import discover as read
from certwright.exchange.snapshot import Snapshot, dump, load
from certwright.sdk.context import Credential

SNAPSHOT = "snapshot"


@dataclass(frozen=True, slots=True)
class Discovered:
    """What was seen; `previous` is when it was last seen before, and `differences` what has changed since."""

    connection: Connection
    snapshot: Snapshot
    previous: datetime | None
    differences: tuple[Difference, ...]

    def data(self) -> dict[str, Any]:
        """As JSON."""
        return {"snapshot": dump(self.snapshot), "differences": [difference.text for difference in self.differences]}


def discover(
    engine: Engine,
    connection: Connection,
    older: Snapshot | None = None,
    *,
    complete: bool = False,
    typed: Credential | None = None,
) -> Discovered:
    """Read the whole organisation; nothing there is changed. What was seen is kept.

    A server that cannot be read is told of in the snapshot, and leaves the others known.

    Args:
        engine: what to work with.
        connection: how it is reached.
        older: what to compare with; None is what was seen last.
        complete: whether each server that was named must be read.
        typed: the credential that the connection names, if it is not stored yet: it is once it has signed in.

    Raises:
        Unreachable, DeploymentError: if no server can be read, or one that must be.
        ConfigurationError: if there is another credential of that name meanwhile.
    """
    with open_organisation(engine, connection, typed) as organisation:
        snapshot = read(organisation, connection.servers, progress(engine), complete=complete)
    if typed is not None:
        store_account(engine, typed)
    remember(engine, connection)
    earlier = older or last_seen(engine, connection)
    put_record(engine, connection, SNAPSHOT, dump(snapshot), snapshot)
    found = differences(earlier, snapshot) if earlier else ()
    return Discovered(connection, snapshot, earlier.taken_at if earlier else None, found)


def last_seen(engine: Engine, connection: Connection) -> Snapshot | None:
    """What was seen last; None if nothing was, or if what an earlier release kept cannot be read any more."""
    last = last_record(engine, connection, SNAPSHOT)
    if last is None:
        return None
    try:
        return load(last.value)
    except ConfigurationError:
        return None
