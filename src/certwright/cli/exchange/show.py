"""How an organisation looks to a person."""

from collections.abc import Iterable, Iterator
from textwrap import wrap
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from certwright.cli.show import WIDE, table
from certwright.exchange.account import missing_rights
from certwright.exchange.judgement.moves import block
from certwright.exchange.judgement.names import Coverage, described
from certwright.exchange.model import site_title
from certwright.exchange.versions import product

if TYPE_CHECKING:
    from collections.abc import Collection

    from rich.console import Console
    from rich.table import Table

    from certwright.domain.certificates import CertificateFacts
    from certwright.exchange.judgement.names import NameVerdict
    from certwright.exchange.judgement.status import Overview, StoredCertificate
    from certwright.exchange.model import Connector, ServerInfo, ServerState
    from certwright.exchange.snapshot import Snapshot


_WIDTH = 98
_INDENT = "   "
_RESOLVES = {True: "resolves", False: "does not resolve", None: "whether it resolves is not known"}


def counted(number: int, thing: str) -> str:
    """`1 server`, `2 servers`."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def judged_against(facts: "CertificateFacts | None") -> str:
    """Which certificate the verdicts on names are about."""
    if facts is None:
        return "no certificate: the web sites serve several, or it is not known which"
    return f"the certificate {facts.thumbprint} ({facts.common_name or 'no common name'})"


def name_lines(verdicts: Iterable["NameVerdict"], chosen: "Collection[str]" = ()) -> Iterator[str]:
    """Each name with what the certificate does for it, who needs it, and what to do; what needs nothing is last.

    `chosen` are names that a certificate is going to have.
    """
    own: list[str] = []
    for verdict in verdicts:
        if verdict.coverage is Coverage.OWN and verdict.name not in chosen:
            own.append(verdict.name)
            continue
        stands = "will be on it" if verdict.name in chosen else verdict.coverage.value
        looked_up = "" if verdict.coverage is Coverage.NOT_PUBLIC else f", {_RESOLVES[verdict.resolves]}"
        yield f"{verdict.name}: {stands}{looked_up}"
        for source in described(verdict.sources):
            yield from _wrapped(f"needed by {source}")
        yield from _wrapped(verdict.advice)
        yield from (f"{_INDENT}{line}" for line in block(verdict.moves))
    if own:
        yield from wrap(f"{', '.join(own)}: nothing to do, the server's own certificate is for that name", _WIDTH)


def _wrapped(sentence: str) -> list[str]:
    return wrap(sentence, _WIDTH, initial_indent=_INDENT, subsequent_indent=_INDENT, break_on_hyphens=False)


def status_shown(console: "Console", found: "Overview") -> Iterator["Table | str"]:
    """The certificates of each server, as a table where `console` is wide enough, and what is not as deployed."""
    headers = ["Thumbprint", "Name", "Whose", "Until", "Condition", "Services", "Used by"]
    for server in found.servers:
        version = f"Exchange {server.version}"
        place = ", ".join(filter(None, (version, server.site, server.dag and f"DAG {server.dag}")))
        title, rows = f"{server.name} ({place})", list(map(_cells, server.certificates))
        if server.unread:
            yield f"{title}: not read: {server.unread}"
            continue
        if console.width < WIDE:
            yield title
            yield from (line for cells in rows for line in _entry(headers, cells))
        else:
            yield table(headers, rows, title)
        if server.away:
            yield f"to be left alone now: {server.away}"
        yield from (f"differs: {told}" for told in server.drift)
        yield from (f"overrides: {told}" for told in server.overrides)
    yield from (f"differs: {told}" for told in found.drift)


def _cells(certificate: "StoredCertificate") -> list[str]:
    return [
        certificate.thumbprint[:16],
        certificate.name,
        certificate.managed or certificate.owner.value,
        f"{certificate.not_after:%Y-%m-%d}" if certificate.not_after else "unknown",
        certificate.condition,
        certificate.services or "unknown",
        "; ".join(certificate.uses),
    ]


def _entry(headers: "list[str]", cells: "list[str]") -> Iterator[str]:
    """A row where a table does not fit: its first two cells, then each of the others with its header."""
    yield f"  {cells[0]} {cells[1]}"
    told = [f"{header.lower()}: {cell}" for header, cell in zip(headers[2:], cells[2:], strict=True) if cell]
    yield f"    {', '.join(told[:-1])}"
    yield f"    {told[-1]}"


def snapshot_lines(snapshot: "Snapshot") -> Iterator[str]:
    """The organisation in words: servers with their certificates, connectors, and what is not known."""
    yield f"Organisation {snapshot.organisation or 'of unknown name'}, {counted(len(snapshot.servers), 'server')}"
    for state in snapshot.servers:
        yield from _server_lines(state)
    for edge in snapshot.edges:
        yield f"{edge.name} (Edge, {_version(edge)}): reached by hand only"
    for server in snapshot.unread:
        yield f"{server.name}: not read"
    yield from _organisation_lines(snapshot)
    lacking = {right.cmdlet for right in missing_rights(snapshot.rights)}
    if lacking:
        yield f"the account lacks rights ({', '.join(sorted(lacking))}): see certwright exchange account"
    for unknown in (*snapshot.unknown, *(u for state in snapshot.servers for u in state.unknown)):
        yield f"unknown: {unknown.subject}: {unknown.what} ({unknown.why})"


def _organisation_lines(snapshot: "Snapshot") -> Iterator[str]:
    """What belongs to no server."""
    for connector in snapshot.send_connectors or ():
        yield f"send connector {_connector(connector)}"
    if snapshot.hybrid:
        yield f"hybrid configuration: certificate {snapshot.hybrid.tls_certificate_name or 'none'}"
    for what, signing in (("Auth", snapshot.auth), ("federation", snapshot.federation)):
        if signing and signing.thumbprints:
            yield f"{what} certificates, which are never touched: {', '.join(sorted(signing.thumbprints))}"
    if snapshot.subscriptions:
        yield f"Edge subscriptions: {', '.join(snapshot.subscriptions)}"
    if snapshot.accepted_domains:
        yield f"accepted domains: {', '.join(domain.name for domain in snapshot.accepted_domains)}"
    for rival in snapshot.rivals:
        yield f"another ACME client at work on {rival.server}: {rival.product} ({rival.evidence})"


def _version(server: "ServerInfo") -> str:
    known = product(server.version)
    return f"Exchange {known.name}" if known else server.version or "version unknown"


def _server_lines(state: "ServerState") -> Iterator[str]:
    place = ", ".join(filter(None, (state.info.roles, state.info.site, state.dag and f"DAG {state.dag}")))
    yield f"{state.info.name or state.server} ({place}): {_version(state.info)}"
    if state.away:
        yield f"  to be left alone now: {state.away}"
    for certificate in state.certificates:
        until = f"until {certificate.facts.not_after:%Y-%m-%d}" if certificate.facts else "dates unknown"
        name = certificate.facts.common_name if certificate.facts else certificate.subject
        used = "services unknown" if certificate.services is None else str(certificate.services)
        internal = ", internal transport" if certificate.thumbprint == state.internal_transport else ""
        sites = ", ".join(map(site_title, sorted(certificate.iis_sites or ())))
        bound = f", {sites}" if sites else ""
        yield f"  {certificate.thumbprint} {name or 'no name'}, {until}: {used}{bound}{internal}"
    if state.wire_form:
        yield f"  certificates are told {state.wire_form}"
    yield f"  POP looks for {state.pop_name or 'unknown'}, IMAP for {state.imap_name or 'unknown'}"
    hosts: dict[str, list[str]] = {}
    for address in state.addresses or ():
        for url in dict.fromkeys(filter(None, (address.internal, address.external))):
            hosts.setdefault(urlsplit(url).hostname or url, []).append(address.service)
    for host, services in hosts.items():
        yield f"  clients are sent to {host} for {', '.join(dict.fromkeys(services))}"
    for connector in state.connectors or ():
        yield f"  receive connector {_connector(connector)}"


def _connector(connector: "Connector") -> str:
    named = connector.tls_certificate_name or "chosen by Fqdn"
    return f"{connector.name!r}: {connector.fqdn or 'no Fqdn'}, certificate {named}"
