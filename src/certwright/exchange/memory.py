"""What must be known to take a change back, after a crash too: kept before the first change is made."""

from collections.abc import Mapping

from pydantic import Field

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
    """A deployment that is under way: what is being put to use, and what was used before, by server."""

    thumbprint: str
    sha256: str
    servers: dict[str, Before]


def load(memory: Memory) -> Deployment | None:
    """The deployment that was begun and is neither verified nor taken back."""
    stored = memory.get(_KEY)
    return Deployment.model_validate(stored) if stored else None


def begin(memory: Memory, thumbprint: str, sha256: str, before: Mapping[str, Before]) -> Deployment:
    """Remember a deployment; what an unfinished one remembered of a server is older, and so stands."""
    earlier = load(memory)
    servers = {**before, **(earlier.servers if earlier else {})}
    deployment = Deployment(thumbprint=thumbprint, sha256=sha256, servers=servers)
    memory.put(_KEY, deployment.model_dump(mode="json"))
    return deployment


def finish(memory: Memory) -> None:
    """Forget the deployment: it is verified, or taken back."""
    if memory.get(_KEY):
        memory.put(_KEY, None)
