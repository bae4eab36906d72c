"""Maintenance windows: by the clock of their zone, also where clocks are changed, and what overrides them."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from certwright.domain.certificates import CertificateFacts
from certwright.domain.errors import ConfigurationError
from certwright.domain.windows import (
    BEATS_WINDOW,
    HORIZON,
    Admission,
    Dates,
    Deadline,
    MaintenanceWindow,
    Opening,
    Span,
    Weekday,
    admit,
)
from unit.domain.workshop import START, leaf

DAY, HOUR, STEP = timedelta(days=1), timedelta(hours=1), timedelta(minutes=15)
CHANGES = [  # days around which clocks are put forward or back: by an hour, by half of one, at midnight, by a whole day
    ("Asia/Kathmandu", date(2027, 1, 1)),
    ("Europe/Berlin", date(2027, 3, 28)),
    ("Europe/Berlin", date(2027, 10, 31)),
    ("America/New_York", date(2027, 3, 14)),
    ("America/New_York", date(2027, 11, 7)),
    ("Australia/Lord_Howe", date(2027, 4, 4)),
    ("Australia/Lord_Howe", date(2027, 10, 3)),
    ("America/Sao_Paulo", date(2018, 2, 17)),
    ("America/Sao_Paulo", date(2018, 11, 4)),
    ("Pacific/Apia", date(2011, 12, 30)),
]
QUARTERS = st.builds(time, st.integers(0, 3) | st.integers(0, 23), st.sampled_from([0, 15, 30, 45]))


@st.composite
def spans(draw: st.DrawFn, around: date) -> Span:
    dates = st.integers(-1, 1).map(lambda ahead: around + ahead * DAY)
    start, end = draw(QUARTERS), draw(QUARTERS)
    nights = draw(st.integers(0 if end > start else 1, 3))
    days = draw(st.lists(dates | dates.map(Weekday.of), min_size=1, max_size=3, unique=True))
    return Span(days=tuple(days), start=start, end=end, nights=nights)


@st.composite
def cases(draw: st.DrawFn) -> tuple[MaintenanceWindow, datetime]:
    """A window, and a moment near a change of its clocks."""
    zone, around = draw(st.sampled_from(CHANGES))
    first = around + draw(st.integers(-3, 3)) * DAY
    closed = draw(st.sampled_from([(), (Dates(first=first, last=first + DAY),)]))
    window = MaintenanceWindow(
        name="w", zone=zone, spans=tuple(draw(st.lists(spans(around), min_size=1, max_size=3))), closed=closed
    )
    at = datetime.combine(around, time(), UTC) + draw(st.integers(-100, 100)) * STEP
    return window, at


def walked(window: MaintenanceWindow, begin: datetime, steps: int) -> Iterator[tuple[datetime, bool]]:
    """Whether it is open in each quarter of an hour, by looking at the clock again and again.

    A clock that is put back has shown these times before: `reached` is the latest that it has ever shown.
    """
    zone, reached = ZoneInfo(window.zone), datetime.min  # noqa: DTZ901 - a clock has no zone
    for step in range(-100, steps):
        at = begin + step * STEP
        reached = max(reached, at.astimezone(zone).replace(tzinfo=None))
        if step >= 0:
            yield at, any(_within(span, reached) for span in window.spans) and not _closed(window, reached.date())


def _within(span: Span, clock: datetime) -> bool:
    return any(
        datetime.combine(day, span.start) <= clock < datetime.combine(day + span.nights * DAY, span.end)
        for day in (clock.date() - back * DAY for back in range(span.nights + 1))
        if day in span.days or Weekday.of(day) in span.days
    )


def _closed(window: MaintenanceWindow, day: date) -> bool:
    return any(dates.first <= day <= dates.last for dates in window.closed)


@settings(max_examples=100)
@given(cases())
def test_it_is_open_when_a_look_at_the_clock_says_so(case: tuple[MaintenanceWindow, datetime]) -> None:
    window, begin = case
    seen = list(walked(window, begin, 250))
    openings = []
    for opening in window.openings(begin):
        if opening.start >= seen[-1][0]:
            break
        openings.append(opening)
    assert [(at, any(o.start <= at < o.end for o in openings)) for at, _ in seen] == seen
    assert [window.is_open(at) for at, _ in seen[:3]] == [is_open for _, is_open in seen[:3]]


@settings(max_examples=50)
@given(cases())
def test_openings_follow_each_other_and_the_next_is_the_first(case: tuple[MaintenanceWindow, datetime]) -> None:
    window, begin = case
    found = list(islice(window.openings(begin), 5))
    assert all(begin <= one.start < one.end for one in found)
    assert all(one.end < two.start for one, two in pairwise(found))
    assert window.next_opening(begin) == (found[0] if found else None)
    if found and found[0].start > begin:
        assert not window.is_open(found[0].start - timedelta(microseconds=1))
        assert window.is_open(found[0].start)


@settings(max_examples=50)
@given(cases())
def test_what_is_written_is_read_back(case: tuple[MaintenanceWindow, datetime]) -> None:
    window, _ = case
    assert MaintenanceWindow.model_validate_json(window.model_dump_json()) == window
    for span in window.spans:
        if len(span.days) == 1 or span.nights == (0 if span.end > span.start else 1):
            read = Span.parse(str(span))
            assert read.model_copy(update={"days": span.days}) == span
            assert set(read.days) == set(span.days)
    assert [Dates.parse(str(dates)) for dates in window.closed] == list(window.closed)


def berlin(*texts: str, closed: tuple[str, ...] = ()) -> MaintenanceWindow:
    return MaintenanceWindow(
        name="weekend",
        zone="Europe/Berlin",
        spans=tuple(map(Span.parse, texts)),
        closed=tuple(map(Dates.parse, closed)),
    )


@pytest.mark.parametrize(
    ("text", "begin", "opens", "closes"),
    [
        ("Sat 22:00-04:00", (2027, 1, 4), (2027, 1, 9, 21), (2027, 1, 10, 3)),
        ("Sat 22:00-04:00", (2027, 3, 23), (2027, 3, 27, 21), (2027, 3, 28, 2)),  # the night has an hour less
        ("Sat 22:00-04:00", (2027, 10, 26), (2027, 10, 30, 20), (2027, 10, 31, 3)),  # and here one more
        ("Sun 02:30-05:00", (2027, 3, 23), (2027, 3, 28, 1), (2027, 3, 28, 3)),  # 02:30 was jumped over
        ("Sun 02:00-03:00", (2027, 3, 23), (2027, 4, 4, 0), (2027, 4, 4, 1)),  # all of it was
        ("Sun 02:15-02:45", (2027, 10, 26), (2027, 10, 31, 0, 15), (2027, 10, 31, 0, 45)),  # shown twice, open once
        ("Fri 20:00-Mon 06:00", (2027, 1, 5), (2027, 1, 8, 19), (2027, 1, 11, 5)),
        ("Sat 06:00-Sat 05:00", (2027, 1, 4), (2027, 1, 4), (2027, 1, 9, 4)),
        ("2027-01-06 10:00-11:00", (2027, 1, 4), (2027, 1, 6, 9), (2027, 1, 6, 10)),
    ],
)
def test_by_the_clock_of_its_zone(
    text: str, begin: tuple[int, ...], opens: tuple[int, ...], closes: tuple[int, ...]
) -> None:
    at, start, end = (datetime(*moment, tzinfo=UTC) for moment in (begin, opens, closes))  # type: ignore[misc, arg-type]
    assert berlin(text).next_opening(at) == Opening(start, end)


def test_spans_that_touch_are_one_opening() -> None:
    window = berlin("Sat 22:00-00:00", "Sun 00:00-04:00", "Sun 03:00-05:00")
    assert window.next_opening(START) == Opening(
        datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 1, 4, tzinfo=UTC)
    )
    assert list(islice(window.openings(START), 2))[1].end == datetime(2026, 11, 8, 4, tzinfo=UTC)


def test_on_days_that_are_closed_it_does_not_open_nor_stay_open() -> None:
    window = berlin("daily 22:00-04:00", closed=("2026-11-03..2026-11-04",))
    at = datetime(2026, 11, 2, 12, tzinfo=UTC)
    first, second = islice(window.openings(at), 2)
    assert first == Opening(datetime(2026, 11, 2, 21, tzinfo=UTC), datetime(2026, 11, 2, 23, tzinfo=UTC))
    assert second.start == datetime(2026, 11, 4, 23, tzinfo=UTC)


def test_one_that_is_always_open_and_one_that_never_is() -> None:
    always, never = berlin("daily 00:00-00:00"), berlin("2020-01-01 10:00-11:00")
    assert always.is_open(START)
    assert [o.end - START > HORIZON - 2 * DAY for o in always.openings(START)] == [True]
    assert never.next_opening(START) is None
    assert not never.is_open(START)


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("Mon-Fri 02:00-04:00", "Mon Tue Wed Thu Fri"),
        ("sat-mon 02:00 - 04:00", "Sat Sun Mon"),
        ("Tue,Thu 02:00-04:00", "Tue Thu"),
        ("daily 02:00-04:00", "Mon Tue Wed Thu Fri Sat Sun"),
    ],
)
def test_days_are_read(text: str, days: str) -> None:
    assert list(Span.parse(text).days) == [Weekday(day) for day in days.split()]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Sat",
        "22:00-04:00",
        "Sat 22:00",
        "Sat 22-04",
        "Sat 24:00-25:00",
        "Sat 22:00-24:00",
        "Sat 22:60-23:00",
        "Sun- 22:00-23:00",
        "Caturday 22:00-23:00",
        "Sat,Sun 22:00-Mon 23:00",
        "2026-02-30 22:00-23:00",
        "2026-12-24-2026-12-26 22:00-23:00",
        "Sat 22:00-04:00 Europe/Berlin",
    ],
)
def test_what_names_no_span_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="names no span") as caught:
        Span.parse(text)
    assert "Sat 22:00-04:00" in caught.value.hint


@pytest.mark.parametrize(
    "text", ["", "Christmas", "2026-12-24..", "..2026-12-24", "2026-12-24..2026-12-23", "2026-13-01"]
)
def test_what_names_no_days_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="names no days"):
        Dates.parse(text)


class TestDeadline:
    """The certificate in use lives 90 days from `START`."""

    facts = CertificateFacts.of(leaf("mail.contoso.test"))
    end = START + 90 * DAY
    latest = end - 90 * DAY * BEATS_WINDOW

    def admitted(self, window: MaintenanceWindow, at: datetime, *, unfinished: bool = False) -> Admission:
        return admit(window, Deadline.of(self.facts, None, in_use=True), at, is_unfinished=unfinished)

    def test_an_open_window_lets_it_begin(self) -> None:
        assert self.admitted(berlin("Sun 02:00-04:00"), datetime(2026, 11, 8, 2, tzinfo=UTC)) == Admission()

    def test_a_closed_one_says_when_it_opens_and_what_is_the_latest(self) -> None:
        held = self.admitted(berlin("Sun 02:00-04:00"), START + 60 * DAY)
        assert held.until == datetime(2027, 1, 3, 1, tzinfo=UTC)
        assert held.message == (
            "Its deployment waits until Sun 2027-01-03 02:00 Europe/Berlin, when the window 'weekend' opens; at the "
            "latest until 2027-01-25 12:00 UTC, as the certificate in use ends on 2027-01-30 00:00 UTC."
        )

    @pytest.mark.parametrize("text", ["2027-01-26 02:00-04:00", "2020-01-01 02:00-04:00"])
    def test_one_that_opens_too_late_is_not_waited_for(self, text: str) -> None:
        held = self.admitted(berlin(text), START + 60 * DAY)
        assert held.until == self.latest
        assert "opens on Tue 2027-01-26" in held.message or "does not open within 366 days" in held.message
        begun = self.admitted(berlin(text), self.latest)
        assert begun.until is None
        assert "no longer waited for: the certificate in use ends on 2027-01-30" in begun.message

    def test_what_is_unfinished_always_goes_on(self) -> None:
        going_on = self.admitted(berlin("Sun 02:00-04:00"), START + 60 * DAY, unfinished=True)
        assert going_on.until is None
        assert "finished first" in going_on.message

    def test_a_revoked_certificate_is_replaced_at_once(self) -> None:
        at = START + 10 * DAY
        deadline = Deadline.of(self.facts, at - HOUR, in_use=True)
        admission = admit(berlin("Sun 02:00-04:00"), deadline, at, is_unfinished=False)
        assert admission.until is None
        assert "was revoked" in admission.message

    def test_what_was_never_in_use_has_its_own_end(self) -> None:
        assert "the new certificate itself ends" in Deadline.of(self.facts, None, in_use=False).reason

    @settings(max_examples=50)
    @given(cases(), st.integers(0, 89))
    def test_nothing_waits_beyond_the_deadline_and_waiting_ends(
        self, case: tuple[MaintenanceWindow, datetime], days: int
    ) -> None:
        window, at = case
        deadline = Deadline(at + days * DAY, "it ends")
        admission = admit(window, deadline, at, is_unfinished=False)
        if admission.until is None:
            assert window.is_open(at) or at >= deadline.at
        else:
            assert at < admission.until <= deadline.at
            assert admit(window, deadline, admission.until, is_unfinished=False).until is None
