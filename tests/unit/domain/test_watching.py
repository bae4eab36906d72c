from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certwright.domain.events import EventKind
from certwright.domain.watching import AGAIN, EVERY, WARNED_DAYS, Look, Place, Seen, Watched, looked, next_look

NOW = datetime(2026, 12, 1, tzinfo=UTC)
PLACE = Place(host="mail.contoso.test", port=443)
DAY = timedelta(days=1)


def seen(days_left: float, lifetime: float = 398, **changed: object) -> Seen:
    end = NOW + timedelta(days=days_left)
    values = {
        "sha256": "a" * 64,
        "thumbprint": "A" * 40,
        "subject": "CN=mail.contoso.test",
        "issuer": "CN=CA",
        "names": ("mail.contoso.test",),
        "key": "rsa-2048",
        "not_before": end - timedelta(days=lifetime),
        "not_after": end,
        **changed,
    }
    return Seen.model_validate(values)


def watched(what: Seen, place: Place | None = PLACE, **changed: object) -> Watched:
    return Watched(title="Mail", place=place, seen=what, since=NOW, looked_at=NOW).model_copy(update=changed)


def kinds(told: tuple[tuple[EventKind, str], ...]) -> list[EventKind]:
    return [kind for kind, _ in told]


@pytest.mark.parametrize(
    ("days_left", "lifetime", "told"),
    [
        (40, 398, None),
        (30, 398, 30),
        (13.5, 398, 14),
        (0.5, 398, 1),
        (-1, 398, 0),
        (30, 90, None),
        (20, 90, None),
        (14, 90, 14),
        (9, 47, None),
        (7, 47, 7),
        (2, 6, None),
        (1, 6, 1),
        (0.1, 0.5, None),
        (0, 0.5, 0),
    ],
)
def test_an_end_is_told_of_in_time_and_not_when_renewal_is_still_to_come(
    days_left: float, lifetime: float, told: int | None
) -> None:
    item = watched(seen(days_left, lifetime))
    after, events = looked(item, Look(seen=item.seen), NOW)
    assert after.told_days == told
    assert kinds(events) == ([] if told is None else [EventKind.WATCHED_ENDING])


@given(st.lists(st.floats(0.01, 20), min_size=1, max_size=80), st.floats(0.1, 800))
def test_each_warning_comes_once_and_none_after_the_end_is_missing(steps: list[float], lifetime: float) -> None:
    item, now, told = watched(seen(lifetime, lifetime)), NOW, []
    for step in steps:
        now += timedelta(days=step)
        item, events = looked(item, Look(seen=item.seen), now)
        told += [item.told_days for _ in events]
    assert told == sorted(set(told), key=lambda days: -(days or 0))
    if now >= item.seen.not_after:
        assert told[-1] == 0


@given(st.floats(0.1, 800), st.floats(0, 900))
def test_a_file_is_looked_at_daily_and_whenever_there_is_something_to_tell(lifetime: float, passed: float) -> None:
    item, now = watched(seen(lifetime, lifetime), place=None), NOW + timedelta(days=passed)
    item, _ = looked(item, Look(seen=item.seen), now)
    following = next_look(item, now)
    assert now < following <= now + DAY
    assert not looked(item, Look(seen=item.seen), following - timedelta(microseconds=1))[1]
    if following < now + DAY:
        assert kinds(looked(item, Look(seen=item.seen), following)[1]) == [EventKind.WATCHED_ENDING]


@given(st.floats(30.5, 800), st.timedeltas(timedelta(minutes=11), timedelta(days=1100)))
def test_what_a_wrong_clock_took_for_the_end_is_told_when_that_comes(lifetime: float, ahead: timedelta) -> None:
    item = watched(seen(lifetime, lifetime), place=None)
    item, _ = looked(item, Look(seen=item.seen), NOW + ahead)
    item, events = looked(item, Look(seen=item.seen), NOW)
    assert (item.told_days, events, item.looked_at) == (None, (), NOW)
    _, events = looked(item, Look(seen=item.seen), item.seen.not_after)
    assert kinds(events) == [EventKind.WATCHED_ENDING]


def test_another_certificate_is_told_of_with_what_is_different_and_warnings_begin_anew() -> None:
    item = watched(seen(5), told_days=7)
    new = seen(90, sha256="b" * 64, names=("www.contoso.test",), issuer="CN=Other", key="ecdsa-p256")
    after, ((kind, message),) = looked(item, Look(seen=new), NOW + DAY)
    assert kind is EventKind.WATCHED_CHANGED
    assert after.changes == (
        "valid until 2027-03-01 instead of 2026-12-06",
        "new names www.contoso.test",
        "without mail.contoso.test",
        "issued by CN=Other instead of CN=CA",
        "key ecdsa-p256 instead of rsa-2048",
    )
    assert all(change in message for change in after.changes)
    assert (after.told_days, after.since) == (None, NOW + DAY)
    assert looked(after, Look(seen=new), NOW + 2 * DAY)[1] == ()


def test_what_cannot_be_seen_is_told_of_once_and_what_was_seen_is_kept() -> None:
    item, told = watched(seen(100)), []
    for _ in range(6):
        item, events = looked(item, Look(seen=None, problem="nobody answers"), NOW)
        told.append(kinds(events))
    assert told == [[], [], [EventKind.WATCHED_UNSEEN], [], [], []]
    assert (item.seen, item.state(NOW), item.problem) == (seen(100), "not seen", "nobody answers")
    back, events = looked(item, Look(seen=seen(100)), NOW)
    assert (back.failures, back.problem, events) == (0, "", ())


def test_it_ends_even_where_nothing_can_be_seen() -> None:
    item = watched(seen(0.5), told_days=1, failures=5)
    _, events = looked(item, Look(seen=None, problem="nobody answers"), NOW + DAY)
    assert kinds(events) == [EventKind.WATCHED_ENDING]


@pytest.mark.parametrize(
    ("place", "so_far"), [(PLACE, "nothing newer is served there"), (None, "Certwright does not renew it")]
)
def test_what_ends_is_told_with_what_was_not_done_about_it(place: Place | None, so_far: str) -> None:
    item = watched(seen(3), place)
    _, ((_kind, message),) = looked(item, Look(seen=item.seen), NOW)
    assert message.endswith(f"UTC, and {so_far}.")


def test_services_are_looked_at_more_often_when_they_fail() -> None:
    assert next_look(watched(seen(100)), NOW) == NOW + EVERY
    assert next_look(watched(seen(100), failures=1), NOW) == NOW + AGAIN
    assert next_look(watched(seen(-100)), NOW) == NOW + EVERY


@pytest.mark.parametrize(
    ("item", "state"),
    [
        (watched(seen(100)), "ok"),
        (watched(seen(20)), "ends soon"),
        (watched(seen(-1)), "expired"),
        (watched(seen(100), failures=1), "not seen"),
        (watched(seen(100), problem="another name"), "problem"),
    ],
)
def test_the_state_in_a_few_words(item: Watched, state: str) -> None:
    assert item.state(NOW) == state


def test_days_are_whole_and_negative_when_it_is_over() -> None:
    assert [watched(seen(days)).days_left(NOW) for days in (1.9, 0.1, -0.1)] == [1, 0, -1]
    assert WARNED_DAYS[-1] == 0
