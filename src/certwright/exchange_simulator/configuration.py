"""What administrators configure: connectors, POP and IMAP, addresses of the web services, hybrid, trusts, groups."""

import datetime as dt
import enum
import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass, field

from certwright.exchange_simulator.mail_access import IMAP_SERVICES, POP_SERVICES

DEFAULT_WEB_SITE = 1
BACK_END = 2

FRONT_END_TRANSPORT = "MSExchangeFrontEndTransport"
HUB_TRANSPORT = "MSExchangeTransport"
WEB_SERVICE = "W3SVC"
TRANSPORT_SERVICES = (HUB_TRANSPORT, FRONT_END_TRANSPORT)
SERVICES_WITH_A_COPY = (*TRANSPORT_SERVICES, *POP_SERVICES, *IMAP_SERVICES)
"""Those that go on with the certificate that they loaded at their start."""

COMPONENTS = ("ServerWideOffline", "HubTransport", "FrontendTransport", "AutoDiscoverProxy", "OwaProxy", "PopProxy")
ALL_ADDRESSES = ("::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "0.0.0.0-255.255.255.255")


class Role(enum.Enum):
    """What a server does; only Exchange 2013 can split it."""

    COMBINED = "combined"
    MAILBOX = "mailbox"
    CLIENT_ACCESS = "client access"
    EDGE = "edge"


@dataclass(slots=True)
class ReceiveConnector:
    """A receive connector: without TlsCertificateName, its Fqdn selects the certificate.

    Attributes:
        ports: Standard numbers; on all addresses.
        remote_ip_ranges: Whose connections it takes; of several, the narrowest range wins.
        front_end: Whether the front-end transport service owns it.
        auth_mechanism: Without ``Tls`` it offers no STARTTLS.
    """

    name: str
    fqdn: str
    ports: tuple[int, ...]
    tls_certificate_name: str | None = None
    remote_ip_ranges: tuple[str, ...] = ALL_ADDRESSES
    front_end: bool = True
    enabled: bool = True
    auth_mechanism: str = "Tls, Integrated, BasicAuth, BasicAuthRequireTLS, ExchangeServer"
    require_tls: bool = False
    tls_domain_capabilities: tuple[str, ...] = ()

    def takes(self, client: str) -> int | None:
        """How many addresses the narrowest range around `client` has; None if none holds it."""
        wanted = ipaddress.ip_address(client)
        sizes = [
            int(last) - int(first) + 1
            for first, last in map(_bounds, self.remote_ip_ranges)
            if first.version == wanted.version and int(first) <= int(wanted) <= int(last)
        ]
        return min(sizes, default=None)


_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def _bounds(written: str) -> tuple[_Address, _Address]:
    if "/" in written:
        network = ipaddress.ip_network(written, strict=False)
        return network[0], network[-1]
    first, _, last = written.partition("-")
    return ipaddress.ip_address(first), ipaddress.ip_address(last or first)


def setup_connectors(role: Role, name: str, fqdn: str, front_end_fqdn: str) -> list[ReceiveConnector]:
    """The receive connectors that setup makes; `front_end_fqdn` is announced on ports 25 and 587."""
    if role is Role.EDGE:
        return [ReceiveConnector(f"Default internal receive connector {name}", front_end_fqdn, (25,), front_end=False)]
    connectors = [
        ReceiveConnector(f"Default Frontend {name}", front_end_fqdn, (25,)),
        ReceiveConnector(f"Client Frontend {name}", front_end_fqdn, (587,)),
        ReceiveConnector(f"Outbound Proxy Frontend {name}", fqdn, (717,)),
        ReceiveConnector(f"Default {name}", fqdn, (2525,), front_end=False),
        ReceiveConnector(f"Client Proxy {name}", fqdn, (465,), front_end=False),
    ]
    return [c for c in connectors if role is Role.COMBINED or c.front_end is (role is Role.CLIENT_ACCESS)]


@dataclass(slots=True)
class SendConnector:
    """A send connector of the organisation; without source servers it belongs to all.

    Attributes:
        waiting: Messages that wait in its queue while it cannot deliver.
    """

    name: str
    source_servers: tuple[str, ...] = ()
    fqdn: str | None = None
    smart_hosts: tuple[str, ...] = ()
    tls_certificate_name: str | None = None
    address_spaces: tuple[str, ...] = ("SMTP:*;1",)
    enabled: bool = True
    tls_domain: str | None = None
    tls_auth_level: str | None = None
    require_tls: bool = False
    cloud_services_mail: bool = False
    waiting: int = 3


@dataclass(slots=True)
class AuthConfig:
    """Thumbprints of the certificates that servers sign tokens with."""

    current: str
    previous: str | None = None
    next: str | None = None
    next_effective: dt.datetime | None = None


@dataclass(slots=True)
class FederationTrust:
    """A federation trust, by the thumbprints of its certificates."""

    current: str
    previous: str | None = None
    next: str | None = None
    name: str = "Microsoft Federation Gateway"
    application_uri: str = "FYDIBOHF25SPDLT.contoso.test"


@dataclass(slots=True)
class HybridConfiguration:
    """What the hybrid wizard left."""

    tls_certificate_name: str | None = None
    domains: tuple[str, ...] = ()
    sending_transport_servers: tuple[str, ...] = ()
    receiving_transport_servers: tuple[str, ...] = ()
    client_access_servers: tuple[str, ...] = ()
    edge_transport_servers: tuple[str, ...] = ()
    on_premises_smart_host: str = ""


@dataclass(frozen=True, slots=True)
class AcceptedDomain:
    """A domain whose mail the organisation takes."""

    domain_name: str
    domain_type: str = "Authoritative"
    default: bool = False


@dataclass(frozen=True, slots=True)
class EdgeSubscription:
    """An Edge server that a site synchronises with."""

    name: str
    site: str = "Default-First-Site-Name"


@dataclass(slots=True)
class AvailabilityGroup:
    """A database availability group."""

    name: str
    servers: tuple[str, ...]
    witness_server: str = "fs01.contoso.test"


@dataclass(slots=True)
class User:
    """An account; without `remote_powershell` it cannot open a session."""

    name: str
    user_principal_name: str
    remote_powershell: bool = True


@dataclass(slots=True)
class VirtualDirectory:
    """Where one web service of a server is, as clients are told."""

    name: str
    internal_url: str | None
    external_url: str | None = None
    site: str = "Default Web Site"


@dataclass(slots=True)
class ClientAccess:
    """Where Outlook finds autodiscover inside the domain."""

    internal_uri: str


@dataclass(frozen=True, slots=True)
class WebFault:
    """A web service that fails.

    Attributes:
        path: What its paths begin with, in lower case.
        status: What it answers.
        unless: Thumbprint of the one certificate with which it works; with none of them if None.
    """

    path: str
    status: int = 500
    unless: str | None = None

    def strikes(self, path: str, thumbprint: str) -> bool:
        """Whether a request of `path` over a connection with that certificate fails."""
        return path.startswith(self.path) and thumbprint != self.unless


@dataclass(frozen=True, slots=True)
class ScheduledTask:
    """A task of the Windows task scheduler."""

    name: str
    path: str = "\\"
    enabled: bool = True


@dataclass(slots=True)
class OutlookAnywhere:
    """Host names of RPC over HTTPS."""

    internal_hostname: str
    external_hostname: str | None = None
    ssl_offloading: bool = True


VIRTUAL_DIRECTORIES = {
    "Owa": ("owa", "/owa"),
    "Ecp": ("ecp", "/ecp"),
    "WebServices": ("EWS", "/EWS/Exchange.asmx"),
    "ActiveSync": ("Microsoft-Server-ActiveSync", "/Microsoft-Server-ActiveSync"),
    "Oab": ("OAB", "/OAB"),
    "Mapi": ("mapi", "/mapi"),
    "PowerShell": ("PowerShell", "/powershell"),
}
"""By the middle of ``Get-...VirtualDirectory``: the directory's name, and the path in its URLs."""


def virtual_directories(fqdn: str, public_host: str | None) -> dict[str, VirtualDirectory]:
    """As setup leaves them (the server's own name, nothing external), or all under `public_host`."""
    host = public_host or fqdn
    return {
        kind: VirtualDirectory(name, _url(kind, fqdn, path, host), f"https://{host}{path}" if public_host else None)
        for kind, (name, path) in VIRTUAL_DIRECTORIES.items()
    }


def _url(kind: str, fqdn: str, path: str, host: str) -> str:
    # PowerShell is reached in clear text and by the server's own name; Kerberos encrypts it.
    return f"http://{fqdn}{path}" if kind == "PowerShell" else f"https://{host}{path}"


@dataclass(slots=True)
class OrganisationState:
    """What is the same for every server of the organisation."""

    auth_config: AuthConfig
    name: str = "Contoso"
    send_connectors: list[SendConnector] = field(default_factory=list)
    federation_trusts: list[FederationTrust] = field(default_factory=list)
    hybrid: HybridConfiguration | None = None
    accepted_domains: list[AcceptedDomain] = field(default_factory=list)
    edge_subscriptions: list[EdgeSubscription] = field(default_factory=list)
    availability_groups: list[AvailabilityGroup] = field(default_factory=list)
    users: list[User] = field(default_factory=list)

    @property
    def federation_thumbprints(self) -> Iterator[str]:
        """Of every certificate that a federation trust names."""
        for trust in self.federation_trusts:
            yield from filter(None, (trust.current, trust.previous, trust.next))
