"""What one simulated server, and the organisation, know: certificates, bindings, names, services.

The transitions are those of exchange.md sections 1, 3 and 7 as far as a client can see them.  Every method may be
called from any thread.
"""

import threading
import time
from collections.abc import Callable

from cryptography import x509

from certwright.exchange_simulator.certificates import (
    Bundle,
    Services,
    StoredCertificate,
    best_for,
    self_signed,
    utc_now,
)
from certwright.exchange_simulator.configuration import (
    BACK_END,
    DEFAULT_WEB_SITE,
    IMAP_SERVICES,
    POP_SERVICES,
    TRANSPORT_SERVICES,
    MailAccess,
    OrganisationState,
    ReceiveConnector,
    SendConnector,
    Version,
)
from certwright.exchange_simulator.errors import Refused


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
    ) -> None:
        self.name = name
        self.fqdn = fqdn
        self.version = version
        self.organisation = organisation
        self.lock = threading.RLock()
        self.intermediates: list[x509.Certificate] = []
        self.receive_connectors = [
            ReceiveConnector(f"Default Frontend {name}", smtp_fqdn, (25,)),
            ReceiveConnector(f"Client Frontend {name}", smtp_fqdn, (587,)),
            ReceiveConnector(f"Default {name}", fqdn, (2525,)),
        ]
        self.running = dict.fromkeys(TRANSPORT_SERVICES, True)
        self.running |= dict.fromkeys((*POP_SERVICES, *IMAP_SERVICES), mail_access)
        self.on_services_changed: Callable[[], None] = lambda: None
        now = utc_now()
        exchange = StoredCertificate(
            *self_signed(name, (name, fqdn), now=now),
            friendly_name="Microsoft Exchange",
            services=Services.IMAP | Services.POP | Services.IIS | Services.SMTP,
        )
        management = StoredCertificate(*self_signed(f"WMSvc-SHA2-{name}", (), now=now), friendly_name="WMSVC-SHA2")
        self.certificates = {c.thumbprint: c for c in (exchange, auth_certificate, management)}
        self.iis_bindings = {DEFAULT_WEB_SITE: exchange.thumbprint, BACK_END: exchange.thumbprint}
        self.internal_transport = exchange.thumbprint
        self.pop = MailAccess(fqdn)
        self.imap = MailAccess(fqdn)
        self._load_mail_access(self.pop, Services.POP)
        self._load_mail_access(self.imap, Services.IMAP)
        self._smtp_delay = smtp_delay
        self._smtp_changes: list[tuple[float, dict[int, StoredCertificate | None]]] = []
        self._smtp_served = self._select_smtp()

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
            exportable=exportable and bundle.key is not None,
            friendly_name=bundle.friendly_name if friendly_name is None else friendly_name,
        )
        with self.lock:
            if stored.thumbprint in self.certificates:
                raise Refused(
                    f"Cannot import certificate. A certificate with the thumbprint {stored.thumbprint} already exists."
                )
            self.certificates[stored.thumbprint] = stored
            self.intermediates.extend(c for c in bundle.others if c.issuer != c.subject and c not in self.intermediates)
        return stored

    def enable(
        self, thumbprint: str, services: Services, *, replace_internal_transport: bool, skip_iis: bool = False
    ) -> list[str]:
        """Assign services; flags only grow.

        Args:
            thumbprint: Of a certificate in the store.
            services: What to add.
            replace_internal_transport: Whether SMTP also makes it the default (internal transport) certificate.
            skip_iis: Leave the web site as it is, as a run that dies half-way does.

        Returns:
            Warnings, one for each service that did not take it.

        Raises:
            Refused: The certificate or the services will not do.
        """
        with self.lock:
            stored = self.certificate(thumbprint)
            self._check_usable(stored)
            self._check_services(services)
            warnings = []
            for flag, settings, verb in (
                (Services.POP, self.pop, "POP"),
                (Services.IMAP, self.imap, "IMAP"),
            ):
                if flag in services and not _is_fqdn(stored.common_name):
                    services &= ~flag
                    warnings.append(_not_fqdn(stored, verb))
                elif flag in services:
                    settings.x509_certificate_name = stored.common_name
            if skip_iis:
                services &= ~Services.IIS
            stored.services |= services
            if Services.IIS in services:
                self.iis_bindings[DEFAULT_WEB_SITE] = stored.thumbprint
            if Services.SMTP in services and replace_internal_transport:
                self.internal_transport = stored.thumbprint
            self.transport_changed()
            return warnings

    def remove(self, thumbprint: str) -> None:
        """Delete from the store.

        Raises:
            Refused: It is unknown or in use.
        """
        with self.lock:
            stored = self.certificate(thumbprint)
            self._check_unused(stored)
            del self.certificates[stored.thumbprint]
            self.transport_changed()

    def iis_sites(self, stored: StoredCertificate) -> list[int]:
        """The numbers of the web sites that are bound to `stored`."""
        with self.lock:
            return [site for site, bound in sorted(self.iis_bindings.items()) if bound == stored.thumbprint]

    def _check_usable(self, stored: StoredCertificate) -> None:
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

    def _check_services(self, services: Services) -> None:
        if Services.FEDERATION in services:
            raise Refused("Certificates can't be enabled for Federation. Use the Set-FederationTrust cmdlet.")
        if services & (Services.UM | Services.UM_CALL_ROUTER) and not self.version.unified_messaging:
            raise Refused(f"Unified Messaging isn't available on server {self.name} ({self.version.display}).")

    def _check_unused(self, stored: StoredCertificate) -> None:
        thumbprint = stored.thumbprint
        if thumbprint == self.internal_transport:
            raise Refused(
                "The internal transport certificate cannot be removed because that would cause the Microsoft "
                "Exchange Transport service to stop. To replace the internal transport certificate, create a new "
                "certificate. The new certificate will automatically become the internal transport certificate. "
                "You can then remove the existing certificate."
            )
        for kind, connectors in (
            ("Send", [c for c in self.organisation.send_connectors if self._sends(c)]),
            ("Receive", self.receive_connectors),
        ):
            tagged = [c.name for c in connectors if c.tls_certificate_name == stored.tls_certificate_name]
            if tagged:
                raise Refused(
                    f"These certificates are tagged with following {kind} Connectors: {', '.join(tagged)}. Removing "
                    f"and replacing certificates from {kind} Connector would break the mail flow. If you still want "
                    f"to proceed then replace or remove these certificates from {kind} Connector and then try this "
                    "command."
                )
        sites = [f"IIS://{self.name}/W3SVC/{site}" for site in self.iis_sites(stored)]
        if sites:
            raise Refused(
                f"The certificate with thumbprint {thumbprint} can't be removed because it is in use by "
                f"{', '.join(sites)}."
            )
        auth = self.organisation.auth_config
        if thumbprint in {auth.current, auth.previous, auth.next}:
            raise Refused(
                f"The certificate with thumbprint {thumbprint} can't be removed because it is referenced by the "
                "organization's Auth configuration."
            )
        if thumbprint in self.organisation.federation_thumbprints:
            raise Refused(
                f"The certificate with thumbprint {thumbprint} can't be removed because it is used by a federation "
                "trust."
            )

    def _sends(self, connector: SendConnector) -> bool:
        return not connector.source_servers or self.name in connector.source_servers

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
                self._load_mail_access(self.pop, Services.POP)
            elif name == IMAP_SERVICES[0]:
                self._load_mail_access(self.imap, Services.IMAP)
            elif name in TRANSPORT_SERVICES:
                self._smtp_changes.clear()
                self._smtp_served = self._select_smtp()
        self.on_services_changed()

    def stop_service(self, name: str) -> None:
        """Stop a Windows service; its ports refuse from now on."""
        with self.lock:
            self.running[name] = False
        self.on_services_changed()

    def is_served(self, port: int) -> bool:
        """Whether something listens on `port` (the standard number)."""
        owner = {25: "MSExchangeFrontEndTransport", 587: "MSExchangeFrontEndTransport"}
        owner |= dict.fromkeys((143, 993), IMAP_SERVICES[0]) | dict.fromkeys((110, 995), POP_SERVICES[0])
        with self.lock:
            return port not in owner or self.running[owner[port]]

    def served(self, port: int) -> StoredCertificate | None:
        """What a client that connects to `port` is shown now; None if nothing usable is bound."""
        with self.lock:
            if port in {443, 444}:
                bound = self.iis_bindings[DEFAULT_WEB_SITE if port == 443 else BACK_END]  # noqa: PLR2004 - a port
                return self.certificates.get(bound)
            if port in {25, 587}:
                self._settle_smtp()
                return self._smtp_served[port]
            return (self.imap if port in {143, 993} else self.pop).served

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
            self._smtp_changes.append((time.monotonic() + self._smtp_delay, self._select_smtp()))

    def _settle_smtp(self) -> None:
        now = time.monotonic()
        while self._smtp_changes and self._smtp_changes[0][0] <= now:
            self._smtp_served = self._smtp_changes.pop(0)[1]

    def _select_smtp(self) -> dict[int, StoredCertificate | None]:
        """Per front-end port: the connector's TlsCertificateName, else its Fqdn, else the internal certificate."""
        enabled = [c for c in self.certificates.values() if Services.SMTP in c.services]
        selected: dict[int, StoredCertificate | None] = {}
        for connector in self.receive_connectors:
            named = [c for c in enabled if c.tls_certificate_name == connector.tls_certificate_name]
            chosen = max(named, key=lambda c: c.certificate.not_valid_after_utc, default=None)
            chosen = chosen or best_for(connector.fqdn, enabled, utc_now())
            chosen = chosen or self.certificates.get(self.internal_transport)
            selected |= dict.fromkeys(connector.ports, chosen)
        return selected

    def _load_mail_access(self, settings: MailAccess, flag: Services) -> None:
        # A wildcard cannot be enabled for POP and IMAP: naming it in the settings is enough.
        candidates = [c for c in self.certificates.values() if flag in c.services or not _is_fqdn(c.common_name)]
        settings.served = best_for(settings.x509_certificate_name, candidates, utc_now())


def _is_fqdn(name: str) -> bool:
    return "." in name.strip(".") and not name.startswith("*") and " " not in name


def _not_fqdn(stored: StoredCertificate, verb: str) -> str:
    return (
        f"This certificate with thumbprint {stored.thumbprint} and subject '{stored.common_name}' cannot used for "
        f"{verb} SSL/TLS connections because the subject is not a Fully Qualified Domain Name (FQDN). Use command "
        f"Set-{verb}Settings to set X509CertificateName to the FQDN of the service."
    )
