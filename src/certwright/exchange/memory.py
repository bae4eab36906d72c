"""What must be known to take a change back, after a crash too: kept before the first change is made."""

from collections.abc import Collection
from datetime import datetime

from pydantic import Field

from certwright.domain.certificates import CertificateFacts
from certwright.domain.managed import Value
from certwright.exchange.model import SUPPORTED, Certificate, ServerState
from certwright.sdk.context import Memory

_KEY = "exchange"


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
        bound = state.web_site_certificate()
        used = filter(None, (bound or state.certificate(web_site), state.certificate(state.internal_transport)))
        assigned = {c.thumbprint: c.services & SUPPORTED for c in state.certificates if c.services is not None}
        return cls(
            web_site=bound.thumbprint if bound else web_site,
            internal=state.internal_transport,
            services={thumbprint: services.value for thumbprint, services in assigned.items() if services},
            pop_name=state.pop_name,
            imap_name=state.imap_name,
            certificates={c.thumbprint: Remembered.of(c, protected) for c in used},
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
