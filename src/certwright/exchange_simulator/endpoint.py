"""One PowerShell endpoint of a server: its shells, and its ports inside and outside TLS."""

import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

from certwright.exchange_simulator.authentication import Access, Account
from certwright.exchange_simulator.cmdlet import Cmdlet, Session
from certwright.exchange_simulator.http import WsmanSite
from certwright.exchange_simulator.recording import Recording
from certwright.exchange_simulator.roles import Rights
from certwright.exchange_simulator.runspace import Runspace
from certwright.exchange_simulator.sockets import Listener
from certwright.exchange_simulator.wire import Wire
from certwright.exchange_simulator.world import Node, World
from certwright.exchange_simulator.wsman import Caller, WsmanService


@dataclass(frozen=True, slots=True)
class Shared:
    """What the endpoints of all servers share."""

    context: ssl.SSLContext
    certificate: bytes
    account: Account
    shell_quota: int
    shell_idle_timeout: float
    rights: Rights
    recording: Recording | None


@dataclass(frozen=True, slots=True)
class Kind:
    """What an endpoint is.

    Attributes:
        path: Where it is.
        resource_uri: Its one configuration.
        dashes: What precedes a boundary in a sealed answer.
        proxied: Whether Exchange's front end stands before it.
    """

    path: str
    resource_uri: str
    dashes: str
    proxied: bool


EXCHANGE = Kind("/PowerShell/", "http://schemas.microsoft.com/powershell/Microsoft.Exchange", "-- ", proxied=True)
HOST = Kind("/wsman", "http://schemas.microsoft.com/powershell/Microsoft.PowerShell", "--", proxied=False)


class Endpoint:
    """One endpoint.

    Args:
        kind: What it is.
        name: NetBIOS name of its server.
        fqdn: Full name of its server.
        host: Loopback address of its ports.
        access: How it lets people in.
        world: All servers.
        shared: What all endpoints share.
        cmdlets: What it knows.
    """

    def __init__(
        self,
        kind: Kind,
        *,
        name: str,
        fqdn: str,
        host: str,
        access: Access,
        world: World,
        shared: Shared,
        cmdlets: Iterable[Cmdlet],
    ) -> None:
        self.fqdn = fqdn
        self._kind = kind
        self._name = name
        self._world = world
        self._back_end = self
        self._recording = shared.recording
        self._rights = shared.rights if kind is EXCHANGE else Rights()
        self._commands = {cmdlet.name.lower(): cmdlet for cmdlet in cmdlets}
        self.wire = Wire(name if kind.proxied else None, fqdn)
        self._service = WsmanService(
            machine=fqdn,
            resource_uri=kind.resource_uri,
            open_runspace=self._open_runspace,
            shell_quota=shared.shell_quota,
            idle_timeout=shared.shell_idle_timeout,
            wire=self.wire,
        )
        site = WsmanSite(kind.path, self._service, shared.account, access, self.wire, fqdn, kind.dashes)
        serve_https = partial(site.serve_https, context=shared.context, certificate=shared.certificate)
        self._listeners = {
            "https": Listener(host, serve_https, f"{name}{kind.path}"),
            "http": Listener(host, site.serve_http, f"{name}{kind.path}-http"),
        }

    def url(self, scheme: str) -> str:
        """Where it is by ``http`` or ``https``."""
        host, port = self._listeners[scheme].address
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}{self._kind.path}"

    def open(self) -> None:
        """Accept connections."""
        for listener in self._listeners.values():
            listener.open()

    def refuse(self) -> None:
        """Drop every connection and refuse new ones until `open`."""
        for listener in self._listeners.values():
            listener.refuse()

    def proxy_to(self, back_end: "Endpoint") -> None:
        """Let sessions be opened on the server of `back_end` from now on."""
        self._back_end = back_end
        self.wire.back_end = back_end.fqdn

    def web_restarted(self, restarted: "Endpoint") -> None:
        """Lose the sessions on the server of `restarted`, and one's own connections if it is this one."""
        self._service.lose(restarted.node)
        if restarted is self:
            for listener in self._listeners.values():
                listener.drop_connections()

    def stop(self) -> None:
        """Close everything; takes a bounded time."""
        self._service.close()
        for listener in self._listeners.values():
            listener.stop()

    @property
    def node(self) -> Node:
        """Its server."""
        return self._world.nodes[self._name]

    def session(self, caller: Caller) -> Session:
        """A session on its server."""
        full = caller.management_shell or self.node.serializes_unasked
        return Session(self._world, self.node, self._commands, full, self._rights, self._recording)

    def _open_runspace(self, caller: Caller) -> Runspace:
        return Runspace(self._back_end.session(caller))
