"""Is mail still sent? The queues of a changed send connector before and after, and what transport says in its log."""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from certwright.domain.deployment import Finding, PortKey, ServedRow, Severity, Verdict
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
_OUR_DOING = re.compile(r"\b454 4\.7\.5\b|\bTlsCertificateName\b")  # it names a certificate that transport cannot find
_ENGLISH = re.compile(r"for the connector (.+?) with a FQDN parameter of ", re.DOTALL)  # event 12014
_WORDS = frozenset({"exchange", "fqdn", "microsoft", "smtp", "starttls", "tls"})  # of its text, in any language
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

    @property
    def is_ours(self) -> bool:
        """Whether its last error tells of the connector's certificate."""
        return _OUR_DOING.search(self.last_error) is not None

    @property
    def is_stuck(self) -> bool:
        """Whether its mail stands still; with such an error it does while the next attempt is made, too."""
        return self.status in _STUCK or (self.is_ours and self.messages > 0)


Before = tuple[Queue, ...] | str | None
"""How queues were: None if that is not known; earlier versions kept one status for all queues of a connector."""


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
        return _worst(self.queues)

    @property
    def key(self) -> PortKey:
        """What finds it again, as `ServedRow.key`."""
        leads_to = self.connector.smart_hosts or self.connector.address_spaces
        return (self.server, f"outbound: {self.connector.name}", ", ".join(leads_to), _SMTP)


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
        last_error=text(get("LastError"))[:_SHOWN],
    )


def before_of(seen: Iterable[Outbound]) -> dict[PortKey, Before]:
    """How things are before anything is done, by `Outbound.key`."""
    return {outbound.key: None if outbound.obstacle else outbound.queues for outbound in seen}


def judge(
    seen: Iterable[Outbound],
    before: Mapping[PortKey, Before],
    events: Mapping[str, Sequence[Event]] | None = None,
    names: Collection[str] = (),
) -> list[ServedRow]:
    """The verdict on each changed send connector; a queue that was stuck before proves nothing, nor does no mail.

    Args:
        seen: its queues now.
        before: how they were, by `Outbound.key`.
        events: by server, what transport has written since the change, newest first; None if that cannot be read.
        names: those of all connectors, of which an event may speak.
    """
    told, rows = events or {}, []
    for outbound in seen:
        naming = [e for e in told.get(outbound.server, ()) if _names(e, outbound.connector, names)]
        rows.append(_judged(outbound, before.get(outbound.key), naming))
    return rows


def _judged(outbound: Outbound, before: Before, naming: Sequence[Event]) -> ServedRow:
    detail = _detail(outbound)
    if naming:
        return _row(
            outbound, before, Verdict.REGRESSION, f"event {NO_CERTIFICATE}: {naming[0].message[:_SHOWN]}; {detail}"
        )
    worst = outbound.worst
    if worst is None:
        return _row(outbound, before, Verdict.NOT_VERIFIED, detail)
    if not worst.is_stuck:
        return _row(outbound, before, Verdict.OK, detail)
    if broken := _worst(queue for queue in outbound.queues if _is_worse(queue, _same(queue, before))):
        return _row(outbound, before, Verdict.REGRESSION, _waiting(broken))
    return _row(outbound, before, Verdict.NOT_VERIFIED, f"as before: {detail}" if _same(worst, before) else detail)


def _same(queue: Queue, before: Before) -> tuple[Queue, ...]:
    """The queues to the same next hop, as they were."""
    if isinstance(before, str):
        return (replace(queue, status=before, last_error=""),)
    return tuple(then for then in before or () if then.next_hop.lower() == queue.next_hop.lower())


def _is_worse(queue: Queue, earlier: Sequence[Queue]) -> bool:
    """Whether the change may have stopped it; one that is new, stuck for another reason, may be for a dead domain."""
    if not queue.is_stuck:
        return False
    if queue.is_ours:
        return not any(then.is_ours for then in earlier)
    return bool(earlier) and not any(then.is_stuck for then in earlier)


def _worst(queues: Iterable[Queue]) -> Queue | None:
    return max(queues, key=lambda queue: (queue.is_stuck, queue.messages), default=None)


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


def _names(event: Event, connector: Connector, names: Collection[str]) -> bool:
    """Whether the event tells that the connector has no certificate.

    In other languages than English its name has to stand in the text by itself: not in a host's, not in another
    connector's, and not as a word that is there anyway.
    """
    if event.id != NO_CERTIFICATE:
        return False
    name = connector.name.lower()
    if written := _ENGLISH.search(event.message):
        return written[1].lower() in {name, connector.identity.lower()}
    text = event.message.lower()
    for other in sorted(map(str.lower, names), key=len, reverse=True):
        if name in other and name != other:
            text = text.replace(other, "")
    return name not in _WORDS and re.search(rf"(?<![\w.-]){re.escape(name)}(?![\w-]|\.\w)", text) is not None


def _detail(outbound: Outbound) -> str:
    if outbound.obstacle:
        return f"the queue cannot be read: {outbound.obstacle}"
    if outbound.worst is None:
        return "there is no queue: no mail has been sent there lately, which would prove it"
    return _waiting(outbound.worst)


def _waiting(queue: Queue) -> str:
    waiting = f"{queue.messages} message{'' if queue.messages == 1 else 's'} to {queue.next_hop or 'nowhere'}"
    return f"{waiting}, last error: {queue.last_error}" if queue.last_error else waiting


def _row(outbound: Outbound, before: Before, verdict: Verdict, detail: str) -> ServedRow:
    server, service, address, port = outbound.key
    worst, earlier = outbound.worst, before if isinstance(before, str) else _worst(before or ())
    return ServedRow(
        server=server,
        service=service,
        address=address,
        port=port,
        protocol="SMTP",
        before=earlier.status if isinstance(earlier, Queue) else earlier,
        now=worst.status if worst else None,
        valid=worst is not None and not worst.is_stuck,
        verdict=verdict,
        detail=detail,
        sends=True,
    )
