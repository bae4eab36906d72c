"""What one simulated server, and the organisation, know: certificates, bindings, names, services.

The transitions are those of exchange.md sections 1, 3 and 7 as far as a client can see them.  Every method may be
called from any thread.
"""

import threading
from collections.abc import Callable, Iterable, Iterator

from cryptography import x509

from certwright.exchange_simulator.certificates import (
    Bundle,
    Services,
    Status,
    StoredCertificate,
    self_signed,
    setup_key,
    utc_now,
)
from certwright.exchange_simulator.configuration import (
    COMPONENTS,
    DEFAULT_WEB_SITE,
    FRONT_END_TRANSPORT,
    HUB_TRANSPORT,
    TRANSPORT_SERVICES,
    WEB_SERVICE,
    ClientAccess,
    OrganisationState,
    OutlookAnywhere,
    ReceiveConnector,
    Role,
    ScheduledTask,
    SendConnector,
    WebFault,
    setup_connectors,
    virtual_directories,
)
from certwright.exchange_simulator.errors import Refused
from certwright.exchange_simulator.mail_access import (
    IMAP_SERVICES,
    POP_SERVICES,
    SERVICE_OF_PORT,
    MailAccess,
    is_fqdn,
    not_fqdn,
)
from certwright.exchange_simulator.transport import Selection, Transport, select
from certwright.exchange_simulator.versions import Version
from certwright.exchange_simulator.web_bindings import binding_for, setup_bindings

_WEB_PORTS = {443, 444}
_DELIVERY = 475
_LDAPS = 50636


class ServerState:
    """One server.

    Args:
        name: NetBIOS name, for example ``EX01``.
        fqdn: The server's own name.
        version: What it is.
        organisation: Shared with the other servers.
        auth_certificate: The organisation's Auth certificate, present on every server.
        smtp_fqdn: Fqdn of the front-end receive connectors.
        smtp_delay: Seconds until transport serves a newly selected certificate.
        mail_access: Whether the POP and IMAP services run.
        role: What it does.
        public_host: Host name that clients are told for every web service; its own name if None, as setup leaves it.
        site: Its Active Directory site.

    Attributes:
        running: By Windows service, whether it runs; a test may add services of others.
        components: By component, ``Active``, ``Inactive`` or ``Draining``.
        copy_activation: DatabaseCopyAutoActivationPolicy.
        move_active_copies: DatabaseCopyActivationDisabledAndMoveNow.
        paused: Whether its cluster node is paused.
        web_bindings: IIS's https bindings; a test may add some.
        require_ssl: By number of the web site, whether it refuses plain http (403.4), as setup leaves both.
        cookie_certificate: Thumbprint of what Outlook on the web signs cookies with: bound at the last start.
        web_faults: What of its web services fails.
        scheduled_tasks: What the Windows task scheduler runs.
        update_in_progress: Whether setup has not finished with it.
    """

    def __init__(
        self,
        *,
        name: str,
        fqdn: str,
        version: Version,
        organisation: OrganisationState,
        auth_certificate: StoredCertificate,
        smtp_fqdn: str,
        smtp_delay: float,
        mail_access: bool,
        role: Role = Role.COMBINED,
        public_host: str | None = None,
        site: str = "Default-First-Site-Name",
    ) -> None:
        self.name = name
        self.fqdn = fqdn
        self.version = version
        self.organisation = organisation
        self.role = role
        self.site = site
        self.lock = threading.RLock()
        self.intermediates: list[x509.Certificate] = []
        self.receive_connectors = setup_connectors(role, name, fqdn, smtp_fqdn)
        self.running = dict.fromkeys((*TRANSPORT_SERVICES, WEB_SERVICE), True)
        self.running |= dict.fromkeys((*POP_SERVICES, *IMAP_SERVICES), mail_access)
        self.running |= dict.fromkeys(("MSExchangeServiceHost", *version.messaging_services), True)
        self.on_services_changed: Callable[[], None] = lambda: None
        self.on_web_restarted: Callable[[], None] = lambda: None
        now = utc_now()
        exchange = StoredCertificate(
            *self_signed(name, (name, fqdn), now=now, key=setup_key("Microsoft Exchange")),
            friendly_name="Microsoft Exchange",
            services=Services.IMAP | Services.POP | Services.IIS | Services.SMTP,
        )
        management = StoredCertificate(
            *self_signed(f"WMSvc-SHA2-{name}", (), now=now, key=setup_key("WMSVC")), friendly_name="WMSVC-SHA2"
        )
        self.certificates = {c.thumbprint: c for c in (exchange, auth_certificate, management)}
        self.web_bindings = setup_bindings(exchange.thumbprint)
        self.require_ssl = {binding.site: True for binding in self.web_bindings}
        self.cookie_certificate = exchange.thumbprint
        self.web_faults: list[WebFault] = []
        self.scheduled_tasks: list[ScheduledTask] = []
        self.update_in_progress = False
        self.internal_transport = exchange.thumbprint
        self.pop = MailAccess(fqdn, internal_connection_settings=(f"{fqdn}:995:SSL", f"{fqdn}:110:TLS"))
        self.imap = MailAccess(fqdn, internal_connection_settings=(f"{fqdn}:993:SSL", f"{fqdn}:143:TLS"))
        self._load(self.pop, Services.POP)
        self._load(self.imap, Services.IMAP)
        self.virtual_directories = virtual_directories(fqdn, public_host)
        self.outlook_anywhere = OutlookAnywhere(public_host or fqdn, public_host)
        self.autodiscover = ClientAccess(f"https://{public_host or fqdn}/Autodiscover/Autodiscover.xml")
        self.components = dict.fromkeys(COMPONENTS, "Active")
        self.copy_activation = "Unrestricted"
        self.move_active_copies = False
        self.paused = False
        self.transport = Transport(self._select, smtp_delay)

    # --- the store ---------------------------------------------------------------------------------------------

    def certificate(self, thumbprint: str) -> StoredCertificate:
        """The certificate with `thumbprint` (any case, spaces ignored).

        Raises:
            Refused: There is none.
        """
        wanted = thumbprint.replace(" ", "").upper()
        try:
            return self.certificates[wanted]
        except KeyError:
            raise Refused(f"The certificate with thumbprint {wanted} was not found.") from None

    def import_certificate(
        self, bundle: Bundle, *, exportable: bool, friendly_name: str | None, lose_key: bool = False
    ) -> StoredCertificate:
        """Add a certificate, enabled for nothing.

        Args:
            bundle: What the file held.
            exportable: Whether the key may leave again.
            friendly_name: Overrides the name in the file.
            lose_key: Store the certificate without its key, as a broken key container does.

        Raises:
            Refused: It is already there.
        """
        stored = StoredCertificate(
            bundle.certificate,
            None if lose_key else bundle.key,
            provider=bundle.provider,
            exportable=exportable and bundle.key is not None,
            friendly_name=bundle.friendly_name if friendly_name is None else friendly_name,
        )
        with self.lock:
            if stored.thumbprint in self.certificates:
                raise Refused(
                    f"Cannot import certificate. A certificate with the thumbprint {stored.thumbprint} already exists."
                )
            self.certificates[stored.thumbprint] = stored
            self.import_issuers(bundle.others)
        return stored

    def import_issuers(self, issuers: Iterable[x509.Certificate]) -> None:
        """Add certificates of authorities; what was not trusted for want of them is trusted now."""
        given = {c.subject: c for c in issuers if c.issuer != c.subject}
        with self.lock:
            self.intermediates.extend(c for c in given.values() if c not in self.intermediates)
            for stored in self.certificates.values():
                if stored.status is Status.UNTRUSTED and stored.certificate.issuer in given:
                    stored.status = None

    def enable(
        self,
        thumbprint: str,
        services: Services,
        *,
        replace_internal_transport: bool,
        require_ssl: bool = True,
        skip_iis: bool = False,
    ) -> list[str]:
        """Assign services; flags only grow.

        Args:
            thumbprint: Of a certificate in the store.
            services: What to add.
            replace_internal_transport: Whether SMTP also makes it the default (internal transport) certificate.
            require_ssl: Whether IIS also makes the Default Web Site refuse plain http.
            skip_iis: Leave the web site as it is, as a run that dies half-way does.

        Returns:
            Warnings, one for each service that did not take it.

        Raises:
            Refused: The certificate or the services will not do.
        """
        with self.lock:
            stored = self.certificate(thumbprint)
            self.check_usable(stored, services)
            warnings = []
            for flag, settings, verb in (
                (Services.POP, self.pop, "POP"),
                (Services.IMAP, self.imap, "IMAP"),
            ):
                if flag in services and not is_fqdn(stored.common_name):
                    services &= ~flag
                    warnings.append(not_fqdn(stored, verb))
                elif flag in services:
                    settings.x509_certificate_name = stored.common_name
            if skip_iis:
                services &= ~Services.IIS
            stored.services |= services
            if Services.IIS in services:
                for binding in self.web_bindings:
                    binding.thumbprint = stored.thumbprint if binding.assigned else binding.thumbprint
                self.require_ssl[DEFAULT_WEB_SITE] |= require_ssl
            if Services.SMTP in services:
                stored.readable_by_network_service = True
            if Services.SMTP in services and replace_internal_transport:
                self.internal_transport = stored.thumbprint
            self.transport_changed()
            return warnings

    def remove(self, thumbprint: str) -> None:
        """Delete from the store, as the certificates console does: nothing is asked.

        Raises:
            Refused: It is unknown.
        """
        with self.lock:
            del self.certificates[self.certificate(thumbprint).thumbprint]
            self.transport_changed()

    def iis_sites(self, stored: StoredCertificate) -> list[int]:
        """The numbers of the web sites that are bound to `stored`."""
        with self.lock:
            return sorted({b.site for b in self.web_bindings if b.thumbprint == stored.thumbprint})

    def directory_values(self) -> list[tuple[object, str, str]]:
        """What `enable` may change of the server's directory entries: entry, attribute, and the value now."""
        return [
            (self, "internal_transport", self.internal_transport),
            (self.pop, "x509_certificate_name", self.pop.x509_certificate_name),
            (self.imap, "x509_certificate_name", self.imap.x509_certificate_name),
        ]

    def check_usable(self, stored: StoredCertificate, services: Services) -> None:
        """Whether `stored` can be enabled for `services` here.

        Raises:
            Refused: It cannot.
        """
        reason = ""
        if stored.key is None:
            reason = "PrivateKeyMissing"
        elif not stored.valid_at(utc_now()):
            reason = "DateInvalid"
        if reason:
            raise Refused(
                f"The certificate with thumbprint {stored.thumbprint} was found but is not valid for use with "
                f"Exchange Server (reason: {reason})."
            )
        if Services.FEDERATION in services:
            raise Refused("Certificates can't be enabled for Federation. Use the Set-FederationTrust cmdlet.")
        if services & (Services.UM | Services.UM_CALL_ROUTER) and not self.version.unified_messaging:
            raise Refused(f"Unified Messaging isn't available on server {self.name} ({self.version.display}).")

    # --- services and what they serve --------------------------------------------------------------------------

    def start_service(self, name: str) -> None:
        """Start or restart a Windows service; POP and IMAP load their certificate now.

        Raises:
            KeyError: There is no such service.
        """
        with self.lock:
            if name not in self.running:
                raise KeyError(name)
            self.running[name] = True
            if name == POP_SERVICES[0]:
                self._load(self.pop, Services.POP)
            elif name == IMAP_SERVICES[0]:
                self._load(self.imap, Services.IMAP)
            elif name in TRANSPORT_SERVICES:
                self.transport.restarted(name)
            elif name == WEB_SERVICE:
                self.cookie_certificate = self.web_bindings[0].thumbprint
        self.on_services_changed()
        if name == WEB_SERVICE:
            self.on_web_restarted()

    def stop_service(self, name: str) -> None:
        """Stop a Windows service; its ports refuse from now on."""
        with self.lock:
            self.running[name] = False
        self.on_services_changed()

    def enter_maintenance(self) -> None:
        """What an administrator does before an update: mail drained, databases moved away, cluster node paused."""
        self.components |= {"ServerWideOffline": "Inactive", "HubTransport": "Inactive"}
        self.copy_activation, self.move_active_copies, self.paused = "Blocked", True, True

    def is_served(self, port: int) -> bool:
        """Whether something listens on `port` (the standard number)."""
        with self.lock:
            if port in _WEB_PORTS:
                return self.running[WEB_SERVICE]
            if port in SERVICE_OF_PORT:
                return self.running[SERVICE_OF_PORT[port]]
            owners = {_owner(c) for c in self.receive_connectors if port in c.ports}
            return not owners or any(self.running[owner] for owner in owners)

    def served(self, port: int, client: str = "127.0.0.1") -> StoredCertificate | None:
        """What `client` is shown when it connects to `port` now; None if nothing usable is bound."""
        with self.lock:
            if port in _WEB_PORTS:
                return self.web_certificate(port, None, None)
            if port in SERVICE_OF_PORT:
                return (self.imap if port in {143, 993} else self.pop).served
            if port in {_DELIVERY, _LDAPS}:
                return self.certificates.get(self.internal_transport)
            connector = self.receive_connector(port, client)
            return self.transport.loaded().inbound(connector.name) if connector else None

    def web_certificate(self, port: int, address: str | None, server_name: str | None) -> StoredCertificate | None:
        """What IIS presents on `port`; the arguments are those of `binding_for`."""
        with self.lock:
            binding = binding_for(self.web_bindings, port, address, server_name)
            return self.certificates.get(binding.thumbprint) if binding else None

    def sign_in_loops(self, stored: StoredCertificate) -> bool:
        """Whether Outlook on the web sends everybody back to its first page while `stored` is bound."""
        curves = stored.on_elliptic_curve and self.version.elliptic_curves
        return stored.in_key_storage_provider and not curves

    @property
    def back_end_broken(self) -> bool:
        """Whether the front end cannot trust the back end: its certificate is gone, or not one for this server."""
        stored = self.web_certificate(444, None, None)
        return stored is None or stored.key is None or not (stored.covers(self.fqdn) or stored.covers(self.name))

    def receive_connector(self, port: int, client: str) -> ReceiveConnector | None:
        """The connector that takes `client` on `port`: the one whose range around it is narrowest."""
        with self.lock:
            fitting = [
                (size, connector)
                for connector in self.receive_connectors
                if connector.enabled and port in connector.ports and (size := connector.takes(client)) is not None
            ]
        return min(fitting, key=lambda pair: pair[0])[1] if fitting else None

    def chain(self, stored: StoredCertificate) -> list[x509.Certificate]:
        """`stored` and the intermediates that the machine knows, leaf first."""
        with self.lock:
            chain = [stored.certificate]
            while True:
                issuer = next((c for c in self.intermediates if c.subject == chain[-1].issuer and c not in chain), None)
                if issuer is None:
                    return chain
                chain.append(issuer)

    def transport_changed(self) -> None:
        """Let transport select again; call after changing a connector or a certificate from outside."""
        with self.lock:
            self.transport.changed()

    def send_connectors(self) -> Iterator[SendConnector]:
        """The organisation's send connectors that this server is a source of."""
        for connector in self.organisation.send_connectors:
            if connector.enabled and (not connector.source_servers or self.name in connector.source_servers):
                yield connector

    def _select(self) -> Selection:
        internal = self.certificates.get(self.internal_transport)
        receive = [c for c in self.receive_connectors if c.enabled]
        return select(list(self.certificates.values()), internal, receive, list(self.send_connectors()))

    def _load(self, settings: MailAccess, flag: Services) -> None:
        settings.load(self.certificates.values(), flag, elliptic_curves=self.version.elliptic_curves)


def _owner(connector: ReceiveConnector) -> str:
    return FRONT_END_TRANSPORT if connector.front_end else HUB_TRANSPORT
