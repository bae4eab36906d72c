"""What is different between two snapshots of an organisation, in words. Pure.

What either snapshot does not know is no difference.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from certwright.exchange.model import Certificate, Connector, ServerState
from certwright.exchange.snapshot import Hybrid, SigningCertificates, Snapshot
from certwright.exchange.versions import product

_UNSET = "not set"
Told = Mapping[str, str | None]
"""What is told of a subject -> its value in words; None is unknown."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Something of `subject` (a server, or empty for the organisation) that changed; empty is absent."""

    subject: str
    what: str
    before: str
    now: str

    @property
    def text(self) -> str:
        """The difference in one sentence."""
        place = f"{self.subject}: " if self.subject else ""
        if not self.before:
            return f"{place}{self.what} is new: {self.now}."
        if not self.now:
            return f"{place}{self.what} is gone; it was: {self.before}."
        return f"{place}{self.what} is now {self.now}; it was {self.before}."


def differences(old: Snapshot, new: Snapshot) -> tuple[Difference, ...]:
    """All that changed from `old` to `new`: of the organisation first, then by server."""
    before, after = dict(_sections(old)), dict(_sections(new))
    return tuple(
        Difference(subject, what, was or "", now or "")
        for (subject, part), told in after.items()
        if (subject, part) in before
        for what, was, now in _changed(before[subject, part], told)
    )


def _changed(before: Told, after: Told) -> Iterator[tuple[str, str | None, str | None]]:
    """What is told differently; of what came or went, nothing but that."""
    moved = tuple(f" of {what}" for what in before.keys() ^ after.keys())
    for what in dict.fromkeys((*before, *after)):
        was, now = before.get(what, ""), after.get(what, "")
        if was != now and was is not None and now is not None and not what.endswith(moved):
            yield what, was, now


def _sections(snapshot: Snapshot) -> Iterator[tuple[tuple[str, str], Told]]:
    """By subject and part: what is told of each. A part that could not be read is left out."""
    for part, told in _organisation(snapshot):
        yield ("", part), told
    for state in snapshot.servers:
        for part, told in _server(state):
            yield (state.info.name, part), told


def _organisation(snapshot: Snapshot) -> Iterator[tuple[str, Told]]:
    unread = {unknown.what for unknown in snapshot.unknown}
    yield (
        "servers",
        {f"server {s.info.name}": _version(s.info.version) for s in snapshot.servers}
        | {f"server {info.name}": None for info in snapshot.unread},
    )
    yield "edges", {f"Edge server {info.name}": _version(info.version) for info in snapshot.edges}
    yield "rivals", {f"{rival.product} on {rival.server}": rival.evidence for rival in snapshot.rivals}
    if snapshot.organisation:
        yield "name", {"the organisation's name": snapshot.organisation}
    if "the Edge subscriptions" not in unread:
        yield "subscriptions", {f"Edge subscription {name}": "there" for name in snapshot.subscriptions}
    if "the Auth certificates" not in unread:
        yield "auth", _signing("Auth certificate", snapshot.auth)
    if "the federation trust" not in unread:
        yield "federation", _signing("federation certificate", snapshot.federation)
    if "the hybrid configuration" not in unread:
        yield "hybrid", _hybrid(snapshot.hybrid)
    if snapshot.accepted_domains is not None:
        yield "domains", {f"accepted domain {d.name}": d.kind or "there" for d in snapshot.accepted_domains}
    if snapshot.rights is not None:
        yield "rights", {f"the account's right to {cmdlet}": "there" for cmdlet in sorted(snapshot.rights)}
    if snapshot.send_connectors is not None:
        yield "send connectors", _connectors(snapshot.send_connectors)


def _server(state: ServerState) -> Iterator[tuple[str, Told]]:
    yield (
        "settings",
        {
            "its site": state.info.site or None,
            "its availability group": state.dag or _UNSET,
            "the reason to leave it alone": state.away or "none",
            "the internal transport certificate": state.internal_transport,
            "the certificate name of POP": state.pop_name,
            "the certificate name of IMAP": state.imap_name,
            "the way certificates are read": state.wire_form or None,
        },
    )
    yield "certificates", dict(_certificates(state.certificates))
    if state.connectors is not None:
        yield "receive connectors", _connectors(state.connectors)
    for address in state.addresses or ():
        title = f"{address.service} ({address.identity})" if address.identity else address.service
        told = {f"{title} inside": address.internal or _UNSET, f"{title} outside": address.external or _UNSET}
        yield f"address {title}", told
    if state.components is not None:
        yield "components", {f"component {name}": value for name, value in state.components.items()}
    if state.host and state.host.bindings is not None:
        yield (
            "bindings",
            {
                f"binding {b.information} of web site {b.site}": f"{b.thumbprint or 'no certificate'}"
                + (" with SNI" if b.sni else "")
                for b in state.host.bindings
            },
        )


def _certificates(certificates: Iterable[Certificate]) -> Iterator[tuple[str, str | None]]:
    for one in certificates:
        name = one.facts.common_name if one.facts else None
        title = f"certificate {one.thumbprint}" + (f" ({name})" if name else "")
        yield title, f"valid until {one.facts.not_after:%Y-%m-%d}" if one.facts else "there"
        yield f"the services of {title}", None if one.services is None else str(one.services)
        yield f"the status of {title}", one.status
        sites = one.iis_sites
        yield f"the web sites of {title}", None if sites is None else ", ".join(map(str, sorted(sites))) or "none"


def _connectors(connectors: Iterable[Connector]) -> Told:
    told: dict[str, str | None] = {}
    for one in connectors:
        title = f"{one.kind} connector {one.identity or one.name}"
        told[title] = "enabled" if one.enabled else "disabled"
        values = {
            "TlsCertificateName": one.tls_certificate_name or _UNSET,
            "Fqdn": one.fqdn or _UNSET,
            "Bindings": _listed(one.ports),
            "RemoteIPRanges": _listed(one.remote_ranges),
            "SourceTransportServers": _listed(one.source_servers),
            "SmartHosts": _listed(one.smart_hosts),
            "AddressSpaces": _listed(one.address_spaces),
            "RequireTLS": str(one.require_tls),
            "TlsAuthLevel": one.tls_auth_level or _UNSET,
            "TlsDomain": one.tls_domain or _UNSET,
        }
        told |= {f"{name} of {title}": value for name, value in values.items()}
    return told


def _signing(title: str, found: SigningCertificates | None) -> Told:
    parts = {"current": found.current, "previous": found.previous, "next": found.next} if found else {}
    return {f"the {which} {title}": thumbprint for which, thumbprint in parts.items() if thumbprint}


def _hybrid(found: Hybrid | None) -> Told:
    if found is None:
        return {}
    return {
        "the hybrid configuration": "there",
        "TlsCertificateName of the hybrid configuration": found.tls_certificate_name or _UNSET,
        "domains of the hybrid configuration": _listed(found.domains),
        "sending servers of the hybrid configuration": _listed(found.sending_servers),
        "receiving servers of the hybrid configuration": _listed(found.receiving_servers),
    }


def _version(version: str) -> str | None:
    known = product(version)
    return known.name if known else version or None


def _listed(values: Iterable[object]) -> str:
    return ", ".join(map(str, values)) or _UNSET
