"""A simulated Exchange organisation on the wire, for tests and for the demo.

It speaks WSMan and PSRP over HTTPS and HTTP with Basic, NTLM and Kerberos, and serves HTTPS, SMTP, IMAP and POP on
loopback ports with the certificates that its state selects.  It is built from the protocols alone and shares no code
with Certwright's client.  It has been compared with documentation and public captures, never with a real server.

Example:
    >>> from certwright.exchange_simulator import Drop, ExchangeOrganisation, ServerSpec
    >>> organisation = ExchangeOrganisation(
    ...     [ServerSpec(name="EX01", fqdn="ex01.contoso.test", smtp_fqdn="mail.contoso.test")],
    ...     tls_chain=chain_pem,  # of the PowerShell endpoints, naming 127.0.0.1
    ...     tls_key=key_pem,
    ...     username="admin@contoso.test",
    ...     password="...",
    ... )
    >>> with organisation:
    ...     server = organisation["EX01"]
    ...     server.add_certificate(old_pfx, "password")  # a predecessor, served at once
    ...     server.powershell_url  # https://127.0.0.1:40123/PowerShell/
    ...     server.winrm_url  # https://127.0.0.1:40124/wsman
    ...     server.powershell_http_url  # as powershell_url, outside TLS; also winrm_http_url
    ...     server.ports[443]  # ("127.0.0.1", 40125); also 444, 25, 587, 143, 993, 110, 995
    ...     server.faults.inject(Drop(committed=True), "Enable-ExchangeCertificate")
    ...     server.state.served(443)  # the StoredCertificate that a client is shown
    ...     organisation.mutations  # what was changed, in order

`ServerSpec` says what a server is (version, role, group, names, wire form), `ExchangeOrganisation` what all share
(role group of the account, domain controllers and their lag, language).  Everything else is arranged while it runs:
`ExchangeOrganisation.state` holds connectors, hybrid configuration, trusts and users, `ExchangeServer.state` the
certificates, bindings, receive connectors, services, maintenance and failing web services, `ExchangeServer.faults`
what a cmdlet is to meet, and `ExchangeServer.wire` what lies between client and endpoint.

Of several certificates that fit, transport, POP and IMAP choose as Exchange does: one that a CA issued before a
self-signed one, then the newest NotBefore.  Enabling an older one again therefore moves IIS (and, with -Force, the
internal transport certificate) back, but not what ports 25, 587, 143, 993, 110 and 995 show while a newer one is in
the store and enabled: that one has to be removed.
"""

from certwright.exchange_simulator.authentication import Access, Scheme
from certwright.exchange_simulator.certificates import Services, Status, StoredCertificate
from certwright.exchange_simulator.configuration import (
    AcceptedDomain,
    AuthConfig,
    AvailabilityGroup,
    EdgeSubscription,
    FederationTrust,
    HybridConfiguration,
    OrganisationState,
    ReceiveConnector,
    Role,
    ScheduledTask,
    SendConnector,
    User,
    WebFault,
)
from certwright.exchange_simulator.directory import Lag
from certwright.exchange_simulator.errors import Refused
from certwright.exchange_simulator.faults import (
    Delay,
    Distrusted,
    Drop,
    Effect,
    Fail,
    Faults,
    Gone,
    HalfDone,
    HttpStatus,
    IssuersLost,
    KeyLost,
    WsmanFault,
)
from certwright.exchange_simulator.mail_access import MailAccess
from certwright.exchange_simulator.organisation import ExchangeOrganisation
from certwright.exchange_simulator.recording import Recording
from certwright.exchange_simulator.roles import RoleGroup
from certwright.exchange_simulator.server import ExchangeServer, ServerSpec
from certwright.exchange_simulator.state import ServerState
from certwright.exchange_simulator.versions import Version
from certwright.exchange_simulator.web_bindings import WebBinding
from certwright.exchange_simulator.wire import Intercepted
from certwright.exchange_simulator.world import Call, WireForm

__all__ = [
    "AcceptedDomain",
    "Access",
    "AuthConfig",
    "AvailabilityGroup",
    "Call",
    "Delay",
    "Distrusted",
    "Drop",
    "EdgeSubscription",
    "Effect",
    "ExchangeOrganisation",
    "ExchangeServer",
    "Fail",
    "Faults",
    "FederationTrust",
    "Gone",
    "HalfDone",
    "HttpStatus",
    "HybridConfiguration",
    "Intercepted",
    "IssuersLost",
    "KeyLost",
    "Lag",
    "MailAccess",
    "OrganisationState",
    "ReceiveConnector",
    "Recording",
    "Refused",
    "Role",
    "RoleGroup",
    "ScheduledTask",
    "Scheme",
    "SendConnector",
    "ServerSpec",
    "ServerState",
    "Services",
    "Status",
    "StoredCertificate",
    "User",
    "Version",
    "WebBinding",
    "WebFault",
    "WireForm",
    "WsmanFault",
]
