"""A person begins with a web server, or a file, that is there, and comes to the preview of the new certificate."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from peers.chromium import PHONE, chromium, complaints, complaints_by_look, tab
from peers.old_tls import s_server
from world.existing import existing
from world.newcomer import Person
from world.served import HELD, TITLE, Served, served

pytestmark = pytest.mark.e2e

MOST_ANSWERS = 5
PASSWORD = "an unlikely word"
METADATA = "169.254.169.254"
MORE = f"SHOP.contoso.com, shop.contoso.com\n{TITLE}\n*.*.contoso.com\nb\u00fccher.example.com"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("new")) as made:
        yield made


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


def begin(service: Served, page: Page, start: str) -> Person:
    """Open the page that offers what one can begin with, and choose."""
    service.sign_in(page)
    page.goto(f"{service.address}/certificates")
    person = Person(page)
    person.follow("New certificate")
    person.follow(start)
    return person


def sees_the_preview(person: Person, name: str) -> None:
    """Describe what is proposed, and look at what would happen."""
    assert complaints_by_look(person.page) == {}
    person.click("Describe the certificate")
    expect(person.page.get_by_role("heading", name=name)).to_be_visible()
    assert len(person.answers) <= MOST_ANSWERS, person.answers
    person.click("Preview")
    person.sees("Preview: what would happen now")


def test_from_a_web_server_to_the_preview(service: Served, browser: Browser, tmp_path: Path) -> None:
    made = existing(tmp_path, "www.contoso.test", "shop.contoso.test", "localhost", now=datetime.now(UTC))
    with s_server(tmp_path, made.files) as port, tab(browser) as page:
        person = begin(service, page, "A web server")
        person.answer("Host", "localhost")
        person.answer("Port", str(port))
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name=f"What localhost:{port} presents")).to_be_visible()
        for name in ("www.contoso.test", "shop.contoso.test", "localhost"):
            expect(page.get_by_role("checkbox", name=name, exact=True)).to_be_checked()
        expect(page.get_by_role("checkbox", name=f"Watch what localhost:{port} presents")).to_be_checked()
        sees_the_preview(person, "www.contoso.test")
        person.follow("Watched")
        person.sees(f"localhost:{port}")


def test_from_a_pfx_to_the_preview(service: Served, browser: Browser, tmp_path: Path) -> None:
    pfx = existing(tmp_path, "mail.fabrikam.test", "fabrikam.test", now=datetime.now(UTC)).pfx(PASSWORD)
    with tab(browser, expected="422|Password forms") as page:
        person = begin(service, page, "An existing PFX or PEM file")
        page.get_by_label("The file").set_input_files(pfx)
        page.get_by_label("Password").fill("wrong")
        person.click("Read the file")
        expect(page.get_by_role("alert")).to_contain_text("the password is wrong")
        assert complaints_by_look(page) == {}
        page.get_by_label("The file").set_input_files(pfx)
        person.answers.append("The file")
        person.answer("Password", PASSWORD)
        person.click("Read the file")
        person.sees("What the file holds")
        for name in ("mail.fabrikam.test", "fabrikam.test"):
            expect(page.get_by_role("checkbox", name=name, exact=True)).to_be_checked()
        sees_the_preview(person, "mail.fabrikam.test")
        person.follow("Watched")
        person.sees("mail.fabrikam.test until")


def test_where_it_is_never_connected_to_the_way_on_is_to_type_the_names(service: Served, browser: Browser) -> None:
    with tab(browser, expected="422") as page:
        person = begin(service, page, "A web server")
        person.answer("Host", METADATA)
        person.click("Look at it")
        expect(page.get_by_role("alert")).to_contain_text("to which Certwright does not connect")
        person.follow("Go on by typing the names")
        expect(page.get_by_label("Names, one on each line")).to_have_value(METADATA)


def test_mistakes_are_shown_while_names_are_typed_and_go_when_they_are_mended(
    service: Served, browser: Browser
) -> None:
    with tab(browser) as page:
        begin(service, page, "Names that I type")
        sent: list[str] = []
        page.on("request", lambda request: sent.append(request.url.removeprefix(f"{service.address}/")))
        names = page.get_by_label("Names, one on each line")
        said = page.locator("#names-verdict")
        names.press_sequentially("http://shop.contoso.com/owa", delay=20)
        expect(said).to_contain_text("is the address of a page, not a name. Write the host name alone.")
        names.press_sequentially(f"\n{MORE}", delay=20)
        expect(said).to_contain_text("shop.contoso.com stands here already: once is enough.")
        expect(said).to_contain_text("has a * that is not its whole first label.")
        expect(said).to_contain_text("will stand on the certificate as xn--bcher-kva.example.com.")
        expect(said.get_by_role("link", name=TITLE)).to_be_visible()
        expect(names).to_have_value(f"http://shop.contoso.com/owa\n{MORE}")
        expect(names).to_be_focused()
        expect(names).to_have_accessible_description(
            re.compile("shop.contoso.com stands here already.*For example mail")
        )
        assert complaints(page) == []
        page.emulate_media(color_scheme="dark")
        page.set_viewport_size(PHONE)
        page.wait_for_timeout(500)  # colours that are under way from one look to the other are none of the page's
        assert complaints(page) == []
        names.press("Control+a")
        names.press_sequentially("shop.contoso.com", delay=20)
        expect(said).to_be_empty()
        asked = [each for each in sent if not each.startswith("static/")]
        assert set(asked) == {"new/verdicts/names"}
        assert len(asked) < len("http://shop.contoso.com/owa")


def test_a_host_and_a_server_are_judged_while_they_are_typed(service: Served, browser: Browser) -> None:
    with tab(browser) as page:
        person = begin(service, page, "A web server")
        page.get_by_label("Host").press_sequentially("https://www.contoso.test/", delay=20)
        person.sees("is the address of a page, not a name.")
        assert complaints(page) == []
        page.goto(f"{service.address}/new/exchange")
        sent: list[str] = []
        page.on("request", lambda request: sent.append(request.post_data or ""))
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_label("Server").press_sequentially("ex01.contoso.test:444", delay=20)
        person.sees("contains a colon.")
        assert complaints(page) == []
        assert sent
        assert not [each for each in sent if "unlikely" in each]


def test_names_and_title_of_a_certificate_are_judged_while_they_are_changed(service: Served, browser: Browser) -> None:
    with tab(browser) as page:
        service.sign_in(page)
        page.goto(f"{service.address}/certificates/{service.certificate}")
        page.get_by_text("Change the names").click()
        page.get_by_label("What you call it").fill(HELD)
        said = page.locator("#title-verdict")
        expect(said).to_contain_text(f"There is a managed certificate '{HELD}' already.")
        names = page.get_by_label("Names, one on each line")
        names.press_sequentially("bad_name", delay=20)
        expect(page.locator("#names-verdict")).to_contain_text("has an underscore, which no host name may have.")
        assert complaints(page) == []
        with page.expect_response(f"**/certificates/{service.certificate}"):
            page.evaluate("htmx.ajax('GET', location.pathname, {target: '#main', select: '#main', swap: 'outerMorph'})")
        page.wait_for_timeout(500)
        expect(said).to_contain_text("already")
        expect(page.get_by_label("What you call it")).to_have_value(HELD)
