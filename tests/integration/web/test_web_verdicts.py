"""What is said of a field while somebody types into it."""

import pytest

from certwright.domain.access import Role
from world.web import House, landed

HOSTILE = '"><script>alert(1)</script>'


@pytest.fixture
def house_with_mail(house: House) -> House:
    house.managed("mail.contoso.com", tags=("mine",))
    return house


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("www.contoso.com", ""),
        ("", ""),
        ("http://mail.contoso.com/owa", "is the address of a page, not a name. Write the host name alone."),
        ("ops@contoso.com", "is a mail address, not a name."),
        ("*.*.contoso.com", "has a * that is not its whole first label. Write wildcards as *.contoso.com."),
        ("server01", "server01 is a single label, not a full name. No public authority issues for it: leave it out"),
        ("www.contoso.com, WWW.contoso.com.", "WWW.contoso.com. stands here already: once is enough."),
        ("bücher.example.com", "bücher.example.com will stand on the certificate as xn--bcher-kva.example.com."),
        ("MAIL.contoso.com", "It is on mail.contoso.com already, which Certwright manages."),
    ],
)
def test_each_name_is_judged_as_it_will_be_when_it_is_sent(house_with_mail: House, typed: str, told: str) -> None:
    seen = house_with_mail.signed_in(Role.OPERATOR).post("/new/verdicts/names", names=typed)
    words = seen.words.replace("&#39;", "'")
    assert (seen.status, told in words, bool(told) or words == "") == (200, True, True), words
    assert "<html" not in seen.text


def test_a_certificate_that_has_the_name_is_led_to_before_and_after_it_is_sent(house_with_mail: House) -> None:
    browser = house_with_mail.signed_in(Role.OPERATOR)
    with house_with_mail.engine.store.read() as unit:
        link = f'<a href="/certificates/{unit.managed.get("mail.contoso.com").id}">mail.contoso.com</a>'
    assert link in browser.post("/new/verdicts/names", names="mail.contoso.com").text
    _, seen = landed(browser, browser.post("/new/names", names="mail.contoso.com www.contoso.com"))
    assert seen.text.count(link) == 1


def test_a_certificate_that_somebody_may_not_see_is_not_told_of(house_with_mail: House) -> None:
    theirs = house_with_mail.signed_in(Role.OPERATOR, "others")
    assert theirs.post("/new/verdicts/names", names="mail.contoso.com").words == ""


def test_the_names_of_a_certificate_are_no_others_and_judged_for_its_authority(house_with_mail: House) -> None:
    other = house_with_mail.managed("www.contoso.com")
    browser = house_with_mail.signed_in(Role.OPERATOR)
    seen = browser.post(f"/certificates/{other.id}/verdicts/names", names="www.contoso.com mail.contoso.com intern")
    assert "www.contoso.com" not in seen.words
    assert "It is on mail.contoso.com already" in seen.words
    assert "intern is a single label" in seen.words
    assert browser.post(f"/certificates/{other.id}/verdicts/title", title="www.contoso.com").words == ""


def test_more_names_are_compared_with_those_that_are_chosen(house: House) -> None:
    browser = house.signed_in(Role.OPERATOR)
    seen = browser.post("/new/verdicts/more", name="www.contoso.com", more="www.contoso.com\nimap.contoso.com")
    assert seen.words == "www.contoso.com stands here already: once is enough."


@pytest.mark.parametrize(
    ("field", "typed", "told"),
    [
        ("title", "mail.contoso.com", "There is a managed certificate 'mail.contoso.com' already."),
        ("title", "the\u202email", "The title cannot be taken."),
        ("title", "The mail", ""),
        ("tags", "berlin, No!", "These are no tags: berlin, No!."),
        ("tags", "berlin, web", ""),
        ("email", "ops.contoso.com", "That is not an e-mail address"),
        ("email", "ops@contoso.com", ""),
        ("email", "", ""),
        ("host", "https://www.contoso.com/", "is the address of a page, not a name. Write the host name alone."),
        ("host", "*.contoso.com", "is a wildcard, and no host"),
        ("host", "192.0.2.7", ""),
        ("server", "ex01.contoso.com:443", "contains a colon. Write the host name alone, without a port."),
        ("server", "EX01", ""),
    ],
)
def test_a_field_is_judged_by_what_judges_it_when_it_is_sent(
    house_with_mail: House, field: str, typed: str, told: str
) -> None:
    seen = house_with_mail.signed_in(Role.OPERATOR).post(f"/new/verdicts/{field}", **{field: typed})
    words = seen.words.replace("&#39;", "'")
    assert (seen.status, told in words, bool(told) or words == "") == (200, True, True), words


def test_as_much_is_judged_as_costs_little_and_said_as_can_be_read(house: House) -> None:
    browser = house.signed_in(Role.OPERATOR)
    seen = browser.post("/new/verdicts/names", names="\n".join(f"host{each}" for each in range(5000)))
    assert seen.text.count("<li") == 20
    assert "There is something to say of 480 more." in seen.words


def test_what_was_typed_is_text_in_a_verdict(house: House) -> None:
    browser = house.signed_in(Role.OPERATOR)
    for field in ("names", "more", "title", "tags", "email", "host", "server"):
        assert "<script>" not in browser.post(f"/new/verdicts/{field}", **{field: HOSTILE}).text
    house.managed("www.contoso.com", title=HOSTILE)
    seen = browser.post("/new/verdicts/names", names="www.contoso.com")
    assert ("<script>" in seen.text, "&lt;script&gt;" in seen.text) == (False, True)


def test_a_verdict_is_for_whom_the_form_is_and_asked_for_by_our_pages_alone(house: House) -> None:
    browser = house.signed_in(Role.VIEWER)
    assert browser.post("/new/verdicts/names", names="x").status == 403
    operator = house.signed_in(Role.OPERATOR)
    assert operator.post("/new/verdicts/names", origin="https://elsewhere.test", names="x").status == 403
    assert house.browser().post("/new/verdicts/names", names="x").status == 303
