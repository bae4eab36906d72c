"""In which order servers change: the canary alone, then the others in waves that follow load-balancing pools."""

import enum
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from certwright.domain.deployment import Change
from certwright.exchange.deployment import changes
from certwright.exchange.model import ServerState, Service


class Phase(enum.IntEnum):
    """The parts of a wave; every server of the wave ends one before any begins the next.

    The web site comes first because it alone can be taken back; IIS is restarted on one server after the other.
    """

    IMPORT = 0
    WEB_SITE = 1
    REST = 2
    ISSUERS = 3
    RESTART = 4
    WEB_RESTART = 5
    ORGANISATION = 6


@dataclass(frozen=True, slots=True)
class Order:
    """What decides about waves: which server is first, which change together, and how many of these at once.

    Servers that are in none of `pools` belong to the pool of their Active Directory site.
    """

    canary: str | None = None
    pools: tuple[tuple[str, ...], ...] = ()
    width: int | None = None


@dataclass(frozen=True, slots=True)
class Wave:
    """Changes of one number, in phases, each by target; a phase is absent if nothing is to be done in it."""

    number: int
    phases: Mapping[Phase, Mapping[str, tuple[Change, ...]]]

    @property
    def servers(self) -> tuple[str, ...]:
        """Those that change in it."""
        own = (targets for phase, targets in self.phases.items() if phase is not Phase.ORGANISATION)
        return tuple(dict.fromkeys(server for targets in own for server in targets))


def order_servers(states: Sequence[ServerState], order: Order) -> tuple[tuple[str, ...], ...]:
    """The servers in their waves: the canary, then the rest of its pool, then the other pools."""
    names = [state.server for state in states]
    if not names:
        return ()
    canary = order.canary if order.canary in names else names[0]
    pools = sorted(pools_of(states, order), key=lambda pool: canary not in pool)
    width = order.width or len(names)
    others = [[server for server in pool if server != canary] for pool in pools]
    return ((canary,), *(tuple(pool[at : at + width]) for pool in others for at in range(0, len(pool), width)))


def pools_of(states: Sequence[ServerState], order: Order) -> tuple[tuple[str, ...], ...]:
    """The servers by the load balancer that users reach them through."""
    named = {server for pool in order.pools for server in pool}
    sites: dict[str, list[str]] = {}
    for state in states:
        if state.server not in named:
            sites.setdefault(state.info.site.lower(), []).append(state.server)
    here = {state.server for state in states}
    chosen = [tuple(server for server in pool if server in here) for pool in order.pools]
    return tuple(pool for pool in (*chosen, *map(tuple, sites.values())) if pool)


def phase_of(change: Change) -> Phase:
    """Where in its wave a change belongs."""
    if changes.imports_issuers(change):
        return Phase.ISSUERS
    if change.action == changes.IMPORT:
        return Phase.IMPORT
    if change.action in changes.ORGANISATIONAL:
        return Phase.ORGANISATION
    if change.action == changes.RESTART:
        return Phase.WEB_RESTART if changes.names_of(change) == changes.WEB_SERVICES else Phase.RESTART
    if change.action == changes.ENABLE and changes.services_of(change) == Service.IIS:
        return Phase.WEB_SITE
    return Phase.REST


def numbered(waves: Iterable[Iterable[Change]]) -> Iterator[Change]:
    """The changes of each wave in the order of their phases, with its number; waves without any are not counted."""
    number = 0
    for wave in waves:
        found = sorted(wave, key=phase_of)
        number += bool(found)
        yield from (change.model_copy(update={"wave": number}) for change in found)


def waves_of(planned: Iterable[Change]) -> tuple[Wave, ...]:
    """The waves of a plan, in their order, wave 0 among them if it is there."""
    found: dict[int, dict[Phase, dict[str, list[Change]]]] = {}
    for change in planned:
        targets = found.setdefault(change.wave, {}).setdefault(phase_of(change), {})
        targets.setdefault(change.target, []).append(change)
    return tuple(
        Wave(number, {p: {t: tuple(c) for t, c in targets.items()} for p, targets in sorted(phases.items())})
        for number, phases in sorted(found.items())
    )
