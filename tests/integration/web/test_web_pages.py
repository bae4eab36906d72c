"""What the pages show, and that nothing that strangers write is more than text."""

import html
import re
from datetime import timedelta
from urllib.parse import urlencode

import pytest

from certwright.domain.access import Caller, Permission, Role
from certwright.domain.actors import Actor, ActorKind
from certwright.domain.errors import Unreachable
from certwright.domain.runs import Entry, Outcome, Phase, Run, RunKind
from certwright.engine import duties
from certwright.engine.context import running
from certwright.web.app import PAGES
from world.web import House, landed

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>{{7*7}}"


def test_an_empty_installation_says_what_to_do_first(house: House) -> None:
    browser = house.signed_in()
    for path in ("/", "/certificates"):
        assert 'href="/new"' in browser.get(path).text


def test_what_needs_a_person_comes_first_and_leads_to_it(house: House) -> None:
    mail = house.managed("mail.contoso.com")
    house.clock.now += timedelta(days=3)  # nobody has requested it
    seen = house.signed_in().get("/")
    assert "What needs a person attention mail.contoso.com" in seen.words
    assert f'href="/certificates/{mail.id}"' in seen.text
    assert 'href="/certificates?health=attention"' in seen.text


def test_what_the_service_cannot_do_needs_a_person_too(house: House) -> None:
    house.managed("mail.contoso.com")
    duties.failed(house.engine, "backup", "The daily backup", Unreachable("The disk is away.", hint="Mount it."))
    seen = house.signed_in().get("/")
    assert "What needs a person attention The daily backup It fails since" in seen.words
    assert "The disk is away. Mount it." in seen.words
    assert "Nothing. Certwright renews" not in seen.words


def test_what_is_missing_needs_a_person_until_it_is_there(house: House) -> None:
    browser = house.signed_in()
    house.managed("mail.contoso.com")
    seen = browser.get("/")
    assert "Nobody is told of problems: there is no channel." in seen.words
    assert "If this machine stops, nobody notices." in seen.words
    assert "Nobody has shown yet that the recovery key is known" in seen.words
    assert "Nothing. Certwright renews" not in seen.words
    ways = re.findall(r'<article class="todo">.*?<a href="([^"]+)"[^>]* role="button"', seen.text, re.DOTALL)
    assert ways == [
        "/notifications/channels/add/smtp",
        "/notifications/channels/add/heartbeat",
        "/system#recovery-key",
    ]
    assert 'id="recovery-key"' in browser.get("/system").text
    viewer = house.signed_in(Role.VIEWER).get("/")
    assert ("there is no channel" in viewer.words, "/channels/add/" in viewer.text) == (True, False)
    for kind in ("webhook", "heartbeat"):
        sent = {"name": kind, "param.url": "https://hooks.contoso.com/one"}
        assert landed(browser, browser.post(f"/notifications/channels/add/{kind}", **sent))[1].status == 200
    browser.post("/system/recovery-key", recovery_key=house.recovery_key)
    assert "Nothing. Certwright renews" in browser.get("/").words


@pytest.mark.parametrize("path", ["/certificates?after=zzzz", "/tasks?after=zzzz", "/audit?before=1"])
def test_after_the_end_of_a_list_the_way_back_is_shown(house: House, path: str) -> None:
    house.managed("mail.contoso.com")
    seen = house.signed_in().get(path)
    assert "There is nothing after this: back to the first page" in seen.words
    assert f'<a href="{path.partition("?")[0]}">back to the first page' in seen.text
    assert "There is no certificate" not in seen.words


def test_certificates_are_found_by_what_the_address_says(house: House) -> None:
    browser = house.signed_in()
    for number in range(60):
        house.managed(f"host{number:02}.contoso.com")
    first = browser.get("/certificates")
    assert ("host49.contoso.com" in first.text, "host50.contoso.com" in first.text) == (True, False)
    second = browser.get("/certificates?after=host49.contoso.com")
    assert ("host50.contoso.com" in second.text, "Next page" in second.text) == (True, False)
    for part in ("HOST07.contoso.com", "t07.", " ost07"):
        one = browser.get(f"/certificates?{urlencode({'name': part})}")
        assert ("host07.contoso.com" in one.text, "host08.contoso.com" in one.text) == (True, False)
    assert "No certificate is so." in browser.get("/certificates?name=%25").words
    assert "No certificate is so." in browser.get("/certificates?issuer=other").words
    assert "host00.contoso.com" in browser.get("/certificates?health=nonsense&issuer=le").text


def test_a_renewal_is_held_with_a_reason_and_released(house: House) -> None:
    mail, browser = house.managed("mail.contoso.com"), house.signed_in()
    path = f"/certificates/{mail.id}"
    refused = browser.post(f"{path}/hold", reason=" ")
    assert (refused.status, "Say why it is held back" in refused.words) == (422, True)
    assert browser.post(f"{path}/hold", reason="the server moves").headers["Location"] == f"{path}/renewal"
    held = browser.get(path)
    assert "the server moves (administrator)" in held.words
    assert browser.post(f"{path}/release").status == 303
    assert "the server moves" not in browser.get(path).words


@pytest.mark.parametrize("path", ["/certificates/0123456789ab", "/runs/0123456789ab", "/nothing"])
def test_what_is_not_there_is_told(house: House, path: str) -> None:
    seen = house.signed_in().get(path)
    assert seen.status == 404
    assert "To the overview" in seen.words


def test_a_fault_of_ours_is_a_page_with_a_reference_to_the_log(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> None:
        raise ZeroDivisionError("c4n@ry")

    browser = house.signed_in()
    monkeypatch.setattr(house.engine.store, "read", broken)
    seen = browser.get("/certificates")
    assert (seen.status, "c4n@ry" in seen.text) == (500, False)
    (reference,) = re.findall("under the reference ([0-9a-f]{12})", seen.words)
    assert f"GET /certificates; reference {reference}" in caplog.text


def test_who_comes_before_anybody_can_sign_in_is_told_where_to_begin(house: House) -> None:
    assert "Nobody can sign in yet" in house.browser().get("/sign-in").words
    house.signed_in()
    assert "Nobody can sign in yet" not in house.browser().get("/sign-in").words


def test_what_strangers_write_is_text(house: House) -> None:
    mail, browser = house.managed("mail.contoso.com", title=HOSTILE), house.signed_in()
    run = Run(managed_id=mail.id, kind=RunKind.REQUEST, started_at=house.clock())
    with house.engine.store.write() as unit:
        unit.runs.start(run)
        for phase in (Phase.START, Phase.NOTE, Phase.END):
            outcome = Outcome.FAILED if phase is Phase.END else None
            entry = Entry(step=1, phase=phase, title=HOSTILE, outcome=outcome, detail=HOSTILE)
            unit.runs.append(entry.model_copy(update={"run_id": run.id, "at": house.clock()}))
        unit.runs.finish(run.id, Outcome.FAILED, HOSTILE, house.clock())
    browser.post(f"/certificates/{mail.id}/hold", reason=HOSTILE)
    seen = [
        browser.get(path)
        for path in (
            "/",
            "/certificates",
            f"/certificates/{mail.id}",
            f"/runs/{run.id}",
            f"/certificates/{mail.id}/log",
        )
    ]
    seen.append(browser.get("/certificates?name=" + "%3Cscript%3Ealert(1)%3C/script%3E"))
    seen.append(house.browser().post("/sign-in", name=HOSTILE, password="x", next=HOSTILE))
    seen.append(house.browser().post("/first-start", name=HOSTILE, token=house.setup.secret, password="x", again="x"))
    for each in seen:
        assert "<script>" not in each.text
        assert "<img" not in each.text
    assert HOSTILE.replace("<", "&lt;").split(">")[0] in seen[3].text
    assert "{{7*7}}" in seen[2].text


def test_a_run_that_is_under_way_is_looked_at_again_by_itself(house: House) -> None:
    mail, browser = house.managed("mail.contoso.com"), house.signed_in()
    run = Run(managed_id=mail.id, kind=RunKind.REQUEST, started_at=house.clock())
    with house.engine.certificate_lease(mail):
        with house.engine.store.write() as unit:
            unit.runs.start(run)
            unit.runs.append(Entry(run_id=run.id, at=house.clock(), step=1, phase=Phase.START, title="Order"))
        going = browser.get(f"/runs/{run.id}")
        assert (f'data-live="{run.id} certificate"' in going.text, "Order …" in going.words) == (True, True)
        for path in ("/", f"/certificates/{mail.id}"):
            assert f'href="/runs/{run.id}"' in browser.get(path).text
    with house.engine.store.write() as unit:
        unit.runs.finish(run.id, Outcome.DONE, "", house.clock())
    assert "Request done" in browser.get(f"/runs/{run.id}").words
    for path in ("/", f"/certificates/{mail.id}"):
        assert f'href="/runs/{run.id}"' not in browser.get(path).text


def test_a_second_person_is_told_who_is_at_work_and_led_to_the_log(house: House) -> None:
    mail, browser = house.managed("mail.contoso.com"), house.signed_in(Role.OPERATOR)
    anna = house.engine.acting(Caller(Actor(kind=ActorKind.PERSON, name="anna"), frozenset(Permission)))
    with anna.certificate_lease(mail) as lease, running(anna, mail, RunKind.DEPLOY, lease):
        seen = browser.post(f"/certificates/{mail.id}/hold", reason="the server moves")
        others = [browser.post(f"/certificates/{mail.id}/{act}") for act in ("release", "request")]
    assert (seen.status, 'value="the server moves"' in seen.text) == (409, True)
    assert [(each.status, "mail.contoso.com</h1>" in each.text) for each in others] == [(409, False)] * 2
    began = f"{house.clock():%H:%M} UTC"
    assert f"'mail.contoso.com' is being worked on: anna began its deployment at {began}." in html.unescape(seen.words)
    assert f'Wait for it to end; its log: <a href="/certificates/{mail.id}/log"' in seen.text
    assert not re.search(r"process|certificate:", seen.words)


@pytest.mark.parametrize("body", ["%", "a" * 5000, "&".join(["x=1"] * 200), "name=%ff&password=%00"])
def test_forms_without_sense_are_forms_without_fields(house: House, body: str) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Origin": f"http://{house.at}"}
    assert house.browser()._ask("POST", "/sign-in", body, headers).status == 401


def test_an_address_that_a_form_is_sent_to_leads_to_the_page_of_the_form(house: House) -> None:
    mail, browser = house.managed("mail.contoso.com"), house.signed_in()
    one = f"/certificates/{mail.id}"
    for path, form in {
        f"{one}/policy": f"{one}/renewal",
        f"{one}/hold": f"{one}/renewal",
        f"{one}/names": one,
        f"{one}/validation/remove": f"{one}/validation",
        f"{one}/tasks/0123456789ab/move": f"{one}/deployment",
        f"{one}/exchange/plan": "/exchange",
        "/bulk/hold": "/certificates",
        "/notifications/channels/test": "/notifications",
        "/people/code/end": "/people",
    }.items():
        seen = browser.get(path)
        assert (path, seen.status, seen.headers["Location"]) == (path, 303, form)
        assert browser.get(form).status == 200
    assert browser.get("/certificates/0123456789ab/validation/http_listener").status == 404


def test_every_address_that_takes_a_form_has_a_page_to_go_to(house: House) -> None:
    browser = house.signed_in()
    shown = {page.path for page in PAGES if page.method == "GET"}
    for page in PAGES:
        if page.path not in shown:
            assert browser.get(page.path).status == 303


@pytest.mark.parametrize(("language", "word"), [("en", "Open the page with the form"), ("de", "Öffnen Sie die Seite")])
def test_what_no_page_answers_is_a_page_with_the_way_on(house: House, language: str, word: str) -> None:
    for browser in (house.browser(), house.signed_in()):
        seen = browser.get("/sign-out", **{"Accept-Language": language})
        assert (seen.status, word in seen.words, 'href="/"' in seen.text) == (405, True, True)
        assert ('<nav class="side"' in seen.text) is bool(browser.cookie)


def test_what_is_too_long_is_refused_on_a_page_that_says_how_long_and_leads_back(house: House) -> None:
    browser, path = house.signed_in(), "/watched/add/file"
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Origin": f"http://{house.at}"}
    seen = browser._ask("POST", path, "x=" + "y" * (1 << 20), headers)
    assert (seen.status, "longer than 1 MiB" in seen.words) == (413, True)
    assert f'<a href="{path}">To the page as it is now</a>' in seen.text
    assert browser._ask("POST", path, "x=" + "y" * (1 << 19), headers).status == 422


def test_the_answer_to_a_form_says_that_it_stays_and_leads_to_the_page(house: House) -> None:
    mail, browser = house.managed("mail.contoso.com"), house.signed_in()
    seen = browser.post(f"/certificates/{mail.id}/policy", days_before="15", lifetime_share="0.5")
    assert (seen.status, "data-live" in seen.text) == (422, False)
    assert f'<a href="/certificates/{mail.id}/renewal">To the page as it is now</a>' in seen.text
    assert "To the page as it is now" not in browser.get(f"/certificates/{mail.id}/renewal").words


@pytest.mark.parametrize(
    ("path", "leads_to"),
    [
        ("/windows/remove?name=nights", "/windows"),
        ("/watched/replace?id=0123456789ab", "/watched"),
        ("/certificates/{id}/tasks/0123456789ab", "/certificates"),
        ("/certificates/0123456789ab/policy", "/certificates"),
        ("/certificates/0123456789ab/exchange/plan", "/exchange"),
    ],
)
def test_the_answer_about_what_is_gone_leads_to_a_page_that_is_there(house: House, path: str, leads_to: str) -> None:
    mail, browser = house.managed("mail.contoso.com"), house.signed_in()
    seen = browser.post(path.format(id=mail.id))
    assert (seen.status, f'<a href="{leads_to}">To the page as it is now</a>' in seen.text) == (404, True)
    assert browser.get(leads_to).status == 200


def test_who_comes_from_elsewhere_is_told_on_a_page(house: House) -> None:
    seen = house.signed_in().post("/system/backup", origin="https://evil.test")
    assert (seen.status, "This was not sent by a page of Certwright." in seen.words) == (403, True)


@pytest.mark.parametrize(
    ("path", "wakes"),
    [
        ("/watched", "watched"),
        ("/system", "store settings issuer credential rule"),
        ("/issuers", "issuer"),
        ("/credentials", "credential certificate"),
        ("/notifications", "credential rule"),
        ("/windows", "window certificate"),
        ("/people", "person token credential"),
        ("/audit", "act"),
        ("/settings", "settings"),
        ("/certificates/{id}/validation", ""),
        ("/certificates/{id}/issuer", ""),
    ],
)
def test_what_others_change_is_listened_for_and_nothing_else(house: House, path: str, wakes: str) -> None:
    mail = house.managed("mail.contoso.com")
    assert f'data-live="{wakes}"' in house.signed_in().get(path.format(id=mail.id)).text
