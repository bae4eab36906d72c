"""The pages in a real browser, as a person uses them who has no mouse."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization.pkcs12 import load_pkcs12
from playwright.sync_api import Browser, expect

from peers.chromium import chromium, complaints, tab
from world.served import TITLE, Served, served
from world.site import ISSUER
from world.web import PASSWORD

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("browser")) as made:
        yield made


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


def test_a_renewal_is_held_and_released_by_keyboard_alone(service: Served, browser: Browser) -> None:
    with tab(browser) as page:
        page.goto(f"{service.address}/certificates")
        expect(page.get_by_label("Name")).to_be_focused()
        page.keyboard.type("anna")
        page.keyboard.press("Tab")
        page.keyboard.type(PASSWORD)
        page.keyboard.press("Enter")
        expect(page).to_have_url(f"{service.address}/certificates")
        page.get_by_role("link", name=TITLE).focus()
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name=TITLE)).to_be_visible()
        page.get_by_role("link", name="Renewal").focus()
        page.keyboard.press("Enter")
        page.get_by_label("Hold renewals back, because").focus()
        page.keyboard.type("the server <b>moves</b>")
        page.keyboard.press("Enter")
        expect(page.get_by_text("the server <b>moves</b> (anna)").first).to_be_visible()
        page.get_by_role("button", name="Let it be renewed again").focus()
        page.keyboard.press("Space")
        expect(page.get_by_label("Hold renewals back, because")).to_be_visible()


def test_a_certificate_is_taken_out_with_its_key_and_a_password_that_was_made(
    service: Served, browser: Browser
) -> None:
    with tab(browser, expected="Password forms") as page:
        service.sign_in(page, "admin")
        page.goto(f"{service.address}/certificates/{service.certificate}/history")
        page.get_by_role("link", name="Export the current version").press("Enter")
        expect(page.get_by_label("Password", exact=True)).to_be_hidden()
        made = page.locator("#made").inner_text()
        page.get_by_label("Form").select_option("pfx-modern")
        with page.expect_download() as download:
            page.get_by_role("button", name="Download it with its key").press("Enter")
        file = download.value
        assert file.suggested_filename == f"{TITLE}.pfx"
        assert load_pkcs12(Path(file.path()).read_bytes(), made.encode()).key
        page.get_by_label("Password of the PFX").select_option("own")
        expect(page.get_by_label("Password", exact=True)).to_be_visible()
        expect(page.locator("#made")).to_be_hidden()
        assert complaints(page) == []
        page.get_by_label("Form").select_option("pem")
        expect(page.get_by_label("Password of the PFX")).to_be_hidden()
        with page.expect_download() as download:
            page.get_by_role("button", name="Download it with its key").press("Enter")
        assert download.value.suggested_filename == f"{TITLE}.pem"
        with page.expect_download() as download:
            page.get_by_role("link", name="The certificate alone (DER)").press("Enter")
        assert download.value.suggested_filename == f"{TITLE}.der"
    with tab(browser) as page:
        service.sign_in(page)
        page.goto(f"{service.address}/certificates/{service.certificate}/export")
        expect(page.get_by_text("needs a permission of its own")).to_be_visible()
        expect(page.get_by_role("button", name="Download it with its key")).to_have_count(0)


def test_a_new_one_is_requested_and_seen_to_its_end(service: Served, browser: Browser) -> None:
    with tab(browser) as page:
        service.sign_in(page)
        page.goto(f"{service.address}/certificates/{service.certificate}/history")
        versions = page.get_by_text(f"by {ISSUER}").count()
        page.get_by_role("button", name="Request a new one now").focus()
        page.keyboard.press("Enter")
        expect(page).to_have_url(f"{service.address}/certificates/{service.certificate}/log")
        page.get_by_role("link", name="History").focus()
        page.keyboard.press("Enter")
        expect(page.get_by_text(f"by {ISSUER}")).to_have_count(versions + 1)
        page.get_by_role("link", name="Log", exact=True).focus()
        page.keyboard.press("Enter")
        page.get_by_role("link", name="request").first.focus()
        page.keyboard.press("Enter")
        expect(page.get_by_text("anna asked for it")).to_be_visible()
        page.get_by_role("button", name="Sign out").focus()
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
