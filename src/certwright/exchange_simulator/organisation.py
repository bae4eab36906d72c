"""The whole simulated organisation behind one context manager."""

import dataclasses
import ssl
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Self

from certwright.exchange_simulator.certificate_cmdlets import CERTIFICATE_CMDLETS
from certwright.exchange_simulator.certificates import (
    Services,
    StoredCertificate,
    read_bundle,
    self_signed,
    utc_now,
)
from certwright.exchange_simulator.cmdlet import Cmdlet, Session
from certwright.exchange_simulator.configuration import AuthConfig, OrganisationState, Version
from certwright.exchange_simulator.configuration_cmdlets import COMMON_CMDLETS, CONFIGURATION_CMDLETS
from certwright.exchange_simulator.faults import Faults
from certwright.exchange_simulator.host_shell import HOST_CMDLETS
from certwright.exchange_simulator.http import Account, serve_wsman
from certwright.exchange_simulator.listeners import ServerPorts, server_context
from certwright.exchange_simulator.runspace import Runspace
from certwright.exchange_simulator.sockets import Listener
from certwright.exchange_simulator.state import ServerState
from certwright.exchange_simulator.world import Call, Node, WireForm, World
from certwright.exchange_simulator.wsman import WsmanService

_EXCHANGE_URI = "http://schemas.microsoft.com/powershell/Microsoft.Exchange"
_HOST_URI = "http://schemas.microsoft.com/powershell/Microsoft.PowerShell"


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
    """

    name: str
    fqdn: str
    version: Version = Version.EXCHANGE_2019
    host: str = "127.0.0.1"
    smtp_fqdn: str | None = None
    smtp_delay: float = 0.0
    mail_access: bool = True
    wire_form: WireForm = WireForm.SIGNED
    select_sees_properties: bool = True


@dataclass(frozen=True, slots=True)
class _Access:
    """What the endpoints of all servers share."""

    context: ssl.SSLContext
    account: Account
    shell_quota: int
    shell_idle_timeout: float


class _Endpoint:
    """One PowerShell endpoint: its shells and its port."""

    def __init__(
        self, spec: ServerSpec, world: World, access: _Access, path: str, uri: str, cmdlets: Iterable[Cmdlet]
    ) -> None:
        commands = {cmdlet.name.lower(): cmdlet for cmdlet in cmdlets}
        self._path = path
        self._service = WsmanService(
            machine=spec.fqdn,
            resource_uri=uri,
            open_runspace=lambda full: Runspace(Session(world, world.nodes[spec.name], commands, full)),
            shell_quota=access.shell_quota,
            idle_timeout=access.shell_idle_timeout,
        )
        serve = partial(
            serve_wsman,
            context=access.context,
            path=path,
            account=access.account,
            realm=spec.fqdn,
            service=self._service,
        )
        self.listener = Listener(spec.host, serve, f"{spec.name}{path}")

    @property
    def url(self) -> str:
        host, port = self.listener.address
        return f"https://{f'[{host}]' if ':' in host else host}:{port}{self._path}"

    def stop(self) -> None:
        self._service.close()
        self.listener.stop()


class ExchangeServer:
    """One running server: where its endpoints are, what it knows, what is to go wrong."""

    def __init__(self, spec: ServerSpec, world: World, auth_certificate: StoredCertificate, access: _Access) -> None:
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
        )
        self._ports = ServerPorts(self.state, spec.host)
        self.state.on_services_changed = self._ports.refresh
        cmdlets = (*CERTIFICATE_CMDLETS, *CONFIGURATION_CMDLETS, *COMMON_CMDLETS)
        self._exchange = _Endpoint(spec, world, access, "/PowerShell/", _EXCHANGE_URI, cmdlets)
        self._host_shell = _Endpoint(spec, world, access, "/wsman", _HOST_URI, (*HOST_CMDLETS, *COMMON_CMDLETS))
        self.faults = Faults(self._exchange.listener.refuse, self._exchange.listener.open)
        world.nodes[spec.name] = Node(self.state, self.faults, spec.wire_form, spec.select_sees_properties)

    @property
    def powershell_url(self) -> str:
        """The Exchange endpoint; append ``?serialization=Full;...`` to be the management shell."""
        return self._exchange.url

    @property
    def winrm_url(self) -> str:
        """The host's own PowerShell."""
        return self._host_shell.url

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
        bundle = read_bundle(data, password)
        stored = self.state.import_certificate(bundle, exportable=False, friendly_name=None)
        self.state.enable(stored.thumbprint, Services.parse(services), replace_internal_transport=internal_transport)
        for name in [s for s, running in self.state.running.items() if running]:
            self.state.start_service(name)
        return stored

    def start(self) -> None:
        """Open all ports of running services."""
        self._ports.refresh()
        self._exchange.listener.open()
        self._host_shell.listener.open()

    def stop(self) -> None:
        """Close everything; takes a bounded time."""
        self._exchange.stop()
        self._host_shell.stop()
        self._ports.stop()


class ExchangeOrganisation:
    """Servers that share connectors, Auth configuration and one administrator.

    Args:
        servers: At least one.
        tls_chain: PEM chain of the PowerShell endpoints; has to name each server's ``host``.
        tls_key: Its PEM key.
        username: The administrator's name, for Basic.
        password: The administrator's password.
        hidden_cmdlets: Cmdlets that the administrator's roles do not show.
        hidden_parameters: Parameters that they do not show.
        shell_quota: Shells that may be open at once on an endpoint.
        shell_idle_timeout: Seconds after which an unused shell is lost.
    """

    def __init__(
        self,
        servers: Sequence[ServerSpec],
        *,
        tls_chain: bytes,
        tls_key: bytes,
        username: str,
        password: str,
        hidden_cmdlets: Iterable[str] = (),
        hidden_parameters: Iterable[str] = (),
        shell_quota: int = 18,
        shell_idle_timeout: float = 900.0,
    ) -> None:
        auth = StoredCertificate(
            *self_signed("Microsoft Exchange Server Auth Certificate", (), now=utc_now()),
            friendly_name="Microsoft Exchange Server Auth Certificate",
            services=Services.SMTP,
        )
        self._world = World(
            OrganisationState(AuthConfig(auth.thumbprint)),
            hidden_cmdlets=frozenset(hidden_cmdlets),
            hidden_parameters=frozenset(hidden_parameters),
        )
        access = _Access(
            server_context(tls_chain, tls_key), Account(username, password), shell_quota, shell_idle_timeout
        )
        self.servers: Mapping[str, ExchangeServer] = {
            spec.name: ExchangeServer(spec, self._world, auth, access) for spec in servers
        }

    def __enter__(self) -> Self:
        for server in self.servers.values():
            server.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Close everything; takes a bounded time."""
        for server in self.servers.values():
            server.stop()

    def __getitem__(self, name: str) -> ExchangeServer:
        return self.servers[name]

    @property
    def state(self) -> OrganisationState:
        """Connectors, Auth configuration and federation, for tests to read and arrange."""
        return self._world.organisation

    @property
    def calls(self) -> list[Call]:
        """Every cmdlet call that was bound, in order."""
        return self._world.calls

    @property
    def mutations(self) -> list[Call]:
        """Every call that changed something, in order."""
        return self._world.mutations
