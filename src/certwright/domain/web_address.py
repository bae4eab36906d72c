"""Addresses of web services that people type in: what no connection could use is refused before it is stored. Pure."""

import re
from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit

_HOST = re.compile(r"(?=.*\w)[\w.:%-]+")  # letters of any script; an IPv6 address may name an interface

_NONE = "that is no address: write https://HOST, or https://HOST:PORT with a port from 1 to 65535"


def web_parts(address: str) -> SplitResult:
    """The parts of an address with http or https, a host, and a port that can be one.

    Raises:
        ValueError: if it is none, or holds a user name; it is not repeated, since it may hold a password.
    """
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError:
        raise ValueError(_NONE) from None
    is_one_word = all(character > " " for character in address)
    if (
        parts.scheme not in ("http", "https")
        or port == 0
        or not is_one_word
        or not _HOST.fullmatch(parts.hostname or "")
    ):
        raise ValueError(_NONE)
    if parts.username is not None:
        raise ValueError("an address must hold no user name and no password")
    return parts


def is_address(host: str) -> bool:
    """Whether a host is given by its IP address."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def is_this_machine(host: str) -> bool:
    """Whether a host is this machine's own loopback, by its name or an address."""
    return host == "localhost" or (is_address(host) and ip_address(host).is_loopback)
