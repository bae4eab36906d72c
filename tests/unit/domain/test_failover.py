from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certwright.domain.errors import (
    AuthorityAway,
    AuthorityFailed,
    CertwrightError,
    ConfigurationError,
    IssuanceError,
    LimitReached,
    NotProved,
    OrderDead,
    Rejection,
    SolverError,
    Unfinished,
    Unreachable,
)
from certwright.domain.failover import gathered, is_its_own_fault, judged

HOUR = timedelta(hours=1)
NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)


def not_proved(*problems: str) -> NotProved:
    return NotProved("Not proved.", [Rejection("mail.contoso.com", "http-01", p, "words") for p in problems])


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (AuthorityAway("It is away."), True),
        (AuthorityFailed("500."), True),
        (LimitReached("For a day.", retry_after=24 * HOUR), True),
        (LimitReached("Nobody knows how long."), True),
        (LimitReached("Soon over.", retry_after=HOUR), False),
        (not_proved("serverInternal"), True),
        (not_proved("serverInternal", "dns"), False),
        (not_proved("caa"), False),
        (not_proved(), False),
        (OrderDead("The order is forgotten."), False),
        (IssuanceError("Rejected."), False),
        (Unreachable("The DNS provider is away."), False),
        (SolverError("Port 80 is taken."), False),
        (ConfigurationError("No such profile."), False),
    ],
)
def test_another_authority_helps_against_faults_of_the_authoritys_own_alone(
    error: CertwrightError, expected: bool
) -> None:
    assert is_its_own_fault(error) is expected


@given(st.timedeltas(timedelta(0), timedelta(days=60)))
def test_an_order_that_an_authority_keeps_for_hours_is_a_fault_of_its_own(kept: timedelta) -> None:
    error = judged(Unfinished("It did not issue in time.", hint="Wait."), NOW - kept, NOW)
    assert is_its_own_fault(error) is (kept >= 2 * HOUR)
    assert (error.retryable, error.hint) == (True, "Wait.")


def test_a_single_failure_stays_as_it_is() -> None:
    error = LimitReached("For a day.", retry_after=24 * HOUR, hint="Wait.")
    assert gathered([("le", error)]) is error
    assert (error.retry_after, error.causes) == (24 * HOUR, ())


@pytest.mark.parametrize(
    ("second", "wait"),
    [
        (LimitReached("Two hours.", retry_after=2 * HOUR), 2 * HOUR),
        (AuthorityAway("Away."), None),
        (not_proved("caa"), 24 * HOUR),
        (ConfigurationError("No wildcards."), 24 * HOUR),
    ],
)
def test_the_first_failure_tells_of_the_others_and_waits_for_whoever_recovers_first(
    second: CertwrightError, wait: timedelta | None
) -> None:
    first = LimitReached("For a day.", retry_after=24 * HOUR)
    told = gathered([("le", first), ("zerossl", second)])
    assert told is first
    assert told.retry_after == wait
    assert f"  zerossl, asked instead: {second.message}" in list(told.explain())
