"""Which organisation is meant, and how it is reached."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from certwright.domain.access import UseCase
from certwright.domain.credentials import SignIn
from certwright.domain.errors import ConfigurationError
from certwright.domain.managed import ManagedCertificate, TaskSettings
from certwright.engine.context import Engine
from certwright.engine.destinations import require_destinations
from certwright.engine.journal import RunJournal
from certwright.exchange import addresses
from certwright.exchange.access.organisation import Organisation, connect
from certwright.exchange.connection import Connection
from certwright.exchange.snapshot import Snapshot
from certwright.sdk.context import Credential
from certwright.sdk.journal import Journal
from certwright.sdk.params import read_params
from certwright.store.records import Record

KIND = "exchange"
_SUBJECT, _RECORD = "exchange", "connection"


def reach(engine: Engine, given: Mapping[str, Any]) -> Connection:
    """The connection that was described; what is left out is as it is known of the organisation.

    Raises:
        Forbidden: if who asks may not look at whole organisations, or as of `require_known`.
        ConfigurationError: if a parameter is wrong, or no or several organisations are known.
    """
    engine.caller.require(UseCase.EXAMINE_EXCHANGE.permission)
    connection = read_params(Connection, described(engine, given), "the connection to Exchange")
    require_known(engine, connection)
    return connection


def require_known(engine: Engine, connection: Connection, typed: Credential | None = None) -> None:
    """Return if no stored password is sent where none was sent before, or the caller may have that done.

    Raises:
        Forbidden: if not, naming the place.
    """
    if connection.credential is None or (typed and typed.name == connection.credential):
        return
    known = (place for one in organisations(engine) for other in one.values() for place in other.destinations)
    require_destinations(
        engine,
        connection.destinations,
        known,
        "may not have a stored password sent to a server that was not read before",
        "The password",
    )


def described(engine: Engine, given: Mapping[str, Any]) -> dict[str, Any]:
    """`given`, which may hold more than a connection, with what is known of the organisation that it means.

    That is the one that a server alone names, or, where no server is named, the one that is known. A server with more
    than its name is a new description.

    Raises:
        ConfigurationError: if no server is named, and no or several organisations are known.
    """
    known = organisations(engine)
    if "servers" in given:
        named = set(map(str.lower, given["servers"]))
        meant = [c for one in known for c in one.values() if named <= set(map(str.lower, c.servers))]
        is_new = not meant or set(given) & set(Connection.model_fields) != {"servers"}
        return dict(given) if is_new else {**given, **_kept(meant[0])}
    if len(known) == 1:
        return {**_kept(next(iter(known[0].values()))), **given}
    if not known:
        raise ConfigurationError(
            "No Exchange organisation is known yet.",
            hint="Name one of its servers: certwright exchange discover --server mail01.contoso.com",
        )
    raise ConfigurationError(
        f"Several Exchange organisations are known: {', '.join(sorted(' with '.join(sorted(one)) for one in known))}.",
        hint="Say which one is meant by one of its servers: --server SERVER",
    )


def organisations(engine: Engine) -> list[dict[str, Connection]]:
    """The organisations that are known: of each the last connection by the domains that its servers are in.

    They are those that were reached, the last one first, then those that tasks deploy to. What shares a domain with a
    connection before it is the same organisation. They are of all: who is limited to some certificates is told of none.
    """
    found: list[dict[str, Connection]] = []
    if engine.caller.tags:
        return found
    with engine.store.read() as unit:
        reached = [
            (record.value, "the stored connection to Exchange") for record in unit.records.list(_SUBJECT, _RECORD)
        ]
        certificates = unit.managed.with_task(KIND)
    tasks = (task for managed in certificates for task in managed.tasks if task.kind == KIND)
    for value, whose in (*reached, *((task.params, f"the task {task.title!r}") for task in tasks)):
        params = {name: value[name] for name in value.keys() & Connection.model_fields}
        connection = read_params(Connection, params, whose)
        by_name = dict.fromkeys(connection.organisations, connection)
        same = [known for known in found if known.keys() & by_name.keys()]
        for known in same[1:]:  # it shows that these are one
            found.remove(known)
            same[0].update(known)
        if same:
            same[0].update({name: one for name, one in by_name.items() if name not in same[0]})
        else:
            found.append(by_name)
    return found


def remember(engine: Engine, connection: Connection) -> None:
    """Keep how an organisation was reached; secrets are named only."""
    value = _kept(connection)
    with engine.store.write() as unit:
        last = unit.records.last(_SUBJECT, _RECORD)
        if last is None or last.value != value:
            unit.records.put(_SUBJECT, _RECORD, value, engine.now())


def _kept(connection: Connection) -> dict[str, Any]:
    """What differs from the defaults."""
    return connection.model_dump(mode="json", include=set(Connection.model_fields), exclude_defaults=True)


def open_organisation(engine: Engine, connection: Connection, typed: Credential | None = None) -> Organisation:
    """Sessions with its servers; nothing is sent yet.

    `typed` stands for a credential that is not stored yet: it has no name there, for it is typed again if it is wrong.
    """

    def credential(name: str) -> Credential:
        if typed is not None and typed.name == name:
            return replace(typed, name="")
        with engine.store.read() as unit:
            return unit.credentials.get(name, SignIn.EXCHANGE)

    return connect(connection, credential)


def progress(engine: Engine) -> Journal:
    """A journal that is shown and not kept: for work that changes nothing."""
    return RunJournal(lambda entry: entry, engine.listen)


def put_record(engine: Engine, connection: Connection, kind: str, value: Any, seen: Snapshot) -> None:
    """Keep a record of this organisation under each of its names, as each of them may be asked for alone.

    These are the domains of the servers that are named, and of those that Exchange lists: those that runs lease.
    """
    domains = addresses.domains((*(state.info for state in seen.servers), *seen.unread))
    with engine.store.write() as unit:
        for name in sorted({*connection.organisations, *domains}):
            unit.records.put(_subject(name), kind, value, engine.now())


def last_record(engine: Engine, connection: Connection, kind: str) -> Record | None:
    """The newest record under any of its names; None if there is none."""
    with engine.store.read() as unit:
        found = [unit.records.last(_subject(name), kind) for name in connection.organisations]
    return max(filter(None, found), key=lambda record: record.sequence, default=None)


def _subject(name: str) -> str:
    return f"organisation:{name}"


def exchange_tasks(managed: ManagedCertificate) -> tuple[TaskSettings, ...]:
    """The tasks that deploy to Exchange.

    Raises:
        ConfigurationError: if there is none, or none that is enabled.
    """
    found = tuple(task for task in managed.tasks if task.kind == KIND)
    if not found:
        raise ConfigurationError(
            f"{managed.title!r} has no task that deploys to Exchange.",
            hint=f"Add one: certwright task add {managed.id} exchange --server ..., or begin with: certwright exchange "
            "setup",
        )
    enabled = tuple(task for task in found if task.enabled)
    if not enabled:
        raise ConfigurationError(
            f"The task {found[0].title!r} of {managed.title!r} deploys to Exchange, and is disabled.",
            hint=f"Enable it: certwright task enable {managed.id} {found[0].id}",
        )
    return enabled
