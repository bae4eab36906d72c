"""Exchange versions as far as a client can tell them apart, and which of them cannot share an organisation."""

import enum
import ssl
from collections.abc import Iterable


class Version(enum.Enum):
    """A version profile.

    Attributes:
        display: AdminDisplayVersion.
        unified_messaging: Whether it has the UM services.
        elliptic_curves: Whether it is new enough for TLS 1.3, and for certificates whose key is on an elliptic curve:
            POP and IMAP present them, and people can sign in to Outlook on the web.
    """

    EXCHANGE_2013 = ("Version 15.0 (Build 1497.2)", True, False)
    EXCHANGE_2016 = ("Version 15.1 (Build 2507.6)", True, False)
    EXCHANGE_2019_CU14 = ("Version 15.2 (Build 1544.4)", False, False)
    EXCHANGE_2019_CU15 = ("Version 15.2 (Build 1748.10)", False, True)
    EXCHANGE_SE = ("Version 15.2 (Build 2562.17)", False, True)

    def __init__(self, display: str, unified_messaging: bool, elliptic_curves: bool) -> None:  # noqa: FBT001 - fields of a member
        self.display = display
        self.unified_messaging = unified_messaging
        self.elliptic_curves = elliptic_curves

    @property
    def client_access_cmdlet(self) -> str:
        """What reads AutoDiscoverServiceInternalUri."""
        return "Get-ClientAccessServer" if self is Version.EXCHANGE_2013 else "Get-ClientAccessService"

    @property
    def messaging_services(self) -> tuple[str, ...]:
        """Windows services of Unified Messaging."""
        return ("MSExchangeUM", "MSExchangeUMCR") if self.unified_messaging else ()

    @property
    def newest_tls(self) -> ssl.TLSVersion:
        """The newest version of TLS that its web sites speak."""
        return ssl.TLSVersion.TLSv1_3 if self.elliptic_curves else ssl.TLSVersion.TLSv1_2

    @property
    def opens_aes(self) -> bool:
        """Whether the Windows it runs on opens a PKCS#12 file encrypted with AES: those up to Server 2016 do not."""
        return self not in {Version.EXCHANGE_2013, Version.EXCHANGE_2016}

    @property
    def build(self) -> str:
        """For example ``15.2.1748.10``."""
        major, build = self.display.removeprefix("Version ").rstrip(")").split(" (Build ")
        return f"{major}.{build}"


_WITHOUT_2013 = {Version.EXCHANGE_2019_CU15, Version.EXCHANGE_SE}


def check_coexistence(versions: Iterable[Version]) -> None:
    """Whether Microsoft's setup lets these versions into one organisation.

    Raises:
        ValueError: 2019 CU15 and SE do not coexist with 2013.
    """
    present = set(versions)
    if Version.EXCHANGE_2013 in present and present & _WITHOUT_2013:
        raise ValueError("Exchange 2019 CU15 and SE cannot be in one organisation with Exchange 2013")
