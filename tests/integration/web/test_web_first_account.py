"""The page after the first administrator: what an authority wants is asked of it, and told."""

import re
from collections.abc import Iterator

import pytest

from certwright.acme_server import AcmeServerConfig
from certwright.domain.access import Role
from peers.ports import free_port
from world.site import Authority, authority
from world.web import House, job_of, landed

PATH = "/first-start/authority"
KEY_ID, MAC_KEY = "kid-1", "Yy1tYWMta2V5LW9mLTMyLWJ5dGVzLWZvci10ZXN0cw"


@pytest.fixture(scope="module")
def ca() -> Iterator[Authority]:
    with authority(AcmeServerConfig(external_account_keys={KEY_ID: MAC_KEY}, external_account_required=True)) as made:
        yield made


def chosen(ca: Authority, **other: str) -> dict[str, str]:
    server = ca.server
    return {
        "email": "postmaster@contoso.test",
        "authority": "letsencrypt",
        "directory": server.directory_url,
        "ca_file": str(server.ca_file),
        **other,
    }


def test_what_is_asked_for_is_given_and_the_account_registered(house: House, ca: Authority) -> None:
    browser = house.signed_in()
    assert "register an account" in browser.get("/").words
    terms, seen = landed(browser, browser.post(PATH, **chosen(ca)))
    assert (seen.status, "It wants an account that you have there already" in seen.words) == (200, True)
    assert re.search(r'href="https:[^"]*" rel="noreferrer', seen.text)
    for given, told in (
        ({}, "agree to its terms of service"),
        ({"agree_tos": "yes"}, "wants an external account binding"),
        ({"agree_tos": "yes", "eab_kid": KEY_ID}, "Key id and MAC key belong together."),
        ({"agree_tos": "yes", "eab_kid": KEY_ID, "eab_key": "d3Jvbmc"}, "could not be registered"),
    ):
        _, seen = landed(browser, browser.post(terms, **given))
        assert (seen.status, told in seen.words) == (422, True), seen.words
        assert "d3Jvbmc" not in seen.text
    right = {"agree_tos": "yes", "eab_kid": KEY_ID, "eab_key": MAC_KEY}
    path, seen = landed(browser, browser.post(terms, **right))
    assert (path, seen.status) == ("/", 200)
    assert "There is an account already: custom." in browser.get(PATH).words
    assert "register an account" not in browser.get("/").words


def test_an_authority_that_cannot_be_reached_is_told_and_another_can_be_chosen(house: House, ca: Authority) -> None:
    browser = house.signed_in()
    for wrong, told in (
        ({"directory": f"https://127.0.0.1:{free_port()}/directory"}, "could not be asked what it wants"),
        ({"directory": "", "authority": "step-ca"}, "Its directory was not given"),
        ({"authority": "nobody"}, "No authority is known here by the name"),
        ({"email": "nobody"}, "That is not an e-mail address"),
        ({"ca_file": "/no/such/file"}, "/no/such/file"),
    ):
        _, seen = landed(browser, browser.post(PATH, **chosen(ca, **wrong)))
        assert (seen.status, told in seen.words) == (422, True), seen.words
        assert ("postmaster@contoso.test" in seen.text) is ("email" not in wrong)
        assert "<details open>" in seen.text
    with house.engine.store.read() as unit:
        assert [issuer.name for issuer in unit.issuers.list()] == ["le"]


def test_what_is_missing_is_told_at_its_field_in_the_words_of_the_page(house: House) -> None:
    browser = house.signed_in()
    _, seen = landed(browser, browser.post(PATH, email="postmaster@contoso.test", authority="custom"))
    assert '<small class="wrong" id="directory-error">Is needed, but missing</small>' in seen.text
    assert ("Give Directory https://..., or Authority with" in seen.words, "--" in seen.words) == (True, False)
    assert 'href="/issuers/add/acme"' in seen.text
    given = {"name": "own", "param.authority": "custom", "param.email": "postmaster@contoso.test"}
    _, seen = landed(browser, browser.post("/issuers/add/acme", **given))
    assert 'id="param.directory-error"' in seen.text


def test_what_came_of_something_else_is_not_taken_for_an_answer(house: House) -> None:
    browser = house.signed_in()
    begun = job_of(browser.post("/audit/verify"))
    for seen in (browser.get(f"{PATH}/{begun}"), browser.post(f"{PATH}/{begun}", agree_tos="yes")):
        assert (seen.status, "is not shown here" in seen.words) == (404, True)


def test_who_may_not_register_is_told_who_may(house: House) -> None:
    for browser in (house.signed_in(Role.VIEWER), house.signed_in(Role.OPERATOR, "berlin")):
        seen = browser.get("/")
        assert "registering an account takes an operator or an administrator" in seen.words
        assert PATH not in seen.text
        assert browser.get(PATH).status == 403
