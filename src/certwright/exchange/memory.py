"""What must be known to take a change back, after a crash too: kept before the first change is made."""

from pydantic import Field

from certwright.domain.certificates import CertificateFacts
from certwright.domain.managed import Value
from certwright.exchange.model import SUPPORTED, ServerState
from certwright.sdk.context import Memory

_KEY = "exchange"


class Before(Value):
    """What one server used before.

    `web_site` is the thumbprint that the Default Web Site was bound to, `internal` that of the internal transport
    certificate, `services` maps thumbprints to the numbers of the services they were assigned to.
    """

    web_site: str | None = None
    internal: str | None = None
    services: dict[str, int] = Field(default_factory=dict)
    pop_name: str | None = None
    imap_name: str | None = None

    @classmethod
    def of(cls, state: ServerState, web_site: str | None) -> "Before":
        """What `state` shows; `web_site` stands in if Exchange does not tell what the web site is bound to."""
        bound = state.web_site_certificate()
        assigned = {c.thumbprint: c.services & SUPPORTED for c in state.certificates if c.services is not None}
        return cls(
            web_site=bound.thumbprint if bound else web_site,
            internal=state.internal_transport,
            services={thumbprint: services.value for thumbprint, services in assigned.items() if services},
            pop_name=state.pop_name,
            imap_name=state.imap_name,
        )


class Deployment(Value):
    """A deployment that is under way: what is being put to use, and what was used before, by server.

    `abandoned` are versions of earlier deployments that died on the way and may have left themselves as the internal
    transport certificate; `internals` is what that was before the first of them, by server.
    """

    thumbprint: str
    sha256: str
    servers: dict[str, Before]
    internals: dict[str, str | None] = Field(default_factory=dict)
    abandoned: tuple[str, ...] = ()

    @property
    def versions(self) -> frozenset[str]:
        """Thumbprints that only we can have put where they are."""
        return frozenset({self.thumbprint, *self.abandoned})


def load(memory: Memory) -> Deployment | None:
    """The deployment that was begun and is neither verified nor taken back."""
    stored = memory.get(_KEY)
    return Deployment.model_validate(stored) if stored else None


def begin(memory: Memory, facts: CertificateFacts, server: str, before: Before) -> Before:
    """Remember what `server` used before `facts`; what an earlier attempt at the same remembered of it stands."""
    earlier = load(memory)
    deployment = Deployment(thumbprint=facts.thumbprint, sha256=facts.sha256, servers={})
    if earlier:
        resumed = earlier.thumbprint == facts.thumbprint
        update = {
            "servers": dict(earlier.servers) if resumed else {},
            "internals": dict(earlier.internals),
            "abandoned": tuple(sorted(earlier.versions - {facts.thumbprint})),
        }
        deployment = deployment.model_copy(update=update)
    internal = deployment.internals.setdefault(server, before.internal)
    kept = deployment.servers.setdefault(server, before.model_copy(update={"internal": internal}))
    memory.put(_KEY, deployment.model_dump(mode="json"))
    return kept


def finish(memory: Memory) -> None:
    """Forget the deployment: it is verified, or taken back."""
    if memory.get(_KEY):
        memory.put(_KEY, None)
