"""What is never connected to, whoever gives its address: what a machine tells itself alone, such as cloud metadata."""

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

_NEVER = tuple(
    map(
        ip_network,
        (
            "169.254.0.0/16",  # link-local, with the metadata services of most clouds (RFC 3927)
            "fe80::/10",  # link-local (RFC 4291)
            "fd00:ec2::/32",  # metadata of Amazon EC2
            "100.100.100.200/32",  # metadata of Alibaba Cloud
            "192.0.0.192/32",  # metadata of Oracle Cloud, the older
            "168.63.129.16/32",  # the host of a machine at Azure
            "fd20:ce::254/128",  # metadata of Google Cloud
            "64:ff9b:1::/48",  # leads to IPv4 as its network likes (RFC 8215)
        ),
    )
)
_NAMES = frozenset({"metadata", "metadata.google.internal", "metadata.goog", "instance-data.ec2.internal"})
_WITH_IPV4 = (ip_network("64:ff9b::/96"), ip_network("::/96"))
"""Whose last 32 bits are an IPv4 address: NAT64 (RFC 6052), and what is compatible with IPv4 (RFC 4291 2.5.5.1)."""
_LAST_32_BITS = 0xFFFFFFFF
_DNS = 53
"""Resolvers of clouds have link-local addresses too, and answer nothing but DNS there."""


def is_never_reached(host: str, port: int) -> bool:
    """Whether this host, an address or a name, is refused on this port."""
    if port == _DNS:
        return False
    try:
        address = ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        return host.lower().rstrip(".") in _NAMES
    if isinstance(address, IPv6Address):
        holds = any(address in network for network in _WITH_IPV4)
        last = IPv4Address(int(address) & _LAST_32_BITS) if holds else None
        address = last or address.ipv4_mapped or address.sixtofour or address
    return any(address in network for network in _NEVER)
