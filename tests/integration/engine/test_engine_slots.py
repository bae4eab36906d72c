"""Places at an authority or a DNS provider: within a process, and over all nodes that share a store."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from shutil import copytree
from threading import Barrier, Lock

import pytest
from sqlalchemy import update

from certwright.engine.slots import MOST, Slots
from certwright.store import Store
from certwright.store.schema import leases
from peers.postgres import Postgres
from world.site import Site


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Site(tmp_path).initialise().engine() as engine:
        yield engine.store


def test_no_more_work_at_once_than_there_are_places(store: Store) -> None:
    slots, lock = Slots({"authority": 3, "dns": 1}), Lock()
    inside, most = Counter[str](), Counter[str]()

    def work(name: str) -> None:
        with slots.taken(store, name):
            with lock:
                inside[name] += 1
                most[name] = max(most[name], inside[name])
            with lock:
                inside[name] -= 1

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, ["authority:le", "dns:zone"] * 200))
    assert most["authority:le"] <= 3
    assert most["dns:zone"] == 1


def test_as_many_as_there_are_places_work_together_and_names_do_not_hinder_each_other(store: Store) -> None:
    slots = Slots()
    together = Barrier(2 * MOST["authority"])

    def work(name: str) -> None:
        with slots.taken(store, name):
            together.wait(60)

    with ThreadPoolExecutor(together.parties) as pool:
        list(pool.map(work, ["authority:a", "authority:b"] * MOST["authority"]))


def test_a_place_is_given_back_after_a_failure(store: Store) -> None:
    slots = Slots({"dns": 1})
    for _ in range(3):
        with pytest.raises(ValueError, match="broken"), slots.taken(store, "dns:a"):
            raise ValueError("broken")


def test_nodes_together_have_no_more_places_than_one(tmp_path: Path, postgres: Postgres) -> None:
    url = postgres.schema()
    first, second = (Site(tmp_path / name, store_url=url) for name in ("first", "second"))
    first.initialise()
    copytree(first.folder / "keys", second.folder / "keys")
    lock, together, inside, seen = Lock(), Barrier(2), 0, Counter[int]()
    with first.engine() as one, second.engine() as two, ThreadPoolExecutor(8) as pool:
        nodes = [(Slots({"authority": 3}), engine.store) for engine in (one, two)]

        def meet(number: int) -> None:
            slots, store = nodes[number]
            with slots.taken(store, "authority:other"):
                together.wait(60)

        list(pool.map(meet, range(2)))

        def work(number: int) -> None:
            nonlocal inside
            slots, store = nodes[number % 2]
            with slots.taken(store, "authority:le"):
                with lock:
                    inside += 1
                    seen[inside] += 1
                with store.read():
                    pass
                with lock:
                    inside -= 1

        list(pool.map(work, range(40)))
        assert max(seen) <= 3
        with two.store.write() as unit:  # as if a node had died there
            unit.leases.connection.execute(update(leases).values(expires_at=two.now(), pid=0, started=""))
        with nodes[0][0].taken(one.store, "authority:le"), one.store.read() as unit:
            assert len(unit.leases.held(one.now())) == 1
