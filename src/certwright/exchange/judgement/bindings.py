"""Bindings of IIS that go before the one that Exchange changes, and what clients get by them. Pure.

Windows takes the certificate of the first binding that fits: the exact address, then the host name that the client asks
for (SNI), then any address (learn.microsoft.com, "Netsh commands for HTTP", "IIS 8.0 Server Name Indication").
"""

from collections.abc import Iterator

from certwright.exchange.model import BACK_END, Binding, ServerState

_PLAIN = ("*:443:", "127.0.0.1:443:")


def overriding(state: ServerState) -> Iterator[tuple[Binding, str]]:
    """The bindings of this server that override *:443, each with a sentence for whoever expects our certificate."""
    for binding in (state.host.bindings if state.host else None) or ():
        if binding.site != BACK_END and ":443:" in binding.information and binding.information not in _PLAIN:
            yield binding, f"{state.info.name}: {_told(binding, state)}"


def _told(binding: Binding, state: ServerState) -> str:
    address, _, rest = binding.information.rpartition(":443:")
    served = f"the certificate {binding.thumbprint}" if binding.thumbprint else "no certificate"
    bound = state.web_site_certificate()
    others = f"; all others get {bound.thumbprint}" if bound and bound.thumbprint != binding.thumbprint else ""
    if binding.sni:
        kind, goes_before = "by the name that clients ask for (SNI)", "*:443"
        who = f"clients that ask for {rest}"
    else:
        kind, goes_before = "for one address", "*:443 and before bindings by name"
        who = f"clients that reach {address}" if address != "*" else f"clients of {rest}"
    return (
        f"IIS has a binding {kind}, {binding.information}, with {served}. It goes before {goes_before}, so that "
        f"Enable-ExchangeCertificate does not change what is served there: {who} go on getting that one{others}."
    )
