"""A simulated Exchange organisation on the wire, for tests and for the demo.

It speaks WSMan and PSRP over HTTPS with Basic authentication, and serves HTTPS, SMTP, IMAP and POP on loopback
ports with the certificates that its state selects.  It is built from the protocols alone and shares no code with
Certwright's client.  It has been compared with documentation and public captures, never with a real server.

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
    ...     server.ports[443]  # ("127.0.0.1", 40125); also 444, 25, 587, 143, 993, 110, 995
    ...     server.faults.inject(Drop(committed=True), "Enable-ExchangeCertificate")
    ...     server.state.served(443)  # the StoredCertificate that a client is shown
    ...     organisation.mutations  # what was changed, in order

Of several certificates that fit, transport, POP and IMAP choose as Exchange does: one that a CA issued before a
self-signed one, then the newest NotBefore.  Enabling an older one again therefore moves IIS (and, with -Force, the
internal transport certificate) back, but not what ports 25, 587, 143, 993, 110 and 995 show while a newer one is in
the store and enabled: that one has to be removed.
"""

from certwright.exchange_simulator.certificates import Services, Status, StoredCertificate
from certwright.exchange_simulator.configuration import (
    AuthConfig,
    MailAccess,
    OrganisationState,
    ReceiveConnector,
    SendConnector,
    Version,
)
from certwright.exchange_simulator.errors import Refused
from certwright.exchange_simulator.faults import (
    Delay,
    Drop,
    Effect,
    Fail,
    Faults,
    Gone,
    HalfDone,
    HttpStatus,
    KeyLost,
    WsmanFault,
)
from certwright.exchange_simulator.organisation import ExchangeOrganisation, ExchangeServer, ServerSpec
from certwright.exchange_simulator.state import ServerState
from certwright.exchange_simulator.world import Call, WireForm

__all__ = [
    "AuthConfig",
    "Call",
    "Delay",
    "Drop",
    "Effect",
    "ExchangeOrganisation",
    "ExchangeServer",
    "Fail",
    "Faults",
    "Gone",
    "HalfDone",
    "HttpStatus",
    "KeyLost",
    "MailAccess",
    "OrganisationState",
    "ReceiveConnector",
    "Refused",
    "SendConnector",
    "ServerSpec",
    "ServerState",
    "Services",
    "Status",
    "StoredCertificate",
    "Version",
    "WireForm",
    "WsmanFault",
]
