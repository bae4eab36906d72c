"""What POP and IMAP serve: the certificate that their settings name, as it was found when they started."""

from collections.abc import Iterable
from dataclasses import dataclass

from certwright.exchange_simulator.certificates import Services, StoredCertificate, best_for, utc_now

POP_SERVICES = ("MSExchangePOP3", "MSExchangePOP3BE")
IMAP_SERVICES = ("MSExchangeIMAP4", "MSExchangeIMAP4BE")
SERVICE_OF_PORT = {110: POP_SERVICES[0], 995: POP_SERVICES[0], 143: IMAP_SERVICES[0], 993: IMAP_SERVICES[0]}


@dataclass(slots=True)
class MailAccess:
    """POP or IMAP settings, and the certificate that the service loaded when it last started."""

    x509_certificate_name: str
    served: StoredCertificate | None = None
    external_connection_settings: tuple[str, ...] = ()
    internal_connection_settings: tuple[str, ...] = ()
    login_type: str = "SecureLogin"

    def load(self, store: Iterable[StoredCertificate], flag: Services, *, elliptic_curves: bool) -> None:
        """Start: find the certificate of that name among those that are enabled for `flag`.

        A wildcard cannot be enabled for POP and IMAP: naming it in the settings is enough.
        """
        candidates = [
            c
            for c in store
            if (flag in c.services or not is_fqdn(c.common_name)) and (elliptic_curves or not c.on_elliptic_curve)
        ]
        self.served = best_for(self.x509_certificate_name, candidates, utc_now())


def is_fqdn(name: str) -> bool:
    """Whether POP and IMAP take a certificate with this common name."""
    return "." in name.strip(".") and not name.startswith("*") and " " not in name


def not_fqdn(stored: StoredCertificate, verb: str) -> str:
    """The warning about one that they do not take; `verb` is ``POP`` or ``IMAP``."""
    return (
        f"This certificate with thumbprint {stored.thumbprint} and subject '{stored.common_name}' cannot used for "
        f"{verb} SSL/TLS connections because the subject is not a Fully Qualified Domain Name (FQDN). Use command "
        f"Set-{verb}Settings to set X509CertificateName to the FQDN of the service."
    )
