"""A certificate is described in the browser: names with their verdicts, proofs, and who signs."""

import re
from html import unescape

import pytest

from certwright.domain.access import Role
from certwright.domain.managed import Issuer
from certwright.engine.accounts import LETS_ENCRYPT
from certwright.exchange.settings import Settings
from certwright.web.forms import OWN, Maker, Shape
from world.web import House, landed

HOSTILE = "<script>alert(1)</script>"


@pytest.fixture
def issuer(house: House) -> str:
    """One that issues for the inside of networks."""
    with house.engine.store.write() as unit:
        made = Issuer(name="own", kind="acme", params={"directory": "https://ca.test/"}, account={"url": "x"})
        able = made.capabilities.model_copy(update={"internal_names": True})
        unit.issuers.add(made.model_copy(update={"capabilities": able}), b"account key")
    return "own"


def test_names_are_told_apart_before_anything_is_made_of_them(house: House) -> None:
    browser = house.signed_in(Role.OPERATOR)
    path, seen = landed(browser, browser.post("/new/names", names="mail.contoso.com\nserver01, bad_name!\n"))
    assert path.startswith("/new/names/")
    assert 'value="mail.contoso.com" checked' in seen.text
    assert 'value="server01" >' in seen.text
    assert "server01 is a single label, not a full name. No public authority issues for it: leave it out" in seen.words
    assert "bad_name!" in seen.words
    assert browser.get("/certificates").words.count("mail.contoso.com") == 0


def test_what_was_chosen_is_described_and_waits_until_somebody_requests_it(house: House, issuer: str) -> None:
    browser = house.signed_in(Role.OPERATOR)
    path, _ = landed(browser, browser.post("/new/names", names="mail.contoso.test www.contoso.test"))
    seen = browser.post(
        path,
        name="mail.contoso.test",
        more="imap.contoso.test",
        proof="http_listener",
        issuer=f"issuer:{issuer}",
        title="Mail",
        **{"proof:mail.contoso.test": "dns:manual", "http.port": "8080", "http.precheck": "yes"},
    )
    path, seen = landed(browser, seen)
    assert path.startswith("/certificates/")
    assert "paused" in seen.words
    assert "operator has just described it" in seen.words
    assert "Request it now" in seen.words
    with house.engine.store.read() as unit:
        made = unit.managed.get("Mail")
        assert unit.managed.due(house.clock(), 10) == []
    assert [str(i) for i in made.identifiers] == ["mail.contoso.test", "imap.contoso.test"]
    by_name = {v.names: (v.solver, v.params) for v in made.validations}
    assert ("http_listener", {"port": 8080}) in by_name.values()
    assert ("dns", {"credential": "manual"}) in by_name.values()
    assert browser.post(f"{path}/request").status == 303
    with house.engine.store.read() as unit:
        assert [m.id for m in unit.managed.due(house.clock(), 10)] == [made.id]


def test_who_is_limited_describes_a_certificate_of_the_own_tag(house: House, issuer: str) -> None:
    browser = house.signed_in(Role.OPERATOR, "berlin")
    path, seen = landed(browser, browser.post("/new/names", names="mail.contoso.test"))
    assert '<input type="checkbox" name="tags" value="berlin" checked required>' in seen.text
    assert "(a new account)" not in seen.words, "who is limited registers none"
    right = {"name": "mail.contoso.test", "proof": "http_listener", "issuer": f"issuer:{issuer}"}
    path, seen = landed(browser, browser.post(path, **right, tags="berlin"))
    assert (seen.status, path.startswith("/certificates/")) == (200, True)
    with house.engine.store.read() as unit:
        assert unit.managed.get("mail.contoso.test").tags == ("berlin",)


def test_who_is_limited_to_several_tags_chooses_among_them(house: House, issuer: str) -> None:
    browser = house.signed_in(Role.OPERATOR, "berlin", "mail")
    path, seen = landed(browser, browser.post("/new/names", names="mail.contoso.test"))
    assert re.findall(r'name="tags" value="(\w+)" (checked)?', seen.text) == [("berlin", ""), ("mail", "")]
    right = {"name": "mail.contoso.test", "proof": "http_listener", "issuer": f"issuer:{issuer}"}
    _, seen = landed(browser, browser.post(path, **right))
    assert (seen.status, "No tag is chosen. Choose one: else" in seen.words) == (422, True)
    _, seen = landed(browser, browser.post(path, **right, tags="rome"))
    assert (seen.status, "no other tags than berlin, mail" in seen.words) == (422, True)
    _, seen = landed(browser, browser.post(path, **right, tags="mail"))
    assert seen.status == 200
    with house.engine.store.read() as unit:
        assert unit.managed.get("mail.contoso.test").tags == ("mail",)


def test_whoever_sees_all_may_give_tags_or_none(house: House, issuer: str) -> None:
    browser = house.signed_in(Role.OPERATOR)
    path, seen = landed(browser, browser.post("/new/names", names="mail.contoso.test"))
    right = {"name": "mail.contoso.test", "proof": "http_listener", "issuer": f"issuer:{issuer}"}
    _, seen = landed(browser, browser.post(path, **right, tags="Berlin"))
    assert (seen.status, "These are no tags: Berlin." in seen.words) == (422, True)
    assert 'name="tags" value="Berlin"' in seen.text
    _, seen = landed(browser, browser.post(path, **right, tags="berlin, web"))
    with house.engine.store.read() as unit:
        assert unit.managed.get("mail.contoso.test").tags == ("berlin", "web")


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        ({"name": ""}, "No name is chosen."),
        ({"issuer": ""}, "Who is to sign was not chosen."),
        ({"issuer": "issuer:nobody"}, "nobody"),
        ({"issuer": "authority:letsencrypt"}, "Let's Encrypt wants an e-mail address"),
        ({"proof": "magic"}, "There is no way 'magic' to prove a name."),
        ({"issuer": "issuer:own", "http.port": "70000"}, "less than or equal to 65535"),
        ({"more": "*.contoso.test"}, "wildcard"),
        ({"issuer": "authority:letsencrypt", "email": "a@b.test", "window": "never"}, "no maintenance window 'never'"),
    ],
)
def test_a_mistake_is_told_and_what_was_filled_in_stays(
    house: House, issuer: str, sent: dict[str, str], told: str
) -> None:
    browser = house.signed_in(Role.OPERATOR)
    path, _ = landed(browser, browser.post("/new/names", names="mail.contoso.test"))
    right = {"name": "mail.contoso.test", "proof": "http_listener", "issuer": f"issuer:{issuer}", "title": "The mail"}
    again, seen = landed(browser, browser.post(path, **right | sent))
    assert (seen.status, told in seen.text.replace("&#39;", "'")) == (422, True)
    assert again.startswith(path)
    assert 'value="The mail"' in seen.text
    with house.engine.store.read() as unit:
        assert unit.managed.list() == []


def test_a_title_that_is_taken_is_told_at_its_field(house: House, issuer: str) -> None:
    browser = house.signed_in(Role.OPERATOR)
    house.managed("mail.contoso.test")
    path, _ = landed(browser, browser.post("/new/names", names="mail.contoso.test"))
    right = {"name": "mail.contoso.test", "proof": "http_listener", "issuer": f"issuer:{issuer}"}
    _, seen = landed(browser, browser.post(path, **right, **{"http.port": "80", "http.precheck": "yes"}))
    assert (seen.status, seen.text.count("<details >"), seen.text.count("<details open>")) == (422, 1, 1)
    assert '<small class="wrong" id="title-error">Is taken</small>' in seen.text
    assert "See it with: mail.contoso.test: Deployment . Or choose another title." in seen.words


def test_a_title_that_is_taken_is_told_before_an_account_is_registered(house: House) -> None:
    browser = house.signed_in(Role.OPERATOR)
    house.managed("mail.contoso.com")
    path, _ = landed(browser, browser.post("/new/names", names="mail.contoso.com"))
    sent = {
        "name": "mail.contoso.com",
        "proof": "http_listener",
        "issuer": "authority:letsencrypt",
        "email": "a@b.test",
    }
    again, seen = landed(browser, browser.post(path, **sent))
    assert (seen.status, 'id="title-error">Is taken<' in seen.text) == (422, True)
    with house.engine.store.write() as unit:
        assert [each.name for each in unit.issuers.list()] == ["le"]
        for name, at in (("a", "https://ca.test/"), ("letsencrypt", LETS_ENCRYPT)):
            made = Issuer(name=name, kind="acme", params={"directory": at}, account={"url": "x"})
            unit.issuers.add(made, b"account key")
    seen = browser.get(again)
    assert re.findall(r'<option value="([^"]+)" selected>letsencrypt', seen.text) == ["issuer:letsencrypt"]


def test_a_title_that_is_taken_leads_to_its_certificate_however_it_is_written(house: House, issuer: str) -> None:
    browser = house.signed_in(Role.OPERATOR)
    for title in ("Anna's mail", "EX/mail"):
        made = house.managed("mail.contoso.com", title=title)
        path, _ = landed(browser, browser.post("/new/names", names="mail.contoso.test"))
        sent = {"name": "mail.contoso.test", "proof": "http_listener", "issuer": f"issuer:{issuer}", "title": title}
        _, seen = landed(browser, browser.post(path, **sent))
        (at,) = re.findall(r'See it with: <a href="([^"]+)"', seen.text)
        seen = browser.get(at)
        assert (seen.status, f'href="/certificates/{made.id}' in seen.text) == (200, True)


def test_a_certificate_is_called_by_its_first_name_as_people_read_it(house: House, issuer: str) -> None:
    browser = house.signed_in(Role.OPERATOR)
    path, _ = landed(browser, browser.post("/new/names", names="münchen.contoso.test"))
    sent = {"name": "münchen.contoso.test", "proof": "http_listener", "issuer": f"issuer:{issuer}"}
    _, seen = landed(browser, browser.post(path, **sent))
    assert "<h1>münchen.contoso.test" in seen.text


def test_who_begins_again_finds_what_was_typed(house: House) -> None:
    browser = house.signed_in(Role.OPERATOR)
    typed = "mail.contoso.com\nbad_name!"
    _, seen = landed(browser, browser.post("/new/names", names=typed))
    (at,) = re.findall(r'<a href="([^"]+)">Begin again', seen.text)
    assert f"\n{typed}</textarea>" in browser.get(unescape(at)).text
    _, seen = landed(browser, browser.post("/new/names", names="\n".join(f"h{n}.contoso.com" for n in range(400))))
    assert 'href="/new/names">Begin again' in seen.text, "an address is no place for all of it"


def test_names_that_are_none_are_told_at_once(house: House) -> None:
    browser = house.signed_in(Role.OPERATOR)
    _, seen = landed(browser, browser.post("/new/names", names=" \n "))
    assert (seen.status, "No name was given." in seen.words) == (422, True)


def test_what_was_typed_is_text_wherever_it_comes_again(house: House) -> None:
    browser = house.signed_in(Role.OPERATOR)
    _, seen = landed(browser, browser.post("/new/names", names=HOSTILE))
    assert (HOSTILE in seen.text, "&lt;script&gt;" in seen.text) == (False, True)
    _, seen = landed(browser, browser.post("/new/exchange", server=HOSTILE, **{"param.canary": HOSTILE}))
    assert (HOSTILE in seen.text, "&lt;script&gt;" in seen.text) == (False, True)


def test_a_password_that_was_typed_is_never_shown_again(house: House) -> None:
    browser = house.signed_in(Role.OPERATOR)
    given = {"server": "ex01.contoso.test", "username": "svc", "password": "s3cret-word", "param.endpoint": "http://x"}
    path, seen = landed(browser, browser.post("/new/exchange", **given))
    assert (seen.status, path.startswith("/new/exchange?again=")) == (422, True)
    assert "s3cret-word" not in seen.text
    assert 'value="svc"' in seen.text


def test_an_account_takes_both_a_name_and_a_password(house: House) -> None:
    browser = house.signed_in(Role.OPERATOR)
    _, seen = landed(browser, browser.post("/new/exchange", server="ex01.contoso.test", username="svc"))
    assert "A user name and its password belong together" in seen.words
    with house.engine.store.read() as unit:
        assert unit.credentials.names() == ()


def test_a_mistake_in_the_wizards_opens_nothing_that_was_not_touched(house: House, issuer: str) -> None:
    browser = house.signed_in()
    maker = Maker(Settings, prefix=OWN, without=("servers", "winrm_configuration"))
    usual = {each.name: each.value for each in maker.empty().seldom if each.value or each.shape is not Shape.SWITCH}
    _, seen = landed(browser, browser.post("/new/exchange", server="ex01.contoso.test", username="svc", **usual))
    assert (seen.status, seen.text.count("<details"), '<details class="seldom" >' in seen.text) == (422, 1, True)
    path, _ = landed(browser, browser.post("/new/names", names="mail.contoso.test"))
    wrong = {"name": "mail.contoso.test", "proof": "http_listener", "issuer": "", "http.port": "80"}
    _, seen = landed(browser, browser.post(path, **wrong, **{"http.precheck": "yes", "http.address": ""}))
    assert (seen.status, seen.text.count("<details"), seen.text.count("<details >")) == (422, 2, 2)
    managed = house.managed("mail.contoso.test")
    when = {"role": "deployment", "trigger": "on-success", "title": ""}
    seen = browser.post(f"/certificates/{managed.id}/tasks/add/exchange", **usual, **when)
    assert "param.servers-error" in seen.text
    assert (seen.status, seen.text.count("<details"), len(re.findall("<details[^>]* >", seen.text))) == (422, 2, 2)


def test_what_one_began_is_nobody_elses(house: House) -> None:
    anna, eve = house.signed_in(Role.OPERATOR), house.signed_in(Role.ADMINISTRATOR)
    seen = anna.post("/new/names", names="mail.contoso.com")
    path, _ = landed(anna, seen)
    for each in (seen.headers["Location"], path):
        assert eve.get(each).status == 404


def test_who_may_not_describe_does_not_begin(house: House) -> None:
    browser = house.signed_in(Role.REQUESTER)
    assert "New certificate" not in browser.get("/certificates").words
    assert browser.get("/new").status == 403
    assert browser.post("/new/names", names="mail.contoso.com").status == 403
