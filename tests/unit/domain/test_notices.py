"""Events become news: nothing is lost, nothing becomes a storm, and quiet hours let urgent news through."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certwright.domain.errors import CertwrightError
from certwright.domain.events import Event, EventKind
from certwright.domain.messages import Section
from certwright.domain.notices import (
    CLOSES,
    OPENS,
    Case,
    Pace,
    Subject,
    Topic,
    cause_of,
    fold,
    gather,
    head_due,
    next_attempt,
    summary_due,
    touched,
)
from certwright.domain.rules import Digest, Matter, QuietHours, Rule

NOON = datetime(2026, 11, 4, 12, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
OUTAGE = "The authority house-ca does not answer: cannot connect."
EAGER = Rule(name="eager", failures=1)


@dataclass
class Desk:
    """One rule with its cases, as the store keeps them."""

    rule: Rule
    subject: Subject | None = None
    cases: dict[tuple[Matter, str], Case] = field(default_factory=dict)
    pace: Pace = field(default_factory=Pace)
    messages: list[tuple[datetime, tuple[Section, ...]]] = field(default_factory=list)

    def hear(self, *events: Event) -> None:
        subjects = {event.managed_id: self.subject or Subject(event.managed_id) for event in events}
        arrived = list(enumerate(events, self.pace.after + 1))
        if arrived:
            self.pace, changed = fold(self.rule, self.pace, self.cases, arrived, subjects)
            known = {**self.cases, **changed}
            self.cases = {key: case for key, case in known.items() if case}

    def tell(self, now: datetime) -> tuple[Section, ...]:
        """What is told now."""
        topics = self._topics()
        due = [(c, topics[c.topic]) for c in self.cases.values() if c.news_at and c.news_at <= now]
        news = gather(self.rule, self.pace, due, now)
        self.cases |= {(case.matter, case.managed_id): case for case in news.told}
        assert all(moment > now for _, moment in news.held)
        if news.sections:
            self.pace = self.pace.model_copy(update={"told_at": now})
            self.messages.append((now, news.sections))
        return news.sections

    def _topics(self) -> dict[str, Topic]:
        found: dict[str, Topic] = {}
        for case in self.cases.values():
            known = found.get(case.topic, Topic(case.since))
            told = max(filter(None, (known.told_at, case.told_at)), default=None)
            found[case.topic] = Topic(min(known.began, case.since), told)
        return found


def failed(name: str = "mail", at: datetime = NOON, message: str = OUTAGE, hint: str = "") -> Event:
    return Event(kind=EventKind.ISSUANCE_FAILED, managed_id=name, at=at, message=message, hint=hint)


def happened(kind: EventKind, name: str = "mail", at: datetime = NOON, message: str = "It happened.") -> Event:
    return Event(kind=kind, managed_id=name, at=at, message=message)


def ending_in(days: float, lifetime: float = 90) -> Subject:
    return Subject("mail", NOON + timedelta(days=days - lifetime), NOON + timedelta(days=days))


def test_ten_thousand_failures_of_one_cause_are_one_section_of_one_message_and_cheap() -> None:
    desk = Desk(EAGER)
    begun = process_time()
    desk.hear(*(failed(f"host{n}.contoso.test", NOON + n * timedelta(seconds=1)) for n in range(10_000)))
    (section,) = desk.tell(NOON + DAY)
    assert process_time() - begun < 30  # a day's work of a small machine is not spent on messages
    assert (section.certificates, section.occurrences, len(section.names)) == (10_000, 10_000, 5)
    assert section.since == NOON
    assert desk.tell(NOON + DAY + MINUTE) == ()


@pytest.mark.parametrize("over", [EventKind.DEPLOYED, EventKind.TASKS_DONE])
@pytest.mark.parametrize("kind", [EventKind.GIVEN_UP, EventKind.IN_USE_ENDING])
def test_what_keeps_an_earlier_version_in_use_is_told_until_that_is_over(kind: EventKind, over: EventKind) -> None:
    fresh = Subject("mail", NOON - DAY, NOON + 89 * DAY, in_use_until=NOON + 10 * DAY)
    desk = Desk(Rule(name="usual"), fresh)
    desk.hear(happened(kind))
    (section,) = desk.tell(NOON)
    assert section.until == NOON + 10 * DAY
    desk.hear(happened(EventKind.CERTIFICATE_ISSUED, at=NOON + HOUR))
    assert desk.tell(NOON + HOUR) == ()
    desk.hear(happened(over, at=NOON + 2 * HOUR))
    assert [section.is_over for section in desk.tell(NOON + 2 * HOUR)] == [True]


def test_failures_that_trickle_in_are_few_messages() -> None:
    desk = Desk(EAGER)
    for n in range(200):
        now = NOON + n * 5 * MINUTE
        desk.hear(failed(f"host{n}", now))
        desk.tell(now)
    desk.tell(NOON + 3 * DAY)
    assert len(desk.messages) <= 8
    assert sum(section.certificates for _, sections in desk.messages for section in sections) == 200


def test_failures_are_told_of_when_the_threshold_is_reached() -> None:
    desk = Desk(Rule(name="r", failures=3))
    desk.hear(failed(), failed(at=NOON + HOUR))
    assert desk.tell(NOON + HOUR) == ()
    desk.hear(failed(at=NOON + 2 * HOUR))
    (section,) = desk.tell(NOON + 2 * HOUR)
    assert (section.occurrences, section.since, section.message) == (3, NOON, OUTAGE)


def test_near_the_expiry_the_first_failure_is_told_of() -> None:
    desk = Desk(Rule(name="r", failures=3), ending_in(10))
    desk.hear(failed())
    (section,) = desk.tell(NOON)
    assert section.until == NOON + timedelta(days=10)
    assert not section.urgent


def test_near_is_less_for_certificates_that_live_for_days() -> None:
    desk = Desk(Rule(name="r", failures=3), ending_in(3, lifetime=6))
    desk.hear(failed())
    assert desk.tell(NOON) == ()


def test_who_recovers_after_being_told_of_is_told_of_again() -> None:
    desk = Desk(EAGER)
    desk.hear(failed())
    desk.tell(NOON)
    desk.hear(happened(EventKind.CERTIFICATE_ISSUED, at=NOON + HOUR))
    (section,) = desk.tell(NOON + HOUR)
    assert section.is_over
    assert desk.tell(NOON + 2 * DAY) == ()


def test_who_recovers_before_the_threshold_is_no_news() -> None:
    desk = Desk(Rule(name="r", failures=3))
    desk.hear(failed(), happened(EventKind.CERTIFICATE_ISSUED, at=NOON + HOUR))
    assert desk.cases == {}


def test_a_task_that_runs_again_ends_the_failed_deployment_and_nothing_else() -> None:
    desk = Desk(EAGER)
    desk.hear(happened(EventKind.DEPLOYMENT_FAILED), happened(EventKind.DRIFT))
    desk.tell(NOON)
    desk.hear(happened(EventKind.TASKS_DONE, at=NOON + HOUR))
    assert {case.matter for case in desk.cases.values() if case.over_at} == {Matter.DEPLOYMENT}


def test_what_was_the_matter_and_is_over_before_it_was_told_is_one_line() -> None:
    desk = Desk(EAGER)
    desk.hear(happened(EventKind.ROLLED_BACK), happened(EventKind.DEPLOYED, at=NOON + MINUTE))
    (section,) = desk.tell(NOON + HOUR)
    assert (section.matter, section.is_over) == (Matter.ROLLED_BACK, True)


def test_what_goes_on_is_told_of_again_after_a_day() -> None:
    desk = Desk(EAGER)
    told = []
    for hour in range(72):
        now = NOON + hour * HOUR
        desk.hear(failed(at=now))
        if desk.tell(now):
            told.append(hour)
    assert told == [0, 24, 48]


def test_what_becomes_urgent_does_not_wait_for_that_day() -> None:
    desk = Desk(EAGER, ending_in(3.1))
    desk.hear(failed())
    assert [s.urgent for s in desk.tell(NOON)] == [False]
    desk.hear(failed(at=NOON + 3 * HOUR))
    assert [s.urgent for s in desk.tell(NOON + 3 * HOUR)] == [True]


def test_what_opens_and_closes_all_the_time_is_no_storm() -> None:
    desk = Desk(EAGER)
    for hour in range(0, 240, 2):
        desk.hear(happened(EventKind.DRIFT, at=NOON + hour * HOUR))
        desk.tell(NOON + hour * HOUR)
        desk.hear(happened(EventKind.DRIFT_OVER, at=NOON + (hour + 1) * HOUR))
        desk.tell(NOON + (hour + 1) * HOUR)
    assert len(desk.messages) <= 10 * 8 + 2


def test_different_causes_are_told_apart_and_the_most_urgent_comes_first() -> None:
    desk = Desk(EAGER)
    desk.hear(failed("a"), failed("b", message="The authority refused: rate limited."))
    desk.hear(happened(EventKind.NEEDS_PERSON, "c"), happened(EventKind.EXPIRING, "d"))
    sections = desk.tell(NOON)
    assert [s.matter for s in sections] == [Matter.NEEDS_PERSON, Matter.ISSUANCE, Matter.ISSUANCE]


def test_quiet_hours_hold_what_can_wait_and_nothing_else() -> None:
    desk = Desk(EAGER.model_copy(update={"quiet": QuietHours.parse("22:00-07:00"), "zone": "Europe/Berlin"}))
    night = datetime(2026, 11, 4, 23, tzinfo=UTC)
    desk.hear(failed(at=night), happened(EventKind.NEEDS_PERSON, "edge", night))
    assert [s.matter for s in desk.tell(night)] == [Matter.NEEDS_PERSON]
    assert desk.tell(datetime(2026, 11, 5, 5, 59, tzinfo=UTC)) == ()
    assert [s.matter for s in desk.tell(datetime(2026, 11, 5, 6, tzinfo=UTC))] == [Matter.ISSUANCE]


def test_a_daily_run_in_the_quiet_hours_tells_a_day_later_at_the_latest() -> None:
    desk = Desk(EAGER.model_copy(update={"quiet": QuietHours.parse("22:00-07:00")}))
    night = datetime(2026, 11, 5, 3, tzinfo=UTC)
    desk.hear(failed(at=night))
    assert desk.tell(night) == ()
    assert len(desk.tell(night + DAY)) == 1


def test_a_digest_tells_together_what_is_not_urgent() -> None:
    desk = Desk(EAGER.model_copy(update={"digest": Digest.DAILY}))
    desk.hear(failed("a"), failed("b", NOON + HOUR, "Another cause."), happened(EventKind.NEEDS_PERSON, "c"))
    assert [s.matter for s in desk.tell(NOON + HOUR)] == [Matter.NEEDS_PERSON]
    assert desk.tell(NOON + 19 * HOUR) == ()
    assert len(desk.tell(NOON + 20 * HOUR)) == 2


@pytest.mark.parametrize("kind", [*OPENS, *CLOSES])
def test_every_kind_that_touches_a_matter_is_a_kind_of_the_same_rule(kind: EventKind) -> None:
    assert set(touched(happened(kind))) <= set(EAGER.matters)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("No answer from 'mail.contoso.com': timed out.", "No answer from 'a b': timed out."),
        ("mail.contoso.com: the A record is wrong.", "www.fabrikam.example: the A record is wrong."),
        ("10.0.0.1:443 does not serve it.", "[2001:db8::2]:8443 does not serve it."),
        ("GET https://ca.test/order/1 answered 500.", "GET https://ca.test/order/27 answered 503."),
        ("3 of 7 ports do not serve 0123456789abcdef.", "4 of 9 ports do not serve deadbeefdeadbeef."),
    ],
)
def test_a_cause_is_the_sentence_without_what_is_one_certificates_own(one: str, other: str) -> None:
    assert cause_of(one) == cause_of(other)


def test_other_words_are_another_cause() -> None:
    assert cause_of("The authority does not answer.") != cause_of("The authority refused.")


def test_what_went_well_is_counted_and_due_once_a_week() -> None:
    desk = Desk(Rule(name="r", matters=(Matter.SUMMARY,)))
    desk.hear(failed(), happened(EventKind.CERTIFICATE_ISSUED), happened(EventKind.DEPLOYED))
    assert desk.cases == {}
    assert desk.pace.tally is not None
    assert desk.pace.tally.counts == {"certificate-issued": 1, "deployed": 1}
    assert [summary_due(desk.rule, desk.pace, NOON + days * DAY) for days in (0, 4, 5)] == [False, False, True]


def test_where_the_audit_trail_stands_is_sent_at_once_and_then_with_each_digest() -> None:
    daily = Rule(name="r", matters=(Matter.AUDIT,), digest=Digest.DAILY)
    sent = Pace(head_at=NOON)
    assert head_due(daily, Pace(), NOON)
    assert not head_due(Rule(name="r"), Pace(), NOON)
    assert [head_due(daily, sent, NOON + hours * HOUR) for hours in (0, 19, 20)] == [False, False, True]
    at_eight = Pace(head_at=NOON + 20 * HOUR)
    assert [head_due(daily, at_eight, NOON + hours * HOUR) for hours in (20, 43, 44)] == [False, False, True]
    weekly = Rule(name="r", matters=(Matter.AUDIT,))
    assert [head_due(weekly, sent, NOON + days * DAY) for days in (0, 4, 5)] == [False, False, True]


def test_what_happened_to_something_that_was_removed_is_passed_over() -> None:
    pace, changed = fold(EAGER, Pace(after=6), {}, [(7, failed())], {})
    assert (pace, changed) == (Pace(after=7), {})


def test_matters_that_a_rule_does_not_name_are_not_its_own() -> None:
    desk = Desk(Rule(name="r", matters=(Matter.DRIFT,)))
    desk.hear(failed(), happened(EventKind.CERTIFICATE_ISSUED))
    assert (desk.cases, desk.pace.tally) == ({}, None)


@given(st.integers(1, 10_000), st.timedeltas(timedelta(), timedelta(days=5)), st.booleans(), st.integers(0, 10**6))
def test_a_message_is_tried_again_later_but_never_much_later_and_not_for_ever(
    attempts: int, age: timedelta, retryable: bool, asked: int
) -> None:
    error = CertwrightError("x", retryable=retryable, retry_after=timedelta(seconds=asked))
    again = next_attempt(attempts, NOON - age, error, NOON)
    if age >= timedelta(days=3):
        assert again is None
    else:
        assert again is not None
        assert (MINUTE if retryable else HOUR) <= again - NOON <= 6 * HOUR


def test_what_a_request_waits_for_is_over_with_the_certificate_and_what_a_deployment_waits_for_is_not() -> None:
    desk = Desk(Rule(name="r", failures=3))
    desk.hear(happened(EventKind.ISSUANCE_WAITS, "dns"), happened(EventKind.NEEDS_PERSON, "edge", message="Halfway."))
    told = desk.tell(NOON)
    assert {s.matter for s in told} == {Matter.NEEDS_PERSON}
    desk.hear(
        happened(EventKind.DEPLOYED, "dns", NOON + HOUR), happened(EventKind.CERTIFICATE_ISSUED, "edge", NOON + HOUR)
    )
    assert desk.tell(NOON + HOUR) == ()
    desk.hear(
        happened(EventKind.CERTIFICATE_ISSUED, "dns", NOON + HOUR), happened(EventKind.DEPLOYED, "edge", NOON + HOUR)
    )
    over = desk.tell(NOON + HOUR)
    assert sorted(name for s in over for name in s.names if s.is_over) == ["dns", "edge"]


KINDS = st.sampled_from([*OPENS, EventKind.CERTIFICATE_ISSUED, EventKind.DEPLOYED, EventKind.DRIFT_OVER])
MESSAGES = st.sampled_from([OUTAGE, "The port 443 is closed.", "Quota.", "mail.contoso.test is wrong."])
QUIET = QuietHours.parse("20:00-08:00")
RULES = st.builds(
    Rule,
    name=st.just("r"),
    failures=st.integers(1, 4),
    quiet=st.sampled_from([None, QUIET]),
    digest=st.sampled_from([Digest.NONE, Digest.DAILY]),
    zone=st.sampled_from(["UTC", "America/St_Johns"]),
)


@st.composite
def histories(draw: st.DrawFn) -> Sequence[Event]:
    """Events of a few certificates over some days."""
    steps = draw(st.lists(st.tuples(st.integers(0, 600), KINDS, st.integers(0, 4), MESSAGES), min_size=1, max_size=60))
    now, events = NOON, []
    for minutes, kind, who, message in steps:
        now += minutes * MINUTE
        events.append(happened(kind, f"c{who}", now, message))
    return events


def ticks(events: Sequence[Event], after: timedelta) -> Iterator[tuple[datetime, list[Event]]]:
    """Half-hours, each with what happened in it."""
    now, rest = events[0].at, list(events)
    while now <= events[-1].at + after:
        arrived = [event for event in rest if event.at <= now]
        rest = rest[len(arrived) :]
        yield now, arrived
        now += 30 * MINUTE


@given(RULES, histories())
def test_no_event_is_lost(rule: Rule, events: Sequence[Event]) -> None:
    """Each run of problems that is worth telling is told, with all that belongs to it, whether it ended or not."""
    desk = Desk(rule, ending_in(60))
    for now, arrived in ticks(events, 4 * DAY):
        desk.hear(*arrived)
        desk.tell(now)
    for case in desk.cases.values():
        worth = case.told or case.matter not in {Matter.ISSUANCE, Matter.DEPLOYMENT, Matter.EXPIRING, Matter.SERVICE}
        worth = worth or (case.matter is not Matter.EXPIRING and case.count >= rule.failures)
        assert case.told == (case.count if worth else 0)
        assert case.news_at is None


@given(RULES, histories())
def test_there_is_no_storm(rule: Rule, events: Sequence[Event]) -> None:
    desk = Desk(rule)
    for now, arrived in ticks(events, DAY):
        desk.hear(*arrived)
        desk.tell(now)
    moments = [moment for moment, _ in desk.messages]
    assert all(later - earlier >= 15 * MINUTE for earlier, later in pairwise(moments))
    told = [
        (s.matter, s.is_over, name, moment) for moment, sections in desk.messages for s in sections for name in s.names
    ]
    for matter, is_over, name, moment in told:
        same = [m for a, over, n, m in told if (a, over, n) == (matter, is_over, name) and moment <= m < moment + DAY]
        assert len(same) <= 24


@given(RULES, histories())
def test_quiet_hours_keep_only_what_is_not_urgent(rule: Rule, events: Sequence[Event]) -> None:
    desk = Desk(rule, ending_in(60))
    for now, arrived in ticks(events, DAY):
        new = {
            e.managed_id
            for e in arrived
            if e.kind is EventKind.NEEDS_PERSON and (Matter.NEEDS_PERSON, e.managed_id) not in desk.cases
        }
        fresh = not desk.messages or now - desk.messages[-1][0] >= HOUR
        desk.hear(*arrived)
        still = [
            c for c in desk.cases.values() if c.managed_id in new and c.matter is Matter.NEEDS_PERSON and not c.over_at
        ]
        sections = desk.tell(now)
        if still and fresh:
            assert any(s.urgent for s in sections)
        if rule.quiet_until(now):
            late = [c for c in desk.cases.values() if c.told_at == now and not c.told_urgent]
            assert all(now - (c.over_at or c.since) >= 18 * HOUR for c in late)
