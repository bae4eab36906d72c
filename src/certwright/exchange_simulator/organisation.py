"""The whole simulated organisation behind one context manager."""

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from types import TracebackType
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from certwright.exchange_simulator.authentication import Account
from certwright.exchange_simulator.certificates import Services, StoredCertificate, self_signed, setup_key, utc_now
from certwright.exchange_simulator.configuration import (
    AcceptedDomain,
    AuthConfig,
    AvailabilityGroup,
    EdgeSubscription,
    OrganisationState,
    Role,
    User,
)
from certwright.exchange_simulator.directory import Directory, Lag
from certwright.exchange_simulator.endpoint import Shared
from certwright.exchange_simulator.listeners import server_context
from certwright.exchange_simulator.recording import Recording
from certwright.exchange_simulator.roles import Rights, RoleGroup
from certwright.exchange_simulator.server import ExchangeServer, ServerSpec
from certwright.exchange_simulator.versions import Version, check_coexistence
from certwright.exchange_simulator.world import Call, World


class ExchangeOrganisation:
    """Servers that share connectors, Auth configuration and one administrator.

    Args:
        servers: At least one.
        tls_chain: PEM chain of the PowerShell endpoints; has to name each server's ``host``.
        tls_key: Its PEM key.
        username: The administrator's name, plain or with its domain (``admin@contoso.test``).
        password: The administrator's password.
        role_group: The role group that the administrator is a member of.
        hidden_cmdlets: Cmdlets that the administrator's roles do not show all the same.
        hidden_parameters: Parameters that they do not show.
        shell_quota: Shells that may be open at once on an endpoint.
        shell_idle_timeout: Seconds after which an unused shell is lost.
        domain_controllers: NetBIOS names; a call that names none uses the next in turn.
        replication_lag: How slowly they learn of each other's changes.
        language: Of messages, ``en`` or ``de``.
        auth_life: How long the Auth certificate is valid from now; negative if it has expired.
        recording: Answers every cmdlet in the place of these servers.

    Raises:
        ValueError: Setup would not let these servers into one organisation.
    """

    def __init__(
        self,
        servers: Sequence[ServerSpec],
        *,
        tls_chain: bytes,
        tls_key: bytes,
        username: str,
        password: str,
        role_group: RoleGroup = RoleGroup.ORGANIZATION_MANAGEMENT,
        hidden_cmdlets: Iterable[str] = (),
        hidden_parameters: Iterable[str] = (),
        shell_quota: int = 18,
        shell_idle_timeout: float = 900.0,
        domain_controllers: Sequence[str] = ("DC01",),
        replication_lag: Lag | None = None,
        language: str = "en",
        auth_life: dt.timedelta = dt.timedelta(days=5 * 365),
        recording: Recording | None = None,
    ) -> None:
        _check(servers)
        auth = StoredCertificate(
            *self_signed(
                "Microsoft Exchange Server Auth Certificate", (), now=utc_now(), life=auth_life, key=setup_key("Auth")
            ),
            friendly_name="Microsoft Exchange Server Auth Certificate",
            services=Services.SMTP,
        )
        domain = servers[0].fqdn.partition(".")[2]
        self._world = World(
            _organisation(servers, AuthConfig(auth.thumbprint), domain, username),
            Directory(domain, domain_controllers, replication_lag),
            language,
        )
        self._account = Account(username, password)
        shared = Shared(
            server_context(tls_chain, tls_key),
            x509.load_pem_x509_certificate(tls_chain).public_bytes(Encoding.DER),
            self._account,
            shell_quota,
            shell_idle_timeout,
            Rights(role_group, frozenset(hidden_cmdlets), frozenset(hidden_parameters)),
            recording,
        )
        self.servers: Mapping[str, ExchangeServer] = {
            spec.name: ExchangeServer(spec, self._world, auth, shared) for spec in servers
        }
        for server in self.servers.values():
            server.state.on_web_restarted = partial(self._web_restarted, server)

    def __enter__(self) -> Self:
        for server in self.servers.values():
            server.start()
        return self

    def change_password(self, password: str) -> None:
        """Have the administrator sign in by another one from now on."""
        self._account.password = password

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

    def _web_restarted(self, restarted: ExchangeServer) -> None:
        for server in self.servers.values():
            server.web_restarted_on(restarted)

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


def _organisation(servers: Sequence[ServerSpec], auth: AuthConfig, domain: str, username: str) -> OrganisationState:
    groups: dict[str, list[str]] = {}
    for spec in servers:
        if spec.dag:
            groups.setdefault(spec.dag, []).append(spec.name)
    return OrganisationState(
        auth,
        accepted_domains=[AcceptedDomain(domain, default=True)],
        edge_subscriptions=[EdgeSubscription(s.name, s.site) for s in servers if s.role is Role.EDGE],
        availability_groups=[AvailabilityGroup(name, tuple(members)) for name, members in groups.items()],
        users=[User(username.partition("@")[0], username if "@" in username else f"{username}@{domain}")],
    )


def _check(servers: Sequence[ServerSpec]) -> None:
    check_coexistence(spec.version for spec in servers)
    for spec in servers:
        if spec.role in {Role.MAILBOX, Role.CLIENT_ACCESS} and spec.version is not Version.EXCHANGE_2013:
            raise ValueError(f"{spec.name}: only Exchange 2013 splits its roles")
    for name in {spec.dag for spec in servers} - {None}:
        if len({spec.version for spec in servers if spec.dag == name}) > 1:
            raise ValueError(f"{name}: the members of a group have the same version")
