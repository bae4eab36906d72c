"""Who guesses waits longer each time, and locks nobody else out."""

import threading
from concurrent.futures import ThreadPoolExecutor, as_completed
from datetime import UTC, datetime, timedelta
from itertools import islice

import pytest

from certwright.domain.errors import Throttled
from certwright.engine import attempts as counted
from certwright.engine.attempts import (
    FREE,
    FREE_FROM_ADDRESS,
    FREE_OF_NAME,
    MOST_WAITING,
    MOST_WAITING_FROM_ONE,
    Attempts,
)

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
HERE, THERE = "192.0.2.1", "198.51.100.7"


def is_free(attempts: Attempts, who: str, address: str, now: datetime = NOW) -> bool:
    try:
        attempts.check(who, address, now)
    except Throttled:
        return False
    return True


def test_who_guesses_at_one_name_waits_longer_each_time_and_nobody_elsewhere_does() -> None:
    attempts = Attempts()
    ends = [attempts.failed("anna", HERE, NOW) for _ in range(FREE + 2)]
    assert ends == [None] * (FREE - 1) + [NOW + timedelta(minutes=each) for each in (1, 2, 4)]
    assert [is_free(attempts, "anna", each) for each in (HERE, THERE)] == [False, True]
    assert is_free(attempts, "anna", HERE, NOW + timedelta(minutes=4))
    with pytest.raises(Throttled, match="looked at in 4 min") as waits:
        attempts.check("anna", HERE, NOW)
    assert waits.value.retry_after == timedelta(minutes=4)


def test_who_tries_many_names_waits_but_not_who_is_known_there() -> None:
    attempts = Attempts()
    attempts.succeeded("anna", HERE)
    for each in range(FREE_FROM_ADDRESS):
        attempts.failed(f"name-{each}", HERE, NOW)
    assert [is_free(attempts, who, HERE) for who in ("anna", "berta")] == [True, False]
    assert is_free(attempts, "berta", THERE)


def test_many_addresses_lock_a_name_for_strangers_only() -> None:
    attempts = Attempts()
    attempts.succeeded("anna", HERE)
    for each in range(FREE_OF_NAME):
        attempts.failed("anna", f"203.0.113.{each}", NOW)
    assert [is_free(attempts, "anna", each) for each in (HERE, THERE)] == [True, False]


def test_an_own_account_does_not_set_the_count_of_an_address_back() -> None:
    attempts = Attempts()
    for each in range(FREE_FROM_ADDRESS):
        attempts.failed(f"name-{each}", HERE, NOW)
        attempts.succeeded("mallory", HERE)
    assert not is_free(attempts, "anna", HERE)


def test_a_network_of_ipv6_is_one_address_and_a_day_without_failures_forgets_them() -> None:
    attempts = Attempts()
    for each in range(FREE):
        attempts.failed("anna", f"2001:db8::{each}", NOW)
    assert not is_free(attempts, "anna", "2001:db8::ffff")
    assert attempts.failed("anna", "2001:db8::1", NOW + timedelta(days=1)) is None


def test_made_up_names_push_out_no_count_that_holds_somebody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counted, "_MOST_KEPT", 50)
    attempts = Attempts()
    for each in range(FREE_OF_NAME):
        attempts.failed("anna", f"2001:db8:0:{each}::1", NOW)
        for name in range(3):
            attempts.failed(f"name-{each}-{name}", f"2001:db8:{name + 1}:{each}::1", NOW)
    for each in range(100):
        attempts.failed(f"another-{each}", f"2001:db8:9:{each}::1", NOW)
    assert not is_free(attempts, "anna", THERE)
    assert all(len(counts) <= 50 for counts in attempts._counts.values())


def test_a_few_wait_for_their_turn_and_the_rest_is_told_to_come_again() -> None:
    attempts, leave = Attempts(), threading.Event()

    def take() -> bool:
        try:
            with attempts.turn(HERE):
                return leave.wait(60)
        except Throttled:
            return False

    with ThreadPoolExecutor(MOST_WAITING) as pool:
        taken = [pool.submit(take) for _ in range(MOST_WAITING)]
        refused = MOST_WAITING - MOST_WAITING_FROM_ONE
        assert not any(each.result() for each in islice(as_completed(taken, 60), refused))
        leave.set()
    assert sum(each.result() for each in taken) == MOST_WAITING_FROM_ONE
    with attempts.turn(HERE):
        pass
