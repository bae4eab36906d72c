"""What is waited for: on the node that does it, and on another one that shows the same pages."""

import threading
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from certwright import web
from certwright.domain.access import Role
from certwright.engine.channels import add_channel
from certwright.engine.jobs import Jobs
from certwright.engine.live import Live
from certwright.probe import Endpoint
from certwright.server.http import listening
from certwright.web.problems import BY_ITSELF
from peers.patient import patient
from peers.ports import free_port
from world.web import Browser, House, Seen, landed, send, upload

PAGE, NO_SCRIPT = "data-at-work", '<noscript><meta http-equiv="refresh" content="1"></noscript>'


@contextmanager
def other_node(house: House) -> Iterator[Endpoint]:
    """Where another process with the same store shows its pages."""
    at, jobs = Endpoint("127.0.0.1", free_port()), Jobs(house.engine)
    app = web.application(house.engine, web.SetupToken(), lambda: None, Live(house.engine.store), jobs)
    with listening(at, app):
        yield at
    jobs.close()


@pytest.fixture
def answers(house: House) -> Iterator[threading.Event]:
    """A channel `hook`, whose peer answers once this is set."""
    with patient() as peer:
        add_channel(house.engine, "webhook", "hook", {"url": peer.url}, checked=False)
        yield peer.goes_on


def begun(browser: Browser) -> str:
    """Where the end of a test message is awaited."""
    seen = browser.post("/notifications/channels/test", name="hook")
    assert seen.status == 303, seen.words
    return str(seen.headers["Location"])


def ended(browser: Browser, path: str) -> Seen:
    """What a browser without scripts sees there when it has ended."""
    give_up = time.monotonic() + 60
    while NO_SCRIPT in (seen := browser.get(path)).text:
        assert time.monotonic() < give_up
        time.sleep(0.1)
    return seen


def by_itself(browser: Browser, path: str) -> Seen:
    """As `live.js` asks."""
    return browser.get(path, **{BY_ITSELF: "1"})


def test_another_node_says_that_it_is_not_the_one_and_how_it_ended(house: House, answers: threading.Event) -> None:
    browser = house.signed_in()
    with other_node(house) as at:
        path, elsewhere = begun(browser), Browser(at, browser.cookie)
        mine, its = browser.get(path), elsewhere.get(path)
        assert [(each.status, PAGE in each.text, NO_SCRIPT in each.text) for each in (mine, its)] == [
            (200, True, True)
        ] * 2
        assert "on another node than the one that shows you this page" in its.words
        assert "Send a test message by hook" in its.words
        assert '<a href="/notifications">Back</a>' in its.text
        assert '<a href="/">Back</a>' in elsewhere.get(f"{path.partition('?')[0]}?back=//fabrikam.test").text
        answers.set()
        assert [
            (PAGE in each.text, "Sent." in each.words) for each in (ended(browser, path), ended(elsewhere, path))
        ] == [(False, True)] * 2
        others = house.signed_in(Role.OPERATOR)
        assert [each.get(path).status for each in (others, Browser(at, others.cookie))] == [404, 404]


def test_another_node_tells_why_nothing_came_of_it_and_whose_result_leads_on(house: House) -> None:
    browser = house.signed_in()
    with other_node(house) as at:
        elsewhere, add = Browser(at, browser.cookie), "/credentials/add/exchange"
        well = browser.post(add, name="ex", username="svc", password="word").headers["Location"]
        badly = browser.post(add, name="ex", password="word").headers["Location"]
        assert "It has ended well." in ended(elsewhere, well).words
        assert "A credential of the kind exchange has a user name." in ended(elsewhere, badly).words


def test_a_page_that_asks_by_itself_is_told_where_to_go_on(house: House) -> None:
    browser = house.signed_in()
    path = browser.post("/credentials/add/exchange", name="ex", username="svc", password="word").headers["Location"]
    assert browser.get(path).headers["Location"] == "/credentials"
    told = by_itself(browser, path)
    assert (told.status, told.headers["HX-Redirect"], told.text) == (200, "/credentials", "")


def test_what_cannot_begin_beside_others_is_told_and_what_was_typed_is_kept(
    house: House, answers: threading.Event
) -> None:
    browser = house.signed_in()
    for number in range(8):
        house.jobs.begin(house.engine, f"job {number}", "", lambda _: answers.wait())
    path, seen = landed(browser, browser.post("/credentials/add/exchange", name="ex", username="svc", password="word"))
    assert (path.startswith("/credentials/add/exchange?again="), seen.status) == (True, 409)
    assert ("8 jobs are under way" in seen.words, 'value="svc"' in seen.text) == (True, True)
    assert "8 jobs are under way" in browser.get(begun(browser)).words
    answers.set()


@pytest.mark.parametrize("lost", [False, True])
def test_what_one_person_sends_along_again_and_again_fills_no_memory(
    house: House, answers: threading.Event, *, lost: bool
) -> None:
    mail, browser = house.managed("mail.contoso.com"), house.signed_in(Role.REQUESTER)
    for number in range(8):
        house.jobs.begin(house.engine, f"job {number}", "", lambda _: answers.wait())
    kind, body = "application/x-www-form-urlencoded", b"x=" + b"y" * 1_000_000
    if lost:  # what stands before the first part is no field
        kind, body = "multipart/form-data; boundary=b", body + b"\r\n--b--\r\n"
    tracemalloc.start()
    try:
        for _ in range(20):
            assert send(browser, f"/certificates/{mail.id}/preview", kind, body).status == 303
        assert tracemalloc.get_traced_memory()[0] < 5_000_000
    finally:
        tracemalloc.stop()
        answers.set()


def test_why_nothing_came_of_what_was_sent_holds_nothing_of_it(house: House) -> None:
    browser = house.signed_in()
    tracemalloc.start()
    try:
        for _ in range(20):
            landed(browser, upload(browser, "/new/file", b"x" * 1_000_000))
        assert tracemalloc.get_traced_memory()[0] < 5_000_000
    finally:
        tracemalloc.stop()


def test_of_each_person_the_last_that_ended_are_known(house: House, answers: threading.Event) -> None:
    browser, other = house.signed_in(), house.signed_in(Role.OPERATOR)
    under_way, theirs = begun(browser), begun(other)
    for number in range(6):
        house.jobs.begin(house.engine, f"job {number}", "", lambda _: answers.wait())
    ended = [begun(browser) for _ in range(51)]
    assert [browser.get(path).status for path in (ended[0], ended[1], under_way)] == [404, 200, 200]
    assert other.get(theirs).status == 200
    answers.set()
