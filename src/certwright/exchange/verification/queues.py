"""Is mail still sent? The queues of a changed send connector before and after, and what transport says in its log."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from certwright.domain.deployment import Finding, ServedRow, Severity, Verdict
from certwright.domain.errors import DeploymentError, Unreachable
from certwright.exchange.access.organisation import Organisation
from certwright.exchange.access.records import text
from certwright.exchange.model import Connector
from certwright.exchange.snapshot import Snapshot
from certwright.remoting.clixml import Obj
from certwright.remoting.psrp import Command

NO_CERTIFICATE = 12014
EVENTS = (NO_CERTIFICATE, 12015, 12016, 12017, 12018)
"""What transport writes about certificates: not found, the internal one expired, expired, and both about to expire."""

_SMTP = 25
_STUCK = frozenset({"Retry", "Suspended"})
_OUR_DOING = re.compile(r"\b454 4\.7\.5\b")  # TlsCertificateName names a certificate that transport cannot find
_SHOWN = 300
_REMEDIES = {
    NO_CERTIFICATE: "See which certificates it could use: Get-ExchangeCertificate -Server '{server}' -DomainName NAME; "
    "assign one: Enable-ExchangeCertificate -Server '{server}' -Thumbprint THUMBPRINT -Services SMTP",
    12015: "Make a new one and answer Yes to its question: New-ExchangeCertificate -Server '{server}'",
    12016: "Deploy a certificate for that name to SMTP.",
    12017: "Make a new one and answer Yes to its question: New-ExchangeCertificate -Server '{server}'",
    12018: "Deploy a certificate for that name to SMTP.",
}


class Event(Protocol):
    """An entry of the application log; `message` may be in the server's language."""

    @property
    def id(self) -> int:
        """The event's number."""
        ...

    @property
    def message(self) -> str:
        """What it says."""
        ...


@dataclass(frozen=True, slots=True)
class Queue:
    """One queue of Get-Queue. `status` is Active, Ready, Connecting, Retry, Suspended or None."""

    connector: str
    next_hop: str
    status: str
    messages: int
    last_error: str


@dataclass(frozen=True, slots=True)
class Outbound:
    """The queues of `connector` on the one of its source servers called `server`; `obstacle`: why they are unknown."""

    server: str
    connector: Connector
    queues: tuple[Queue, ...] = ()
    obstacle: str = ""

    @property
    def worst(self) -> Queue | None:
        """The queue that is stuck, else the one with most mail; None if there is none."""
        return max(self.queues, key=lambda queue: (queue.status in _STUCK, queue.messages), default=None)

    @property
    def shown(self) -> str | None:
        """The state as tables show it."""
        return self.worst.status if self.worst else None


def look(organisation: Organisation, snapshot: Snapshot, connectors: Iterable[Connector]) -> tuple[Outbound, ...]:
    """The queues of send `connectors` on each of their source servers that can be asked; an Edge server cannot."""
    sending = [c for c in connectors if c.kind == "send"]
    found: dict[str, tuple[Queue, ...] | str] = {}
    seen = []
    for connector in sending:
        for state in filter(None, map(snapshot.state, connector.source_servers)):
            if state.server not in found:
                found[state.server] = _read(organisation, state.server)
            queues = found[state.server]
            if isinstance(queues, str):
                seen.append(Outbound(state.server, connector, obstacle=queues))
            else:
                mine = tuple(queue for queue in queues if connector.guid and queue.connector == connector.guid)
                seen.append(Outbound(state.server, connector, mine))
    return tuple(seen)


def _read(organisation: Organisation, server: str) -> tuple[Queue, ...] | str:
    """The queues of `server`, or why they cannot be read."""
    try:
        found = organisation.session(server).read(Command("Get-Queue", {"Server": server})).objects
    except (DeploymentError, Unreachable) as failure:
        return failure.message
    return tuple(map(queue, found))


def queue(record: Obj) -> Queue:
    """A queue of Get-Queue."""
    get = record.properties.get
    count = get("MessageCount")
    return Queue(
        connector=text(get("NextHopConnector")).lower(),
        next_hop=text(get("NextHopDomain")),
        status=text(get("Status")),
        messages=count if isinstance(count, int) else 0,
        last_error=text(get("LastError")),
    )


def baseline(seen: Iterable[Outbound]) -> tuple[ServedRow, ...]:
    """Rows of how things are before anything is done."""
    return tuple(_row(outbound, outbound.shown, Verdict.NOT_VERIFIED, _detail(outbound)) for outbound in seen)


def judge(
    seen: Iterable[Outbound],
    before: Mapping[tuple[str, str, str, int], str | None],
    events: Mapping[str, Sequence[Event]] | None = None,
) -> list[ServedRow]:
    """The verdict on each changed send connector; one that was stuck before proves nothing, nor does one without mail.

    Args:
        seen: its queues now.
        before: how they were, by `ports.row_key`.
        events: by server, what transport has written since the change, newest first; None if that cannot be read.
    """
    return [_judged(outbound, before.get(_key(outbound)), (events or {}).get(outbound.server, ())) for outbound in seen]


def _judged(outbound: Outbound, before: str | None, events: Sequence[Event]) -> ServedRow:
    worst, detail = outbound.worst, _detail(outbound)
    naming = [e for e in events if e.id == NO_CERTIFICATE and _names(e, outbound.connector)]
    if naming:
        return _row(
            outbound, before, Verdict.REGRESSION, f"event {NO_CERTIFICATE}: {naming[0].message[:_SHOWN]}; {detail}"
        )
    if worst is None:
        return _row(outbound, before, Verdict.NOT_VERIFIED, detail)
    if worst.status not in _STUCK:
        return _row(outbound, before, Verdict.OK, detail)
    if before in _STUCK:
        return _row(outbound, before, Verdict.NOT_VERIFIED, f"as before: {detail}")
    ours = before is not None or _OUR_DOING.search(worst.last_error)
    return _row(outbound, before, Verdict.REGRESSION if ours else Verdict.NOT_VERIFIED, detail)


def warnings(events: Mapping[str, Sequence[Event]]) -> tuple[Finding, ...]:
    """What transport complains of, by server; said once, however often it was written."""
    told = {(server, event.id, event.message[:_SHOWN]): None for server, found in events.items() for event in found}
    return tuple(
        Finding(
            check="transport-event",
            severity=Severity.WARN,
            subject=server,
            message=f"{server} wrote event {number}: {message}",
            remedy=_REMEDIES.get(number, "").format(server=server),
        )
        for server, number, message in told
    )


def _names(event: Event, connector: Connector) -> bool:
    """Whether the event speaks of the connector: names are in the text of any language."""
    return re.search(rf"(?<!\w){re.escape(connector.name)}(?!\w)", event.message, re.IGNORECASE) is not None


def _detail(outbound: Outbound) -> str:
    worst = outbound.worst
    if outbound.obstacle:
        return f"the queue cannot be read: {outbound.obstacle}"
    if worst is None:
        return "there is no queue: no mail has been sent there lately, which would prove it"
    waiting = f"{worst.messages} message{'' if worst.messages == 1 else 's'} to {worst.next_hop or 'nowhere'}"
    return f"{waiting}, last error: {worst.last_error[:_SHOWN]}" if worst.last_error else waiting


def _key(outbound: Outbound) -> tuple[str, str, str, int]:
    connector = outbound.connector
    leads_to = connector.smart_hosts or connector.address_spaces
    return (outbound.server, f"outbound: {connector.name}", ", ".join(leads_to), _SMTP)


def _row(outbound: Outbound, before: str | None, verdict: Verdict, detail: str) -> ServedRow:
    server, service, address, port = _key(outbound)
    return ServedRow(
        server=server,
        service=service,
        address=address,
        port=port,
        protocol="SMTP",
        before=before,
        now=outbound.shown,
        valid=outbound.worst is not None and outbound.worst.status not in _STUCK,
        verdict=verdict,
        detail=detail,
        sends=True,
    )
