"""What stands where: each server's certificates, whose they are, and who uses them. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from certwright.domain.deployment import Finding
from certwright.exchange.judgement.bindings import overriding
from certwright.exchange.model import Certificate, ServerInfo, ServerState, is_bad, site_title
from certwright.exchange.references import refers_to
from certwright.exchange.snapshot import Snapshot
from certwright.exchange.versions import product

SOON = timedelta(days=14)


class Owner(StrEnum):
    """Who put a certificate where it is."""

    OURS = "Certwright"
    EXCHANGE = "Exchange's own"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class StoredCertificate:
    """A certificate in one server's store.

    `managed` is the title of the managed certificate that it is a version of; empty if it is none of ours. `uses` are
    web sites, settings and connectors that it serves, in words. `condition` is "valid", "expires soon", or what is
    wrong with it. `services` is None if Exchange did not tell.
    """

    thumbprint: str
    name: str
    owner: Owner
    managed: str = ""
    services: str | None = None
    uses: tuple[str, ...] = ()
    not_after: datetime | None = None
    condition: str = ""


@dataclass(frozen=True, slots=True)
class ServerOverview:
    """One server.

    `drift` tells in words what differs from what was deployed last, `overrides` which bindings of IIS go before the one
    that Exchange changes, and what clients get by them. `unread` is why the server could not be read: nothing else is
    known of it then.
    """

    name: str
    version: str
    site: str
    dag: str
    away: str
    certificates: tuple[StoredCertificate, ...]
    pop_name: str | None = None
    imap_name: str | None = None
    drift: tuple[str, ...] = ()
    overrides: tuple[str, ...] = ()
    unread: str = ""


@dataclass(frozen=True, slots=True)
class Overview:
    """The whole organisation; `drift` tells what differs from what was deployed last and belongs to no server here."""

    servers: tuple[ServerOverview, ...]
    drift: tuple[str, ...] = ()


def whole(snapshot: Snapshot, now: datetime, ours: Mapping[str, str], drift: Iterable[Finding]) -> Overview:
    """Every server, as `overview` tells, and what differs elsewhere: connectors, the hybrid configuration, ports."""
    differences = tuple(drift)
    here = {name.lower() for state in snapshot.servers for name in state.names}
    elsewhere = tuple(finding.message for finding in differences if finding.subject.lower() not in here)
    return Overview(overview(snapshot, now, ours, differences), elsewhere)


def overview(
    snapshot: Snapshot, now: datetime, ours: Mapping[str, str] | None = None, drift: Iterable[Finding] = ()
) -> tuple[ServerOverview, ...]:
    """Every server, those that could not be read last.

    Args:
        snapshot: the organisation.
        now: the time, in UTC.
        ours: titles of managed certificates by the thumbprints of their versions.
        drift: what differs from what was deployed last; told where its subject is a server.
    """
    differences = tuple(drift)
    seen = (_server(snapshot, state, now, ours or {}, differences) for state in snapshot.servers)
    return (*seen, *(_unread(snapshot, info) for info in snapshot.unread))


def _unread(snapshot: Snapshot, info: ServerInfo) -> ServerOverview:
    why = next((u.why for u in snapshot.unknown if u.subject == info.name), "")
    return ServerOverview(
        name=info.name,
        version=_version(info),
        site=info.site,
        dag="",
        away="",
        certificates=(),
        unread=why or "the reason is not known",
    )


def _version(info: ServerInfo) -> str:
    known = product(info.version)
    return known.name if known else info.version or "unknown"


def _server(
    snapshot: Snapshot, state: ServerState, now: datetime, ours: Mapping[str, str], drift: Iterable[Finding]
) -> ServerOverview:
    names = {name.lower() for name in state.names}
    stored = (_stored(snapshot, state, certificate, now, ours) for certificate in state.certificates)
    return ServerOverview(
        name=state.info.name,
        version=_version(state.info),
        site=state.info.site,
        dag=state.dag,
        away=state.away,
        certificates=tuple(sorted(stored, key=lambda c: (list(Owner).index(c.owner), not c.uses, c.name))),
        pop_name=state.pop_name,
        imap_name=state.imap_name,
        drift=tuple(finding.message for finding in drift if finding.subject.lower() in names),
        overrides=tuple(told for _, told in overriding(state)),
    )


def _stored(
    snapshot: Snapshot, state: ServerState, certificate: Certificate, now: datetime, ours: Mapping[str, str]
) -> StoredCertificate:
    facts, thumbprint = certificate.facts, certificate.thumbprint
    return StoredCertificate(
        thumbprint=thumbprint,
        name=(facts.common_name if facts else None) or certificate.friendly_name or certificate.subject or thumbprint,
        owner=_owner(snapshot, certificate, ours),
        managed=ours.get(thumbprint, ""),
        services=None if certificate.services is None else str(certificate.services),
        uses=tuple(_uses(snapshot, state, certificate)),
        not_after=facts.not_after if facts else None,
        condition=_condition(certificate, now),
    )


def _owner(snapshot: Snapshot, certificate: Certificate, ours: Mapping[str, str]) -> Owner:
    if certificate.thumbprint in ours:
        return Owner.OURS
    own = certificate.is_self_signed or (certificate.facts and certificate.facts.is_self_signed)
    protected = certificate.is_protected or certificate.thumbprint in snapshot.protected
    return Owner.EXCHANGE if own or protected else Owner.OTHER


def _uses(snapshot: Snapshot, state: ServerState, certificate: Certificate) -> Iterable[str]:
    yield from map(site_title, sorted(certificate.iis_sites or ()))
    if certificate.thumbprint == state.internal_transport:
        yield "mail among servers"
    if certificate.thumbprint in snapshot.protected:
        yield "signs Exchange's tokens"
    for connector in (*(snapshot.send_connectors or ()), *(state.connectors or ())):
        if refers_to(connector.tls_certificate_name, certificate):
            yield f"{connector.kind} connector {connector.name}"
    if snapshot.hybrid and refers_to(snapshot.hybrid.tls_certificate_name, certificate):
        yield "hybrid configuration"


def _condition(certificate: Certificate, now: datetime) -> str:
    facts = certificate.facts
    if certificate.has_private_key is False:
        return "without private key"
    if facts and facts.not_after <= now:
        return "expired"
    if is_bad(certificate.status) or certificate.status == "Untrusted":
        return certificate.status or ""
    if facts and facts.not_after < now + SOON:
        return "expires soon"
    return "valid" if facts or certificate.status == "Valid" else "unknown"
