"""Where the service answers, by its settings: at which address, whether by TLS, and under which names."""

import socket
from contextlib import suppress
from ipaddress import ip_address

from certwright.domain.errors import ConfigurationError, InvalidIdentifier
from certwright.domain.identifiers import Identifier
from certwright.domain.web_address import is_address, is_this_machine
from certwright.probe import Endpoint
from certwright.settings import NOWHERE, Settings

_LOCAL = "localhost"


def listens_at(settings: Settings) -> Endpoint | None:
    """The address of the service; None if it answers nowhere.

    Raises:
        ConfigurationError: if `listen` is no address with a port.
    """
    if settings.listen == NOWHERE:
        return None
    with settings.blaming("listen"):
        at = Endpoint.parse(settings.listen)
        if at.host != _LOCAL and not is_address(at.host):
            raise ConfigurationError(f"{at.host} is a name.", hint="0.0.0.0 stands for every address of this machine.")
    return at


def is_loopback(at: Endpoint) -> bool:
    """Whether this machine alone reaches it."""
    return is_this_machine(at.host)


def speaks_tls(settings: Settings, at: Endpoint) -> bool:
    """Whether it speaks TLS there: it always does where others reach it, and wherever it was given a certificate."""
    return not is_loopback(at) or bool(settings.own_certificate or settings.tls_certificate_file)


def own_names(settings: Settings, at: Endpoint) -> tuple[Identifier, ...]:
    """What its own certificate is to be for, the most telling first.

    Raises:
        ConfigurationError: if one of `hosts` is no name.
    """
    with settings.blaming("hosts"):
        named = [Identifier.parse(host) for host in settings.hosts]
    with suppress(InvalidIdentifier):  # a machine may be called what no certificate can be for
        named.append(Identifier.parse(_host(settings, at)))
    return tuple(dict.fromkeys([*named, *map(Identifier.parse, (_LOCAL, "127.0.0.1", "::1"))]))


def address(settings: Settings, at: Endpoint) -> str:
    """What a person types to reach it, ending in a slash."""
    scheme = "https" if speaks_tls(settings, at) else "http"
    host = _host(settings, at)
    return f"{scheme}://[{host}]:{at.port}/" if ":" in host else f"{scheme}://{host}:{at.port}/"


def on_this_machine(at: Endpoint) -> Endpoint:
    """Where a program on this machine reaches it."""
    if not _is_any(at):
        return at
    return Endpoint("::1" if ":" in at.host else "127.0.0.1", at.port)


def _host(settings: Settings, at: Endpoint) -> str:
    """By what others reach it."""
    return (settings.hosts or (socket.gethostname(),))[0] if _is_any(at) else at.host


def _is_any(at: Endpoint) -> bool:
    return is_address(at.host) and ip_address(at.host).is_unspecified
