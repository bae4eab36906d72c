"""Which clock is believed where what is old is removed for good."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certwright.domain.clocks import SKEW
from certwright.domain.sighting import LEAP, STANDS, Sighting

NOW = datetime(2026, 12, 1, tzinfo=UTC)
DAY, HOUR, YEAR = timedelta(days=1), timedelta(hours=1), timedelta(days=365)
FIRST = Sighting(at=NOW, believed=NOW)


def walked(sighting: Sighting, begin: datetime, step: timedelta, span: timedelta) -> Sighting:
    """After looks every `step`, the first at `begin`."""
    for number in range(span // step + 1):
        sighting = sighting.seen(begin + number * step)
    return sighting


@given(st.lists(st.timedeltas(-SKEW, LEAP), max_size=30))
def test_a_clock_that_goes_on_is_believed_also_where_nodes_differ(steps: list[timedelta]) -> None:
    sighting, now = FIRST, NOW
    for step in steps:
        now = max(now + step, sighting.believed - SKEW)
        sighting = sighting.seen(now)
        assert not sighting.doubts(now)


@pytest.mark.parametrize("step", [timedelta(minutes=10), HOUR, DAY])
def test_a_clock_that_has_leapt_is_doubted_until_it_has_gone_on_for_a_week(step: timedelta) -> None:
    leapt = NOW + 3 * YEAR
    before = walked(FIRST, leapt, step, STANDS - step)
    assert before.doubts(leapt + STANDS - step)
    after = before.seen(leapt + STANDS)
    assert not after.doubts(leapt + STANDS)


def test_time_in_which_nobody_looked_counts_for_a_day() -> None:
    leapt = NOW + 3 * YEAR
    seen = FIRST.seen(leapt).seen(leapt + 20 * DAY)
    assert seen.stood == DAY
    assert seen.doubts(leapt + 20 * DAY)


@given(st.timedeltas(LEAP + SKEW, 40 * YEAR), st.integers(0, 6))
def test_when_it_is_right_again_it_is_believed_at_once(ahead: timedelta, days: int) -> None:
    wrong = walked(FIRST, NOW + ahead, DAY, days * DAY)
    assert wrong.doubts(NOW + ahead + days * DAY)
    right = NOW + (days + 1) * DAY
    seen = wrong.seen(right)
    assert not seen.doubts(right)
    assert seen.believed == right


def test_a_clock_that_begins_long_ago_and_is_set_is_not_doubted_then() -> None:
    begun = walked(FIRST, datetime(2000, 1, 1, tzinfo=UTC), HOUR, 2 * DAY)
    assert not begun.doubts(datetime(2000, 1, 3, tzinfo=UTC))
    assert not begun.seen(NOW + DAY).doubts(NOW + DAY)


def test_two_nodes_of_which_one_is_years_ahead_remove_nothing_by_that_one() -> None:
    sighting, ahead = FIRST, 3 * YEAR
    for minutes in range(0, 20 * 24 * 60, 30):
        now = NOW + timedelta(minutes=minutes)
        sighting = sighting.seen(now + ahead)
        assert sighting.doubts(now + ahead)
        sighting = sighting.seen(now)
        assert not sighting.doubts(now)


@given(st.timedeltas(-YEAR, YEAR))
def test_what_is_no_news_changes_no_belief(passed: timedelta) -> None:
    if not FIRST.is_news(NOW + passed):
        assert abs(passed) <= SKEW
        assert not FIRST.doubts(NOW + passed)
