"""When the authority wishes the renewal of a version (RFC 9773): what its answers make of what was known."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from certwright.domain.clocks import awaited
from certwright.domain.renewal_moments import date_in_words as _date
from certwright.domain.renewal_state import Advice, RenewalState

ASK_AT_LEAST = timedelta(hours=12)
"""The authority's advice is asked for at least as often as this (RFC 9773 section 4.3)."""

_ASK_AT_MOST = timedelta(minutes=1)
_ASK_SILENT = timedelta(days=1)
"""An authority that gives no advice is asked as often as this; nothing is put off for longer."""


@dataclass(frozen=True, slots=True)
class Window:
    """The authority's answer: when it wishes the renewal (RFC 9773), and how long its answer holds."""

    start: datetime
    end: datetime
    explanation_url: str | None
    holds: timedelta


def is_asked_later(state: RenewalState, now: datetime) -> bool:
    """Whether the next question is still to come."""
    return awaited(state.ask_again, now, _ASK_SILENT)


def draw(advice_start: datetime, advice_end: datetime, fraction: float) -> datetime:
    """The moment within the authority's window that `fraction` (from 0 up to 1) chooses (RFC 9773 section 4.2)."""
    return advice_start + (advice_end - advice_start) * fraction


def heed(state: RenewalState, version_id: str, window: Window | None, fraction: float, now: datetime) -> RenewalState:
    """The state after the authority was asked.

    Args:
        state: what was known.
        version_id: the version that was asked about.
        window: the answer; None if the authority gives no advice.
        fraction: a random number from 0 up to 1; it counts only where a moment has to be drawn.
        now: the moment of the answer.
    """
    if window is None:
        return state.model_copy(update={"advice": None, "ask_again": now + _ASK_SILENT})
    known = state.advice
    advice = Advice(
        start=window.start,
        end=window.end,
        moment=draw(window.start, window.end, fraction),
        explanation_url=window.explanation_url,
        version_id=version_id,
    )
    if known and (known.start, known.end, known.version_id) == (advice.start, advice.end, version_id):
        advice = advice.model_copy(update={"moment": known.moment})
    again = now + min(max(window.holds, _ASK_AT_MOST), ASK_AT_LEAST)
    return state.model_copy(update={"advice": advice, "ask_again": again})


def moved(before: RenewalState, after: RenewalState) -> str:
    """What is to be told of a change of the authority's mind, in one sentence; empty if there is none."""
    old, new = before.advice, after.advice
    if new is None or (old is not None and old.version_id != new.version_id):
        return ""
    why = f" Its reason: {new.explanation_url}" if new.explanation_url else ""
    if old is None:
        return f"The authority asks for a renewal out of the ordinary.{why}" if why else ""
    if (old.start, old.end) == (new.start, new.end):
        return ""
    return (
        f"The authority moved the renewal from {_date(old.start)} - {_date(old.end)} to {_date(new.start)} - "
        f"{_date(new.end)}.{why}"
    )
