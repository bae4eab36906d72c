"""In a browser from the first start to a certificate that is served, a renewal that fails, and its mending."""

from pathlib import Path

import pytest
from playwright.sync_api import expect

from certwright.sandbox.world import NAMES
from peers.chromium import chromium, complaints_by_look, tab
from peers.ports import free_port
from world.newcomer import Installed, Person, installed
from world.web import PASSWORD

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

MOST_ANSWERS = 5
SERVERS = ("EX01", "EX02")
NEW_PASSWORD = "another horse battery"


def begin(person: Person, new: Installed) -> None:
    """Make the administrator, and the account at an authority; at first its address is mistyped."""
    page = person.page
    page.goto(new.address)
    page.get_by_label("Name").fill("anna")
    for label in ("Password", "The same again"):
        page.get_by_label(label).fill(PASSWORD)
    person.click("Make the administrator")
    person.sees("Who is to sign your certificates?")
    expect(page.get_by_role("combobox", name="Authority")).to_have_value("letsencrypt")
    page.get_by_label("E-mail address").fill("postmaster@contoso.test")
    page.get_by_text("An authority of your own").click()
    page.get_by_label("Directory").fill(f"https://127.0.0.1:{free_port()}/directory")
    person.click("Go on")
    expect(page.get_by_role("alert")).to_contain_text("could not be asked what it wants")
    expect(page.get_by_label("E-mail address")).to_have_value("postmaster@contoso.test")
    page.get_by_label("Directory").fill(new.world.authority.directory_url)
    page.get_by_label("CA file").fill(str(new.world.authority.ca_file))
    person.click("Go on")
    page.get_by_label("I agree").check()
    person.click("Register the account")
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()


def describe(person: Person, new: Installed) -> None:
    """From the name of a server to a certificate that waits to be requested."""
    person.follow("Begin with what you have")
    person.follow("An Exchange server")
    person.answer("Server", new.world.exchange[SERVERS[0]].spec.fqdn)
    person.answer("Username", new.world.administrator)
    person.answer("Password", new.world.password)
    person.click("Read the organisation")
    person.sees(f"a certificate for {len(SERVERS)} servers")
    for name in NAMES:
        expect(person.page.get_by_role("checkbox", name=name)).to_be_checked()
    person.click("Set it up")
    expect(person.page.get_by_role("heading", name=NAMES[0])).to_be_visible()
    assert len(person.answers) <= MOST_ANSWERS, person.answers


def put_to_use(person: Person) -> None:
    """Look at what would be done, have it done, and see what every port serves."""
    person.click("Run it now")
    person.sees("what would be done now")
    person.click("Do this now")
    sees_it_served(person)


def sees_it_served(person: Person) -> None:
    """Wait until every port is seen to serve it, which nobody has to load a page again for."""
    expect(person.page.locator("article .outcome.deployed")).to_be_visible()
    expect(person.health).to_have_text("ok")
    verdicts = person.page.locator("table tbody tr td:last-child").all_inner_texts()
    assert len(verdicts) > len(SERVERS)
    assert {verdict.splitlines()[0] for verdict in verdicts} == {"ok"}


def look_at_exchange(person: Person) -> None:
    """The pages about Exchange, by axe too."""
    page = person.page
    page.goto(page.url.partition("/certificates/")[0] + "/exchange")
    assert complaints_by_look(page) == {}
    person.click("Look at every port")
    expect(page.get_by_role("heading", name=f"{NAMES[0]}: what every port serves now")).to_be_visible()
    assert complaints_by_look(page) == {}
    person.follow("To Exchange")
    person.click("Put back what was there before")
    expect(page.get_by_role("heading", name=f"{NAMES[0]}: what would be put back")).to_be_visible()
    assert complaints_by_look(page) == {}


def test_from_the_first_start_to_a_renewal_that_failed_and_was_mended(tmp_path: Path) -> None:
    with installed(tmp_path, SERVERS) as new, chromium() as browser, tab(browser, expected="422") as page:
        person = Person(page)
        begin(person, new)
        overview = page.context.new_page()
        overview.goto(page.url)
        describe(person, new)

        person.click("Preview")
        person.sees("Preview: what would happen now")
        person.click("Test")
        person.sees("Nothing that was looked at keeps a request from succeeding.")
        person.click("Request it now")
        person.sees("Nothing was changed: a person has to agree first.")
        expect(page.locator(".journal")).to_contain_text("Probe what every port serves now")
        assert not new.world.exchange.mutations
        person.click("Deployment")
        put_to_use(person)
        first = new.world.authority.issued[-1].certificate

        page.goto(page.url.partition("/certificates/")[0] + "/exchange")
        person.click("Examine it")
        person.sees("Nothing stops a deployment.")

        new.world.exchange.change_password(NEW_PASSWORD)
        person.follow("Certificates")
        person.follow(NAMES[0])
        person.click("Request a new one now")
        expect(person.health).to_have_text("attention")
        person.sees("The new certificate is not put to use since")
        person.sees("the user name or the password is wrong")
        person.sees("What is in use ends on")
        expect(overview.get_by_text("the user name or the password is wrong")).to_be_visible()
        person.follow("Credentials:")
        page.get_by_label("Username").fill(new.world.administrator)
        page.get_by_label("Password").fill(NEW_PASSWORD)
        person.click("Store it")
        person.follow("Certificates")
        person.follow(NAMES[0])
        person.follow("Deployment")
        sees_it_served(person)
        assert new.world.authority.issued[-1].certificate != first
        expect(overview.get_by_role("link", name="1 ok")).to_be_visible()
        expect(overview.locator("[id^=trouble-]")).to_have_count(0)
        look_at_exchange(person)
