"""What is made of a web server's answers, however odd they are."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from certwright.probe import FailureKind, Health, ProbeFailure, Target, WebAnswer, clock_skew
from certwright.probe.web import _date, _place, web_host

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def answer(status: int | None, date: datetime | None = None) -> WebAnswer:
    return WebAnswer("/owa/", NOON, 0.5, status=status, date=date)


@pytest.mark.parametrize(
    ("statuses", "health"),
    [
        ([200, 204, 301, 302, 303, 307, 308, 401], Health.GOOD),
        ([500, 502, 503, 599], Health.FAULT),
        ([101, 300, 304, 400, 403, 404, 405, 440, 456], Health.UNKNOWN),
    ],
)
def test_a_status_tells_of_the_service(statuses: list[int], health: Health) -> None:
    assert {answer(status).health for status in statuses} == {health}


def test_no_answer_is_a_fault() -> None:
    failure = ProbeFailure(FailureKind.TIMEOUT, "No answer within 10 s.")
    assert WebAnswer("/owa/", NOON, 10, failure=failure).health is Health.FAULT


@pytest.mark.parametrize(
    ("told", "skew"),
    [
        (NOON, timedelta()),
        (NOON - SECOND / 2, timedelta()),
        (NOON + 2 * SECOND, timedelta()),
        (NOON + 5 * SECOND, 3 * SECOND),
        (NOON - 5 * SECOND, -4 * SECOND),
        (NOON - timedelta(hours=1), -timedelta(hours=1) + SECOND),
    ],
)
def test_a_clock_is_wrong_by_the_least_that_explains_what_it_told(told: datetime, skew: timedelta) -> None:
    assert clock_skew(told, NOON, NOON + 2 * SECOND) == skew


@given(st.timedeltas(-timedelta(days=1), timedelta(days=1)), st.floats(0, 10), st.floats(0, 1))
def test_the_skew_never_exceeds_the_true_one(true: timedelta, seconds: float, share: float) -> None:
    answered = NOON + timedelta(seconds=seconds)
    spoke = NOON + timedelta(seconds=seconds * share) + true
    skew = clock_skew(spoke.replace(microsecond=0), NOON, answered)
    assert abs(skew) <= abs(true) + timedelta(microseconds=2)
    assert abs(skew - true) <= timedelta(seconds=seconds + 1, microseconds=2)


def test_an_answer_knows_its_skew_if_the_server_told_a_date() -> None:
    assert answer(200).skew is None
    assert answer(200, NOON + timedelta(minutes=7)).skew == timedelta(minutes=7, seconds=-0.5)


@pytest.mark.parametrize(
    ("location", "place"),
    [
        ("https://mail.contoso.test/owa/auth/logon.aspx?url=x&reason=0#top", "mail.contoso.test/owa/auth/logon.aspx"),
        ("/owa/auth/logon.aspx?reason=0", "/owa/auth/logon.aspx"),
        ("https://user:secret@Mail.contoso.test:444/ecp/", "mail.contoso.test/ecp/"),
        ("http://[::1/x?secret", "http://[::1/x"),
        ("/a\x1b[31m", "/a.[31m"),
        ("", ""),
    ],
)
def test_where_a_redirect_leads_is_told_without_what_may_be_secret(location: str, place: str) -> None:
    assert _place(location) == place


@given(st.text())
def test_any_location_is_told_harmlessly(location: str) -> None:
    place = _place(location)
    assert place.isascii()
    assert place.isprintable()
    assert len(place) <= 203


def test_dates_are_read_in_all_forms_of_http() -> None:
    for said in ("Sun, 22 Nov 2026 12:00:00 GMT", "Sun, 22 Nov 2026 13:00:00 +0100", "Sun Nov 22 12:00:00 2026"):
        assert _date(said) == NOON


@given(st.text())
@example("")
@example("Sun, 22 Nov 20261111 12:00:00 GMT")
@example("Sun, 31 Dec 9999 23:00:00 -2300")
@example("Sun, 99 Nov 2026 12:00:00 GMT")
def test_any_date_is_one_or_none(said: str) -> None:
    date = _date(said)
    assert date is None or date.tzinfo is UTC


@pytest.mark.parametrize(
    ("target", "host"),
    [
        (Target("192.0.2.1", 443, server_name="mail.contoso.test"), "mail.contoso.test"),
        (Target("192.0.2.1", 8443, expected_name="mail.contoso.test"), "mail.contoso.test:8443"),
        (Target("2001:db8::1", 443), "[2001:db8::1]"),
        (Target("ex01", 4443), "ex01:4443"),
    ],
)
def test_the_host_is_named_as_in_a_url(target: Target, host: str) -> None:
    assert web_host(target) == host
