"""What is kept and told of looks: each difference once, its end once, and nothing that was only not seen."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certwright.domain.deployment import Finding, Inspection, ServedRow, Severity, Verdict
from certwright.domain.events import EventKind
from certwright.domain.looks import (
    AGAIN,
    EVERY,
    JITTER,
    PROOF_DAYS,
    SOON,
    Looks,
    ProofLook,
    TaskLook,
    Told,
    looked,
    next_look,
    proof_looked,
)
from certwright.domain.watching import UNSEEN

NOW = datetime(2026, 12, 1, tzinfo=UTC)
DAY = timedelta(days=1)
COMMAND = "certwright deploy 0123456789ab"
REBOUND = Finding(
    check="drift-web-site",
    severity=Severity.STOP,
    subject="ex01",
    message="Somebody bound the Default Web Site of ex01 to ABCD.",
    remedy="To see what repairs it: certwright exchange plan Mail",
)
CHOSEN = Finding(check="drift-connector", severity=Severity.WARN, subject="To partner", message="It was changed.")
AWAY = Finding(check="drift-unknown", severity=Severity.WARN, message="Exchange could not be read.")
CHAIN = Finding(check="chain-sent", severity=Severity.WARN, message="It is sent without that of its issuer.")
GOOD = Inspection()


def row(verdict: Verdict, now: str | None = "abcd else", **changed: Any) -> ServedRow:
    values = {"server": "ex01", "service": "IIS", "address": "192.0.2.1", "port": 443, "protocol": "TLSv1.3"}
    return ServedRow.model_validate({**values, "verdict": verdict, "now": now, **changed})


def seen(*findings: Finding, rows: tuple[ServedRow, ...] = ()) -> Inspection:
    return Inspection(findings=findings, rows=rows)


def known(**changed: Any) -> TaskLook:
    return TaskLook(version_id="v1", not_after=NOW + 60 * DAY, seen_at=NOW).model_copy(update=changed)


def kinds(steps: list[Inspection | str], pause: timedelta = SOON) -> list[EventKind | None]:
    look, found = known(), []
    for number, step in enumerate(steps):
        look, told = looked(look, step, NOW + pause * number, COMMAND)
        found.append(told[0] if told else None)
    return found


DRIFT, OVER = EventKind.DRIFT, EventKind.DRIFT_OVER


@pytest.mark.parametrize(
    ("steps", "told"),
    [
        ([GOOD, seen(CHAIN)], [None, None]),
        ([seen(REBOUND), seen(REBOUND), GOOD, GOOD], [DRIFT, None, OVER, None]),
        ([seen(REBOUND), seen(REBOUND, CHOSEN), seen(REBOUND)], [DRIFT, DRIFT, None]),
        ([seen(REBOUND), seen(CHOSEN), seen(REBOUND)], [DRIFT, DRIFT, DRIFT]),
        (["no answer", seen(AWAY), GOOD], [None, None, None]),
        ([seen(REBOUND), "no answer", seen(AWAY), GOOD], [DRIFT, None, None, OVER]),
        ([seen(AWAY, REBOUND)], [DRIFT]),
        ([seen(rows=(row(Verdict.STALE),)), seen(rows=(row(Verdict.OK),))], [DRIFT, OVER]),
        ([seen(rows=(row(Verdict.REGRESSION, None),)), GOOD], [None, None]),
        ([seen(rows=(row(Verdict.NOT_VERIFIED),))], [None]),
    ],
)
def test_what_differs_is_told_when_it_begins_when_it_grows_and_when_it_is_over(
    steps: list[Inspection | str], told: list[EventKind | None]
) -> None:
    assert kinds(steps) == told


def test_what_lasts_is_told_daily_unless_somebody_seems_to_have_chosen_it() -> None:
    assert kinds([seen(REBOUND)] * 4, AGAIN) == [DRIFT] * 4
    assert kinds([seen(CHOSEN)] * 4, AGAIN) == [DRIFT, None, None, None]


def test_the_event_says_what_differs_and_the_next_step() -> None:
    _, told = looked(known(), seen(CHOSEN, REBOUND), NOW, COMMAND)
    assert told
    assert "It was changed. Somebody bound the Default Web Site of ex01 to ABCD." in told[1]
    assert told[2] == REBOUND.remedy
    _, told = looked(known(), seen(rows=(row(Verdict.STALE, detail="serves another certificate"),)), NOW, COMMAND)
    assert told
    assert told[1:] == (
        "What is served is no longer what was deployed. IIS at 192.0.2.1:443 serves another certificate.",
        COMMAND,
    )
    many = [CHOSEN.model_copy(update={"subject": str(number)}) for number in range(5)]
    _, told = looked(known(), seen(*many), NOW, COMMAND)
    assert told
    assert told[1].endswith("And 2 more.")


def test_what_was_not_seen_leaves_what_was_known() -> None:
    look, _ = looked(known(), seen(REBOUND, rows=(row(Verdict.STALE),)), NOW, COMMAND)
    away, _ = looked(look, "mail01 does not answer.", NOW + DAY, COMMAND)
    assert (away.differences, away.rows, away.seen_at) == (look.differences, look.rows, NOW)
    assert (away.failures, away.problem) == (1, "mail01 does not answer.")
    silent, _ = looked(away, seen(rows=(row(Verdict.REGRESSION, None),)), NOW + DAY, COMMAND)
    assert (silent.failures, silent.problem) == (2, "IIS at 192.0.2.1:443 serves nothing.")
    back, _ = looked(silent, GOOD, NOW + 2 * DAY, COMMAND)
    assert (back.failures, back.problem, back.differences, back.seen_at) == (0, "", (), NOW + 2 * DAY)


def test_a_deployment_ends_what_differed_and_the_next_look_tells_so() -> None:
    look, _ = looked(known(), seen(REBOUND), NOW, COMMAND)
    after = look.deployed_again("v2", NOW + 90 * DAY, (row(Verdict.OK),), NOW + DAY)
    assert (after.differences, after.version_id, after.is_grave) == ((), "v2", False)
    _, told = looked(after, GOOD, NOW + 2 * DAY, COMMAND)
    assert told
    assert told[0] is OVER


STEPS = st.lists(
    st.sampled_from([GOOD, "no answer", seen(AWAY), seen(REBOUND), seen(CHOSEN), seen(REBOUND, CHOSEN)]), max_size=40
)


@given(STEPS)
def test_over_comes_only_after_drift_and_drift_never_stays_untold(steps: list[Inspection | str]) -> None:
    look, is_open = known(), False
    for number, step in enumerate(steps):
        look, told = looked(look, step, NOW + SOON * number, COMMAND)
        if told and told[0] is OVER:
            assert is_open
        is_open = bool(look.told)
        if look.differences:
            assert is_open


# --- records in DNS ---------------------------------------------------------------------------------------------------

NAME = "_validation-persist.contoso.test"


def proof_told(steps: list[tuple[datetime | None, str, datetime]]) -> list[Told | None]:
    look, found = None, []
    for ends, problem, now in steps:
        look, told = proof_looked(look, ends, NAME, problem, now)
        found.append(told)
    return found


def test_the_end_of_a_record_is_told_in_time_each_stage_once_and_its_renewal_too() -> None:
    end = NOW + 40 * DAY
    days = [0, 9, 10, 11, 26, 33, 37, 39, 40, 41]
    told = proof_told([*((end, "", NOW + day * DAY) for day in days), (None, "", NOW + 42 * DAY)])
    assert [t[0] if t else None for t in told] == [
        None,
        None,
        *(EventKind.PROOF_ENDING, None, *[EventKind.PROOF_ENDING] * 5, None),
        EventKind.PROOF_RENEWED,
    ]
    assert told[2]
    assert told[2][1] == f"The record at {NAME} ends on 2027-01-10 00:00 UTC (persistUntil); without it no renewal."


def test_a_record_without_an_end_is_never_told_of() -> None:
    assert proof_told([(None, "", NOW + day * DAY) for day in range(5)]) == [None] * 5


def test_a_record_that_cannot_be_read_is_told_by_the_health_and_what_was_known_stays() -> None:
    look, _ = proof_looked(None, NOW + 20 * DAY, NAME, "", NOW)
    for number in range(1, UNSEEN + 1):
        look, told = proof_looked(look, None, NAME, "no such name", NOW)
        assert (look.failures, look.problem, look.ends, told) == (number, "no such name", NOW + 20 * DAY, None)
    look, told = proof_looked(look, NOW + 20 * DAY, NAME, "", NOW)
    assert (look.failures, told) == (0, None)


@given(st.lists(st.floats(0.01, 20), min_size=1, max_size=60))
def test_each_stage_comes_at_most_once_and_the_last_is_never_missed(steps: list[float]) -> None:
    look, now, told = None, NOW, []
    for step in steps:
        now += timedelta(days=step)
        look, news = proof_looked(look, NOW + 60 * DAY, NAME, "", now)
        told += [look.told_days] if news else []
    assert told == sorted(set(told), key=lambda days: -(days or 0))
    if now >= NOW + 60 * DAY:
        assert told[-1] == PROOF_DAYS[-1]


# --- when to look -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("looks", "pause"),
    [
        (Looks(), EVERY),
        (Looks(tasks={"a": known()}), EVERY),
        (Looks(tasks={"a": known(differences=(CHOSEN,))}), EVERY),
        (Looks(tasks={"a": known(differences=(REBOUND,)), "b": known()}), SOON),
        (Looks(tasks={"a": known(failures=1)}), SOON),
        (Looks(tasks={"a": known(failures=3)}), 4 * SOON),
        (Looks(tasks={"a": known(failures=300)}), EVERY),
        (Looks(tasks={"a": known()}, proof=ProofLook(failures=1)), SOON),
    ],
)
def test_where_something_is_the_matter_is_looked_at_sooner(looks: Looks, pause: timedelta) -> None:
    assert next_look(looks, NOW, 0.5) == NOW + pause
    assert next_look(looks, NOW, 0) == NOW + pause * (1 - JITTER)
