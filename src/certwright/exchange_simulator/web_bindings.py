"""IIS's https bindings, and which of them http.sys takes for a connection."""

from collections.abc import Iterable
from dataclasses import dataclass

from certwright.exchange_simulator.configuration import BACK_END, DEFAULT_WEB_SITE

SITES = {DEFAULT_WEB_SITE: "Default Web Site", BACK_END: "Exchange Back End"}
_LOOPBACK = "127.0.0.1"


@dataclass(slots=True)
class WebBinding:
    """An https binding of a web site.

    Attributes:
        site: Its number.
        thumbprint: Of the certificate.
        address: The server's address that it is for; every one if empty.
        host: The name that a client has to send (SNI); any or none if empty.
    """

    site: int
    port: int
    thumbprint: str
    address: str = ""
    host: str = ""

    @property
    def information(self) -> str:
        """BindingInformation, for example ``*:443:``."""
        return f"{self.address or '*'}:{self.port}:{self.host}"

    @property
    def assigned(self) -> bool:
        """Whether Enable-ExchangeCertificate gives it the certificate: one that setup made on the Default Web Site."""
        return self.site == DEFAULT_WEB_SITE and not self.host and self.address in {"", _LOOPBACK}


def setup_bindings(thumbprint: str) -> list[WebBinding]:
    """What setup makes: all addresses and the server's own loopback, and the back end."""
    return [
        WebBinding(DEFAULT_WEB_SITE, 443, thumbprint),
        WebBinding(DEFAULT_WEB_SITE, 443, thumbprint, address=_LOOPBACK),
        WebBinding(BACK_END, 444, thumbprint),
    ]


def binding_for(
    bindings: Iterable[WebBinding], port: int, address: str | None, server_name: str | None
) -> WebBinding | None:
    """The binding of a connection, in the order of http.sys: an address of its own, then the name, then any.

    Args:
        bindings: All.
        port: The standard number.
        address: The further address of the server that was connected to; None for its main one.
        server_name: The name that the client sent.
    """

    def rank(binding: WebBinding) -> int:
        if binding.address:
            return 0 if binding.address == address and not binding.host else 3
        if binding.host:
            return 1 if binding.host.lower() == (server_name or "").lower() else 3
        return 2

    best = min((b for b in bindings if b.port == port), key=rank, default=None)
    return best if best is not None and rank(best) < 3 else None  # noqa: PLR2004 - the rank of what does not fit
