from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certwright.domain.certificates import CertificateFacts
from certwright.domain.identifiers import parse_all
from certwright.domain.managed import CertificateVersion, ManagedCertificate, RenewalPolicy
from certwright.domain.renewal import CHECKS, Decision, Reason, RenewalInput, decide, due_at
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
        (given_at(START + timedelta(days=300)), True, Reason.LIFETIME_SHARE),
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
        START + timedelta(days=300),
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
    assert "it expired on 2027-01-30 00:00 UTC" in decide(given_at(START + timedelta(days=91))).message
    assert "it expires on 2027-01-30 00:00 UTC" in decide(given_at(START + timedelta(days=89))).message
