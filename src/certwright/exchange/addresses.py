"""Reads the parameters that say where things are and which services are meant, as people write them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from certwright.domain.web_address import is_address
from certwright.exchange.model import SUPPORTED, ServerInfo, Service

PLACEHOLDER = "{server}"


def words(value: Any) -> Any:
    """A list, from text with commas or spaces between its words; other values as they are."""
    return tuple(value.replace(",", " ").split()) if isinstance(value, str) else value


def service_names(value: Any) -> Any:
    """Services in any order and spelling, as Exchange writes them; None stays None."""
    if value is None:
        return None
    listed = words(value)
    if not isinstance(listed, Sequence) or not all(isinstance(item, str) for item in listed):
        raise ValueError("write the services separated by commas: IIS,SMTP")
    chosen = Service.read(",".join(listed)) if listed else Service.NONE
    if Service.FEDERATION in chosen:
        raise ValueError("Federation is never touched: its certificate is changed by Set-FederationTrust alone")
    if not chosen or chosen & ~SUPPORTED:
        raise ValueError(f"choose among {SUPPORTED}")
    return tuple(str(chosen).split(", "))


def servers(value: Any) -> Any:
    """Names of servers, each once."""
    listed = words(value)
    if isinstance(listed, Sequence) and all(isinstance(item, str) for item in listed):
        lower = [item.lower() for item in listed]
        if twice := [item for item, name in zip(listed, lower, strict=True) if lower.count(name) > 1]:
            raise ValueError(f"{twice[0]} is named twice")
    return listed


def domain(server: str, url: str) -> str:
    """The domain of a server, in lower case; if its name has none, that of its URL's host, or else that host."""
    host = (urlsplit(url).hostname or server).lower()
    name = server.lower() if "." in server else host
    return name if is_address(name) else name.partition(".")[2] or name


def domains(servers: Iterable[ServerInfo]) -> frozenset[str]:
    """The domains that servers are in, as Exchange tells their full names; an Edge server is in none of them.

    A domain belongs to one forest, and a forest has one Exchange organisation: any of them stands for it.
    """
    return frozenset(domain(info.fqdn, "") for info in servers if "." in info.fqdn and not info.is_edge)


def authentication(value: Any) -> Any:
    """The way to sign in, in any spelling."""
    return value.lower() if isinstance(value, str) else value


def urls(value: str | Mapping[str, str], servers: Sequence[str], *, where: str, plain: bool) -> dict[str, str]:
    """The URL of each server.

    `value` is one URL for all, in which ``{server}`` stands for each server's name, or one URL for each server, as a
    mapping or as text: ``SERVER=URL, SERVER=URL``. `plain` allows http, for ways to sign in that encrypt by themselves.

    Raises:
        ValueError: for a server without URL, a URL without server, or one that is of no use.
    """
    listed = _mapping(value) if isinstance(value, str) else dict(value)
    if listed is None:
        found = {server: str(value).replace(PLACEHOLDER, server) for server in servers}
    else:
        by_name = {name.lower(): url for name, url in listed.items()}
        missing = [server for server in servers if server.lower() not in by_name]
        unknown = by_name.keys() - {server.lower() for server in servers}
        if missing or unknown:
            wrong = (
                f"no address for {', '.join(missing)}" if missing else f"{', '.join(unknown)} is none of the servers"
            )
            raise ValueError(f"{where}: {wrong}")
        found = {server: by_name[server.lower()] for server in servers}
    for url in found.values():
        if url.lower().startswith("http://") and plain:
            continue
        if url.lower().startswith("http:"):
            raise ValueError(
                f"{where}: {url} is not https, and with basic authentication the password would be readable on the way"
            )
        if not url.lower().startswith("https://"):
            raise ValueError(f"{where}: {url[:200]} is no address; write https://SERVER/PowerShell/")
    return found


def _mapping(text: str) -> dict[str, str] | None:
    """``SERVER=URL, ...`` as a mapping, or None if the text is one URL."""
    entries = [entry.partition("=") for entry in text.replace(",", " ").split()]
    if any("://" in name or not url for name, _, url in entries):
        return None
    return {name: url for name, _, url in entries}
