"""A simulated organisation and how an administrator reads it: without the task, which is another matter."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from certwright.exchange.access.organisation import Organisation, connect
from certwright.exchange.connection import Connection
from certwright.exchange.discovery.discover import discover
from certwright.exchange.snapshot import Snapshot
from certwright.exchange_simulator import ExchangeOrganisation, ExchangeServer, ServerSpec
from certwright.remoting.psrp import Limits
from certwright.sdk.context import Credential
from certwright.sdk.params import read_params
from peers.exchange_shell import TestAuthority

USERNAME = "admin@contoso.test"
PASSWORD = "correct horse battery staple"
LIMITS = Limits(connect=5, reply=8, poll=1, call=6)


@dataclass
class Notes:
    """A journal that keeps every line."""

    lines: list[str] = field(default_factory=list)

    @contextmanager
    def step(self, title: str) -> Iterator["Notes"]:
        self.lines.append(title)
        yield self

    def note(self, message: str) -> None:
        self.lines.append(message)

    def skip(self, reason: str) -> None:
        self.lines.append(f"skipped: {reason}")


@dataclass(frozen=True)
class Stock:
    """The organisation, and the authority of its endpoints."""

    organisation: ExchangeOrganisation
    authority: TestAuthority
    ca_file: Path

    @property
    def first(self) -> ExchangeServer:
        return next(iter(self.organisation.servers.values()))

    def connection(self, servers: Sequence[str] | None = None, **params: Any) -> Connection:
        """How it is reached by who knows `servers`; default: the first."""
        known = tuple(servers or (self.first.spec.fqdn,))
        by_name = {s.spec.fqdn: s for s in self.organisation.servers.values()}
        values = {
            "servers": known,
            "auth": "basic",
            "credential": "exchange",
            "ca_file": str(self.ca_file),
            **params,
        }
        if "endpoint" not in values:
            values["endpoint"] = {name: by_name[name].powershell_url for name in known}
        return read_params(Connection, values, "the connection")

    @contextmanager
    def reached(self, servers: Sequence[str] | None = None, **params: Any) -> Iterator[Organisation]:
        """Sessions with it."""
        connection = self.connection(servers, **params)
        with connect(connection, lambda name: Credential(name, USERNAME, PASSWORD), LIMITS) as organisation:
            yield organisation

    def discovered(self, servers: Sequence[str] | None = None, **params: Any) -> Snapshot:
        """What discovery tells of it."""
        with self.reached(servers, **params) as organisation:
            names = servers or (self.first.spec.fqdn,)
            return discover(organisation, names, Notes(), pauses=(0.05, 0.1))


@contextmanager
def stocked(folder: Path, *specs: ServerSpec, **options: Any) -> Iterator[Stock]:
    """An organisation of these servers; default: one."""
    authority = TestAuthority()
    endpoint = authority.issue("localhost", address="127.0.0.1")
    organisation = ExchangeOrganisation(
        specs or (spec(),),
        tls_chain=endpoint.chain_pem,
        tls_key=endpoint.key_pem,
        username=USERNAME,
        password=PASSWORD,
        **options,
    )
    with organisation:
        yield Stock(organisation, authority, authority.write_root(folder))


def spec(name: str = "MAIL01", **options: Any) -> ServerSpec:
    """A server."""
    return ServerSpec(name=name, fqdn=f"{name.lower()}.contoso.test", **options)
