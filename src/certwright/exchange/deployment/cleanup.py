"""Removes what Certwright imported and nothing uses any more; and says of each other certificate why it is kept.

Whatever cannot be seen counts as in use. A removal that Exchange refuses is deferred: it knows references of its own.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from certwright.domain.deployment import Change, Inspection, Verdict, failures
from certwright.domain.errors import CertwrightError, DeploymentError, Unreachable
from certwright.exchange.access.host import MAIL_SERVICES
from certwright.exchange.access.organisation import Organisation
from certwright.exchange.deployment import changes
from certwright.exchange.deployment.apply import Work
from certwright.exchange.deployment.apply import carry_out as carry_out_one
from certwright.exchange.deployment.connectors import ORGANISATION, all_of, title
from certwright.exchange.fitness import unusable
from certwright.exchange.model import SUPPORTED, Certificate, Connector, ServerState, Service, site_title
from certwright.exchange.parallel import side_by_side
from certwright.exchange.references import refers_to
from certwright.exchange.snapshot import Snapshot
from certwright.exchange.verification.ports import SHOWN_DIGITS
from certwright.sdk.journal import Journal

GRACE = timedelta(hours=24)
_TELEPHONY = Service.UM | Service.UM_CALL_ROUTER
_SEEN = ("Auth", "federation", "hybrid", "Edge")


@dataclass(frozen=True, slots=True)
class Ours:
    """What Certwright knows of its own certificates.

    Attributes:
        versions: thumbprints of all versions of the managed certificate, newest first.
        current: that of the version in use.
        since: when that was verified; None if it is not in use.
        imported: thumbprints that were put into the store of each server, by server.
        inspection: what every port serves now.
        stopped: which of POP and IMAP do not run, by server, as its host tells.
    """

    versions: tuple[str, ...]
    current: str
    since: datetime | None
    imported: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    inspection: Inspection = field(default_factory=Inspection)
    stopped: Mapping[str, Service] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Kept:
    """An earlier certificate of ours that stays in the store of `server`, and why: what uses it, mostly."""

    server: str
    thumbprint: str
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Deferred:
    """A removal that Exchange refused, or that could not be asked for, and why; a later cleanup tries it again."""

    change: Change
    reason: str


@dataclass(frozen=True, slots=True)
class CleanupPlan:
    """What is to be removed, and what is kept."""

    removals: tuple[Change, ...] = ()
    kept: tuple[Kept, ...] = ()

    def agreed(self, shown: Collection[Change]) -> "CleanupPlan":
        """What a person has been shown of it; what else can be removed is kept for the next time."""
        known = {(change.target, change.parameters.get("Thumbprint")) for change in shown}
        removals, kept = [], list(self.kept)
        for change in self.removals:
            thumbprint = change.parameters["Thumbprint"]
            if (change.target, thumbprint) in known:
                removals.append(change)
            else:
                kept.append(Kept(change.target, thumbprint, ("nobody has agreed to its removal yet",)))
        return CleanupPlan(tuple(removals), tuple(kept))


def plan_cleanup(snapshot: Snapshot, ours: Ours, now: datetime, grace: timedelta = GRACE) -> CleanupPlan:
    """What can be removed: superseded certificates of ours to which nothing refers, after `grace` on green ports."""
    removals, kept = [], []
    for state in snapshot.servers:
        imported = {t for name in state.names for t in ours.imported.get(name, ())}
        for certificate in state.certificates:
            if certificate.thumbprint == ours.current or certificate.thumbprint not in {*ours.versions, *imported}:
                continue
            found = dict.fromkeys(_history(certificate, state, ours, imported, now, grace))
            found |= dict.fromkeys(_uses(certificate, state, ours, snapshot, now))
            if found:
                kept.append(Kept(state.server, certificate.thumbprint, tuple(found)))
            else:
                why = f"Certwright imported it, {ours.current} took its place, and nothing refers to it"
                removals.append(changes.remove(state.server, certificate.thumbprint, why))
    return CleanupPlan(tuple(removals), tuple(kept))


def stopped(organisation: Organisation, servers: Iterable[str]) -> dict[str, Service]:
    """Which of POP and IMAP do not run, by server; a host that is not asked, or does not answer, tells of none."""
    found: dict[str, Service] = {}
    for server in servers:
        for service, names in MAIL_SERVICES.items():
            host = organisation.host(server)
            with suppress(DeploymentError, Unreachable):
                if host is not None and not host.running(names):
                    found[server] = found.get(server, Service.NONE) | service
    return found


def carry_out(
    plan: CleanupPlan, organisation: Organisation, journal: Journal, guard: Callable[[], None]
) -> tuple[tuple[Change, ...], tuple[Deferred, ...]]:
    """Remove what `plan` says, on all servers at the same time; what was removed, and what Exchange refused."""
    work = Work(organisation, journal, guard)
    outcomes: dict[int, CertwrightError | None] = {}

    def remove(server: str) -> None:
        for number, change in enumerate(plan.removals):
            if change.target == server:
                outcomes[number] = _remove(change, work)

    side_by_side(dict.fromkeys(change.target for change in plan.removals), remove, work.stop)
    removed = tuple(change for number, change in enumerate(plan.removals) if outcomes.get(number) is None)
    deferred = tuple(
        Deferred(change, failure.message)
        for number, change in enumerate(plan.removals)
        if (failure := outcomes.get(number)) is not None
    )
    return removed, deferred


def _remove(change: Change, work: Work) -> CertwrightError | None:
    try:
        with work.journal.step(changes.title(change)) as step:
            step.note(f"{change.typed}   (because {change.why})")
            carry_out_one(change, work, step)
    except (DeploymentError, Unreachable) as failure:
        return failure
    return None


def _history(
    certificate: Certificate, state: ServerState, ours: Ours, imported: set[str], now: datetime, grace: timedelta
) -> Iterator[str]:
    """Why a certificate stays, by what Certwright did."""
    if certificate.thumbprint not in imported:
        yield "Certwright did not import it there"
    if not _is_superseded(certificate.thumbprint, ours):
        yield "no later version is in use"
    elif ours.since is None:
        yield "the current version is not known to be in use, verified on every port"
    elif now < ours.since + grace:
        until = ours.since + grace
        yield f"earlier versions are kept for {grace / timedelta(hours=1):g} hours: until {until:%Y-%m-%d %H:%M} UTC"
    if failures(ours.inspection.rows):
        yield "not every port serves what it should"
    yield from _unproved(certificate, state, ours)
    if state.away:
        yield f"the server is left alone: {state.away}"
    if state.certificate(ours.current) is None:
        yield "the server does not hold the current version"


def _unproved(certificate: Certificate, state: ServerState, ours: Ours) -> Iterator[str]:
    """Services that no port was seen to serve the current version for: what is closed or not looked at tells nothing.

    A service that does not run needs none, if the current version is assigned to it for when it starts.
    """
    current = state.certificate(ours.current)
    if certificate.services is None or (current and current.services is None):
        yield "Exchange does not tell which services it has"
        return
    assigned = current.services or Service.NONE if current else Service.NONE
    idle = assigned & ours.stopped.get(state.server, Service.NONE)
    rows = [row for row in ours.inspection.rows if row.server in state.names and row.verdict is Verdict.OK]
    for service in (certificate.services | assigned) & SUPPORTED & ~idle:
        if not any(row.service == str(service) for row in rows):
            yield f"no port was seen on which {service} serves the current version"


def _is_superseded(thumbprint: str, ours: Ours) -> bool:
    """Whether the current version is a later one; what is no version any more is older than all that are."""
    order = list(ours.versions)
    if ours.current not in order:
        return False
    return thumbprint not in order or order.index(ours.current) < order.index(thumbprint)


def _uses(certificate: Certificate, state: ServerState, ours: Ours, snapshot: Snapshot, now: datetime) -> Iterator[str]:
    """Why a certificate stays, by what refers to it or may do so."""
    signing = [found.thumbprints for found in (snapshot.auth, snapshot.federation) if found]
    if certificate.is_protected or certificate.thumbprint in snapshot.protected.union(*signing):
        yield "with it Exchange signs its own tokens, or a federation trust"
    yield from _web_sites(certificate, state)
    if state.internal_transport is None:
        yield "the internal transport certificate cannot be read"
    elif state.internal_transport == certificate.thumbprint:
        yield "it is the internal transport certificate"
    if certificate.services is not None and certificate.services & _TELEPHONY:
        yield "Unified Messaging uses it"
    yield from _ports(certificate, state, ours, snapshot)
    yield from _mail_access(certificate, state, ours, now)
    if snapshot.subscriptions and state.internal_transport in ours.versions:
        yield (
            f"the Edge subscription {', '.join(snapshot.subscriptions)} may depend on it, because versions of this "
            "certificate are the internal transport certificate: subscribe the Edge server anew and remove it by hand"
        )
    yield from _connectors(certificate, state.certificate(ours.current), state, snapshot)
    if state.connectors is None:
        yield "the receive connectors cannot be read"
    if snapshot.send_connectors is None:
        yield "the send connectors cannot be read"
    for unknown in (*snapshot.unknown, *state.unknown):
        if any(word in unknown.what for word in _SEEN):
            yield f"{unknown.what} cannot be read: {unknown.why}"


def _web_sites(certificate: Certificate, state: ServerState) -> Iterator[str]:
    bindings = (state.host.bindings if state.host else None) or ()
    bound = [b.information for b in bindings if b.thumbprint.upper() == certificate.thumbprint]
    if bound:
        yield f"IIS serves it at {', '.join(bound)}"
    if certificate.iis_sites is None:
        yield "the web sites that use it cannot be read"
    for site in sorted(certificate.iis_sites or ()):
        yield f"the {site_title(site)} is bound to it"


def _ports(certificate: Certificate, state: ServerState, ours: Ours, snapshot: Snapshot) -> Iterator[str]:
    """Ports that serve it: of this server, or of what is none of them, such as a load balancer or an Edge server."""
    if certificate.facts is None:
        yield "Exchange does not tell what it is, so that no port can be compared with it"
        return
    for row in ours.inspection.seen:
        is_served = (row.now or "").startswith(certificate.facts.sha256[:SHOWN_DIGITS])
        if is_served and (snapshot.state(row.server) or state) is state:
            yield f"{row.service} at {row.address}:{row.port} ({row.server}) serves it"


def _mail_access(certificate: Certificate, state: ServerState, ours: Ours, now: datetime) -> Iterator[str]:
    """POP and IMAP look for a name: the current version, or another one that they have, has to cover it."""
    usable = [c for c in state.certificates if c.thumbprint != certificate.thumbprint and not unusable(c, now)]
    for service, name in ((Service.POP, state.pop_name), (Service.IMAP, state.imap_name)):
        theirs = [c for c in usable if c.thumbprint == ours.current or service in (c.services or Service.NONE)]
        others = [c.facts for c in theirs if c.facts]
        if name is None:
            yield f"the name that {service} looks for cannot be read"
        elif (certificate.facts is None or certificate.facts.covers(name)) and not any(
            facts.covers(name) for facts in others
        ):
            yield f"{service} looks for {name}, which no other certificate there covers"


def _connectors(
    certificate: Certificate, current: Certificate | None, state: ServerState, snapshot: Snapshot
) -> Iterator[str]:
    for connector in all_of(snapshot):
        own = connector.kind != "receive" or connector.server in state.names
        if own and refers_to(connector.tls_certificate_name, certificate):
            if current is not None and refers_to(connector.tls_certificate_name, current):
                yield _window(connector, certificate, state)
            else:
                yield f"{_lower(title(connector))} names it"


def _window(connector: Connector, certificate: Certificate, state: ServerState) -> str:
    """A connector that means the current version by the same name: what a person can do in a quiet moment."""
    blank = changes.name_certificate(connector, None, "", target=ORGANISATION).typed
    again = changes.name_certificate(connector, connector.tls_certificate_name, "", target=ORGANISATION).typed
    removal = changes.remove(state.server, certificate.thumbprint, "").typed
    return (
        f"{_lower(title(connector))} names issuer and subject, which the current version shares, and Exchange removes "
        "none of these. In a quiet moment, when mail through it may be encrypted with another certificate for a few "
        f"seconds: {blank}; {removal}; {again}"
    )


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]
