from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Lock

import pytest

from certwright.engine.slots import MOST, Slots


def test_no_more_work_at_once_than_there_are_places() -> None:
    slots, lock = Slots({"authority": 3, "dns": 1}), Lock()
    inside, most = Counter[str](), Counter[str]()

    def work(name: str) -> None:
        with slots.taken(name):
            with lock:
                inside[name] += 1
                most[name] = max(most[name], inside[name])
            with lock:
                inside[name] -= 1

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, ["authority:le", "dns:zone"] * 200))
    assert most["authority:le"] <= 3
    assert most["dns:zone"] == 1


def test_as_many_as_there_are_places_work_together_and_names_do_not_hinder_each_other() -> None:
    slots = Slots()
    together = Barrier(2 * MOST["authority"])

    def work(name: str) -> None:
        with slots.taken(name):
            together.wait(60)

    with ThreadPoolExecutor(together.parties) as pool:
        list(pool.map(work, ["authority:a", "authority:b"] * MOST["authority"]))


def test_a_place_is_given_back_after_a_failure() -> None:
    slots = Slots({"dns": 1})
    for _ in range(3):
        with pytest.raises(ValueError, match="broken"), slots.taken("dns:a"):
            raise ValueError("broken")
