"""Pages that stay true in a real browser: without a reload, over one stream for all tabs, also after a restart."""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from certwright.domain.managed import RenewalPolicy, TaskSettings
from certwright.domain.runs import RunKind
from certwright.engine import hold
from certwright.engine.context import Engine
from certwright.engine.task_list import add_task, move_task, remove_task
from certwright.engine.tokens import create_token
from certwright.engine.validations import put_validation, remove_validation
from certwright.sdk.places import Places
from peers.chromium import chromium, tab
from world.served import HELD, TITLE, Served, served
from world.site import ISSUER, describe
from world.web import PASSWORD

pytestmark = pytest.mark.e2e
SLOW = """() => {
  const real = window.fetch;
  window.asked = [];
  window.answered = [];
  window.fetch = async (...given) => {
    window.asked.push(performance.now());
    const answer = await real(...given);
    await new Promise((go) => setTimeout(go, 3000));
    window.answered.push(performance.now());
    return answer;
  };
}"""
RELOADED = "window.performance.getEntriesByType('navigation')[0].type"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("live")) as made:
        yield made


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


def wish(service: Served) -> None:
    """As another person, on another machine, asks for a new certificate."""
    with service.site.engine() as engine:
        hold.ask(engine, service.certificate)


def choose(engine: Engine, certificate: str, days: int) -> None:
    """As another person chooses when it is renewed."""
    hold.set_policy(engine, certificate, RenewalPolicy(days_before=days))


def mark(page: Page) -> None:
    """Leave a sign that a reload would take away."""
    page.evaluate("window.here = 'still'")


def streams(context: BrowserContext) -> list[str]:
    """The addresses of all streams that are begun from now on."""
    begun: list[str] = []
    context.on("request", lambda request: begun.append(request.url) if "/live?" in request.url else None)
    return begun


def test_a_page_shows_what_happens_without_a_reload(service: Served, browser: Browser) -> None:
    with tab(browser) as page:
        service.sign_in(page)
        page.goto(f"{service.address}/certificates/{service.certificate}/renewal")
        mark(page)
        page.locator("#reason").fill("half a reason")
        known = str(page.locator("main").get_attribute("data-known"))
        wish(service)
        expect(page.locator("main")).not_to_have_attribute("data-known", known)
        expect(page.locator("#reason")).to_have_value("half a reason")
        assert page.evaluate("window.here") == "still"


def test_a_run_is_watched_to_its_end(service: Served, browser: Browser) -> None:
    with tab(browser) as page:
        service.sign_in(page)
        page.goto(f"{service.address}/certificates/{service.certificate}/log")
        runs = page.get_by_role("link", name=RunKind.REQUEST.value).count()
        wish(service)
        expect(page.get_by_role("link", name=RunKind.REQUEST.value)).to_have_count(runs + 1)
        page.get_by_role("link", name=RunKind.REQUEST.value).first.click()
        mark(page)
        expect(page.get_by_text("Store the new version")).to_be_visible()
        expect(page.locator("h1 .outcome.done")).to_be_visible()
        assert page.evaluate("window.here") == "still"


def test_two_tabs_share_one_stream_and_the_second_takes_over(service: Served, browser: Browser) -> None:
    with tab(browser) as first:
        begun = streams(first.context)
        service.sign_in(first)
        first.wait_for_function("document.querySelector('main').dataset.live !== undefined")
        second = first.context.new_page()
        second.goto(f"{service.address}/certificates/{service.certificate}/history")
        mark(second)
        versions = second.get_by_text(f"by {ISSUER}").count()
        wish(service)
        expect(second.get_by_text(f"by {ISSUER}")).to_have_count(versions + 1)
        assert len(begun) == 1
        first.close()
        wish(service)
        expect(second.get_by_text(f"by {ISSUER}")).to_have_count(versions + 2)
        assert len(begun) == 2
        assert second.evaluate("window.here") == "still"


def test_what_a_person_does_in_the_tab_that_listens_is_seen_in_the_others(service: Served, browser: Browser) -> None:
    """The stream ends with the page whose form was sent, and what it did is told by the next one."""
    path = f"{service.address}/certificates/{service.certificate}"
    for round_ in range(4):
        with tab(browser) as first:
            service.sign_in(first)
            first.goto(path)
            first.wait_for_function("document.querySelector('main').dataset.live !== undefined")
            other = first.context.new_page()
            other.goto(path)
            mark(other)
            first.locator("[name=tags]").fill(f"round{round_}")
            first.locator("[name=tags]").press("Enter")
            expect(other.locator("[name=tags]")).to_have_value(f"round{round_}")
            assert other.evaluate("window.here") == "still"


def test_after_a_restart_it_is_true_again(service: Served, browser: Browser) -> None:
    with tab(browser, expected="Failed to load resource|ERR_|htmx") as page:
        service.sign_in(page)
        page.goto(f"{service.address}/certificates/{service.certificate}/history")
        mark(page)
        versions = page.get_by_text(f"by {ISSUER}").count()
        service.stop()
        expect(page.locator("#connection")).to_be_visible()
        wish(service)
        service.start()
        expect(page.get_by_text(f"by {ISSUER}")).to_have_count(versions + 1)
        expect(page.locator("#connection")).to_be_hidden()
        assert page.evaluate("window.here") == "still"


def test_certificates_are_found_while_typing_and_the_address_holds_it(service: Served, browser: Browser) -> None:
    with tab(browser) as page:
        service.sign_in(page)
        page.goto(f"{service.address}/certificates")
        mark(page)
        page.get_by_label("Name, or a part of it").press_sequentially("shop.con")
        expect(page.get_by_role("link", name=TITLE)).to_have_count(0)
        expect(page.get_by_role("link", name=HELD)).to_be_visible()
        expect(page).to_have_url(re.compile(r"/certificates\?name=shop\.con&"))
        assert page.evaluate("window.here") == "still"
        page.reload()
        expect(page.get_by_label("Name, or a part of it")).to_have_value("shop.con")
        expect(page.get_by_role("link", name=TITLE)).to_have_count(0)


def test_several_are_chosen_by_one_box_and_held_by_keyboard_alone(service: Served, browser: Browser) -> None:
    with tab(browser) as page:
        service.sign_in(page)
        page.goto(f"{service.address}/certificates")
        page.get_by_label("Choose all of this page").focus()
        page.keyboard.press("Space")
        expect(page.get_by_label(f"Choose {TITLE}")).to_be_checked()
        page.get_by_role("button", name="Hold renewals back").focus()
        page.keyboard.press("Enter")
        page.get_by_label("Hold renewals back, because").focus()
        page.keyboard.type("we move")
        page.get_by_role("button", name="Do it for 1 certificate").focus()
        page.keyboard.press("Enter")
        expect(page.get_by_text("Done for 1 certificate.")).to_be_visible()
        with service.site.engine() as engine:
            hold.release(engine, service.certificate)


def test_a_page_is_asked_for_again_for_what_it_shows_alone(service: Served, browser: Browser) -> None:
    with tab(browser) as page:
        asked: list[str] = []
        service.sign_in(page, "admin")
        page.goto(f"{service.address}/people")
        mark(page)
        other = page.context.new_page()
        other.goto(f"{service.address}/certificates/{service.certificate}/history")
        versions = other.get_by_text(f"by {ISSUER}").count()
        page.wait_for_timeout(2500)  # the sign-in is told of, too
        page.on("request", lambda request: asked.append(request.url))
        wish(service)
        expect(other.get_by_text(f"by {ISSUER}")).to_have_count(versions + 1)
        assert not asked
        with service.site.engine() as engine:
            create_token(engine, "inventory", ["read"], timedelta(days=1))
        expect(page.get_by_text("inventory")).to_be_visible()
        assert page.evaluate("window.here") == "still"


def test_a_page_that_is_slow_to_come_is_not_asked_for_at_once_again(service: Served, browser: Browser) -> None:
    with tab(browser) as page:
        service.sign_in(page)
        page.goto(f"{service.address}/certificates/{service.certificate}/renewal")
        page.evaluate(SLOW)
        for days in (28, 27, 26):
            with service.site.engine() as engine:
                choose(engine, service.certificate, days)
            page.wait_for_timeout(1500)
        expect(page.locator("[name=days_before]")).to_have_value("26", timeout=20_000)
        asked, answered = page.evaluate("[window.asked, window.answered]")
        pauses = [after - before for before, after in zip(answered, asked[1:], strict=False)]
        assert min(pauses, default=0) > 900


def test_what_somebody_is_at_in_a_form_is_judged_by_what_it_showed(service: Served, browser: Browser) -> None:
    with tab(browser, expected="412") as page:
        service.sign_in(page)
        page.goto(f"{service.address}/certificates/{service.certificate}/renewal")
        mark(page)
        days, revision = page.locator("[name=days_before]"), page.locator("#policy [name=revision]")
        shown = revision.get_attribute("value")
        window = page.locator("#window [name=revision]")
        days.fill("15")
        with service.site.engine() as engine:
            choose(engine, service.certificate, 30)
        expect(page.get_by_text("Somebody changed meanwhile what this shows.")).to_have_count(1)
        expect(window).not_to_have_attribute("value", str(shown))
        expect(revision).to_have_attribute("value", str(shown))
        expect(days).to_have_value("15")
        with page.context.expect_page() as opened:
            page.get_by_role("link", name="look at it in another tab").click()
        expect(opened.value.locator("[name=days_before]")).to_have_value("30")
        opened.value.close()
        page.locator("#policy button").click()
        expect(page.locator("[name=days_before]")).to_have_value("15")
        expect(page.get_by_text("What you typed is still here: send it again")).to_be_visible()
        with service.site.engine() as engine, engine.store.read() as unit:
            assert unit.managed.get(service.certificate).renewal.days_before == 30
        page.get_by_role("link", name="To the page as it is now").click()
        expect(page.locator("[name=days_before]")).to_have_value("30")


def test_the_focus_goes_over_to_nothing_that_does_something_else(
    service: Served, browser: Browser, tmp_path: Path
) -> None:
    program = tmp_path / "reload"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    names = [f"n{number}.focus.test" for number in range(3)]
    with service.site.engine() as engine:
        certificate = describe(engine, service.ca, *names).id
        hold.hold(engine, certificate, "the office moves", None)
        allowed = replace(engine, places=Places((tmp_path,), ()))
        for title in ("first", "second", "third"):
            add_task(allowed, certificate, TaskSettings(kind="script", title=title, params={"program": str(program)}))
        for name in names:
            put_validation(engine, certificate, service.ca.validation.model_copy(update={"names": (name,)}))
    with tab(browser) as page, service.site.engine() as engine:
        service.sign_in(page)
        at, focused = f"{service.address}/certificates/{certificate}", page.locator("main :focus")

        page.goto(f"{at}/deployment")
        page.get_by_role("button", name="Disable, second").focus()
        remove_task(engine, certificate, "first")
        expect(page.get_by_text("1. second")).to_be_visible()
        expect(focused).to_have_attribute("aria-label", "Disable, second")
        page.get_by_role("button", name="second later").focus()
        move_task(engine, certificate, "second", 2)
        expect(page.get_by_text("2. second")).to_be_visible()
        expect(focused).to_have_count(0)

        page.goto(f"{at}/validation")
        page.get_by_role("button", name=f"Remove, {names[1]}").focus()
        remove_validation(engine, certificate, [names[0]])
        expect(page.get_by_role("button", name=f"Remove, {names[0]}")).to_have_count(0)
        expect(focused).to_have_attribute("aria-label", f"Remove, {names[1]}")

        page.goto(f"{at}/renewal")
        page.get_by_role("button", name="Let it be renewed again").focus()
        hold.release(engine, certificate)
        expect(page.get_by_role("button", name="Hold", exact=True)).to_be_visible()
        expect(focused).to_have_count(0)
        page.get_by_role("button", name="Hold", exact=True).focus()
        hold.hold(engine, certificate, "the office moves", None)
        expect(page.get_by_role("button", name="Let it be renewed again")).to_be_visible()
        expect(focused).to_have_count(0)


def test_a_form_that_nobody_is_at_shows_what_somebody_else_chose(service: Served, browser: Browser) -> None:
    with tab(browser) as page:
        service.sign_in(page)
        page.goto(f"{service.address}/certificates/{service.certificate}/renewal")
        mark(page)
        with service.site.engine() as engine:
            choose(engine, service.certificate, 25)
        expect(page.locator("[name=days_before]")).to_have_value("25")
        page.locator("[name=days_before]").fill("20")
        page.locator("#policy button").click()
        expect(page.locator("[name=days_before]")).to_have_value("20")
        with service.site.engine() as engine, engine.store.read() as unit:
            assert unit.managed.get(service.certificate).renewal.days_before == 20


def test_who_is_signed_out_elsewhere_is_told_and_comes_back(service: Served, browser: Browser) -> None:
    with tab(browser, expected="401|net::ERR") as page:
        service.sign_in(page)
        address = f"{service.address}/certificates/{service.certificate}/renewal"
        page.goto(address)
        mark(page)
        page.locator("#reason").fill("the server moves")
        other = page.context.new_page()
        other.goto(f"{service.address}/certificates")
        other.get_by_role("button", name="Sign out").click()
        expect(page.locator("#signed-out")).to_be_visible()
        expect(page.locator("#connection")).to_be_hidden()
        here = quote(address.removeprefix(service.address), safe="")
        expect(page.locator("#signed-out a")).to_have_attribute("href", f"/sign-in?next={here}")

        service.sign_in(other)
        expect(page.locator("#signed-out")).to_be_hidden()
        expect(page.locator("#reason")).to_have_value("the server moves")
        assert page.evaluate("window.here") == "still"

        other.get_by_role("button", name="Sign out").click()
        other.wait_for_url("**/sign-in*")
        page.get_by_role("button", name="Hold", exact=True).click()
        expect(page.get_by_text("nothing of what you sent was taken or done")).to_be_visible()
        page.locator("[name=name]").fill("anna")
        page.locator("[name=password]").fill(PASSWORD)
        page.locator("main button").click()
        expect(page).to_have_url(address)
        expect(page.locator("#reason")).to_have_value("")
