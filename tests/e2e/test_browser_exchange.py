"""Earlier versions are cleaned up in a real browser, and the account is looked at, without a mouse."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import expect

from certwright.domain.access import Role
from certwright.engine.people import add_person
from peers.chromium import PHONE, chromium, complaints, tab
from world.mailing import Mail, mailing
from world.web import PASSWORD, opened

pytestmark = pytest.mark.e2e


@pytest.fixture
def mail(tmp_path: Path) -> Iterator[Mail]:
    with opened(tmp_path) as house, mailing(house, tmp_path) as made:
        yield made


def test_earlier_versions_are_removed_and_the_account_is_checked(mail: Mail) -> None:
    old = mail.version.facts.thumbprint
    mail.renewed()
    mail.house.clock.now += timedelta(days=2)
    add_person(mail.house.engine, "admin", Role.ADMINISTRATOR, PASSWORD)
    with chromium() as browser, tab(browser, PHONE) as page:
        page.goto(f"http://{mail.house.at}/sign-in?next=/exchange")
        page.get_by_label("Name").fill("admin")
        page.get_by_label("Password").fill(PASSWORD)
        page.keyboard.press("Enter")
        page.get_by_role("button", name="Clean up").press("Enter")
        expect(page.get_by_role("heading", name="Contoso mail: earlier versions on the servers")).to_be_visible()
        expect(page.get_by_text(f"-Thumbprint '{old}'")).to_have_count(2)
        assert complaints(page) == []
        page.get_by_role("button", name="Remove these now").press("Enter")
        expect(page.get_by_role("heading", name="Contoso mail: what was removed")).to_be_visible()
        expect(page.get_by_text(old)).to_have_count(2)
        assert complaints(page) == []
        assert not [s for s in mail.exchange.organisation.servers.values() if old in s.state.certificates]

        page.get_by_role("link", name="To Exchange").press("Enter")
        page.get_by_role("link", name="The account, and what it needs").press("Enter")
        page.get_by_role("button", name="Check the account").press("Enter")
        expect(page.get_by_text("The account has all the rights that Certwright needs.")).to_be_visible()
        assert complaints(page) == []
        page.get_by_label("The account").fill("CONTOSO\\svc-certs")
        page.keyboard.press("Enter")
        expect(
            page.get_by_text("Add-RoleGroupMember -Identity 'Certwright' -Member 'CONTOSO\\svc-certs'")
        ).to_be_visible()
        assert complaints(page) == []
