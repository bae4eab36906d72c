"""Which receive connector answered? Told by how the server introduced itself, its ports, and whom connectors answer."""

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from certwright.domain.certificates import CertificateFacts
from certwright.exchange.model import Connector
from certwright.probe import Greeting

_Address = IPv4Address | IPv6Address


def unlike(greeting: Greeting, leaf: CertificateFacts) -> str:
    """A sentence's part that tells that the certificate does not have the name by which it was greeted; else empty."""
    said = _said(greeting)
    return f"calls itself {said}, a name that its certificate does not have" if said and not leaf.covers(said) else ""


def who_answered(server: str, port: int, greeting: Greeting, connectors: Iterable[Connector], source: str = "") -> str:
    """A sentence's part that names the receive connector of `server` that answered; empty if that cannot be told.

    Args:
        server: the server as connectors name it; full name or the first part of it.
        port: where it was reached; where no connector listens there (a forwarded port), front-end connectors count.
        greeting: how it introduced itself.
        connectors: any; only receive connectors of this server count.
        source: our address as the server sees it; of several connectors Exchange takes the one with the narrowest
            range around it. Empty if not known.
    """
    mine = [c for c in connectors if c.kind == "receive" and c.enabled and _first(c.server) == _first(server)]
    listening = [c for c in mine if port in c.ports] or [c for c in mine if c.is_front_end]
    said = _said(greeting)
    if not listening or not said:
        return ""
    named = [c for c in listening if said.lower() == (c.fqdn or server).lower()]
    if not named:
        return f"{said!r} answered, which no receive connector of {server} calls itself: something stands in front"
    names = [repr(c.name) for c in _closest(named, source)]
    return f"answered by the receive connector {' or '.join(names)}"


def _closest(connectors: Sequence[Connector], source: str) -> Sequence[Connector]:
    """Those with the narrowest range around `source`; all of them if no range says anything."""
    try:
        address = ip_address(source)
    except ValueError:
        return connectors
    sizes = [(min(_sizes(c.remote_ranges, address), default=None), c) for c in connectors]
    narrowest = min((size for size, _ in sizes if size is not None), default=None)
    return [c for size, c in sizes if size == narrowest] if narrowest is not None else connectors


def _sizes(ranges: Iterable[str], address: _Address) -> list[int]:
    """How many addresses each of the ranges around `address` holds."""
    found = []
    for text in ranges:
        ends = _ends(text)
        if ends and ends[0].version == address.version and int(ends[0]) <= int(address) <= int(ends[1]):
            found.append(int(ends[1]) - int(ends[0]) + 1)
    return found


def _ends(text: str) -> tuple[_Address, _Address] | None:
    """First and last address of Exchange's IPRange: one address, FIRST-LAST, a network, or ADDRESS(MASK)."""
    first, dash, last = text.strip().partition("-")
    try:
        if dash:
            return ip_address(first.strip()), ip_address(last.strip())
        network = ip_network(first.replace("(", "/").rstrip(")"), strict=False)
    except ValueError:
        return None
    return network[0], network[-1]


def _said(greeting: Greeting) -> str:
    return greeting.ehlo_name or greeting.banner.partition(" ")[0]


def _first(server: str) -> str:
    return server.partition(".")[0].lower()
