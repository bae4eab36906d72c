"""Clocks that are wrong for a while: what they stored neither sleeps for long nor runs in circles."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certwright.domain.certificates import CertificateFacts
from certwright.domain.clocks import ENDS_SOON, LOOKED_AT_LEAST, SKEW, awaited, happened, lately
from certwright.domain.identifiers import parse_all
from certwright.domain.limits import SHUT_AT_MOST, Bucket, Limit, Scope
from certwright.domain.managed import CertificateVersion, ManagedCertificate, RenewalPolicy
from certwright.domain.messages import Tally
from certwright.domain.notices import AFRESH, DAY, GATHERED, HOUR, Case, Pace, Topic, gather, summary_due, tell_from
from certwright.domain.renewal import Decision, RenewalInput, decide
from certwright.domain.renewal_state import Failure, RenewalState
from certwright.domain.retry import Cause, next_attempt
from certwright.domain.rules import Matter, Rule
from unit.domain.workshop import START, leaf

FACTS = CertificateFacts.of(leaf("mail.contoso.com"))
TICK = timedelta(hours=3)
NONE, USUAL = timedelta(), RenewalPolicy()
SPANS = st.timedeltas(timedelta(seconds=1), timedelta(days=8))
MOMENTS = st.datetimes(datetime(2025, 1, 1), datetime(2029, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - zone given
OFFSETS = st.timedeltas(timedelta(days=-400), timedelta(days=400)) | st.sampled_from(
    [NONE, timedelta(minutes=5), timedelta(hours=13), timedelta(hours=-1), timedelta(days=3)]
)


@given(MOMENTS, MOMENTS, SPANS)
def test_what_was_lately_is_not_for_longer_than_its_span(at: datetime, now: datetime, span: timedelta) -> None:
    assert not lately(at, now + span + SKEW, span) or at > now
    assert lately(at, now, span) is (now - span < at <= now + SKEW)
    if lately(at, now, span):
        assert not lately(at, now + span + SKEW, span)


@given(MOMENTS, MOMENTS, SPANS)
def test_what_is_awaited_comes_within_what_it_can_mean(until: datetime, now: datetime, longest: timedelta) -> None:
    assert awaited(until, now, longest) is (now < until <= now + longest + SKEW)
    if awaited(until, now, longest):
        assert not awaited(until, now + longest + SKEW, longest)


@dataclass
class House:
    """One certificate; an authority whose clock is right; and our own, which is `ahead` of it."""

    lifetime: timedelta
    policy: RenewalPolicy = USUAL
    true: datetime = START
    ahead: timedelta = NONE
    is_reached: bool = True
    version: CertificateVersion | None = None
    facts: CertificateFacts | None = None
    state: RenewalState = field(default_factory=RenewalState)
    planned: datetime = START
    seen: datetime = START
    issued: list[datetime] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.managed = ManagedCertificate(
            title="Mail", identifiers=parse_all(["mail.contoso.com"]), issuer="le", renewal=self.policy
        )

    @property
    def now(self) -> datetime:
        return self.true + self.ahead

    @property
    def step(self) -> timedelta:
        return min(TICK, self.lifetime / 12)

    @property
    def is_valid(self) -> bool:
        return self.facts is not None and self.facts.not_after > self.true

    def decide(self) -> Decision:
        return decide(RenewalInput(self.managed, self.version, self.facts, self.now, self.state))

    def tick(self) -> None:
        if not happened(self.seen, self.now) and self.facts and self.facts.not_after < self.now + ENDS_SOON:
            self.planned = self.now
        self.seen = self.now
        if awaited(self.planned, self.now, LOOKED_AT_LEAST):
            return
        if self.decide().due:
            self.renew()
        again = self.decide()
        self.planned = min(self.now if again.due else again.next_check, self.now + LOOKED_AT_LEAST)

    def renew(self) -> None:
        if self.is_reached:
            self.facts = replace(FACTS, not_before=self.true, not_after=self.true + self.lifetime)
            self.version = CertificateVersion(
                managed_id=self.managed.id,
                issuer="le",
                chain_pem="",
                fingerprint=self.managed.fingerprint,
                issued_at=self.now,
            )
            self.state = RenewalState()
            self.issued.append(self.true)
            return
        ends, before = self.facts.not_after if self.facts else None, self.state.failure
        count = before.count + 1 if before else 1
        again = next_attempt(Cause.UNREACHABLE, count, self.now, expires=ends, wait=None, draw=0.5)
        failed = {"count": count, "since": self.now, "at": self.now, "retry_at": again, "message": "No.", "revision": 0}
        self.state = RenewalState(failure=Failure(cause=Cause.UNREACHABLE, **failed))

    def live(self, span: timedelta) -> None:
        end = self.true + span
        while self.true < end:
            self.tick()
            self.true += self.step


PIECES = st.tuples(st.timedeltas(NONE, timedelta(days=5)), OFFSETS, st.booleans())
LIVES = st.sampled_from(
    [timedelta(hours=6), timedelta(hours=160), timedelta(days=45), timedelta(days=64), timedelta(days=90)]
)
POLICIES = st.just(RenewalPolicy()) | st.builds(RenewalPolicy, days_before=st.integers(1, 400))


@given(LIVES, POLICIES, st.lists(PIECES, max_size=5))
def test_a_clock_that_was_wrong_neither_stops_renewals_nor_has_them_run_in_circles(
    lifetime: timedelta, policy: RenewalPolicy, pieces: list[tuple[timedelta, timedelta, bool]]
) -> None:
    house = House(lifetime, policy)
    house.live(house.step)
    for span, ahead, is_reached in pieces:
        house.ahead, house.is_reached = ahead, is_reached
        house.live(span + house.step)
    least = min(DAY, lifetime / 20)
    jumps = len(pieces) + 1
    assert len(house.issued) <= 2 * jumps + (house.true - START) / least
    house.ahead, house.is_reached = NONE, True
    right = house.true
    house.live(min(LOOKED_AT_LEAST, lifetime / 3) + SKEW + house.step)
    while house.true < right + 1.5 * lifetime:
        assert house.is_valid
        house.live(house.step)


@pytest.mark.parametrize("days", [64, 70, 89, 400])
def test_more_days_before_the_end_than_a_life_has_are_no_loop(days: int) -> None:
    house = House(timedelta(days=64), RenewalPolicy(days_before=days))
    house.live(timedelta(days=60))
    assert len(house.issued) == 2
    assert f"It cannot be renewed {days} days before its end: it lives 64 days" in house.decide().message


LIMITS = st.builds(
    Limit, st.just(Scope.ORDERS), st.integers(1, 300), st.timedeltas(timedelta(minutes=1), timedelta(days=7))
)


@given(LIMITS, MOMENTS, MOMENTS)
def test_a_bucket_that_a_wrong_clock_wrote_is_at_most_empty(limit: Limit, full_at: datetime, now: datetime) -> None:
    bucket = Bucket(full_at)
    assert bucket.ready(limit, now) <= now + limit.refill
    assert 0 <= bucket.left(limit, now) <= limit.most
    assert bucket.take(limit, now).full_at <= now + limit.span
    later = now + SKEW + limit.refill
    assert bucket.ready(limit, later) == later or bucket.full_at <= later + limit.span + SKEW


@given(LIMITS, OFFSETS, st.integers(1, 400))
def test_the_ledger_opens_when_the_clock_is_right_again(limit: Limit, ahead: timedelta, orders: int) -> None:
    """By the next order at once; without one, it waits no refill longer (above) until time has caught up."""
    bucket = Bucket(START)
    for _ in range(orders):
        bucket = bucket.take(limit, START + ahead)
    written_anew, caught_up = START + limit.span, START + limit.span + max(ahead, NONE)
    assert bucket.take(limit, START).ready(limit, written_anew) == written_anew
    assert bucket.ready(limit, caught_up) == caught_up


@given(OFFSETS, st.timedeltas(NONE, SHUT_AT_MOST))
def test_a_bucket_is_shut_for_no_longer_than_an_authority_can_mean(ahead: timedelta, wait: timedelta) -> None:
    bucket = Bucket(START).shut(START + ahead + wait, START + ahead)
    if bucket.is_shut(START):
        assert not bucket.is_shut(START + SHUT_AT_MOST + SKEW)
    else:
        limit = Limit(Scope.ORDERS, 5, timedelta(minutes=5))
        assert bucket.take(limit, START).shut_until is None
    anew = bucket.shut(START + wait, START)
    assert anew.is_shut(START) is (wait > NONE or bucket.is_shut(START))


def case(**told: object) -> Case:
    values = {"matter": Matter.ISSUANCE, "managed_id": "mail", "topic": "x", "title": "Mail", "message": "No."}
    return Case.model_validate({**values, "since": START, **told})


OPTIONAL = st.none() | MOMENTS


@given(OPTIONAL, OPTIONAL, MOMENTS, OPTIONAL, st.booleans())
def test_news_wait_no_longer_than_their_pauses_whatever_clock_told_before(
    paced: datetime | None, topic: datetime | None, began: datetime, news: datetime | None, urgent: bool
) -> None:
    now, told = START, case(news_at=news, urgent=urgent)
    moment = tell_from(Rule(name="all"), Pace(told_at=paced), told, Topic(began, topic), now)
    pause = HOUR if urgent else DAY
    from_news = max(news, now) if news and news <= now + DAY + SKEW else now
    assert moment <= max(from_news, now + SKEW + max(pause, GATHERED))
    held = gather(Rule(name="all"), Pace(told_at=paced), [(told, Topic(began, topic))], now).held
    assert all(until <= now + DAY for _, until in held)
    assert AFRESH < DAY


@given(MOMENTS)
def test_a_summary_that_a_wrong_clock_began_is_told(since: datetime) -> None:
    rule = Rule(name="all", matters=(Matter.SUMMARY,))
    pace = Pace(tally=Tally(since=since))
    assert summary_due(rule, pace, START) or since > START - 8 * DAY
    if since > START + SKEW:
        assert summary_due(rule, pace, START)
