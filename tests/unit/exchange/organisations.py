"""Organisations as values, small and large, healthy and ill: what judgements are tested with."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from certwright.domain.certificates import CLIENT_AUTHENTICATION, SERVER_AUTHENTICATION, CertificateFacts
from certwright.domain.deployment import ServedRow, Verdict
from certwright.domain.identifiers import Identifier
from certwright.exchange import commands
from certwright.exchange.account import JOBS
from certwright.exchange.deployment.wish import Wish
from certwright.exchange.model import Certificate, Connector, ServerInfo, ServerState, Service, WebAddress
from certwright.exchange.snapshot import AcceptedDomain, SigningCertificates, Snapshot

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
MAIL = "mail.contoso.com"
NAMES = (MAIL, "autodiscover.contoso.com")
CU15 = "Version 15.2 (Build 1748.10)"
CU23_2016 = "Version 15.1 (Build 2507.6)"
CU23_2013 = "Version 15.0 (Build 1497.2)"
ISSUER = "CN=R12, O=Let's Encrypt, C=US"
OLD, NEW, OWN, AUTH = "A" * 40, "B" * 40, "C" * 40, "D" * 40
RIGHTS = {
    **dict.fromkeys(commands.READ, frozenset[str]()),
    **{cmdlet: frozenset(parameters) for job in JOBS for cmdlet, parameters in job.cmdlets.items()},
}
BOTH = (SERVER_AUTHENTICATION, CLIENT_AUTHENTICATION)


def facts(*names: str, thumbprint: str = NEW, days: float = 90, **changed: Any) -> CertificateFacts:
    """What a certificate for `names` says, valid from yesterday for `days` from now."""
    wanted = names or NAMES
    made = CertificateFacts(
        subject=f"CN={wanted[0]}",
        common_name=wanted[0],
        issuer="C=US,O=Let's Encrypt,CN=R12",
        issuer_common_name="R12",
        names=tuple(Identifier.parse(name) for name in wanted if "_" not in name),
        not_before=NOW - timedelta(days=1),
        not_after=NOW + timedelta(days=days),
        serial="1",
        thumbprint=thumbprint,
        sha256=thumbprint.lower(),
        key="rsa-2048",
        is_self_signed=False,
        is_ca=False,
        extended_key_usage=BOTH,
    )
    return replace(made, **changed)


def old(services: Service | None = Service.IIS | Service.SMTP, **changed: Any) -> Certificate:
    """The public certificate that is in use."""
    values = {
        "services": services,
        "status": "Valid",
        "has_private_key": True,
        "is_self_signed": False,
        "subject": f"CN={MAIL}",
        "issuer": "CN=R11, O=Let's Encrypt, C=US",
        "iis_sites": frozenset({1}),
        "facts": facts(thumbprint=OLD, days=20),
    }
    return Certificate(OLD, **{**values, **changed})


def own(name: str = "EX01", domain: str = "contoso.com", **changed: Any) -> Certificate:
    """The self-signed certificate that setup made for a server."""
    fqdn = f"{name.lower()}.{domain}"
    values = {
        "services": Service.SMTP | Service.IIS | Service.POP | Service.IMAP,
        "status": "Valid",
        "has_private_key": True,
        "is_self_signed": True,
        "subject": f"CN={name}",
        "issuer": f"CN={name}",
        "friendly_name": "Microsoft Exchange",
        "iis_sites": frozenset({2}),
        "facts": facts(fqdn, thumbprint=OWN, days=1000, is_self_signed=True, common_name=name),
    }
    return Certificate(OWN, **{**values, **changed})


def auth(days: float = 700, **changed: Any) -> Certificate:
    """The certificate with which Exchange signs tokens."""
    values = {
        "services": Service.SMTP,
        "status": "Valid",
        "has_private_key": True,
        "is_self_signed": True,
        "subject": "CN=Microsoft Exchange Server Auth Certificate",
        "issuer": "CN=Microsoft Exchange Server Auth Certificate",
        "iis_sites": frozenset(),
        "facts": replace(
            facts(thumbprint=AUTH, days=days),
            names=(),
            is_self_signed=True,
            common_name="Microsoft Exchange Server Auth Certificate",
        ),
    }
    return Certificate(AUTH, **{**values, **changed})


def front_end(server: str, domain: str = "contoso.com", **changed: Any) -> Connector:
    """The receive connector on port 25 as setup makes it."""
    made = Connector(
        name=f"Default Frontend {server}",
        kind="receive",
        fqdn=f"{server.lower()}.{domain}",
        server=server,
        identity=f"{server}\\Default Frontend {server}",
        role="FrontendTransport",
        ports=(25,),
    )
    return replace(made, **changed)


def hybrid_connector(**changed: Any) -> Connector:
    """The send connector to Exchange Online."""
    made = Connector(
        name="Outbound to Office 365",
        kind="send",
        fqdn=MAIL,
        identity="Outbound to Office 365",
        tls_certificate_name=old().tls_certificate_name,
        require_tls=True,
        source_servers=("EX01",),
        address_spaces=("smtp:contoso.mail.onmicrosoft.com;1",),
        tls_domain="mail.protection.outlook.com",
        tls_auth_level="DomainValidation",
        cloud_mail=True,
    )
    return replace(made, **changed)


def addresses(server: str, internal: str = MAIL, external: str = MAIL) -> tuple[WebAddress, ...]:
    """The web addresses of a server, every one set."""
    paths = {
        "OWA": "owa",
        "ECP": "ecp",
        "EWS": "EWS/Exchange.asmx",
        "ActiveSync": "Microsoft-Server-ActiveSync",
        "OAB": "OAB",
        "MAPI": "mapi",
    }
    urls = [
        WebAddress(
            service,
            f"https://{internal}/{path}" if internal else "",
            f"https://{external}/{path}" if external else "",
            f"{server}\\{path} (Default Web Site)",
        )
        for service, path in paths.items()
    ]
    return (
        *urls,
        WebAddress(
            "PowerShell",
            f"http://{server.lower()}.contoso.com/powershell",
            "",
            f"{server}\\PowerShell (Default Web Site)",
        ),
        WebAddress("Outlook Anywhere", internal, external, f"{server}\\Rpc (Default Web Site)"),
        WebAddress("Autodiscover", f"https://{internal}/Autodiscover/Autodiscover.xml" if internal else "", "", server),
    )


def server(name: str = "EX01", *certificates: Certificate, domain: str = "contoso.com", **changed: Any) -> ServerState:
    """A healthy server with the old public certificate."""
    fqdn = f"{name.lower()}.{domain}"
    made = ServerState(
        server=fqdn,
        info=ServerInfo(name, fqdn, "Mailbox", CU15, "Default-First-Site-Name"),
        certificates=certificates or (old(), own(name, domain), auth()),
        internal_transport=OWN,
        connectors=(front_end(name, domain),),
        pop_name=fqdn,
        imap_name=fqdn,
        addresses=addresses(name),
        components={"ServerWideOffline": "Active"},
        wire_form="selected",
    )
    return replace(made, **changed)


def organisation(*servers: ServerState, **changed: Any) -> Snapshot:
    """A healthy organisation."""
    made = Snapshot(
        servers=servers or (server(),),
        send_connectors=(),
        protected=frozenset({AUTH}),
        organisation="Contoso",
        taken_at=NOW,
        accepted_domains=(AcceptedDomain("contoso.com", "Authoritative", is_default=True),),
        auth=SigningCertificates(current=AUTH),
        rights=RIGHTS,
    )
    return replace(made, **changed)


def wish(**changed: Any) -> Wish:
    """The renewal of the old certificate."""
    return replace(Wish(facts(), predecessors=(OLD,)), **changed)


def seen(server: str = "EX01", **changed: Any) -> ServedRow:
    """What the web site of a server serves."""
    at = {"service": "IIS", "address": "10.0.0.1", "port": 443, "protocol": "TLS", "verdict": Verdict.OK, "valid": True}
    return ServedRow.model_validate({**at, "server": server, "now": "aa", **changed})


def checks_of(findings: Iterable[Any]) -> list[str]:
    """The ids of the checks that found something."""
    return [finding.check for finding in findings]
