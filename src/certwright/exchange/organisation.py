"""The servers of one organisation, each reached through its own endpoint; sessions are opened when they are needed."""

from collections.abc import Mapping
from pathlib import Path
from typing import Self

from certwright.domain.errors import ConfigurationError
from certwright.exchange.host import Host
from certwright.exchange.model import ServerState
from certwright.exchange.session import ExchangeSession
from certwright.probe import Trust
from certwright.remoting.psrp import EXCHANGE, WINDOWS, Endpoint, Limits
from certwright.sdk.context import Credential


class Organisation:
    """Sessions by server for the length of one piece of work. Not for several threads at once.

    Args:
        exchange: URL of each server's Exchange PowerShell.
        hosts: URL of each server's own PowerShell, as far as given.
        credential: as whom.
        authorities: PEM of the authorities to trust; None trusts those of this machine.
        limits: see `Limits`.
    """

    def __init__(
        self,
        exchange: Mapping[str, str],
        hosts: Mapping[str, str],
        credential: Credential,
        authorities: bytes | None = None,
        limits: Limits | None = None,
    ) -> None:
        self._exchange = exchange
        self._addresses = hosts
        self._credential = credential
        self._authorities = authorities
        self._limits = limits
        self._sessions: dict[str, ExchangeSession] = {}
        self._hosts: dict[str, Host] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for session in self._sessions.values():
            session.close()
        for host in self._hosts.values():
            host.close()

    def session(self, server: str) -> ExchangeSession:
        """The session for `server`; servers with the same URL share one."""
        url = self._exchange[server]
        if url not in self._sessions:
            self._sessions[url] = ExchangeSession(self._endpoint(url, EXCHANGE), self._limits)
        return self._sessions[url]

    def host(self, server: str) -> Host | None:
        """The host's own PowerShell of `server`, if an address for it was given."""
        url = self._addresses.get(server)
        if url is None:
            return None
        if url not in self._hosts:
            self._hosts[url] = Host(self._endpoint(url, WINDOWS), self._limits)
        return self._hosts[url]

    def state(self, server: str) -> ServerState:
        """What Exchange knows of `server`; see `ExchangeSession.state`."""
        return self.session(server).state(server)

    def _endpoint(self, url: str, configuration: str) -> Endpoint:
        credential = self._credential
        return Endpoint(url, configuration, credential.username, credential.password, self._authorities)


def read_authorities(path: Path | None) -> bytes | None:
    """The PEM file of trusted authorities, checked; None for None.

    Raises:
        ConfigurationError: if it cannot be read or holds no certificate.
    """
    if path is None:
        return None
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"The file {path} cannot be read: {error.strerror}.", hint="Check ca_file.") from error
    Trust.of_pem(data)
    return data
