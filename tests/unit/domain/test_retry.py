"""When it is tried again after a failure."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certwright.domain.errors import (
    AuthorityFailed,
    CertwrightError,
    ConfigurationError,
    DeploymentError,
    IssuanceError,
    LeaseHeld,
    NeedsPerson,
    NotProved,
    SolverError,
    StoreError,
    Unreachable,
)
from certwright.domain.retry import JITTER, Cause, cause_of, heeded, next_attempt

NOW = datetime(2026, 11, 29, 3, 0, tzinfo=UTC)
CAUSES = st.sampled_from(Cause)
COUNTS = st.integers(1, 50)
DRAWS = st.floats(0, 1, exclude_max=True)
WAITS = st.none() | st.timedeltas(timedelta(0), timedelta(days=30))
ENDS = st.none() | st.datetimes(datetime(2026, 1, 1), datetime(2028, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - zone given


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (Unreachable("x"), Cause.UNREACHABLE),
        (LeaseHeld("x"), Cause.UNREACHABLE),
        (NotProved("x", ()), Cause.PROOF),
        (SolverError("x"), Cause.PROOF),
        (SolverError("x", retryable=True), Cause.UNREACHABLE),
        (Unreachable("x", retryable=False), Cause.REFUSED),
        (IssuanceError("x", retry_after=timedelta(hours=1)), Cause.LIMIT),
        (AuthorityFailed("x", retry_after=timedelta(hours=1)), Cause.UNREACHABLE),
        (IssuanceError("x"), Cause.REFUSED),
        (IssuanceError("x", retryable=True), Cause.UNREACHABLE),
        (ConfigurationError("x"), Cause.SETTINGS),
        (NeedsPerson("x"), Cause.PERSON),
        (DeploymentError("x"), Cause.DEPLOYMENT),
        (StoreError("x"), Cause.STORE),
        (CertwrightError("x"), Cause.UNEXPECTED),
        (KeyError("x"), Cause.UNEXPECTED),
    ],
)
def test_each_error_has_a_cause(error: Exception, cause: Cause) -> None:
    assert cause_of(error) is cause


def test_the_first_pause_is_short_and_the_last_a_day() -> None:
    pauses = [
        next_attempt(Cause.UNREACHABLE, count, NOW, expires=None, wait=None, draw=0.5) - NOW for count in range(1, 9)
    ]
    assert pauses == sorted(pauses)
    assert pauses[0] == timedelta(minutes=1)
    assert pauses[-1] == timedelta(hours=6)


@given(CAUSES, COUNTS, ENDS, WAITS, DRAWS)
def test_a_pause_is_never_shorter_than_asked_nor_longer_than_a_day_and_its_jitter(
    cause: Cause, count: int, expires: datetime | None, wait: timedelta | None, draw: float
) -> None:
    pause = next_attempt(cause, count, NOW, expires=expires, wait=wait, draw=draw) - NOW
    rest = expires - NOW if expires else None
    assert pause >= max(heeded(cause, wait or timedelta(0), rest), timedelta(minutes=1))
    assert pause <= max(wait or timedelta(0), timedelta(days=1) * (1 + JITTER))


@given(CAUSES, DRAWS, st.lists(st.timedeltas(timedelta(0), timedelta(days=30)), min_size=200, max_size=200))
def test_whatever_a_peer_asks_for_it_is_asked_again_near_the_end_and_a_limits_word_is_kept_till_then(
    cause: Cause, draw: float, waits: list[timedelta]
) -> None:
    ends, now, tries = NOW + timedelta(days=15), NOW, []
    for count, wait in enumerate(waits, 1):
        if now >= ends - timedelta(hours=12):
            break
        tries.append(now)
        now = next_attempt(cause, count, now, expires=ends, wait=wait, draw=draw)
    assert now < ends
    if len(tries) > 1 and cause is Cause.LIMIT:
        assert tries[1] - NOW >= min(waits[0], timedelta(days=7))


@given(CAUSES, COUNTS, DRAWS, st.timedeltas(timedelta(minutes=1), timedelta(days=30)))
def test_the_less_is_left_the_more_often_it_is_tried(cause: Cause, count: int, draw: float, left: timedelta) -> None:
    pause = next_attempt(cause, count, NOW, expires=NOW + left, wait=None, draw=draw) - NOW
    free = next_attempt(cause, count, NOW, expires=None, wait=None, draw=draw) - NOW
    assert pause <= free or pause <= timedelta(hours=6)
    assert pause <= max(left / 20 + timedelta(seconds=1), timedelta(hours=6))
