"""How all that is managed, or watched, is: counted, and told of those that need a person."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from certwright.domain.duties import Trouble
from certwright.domain.health import NEEDS_PERSON, of_watched, worst
from certwright.domain.health_rules import Health
from certwright.domain.watching import Watched
from certwright.engine.context import Engine
from certwright.engine.dead_runs import close_dead_runs
from certwright.engine.duties import troubles
from certwright.engine.gaps import Gap, unheard, unproved
from certwright.engine.schedule import health
from certwright.store.healths import Judged

_BATCH = 200


@dataclass(frozen=True, slots=True)
class Status:
    """How all is: how many managed certificates are so, and those that were asked for; the same of what is watched.

    `judged` are the worst of them, if not all were wanted, and `more` are left out.
    `service` are the duties of the service that fail, and `gaps` is what is missing, whatever was asked for.
    """

    certificates: Mapping[Health, int]
    judged: tuple[Judged, ...]
    more: int
    watched: Mapping[Health, int]
    seen: tuple[tuple[Watched, Health], ...]
    service: tuple[Trouble, ...] = ()
    gaps: tuple[Gap, ...] = ()

    @property
    def overall(self) -> Health:
        """As the worst of all."""
        return worst([*self.certificates, *self.watched, *(trouble.health for trouble in self.service)])


def status(engine: Engine, wanted: Collection[Health] = NEEDS_PERSON, limit: int | None = None) -> Status:
    """How all is now, with those whose health is among `wanted`; with the worst of these if there is a limit."""
    close_dead_runs(engine)
    judge_stale(engine)
    with engine.store.read() as unit:
        counts = unit.healths.counts()
        judged = unit.healths.list(wanted) if limit is None else unit.healths.first(wanted, limit)
        watches, service = unit.watches.list(), troubles(unit)
        gaps = (*unheard(unit), *unproved(engine, unit))
    now = engine.now()
    seen = [(watched, of_watched(watched, now)) for watched in watches]
    healths = [each for _, each in seen]
    return Status(
        certificates=counts,
        judged=tuple(judged),
        more=sum(counts.get(each, 0) for each in set(wanted)) - len(judged),
        watched={each: healths.count(each) for each in Health if each in healths},
        seen=tuple(found for found in seen if found[1] in wanted),
        service=tuple(service),
        gaps=gaps,
    )


def judge_stale(engine: Engine) -> None:
    """Judge anew what the clock alone may have changed, in short transactions; the others cost nothing."""
    while True:
        now = engine.now()
        with engine.store.read() as unit:
            if not unit.healths.stale(now, 1):
                return
        with engine.store.write() as unit:
            for managed in unit.healths.stale(now, _BATCH):
                unit.healths.put(managed.id, health(engine, unit, managed))
