"""From events to news: what is the matter with each certificate by one rule, and when that is told.

An event opens a *case*, adds to it, or closes it. A case has news until it was told of. News of one cause, a *topic*,
is told together: at once, then after pauses that grow while the topic lasts, so that neither ten thousand certificates
nor one that fails ten thousand times makes a storm. Nothing is forgotten: what waits is told later.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby

from pydantic import AwareDatetime

from certwright.domain.clocks import SKEW, happened
from certwright.domain.errors import CertwrightError
from certwright.domain.events import Event, EventKind
from certwright.domain.managed import Value
from certwright.domain.messages import Section, Tally
from certwright.domain.rules import Digest, Matter, Rule

OPENS: Mapping[EventKind, Matter] = {
    EventKind.ISSUANCE_FAILED: Matter.ISSUANCE,
    EventKind.ISSUANCE_WAITS: Matter.NEEDS_PERSON,
    EventKind.DEPLOYMENT_FAILED: Matter.DEPLOYMENT,
    EventKind.ROLLED_BACK: Matter.ROLLED_BACK,
    EventKind.NEEDS_PERSON: Matter.NEEDS_PERSON,
    EventKind.GIVEN_UP: Matter.NEEDS_PERSON,
    EventKind.EXPIRING: Matter.EXPIRING,
    EventKind.IN_USE_ENDING: Matter.EXPIRING,
    EventKind.DRIFT: Matter.DRIFT,
    EventKind.PROOF_ENDING: Matter.PROOF,
    EventKind.RENEWAL_MOVED: Matter.INCIDENT,
    EventKind.WATCHED_ENDING: Matter.WATCHED,
    EventKind.WATCHED_CHANGED: Matter.WATCHED,
    EventKind.WATCHED_UNSEEN: Matter.WATCHED,
    EventKind.DUTY_FAILED: Matter.SERVICE,
}
CLOSES: Mapping[EventKind, tuple[EventKind, ...]] = {
    EventKind.CERTIFICATE_ISSUED: (
        EventKind.ISSUANCE_FAILED,
        EventKind.ISSUANCE_WAITS,
        EventKind.EXPIRING,
        EventKind.RENEWAL_MOVED,
    ),
    EventKind.DEPLOYED: (
        EventKind.DEPLOYMENT_FAILED,
        EventKind.ROLLED_BACK,
        EventKind.NEEDS_PERSON,
        EventKind.GIVEN_UP,
        EventKind.IN_USE_ENDING,
        EventKind.DRIFT,
    ),
    EventKind.TASKS_DONE: (EventKind.DEPLOYMENT_FAILED, EventKind.GIVEN_UP, EventKind.IN_USE_ENDING),
    EventKind.DRIFT_OVER: (EventKind.DRIFT,),
    EventKind.PROOF_RENEWED: (EventKind.PROOF_ENDING,),
    EventKind.DUTY_WORKED: (EventKind.DUTY_FAILED,),
    EventKind.WATCHED_REPLACED: (
        EventKind.WATCHED_ENDING,
        EventKind.WATCHED_CHANGED,
        EventKind.WATCHED_UNSEEN,
    ),
}
"""By what ends a case: the events of which the last one opened it, or added to it."""
PASSING = frozenset({Matter.WATCHED})
"""What is over when it has been told: no event says that it ended."""
COUNTED = (EventKind.CERTIFICATE_ISSUED, EventKind.DEPLOYED, EventKind.CERTIFICATE_REVOKED)

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
AFRESH = timedelta(hours=6)
"""Until a case is told of that has opened again since it was."""
GATHERED = timedelta(minutes=15)
"""Between two messages by one rule, at least."""
URGENT = timedelta(days=3)
NEAR_SHARE, URGENT_SHARE = 1 / 6, 1 / 12
"""The last part of a lifetime in which it is near, and urgent, however long it is."""
HELD_AT_MOST = timedelta(hours=20)
"""As long as quiet hours hold news back: a daily run may always fall into them."""
KEPT_OVER = timedelta(days=2)
"""How long a closed case is remembered, so that one that opens again and again is known."""
NAMES_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Subject:
    """What a case is about: the certificate's title, and how long its current version is valid, if there is one.

    `in_use_until` is when the first version ends that is in use; None if nothing but the current one is known to be.
    """

    title: str
    not_before: datetime | None = None
    not_after: datetime | None = None
    in_use_until: datetime | None = None

    @property
    def ends(self) -> datetime | None:
        """When the first version ends of those that count."""
        return min(filter(None, (self.not_after, self.in_use_until)), default=None)

    def ends_within(self, span: timedelta, share: float, now: datetime) -> bool:
        """Whether less is left than `span`, and than this share of the lifetime."""
        if self.not_before is None or self.not_after is None or self.ends is None:
            return False
        return self.ends - now <= min(span, (self.not_after - self.not_before) * share)


class Case(Value):
    """One matter of one certificate, by one rule.

    `topic` is what cases with the same cause have in common. `by` is the last event of it, None in those that an
    earlier version stored. `count` is how often it happened since it began, `told`
    how much of that was told. `news_at` is since when there is something to tell, None if there is nothing; `over_at`
    when it ended.
    """

    matter: Matter
    managed_id: str
    topic: str
    title: str
    message: str
    hint: str = ""
    by: EventKind | None = None
    since: AwareDatetime
    count: int = 1
    told: int = 0
    told_at: AwareDatetime | None = None
    urgent: bool = False
    told_urgent: bool = False
    not_after: AwareDatetime | None = None
    over_at: AwareDatetime | None = None
    news_at: AwareDatetime | None = None


class Pace(Value):
    """How far a rule has come: the last event that it knows, when it told last, and what went well since.

    `head_at` is when it sent a head of the audit trail last.
    """

    after: int = 0
    told_at: AwareDatetime | None = None
    tally: Tally | None = None
    head_at: AwareDatetime | None = None


@dataclass(frozen=True, slots=True)
class Topic:
    """Of all cases with the same cause: when the first began, and when one was told of last."""

    began: datetime
    told_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class News:
    """What is told now: `sections`, most urgent first; the cases as they are then; and until when others are held."""

    sections: tuple[Section, ...]
    told: tuple[Case, ...]
    held: tuple[tuple[Case, datetime], ...]


_OWN = re.compile(
    r"""'[^']*'|"[^"]*"|\S+://\S+|\b[0-9a-fA-F]{8,}\b|\S*@\S+|\S*\d\S*|(?:\*\.)?[\w-]+(?:\.[\w-]+)+""", re.VERBOSE
)
_READ_LENGTH, _CAUSE_LENGTH = 1000, 200


def cause_of(message: str) -> str:
    """A sentence without what is one certificate's own in it: names, addresses, numbers, whatever is quoted."""
    return _OWN.sub("…", " ".join(message[:_READ_LENGTH].split()))[:_CAUSE_LENGTH]


def touched(event: Event) -> tuple[Matter, ...]:
    """The matters whose cases an event opens, adds to or closes."""
    opened = OPENS.get(event.kind)
    return (opened,) if opened else tuple(OPENS[kind] for kind in CLOSES.get(event.kind, ()))


def fold(
    rule: Rule,
    pace: Pace,
    known: Mapping[tuple[Matter, str], Case],
    arrived: Sequence[tuple[int, Event]],
    subjects: Mapping[str, Subject],
) -> tuple[Pace, dict[tuple[Matter, str], Case | None]]:
    """How far `rule` has come after the events that `arrived`, and the cases that changed; None for one that is gone.

    Args:
        rule: the rule.
        pace: how far it had come.
        known: the cases of these certificates until now.
        arrived: each with its sequence number, oldest first.
        subjects: by managed certificate; what happened to one that is not among them is nobody's matter any more.
    """
    changed: dict[tuple[Matter, str], Case | None] = {}
    tally = pace.tally
    for _, event in arrived:
        subject = subjects.get(event.managed_id)
        if subject is None:
            continue
        for matter in touched(event):
            key = matter, event.managed_id
            if matter in rule.matters:
                changed[key] = observe(rule, matter, changed[key] if key in changed else known.get(key), event, subject)
        if event.kind in COUNTED and Matter.SUMMARY in rule.matters:
            tally = (tally or Tally(since=event.at)).plus(event.kind, subject.title)
    return pace.model_copy(update={"after": arrived[-1][0], "tally": tally}), changed


def observe(rule: Rule, matter: Matter, before: Case | None, event: Event, subject: Subject) -> Case | None:
    """The case after `event`; None if there is none (any more)."""
    if event.kind not in OPENS:
        return _closed(before, event)
    begins = before is None or (before.over_at is not None and before.news_at is None)
    urgent = matter is Matter.NEEDS_PERSON or subject.ends_within(URGENT, URGENT_SHARE, event.at)
    case = Case(
        matter=matter,
        managed_id=event.managed_id,
        topic=f"{matter}: {cause_of(event.message)}",
        title=subject.title,
        message=event.message,
        hint=event.hint,
        by=event.kind,
        since=event.at if before is None or begins else before.since,
        count=1 if before is None or begins else before.count + 1,
        told=0 if before is None or begins else before.told,
        told_at=before.told_at if before else None,
        urgent=urgent,
        told_urgent=before.told_urgent if before else False,
        not_after=subject.ends,
    )
    waits = before.news_at if before and not begins else None
    if waits is None or (urgent and not case.told_urgent):
        waits = min(filter(None, (waits, _news_at(rule, case, event.at, subject))), default=None)
    return case.model_copy(update={"news_at": waits})


def _news_at(rule: Rule, case: Case, now: datetime, subject: Subject) -> datetime | None:
    near = subject.ends_within(timedelta(days=rule.days), NEAR_SHARE, now)
    match case.matter:
        case Matter.ISSUANCE | Matter.DEPLOYMENT | Matter.SERVICE:
            is_ripe = near or case.count >= rule.failures
        case Matter.EXPIRING:
            is_ripe = near
        case _:
            is_ripe = True
    if not is_ripe:
        return None
    if case.told_at is None or not happened(case.told_at, now) or (case.urgent and not case.told_urgent):
        return now
    pause = DAY if case.told else HOUR if case.urgent else AFRESH
    return max(now, case.told_at + pause)


def _closed(before: Case | None, event: Event) -> Case | None:
    """What was never worth telling is forgotten."""
    if before is None or before.over_at is not None or (before.by and before.by not in CLOSES[event.kind]):
        return before
    if before.news_at is None and not before.told:
        return None
    news_at = event.at if before.told else before.news_at
    return before.model_copy(update={"over_at": event.at, "news_at": news_at, "urgent": False})


def tell_from(rule: Rule, pace: Pace, case: Case, topic: Topic, now: datetime) -> datetime:
    """From when on the news of `case` may be told, as things stand at `now`.

    What a wrong clock said of when something was told, or is to be, does not count.
    """
    since = case.news_at if case.news_at and case.news_at <= now + DAY + SKEW else now
    moments = [since]
    if pace.told_at and happened(pace.told_at, now):
        moments.append(pace.told_at + GATHERED)
    if topic.told_at and happened(topic.told_at, now) and not case.told:
        lasted = topic.told_at - topic.began
        moments.append(topic.told_at + (HOUR if case.urgent else min(max(lasted, HOUR), DAY)))
    if not case.urgent:
        moments.append(rule.next_digest(since) if rule.digest is not Digest.NONE else since)
        quiet = rule.quiet_until(now)
        if quiet and now - max(moments) < HELD_AT_MOST:
            moments.append(quiet)
    return max(moments)


def gather(rule: Rule, pace: Pace, cases: Iterable[tuple[Case, Topic]], now: datetime) -> News:
    """What `rule` tells at `now` of `cases`, which have news; what is held is looked at again within a day."""
    told: list[Case] = []
    held: list[tuple[Case, datetime]] = []
    for case, topic in cases:
        moment = tell_from(rule, pace, case, topic, now)
        if moment > now:
            held.append((case, min(moment, now + DAY)))
        else:
            told.append(case)
    after = {"told_at": now, "news_at": None}
    known = tuple(c.model_copy(update={**after, "told": c.count, "told_urgent": c.urgent}) for c in told)
    known = tuple(c.model_copy(update={"over_at": now}) if c.matter in PASSING else c for c in known)
    return News(_sections(told), known, tuple(held))


def summary_due(rule: Rule, pace: Pace, now: datetime) -> bool:
    """Whether it is time to tell what went well."""
    if pace.tally is None or Matter.SUMMARY not in rule.matters:
        return False
    moment = rule.next_digest(pace.tally.since) if happened(pace.tally.since, now) else now
    return moment <= now and (rule.quiet_until(now) is None or now - moment >= HELD_AT_MOST)


def head_due(rule: Rule, pace: Pace, now: datetime) -> bool:
    """Whether it is time to send where the audit trail stands; the first time that is at once."""
    if Matter.AUDIT not in rule.matters:
        return False
    return pace.head_at is None or not happened(pace.head_at, now) or rule.next_digest(pace.head_at + HOUR) <= now


def _sections(cases: Sequence[Case]) -> tuple[Section, ...]:
    def key(case: Case) -> tuple[bool, str]:
        return case.over_at is not None, case.topic

    grouped = [list(group) for _, group in groupby(sorted(cases, key=key), key)]
    order = list(Matter)
    sections = [_section(group) for group in grouped]
    return tuple(sorted(sections, key=lambda s: (s.is_over, not s.urgent, order.index(s.matter), -s.certificates)))


def _section(cases: Sequence[Case]) -> Section:
    """Cases of one topic; told by the one that ends first."""
    first = min(cases, key=lambda c: (c.not_after is None, c.not_after, c.since, c.title))
    shown = sorted(cases, key=lambda c: (c.not_after is None, c.not_after, c.title))[:NAMES_SHOWN]
    return Section(
        matter=first.matter,
        is_over=first.over_at is not None,
        urgent=any(case.urgent for case in cases),
        message=first.message,
        hint=first.hint,
        certificates=len(cases),
        occurrences=sum(case.count for case in cases),
        names=tuple(case.title for case in shown),
        managed_id=first.managed_id,
        since=min(case.since for case in cases),
        until=first.not_after,
    )


FIRST_PAUSE, LONGEST_PAUSE = timedelta(minutes=1), timedelta(hours=6)
GIVEN_UP_AFTER = timedelta(days=3)


def next_attempt(attempts: int, created: datetime, error: CertwrightError, now: datetime) -> datetime | None:
    """When a message is sent again that did not get through; None if it is given up.

    Args:
        attempts: how many have failed, this one included.
        created: when it was written.
        error: why it did not get through; what a person has to mend is looked at less often.
        now: the moment of the failure.
    """
    if now - created >= GIVEN_UP_AFTER:
        return None
    pause = min(FIRST_PAUSE * (1 << min(attempts - 1, 10)), LONGEST_PAUSE)
    if not error.retryable:
        pause = max(pause, HOUR)
    return now + max(pause, min(error.retry_after or pause, LONGEST_PAUSE))
