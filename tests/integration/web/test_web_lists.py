"""The list of certificates by their end, what is done to several, and the overview of what comes."""

import re
from datetime import timedelta
from urllib.parse import quote

import pytest

from certwright.domain import certificates, watching
from certwright.domain.access import Role
from certwright.domain.deployment import ServedRow, Verdict
from certwright.domain.managed import CertificateVersion, KeyForm, TaskSettings
from certwright.domain.runs import DeploymentState, Outcome, Run, RunKind
from certwright.engine.managed import set_tags
from certwright.engine.schedule import reschedule
from certwright.engine.task_list import add_task
from certwright.engine.watch import add_seen
from certwright.store.leases import CERTIFICATE
from unit.domain.workshop import Authority, ec_key
from world.web import Browser, House, Seen, job_of, landed


def issue(house: House, name: str, days: int) -> str:
    """One that ends in so many days."""
    made, now = house.managed(name), house.clock()
    leaf = Authority("CA").certify(name, ec_key(), start=now - timedelta(days=80), lifetime=timedelta(days=80 + days))
    version = CertificateVersion(
        managed_id=made.id,
        issuer="le",
        chain_pem=certificates.pem([leaf]).decode(),
        key_form=KeyForm.ELSEWHERE,
        fingerprint="f",
        issued_at=now,
    )
    with house.engine.store.write() as unit:
        unit.versions.add(version, None)
        reschedule(house.engine, unit, made)
    return made.id


def test_they_are_listed_by_when_they_end(house: House) -> None:
    for name, days in (("late", 50), ("soon", 5), ("over", -3)):
        issue(house, name, days)
    house.managed("never")
    browser = house.signed_in()

    def order(query: str) -> list[str]:
        text = browser.get(f"/certificates?{query}").text
        found = {name: text.find(f">{name}</a>") for name in ("late", "soon", "over", "never")}
        return sorted((name for name, place in found.items() if place >= 0), key=found.__getitem__)

    assert order("") == ["late", "never", "over", "soon"]
    assert order("expiry=later") == ["over", "soon", "late"]
    assert order("expiry=over") == ["over"]
    assert order("expiry=7") == ["soon"]
    assert order("expiry=90") == ["soon", "late"]
    assert order("expiry=never") == ["never"]
    assert order("expiry=nonsense&after=") == ["late", "never", "over", "soon"]


def test_a_long_list_by_ends_goes_on_where_the_page_before_ended(house: House) -> None:
    leaf_days = {issue(house, f"host{number:02}", 10 + number // 30): number for number in range(60)}
    browser = house.signed_in()
    first = browser.get("/certificates?expiry=30")
    following = first.text.partition('<a href="/certificates?expiry=30')[2].partition('"')[0].replace("&amp;", "&")
    second = browser.get(f"/certificates?expiry=30{following}")
    seen = [{one for one in leaf_days if f'href="/certificates/{one}"' in page.text} for page in (first, second)]
    assert [len(each) for each in seen] == [50, 10]
    assert not seen[0] & seen[1]


def picked(*ids: str) -> dict[str, str]:
    return {f"pick-{each}": "on" for each in ids}


def test_several_are_requested_after_a_look_at_what_would_happen(house: House) -> None:
    one, held = issue(house, "one", 50), issue(house, "held", 50)
    browser = house.signed_in(Role.OPERATOR)
    browser.post(f"/certificates/{held}/hold", reason="the server moves")
    seen = browser.post("/bulk/request", **picked(one, held, "0123456789ab"))
    assert "Do it for 1 certificate" in seen.words
    assert "Nothing:" in seen.words
    with house.engine.store.read() as unit:
        assert unit.renewals.get(one).wish is None
    done = browser.post("/bulk/request", **picked(one, held), sure="yes")
    assert "Done for 1 certificate." in done.words
    with house.engine.store.read() as unit:
        wish = unit.renewals.get(one).wish
        assert wish is not None
        assert wish.by.endswith("operator")
        assert unit.renewals.get(held).wish is None


def test_several_are_held_back_for_a_reason_and_released(house: House) -> None:
    ids = [issue(house, name, 50) for name in ("one", "two")]
    browser = house.signed_in(Role.OPERATOR)
    assert "Do it for 2 certificates" in browser.post("/bulk/hold", **picked(*ids)).words
    refused = browser.post("/bulk/hold", **picked(*ids), sure="yes", reason=" ")
    assert (refused.status, "Say why they are held back" in refused.words) == (422, True)
    assert "Done for 2" in browser.post("/bulk/hold", **picked(*ids), sure="yes", reason="we move").words
    assert "we move (operator)" in browser.get(f"/certificates/{ids[0]}").words
    assert "It is held back already." in browser.post("/bulk/hold", **picked(ids[0])).words
    assert "Done for 2" in browser.post("/bulk/release", **picked(*ids), sure="yes").words
    assert "we move" not in browser.get(f"/certificates/{ids[0]}").words
    assert browser.post("/bulk/hold", sure="yes").status == 422


def test_that_none_of_those_chosen_is_there_any_more_is_told(house: House) -> None:
    for sure in ({}, {"sure": "yes"}):
        seen = house.signed_in(Role.OPERATOR).post("/bulk/request", **picked("0123456789ab"), **sure).words
        assert ("None of them is there any more." in seen, "Done for" in seen) == (True, False)


def test_of_many_names_the_first_stand_in_a_list(house: House) -> None:
    house.managed(*(f"host{number}" for number in range(100)), title="many")
    house.managed(*(f"mail{number}" for number in range(3)), title="few")
    seen = house.signed_in().get("/certificates").words
    assert "host0, host1, host2 and 97 more" in seen
    assert "mail0, mail1, mail2 renewing" in seen


def test_what_has_no_task_is_not_said_to_be_deployed(house: House) -> None:
    one, browser = issue(house, "one", 50), house.signed_in()
    without = "It is requested. No task puts it to use by itself."
    assert without in browser.post("/bulk/request", **picked(one)).words
    task = add_task(house.engine, one, TaskSettings(kind="exchange", title="m", params={"servers": ["mail01"]}))
    assert "It is requested, and deployed by its tasks." in browser.post("/bulk/request", **picked(one)).words
    assert browser.post(f"/certificates/{one}/tasks/{task.id}/enable", enabled="no").status == 303
    assert without in browser.post("/bulk/request", **picked(one)).words


@pytest.mark.parametrize("act", ["hold", "release"])
def test_who_may_only_request_holds_nothing_back(house: House, act: str) -> None:
    one = issue(house, "one", 50)
    assert house.signed_in(Role.REQUESTER).post(f"/bulk/{act}", **picked(one), sure="yes", reason="x").status == 403


def test_the_overview_shows_what_ends_and_what_is_at_work(house: House) -> None:
    for name, days in (("a", 5), ("b", 5), ("c", 40), ("d", -1)):
        issue(house, name, days)
    run = Run(managed_id=issue(house, "e", 80), kind=RunKind.REQUEST, started_at=house.clock())
    browser = house.signed_in()
    with house.engine.store.lease(f"{CERTIFICATE}{run.managed_id}"):
        with house.engine.store.write() as unit:
            unit.runs.start(run)
            for _ in range(30):
                later = Run(managed_id="0123456789ab", kind=RunKind.LOOK, started_at=house.clock())
                unit.runs.start(later)
                unit.runs.finish(later.id, Outcome.DONE, "", house.clock())
        seen = browser.get("/")
    assert "request e since" in seen.words
    assert "1 has ended already" in seen.words
    day = (house.clock() + timedelta(days=5)).strftime("%Y-%m-%d")
    assert f"<title>{day} UTC: 2</title>" in seen.text
    assert "Day (UTC)" in seen.words
    assert seen.text.count("<rect") == 3


def watched(house: House, title: str, days: int, problem: str = "") -> str:
    """The id of something watched that ends in so many days."""
    now = house.clock()
    leaf = Authority("CA").certify(title, ec_key(), start=now - timedelta(days=80), lifetime=timedelta(days=80 + days))
    seen = watching.Seen.of(certificates.CertificateFacts.of(leaf))
    return add_seen(house.engine, title, None, watching.Look(seen=seen, problem=problem)).id


def test_the_overview_says_what_is_wrong_with_what_is_watched_and_leads_there_the_worst_first(house: House) -> None:
    first = watched(house, "a.contoso.com", 63, "The name does not fit.")
    worst = watched(house, "b.contoso.com", -1)
    browser = house.signed_in(Role.VIEWER)
    seen = browser.get("/")
    assert "critical b.contoso.com It is watched only, and renewed elsewhere. expired" in seen.words
    assert seen.text.index(f"trouble-{worst}") < seen.text.index(f"trouble-{first}")
    assert "a.contoso.com The name does not fit. It is watched only" in seen.words
    for each in (first, worst):
        assert f'<a role="button" class="quiet" href="/watched#watched-{each}"' in seen.text
        assert f'id="watched-{each}"' in browser.get("/watched").text
    assert '<a href="/watched"><strong>1</strong> watched, <span class="health critical">' in seen.text
    for number in range(9):
        watched(house, f"more{number}.contoso.com", -2)
    assert '<a href="/watched">And 3 more</a>' in browser.get("/").text


def test_where_nothing_ends_soon_no_chart_is_drawn(house: House) -> None:
    house.managed("never")
    seen = house.signed_in().get("/")
    assert "When certificates end None on any of the next 90 days." in seen.words
    assert "<figure" not in seen.text


def test_a_list_is_searched_in_the_script_of_a_name_or_a_title(house: House) -> None:
    house.managed("www.bücher.example", title="shop")
    house.managed("mail.contoso.com", title="München")
    browser = house.signed_in()
    for typed, found in {"Bücher": "shop", "xn--bcher-kva": "shop", "mün": "München"}.items():
        seen = browser.get(f"/certificates?name={quote(typed)}").text
        assert [title for title in ("shop", "München") if f"{title}</a>" in seen] == [found], typed


def test_a_list_is_narrowed_by_tag(house: House) -> None:
    one, browser = issue(house, "one", 50), house.signed_in()
    issue(house, "two", 50)
    assert 'name="tag"' not in browser.get("/certificates").text
    set_tags(house.engine, one, ["mail", "berlin"])
    seen = browser.get("/certificates?tag=mail")
    assert ("one</a>" in seen.text, "two</a>" in seen.text) == (True, False)
    assert '<option value="mail" selected>mail</option>' in seen.text
    assert "No certificate is so." in browser.get("/certificates?tag=other").words


def test_all_of_a_list_are_held_back_after_a_look_and_released(house: House) -> None:
    for number in range(60):
        house.managed(f"host{number:02}.contoso.com", tags=("mail",))
    other = house.managed("other.contoso.com")
    browser = house.signed_in(Role.OPERATOR)
    shown = browser.get("/certificates?tag=mail")
    (every,) = re.findall(r'name="all" value="([^"]*)"', shown.text)
    path, seen = landed(browser, browser.post("/bulk/hold", all=every))
    assert path.startswith("/bulk/hold/")
    assert "It would be done for 60 certificates." in seen.words
    assert "The first of them:" in seen.words
    with house.engine.store.read() as unit:
        assert not any(unit.renewals.get(each.id).hold for each in unit.managed.list())
    looked = seen_in(seen)
    _, refused = landed(browser, browser.post("/bulk/hold", all=every, seen=looked, sure="yes", reason=" "))
    assert "Say why they are held back" in refused.words
    _, done = landed(browser, browser.post("/bulk/hold", all=every, seen=looked, sure="yes", reason="we move"))
    assert "Done for 60 certificates." in done.words
    with house.engine.store.read() as unit:
        held = {each.id: unit.renewals.get(each.id).hold for each in unit.managed.list()}
    assert held.pop(other.id) is None
    assert {hold and hold.reason for hold in held.values()} == {"we move (operator)"}
    _, again = landed(browser, browser.post("/bulk/hold", all=every))
    assert "Nothing is done for 60 certificates: 60: It is held back already." in again.words
    _, seen = landed(browser, browser.post("/bulk/release", all=""))
    _, free = landed(browser, browser.post("/bulk/release", all="", seen=seen_in(seen), sure="yes"))
    assert "Done for 60 certificates." in free.words
    assert "Nothing is done for 1 certificate: 1: It is not held back." in free.words


def seen_in(preview: Seen) -> str:
    """Which certificates a preview is of, as its form sends it along."""
    (looked,) = re.findall(r'name="seen" value="([0-9a-f]+)"', preview.text)
    return str(looked)


def test_all_of_a_list_are_looked_at_again_where_it_finds_others_by_now(house: House) -> None:
    one, other = (house.managed(f"{name}.contoso.com", tags=("mail",)) for name in ("one", "other"))
    browser, released = house.signed_in(Role.OPERATOR), house.managed("late.contoso.com")
    _, seen = landed(browser, browser.post("/bulk/hold", all="tag=mail"))
    set_tags(house.engine, other.id, [])
    set_tags(house.engine, released.id, ["mail"])
    sent = {"all": "tag=mail", "sure": "yes", "reason": "we move"}
    _, unseen = landed(browser, browser.post("/bulk/hold", **sent))
    _, again = landed(browser, browser.post("/bulk/hold", **sent, seen=seen_in(seen)))
    for shown in (unseen, again):
        assert "Nothing was done: the list finds other certificates now" in shown.words
        assert ("late.contoso.com" in shown.words, "other.contoso.com" in shown.words) == (True, False)
    with house.engine.store.read() as unit:
        assert not any(unit.renewals.get(each.id).hold for each in (one, other, released))
    _, done = landed(browser, browser.post("/bulk/hold", **sent, seen=seen_in(again)))
    assert "Done for 2 certificates." in done.words


@pytest.mark.parametrize("narrowed", ["health=bogus", "tga=mail", "expiry=soon", "tag=mail&health=bogus"])
def test_what_is_nothing_to_choose_never_stands_for_all(house: House, narrowed: str) -> None:
    house.managed("one.contoso.com", tags=("mail",))
    refused = house.signed_in(Role.OPERATOR).post("/bulk/hold", all=narrowed)
    assert refused.status == 422
    assert "What this list is narrowed by is not understood" in refused.words


def visited_elsewhere(browser: Browser, house: House) -> str:
    """A job of another kind that this person began."""
    made = house.managed("else.contoso.com")
    return job_of(browser.post(f"/certificates/{made.id}/preview"))


def test_all_of_a_list_are_requested_as_far_as_nothing_stands_in_the_way(house: House) -> None:
    one, held = issue(house, "one", 50), issue(house, "held", 50)
    browser = house.signed_in(Role.OPERATOR)
    browser.post(f"/certificates/{held}/hold", reason="the server moves")
    path, seen = landed(browser, browser.post("/bulk/request", all=""))
    assert "It would be done for 1 certificate." in seen.words
    assert house.signed_in(Role.ADMINISTRATOR).get(path).status == 404
    _, done = landed(browser, browser.post("/bulk/request", all="", seen=seen_in(seen), sure="yes"))
    assert "Done for 1 certificate." in done.words
    with house.engine.store.read() as unit:
        assert unit.renewals.get(one).wish
        assert unit.renewals.get(held).wish is None
    other = visited_elsewhere(browser, house)
    assert browser.get(f"/bulk/request/{other}").headers["Location"] == f"/working/{other}"


def test_a_list_is_narrowed_by_the_server_that_it_is_on(house: House) -> None:
    one, browser = issue(house, "one", 50), house.signed_in()
    issue(house, "two", 50)
    assert 'name="target"' not in browser.get("/certificates").text
    row = ServedRow(server="ex1", service="IIS", address="::1", port=443, protocol="https", verdict=Verdict.OK)
    with house.engine.store.write() as unit:
        unit.deployments.save(DeploymentState(task_id="ba9876543210", managed_id=one, served=(row,)))
    seen = browser.get("/certificates?target=ex1")
    assert ("one</a>" in seen.text, "two</a>" in seen.text) == (True, False)
    assert '<option value="ex1" selected>ex1</option>' in seen.text
    assert "No certificate is so." in browser.get("/certificates?target=ex2").words
