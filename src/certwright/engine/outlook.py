"""What a person looks at first: what needs somebody now, what is at work, and what is to come.

What it asks the store costs the same however many certificates there are, but for counts that an index answers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from certwright.domain.duties import Trouble
from certwright.domain.errors import NotFound
from certwright.domain.health import NEEDS_PERSON, of_watched
from certwright.domain.health_rules import Health
from certwright.domain.managed import Issuer
from certwright.domain.runs import Run
from certwright.domain.watching import Watched
from certwright.engine.context import Engine
from certwright.engine.dead_runs import close_dead_runs
from certwright.engine.duties import troubles
from certwright.engine.gaps import Gap, unheard, unproved
from certwright.engine.ledger import Level, scarcest
from certwright.engine.status import judge_stale
from certwright.store import UnitOfWork
from certwright.store.healths import Judged
from certwright.store.listing import Ends, Filter, Listed

DAYS = 90
"""So many days the chart looks ahead."""
SOON = timedelta(days=30)
_SHOWN = 8
_ENDING = 10
_LEVELS = 6


@dataclass(frozen=True, slots=True)
class Outlook:
    """How all is, and what comes.

    `counts` are all managed certificates by health, `judged` the first of those that need a person; `watched` and
    `seen` are the same of what is only watched, the worst first. `service` are the duties of the service that fail.
    `running` are the newest runs under way, with the title of what each is for. `days` are how many end on each of the
    next days, the first of them `today` in UTC, and `overdue` those that have ended; `ending` the first that end soon.
    `levels` are the scarcest rate limits. `has_issuer` is whether any authority was chosen yet, `gaps` what is missing
    beside that.
    """

    counts: Mapping[Health, int]
    judged: Sequence[Judged]
    watched: Mapping[Health, int]
    seen: Sequence[tuple[Watched, Health]]
    service: Sequence[Trouble]
    running: Sequence[tuple[Run, str]]
    today: datetime
    overdue: int
    days: Sequence[int]
    ending: Sequence[Listed]
    levels: Sequence[tuple[Issuer, Level]]
    has_issuer: bool
    gaps: Sequence[Gap]

    @property
    def waiting(self) -> int:
        """How many managed certificates need a person."""
        return _needing(self.counts)

    @property
    def waiting_watched(self) -> int:
        """How many of what is watched need a person."""
        return _needing(self.watched)


def outlook(engine: Engine) -> Outlook:
    """How all is now."""
    close_dead_runs(engine)
    judge_stale(engine)
    now = engine.now()
    today = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    edges = [today + timedelta(days=day) for day in range(DAYS + 1)]
    with engine.store.read() as unit:
        counts, judged = unit.healths.counts(), unit.healths.first(NEEDS_PERSON, _SHOWN)
        watches, service = unit.watches.list(), troubles(unit)
        running = [(run, _title(unit, run)) for run in unit.runs.under_way(_SHOWN)]
        overdue, *days = unit.healths.ending([datetime.min.replace(tzinfo=UTC), *edges])
        ending = unit.listing.page("", _ENDING, Filter(ends=Ends(now, "", now + SOON)))
        gaps = [*unheard(unit), *unproved(engine, unit)]
        has_issuer = any(issuer.account for issuer in unit.issuers.list())
    seen = [(each, of_watched(each, now)) for each in watches]
    healths = [health for _, health in seen]
    in_need = sorted(
        (each for each in seen if each[1] in NEEDS_PERSON),
        key=lambda each: (NEEDS_PERSON.index(each[1]), each[0].seen.not_after),
    )
    return Outlook(
        counts=counts,
        judged=judged,
        watched={each: healths.count(each) for each in Health if each in healths},
        seen=in_need[:_SHOWN],
        service=service,
        running=running,
        today=today,
        overdue=overdue,
        days=days,
        ending=ending,
        levels=scarcest(engine, _LEVELS),
        has_issuer=has_issuer,
        gaps=gaps,
    )


def _needing(counts: Mapping[Health, int]) -> int:
    return sum(counts.get(each, 0) for each in NEEDS_PERSON)


def _title(unit: UnitOfWork, run: Run) -> str:
    try:
        return unit.managed.get(run.managed_id).title
    except NotFound:
        return ""
