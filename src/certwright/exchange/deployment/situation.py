"""What a plan is made from: the organisation, what the ports show, and what an earlier run began."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from certwright.exchange.deployment.memory import Deployment
from certwright.exchange.deployment.wish import Wish
from certwright.exchange.model import Certificate, ServerState, Service
from certwright.exchange.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Served:
    """What the ports of a server show of the new version: services that serve it, and services that do not.

    `alone` tells that one sends it without the certificate of its issuer. `web_site` is the thumbprint of what the web
    site serves, whichever version it is; None if its ports do not answer alike.
    """

    new: Service = Service.NONE
    other: Service = Service.NONE
    alone: bool = False
    web_site: str | None = None


@dataclass(frozen=True, slots=True)
class Situation:
    """What a plan is made from.

    `begun` is a deployment that was not finished. By server, `served` is what the ports show, and `web_sites` what the
    web site served when deployments began, since the last that left nothing to be done.
    """

    snapshot: Snapshot
    begun: Deployment | None = None
    served: Mapping[str, Served] = field(default_factory=dict)
    web_sites: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def replaced(situation: Situation, wish: Wish) -> tuple[str, ...]:
    """Thumbprints of all that the version replaces on any server."""
    wishes = (with_replaced(wish, state, situation) for state in situation.snapshot.servers)
    return tuple(dict.fromkeys(thumbprint for wish in wishes for thumbprint in wish.predecessors))


def stored(situation: Situation, thumbprints: tuple[str, ...]) -> tuple[Certificate, ...]:
    """These certificates, as the servers that hold them tell of them."""
    states = situation.snapshot.servers
    return tuple(c for state in states for t in thumbprints if (c := state.certificate(t)))


def with_replaced(wish: Wish, state: ServerState, situation: Situation) -> Wish:
    """`wish` with all that the version replaces on `state` as its predecessors: ours, then what is none of ours.

    An earlier version of ours may lie in the store without ever having been used, or be used by a part of the services
    only, because its deployment was broken off or taken back. So it does not hide what was in use before it.
    """
    known = {wish.facts.thumbprint, *wish.predecessors}
    others = dict.fromkeys(c.thumbprint for c in _found(wish, state, situation) if _is_for(wish, c, situation))
    return replace(wish, predecessors=(*wish.predecessors, *(t for t in others if t not in known)))


def _found(wish: Wish, state: ServerState, situation: Situation) -> Iterator[Certificate]:
    """What the Default Web Site served when deployments began that may not have been finished, and what it is bound to.

    Where Exchange does not tell that, what its port shows counts. On a server where a deployment was finished, somebody
    else must have bound what is none of ours since: that is a choice, which is not followed.
    """
    yield from filter(None, map(state.certificate, situation.web_sites.get(state.server, ())))
    if wish.left(state.server) is None:
        shown = situation.served.get(state.server, Served()).web_site
        yield from filter(None, (state.web_site_certificate() or state.certificate(shown),))


def _is_for(wish: Wish, found: Certificate, situation: Situation) -> bool:
    """Whether it is for one of our names, is not self-signed, and does not sign Exchange's own tokens."""
    if found.facts is None or found.facts.is_self_signed or found.is_self_signed:
        return False
    is_protected = found.is_protected or found.thumbprint in situation.snapshot.protected
    return not is_protected and any(found.facts.covers(name.value) for name in wish.facts.names)
