"""The pages in a real browser, as a person uses them: by keyboard, in the dark, on a phone."""

import os
import signal
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from certwright.domain.runs import RunKind
from certwright.engine.request import request
from peers.chromium import PHONE, WIDE, chromium, tab
from peers.ports import free_port, wait_for_port
from world.site import ISSUER, Site, authority, describe, register
from world.web import PASSWORD

pytestmark = pytest.mark.e2e
TITLE = "mail.contoso.test"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A service with one certificate and an operator."""
    folder = tmp_path_factory.mktemp("browser")
    with authority() as ca:
        site = Site(folder).initialise()
        register(site, ca)
        with site.engine() as engine:
            assert request(engine, describe(engine, ca, TITLE).id).version
        site.cli("person", "add", "anna", "operator", "--password-file", "-", given=PASSWORD, code=0)
        port = free_port()
        service = site.begin("serve", "--listen", f"127.0.0.1:{port}")
        wait_for_port("127.0.0.1", port, 60)
        yield f"http://127.0.0.1:{port}"
        os.kill(service.pid, signal.SIGTERM)
        assert service.wait().code == 0


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


def sign_in(page: Page, address: str) -> None:
    page.goto(address)
    page.get_by_label("Name").fill("anna")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()


def test_a_renewal_is_held_and_released_by_keyboard_alone(address: str, browser: Browser) -> None:
    with tab(browser) as page:
        page.goto(f"{address}/certificates")
        expect(page.get_by_label("Name")).to_be_focused()
        page.keyboard.type("anna")
        page.keyboard.press("Tab")
        page.keyboard.type(PASSWORD)
        page.keyboard.press("Enter")
        expect(page).to_have_url(f"{address}/certificates")
        page.get_by_role("link", name=TITLE).focus()
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name=TITLE)).to_be_visible()
        page.get_by_label("Hold renewals back, because").focus()
        page.keyboard.type("the server <b>moves</b>")
        page.keyboard.press("Enter")
        expect(page.get_by_text("the server <b>moves</b> (anna)").first).to_be_visible()
        page.get_by_role("button", name="Let it be renewed again").focus()
        page.keyboard.press("Space")
        expect(page.get_by_label("Hold renewals back, because")).to_be_visible()


def test_a_new_one_is_requested_and_seen_to_its_end(address: str, browser: Browser) -> None:
    with tab(browser) as page:
        sign_in(page, address)
        page.goto(f"{address}/certificates")
        page.get_by_role("link", name=TITLE).click()
        expect(page.get_by_role("heading", name=TITLE)).to_be_visible()
        versions = page.get_by_text(f"by {ISSUER}").count()
        with page.expect_navigation():
            page.get_by_role("button", name="Request a new one now").click()
        for _ in range(60):
            page.reload()
            if page.get_by_text(f"by {ISSUER}").count() > versions:
                break
            page.wait_for_timeout(500)
        expect(page.get_by_text(f"by {ISSUER}")).to_have_count(versions + 1)
        page.get_by_role("link", name=RunKind.REQUEST.value).first.click()
        expect(page.get_by_text("anna asked for it")).to_be_visible()


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("size", [WIDE, PHONE])
def test_every_page_fits_the_screen(address: str, browser: Browser, size: object, *, dark: bool) -> None:
    with tab(browser, size, dark=dark) as page:  # type: ignore[arg-type]
        sign_in(page, address)
        for path in ("/", "/certificates", "/certificates?name=.."):
            page.goto(address + path)
            assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), path
        page.goto(f"{address}/certificates")
        page.get_by_role("link", name=TITLE).click()
        expect(page.get_by_role("heading", name=TITLE)).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        page.get_by_role("link", name=RunKind.REQUEST.value).first.click()
        expect(page.get_by_text("Store the new version")).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
