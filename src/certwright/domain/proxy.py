"""The proxy that requests leave through, if there is one: which it is, and which hosts are reached without it. Pure."""

import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from pathlib import Path
from urllib.parse import SplitResult, quote, unquote, urlsplit

from certwright.domain.errors import ConfigurationError
from certwright.domain.reach import is_never_reached
from certwright.domain.web_address import is_this_machine

SYSTEM, NONE = "system", "none"
_USUAL_PORT = 80
_HTTPS = 443
_HOST = re.compile(r"[A-Za-z0-9._:-]+")
_HOW = f"Write {SYSTEM}, {NONE}, or http://HOST:PORT."


@dataclass(frozen=True, slots=True)
class Proxy:
    """An HTTP proxy that opens tunnels (CONNECT, RFC 9110 section 9.3.6).

    `bypass` holds the entries of NO_PROXY: names with all that is below them, addresses, networks, or ``*``. `roots` is
    a PEM file with what it signs with where it opens TLS to look inside; that is trusted beside the usual.
    """

    host: str
    port: int
    username: str = ""
    password: str = field(default="", repr=False)
    bypass: tuple[str, ...] = ()
    roots: Path | None = None

    @property
    def address(self) -> str:
        """Where it is, without a credential."""
        return f"http://[{self.host}]:{self.port}" if ":" in self.host else f"http://{self.host}:{self.port}"

    @property
    def authorization(self) -> str | None:
        """The value of Proxy-Authorization, if there is a credential (RFC 7617)."""
        if not self.username:
            return None
        return f"Basic {b64encode(f'{self.username}:{self.password}'.encode()).decode()}"

    def takes(self, host: str) -> bool:
        """Whether `host` is reached through it; this machine itself never is, nor what must not be reached at all."""
        name = host.strip("[]").lower().rstrip(".")
        if _is_here(name) or is_never_reached(name, _HTTPS):
            return False
        return not any(_covers(entry, name) for entry in self.bypass)


@dataclass(frozen=True, slots=True)
class ProxyChoice:
    """What was chosen: the machine's own proxy, none, or an address.

    Args:
        way: `system`, `none`, or http://HOST:PORT.
        credential: the name of the stored credential that it wants.
        roots: as `Proxy` says.

    Raises:
        ConfigurationError: with what to write instead.
    """

    way: str = NONE
    credential: str | None = None
    roots: Path | None = None

    def __post_init__(self) -> None:
        if self.way not in (SYSTEM, NONE) and _parts(self.way).username is not None:
            raise ConfigurationError(
                "The proxy's address holds a user name or a password.",
                hint="Store them: certwright credential add proxy NAME, and give that name beside the address.",
            )


DIRECT = ProxyChoice()
"""None."""


def explicit(choice: ProxyChoice, bypass: str) -> Proxy:
    """The proxy at the address that was chosen; `bypass` is what NO_PROXY says."""
    return _proxy(choice.way, bypass)


def of_system(found: Mapping[str, str]) -> Proxy | None:
    """The proxy of the machine, which may hold a credential in its address.

    Args:
        found: as `urllib.request.getproxies` tells it: `https`, `all`, and `no`.

    Raises:
        ConfigurationError: if it is none that can be used.
    """
    address = found.get("https") or found.get("all")
    if not address:
        return None
    try:
        return _proxy(address if "://" in address else f"http://{address}", found.get("no", ""))
    except ConfigurationError as error:
        raise ConfigurationError(
            "The machine's own proxy, as HTTPS_PROXY or ALL_PROXY say it, cannot be used.",
            causes=[error.message],
            hint="Give another one in CERTWRIGHT_PROXY, which takes none too.",
        ) from None


def environment(proxy: Proxy) -> Mapping[str, str]:
    """The variables that libraries read which speak HTTP by themselves; they may hold a credential."""
    user = f"{quote(proxy.username, safe='')}:{quote(proxy.password, safe='')}@" if proxy.username else ""
    address = proxy.address.replace("http://", f"http://{user}")
    here = ("localhost", "127.0.0.1", "::1")
    return {"https_proxy": address, "http_proxy": address, "no_proxy": ",".join((*here, *proxy.bypass))}


def _proxy(address: str, bypass: str = "") -> Proxy:
    parts = _parts(address)
    entries = tuple(entry.strip().lower() for entry in bypass.split(",") if entry.strip())
    host, port = parts.hostname or "", parts.port or _USUAL_PORT
    return Proxy(host, port, unquote(parts.username or ""), unquote(parts.password or ""), entries)


def _parts(address: str) -> SplitResult:
    """The parts of a usable address; what is wrong is said without it, since it may hold a password."""
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        raise ConfigurationError("The proxy's address cannot be read.", hint=_HOW) from None
    if parts.scheme != "http":
        scheme = f"begins with {parts.scheme}" if parts.scheme.isalnum() else "does not begin with http"
        raise ConfigurationError(
            f"The proxy's address {scheme}: only proxies that are reached by plain HTTP, and open tunnels, are known.",
            hint=_HOW,
        )
    if not _HOST.fullmatch(host) or parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ConfigurationError("The proxy's address is not one of a host and a port.", hint=_HOW)
    return parts


def _is_here(name: str) -> bool:
    return name.endswith(".localhost") or is_this_machine(name)


def _covers(entry: str, name: str) -> bool:
    """Whether an entry of NO_PROXY means `name`; ports in it mean every port."""
    if entry == "*":
        return True
    try:
        return ip_address(name) in ip_network(entry.strip("[]"), strict=False)
    except ValueError:
        pass
    domain = re.sub(r":\d+$", "", entry).lstrip("*").strip(".")
    return bool(domain) and (name == domain or name.endswith(f".{domain}"))
