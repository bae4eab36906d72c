"""What web services and the sign-in answer, in a row, and whether that is worse than before."""

from datetime import UTC, datetime

import pytest

from certwright.domain.deployment import Verdict
from certwright.exchange.verification.web import GOOD, Answered, attempt, judge, summary
from certwright.probe import FailureKind, Health, ProbeFailure, SignIn, WebAnswer

ASKED = datetime(2026, 1, 2, tzinfo=UTC)
REFUSED = ProbeFailure(FailureKind.REFUSED, "10.0.0.1:443 refuses the connection.")


def answer(path: str, status: int | None, front_end: str = "") -> WebAnswer:
    return WebAnswer(path, ASKED, 0.1, status=status, front_end=front_end, failure=None if status else REFUSED)


def answers(**statuses: int | None) -> Answered:
    return summary([answer(f"/{path}", status) for path, status in statuses.items()])


def test_pages_redirects_and_demands_to_sign_in_are_good() -> None:
    found = answers(owa=302, EWS=401, healthcheck=200)
    assert (found.shown, found.protocol) == (GOOD, "HTTP 200/302/401")
    assert found.detail == "owa 302, EWS 401, healthcheck 200"


def test_who_answered_is_told() -> None:
    found = summary([answer("/owa/", 302, "EX01"), answer("/ecp/", 302, "EX02"), answer("/EWS", 401, "EX01")])
    assert found.detail.endswith("answered by EX01, EX02")


def test_a_fault_is_shown_with_its_path() -> None:
    found = answers(owa=503, EWS=401, ecp=None, mapi=404)
    assert found.shown == "503 /owa, silent /ecp, 404 /mapi"
    assert found.protocol == "HTTP 401/404/503"


def test_where_nothing_answers_it_is_closed() -> None:
    found = answers(owa=None, ecp=None)
    assert found.shown is None
    assert "refuses" in found.detail
    assert summary(()).shown is None


@pytest.mark.parametrize(
    ("before", "now", "verdict", "says"),
    [
        (GOOD, answers(owa=302), Verdict.OK, "owa 302"),
        (None, answers(owa=302), Verdict.OK, ""),
        ("503 /owa", answers(owa=302), Verdict.OK, ""),
        (GOOD, answers(owa=503, EWS=401), Verdict.REGRESSION, "/owa answered better before"),
        (GOOD, answers(owa=404), Verdict.REGRESSION, "/owa answered better before"),
        ("503 /owa", answers(owa=503), Verdict.NOT_VERIFIED, "no worse than before"),
        ("404 /owa", answers(owa=404), Verdict.NOT_VERIFIED, "no worse than before"),
        ("404 /owa", answers(owa=503), Verdict.REGRESSION, "/owa answered better before"),
        ("404 /owa", answers(owa=None, ecp=302), Verdict.REGRESSION, "/owa answered better before"),
        ("503 /owa", answers(owa=404), Verdict.NOT_VERIFIED, "no worse than before"),
        ("503 /owa, 404 /ecp", answers(owa=500, ecp=500), Verdict.REGRESSION, "/ecp answered better before"),
        ("503 /owa", answers(owa=503, ecp=500), Verdict.REGRESSION, "/ecp answered better before"),
        (None, answers(owa=503), Verdict.NOT_VERIFIED, "not known what it answered before"),
        (None, answers(owa=None), Verdict.NOT_VERIFIED, "refuses"),
        (GOOD, answers(owa=None), Verdict.REGRESSION, "refuses"),
    ],
)
def test_what_answered_better_before_has_got_worse(
    before: str | None, now: Answered, verdict: Verdict, says: str
) -> None:
    judged, why = judge(now, before)
    assert judged is verdict
    assert says in why


def seen(health: Health) -> Answered:
    return attempt(SignIn(health, "evidence", ("/owa/auth.owa",)))


@pytest.mark.parametrize(
    ("before", "now", "verdict"),
    [
        (Health.GOOD, Health.GOOD, Verdict.OK),
        (Health.FAULT, Health.GOOD, Verdict.OK),
        (Health.GOOD, Health.FAULT, Verdict.REGRESSION),
        (Health.FAULT, Health.FAULT, Verdict.NOT_VERIFIED),
        (Health.UNKNOWN, Health.FAULT, Verdict.REGRESSION),
        (Health.FAULT, Health.UNKNOWN, Verdict.NOT_VERIFIED),
        (Health.GOOD, Health.UNKNOWN, Verdict.REGRESSION),
        (Health.UNKNOWN, Health.UNKNOWN, Verdict.NOT_VERIFIED),
        (None, Health.FAULT, Verdict.NOT_VERIFIED),
    ],
)
def test_a_sign_in_fails_only_if_it_went_better_before(before: Health | None, now: Health, verdict: Verdict) -> None:
    judged, why = judge(seen(now), seen(before).shown if before else None)
    assert judged is verdict
    assert "evidence" in why
