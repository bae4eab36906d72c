"""What administrators configure: versions, connectors, POP and IMAP settings, the Auth configuration."""

import datetime as dt
import enum
from dataclasses import dataclass, field

from certwright.exchange_simulator.certificates import StoredCertificate

DEFAULT_WEB_SITE = 1
BACK_END = 2

POP_SERVICES = ("MSExchangePOP3", "MSExchangePOP3BE")
IMAP_SERVICES = ("MSExchangeIMAP4", "MSExchangeIMAP4BE")
TRANSPORT_SERVICES = ("MSExchangeTransport", "MSExchangeFrontEndTransport")


class Version(enum.Enum):
    """An Exchange version profile: AdminDisplayVersion, and whether it has Unified Messaging."""

    EXCHANGE_2013 = ("Version 15.0 (Build 1497.2)", True)
    EXCHANGE_2016 = ("Version 15.1 (Build 2507.6)", True)
    EXCHANGE_2019 = ("Version 15.2 (Build 1748.10)", False)
    EXCHANGE_SE = ("Version 15.2 (Build 2562.17)", False)

    def __init__(self, display: str, unified_messaging: bool) -> None:  # noqa: FBT001 - fields of a member
        self.display = display
        self.unified_messaging = unified_messaging


@dataclass(slots=True)
class MailAccess:
    """POP or IMAP settings, and the certificate that the service loaded when it last started."""

    x509_certificate_name: str
    served: StoredCertificate | None = None


@dataclass(slots=True)
class ReceiveConnector:
    """A receive connector: without TlsCertificateName, its Fqdn selects the certificate."""

    name: str
    fqdn: str
    ports: tuple[int, ...]
    tls_certificate_name: str | None = None


@dataclass(slots=True)
class SendConnector:
    """A send connector of the organisation; without source servers it belongs to all."""

    name: str
    source_servers: tuple[str, ...] = ()
    fqdn: str | None = None
    smart_hosts: tuple[str, ...] = ()
    tls_certificate_name: str | None = None


@dataclass(slots=True)
class AuthConfig:
    """Thumbprints of the certificates that servers sign tokens with."""

    current: str
    previous: str | None = None
    next: str | None = None
    next_effective: dt.datetime | None = None


@dataclass(slots=True)
class OrganisationState:
    """What is the same for every server of the organisation."""

    auth_config: AuthConfig
    send_connectors: list[SendConnector] = field(default_factory=list)
    federation_thumbprints: set[str] = field(default_factory=set)
