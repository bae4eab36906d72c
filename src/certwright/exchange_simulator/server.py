"""One simulated server: its endpoints, its ports, and its state."""

import dataclasses
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial

from certwright.exchange_simulator.address_cmdlets import address_cmdlets
from certwright.exchange_simulator.authentication import Access
from certwright.exchange_simulator.certificate_cmdlets import CERTIFICATE_CMDLETS
from certwright.exchange_simulator.certificates import Services, StoredCertificate, read_bundle
from certwright.exchange_simulator.common_cmdlets import COMMON_CMDLETS
from certwright.exchange_simulator.configuration import SERVICES_WITH_A_COPY, Role
from certwright.exchange_simulator.connector_cmdlets import CONNECTOR_CMDLETS
from certwright.exchange_simulator.endpoint import EXCHANGE, HOST, Endpoint, Shared
from certwright.exchange_simulator.faults import Faults
from certwright.exchange_simulator.host_shell import SERVICE_CMDLETS
from certwright.exchange_simulator.host_state import STATE_CMDLETS
from certwright.exchange_simulator.host_store import STORE_CMDLETS
from certwright.exchange_simulator.listeners import ServerPorts
from certwright.exchange_simulator.organisation_cmdlets import ORGANISATION_CMDLETS
from certwright.exchange_simulator.server_cmdlets import SERVER_CMDLETS
from certwright.exchange_simulator.state import ServerState
from certwright.exchange_simulator.versions import Version
from certwright.exchange_simulator.wire import Wire
from certwright.exchange_simulator.world import Node, WireForm, World


@dataclass(frozen=True, slots=True)
class ServerSpec:
    """One server to simulate.

    Attributes:
        name: NetBIOS name.
        fqdn: Its own full name.
        version: Version profile.
        host: Loopback address of all its ports.
        smtp_fqdn: Fqdn of the front-end receive connectors (ports 25 and 587), which selects their certificate;
            the server's own name if None, as setup leaves it.
        smtp_delay: Seconds until transport serves a newly selected certificate.
        mail_access: Whether the POP and IMAP services run (setup leaves them stopped).
        wire_form: What a raw ExchangeCertificate carries for the management shell.
        select_sees_properties: Whether Select-Object in the endpoint sees a certificate's properties.
        serializes_unasked: Whether that is so for every client, whatever its URL says.
        access: How the PowerShell endpoints let people in.
        role: What it does; an Edge server has no PowerShell endpoint.
        dag: The database availability group that it is a member of.
        site: Its Active Directory site.
        newest_tls: The newest version of TLS that its ports speak; what its version has if None.
        public_host: Host name of every web service, inside and outside; if None, its own name and nothing outside,
            as setup leaves it.
    """

    name: str
    fqdn: str
    version: Version = Version.EXCHANGE_2019_CU15
    host: str = "127.0.0.1"
    smtp_fqdn: str | None = None
    smtp_delay: float = 0.0
    mail_access: bool = True
    wire_form: WireForm = WireForm.SIGNED
    select_sees_properties: bool = True
    serializes_unasked: bool = False
    access: Access = field(default_factory=Access)
    role: Role = Role.COMBINED
    dag: str | None = None
    site: str = "Default-First-Site-Name"
    public_host: str | None = None
    newest_tls: ssl.TLSVersion | None = None


class ExchangeServer:
    """One running server: where its endpoints are, what it knows, what is to go wrong."""

    def __init__(self, spec: ServerSpec, world: World, auth_certificate: StoredCertificate, shared: Shared) -> None:
        self.spec = spec
        self.state = ServerState(
            name=spec.name,
            fqdn=spec.fqdn,
            version=spec.version,
            organisation=world.organisation,
            auth_certificate=dataclasses.replace(auth_certificate),
            smtp_fqdn=spec.smtp_fqdn or spec.fqdn,
            smtp_delay=spec.smtp_delay,
            mail_access=spec.mail_access,
            role=spec.role,
            public_host=spec.public_host,
            site=spec.site,
        )
        self._ports = ServerPorts(self.state, spec.host, spec.newest_tls or spec.version.newest_tls)
        self.state.on_services_changed = self._ports.refresh
        cmdlets = (
            *CERTIFICATE_CMDLETS,
            *SERVER_CMDLETS,
            *CONNECTOR_CMDLETS,
            *ORGANISATION_CMDLETS,
            *address_cmdlets(spec.version),
            *COMMON_CMDLETS,
        )
        endpoint = partial(
            Endpoint, name=spec.name, fqdn=spec.fqdn, host=spec.host, access=spec.access, world=world, shared=shared
        )
        self._exchange = endpoint(EXCHANGE, cmdlets=cmdlets)
        self._host_shell = endpoint(HOST, cmdlets=(*SERVICE_CMDLETS, *STORE_CMDLETS, *STATE_CMDLETS, *COMMON_CMDLETS))
        self.faults = Faults(self._exchange.refuse, self._exchange.open, self._off, self.start)
        world.nodes[spec.name] = Node(
            self.state, self.faults, spec.wire_form, spec.select_sees_properties, spec.serializes_unasked
        )

    @property
    def powershell_url(self) -> str:
        """The Exchange endpoint; append ``?serialization=Full;...`` to be the management shell."""
        return self._exchange.url("https")

    @property
    def powershell_http_url(self) -> str:
        """The Exchange endpoint outside TLS."""
        return self._exchange.url("http")

    @property
    def winrm_url(self) -> str:
        """The host's own PowerShell."""
        return self._host_shell.url("https")

    @property
    def winrm_http_url(self) -> str:
        """The host's own PowerShell outside TLS."""
        return self._host_shell.url("http")

    @property
    def wire(self) -> Wire:
        """The way to the Exchange endpoint."""
        return self._exchange.wire

    def proxy_sessions_to(self, server: "ExchangeServer") -> None:
        """Let the front end open sessions on `server` from now on, as it does when the user's mailbox is there."""
        self._exchange.proxy_to(server._exchange)  # noqa: SLF001 - of the same class

    def web_restarted_on(self, server: "ExchangeServer") -> None:
        """Lose the sessions that are on `server`, whose web server was restarted."""
        self._exchange.web_restarted(server._exchange)  # noqa: SLF001 - of the same class
        if server is self:
            self._ports.drop_web_connections()

    def listen_on(self, address: str) -> tuple[str, int]:
        """Give it a further loopback address; returns where port 443 of that address really is."""
        return self._ports.listen_on(address)

    @property
    def ports(self) -> Mapping[int, tuple[str, int]]:
        """Where each standard port (25, 110, 143, 443, 444, 587, 993, 995) really is: number to (host, port)."""
        return self._ports.addresses

    def add_certificate(
        self,
        data: bytes,
        password: str | None = None,
        *,
        services: str = "IMAP, POP, IIS, SMTP",
        internal_transport: bool = False,
    ) -> StoredCertificate:
        """Put a certificate in place as an administrator did long ago; POP, IMAP and SMTP serve it at once.

        Args:
            data: A PKCS#12 file.
            password: Its password.
            services: What it is enabled for.
            internal_transport: Whether the administrator answered Yes to the default SMTP certificate's question.

        Raises:
            Refused: The file or the services will not do.
        """
        bundle = read_bundle(data, password, opens_aes=self.spec.version.opens_aes)
        stored = self.state.import_certificate(bundle, exportable=False, friendly_name=None)
        self.state.enable(stored.thumbprint, Services.parse(services), replace_internal_transport=internal_transport)
        for name in [s for s in SERVICES_WITH_A_COPY if self.state.running[s]]:
            self.state.start_service(name)
        return stored

    def start(self) -> None:
        """Open all ports of running services."""
        self._ports.refresh()
        if self.spec.role is not Role.EDGE:
            self._exchange.open()
            self._host_shell.open()

    def _off(self) -> None:
        self._exchange.refuse()
        self._host_shell.refuse()
        self._ports.refuse()

    def stop(self) -> None:
        """Close everything; takes a bounded time."""
        self._exchange.stop()
        self._host_shell.stop()
        self._ports.stop()
