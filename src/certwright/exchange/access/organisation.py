"""The servers of one organisation, each reached through its own endpoint; sessions are opened when they are needed."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Self

from certwright.domain.errors import ConfigurationError
from certwright.exchange.access.directory import Directory
from certwright.exchange.access.host import Host
from certwright.exchange.access.session import ExchangeSession
from certwright.exchange.addresses import PLACEHOLDER
from certwright.exchange.connection import Connection
from certwright.exchange.model import ServerInfo, ServerState
from certwright.probe import Trust
from certwright.remoting.endpoint import EXCHANGE, Endpoint, Identity
from certwright.remoting.psrp import Limits, Transcript
from certwright.sdk.context import Credential, Credentials


class Organisation:
    """Sessions by server for the length of one piece of work, for several threads.

    Servers whose endpoint is the same share a session, which carries out one command at a time.

    Args:
        connection: where the servers are.
        credential: as whom; None is the user who runs this.
        authorities: PEM of the authorities to trust; None trusts those of this machine.
        limits: see `Limits`.
    """

    def __init__(
        self,
        connection: Connection,
        credential: Credential | None,
        authorities: bytes | None = None,
        limits: Limits | None = None,
    ) -> None:
        self._connection = connection
        self._credential = credential
        self._authorities = authorities
        self._limits = limits
        self._sessions: dict[str, ExchangeSession] = {}
        self._hosts: dict[str, Host] = {}
        self._record: Callable[[Transcript], None] | None = None
        self._lock = threading.Lock()
        self.directory = Directory()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for session in self._sessions.values():
            session.close()
        for host in self._hosts.values():
            host.close()

    def record_to(self, record: Callable[[Transcript], None]) -> None:
        """Give `record` each pipeline that is read in sessions that are opened from now on."""
        self._record = record

    def session(self, server: str) -> ExchangeSession:
        """The session for `server`; one without an endpoint of its own is reached through that of the first."""
        url = self._url(server)
        with self._lock:
            if url not in self._sessions:
                endpoint = self._endpoint(url, EXCHANGE)
                self._sessions[url] = ExchangeSession(endpoint, self._limits, self.directory, self._record)
            return self._sessions[url]

    def host(self, server: str) -> Host | None:
        """The host's own PowerShell of `server`, if an address for it was given."""
        url = self._reaching(server, self._connection.winrm).hosts.get(server)
        if url is None:
            return None
        with self._lock:
            if url not in self._hosts:
                self._hosts[url] = Host(self._endpoint(url, self._connection.winrm_configuration), self._limits)
            return self._hosts[url]

    def called(self, info: ServerInfo) -> str:
        """The name by which to ask for a server: as the user did, else in full if that is how the user writes names."""
        names = {name.lower(): name for name in self._connection.servers}
        known = names.get(info.fqdn.lower()) or names.get(info.name.lower())
        return known or (info.fqdn if any("." in name for name in names) else info.name)

    def state(self, server: str) -> ServerState:
        """What Exchange knows of `server`; see `ExchangeSession.state`."""
        return self.session(server).state(server)

    def _url(self, server: str) -> str:
        found = self._reaching(server, self._connection.endpoint).endpoints
        return found.get(server) or next(iter(found.values()))

    def _reaching(self, server: str, template: object) -> Connection:
        """The connection as it is for `server` too, which the user did not name, if `template` is for every server."""
        is_for_all = template is None or (isinstance(template, str) and PLACEHOLDER in template)
        if server in self._connection.servers or not is_for_all:
            return self._connection
        return self._connection.model_copy(update={"servers": (server,)})

    def _endpoint(self, url: str, configuration: str) -> Endpoint:
        reach, known = self._connection, self._credential
        identity = Identity(reach.auth, *((known.username, known.password, known.name) if known else ()))
        shared = reach.service_host if configuration == EXCHANGE else None  # WinRM runs as the computer's own account
        return Endpoint(url, configuration, identity, self._authorities, service_host=shared, proxy=reach.proxy)


def connect(connection: Connection, credentials: Credentials, limits: Limits | None = None) -> Organisation:
    """The organisation of `connection`; nothing is sent yet.

    Raises:
        NotFound: if there is no such credential.
        ConfigurationError: if the file of trusted authorities cannot be used.
    """
    credential = credentials(connection.credential) if connection.credential else None
    return Organisation(connection, credential, _read_authorities(connection.ca_file), limits)


def _read_authorities(path: Path | None) -> bytes | None:
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
