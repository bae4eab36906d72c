"""Journals as they are written, to many listeners at once."""

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from certwright.api import live
from certwright.domain.runs import Entry, Outcome, Phase, Run, RunKind
from world.api import Service


def begin(service: Service) -> Run:
    run = Run(managed_id="0123456789ab", kind=RunKind.REQUEST, started_at=service.clock())
    with service.engine.store.write() as unit:
        unit.runs.start(run)
    return run


def write(service: Service, run: Run, *titles: str) -> None:
    for title in titles:
        with service.engine.store.write() as unit:
            unit.runs.append(Entry(run_id=run.id, at=service.clock(), step=1, phase=Phase.NOTE, title=title))


def end(service: Service, run: Run) -> None:
    with service.engine.store.write() as unit:
        unit.runs.finish(run.id, Outcome.DONE, "", service.clock() + timedelta(minutes=1))


def titles(events: Sequence[dict[str, str]]) -> list[str]:
    return [json.loads(event["data"])["title"] for event in events if event.get("event") == "entry"]


def test_a_run_is_followed_to_its_end(service: Service) -> None:
    run, other = begin(service), begin(service)
    write(service, run, "one")
    with service.client("read").events(f"/entries?run={run.id}&after=0") as events:
        assert titles([next(events)]) == ["one"]
        write(service, other, "of another run")
        write(service, run, "two", "three")
        end(service, run)
        rest = list(events)
    assert titles(rest) == ["two", "three"]
    assert rest[-1]["event"] == "end"


@pytest.mark.parametrize("state", ["ended", "unknown"])
def test_a_run_that_goes_on_no_more_is_told_whole_and_at_once(service: Service, state: str) -> None:
    run = begin(service)
    write(service, run, "one", "two")
    end(service, run)
    wanted = run.id if state == "ended" else "ba9876543210"
    with service.client("read").events(f"/entries?run={wanted}&after=0") as events:
        assert titles(list(events)) == (["one", "two"] if state == "ended" else [])


def test_who_lost_the_stream_goes_on_where_it_broke(service: Service) -> None:
    run = begin(service)
    write(service, run, "one", "two")
    with service.client("read").events("/entries?after=0") as events:
        last = next(events)["id"]
    write(service, run, "three")
    with service.client("read").events("/entries?after=0", Last_Event_ID=last) as events:
        assert titles([next(events), next(events)]) == ["two", "three"]


def test_who_asks_for_what_comes_is_told_nothing_of_before(service: Service) -> None:
    run = begin(service)
    write(service, run, "before")
    for name in ("first", "second"):  # nobody has listened for a while when the second comes
        with service.client("read").events("/entries") as events:
            write(service, run, name)
            assert titles([next(events)]) == [name]
        write(service, run, "between")


def test_nobody_misses_anything(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "_KEPT", 20)
    run, client = begin(service), service.client("read")
    service.engine.store.touch()
    write(service, run, "first")

    def listen(_number: int) -> list[str]:
        with client.events(f"/entries?run={run.id}&after=0") as events:
            return titles(list(events))

    expected = ["first", *(f"line {number}" for number in range(100))]
    with ThreadPoolExecutor(20) as pool:
        found = [pool.submit(listen, number) for number in range(20)]
        write(service, run, *expected[1:])
        end(service, run)
        assert all(one.result(60) == expected for one in found)


def test_journals_are_read_page_by_page(service: Service) -> None:
    run, client, told, after = begin(service), service.client("read"), [], 0
    write(service, run, *"abcde")
    while after is not None:
        page = client.get(f"/runs/{run.id}/entries?limit=2&after={after}")
        told += [entry["title"] for entry in page["items"]]
        after = page["next"]
    assert told == list("abcde")
    assert client.get(f"/runs/{run.id}")["kind"] == "request"
    assert client.get("/runs/ba9876543210", 404)["detail"] == "There is no run 'ba9876543210'."


def test_runs_are_read_page_by_page_newest_first(service: Service) -> None:
    made = [begin(service).id for _ in range(5)]
    client, told, before = service.client("read"), [], ""
    while before is not None:
        page = client.get(f"/runs?limit=2{before and f'&before={before}'}")
        told += [run["id"] for run in page["items"]]
        before = page["next"]
    assert told == made[::-1]
    assert client.get("/runs?before=ba9876543210", 404)
    assert client.get("/runs?certificate=ba9876543210")["items"] == []
