"""Journals as they are written, to many listeners at once."""

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import islice

import pytest
from sqlalchemy import func, select, update

from certwright.domain.audit import Action, SubjectKind, named
from certwright.domain.runs import Entry, Outcome, Phase, Run, RunKind
from certwright.engine import hold, live
from certwright.engine.managed import remove, set_tags
from certwright.engine.tokens import remove_token
from certwright.store.schema import audit, entries
from world.api import Service
from world.processes import until


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


def test_who_knows_more_than_there_is_since_a_backup_was_restored_is_told_what_comes(service: Service) -> None:
    mail, run = service.managed("mail.contoso.com"), begin(service)
    write(service, run, "one")
    with service.client("read").events("/entries", Last_Event_ID="9000-9000") as events:
        write(service, run, "two")
        assert titles([next(events)]) == ["two"]
        hold.hold(service.engine, mail.id, "the server moves", None)
        assert told(events, 1) == [("held back", "certificate", "mail.contoso.com")]


def test_an_entry_that_cannot_be_read_holds_listeners_up_no_longer_than_it_is_so(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    run = begin(service)
    with service.client("read").events("/entries?after=0") as events:
        with service.engine.store.write() as unit:
            unit.runs.append(Entry(run_id=run.id, at=service.clock(), step=1, phase=Phase.NOTE, title="one"))
            unit.runs.connection.execute(update(entries).values(phase="nothing"))
        until(lambda: "unexpected, while listeners wait" in caplog.text)
        with service.engine.store.write() as unit:
            unit.runs.connection.execute(update(entries).values(phase=Phase.NOTE))
        assert titles([next(events)]) == ["one"]


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


def test_a_stream_ends_when_its_token_is_removed(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "ADMITTED_SECONDS", 0)
    run, client = begin(service), service.client("read")
    with client.events("/entries?after=0") as events:
        remove_token(service.engine, "read")
        write(service, run, "not for those who may not read any more")
        assert list(events) == []


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


def told(events: Iterator[dict[str, str]], number: int) -> list[tuple[str, str, str]]:
    """The next so many changes."""
    found = [json.loads(event["data"]) for event in islice((e for e in events if e["event"] == "change"), number)]
    return [(each["action"], each["kind"], each["title"]) for each in found]


def test_what_becomes_of_lists_is_told_and_gone_on_with(service: Service) -> None:
    client, mail = service.client("read"), service.managed("mail.contoso.com")
    run = begin(service)
    write(service, run, "one")
    with client.events("/entries?after=0") as events:
        assert titles([next(events)]) == ["one"]
        hold.hold(service.engine, mail.id, "the server moves", None)
        event = next(events)
        assert event["event"] == "change"
        change = json.loads(event["data"])
        assert (change["action"], change["kind"], change["id"]) == ("held back", "certificate", mail.id)
        assert event["id"] == f"1-{change['number']}"
    hold.release(service.engine, mail.id)
    service.managed("shop.contoso.com")
    write(service, run, "two")
    with client.events("/entries", Last_Event_ID=event["id"]) as events:
        first = next(events)
        assert titles([first]) == ["two"]
        assert told(events, 2) == [
            ("released", "certificate", "mail.contoso.com"),
            ("added", "certificate", "shop.contoso.com"),
        ]
    with client.events(f"/entries?after_change={change['number']}") as events:
        assert told(events, 1) == [("released", "certificate", "mail.contoso.com")]
    remove(service.engine, mail.id)
    with client.events(f"/entries?after_change={change['number'] + 2}") as events:
        assert told(events, 1) == [("removed", "certificate", "mail.contoso.com")]


def test_who_is_limited_hears_of_own_certificates_alone_and_nobody_of_what_is_not_listed(service: Service) -> None:
    ours, theirs = service.managed("ours.contoso.com", tags=("berlin",)), service.managed("theirs.contoso.com")
    limited, unlimited = service.client("read", tags=("berlin",)), service.client("administer", "read")
    with limited.events("/entries") as events, unlimited.events("/entries") as all_events:
        service.client("audit")
        hold.hold(service.engine, theirs.id, "not yours", None)
        set_tags(service.engine, ours.id, ["hamburg"])
        hold.hold(service.engine, ours.id, "not yours any more", None)
        service.managed("new.contoso.com", tags=("berlin",))
        assert told(events, 2) == [
            ("changed", "certificate", "ours.contoso.com"),
            ("added", "certificate", "new.contoso.com"),
        ]
        assert told(all_events, 2) == [("added", "token", "audit"), ("held back", "certificate", "theirs.contoso.com")]


def test_an_entry_of_the_trail_that_was_altered_holds_nobody_up(service: Service) -> None:
    mail, client = service.managed("mail.contoso.com"), service.client("read")
    with client.events("/entries") as events:
        with service.engine.store.write() as unit:
            unit.trail.note(Action.CHANGED, named(SubjectKind.WINDOW, "night"))
            newest = select(func.max(audit.c.number)).scalar_subquery()
            unit.trail.connection.execute(update(audit).where(audit.c.number == newest).values(text="{}"))
        hold.hold(service.engine, mail.id, "the server moves", None)
        assert told(events, 1) == [("held back", "certificate", "mail.contoso.com")]


def test_of_one_run_no_change_is_told(service: Service) -> None:
    mail, run = service.managed("mail.contoso.com"), begin(service)
    with service.client("read").events(f"/entries?run={run.id}&after=0") as events:
        hold.hold(service.engine, mail.id, "the server moves", None)
        write(service, run, "one")
        end(service, run)
        assert [event["event"] for event in events] == ["entry", "end"]
