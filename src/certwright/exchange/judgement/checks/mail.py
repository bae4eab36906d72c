"""Checks of what sends and receives mail: connectors, the hybrid configuration, Edge servers, internal transport."""

from collections.abc import Iterable, Iterator

from certwright.domain.certificates import CertificateFacts
from certwright.domain.deployment import Finding
from certwright.exchange.deployment.wish import mail_access_name
from certwright.exchange.judgement.checks import sight
from certwright.exchange.judgement.checks.case import (
    LATER,
    Case,
    Check,
    ask,
    by_thumbprint,
    connector_title,
    deploys,
    ends,
    listed,
    note,
    warn,
)
from certwright.exchange.model import Certificate, Connector, ServerState, Service, quoted
from certwright.exchange.references import certificates_of, common_name, referred_to
from certwright.exchange.steps import adding, steps

_TELEPHONY = {Service.UM: "MSExchangeUM", Service.UM_CALL_ROUTER: "MSExchangeUMCR"}
_INBOUND = "Get-InboundConnector | Format-List -Property 'Name', 'TlsSenderCertificateName'"


def _connector_certificate(case: Case) -> Iterator[Finding]:
    for connector in case.snapshot.connectors:
        if not connector.enabled or not connector.tls_certificate_name:
            continue
        for state in _users(case, connector):
            if case.wish is None or not case.follows(connector):
                yield from _named(case, connector, state)


def _users(case: Case, connector: Connector) -> Iterator[ServerState]:
    """The servers on which the connector looks for its certificate, as far as they could be read."""
    names = (connector.server,) if connector.kind == "receive" else connector.source_servers
    yield from filter(None, (case.snapshot.state(name.rpartition("/")[2]) for name in names))


def _named(case: Case, connector: Connector, state: ServerState) -> Iterator[Finding]:
    found = referred_to(connector.tls_certificate_name, state.certificates)
    if not found:
        similar = common_name(connector.tls_certificate_name)
        close = [c for c in state.certificates if similar and c.facts and c.facts.common_name == similar]
        hint = f" It holds {listed(c.thumbprint for c in close)}, with the same common name only." if close else ""
        yield warn(
            f"{connector_title(connector)} names a certificate that {state.info.name} does not hold "
            f"({connector.tls_certificate_name}): mail through it waits there (454 4.7.5).{hint}",
            steps(
                "Let it follow the certificate, with the first command; or let it choose by its name, with the other, "
                "in the Exchange Management Shell:",
                adding("connectors", [connector.identity or connector.name], case.context.certificate),
                connector.setting("-TlsCertificateName $null"),
            ),
            connector.identity,
        )
    elif last := [c for c in found if c.facts and all(o.facts and o.facts.not_after <= case.now for o in found)][:1]:
        yield warn(
            f"{connector_title(connector)} names a certificate on {state.info.name} that has expired "
            f"({last[0].thumbprint}).",
            steps(
                "Let it follow the certificate:",
                adding("connectors", [connector.identity or connector.name], case.context.certificate),
            ),
            connector.identity,
        )


def _same_subject(case: Case) -> Iterator[Finding]:
    for connector in case.snapshot.connectors:
        certificates = by_thumbprint(referred_to(connector.tls_certificate_name, certificates_of(case.snapshot)))
        if len(certificates) > 1:
            yield note(
                f"{connector_title(connector)} names issuer and subject of {len(certificates)} certificates: "
                f"{listed(certificates)}. Exchange is said to use the one that is valid longest.",
                "Nothing has to be set when one replaces another; but none of them can be removed while the "
                "connector names them: that takes a moment without the name, which "
                f"certwright exchange cleanup {case.context.certificate} proposes.",
                connector.identity,
            )


def _connector_fqdn(case: Case) -> Iterator[Finding]:
    facts = case.wish.facts if case.wish else None
    for connector in case.snapshot.send_connectors or ():
        if facts and connector.enabled and connector.fqdn and case.follows(connector):
            if facts.covers(connector.fqdn):
                continue
            name = mail_access_name(facts, "")
            yield warn(
                f"{connector_title(connector)} announces itself as {connector.fqdn}, which is not on the certificate "
                "that it is to present: who compares the two may refuse the mail, or send it on as not trusted.",
                steps(
                    "Add this name to the certificate; or let the connector announce one that is on it, in the "
                    "Exchange Management Shell:",
                    connector.setting(f"-Fqdn {quoted(name or 'HOST')}"),
                ),
                connector.identity,
            )


def _receive_fqdn(case: Case) -> Iterator[Finding]:
    """A receive connector that follows, and loses the name by which it greets."""
    if case.wish is None:
        return
    facts, name = case.wish.facts, mail_access_name(case.wish.facts, "")
    led = [(s, c) for s in case.targets for c in s.connectors or () if c.enabled and not s.away and case.follows(c)]
    for state, connector in led:
        presented = _presented(case, connector, state)
        if presented is None or not presented.covers(connector.fqdn) or facts.covers(connector.fqdn):
            continue
        yield (warn if case.context.attended else ask)(
            f"{connector_title(connector)} announces itself as {connector.fqdn}. The certificate that it names now has "
            "this name, and the new one, which it is to name, has not: who compares the two may not send mail there.",
            steps(
                "Add this name to the certificate; or let the connector announce one that is on it, with the first "
                "command in the Exchange Management Shell; or deploy yourself if it may be so, with the other one:",
                connector.setting(f"-Fqdn {quoted(name or 'HOST')}"),
                f"certwright exchange apply {case.context.certificate}",
            ),
            connector.identity,
        )


def _presented(case: Case, connector: Connector, state: ServerState) -> CertificateFacts | None:
    """The valid public certificate that a receive connector presents; of several of one name the longest is used."""
    named = referred_to(connector.tls_certificate_name, state.certificates)
    usable = [c.facts for c in named if c.facts and (c.services is None or Service.SMTP in c.services)]
    found = max(usable, key=lambda facts: facts.not_after, default=None)
    return found if found and found.is_valid_at(case.now) and not found.is_self_signed else None


def _is_hybrid(case: Case) -> bool:
    return case.snapshot.hybrid is not None or any(c.cloud_mail for c in case.snapshot.send_connectors or ())


def _hybrid_names(case: Case) -> Iterator[Finding]:
    if not _is_hybrid(case):
        return
    named = [c for c in case.snapshot.send_connectors or () if c.cloud_mail]
    hybrid = case.snapshot.hybrid
    common = case.wish.facts.common_name if case.wish else _hybrid_common_name(case, named)
    domains = [d.name.lower() for d in case.snapshot.accepted_domains or ()]
    if common and domains and not _within(common, domains):
        yield warn(
            f"{_senders(named)} to Exchange Online under the common name {common}, which is in none of the accepted "
            f"domains ({listed(domains)}): Exchange Online may refuse the mail (550 5.7.64 TenantAttribution).",
            steps(
                "Let the first of the certificate's names be in an accepted domain. Or add its domain, if it is yours, "
                "in the Exchange Management Shell; and see, in Exchange Online PowerShell, what is expected there:",
                f"New-AcceptedDomain -Name {quoted(_domain(common))} -DomainName {quoted(_domain(common))}",
                _INBOUND,
            ),
        )
    earlier = {c.facts.common_name for c in case.replaced if c.facts and c.facts.common_name}
    if case.wish and common and earlier and common not in earlier:
        yield warn(
            f"The common name changes from {listed(sorted(earlier))} to {common}. {_senders(named)} under it to "
            "Exchange Online, where an inbound connector may know this organisation by the earlier one "
            "(TlsSenderCertificateName): then it refuses the mail.",
            steps(
                "Look before you deploy, in Exchange Online PowerShell; where a connector names the earlier one or its "
                "domain, and that does not fit the new one, change it once that is in use:",
                _INBOUND,
                f"Set-InboundConnector -Identity NAME -TlsSenderCertificateName {quoted(common)}",
            ),
        )
    if case.wish and hybrid:
        yield from _hybrid_servers(case, (*hybrid.sending_servers, *hybrid.receiving_servers))


def _senders(connectors: Iterable[Connector]) -> str:
    """Who sends to Exchange Online, at the beginning of a sentence."""
    names = [quoted(c.identity or c.name) for c in connectors]
    return f"{listed(names)} sends" if names else "The hybrid configuration lets mail be sent"


def _domain(name: str) -> str:
    """The domain that a host, or all hosts of a wildcard, are in."""
    return name.lower().partition(".")[2]


def _hybrid_servers(case: Case, names: Iterable[str]) -> Iterator[Finding]:
    targets = {name.lower() for state in case.targets for name in state.names}
    edges = {name.lower() for edge in case.snapshot.edges for name in (edge.name, edge.fqdn)}
    short = dict.fromkeys(name.rpartition("/")[2] for name in names)
    if lacking := [name for name in short if name.lower() not in targets | edges]:
        yield warn(
            f"{listed(lacking)} take part in the hybrid configuration, but get no new certificate. All its servers "
            "need one of the same issuer and subject.",
            steps("Have the task work on them, too:", adding("servers", lacking, case.context.certificate)),
        )


def _hybrid_common_name(case: Case, connectors: Iterable[Connector]) -> str:
    values = [c.tls_certificate_name for c in connectors]
    values += [case.snapshot.hybrid.tls_certificate_name] if case.snapshot.hybrid else []
    return next(filter(None, map(common_name, values)), "")


def _within(name: str, domains: Iterable[str]) -> bool:
    host = name.lower().removeprefix("*.")
    return any(host == domain or host.endswith(f".{domain}") for domain in domains)


def _edge(case: Case) -> Iterator[Finding]:
    thumbprint = case.wish.facts.thumbprint if case.wish else "THUMBPRINT"
    for edge in case.snapshot.edges:
        yield (warn if case.wish else note)(
            f"{edge.name} is an Edge server: nothing can reach its Exchange from outside, so it gets its certificate "
            "by hand.",
            steps(
                "Make a file where Certwright runs, with the first command (FILE holds a password for it); and there, "
                "in the Exchange Management Shell as a local administrator, give the others. Answer No to replacing "
                "the default certificate: EdgeSync knows the server by that one (port 50636), and would need a new "
                "Edge subscription.",
                f"certwright certificate export {case.context.certificate} --format pfx --cipher legacy "
                "--password-file FILE",
                "Import-ExchangeCertificate -FileData ([System.IO.File]::ReadAllBytes('C:\\new.pfx')) -Password "
                "(Read-Host -AsSecureString)",
                f"Enable-ExchangeCertificate -Thumbprint {thumbprint} -Services SMTP",
            ),
            edge.name,
        )


def _internal_transport(case: Case) -> Iterator[Finding]:
    for state in case.targets:
        if state.internal_transport is None:
            continue
        found = state.certificate(state.internal_transport)
        if problem := _internal_problem(case, found):
            yield warn(
                f"{state.info.name}: the certificate with which servers talk to each other "
                f"({state.internal_transport}) {problem}.",
                steps(
                    "Make a new one in the Exchange Management Shell, and answer Yes to replacing the default one:",
                    f"New-ExchangeCertificate -Server {quoted(state.info.name)} -FriendlyName 'Microsoft Exchange' "
                    f"-SubjectName {quoted(f'CN={state.info.name}')} -DomainName {quoted(state.info.name)}, "
                    f"{quoted(state.info.fqdn)} -Services SMTP",
                ),
                state.info.name,
            )
        elif found and found.is_self_signed is False and case.wish is None:
            yield note(
                f"{state.info.name}: servers talk to each other with {state.internal_transport}, which is not "
                "self-signed: it has to be replaced whenever it is renewed.",
                "",
                state.info.name,
            )


def _internal_problem(case: Case, found: Certificate | None) -> str:
    if found is None:
        return "is not in its store"
    if found.has_private_key is False:
        return "has no private key"
    if found.facts and found.facts.not_after < case.now + LATER:
        return ends(found.facts.not_after, case.now)
    return ""


def _um_services(case: Case) -> Iterator[Finding]:
    for state in case.targets:
        for certificate in filter(None, map(state.certificate, case.wish.predecessors if case.wish else ())):
            used = (certificate.services or Service.NONE) & (Service.UM | Service.UM_CALL_ROUTER)
            if used and case.wish:
                services = ", ".join(name for service, name in _TELEPHONY.items() if service in used)
                yield warn(
                    f"{state.info.name}: Unified Messaging uses the certificate that is replaced "
                    f"({certificate.thumbprint}), and goes on using it: Certwright assigns no telephony.",
                    steps(
                        f"Once the new one is imported, in the Exchange Management Shell on {state.info.name}; the "
                        "startup mode must be TLS or Dual:",
                        f"Stop-Service {services}",
                        f"Enable-ExchangeCertificate -Server {quoted(state.info.name)} "
                        f"-Thumbprint {case.wish.facts.thumbprint} -Services {quoted(str(used))}",
                        f"Start-Service {services}",
                    ),
                    state.info.name,
                )


CHECKS = (
    Check(
        "connector-certificate",
        "Certificates that connectors name",
        "A connector refers to its certificate by issuer and subject (TlsCertificateName). If its servers hold no "
        "such certificate any more, mail waits with 454 4.7.5. Choose the connector with the parameter connectors, "
        "so that it follows the certificate, or clear the name by hand.",
        _connector_certificate,
        unseen=sight.either(sight.organisation(sight.senders), sight.servers(sight.connectors)),
    ),
    Check(
        "same-subject",
        "Certificates with one name",
        "If issuer and subject stay the same at a renewal, the connector's value does too. Then nothing has to be "
        "set, but Exchange removes none of these certificates while the connector names them.",
        _same_subject,
        unseen=sight.either(sight.organisation(sight.senders), sight.servers(sight.connectors)),
    ),
    Check(
        "connector-fqdn",
        "Name that a connector announces",
        "A connector greets other servers by its Fqdn. The certificate that it presents should have that name. "
        "Add it to the certificate, or set the Fqdn to a name that the certificate has. A receive connector that "
        "would lose its name with the new certificate is not led to it unless a person looks on.",
        lambda case: (*_connector_fqdn(case), *_receive_fqdn(case)),
        deploys,
        sight.either(sight.organisation(sight.senders), sight.servers(sight.connectors)),
    ),
    Check(
        "hybrid-names",
        "Hybrid: names and servers",
        "In a hybrid organisation Exchange Online recognises mail from here by a name on the certificate, which must "
        "be in an accepted domain. If the common name changes, look at the inbound connector there first. All "
        "servers of the hybrid configuration need a certificate of the same issuer and subject.",
        _hybrid_names,
        lambda case: _is_hybrid(case) or not sight.hybrid(case.snapshot),
        sight.organisation(sight.hybrid),
    ),
    Check(
        "edge",
        "Edge servers",
        "An Edge server has no PowerShell endpoint. Its certificate is imported there by hand, with the steps that "
        "are shown. Do not replace its default certificate: the Edge subscription depends on it.",
        _edge,
        lambda case: bool(case.snapshot.edges),
    ),
    Check(
        "internal-transport",
        "Mail among servers",
        "Each server has a certificate for mail among servers, self-signed by setup. It must be in the store, with "
        "its key, and in date. Certwright keeps it when it assigns SMTP.",
        _internal_transport,
        unseen=sight.servers(sight.internal_transport),
    ),
    Check(
        "um-services",
        "Unified Messaging",
        "Exchange 2013 and 2016 can assign a certificate to Unified Messaging. Certwright does not: the service must "
        "be in TLS or Dual mode, and be stopped around it. The steps are shown.",
        _um_services,
        deploys,
        sight.servers(sight.services),
    ),
)
