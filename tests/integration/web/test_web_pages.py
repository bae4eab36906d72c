"""What the pages show, and that nothing that strangers write is more than text."""

from datetime import timedelta

import pytest

from certwright.domain.errors import Unreachable
from certwright.domain.runs import Entry, Outcome, Phase, Run, RunKind
from certwright.engine import duties
from world.web import House

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>{{7*7}}"


def test_an_empty_installation_says_what_to_do_first(house: House) -> None:
    browser = house.signed_in()
    assert "certwright exchange setup" in browser.get("/").words
    assert "certwright certificate new" in browser.get("/certificates").words


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


def test_certificates_are_found_by_what_the_address_says(house: House) -> None:
    browser = house.signed_in()
    for number in range(60):
        house.managed(f"host{number:02}.contoso.com")
    first = browser.get("/certificates")
    assert ("host49.contoso.com" in first.text, "host50.contoso.com" in first.text) == (True, False)
    second = browser.get("/certificates?after=host49.contoso.com")
    assert ("host50.contoso.com" in second.text, "Next page" in second.text) == (True, False)
    one = browser.get("/certificates?name=HOST07.contoso.com")
    assert ("host07.contoso.com" in one.text, "host08.contoso.com" in one.text) == (True, False)
    assert "No certificate is so." in browser.get("/certificates?issuer=other").words
    assert "host00.contoso.com" in browser.get("/certificates?health=nonsense&issuer=le").text
    wrong = browser.get("/certificates?name=..")
    assert ('role="alert"' in wrong.text, "host00" in wrong.text) == (True, False)


def test_a_renewal_is_held_with_a_reason_and_released(house: House) -> None:
    mail, browser = house.managed("mail.contoso.com"), house.signed_in()
    path = f"/certificates/{mail.id}"
    refused = browser.post(f"{path}/hold", reason=" ")
    assert (refused.status, "Say why it is held back" in refused.words) == (422, True)
    assert browser.post(f"{path}/hold", reason="the server moves").headers["Location"] == path
    held = browser.get(path)
    assert "the server moves (administrator)" in held.words
    assert browser.post(f"{path}/release").status == 303
    assert "the server moves" not in browser.get(path).words


@pytest.mark.parametrize("path", ["/certificates/0123456789ab", "/runs/0123456789ab", "/nothing"])
def test_what_is_not_there_is_told(house: House, path: str) -> None:
    seen = house.signed_in().get(path)
    assert seen.status == 404
    assert "To the overview" in seen.words


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
    seen = [browser.get(path) for path in ("/", "/certificates", f"/certificates/{mail.id}", f"/runs/{run.id}")]
    seen.append(browser.get("/certificates?name=" + "%3Cscript%3Ealert(1)%3C/script%3E"))
    seen.append(house.browser().post("/sign-in", name=HOSTILE, password="x", next=HOSTILE))
    seen.append(house.browser().post("/first-start", name=HOSTILE, token=house.setup.secret, password="x", again="x"))
    for each in seen:
        assert "<script" not in each.text
        assert "<img" not in each.text
    assert HOSTILE.replace("<", "&lt;").split(">")[0] in seen[3].text
    assert "{{7*7}}" in seen[2].text


def test_a_run_that_is_under_way_is_looked_at_again_by_itself(house: House) -> None:
    mail, browser = house.managed("mail.contoso.com"), house.signed_in()
    run = Run(managed_id=mail.id, kind=RunKind.REQUEST, started_at=house.clock())
    with house.engine.store.write() as unit:
        unit.runs.start(run)
        unit.runs.append(Entry(run_id=run.id, at=house.clock(), step=1, phase=Phase.START, title="Order"))
    going = browser.get(f"/runs/{run.id}")
    assert ('http-equiv="refresh"' in going.text, "Order …" in going.words) == (True, True)
    assert f'href="/runs/{run.id}"' in browser.get("/").text
    with house.engine.store.write() as unit:
        unit.runs.finish(run.id, Outcome.DONE, "", house.clock())
    assert 'http-equiv="refresh"' not in browser.get(f"/runs/{run.id}").text


@pytest.mark.parametrize("body", ["%", "a" * 5000, "&".join(["x=1"] * 200), "name=%ff&password=%00"])
def test_forms_without_sense_are_forms_without_fields(house: House, body: str) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Origin": f"http://{house.at}"}
    assert house.browser()._ask("POST", "/sign-in", body, headers).status == 401
