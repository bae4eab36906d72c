from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from certwright.domain.advice import draw
from certwright.domain.certificates import CertificateFacts
from certwright.domain.identifiers import parse_all
from certwright.domain.managed import CertificateVersion, ManagedCertificate, RenewalPolicy
from certwright.domain.renewal import CHECKS, Decision, Reason, RenewalInput, decide
from certwright.domain.renewal_moments import BEATS_ADVICE, LAST_RESORT, due_at
from certwright.domain.renewal_state import Advice, Failure, Hold, RenewalState, Wish
from certwright.domain.retry import Cause, next_attempt
from unit.domain.workshop import START, leaf

FACTS = CertificateFacts.of(leaf("mail.contoso.com"))
MANAGED = ManagedCertificate(title="Mail", identifiers=parse_all(["mail.contoso.com"]), issuer="le")
VERSION = CertificateVersion(
    managed_id=MANAGED.id, issuer="le", chain_pem="", fingerprint=MANAGED.fingerprint, issued_at=START
)

LIFETIMES = st.timedeltas(timedelta(seconds=1), timedelta(days=400)) | st.sampled_from(
    [timedelta(hours=160), timedelta(days=10), timedelta(days=10, seconds=-1), timedelta(days=47), timedelta(days=90)]
)
SHARES = st.floats(0, 1, exclude_min=True, exclude_max=True)
MOMENTS = st.datetimes(datetime(2025, 1, 1), datetime(2029, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - zone given


def facts(lifetime: timedelta) -> CertificateFacts:
    return replace(FACTS, not_before=START, not_after=START + lifetime)


def given_at(
    now: datetime,
    *,
    lifetime: timedelta = timedelta(days=90),
    share: float = 2 / 3,
    version: CertificateVersion | None = VERSION,
    managed: ManagedCertificate = MANAGED,
) -> RenewalInput:
    wanted = managed.model_copy(update={"renewal": RenewalPolicy(lifetime_share=share)})
    return RenewalInput(wanted, version, facts(lifetime) if version else None, now)


@pytest.mark.parametrize(
    ("given_input", "due", "reason"),
    [
        (given_at(START, version=None), True, Reason.NEVER_ISSUED),
        (given_at(START), False, Reason.FRESH),
        (given_at(START + timedelta(days=59)), False, Reason.FRESH),
        (given_at(START + timedelta(days=60)), True, Reason.LIFETIME_SHARE),
        (given_at(START + timedelta(days=300)), True, Reason.LAST_RESORT),
        (given_at(START + timedelta(days=86)), True, Reason.NEAR_ITS_END),
        (given_at(START + timedelta(days=85)), True, Reason.LIFETIME_SHARE),
        (given_at(START + timedelta(days=45), share=0.5), True, Reason.LIFETIME_SHARE),
        (given_at(START, version=VERSION.model_copy(update={"revoked_at": START})), True, Reason.REVOKED),
        (given_at(START, managed=MANAGED.model_copy(update={"issuer": "other"})), True, Reason.SETTINGS_CHANGED),
        (given_at(START, managed=MANAGED.model_copy(update={"title": "Other"})), False, Reason.FRESH),
        (given_at(START + timedelta(hours=79), lifetime=timedelta(hours=160)), False, Reason.FRESH),
        (given_at(START + timedelta(hours=80), lifetime=timedelta(hours=160)), True, Reason.LIFETIME_SHARE),
    ],
)
def test_what_is_due_and_why(given_input: RenewalInput, due: bool, reason: Reason) -> None:
    decision = decide(given_input)
    assert (decision.due, decision.reason) == (due, reason)


def test_the_first_check_that_speaks_decides() -> None:
    everything = given_at(
        START + timedelta(days=80),
        version=VERSION.model_copy(update={"revoked_at": START, "fingerprint": "other"}),
    )
    speaking = [answer.reason for check in CHECKS if (answer := check(everything))]
    assert speaking == [Reason.REVOKED, Reason.SETTINGS_CHANGED, Reason.LIFETIME_SHARE, Reason.FRESH]
    assert decide(everything).reason is Reason.REVOKED


def test_a_version_whose_facts_are_lost_is_issued_anew() -> None:
    assert decide(RenewalInput(MANAGED, VERSION, None, START)).reason is Reason.NEVER_ISSUED


@given(LIFETIMES, SHARES)
def test_never_later_than_the_backstop(lifetime: timedelta, share: float) -> None:
    latest = lifetime / 2 if lifetime < timedelta(days=10) else lifetime * 2 / 3
    assert START <= due_at(facts(lifetime), share) <= START + latest + timedelta(microseconds=1)


@given(LIFETIMES)
def test_short_lived_certificates_are_renewed_at_half(lifetime: timedelta) -> None:
    moment = due_at(facts(lifetime), 0.66)
    if lifetime < timedelta(days=10):
        assert moment == START + lifetime / 2
    else:
        assert moment > START + lifetime / 2


@given(LIFETIMES, SHARES, SHARES)
def test_a_smaller_share_is_never_later(lifetime: timedelta, one: float, other: float) -> None:
    assert due_at(facts(lifetime), min(one, other)) <= due_at(facts(lifetime), max(one, other))


@given(LIFETIMES, SHARES, MOMENTS, MOMENTS)
def test_what_is_due_stays_due(lifetime: timedelta, share: float, one: datetime, other: datetime) -> None:
    early, late = sorted((one, other))
    before, after = (decide(given_at(now, lifetime=lifetime, share=share)) for now in (early, late))
    assert after.due or not before.due


@given(LIFETIMES, SHARES, MOMENTS)
def test_next_check_is_the_moment_it_becomes_due(lifetime: timedelta, share: float, now: datetime) -> None:
    decision = decide(given_at(now, lifetime=lifetime, share=share))
    if decision.due:
        assert decision.next_check == now
        return
    flip = decision.next_check
    assert flip > now
    assert decide(given_at(flip, lifetime=lifetime, share=share)).due
    assert not decide(given_at(flip - timedelta(microseconds=1), lifetime=lifetime, share=share)).due


@given(
    LIFETIMES,
    SHARES,
    MOMENTS,
    st.none() | st.builds(lambda at: VERSION.model_copy(update={"revoked_at": at}), st.none() | MOMENTS),
    st.sampled_from([MANAGED, MANAGED.model_copy(update={"profile": "classic"})]),
)
def test_every_decision_is_a_sentence_and_says_when_to_look_again(
    lifetime: timedelta,
    share: float,
    now: datetime,
    version: CertificateVersion | None,
    managed: ManagedCertificate,
) -> None:
    decision: Decision = decide(given_at(now, lifetime=lifetime, share=share, version=version, managed=managed))
    assert decision.message.endswith(".")
    assert decision.message[0].isupper()
    assert decision.next_check >= now
    assert decision.due is (decision.reason is not Reason.FRESH)


def test_dates_are_told_in_utc() -> None:
    there = timezone(timedelta(hours=5))
    version = VERSION.model_copy(update={"revoked_at": datetime(2026, 11, 2, 3, 0, tzinfo=there)})
    assert "2026-11-01 22:00 UTC" in decide(given_at(START, version=version)).message


def test_an_expired_certificate_is_said_to_have_expired() -> None:
    assert "It expired on 2027-01-30 00:00 UTC" in decide(given_at(START + timedelta(days=91))).message
    assert "It expires on 2027-01-30 00:00 UTC" in decide(given_at(START + timedelta(days=89))).message


def advice(start: datetime, end: datetime, moment: datetime, **told: object) -> Advice:
    return Advice.model_validate(
        {
            "start": start,
            "end": end,
            "moment": moment,
            "version_id": VERSION.id,
            **told,
        }
    )


def failure(at: datetime, retry_at: datetime, **told: object) -> Failure:
    values = {
        "cause": Cause.PROOF,
        "count": 2,
        "since": at,
        "at": at,
        "retry_at": retry_at,
        "message": "No.",
        "revision": 0,
    }
    return Failure.model_validate({**values, **told})


def with_state(given_input: RenewalInput, **state: object) -> RenewalInput:
    return replace(given_input, state=RenewalState.model_validate(state))


DAY = timedelta(days=1)
LATER = START + 65 * DAY  # after two thirds of 90 days
ADVISED_LATER = advice(START + 70 * DAY, START + 72 * DAY, START + 71 * DAY)


@pytest.mark.parametrize(
    ("given_input", "due", "reason"),
    [
        (with_state(given_at(LATER), advice=ADVISED_LATER), False, Reason.FRESH),
        (with_state(given_at(START + 71 * DAY), advice=ADVISED_LATER), True, Reason.ADVISED),
        (with_state(given_at(LATER, share=0.5), advice=ADVISED_LATER), True, Reason.LIFETIME_SHARE),
        (with_state(given_at(START + 5 * DAY), advice=advice(START, START + DAY, START)), True, Reason.ADVISED),
        (
            with_state(given_at(LATER), advice=advice(START, START + DAY, START, version_id="an earlier one")),
            True,
            Reason.LIFETIME_SHARE,
        ),
        (
            with_state(given_at(START + 86 * DAY), advice=advice(START + 88 * DAY, START + 89 * DAY, START + 88 * DAY)),
            True,
            Reason.NEAR_ITS_END,
        ),
        (with_state(given_at(LATER), failure=failure(LATER - DAY, LATER + DAY)), False, Reason.BACKING_OFF),
        (with_state(given_at(LATER), failure=failure(LATER - DAY, LATER)), True, Reason.LIFETIME_SHARE),
        (
            with_state(given_at(LATER), failure=failure(LATER - DAY, LATER + DAY, revision=7)),
            True,
            Reason.LIFETIME_SHARE,
        ),
        (
            with_state(given_at(START + 89 * DAY), failure=failure(LATER - DAY, START + 95 * DAY)),
            True,
            Reason.LAST_RESORT,
        ),
        (
            with_state(given_at(START + 89 * DAY), failure=failure(LATER - DAY, START + 95 * DAY, by_peer=True)),
            False,
            Reason.LIMITED,
        ),
        (with_state(given_at(LATER), hold=Hold(reason="a move", since=START)), False, Reason.HELD),
        (
            with_state(given_at(LATER), hold=Hold(reason="a move", since=START, until=LATER)),
            True,
            Reason.LIFETIME_SHARE,
        ),
        (with_state(given_at(START, version=None), hold=Hold(reason="not yet", since=START)), False, Reason.HELD),
    ],
)
def test_what_is_known_beside_the_version_counts(given_input: RenewalInput, due: bool, reason: Reason) -> None:
    decision = decide(given_input)
    assert (decision.due, decision.reason) == (due, reason)
    assert decision.next_check >= given_input.now


def test_what_waits_for_a_person_is_not_said_to_need_nobody() -> None:
    waits = failure(LATER - DAY, LATER + DAY).model_copy(update={"cause": Cause.PERSON})
    told = decide(with_state(given_at(LATER), failure=waits)).message
    assert told.startswith("It waits for a person: ")
    assert f"certwright certificate log {MANAGED.id}" in told
    assert "nothing to change" not in told


WISH = Wish(by="anna", at=LATER, version_id=VERSION.id)
FIRST_WISH = Wish(by="anna", at=LATER)


@pytest.mark.parametrize(
    ("given_input", "reason"),
    [
        (with_state(given_at(LATER), wish=WISH), Reason.ASKED_FOR),
        (with_state(given_at(START, version=None), wish=FIRST_WISH), Reason.ASKED_FOR),
        (with_state(given_at(LATER), wish=WISH, failure=failure(LATER - DAY, LATER + DAY)), Reason.ASKED_FOR),
        (with_state(given_at(LATER), wish=FIRST_WISH), Reason.LIFETIME_SHARE),
        (with_state(given_at(LATER), wish=WISH, hold=Hold(reason="a move", since=START)), Reason.HELD),
        (
            with_state(given_at(LATER), wish=WISH, failure=failure(LATER - DAY, LATER + DAY, by_peer=True)),
            Reason.LIMITED,
        ),
    ],
)
def test_a_wish_counts_until_it_was_tried(given_input: RenewalInput, reason: Reason) -> None:
    assert decide(given_input).reason is reason


@given(MOMENTS, MOMENTS)
def test_a_wish_is_fulfilled_by_another_version_whatever_clocks_say(wished_at: datetime, issued_at: datetime) -> None:
    wished = with_state(given_at(LATER), wish=WISH.model_copy(update={"at": wished_at}))
    issued = CertificateVersion.model_validate({**VERSION.model_dump(exclude={"id"}), "issued_at": issued_at})
    assert decide(replace(wished, current=issued)).reason is not Reason.ASKED_FOR
    assert "anna asked for it" in decide(wished).message


def test_more_days_than_a_moment_can_be_reckoned_with_are_refused() -> None:
    with pytest.raises(ValidationError, match="days_before"):
        RenewalPolicy(days_before=1_000_000_000)


def test_days_before_the_end_are_a_policy_of_ones_own() -> None:
    policy = RenewalPolicy(days_before=40)
    wanted = replace(given_at(START + 50 * DAY), managed=MANAGED.model_copy(update={"renewal": policy}))
    assert decide(wanted).reason is Reason.DAYS_LEFT
    assert not decide(replace(wanted, now=START + 49 * DAY)).due
    longer = MANAGED.model_copy(update={"renewal": RenewalPolicy(days_before=1)})
    assert decide(replace(wanted, managed=longer, now=START + 60 * DAY)).due  # the backstop


def test_the_reason_of_the_authority_is_told() -> None:
    told = advice(START, START + DAY, START, explanation_url="https://ca.example/incident")
    assert "https://ca.example/incident" in decide(with_state(given_at(LATER), advice=told)).message


@given(MOMENTS, st.timedeltas(timedelta(0), timedelta(days=400)), st.floats(0, 1, exclude_max=True))
def test_the_moment_lies_within_the_window(start: datetime, length: timedelta, fraction: float) -> None:
    assert start <= draw(start, start + length, fraction) <= start + length


STATES = st.fixed_dictionaries(
    {
        "advice": st.none() | st.builds(advice, MOMENTS, MOMENTS, MOMENTS),
        "failure": st.none()
        | st.builds(lambda at, pause, peer: failure(at, at + pause, by_peer=peer), MOMENTS, LIFETIMES, st.booleans()),
    }
)


@given(LIFETIMES, SHARES, MOMENTS, STATES)
def test_no_advice_and_no_failure_holds_it_back_for_ever(
    lifetime: timedelta, share: float, now: datetime, state: dict[str, object]
) -> None:
    wanted = with_state(given_at(now, lifetime=lifetime, share=share), **state)
    decision = decide(wanted)
    left = (START + lifetime - now) / lifetime
    waits = state["failure"]
    is_waiting = isinstance(waits, Failure) and waits.retry_at > now
    if left < BEATS_ADVICE and not is_waiting:
        assert decision.due
    if left < LAST_RESORT and isinstance(waits, Failure) and not waits.by_peer and waits.at + DAY < now:
        assert decision.due
    if not decision.due:
        assert decision.next_check > now or decision.reason is Reason.FRESH


@given(LIFETIMES, st.sampled_from(Cause), st.integers(1, 9), st.floats(0, 1, exclude_max=True), st.floats(0.7, 0.999))
def test_no_pause_puts_the_next_look_off_beyond_the_last_resort(
    lifetime: timedelta, cause: Cause, count: int, fraction: float, lived: float
) -> None:
    now = START + lifetime * lived
    ends = START + lifetime
    again = next_attempt(cause, count, now, expires=ends, wait=None, draw=fraction)
    wanted = with_state(given_at(now, lifetime=lifetime), failure=failure(now, again, cause=cause, count=count))
    decision = decide(wanted)
    moment = max(ends - lifetime * LAST_RESORT, now + timedelta(minutes=15))
    assert decision.next_check <= moment
    assert not decision.due
    assert decide(replace(wanted, now=decision.next_check)).due


POLICIES = st.builds(RenewalPolicy, lifetime_share=SHARES) | st.builds(RenewalPolicy, days_before=st.integers(1, 400))


@given(LIFETIMES, POLICIES, MOMENTS, st.floats(0, 1, exclude_max=True), STATES)
def test_nothing_that_is_young_by_our_own_clock_is_renewed_by_the_time(
    lifetime: timedelta, policy: RenewalPolicy, issued_at: datetime, part: float, state: dict[str, object]
) -> None:
    version = VERSION.model_copy(update={"issued_at": issued_at})
    now = issued_at + min(DAY, lifetime / 20) * part
    managed = MANAGED.model_copy(update={"renewal": policy})
    wanted = replace(with_state(given_at(now, lifetime=lifetime, version=version), **state), managed=managed)
    assert not decide(wanted).due or part > 1 - 1e-6


@given(LIFETIMES, SHARES, st.lists(MOMENTS, min_size=3, max_size=3))
def test_whatever_the_authority_answers_nothing_is_renewed_in_circles(
    lifetime: timedelta, share: float, moments: list[datetime]
) -> None:
    """A new version is not due by advice before it is a day, or a twentieth of its life, old."""
    nonsense = advice(*moments)
    age = min(DAY, lifetime / 20) - timedelta(microseconds=1)
    decision = decide(with_state(given_at(START + age, lifetime=lifetime, share=share), advice=nonsense))
    assert decision.reason is not Reason.ADVISED
