"""How a managed certificate is: the first of the rules that speaks decides, and the answer says how long it holds."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta

from pydantic import AwareDatetime

from certwright.domain.health_input import HealthInput
from certwright.domain.health_rules import (
    NEAR,
    NEGLECTED,
    RULES,
    UNKNOWN_FOR,
    Health,
    Rule,
    Said,
    seen_at,
)
from certwright.domain.looks import PROOF_DAYS
from certwright.domain.managed import Value
from certwright.domain.notices import NEAR_SHARE, URGENT, URGENT_SHARE
from certwright.domain.watching import UNSEEN, Watched

NEEDS_PERSON = (Health.CRITICAL, Health.FAILING, Health.ATTENTION)
HOLDS_AT_MOST = timedelta(days=2)
"""An answer is given anew after so long, whatever the clock was when it was given; looks come sooner than that."""
_TURNS = 20
"""So many moments ahead an answer is followed at most: a hold without an end is looked at day after day."""


class Condition(Value):
    """How a certificate is: the `rule` that decided, what it says, and the next step where a person has one.

    By the clock alone that holds until the moment `until`; what an earlier version stored has None, if for ever.
    `ends` is when the first certificate ends that is in use.
    """

    health: Health
    rule: str
    message: str
    hint: str = ""
    until: AwareDatetime | None = None
    ends: AwareDatetime | None = None


def judge(given: HealthInput) -> Condition:
    """How the certificate is, and until when that holds by the clock alone."""
    rule, said = _first(given)
    latest = given.now + HOLDS_AT_MOST
    return Condition(
        health=rule.health,
        rule=rule.name,
        message=said[0],
        hint=said[1],
        until=min(_holds(given, (rule, said)) or latest, latest),
        ends=given.ends,
    )


def worst(found: Iterable[Health]) -> Health:
    """The gravest of all; ok if there is none."""
    return min(found, key=list(Health).index, default=Health.OK)


def of_watched(watched: Watched, now: datetime) -> Health:
    """How something is that is watched and not renewed."""
    match watched.state(now):
        case "expired":
            return Health.CRITICAL
        case "not seen":
            return Health.ATTENTION if watched.failures >= UNSEEN else Health.OK
        case "ok":
            return Health.OK
        case _:
            return Health.ATTENTION


def _first(given: HealthInput) -> tuple[Rule, Said]:
    return next((rule, said) for rule in RULES if (said := rule.check(given)))


def _holds(given: HealthInput, found: tuple[Rule, Said]) -> datetime | None:
    """Until when the answer stays the same; a moment before that if it stays for very long."""
    for _ in range(_TURNS):
        following = min((moment for moment in _turns(given) if moment > given.now), default=None)
        if following is None:
            return None
        given = replace(given, renewal=replace(given.renewal, now=following))
        if _first(given) != found:
            break
    return given.now


def _turns(given: HealthInput) -> Iterator[datetime]:
    """The moments at which a rule may begin or cease to speak by the clock alone."""
    yield given.decision.next_check
    yield from filter(None, (given.ends, given.starts(URGENT, URGENT_SHARE), given.starts(NEAR, NEAR_SHARE)))
    if given.renewal.facts:
        yield given.renewal.facts.not_after
    if given.planned_at:
        yield given.planned_at + NEGLECTED
    for task in given.tasks:
        if task.ends:
            yield task.ends
        if seen := seen_at(task):
            yield seen + UNKNOWN_FOR
    if given.proof and given.proof.ends:
        yield given.proof.ends
        yield given.proof.ends - timedelta(days=PROOF_DAYS[0])
