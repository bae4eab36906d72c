"""Clocks of rules: quiet hours and digests, also where clocks are changed."""

from datetime import UTC, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certwright.domain.errors import ConfigurationError
from certwright.domain.rules import Digest, QuietHours, Rule

NIGHT = QuietHours.parse("22:00-07:00")
ZONES = st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"])
MOMENTS = st.datetimes(datetime(2025, 1, 1), datetime(2028, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - zone is given
CLOCKS = st.times().map(lambda t: t.replace(second=0, microsecond=0))


def berlin(**settings: object) -> Rule:
    return Rule.model_validate({"name": "r", "quiet": NIGHT, "zone": "Europe/Berlin", **settings})


def test_quiet_hours_are_read_from_the_clock_of_the_zone() -> None:
    assert berlin().quiet_until(datetime(2026, 7, 1, 20, tzinfo=UTC)) == datetime(2026, 7, 2, 5, tzinfo=UTC)
    assert berlin().quiet_until(datetime(2026, 12, 1, 20, tzinfo=UTC)) is None
    assert berlin().quiet_until(datetime(2026, 12, 1, 21, tzinfo=UTC)) == datetime(2026, 12, 2, 6, tzinfo=UTC)


def test_a_weekly_digest_is_on_monday_morning() -> None:
    monday = datetime(2026, 11, 9, 7, tzinfo=UTC)
    assert berlin(digest="weekly").next_digest(datetime(2026, 11, 4, tzinfo=UTC)) == monday
    assert berlin().next_digest(monday) == monday
    assert berlin().next_digest(monday + timedelta(seconds=1)) == monday + timedelta(days=7)


@given(ZONES, CLOCKS, CLOCKS, MOMENTS)
def test_quiet_hours_end_within_a_day_and_an_hour(zone: str, start: time, end: time, now: datetime) -> None:
    if start == end:
        return
    until = Rule(name="r", quiet=QuietHours(start=start, end=end), zone=zone).quiet_until(now)
    assert until is None or timedelta() < until - now <= timedelta(hours=25)


@given(ZONES, CLOCKS, st.sampled_from([Digest.DAILY, Digest.WEEKLY]), MOMENTS)
def test_digests_follow_each_other_at_their_interval(zone: str, at: time, digest: Digest, now: datetime) -> None:
    rule = Rule(name="r", zone=zone, digest=digest, digest_at=at)
    first = rule.next_digest(now)
    days = 1 if digest is Digest.DAILY else 7
    assert timedelta() <= first - now <= timedelta(days=days, hours=1)
    assert rule.next_digest(first) == first


@pytest.mark.parametrize(
    "text", ["", "22:00", "22:00-22:00", "22:00-25:00", "x-y", "22:00-07:00-08:00", "22:00Z-07:00"]
)
def test_what_names_no_quiet_hours_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="names no quiet hours"):
        QuietHours.parse(text)


@pytest.mark.parametrize("zone", ["Berlin", "", "../../etc/passwd", "Europe/Berlin\0", "/etc/localtime"])
def test_a_zone_that_does_not_exist_is_refused(zone: str) -> None:
    with pytest.raises(ConfigurationError, match="There is no time zone"):
        berlin(zone=zone)


def test_a_rule_is_read_back_as_it_was() -> None:
    rule = berlin(matters=("drift",), channels=("mail",), digest="daily")
    assert Rule.model_validate_json(rule.model_dump_json()) == rule
