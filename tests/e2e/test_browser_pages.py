"""Every page in a real browser: light, dark and on a telephone it fits, and axe finds nothing that keeps people out."""

import os
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from certwright import store as stores
from certwright.domain.access import Role
from certwright.domain.deployment import ServedRow, Verdict
from certwright.domain.managed import TaskSettings
from certwright.domain.runs import DeploymentState, Stage
from certwright.domain.tasks import Trigger
from certwright.engine import hold
from certwright.engine.channels import add_channel
from certwright.engine.credentials import store_credential
from certwright.engine.jobs import Jobs
from certwright.engine.live import Live
from certwright.engine.people import add_person
from certwright.engine.task_list import add_task
from certwright.probe import Endpoint
from certwright.server.http import listening
from certwright.settings import Settings
from certwright.web import SetupToken, application
from certwright.wiring import open_engine
from peers.chromium import LOOKS, PHONE, chromium, complaints, tab
from peers.openid import Misled, openid
from peers.patient import patient
from peers.ports import free_port
from world.many import fill
from world.served import TITLE, Served, provide, served
from world.site import describe
from world.web import PASSWORD

pytestmark = pytest.mark.e2e
EXCHANGE = {"servers": ["ex01.contoso.test"]}
PICTURES = os.environ.get("SCREENSHOTS")
FIRST_LOAD, REPEAT_LOAD = 100_000, 15_000
LOADED = """[...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]
    .filter((each) => !each.name.includes('/live')).reduce((sum, each) => sum + each.transferSize, 0)"""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("pages")) as made:
        yield made


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


def picture(page: Page, path: str, look: str, *, whole: bool = True) -> None:
    if PICTURES:
        name = re.sub(r"[0-9a-f]{12}", "one", path).strip("/").replace("/", "-") or "overview"
        page.screenshot(path=Path(PICTURES, f"{name}-{look}.png"), full_page=whole)


@pytest.mark.parametrize("look", LOOKS)
def test_every_page_lets_everybody_in(service: Served, browser: Browser, look: str) -> None:
    size, dark = LOOKS[look]
    with tab(browser, size, dark=dark, expected="Password forms") as page:
        page.goto(f"{service.address}/sign-in")
        picture(page, "/sign-in", look)
        told = {"/sign-in": complaints(page)}
        service.sign_in(page, "admin")
        for path in service.pages():
            page.goto(service.address + path)
            picture(page, path, look)
            told[path] = complaints(page)
    assert {path: each for path, each in told.items() if each} == {}


def test_a_page_of_work_under_way_lets_everybody_in_and_goes_on_by_itself(service: Served, browser: Browser) -> None:
    with patient() as peer, tab(browser) as page:
        with service.site.engine() as engine:
            add_channel(engine, "webhook", "hook", {"url": peer.url}, checked=False)
        service.sign_in(page, "admin")
        page.goto(f"{service.address}/notifications")
        page.get_by_role("button", name="Test, hook").click()
        expect(page.get_by_text("It is at work.")).to_be_visible()
        told = {}
        for look, (size, dark) in LOOKS.items():
            page.set_viewport_size(size)
            page.emulate_media(color_scheme="dark" if dark else "light")
            page.reload()
            told[look] = complaints(page)
        assert {look: each for look, each in told.items() if each} == {}
        page.evaluate("window.here = 'still'")
        peer.goes_on.set()
        expect(page.get_by_text("Sent.")).to_be_visible()
        assert page.evaluate("window.here") == "still"
        page.goto(f"{service.address}/credentials/add/exchange")
        page.locator("[name=name]").fill("ex")
        page.locator("[name=username]").fill("svc")
        page.locator("[name=password]").fill("s3cret-word")
        page.get_by_role("button", name="Store it").click()
        expect(page).to_have_url(f"{service.address}/credentials")
    service.site.cli("credential", "remove", "ex", code=0)
    service.site.cli("notification", "channel", "remove", "hook", code=0)


def test_back_from_what_came_of_long_work_leads_to_where_it_was_begun(service: Served, browser: Browser) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute, tab(browser, expected="422") as page:
        service.sign_in(page, "admin")
        form = f"{service.address}/watched/add/service"
        page.goto(form)
        page.locator("[name=endpoint]").fill(f"127.0.0.1:{mute.getsockname()[1]}")
        page.get_by_role("button", name="Watch it").click()
        expect(page.get_by_text("It is at work.")).to_be_visible()
        mute.close()
        expect(page).to_have_url(re.compile("again="))
        page.go_back()
        expect(page).to_have_url(form)


def test_a_form_is_sent_once_however_often_it_is_pressed(service: Served, browser: Browser) -> None:
    form, under_way = f"{service.address}/people/tokens/add", list[Route]()
    twice = "async (button) => { button.click(); await new Promise((go) => setTimeout(go, 400)); button.click(); }"
    with tab(browser) as page:
        service.sign_in(page, "admin")
        page.route(form, lambda route: under_way.append(route) if route.request.method == "POST" else route.continue_())
        for name in ("robot", "other robot"):
            page.goto(form)
            page.locator("[name=name]").fill(name)
            page.get_by_role("checkbox").first.check()
            page.get_by_role("button", name="Make the token").evaluate(twice)
            page.wait_for_timeout(400)
            (sent,) = under_way
            sent.continue_()
            expect(page.get_by_role("heading", name=f"The token {name}")).to_be_visible()
            under_way.clear()
            page.go_back()


def test_a_form_can_be_sent_again_when_its_page_is_shown_again(service: Served, browser: Browser) -> None:
    with tab(browser) as page:
        service.sign_in(page, "admin")
        page.goto(f"{service.address}/audit")
        for _ in range(2):
            with page.expect_download():
                page.get_by_role("button", name="Download all of it").click()
            page.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))")


def test_somebody_goes_to_a_provider_of_another_site_and_comes_back_signed_in(
    service: Served, browser: Browser
) -> None:
    no_picture = "status of 404"
    with openid() as provider, tab(browser, expected=no_picture) as page:
        told = provide(service.site, "fabrikam", provider.issuer, service.address)
        assert "It takes the client." in told
        assert f"{service.address}/sign-in/with/fabrikam/callback" in told
        provider.misled = Misled(claims={"preferred_username": "frida"})
        page.goto(f"{service.address}/certificates")
        page.get_by_role("button", name="Sign in with Fabrikam").click()
        page.get_by_role("link", name="Go on as anna").click()
        expect(page).to_have_url(f"{service.address}/certificates")
        expect(page.get_by_role("link", name="frida, operator")).to_be_visible()
    service.site.cli("person", "provider", "remove", "fabrikam", code=0)


def test_the_pages_speak_the_language_of_the_browser(service: Served, browser: Browser) -> None:
    with tab(browser, language="de-DE") as page:
        service.sign_in(page)
        expect(page.get_by_role("heading", name="Was jemand erledigen muss")).to_be_visible()
        assert page.evaluate("document.documentElement.lang") == "de"


def test_moments_are_shown_in_the_readers_zone_and_exactly_on_hover(service: Served, browser: Browser) -> None:
    with tab(browser) as page:
        service.sign_in(page)
        page.goto(f"{service.address}/runs/{service.run}")
        moment = page.locator("main time").first
        expect(moment).to_have_attribute("title", re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC$"))


def test_on_a_telephone_the_navigation_opens_and_leads_on(service: Served, browser: Browser) -> None:
    with tab(browser, PHONE) as page:
        service.sign_in(page)
        link = page.get_by_role("navigation").get_by_role("link", name="Certificates")
        expect(link).to_be_hidden()
        page.get_by_role("button", name="Menu").focus()
        page.keyboard.press("Enter")
        expect(link).to_be_visible()
        link.click()
        expect(page.get_by_role("link", name=TITLE)).to_be_visible()


def test_on_a_telephone_each_port_is_seen_with_its_verdict(service: Served, browser: Browser) -> None:
    with service.site.engine() as engine:
        settings = TaskSettings(kind="exchange", title="mail", trigger=Trigger.MANUAL, params=EXCHANGE)
        task = add_task(engine, service.certificate, settings)
        row = {"server": "EX01.contoso.test", "service": "IIS", "address": "10.0.0.1", "port": 443, "protocol": "https"}
        served = ServedRow(**row, now="4f49c400e2a4f268 mail", verdict=Verdict.OK)
        state = DeploymentState(task_id=task.id, managed_id=service.certificate, stage=Stage.DEPLOYED, served=(served,))
        with engine.store.write() as unit:
            unit.deployments.save(state)
    with tab(browser, PHONE) as page:
        service.sign_in(page, "admin")
        page.goto(f"{service.address}/certificates/{service.certificate}/deployment")
        line = page.get_by_role("region", name="What mail serves").locator("tbody tr")
        shown = line.locator("td").last.bounding_box()
        assert shown
        assert shown["x"] + shown["width"] <= PHONE["width"]
        box = line.bounding_box()
        assert box
        assert box["height"] < 100
        assert complaints(page) == []
        picture(page, "/certificates/served", "phone")


def test_a_preview_of_several_names_has_each_value_beside_its_label(service: Served, browser: Browser) -> None:
    with service.site.engine() as engine:
        made = describe(engine, service.ca, "one.contoso.test", "two.contoso.test", "three.contoso.test")
    with tab(browser) as page:
        service.sign_in(page)
        page.goto(f"{service.address}/certificates/{made.id}")
        page.get_by_role("button", name="Preview").click()
        expect(page.get_by_role("term").filter(has_text="Renewed")).to_be_visible()
        edges = "(each) => each.map((one) => one.getBoundingClientRect().x)"
        labels, values = (page.locator(kind).evaluate_all(edges) for kind in ("dt", "dd"))
        assert (len(labels), len(values)) == (5, 7)
        assert max(labels) < min(values)
        assert complaints(page) == []
        picture(page, "/preview", "light")


def test_on_a_telephone_long_and_many_names_leave_room_for_the_rest(service: Served, browser: Browser) -> None:
    names = [f"a-host-with-a-long-name-{number}.sales.contoso.test" for number in range(30)]
    with service.site.engine() as engine:
        made = describe(engine, service.ca, *names, title="x" * 64)
        hold.hold(engine, made.id, "It is only looked at.", None)
    with tab(browser, PHONE) as page:
        service.sign_in(page)
        page.goto(f"{service.address}/certificates")
        row = page.locator(f"#row-{made.id}")
        expect(row).to_contain_text("and 27 more")
        box = row.bounding_box()
        assert box
        assert box["height"] < 350
        row.get_by_role("checkbox").check()
        page.get_by_role("button", name="Request new ones").click()
        told = page.get_by_role("cell", name="Nothing:").bounding_box()
        assert told
        assert told["x"] + told["width"] <= PHONE["width"]
        assert complaints(page) == []
        picture(page, "/bulk", "phone")


def test_on_a_telephone_what_can_be_done_with_a_row_is_seen(service: Served, browser: Browser) -> None:
    with service.site.engine() as engine:
        add_channel(engine, "webhook", "seen", {"url": "https://hooks.contoso.test/seen"}, checked=False)
        task = TaskSettings(kind="exchange", title="seen", params=EXCHANGE, enabled=False)
        add_task(engine, service.certificate, task)
        key = {"server": "ns1.contoso.test", "key_name": "certwright", "key": "c2VjcmV0"}
        store_credential(engine, "rfc2136", "dns", key, checked=False)
    with tab(browser, PHONE) as page:
        service.sign_in(page, "admin")
        for path in ("/tasks", "/issuers", "/credentials", "/notifications", "/people"):
            page.goto(service.address + path)
            acts = page.locator("td .actions :is(a, button)")
            edges = acts.evaluate_all("(each) => each.map((one) => one.getBoundingClientRect().right)")
            assert edges, path
            assert max(edges) <= PHONE["width"], path
            assert complaints(page) == []
            picture(page, f"{path}/acts", "phone")


def test_removing_asks_first_with_the_keyboard_too(service: Served, browser: Browser) -> None:
    with service.site.engine() as engine:
        add_channel(engine, "webhook", "old", {"url": "https://hooks.contoso.test/old"}, checked=False)
    with tab(browser) as page:
        service.sign_in(page, "admin")
        page.goto(f"{service.address}/notifications")
        page.get_by_role("row", name="old").get_by_role("link", name="Remove").press("Enter")
        expect(page.get_by_role("heading", name="Remove the channel old?")).to_be_visible()
        assert complaints(page) == []
        picture(page, "/removal", "light")
        page.get_by_role("button", name="Keep it").press("Enter")
        expect(page.get_by_role("row", name="old")).to_be_visible()
        page.get_by_role("row", name="old").get_by_role("link", name="Remove").press("Enter")
        page.get_by_role("button", name="Remove it").press("Enter")
        expect(page.get_by_role("row", name="old")).to_have_count(0)


def test_fields_that_count_only_with_another_come_and_go_with_it(service: Served, browser: Browser) -> None:
    form = f"{service.address}/certificates/{service.certificate}/tasks/add/exchange"
    with tab(browser, expected="422") as page:
        service.sign_in(page, "admin")
        page.goto(form)
        page.get_by_label("Servers").fill("ex01.contoso.test")
        page.get_by_text("Seldom needed").click()
        credential, configuration = page.get_by_label("Credential"), page.get_by_label("WinRM configuration")
        expect(credential).to_be_hidden()
        expect(configuration).to_be_hidden()
        page.get_by_label("Sign-in", exact=True).select_option("ntlm")
        expect(credential).to_be_visible()
        page.get_by_label("WinRM", exact=True).fill("http://{server}:5985/wsman")
        configuration.fill("Jea")
        page.get_by_label("WinRM", exact=True).fill("")
        expect(configuration).to_be_hidden()
        page.get_by_role("button", name="Store the task").press("Enter")
        expect(page.locator("[id='param.credential-error']")).to_contain_text("needs the name of a stored one")
        expect(page.get_by_text("Counts only with")).to_have_count(0)


def test_without_scripts_everything_can_be_read_and_done(service: Served, browser: Browser) -> None:
    context = browser.new_context(java_script_enabled=False)
    try:
        page = context.new_page()
        service.sign_in(page)
        page.goto(f"{service.address}/certificates")
        page.get_by_label("Name, or a part of it").fill("mail")
        page.get_by_role("button", name="Show").click()
        page.get_by_role("link", name=TITLE).click()
        expect(page.get_by_role("heading", name=TITLE)).to_be_visible()
    finally:
        context.close()


def test_the_first_load_is_light_and_the_next_lighter(service: Served, browser: Browser) -> None:
    with tab(browser) as page:
        service.sign_in(page)
    with tab(browser) as page:
        page.goto(f"{service.address}/sign-in")
        assert 0 < page.evaluate(LOADED) < FIRST_LOAD
        service.sign_in(page)
        page.goto(f"{service.address}/certificates")
        assert 0 < page.evaluate(LOADED) < REPEAT_LOAD


def test_many_certificates_are_still_clear(browser: Browser, tmp_path: Path) -> None:
    settings = Settings(tmp_path / "data", key_folder=tmp_path / "keys")
    stores.create(settings)
    engine, setup, at = open_engine(settings, lambda _: None), SetupToken(), Endpoint("127.0.0.1", free_port())
    fill(engine, 1500, 500)
    add_person(engine, "anna", Role.OPERATOR, PASSWORD)
    pages = application(engine, setup, lambda: None, Live(engine.store), jobs := Jobs(engine))
    with listening(at, pages), tab(browser) as page:
        page.goto(f"http://{at}/sign-in")
        page.locator("[name=name]").fill("anna")
        page.locator("[name=password]").fill(PASSWORD)
        page.locator("main button").click()
        expect(page.get_by_role("img", name="How many certificates end")).to_be_visible()
        picture(page, "/overview-many", "light", whole=False)
        assert complaints(page) == []
        page.goto(f"http://{at}/certificates")
        picture(page, "/certificates-many", "light", whole=False)
        assert complaints(page) == []
        page.get_by_role("button", name="Hold all back").click()
        expect(page.get_by_role("button", name="Do it for 1500 certificates")).to_be_visible(timeout=60_000)
        picture(page, "/bulk-many", "light", whole=False)
        assert complaints(page) == []
    jobs.close()
    engine.store.close()
