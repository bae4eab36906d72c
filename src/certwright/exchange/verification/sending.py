"""Do changed send connectors still send? Remembered before the change, looked at after it, by a later run as well."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from certwright.domain.deployment import PortKey, ServedRow
from certwright.domain.errors import DeploymentError, Unreachable
from certwright.domain.managed import Value
from certwright.exchange.access.organisation import Organisation
from certwright.exchange.access.windows import Event
from certwright.exchange.model import Connector
from certwright.exchange.snapshot import Snapshot
from certwright.exchange.verification import queues
from certwright.exchange.verification.verify import Patience, patiently
from certwright.sdk.context import Memory
from certwright.sdk.journal import Journal

_KEY = "exchange-sending"


class Kept(Value):
    """How queues were before connectors were changed for the version `thumbprint`, from the moment `since` on."""

    thumbprint: str
    since: datetime
    connectors: tuple[str, ...] = ()
    before: tuple[tuple[PortKey, queues.Before], ...] = ()


def remember(
    memory: Memory,
    organisation: Organisation,
    snapshot: Snapshot,
    connectors: Iterable[Connector],
    thumbprint: str,
    now: datetime,
) -> None:
    """Keep how the queues of `connectors` are, before they are changed; what an earlier attempt kept stands."""
    earlier = _load(memory)
    kept = earlier if earlier and earlier.thumbprint == thumbprint else Kept(thumbprint=thumbprint, since=now)
    fresh = [c for c in connectors if c.kind == "send" and _identity(c) not in kept.connectors]
    if not fresh:
        return
    before = queues.before_of(queues.look(organisation, snapshot, fresh))
    update = {
        "connectors": (*kept.connectors, *map(_identity, fresh)),
        "before": (*kept.before, *before.items()),
    }
    memory.put(_KEY, kept.model_copy(update=update).model_dump(mode="json"))


def forget(memory: Memory) -> None:
    """It is verified, or taken back."""
    if memory.get(_KEY):
        memory.put(_KEY, None)


def is_remembered(memory: Memory, thumbprint: str) -> bool:
    """Whether connectors were changed for the version, and not verified since."""
    kept = _load(memory)
    return kept is not None and kept.thumbprint == thumbprint


def verify(
    memory: Memory, organisation: Organisation, snapshot: Snapshot, journal: Journal, patience: Patience
) -> list[ServedRow]:
    """The verdict on each connector that was changed; what transport complains of since is noted."""
    kept = _load(memory)
    if kept is None:
        return []
    changed = [c for c in snapshot.send_connectors or () if _identity(c) in kept.connectors]
    before, events = dict(kept.before), dict[str, Sequence[Event]]()
    names = [connector.name for connector in snapshot.connectors]

    def look() -> list[ServedRow]:
        seen = queues.look(organisation, snapshot, changed)
        events.update(_events(organisation, snapshot, {outbound.server for outbound in seen}, kept.since))
        return queues.judge(seen, before, events, names)

    rows = patiently(look, patience)
    for finding in queues.warnings(events):
        journal.note(finding.text)
    return rows


def _events(
    organisation: Organisation, snapshot: Snapshot, servers: Iterable[str], since: datetime
) -> Mapping[str, Sequence[Event]]:
    """What transport has written, where the host's own PowerShell tells."""
    found: dict[str, Sequence[Event]] = {}
    for server in servers:
        host = organisation.host(server)
        try:
            found[server] = host.events(by_its_clock(since, snapshot, server), queues.EVENTS) if host else ()
        except (DeploymentError, Unreachable):
            found[server] = ()
    return found


def by_its_clock(moment: datetime, snapshot: Snapshot, server: str) -> datetime:
    """A moment of ours as the clock of `server` showed it."""
    state = snapshot.state(server)
    return moment + (state.clock_skew if state and state.clock_skew else timedelta())


def _load(memory: Memory) -> Kept | None:
    stored = memory.get(_KEY)
    return Kept.model_validate(stored) if stored else None


def _identity(connector: Connector) -> str:
    return connector.identity or connector.name
