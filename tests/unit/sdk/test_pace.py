"""Whoever asks the same place waits in one queue: by a clock that stands still."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from certwright.sdk import pace
from certwright.sdk.pace import await_turn


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """For how long each had to wait."""
    waited: list[float] = []
    monkeypatch.setattr(pace, "_turns", {})
    monkeypatch.setattr(pace, "monotonic", lambda: 1000.0)
    monkeypatch.setattr(pace, "sleep", waited.append)
    return waited


def test_turns_are_a_part_of_a_second_apart_whoever_takes_them(waits: list[float]) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(await_turn, ["host"] * 40, [8] * 40))
    assert sorted(waits) == [number / 8 for number in range(40)]


def test_places_do_not_wait_for_each_other(waits: list[float]) -> None:
    for place in ("one", "two", "one"):
        await_turn(place, 4)
    assert waits == [0, 0, 0.25]


def test_who_asks_seldom_waits_for_nothing(waits: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    await_turn("host", 2)
    monkeypatch.setattr(pace, "monotonic", lambda: 1000.5)
    await_turn("host", 2)
    assert waits == [0, 0]
