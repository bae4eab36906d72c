"""What must be known to take a change back, after a crash too: kept before the first change is made."""

import threading
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any, Self

from pydantic import Field

from certwright.domain.certificates import CertificateFacts
from certwright.domain.deployment import PortKey
from certwright.domain.managed import Value
from certwright.exchange.model import REVOKED, SUPPORTED, Certificate, Connector, ServerState
from certwright.exchange.references import referred_to
from certwright.sdk.context import Memory

_KEY = "exchange"
IMPORTED = "imported"
_WEB_SITES = "web-sites"
_BASELINE = "baseline"
_DONE = "exchange-done"
_writing = threading.Lock()  # several servers are begun at the same time


class Remembered(Value):
    """What was known of a certificate; None stands for what was not."""

    not_after: datetime | None = None
    has_key: bool | None = None
    status: str | None = None
    protected: bool = False

    @classmethod
    def of(cls, certificate: Certificate, protected: Collection[str]) -> "Remembered":
        """What Exchange tells of `certificate`."""
        return cls(
            not_after=certificate.facts.not_after if certificate.facts else None,
            has_key=certificate.has_private_key,
            status=certificate.status,
            protected=certificate.is_protected or certificate.thumbprint in protected,
        )


class Before(Value):
    """What one server used before.

    `web_site` is the thumbprint that the Default Web Site was bound to, `internal` that of the internal transport
    certificate, `services` maps thumbprints to the numbers of the services they were assigned to,
    and `certificates` the first two to what was known of them.
    """

    web_site: str | None = None
    internal: str | None = None
    services: dict[str, int] = Field(default_factory=dict)
    pop_name: str | None = None
    imap_name: str | None = None
    certificates: dict[str, Remembered] = Field(default_factory=dict)

    @classmethod
    def of(cls, state: ServerState, web_site: str | None, protected: Collection[str] = ()) -> "Before":
        """What `state` shows; `web_site` stands in if Exchange does not tell what the web site is bound to.

        `protected` are the thumbprints with which Exchange signs its own tokens.
        """
        bound = state.web_site_certificate() or state.certificate(web_site)
        used = filter(None, (bound, state.certificate(state.internal_transport)))
        assigned = {c.thumbprint: c.services & SUPPORTED for c in state.certificates if c.services is not None}
        return cls(
            web_site=bound.thumbprint if bound else None,
            internal=state.internal_transport,
            services={thumbprint: services.value for thumbprint, services in assigned.items() if services},
            pop_name=state.pop_name,
            imap_name=state.imap_name,
            certificates={c.thumbprint: Remembered.of(c, protected) for c in used},
        )

    def knowing(self, revoked: Collection[str]) -> Self:
        """The same, where these are known to be revoked."""
        told = {used: Remembered(status=REVOKED) for used in (self.web_site, self.internal) if used in revoked}
        return self.model_copy(update={"certificates": {**self.certificates, **told}})


class Named(Value):
    """Which certificate a connector named before; `kind` is send, receive or hybrid, `server` a receive connector's.

    `certificates` maps the thumbprints of those that it meant by `before` to what was known of them.
    """

    kind: str
    identity: str
    server: str = ""
    before: str | None = None
    certificates: dict[str, Remembered] = Field(default_factory=dict)

    @classmethod
    def of(cls, connector: Connector, stored: Iterable[Certificate]) -> "Named":
        """What `connector` names now, among what is `stored`."""
        meant = referred_to(connector.tls_certificate_name, stored)
        return cls(
            kind=connector.kind,
            identity=connector.identity or connector.name,
            server=connector.server,
            before=connector.tls_certificate_name,
            certificates={found.thumbprint: Remembered.of(found, ()) for found in meant},
        )

    def knowing(self, revoked: Collection[str]) -> Self:
        """The same, where these are known to be revoked."""
        told = {used: Remembered(status=REVOKED) for used in self.certificates if used in revoked}
        return self.model_copy(update={"certificates": {**self.certificates, **told}})

    @property
    def connector(self) -> Connector:
        """As it was."""
        return Connector(
            self.identity, self.kind, tls_certificate_name=self.before, server=self.server, identity=self.identity
        )


class Deployment(Value):
    """A deployment that is under way: what is being put to use, and what was used before, by server.

    `abandoned` are versions of earlier deployments that died on the way and may have left themselves as the internal
    transport certificate; `internals` is what that was before the first of them, by server. `connectors` are those that
    were made to follow. `settled` are servers that are done for themselves: verified, or taken back alone.
    """

    thumbprint: str
    sha256: str
    servers: dict[str, Before]
    internals: dict[str, str | None] = Field(default_factory=dict)
    abandoned: tuple[str, ...] = ()
    connectors: tuple[Named, ...] = ()
    settled: tuple[str, ...] = ()

    @property
    def unreached(self) -> frozenset[str]:
        """Servers on which only abandoned versions were begun."""
        return frozenset(self.internals.keys() - self.servers.keys())

    @property
    def versions(self) -> frozenset[str]:
        """Thumbprints that only we can have put where they are."""
        return frozenset({self.thumbprint, *self.abandoned})

    def knowing(self, revoked: Collection[str]) -> Self:
        """The same, where these are known to be revoked, whatever Exchange told of them."""
        servers = {server: before.knowing(revoked) for server, before in self.servers.items()}
        connectors = tuple(named.knowing(revoked) for named in self.connectors)
        return self.model_copy(update={"servers": servers, "connectors": connectors})


def load(memory: Memory) -> Deployment | None:
    """The deployment that was begun and is neither verified nor taken back."""
    stored = memory.get(_KEY)
    return Deployment.model_validate(stored) if stored else None


def begin(
    memory: Memory, facts: CertificateFacts, server: str, before: Before, connectors: Iterable[Named] = ()
) -> Before:
    """Remember what `server` used before `facts`; what an earlier attempt at the same remembered of it stands.

    `connectors` are those of the server that are to follow.
    """
    with _writing:
        deployment = _begun(memory, facts)
        internal = deployment.internals.setdefault(server, before.internal)
        kept = deployment.servers.setdefault(server, before.model_copy(update={"internal": internal}))
        settled = tuple(name for name in deployment.settled if name != server)
        _keep(memory, _with(deployment, connectors).model_copy(update={"settled": settled}))
    return kept


def begin_connectors(memory: Memory, facts: CertificateFacts, connectors: Iterable[Named]) -> None:
    """The same for what belongs to the organisation."""
    with _writing:
        _keep(memory, _with(_begun(memory, facts), connectors))


def settle(memory: Memory, server: str) -> None:
    """Note that `server` is done for itself, so that no later failure elsewhere takes it back."""
    with _writing:
        if deployment := load(memory):
            settled = tuple(dict.fromkeys((*deployment.settled, server)))
            _keep(memory, deployment.model_copy(update={"settled": settled}))


def _begun(memory: Memory, facts: CertificateFacts) -> Deployment:
    """The deployment of `facts` as far as it was begun; an earlier one of another version is abandoned."""
    earlier = load(memory)
    if earlier is None:
        return Deployment(thumbprint=facts.thumbprint, sha256=facts.sha256, servers={})
    if earlier.thumbprint == facts.thumbprint:
        return earlier
    return Deployment(
        thumbprint=facts.thumbprint,
        sha256=facts.sha256,
        servers={},
        internals=dict(earlier.internals),
        abandoned=tuple(sorted(earlier.versions - {facts.thumbprint})),
    )


def _with(deployment: Deployment, connectors: Iterable[Named]) -> Deployment:
    known = {(named.kind, named.identity): named for named in deployment.connectors}
    for named in connectors:
        known.setdefault((named.kind, named.identity), named)
    return deployment.model_copy(update={"connectors": tuple(known.values())})


def _keep(memory: Memory, deployment: Deployment) -> None:
    memory.put(_KEY, deployment.model_dump(mode="json"))


def finish(memory: Memory, aside: Collection[str] = ()) -> None:
    """Forget the deployment, which is verified or taken back; but not what was begun on servers that stood `aside`."""
    deployment = load(memory)
    if deployment is None:
        return
    servers = {server: before for server, before in deployment.servers.items() if server in aside}
    internals = {server: internal for server, internal in deployment.internals.items() if server in aside}
    if not servers and not internals:
        memory.put(_KEY, None)
        return
    connectors = tuple(named for named in deployment.connectors if named.server in servers)
    kept = {"servers": servers, "internals": internals, "connectors": connectors}
    _keep(memory, deployment.model_copy(update=kept))


def keep_done(memory: Memory, aside: Collection[str] = ()) -> None:
    """Keep what was used before the deployment that is verified now, but for servers that stood `aside`.

    So a person can have it put back later. What an earlier part of the same deployment kept of a server stands.
    """
    deployment = load(memory)
    if deployment is None:
        return
    servers = {server: before for server, before in deployment.servers.items() if server not in aside}
    done, shown = deployment.model_copy(update={"servers": servers, "settled": ()}), baseline(memory)
    if (earlier := last(memory)) and earlier[0].thumbprint == deployment.thumbprint:
        done = _joined(earlier[0], done)
        shown |= {key: was for key, was in earlier[1].items() if key[0] in earlier[0].servers}
    rows = [[list(key), was] for key, was in shown.items()]
    memory.put(_DONE, {"deployment": done.model_dump(mode="json"), "baseline": rows})


def last(memory: Memory) -> tuple[Deployment, dict[PortKey, str | None]] | None:
    """The deployment that was verified last, with what ports served before it; None if it was taken back."""
    stored = memory.get(_DONE)
    if not stored:
        return None
    return Deployment.model_validate(stored["deployment"]), _by_key(stored["baseline"])


def reopen(memory: Memory) -> None:
    """Have the deployment that was verified last count as one that is neither verified nor taken back."""
    found = last(memory)
    if found is None:
        return
    begun = load(memory)
    is_same = begun is not None and begun.thumbprint == found[0].thumbprint
    _keep(memory, _joined(found[0], begun) if begun and is_same else found[0])
    keep_baseline(memory, found[1])
    memory.put(_DONE, None)


def _joined(earlier: Deployment, later: Deployment) -> Deployment:
    """Two parts of one deployment; what the earlier one knew of a server or connector stands."""
    both = _with(earlier, later.connectors)
    return both.model_copy(update={"servers": {**later.servers, **earlier.servers}})


def keep_baseline(memory: Memory, before: Mapping[PortKey, str | None]) -> None:
    """Keep what each port served before anything was done, for a run that goes on with this one."""
    memory.put(_BASELINE, [[list(key), shown] for key, shown in before.items()])


def baseline(memory: Memory) -> dict[PortKey, str | None]:
    """What was kept; empty if nothing was."""
    return _by_key(memory.get(_BASELINE) or [])


def _by_key(rows: Iterable[Any]) -> dict[PortKey, str | None]:
    return {(server, service, host, int(port)): shown for (server, service, host, port), shown in rows}


def web_sites(memory: Memory) -> dict[str, tuple[str, ...]]:
    """What was recorded of each server's web site since a deployment left nothing to be done.

    However many were broken off, or taken back: what was in use before the first stands here.
    """
    return _by_server(memory, _WEB_SITES)


def record_web_site(memory: Memory, server: str, thumbprint: str) -> None:
    """Remember what the web site of `server` served when a deployment began where none had been finished."""
    with _writing:
        _add(memory, _WEB_SITES, server, thumbprint)


def forget_web_sites(memory: Memory) -> None:
    """Note that a deployment left nothing to be done: what it replaced is replaced everywhere."""
    if memory.get(_WEB_SITES):
        memory.put(_WEB_SITES, None)


def imported(memory: Memory) -> dict[str, tuple[str, ...]]:
    """Thumbprints that we have put into the store of each server, ever."""
    return _by_server(memory, IMPORTED)


def record_import(memory: Memory, server: str, thumbprint: str) -> None:
    """Remember, before it is done, that we put a certificate into the store of `server`: only such are removed."""
    with _writing:
        _add(memory, IMPORTED, server, thumbprint)


def forget_import(memory: Memory, server: str, thumbprint: str) -> None:
    """Note that it was removed again."""
    with _writing:
        known = imported(memory)
        known[server] = tuple(t for t in known.get(server, ()) if t != thumbprint)
        memory.put(IMPORTED, {name: list(thumbprints) for name, thumbprints in known.items()})


def _by_server(memory: Memory, key: str) -> dict[str, tuple[str, ...]]:
    return {server: tuple(thumbprints) for server, thumbprints in (memory.get(key) or {}).items()}


def _add(memory: Memory, key: str, server: str, thumbprint: str) -> None:
    known = _by_server(memory, key)
    known[server] = tuple(dict.fromkeys((*known.get(server, ()), thumbprint)))
    memory.put(key, {name: list(thumbprints) for name, thumbprints in known.items()})
