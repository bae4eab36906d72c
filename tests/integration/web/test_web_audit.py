"""Audit in the browser: who did what is found, read, downloaded and verified."""

import base64
import html
import json
import re
import sqlite3
from datetime import UTC, datetime, timedelta

import pytest

from certwright.domain.access import Permission, Role
from certwright.domain.audit import Action, the_store
from certwright.domain.identifiers import Identifier
from certwright.domain.managed import TaskSettings
from certwright.domain.windows import MaintenanceWindow, Span
from certwright.engine.audit import entries, verify_file
from certwright.engine.windows import put_window, remove_window
from world.web import House, Seen, landed

HOSTILE = "<script>alert(1)<b>"


def window(house: House, name: str, span: str = "Sat 22:00-04:00") -> None:
    put_window(house.engine, MaintenanceWindow(name=name, zone="UTC", spans=(Span.parse(span),)))


def rows(seen: Seen) -> int:
    return seen.text.partition("<tbody>")[2].partition("</tbody>")[0].count("<tr>")


def test_only_what_differs_is_told_of_a_change(house: House) -> None:
    window(house, "nights")
    window(house, "nights", "Sun 22:00-04:00")
    remove_window(house.engine, "nights")
    seen = house.signed_in(Role.AUDITOR).get("/audit")
    assert "changed window nights spans: " in seen.words
    cells = [row.rpartition("<td>")[2] for row in seen.text.split("<tr>") if "window nights" in row]
    removed, changed, added = cells
    assert ("→" in changed, "zone" in changed) == (True, False)
    assert ("zone: UTC" in added, "→" in added) == (True, False)
    assert "zone: UTC → nothing" in removed


def test_of_a_part_of_something_too(house: House) -> None:
    with house.engine.store.write() as unit:
        issuer = unit.issuers.get("le")
        other = issuer.capabilities.model_copy(update={"internal_names": True})
        unit.issuers.update(issuer.model_copy(update={"capabilities": other}))
    seen = house.signed_in(Role.AUDITOR).get("/audit?kind=issuer&action=changed").words
    assert ("capabilities.internal_names: false → true" in seen, "wildcards" in seen) == (True, False)


def test_of_tasks_only_what_differs_and_by_their_titles(house: House) -> None:
    mail, browser = house.managed("mail.contoso.com"), house.signed_in(Role.AUDITOR)
    one, two = (TaskSettings(kind="script", title=title, params={"program": "/p"}) for title in ("one", "two"))

    def told(*tasks: TaskSettings) -> str:
        with house.engine.store.write() as unit:
            unit.managed.update(mail.model_copy(update={"tasks": tasks}))
        newest = browser.get("/audit?kind=certificate").text.partition("<tbody>")[2].partition("</tr>")[0]
        return html.unescape(" ".join(re.findall(r"<small>(tasks[^<]*)", newest)))

    added = told(one, two)
    assert ("tasks: one, two" in added, "tasks.two.params.program: /p" in added) == (True, True)
    other = two.model_copy(update={"title": "last"})
    assert told(one, other) == "tasks.last.title: two → last"
    assert told(one, other.model_copy(update={"params": {"program": "/q"}})) == "tasks.last.params.program: /p → /q"
    assert told(other.model_copy(update={"params": {"program": "/q"}}), one) == "tasks: one, last → last, one"


def test_of_what_is_long_the_part_that_differs(house: House) -> None:
    names = [f"n{number:02}.test" for number in range(60)]
    mail, browser = house.managed("mail.contoso.com"), house.signed_in(Role.AUDITOR)
    for each in (names, [*names[:-1], "new.test"], ["first.test", *names]):
        with house.engine.store.write() as unit:
            unit.managed.update(mail.model_copy(update={"identifiers": tuple(map(Identifier.parse, each))}))
    first, last, *_ = re.findall(r"<small>identifiers: ([^<]*)", browser.get("/audit?kind=certificate").text)
    assert (first.startswith("n00.test, "), " … → first.test, n00.test, " in first) == (True, True)
    assert (last.startswith("… "), "n59.test → … " in last, last.endswith("new.test")) == (True, True, True)


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR])
def test_it_is_for_those_who_may_see_it(house: House, role: Role) -> None:
    browser = house.signed_in(role)
    assert browser.get("/audit").status == 403
    assert {browser.post(f"/audit/{act}").status for act in ("export", "verify", "head")} == {403}
    assert 'href="/audit"' not in browser.get("/").text


def test_it_is_found_by_what_the_address_says(house: House) -> None:
    window(house, "nights")
    browser = house.signed_in(Role.AUDITOR)
    today = datetime.now(UTC).date()
    yesterday, tomorrow = today - timedelta(days=1), today + timedelta(days=1)
    found = {
        "by=auditor": 1,
        "by=nobody": 0,
        "action=signed+in": 1,
        "kind=window&action=added": 1,
        "to=nights": 1,
        f"to=nights&since={yesterday}&until={tomorrow}": 1,
        f"to=nights&until={yesterday}": 0,
        f"to=nights&since={today + timedelta(days=2)}": 0,
    }
    assert {query: rows(browser.get(f"/audit?{query}")) for query in found} == found
    assert "Nothing of that kind was done. Show all" in browser.get("/audit?by=nobody").words
    chosen = browser.get(f"/audit?kind=window&since={yesterday}").text
    assert ('<option value="window" selected>' in chosen, f'value="{yesterday}"' in chosen) == (True, True)


@pytest.mark.parametrize(
    "query", ["action=nonsense", "kind=x", "since=monday", "until=9999-12-31", "before=0", f"by={'x' * 301}"]
)
def test_what_cannot_be_looked_for_is_told_where_it_is_chosen(house: House, query: str) -> None:
    seen = house.signed_in(Role.AUDITOR).get(f"/audit?{query}&to=nights")
    assert (seen.status, rows(seen), "Nothing of that kind was done." in seen.words) == (422, 0, False)
    assert 'name="to" value="nights"' in seen.text, "what was chosen beside it stays"


def test_days_the_wrong_way_round_are_told(house: House) -> None:
    seen = house.signed_in(Role.AUDITOR).get("/audit?since=2026-11-30&until=2026-11-29")
    assert (seen.status, "The last day is before the first one." in seen.words) == (422, True)


def test_that_names_are_looked_for_exactly_is_said_beside_them(house: House) -> None:
    seen = house.signed_in(Role.AUDITOR).get("/audit?by=AUDITOR")
    assert (rows(seen), "whole, and with their capitals" in seen.words) == (0, True)


def test_pages_follow_each_other_and_keep_what_was_chosen(house: House) -> None:
    for number in range(52):
        window(house, f"nights-{number:02}")
    browser = house.signed_in(Role.AUDITOR)
    first = browser.get("/audit?kind=window")
    assert (rows(first), "nights-51" in first.text, "nights-01" in first.text) == (50, True, False)
    following = first.text.partition('<p><a href="/audit?')[2].partition('"')[0].replace("&amp;", "&")
    second = browser.get(f"/audit?{following}")
    assert (rows(second), "nights-01" in second.text, "Next page" in second.text) == (2, True, False)


def test_the_whole_is_downloaded_as_it_is_verified_elsewhere(house: House) -> None:
    window(house, "nights")
    browser = house.signed_in(Role.AUDITOR)
    assert browser.post("/audit/head").status == 303
    seen = browser.post("/audit/export")
    assert seen.headers["Content-Disposition"] == 'attachment; filename="certwright-audit-20261129-1200.jsonl"'
    lines = [json.loads(line) for line in seen.text.splitlines()]
    assert len([each for each in lines if "entry" in each]) == len(entries(house.engine))
    (file := house.folder / "trail.jsonl").write_bytes(seen.body)
    found = verify_file(file, {}, None)
    assert (found.heads, found.faults) == (1, ())


def test_the_head_is_shown_and_signed_when_it_is_asked_for(house: House) -> None:
    browser = house.signed_in(Role.AUDITOR)
    assert "None is signed yet" in browser.get("/audit").words
    assert browser.post("/audit/head").headers["Location"] == "/audit"
    with house.engine.store.read() as unit:
        signed = unit.trail.last_head()
    assert signed
    seen = browser.get("/audit").words
    in_hex = base64.b64decode(signed.signature).hex()
    assert (str(signed.head) in seen, in_hex in seen) == (True, True), "as the service's log tells them"


def test_verifying_says_what_is_found(house: House) -> None:
    window(house, "nights")
    number = entries(house.engine)[0].number
    browser = house.signed_in(Role.AUDITOR)
    count = len(entries(house.engine))
    _, seen = landed(browser, browser.post("/audit/verify"))
    assert f"{count} entries are there, each as it was written; no head is signed yet." in seen.words
    with sqlite3.connect(house.settings.database) as database:
        database.execute("UPDATE audit SET text = replace(text, 'nights', 'rights') WHERE title = 'nights'")
    _, seen = landed(browser, browser.post("/audit/verify"))
    assert "The audit trail is not as it was written." in seen.words
    assert f"Entry {number} was altered: its hash is another one." in seen.words
    assert "ask who could write to the store" in seen.words
    assert [job.takes for job in house.jobs.list(house.engine, 2)] == [Permission.AUDIT] * 2, (
        "who may see what it found"
    )


def test_what_somebody_typed_is_text(house: House) -> None:
    window(house, HOSTILE)
    seen = house.signed_in(Role.AUDITOR).get("/audit?by=%22%3E%3Cscript%3Ealert(1)%3C/script%3E")
    assert HOSTILE not in seen.text
    seen = house.signed_in(Role.AUDITOR).get("/audit")
    assert (HOSTILE in seen.text, "&lt;script&gt;" in seen.text) == (False, True)


def test_the_store_itself_is_named_once_and_in_the_reader_s_language(house: House) -> None:
    house.engine.note(Action.EXPORTED, the_store(house.engine.store.id), {})
    browser = house.signed_in()
    assert "the store" not in browser.get("/audit?kind=store", **{"Accept-Language": "de"}).words
