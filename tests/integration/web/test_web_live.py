"""What a browser listens to: told as it happens, gone on with after a break, for whoever is signed in."""

import http.client
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest

from certwright.domain.access import Role
from certwright.domain.runs import Entry, Phase, Run, RunKind
from certwright.engine import hold, live
from certwright.engine.managed import set_tags
from certwright.engine.people import add_person
from certwright.web.problems import BY_ITSELF
from world.api import read_events
from world.web import PASSWORD, Browser, House


def write(house: House, *titles: str, of: str = "0123456789ab") -> Run:
    run = Run(managed_id=of, kind=RunKind.REQUEST, started_at=house.clock())
    with house.engine.store.write() as unit:
        unit.runs.start(run)
        for title in titles:
            unit.runs.append(Entry(run_id=run.id, at=house.clock(), step=1, phase=Phase.NOTE, title=title))
    return run


@contextmanager
def listening(browser: Browser, path: str, **headers: str) -> Iterator[Iterator[dict[str, str]]]:
    connection = http.client.HTTPConnection(browser.at.host, browser.at.port, timeout=60)
    try:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request("GET", path, headers={"Cookie": f"certwright={browser.cookie}", **sent})
        answer = connection.getresponse()
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        assert answer.headers["Cache-Control"] == "no-store"
        yield read_events(answer)
    finally:
        connection.close()


def test_what_a_run_writes_is_told_and_gone_on_with(house: House) -> None:
    browser = house.signed_in()
    first = write(house, "one", "two")
    with house.engine.store.read() as unit:
        acts, _ = unit.trail.end() or (0, "")
    with listening(browser, "/live?after=0") as events:
        assert next(events) == {"id": f"2-{acts}", "event": "entry", "data": first.id}
        second = write(house, "three")
        assert next(events) == {"id": f"3-{acts}", "event": "entry", "data": second.id}
    with listening(browser, "/live?after=0", Last_Event_ID=f"2-{acts}") as events:
        assert next(events)["id"] == f"3-{acts}"
    assert f'data-known="3-{acts}"' in browser.get("/").text


def test_what_somebody_changes_is_told_too(house: House) -> None:
    mail, browser = house.managed("mail.contoso.com"), house.signed_in()
    known = re.findall('data-known="(.*?)"', browser.get("/").text)[0]
    with listening(browser, f"/live?after={known}") as events:
        hold.hold(house.engine, mail.id, "the server moves", None)
        told = next(events)
    assert (told["event"], told["data"]) == ("act", "certificate")
    with listening(browser, f"/live?after={known}") as events:
        assert next(events) == told
    with listening(browser, "/live?after=0", Last_Event_ID=known) as events:
        assert next(events) == told


def test_who_sees_some_certificates_hears_of_their_runs_alone(house: House) -> None:
    seen, unseen = house.managed("mail.contoso.com"), house.managed("hr.contoso.com")
    set_tags(house.engine, seen.id, ["mail"])
    add_person(house.engine, "anna", Role.VIEWER, PASSWORD, ("mail",))
    browser = house.browser()
    assert browser.post("/sign-in", name="anna", password=PASSWORD).status == 303
    with listening(browser, "/live?after=0") as events:
        write(house, "one", of=unseen.id)
        told = write(house, "two", of=seen.id)
        assert next(event for event in events if event["event"] == "entry")["data"] == told.id


def test_who_is_not_signed_in_hears_nothing(house: House) -> None:
    assert house.browser().get("/live").status == 401


def test_the_stream_ends_with_the_session(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "ADMITTED_SECONDS", 0)
    browser = house.signed_in()
    with listening(browser, "/live?after=0") as events:
        assert browser.post("/sign-out").status == 303
        write(house, "one")
        assert list(events) == []


def test_a_page_that_is_asked_for_by_itself_is_no_sign_of_life(house: House) -> None:
    browser = house.signed_in()
    found = []
    for _ in range(4):
        house.clock.now += timedelta(minutes=20)
        found.append(browser.get("/", **{BY_ITSELF: "1"}).status)
    assert found == [200, 200, 401, 401]
