"""A whole organisation at one moment, as a value: what plans, checks and reports are made from, and what is stored."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cache
from typing import Any, Self

from pydantic import TypeAdapter, ValidationError

from certwright.domain.errors import ConfigurationError
from certwright.exchange.model import Connector, Rival, ServerInfo, ServerState, Unknown


@dataclass(frozen=True, slots=True)
class AcceptedDomain:
    """A domain for which the organisation takes mail; `kind` is Authoritative, InternalRelay or ExternalRelay."""

    name: str
    kind: str = ""
    is_default: bool = False


@dataclass(frozen=True, slots=True)
class SigningCertificates:
    """Thumbprints of Get-AuthConfig or Get-FederationTrust; empty where there is none."""

    current: str = ""
    previous: str = ""
    next: str = ""

    @property
    def thumbprints(self) -> frozenset[str]:
        """All of them."""
        return frozenset(filter(None, (self.current, self.previous, self.next)))


@dataclass(frozen=True, slots=True)
class Hybrid:
    """The hybrid configuration, as far as certificates matter to it."""

    tls_certificate_name: str | None = None
    domains: tuple[str, ...] = ()
    sending_servers: tuple[str, ...] = ()
    receiving_servers: tuple[str, ...] = ()
    edge_servers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """An organisation at one moment.

    `send_connectors`, `accepted_domains` and `rights` are None if they could not be read, which `unknown` explains.
    `auth` and `federation` are None when there are none or they are unknown, as is `hybrid`.
    `protected` are thumbprints with which Exchange signs tokens. `edges` are Edge servers, which nothing can reach from
    outside, `unread` servers that could not be read, and `subscriptions` the Edge subscriptions.
    `rights` maps the cmdlets that we use to their parameters, as far as the account sees them; a cmdlet that it does
    not see is missing. `domain_controller` is where it was read.
    """

    servers: tuple[ServerState, ...]
    send_connectors: tuple[Connector, ...] | None = ()
    protected: frozenset[str] = frozenset()
    organisation: str = ""
    taken_at: datetime | None = None
    edges: tuple[ServerInfo, ...] = ()
    unread: tuple[ServerInfo, ...] = ()
    subscriptions: tuple[str, ...] = ()
    accepted_domains: tuple[AcceptedDomain, ...] | None = None
    auth: SigningCertificates | None = None
    federation: SigningCertificates | None = None
    hybrid: Hybrid | None = None
    rights: Mapping[str, frozenset[str]] | None = None
    rivals: tuple[Rival, ...] = ()
    domain_controller: str = ""
    unknown: tuple[Unknown, ...] = field(default=())

    @property
    def connectors(self) -> tuple[Connector, ...]:
        """Every connector that could be read: of the organisation, and of the servers."""
        return (*(self.send_connectors or ()), *(c for state in self.servers for c in state.connectors or ()))

    def knowing(self, revoked: Collection[str]) -> Self:
        """The same, where these certificates are known to be revoked."""
        return replace(self, servers=tuple(state.knowing(revoked) for state in self.servers))

    def state(self, server: str) -> ServerState | None:
        """The server of this name, in any of its spellings."""
        wanted = server.lower()
        return next((s for s in self.servers if wanted in map(str.lower, s.names)), None)


def dump(snapshot: Snapshot) -> dict[str, Any]:
    """`snapshot` as JSON values."""
    made: dict[str, Any] = _adapter().dump_python(snapshot, mode="json")
    return made


def load(data: Any) -> Snapshot:
    """What `dump` made, or its JSON text.

    Raises:
        ConfigurationError: if it is no such snapshot.
    """
    try:
        return _adapter().validate_python(json.loads(data) if isinstance(data, str | bytes) else data)
    except (ValidationError, ValueError, RecursionError) as error:
        raise ConfigurationError(
            "This is not a snapshot of an Exchange organisation, or one of another version of Certwright.",
            hint="Make one with: certwright exchange discover --export FILE",
        ) from error


@cache
def _adapter() -> TypeAdapter[Snapshot]:
    return TypeAdapter(Snapshot)
