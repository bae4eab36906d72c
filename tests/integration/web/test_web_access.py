"""Who is let in to the pages, from where, and for how long."""

from datetime import timedelta

import pytest
from starlette.routing import Mount, Route

from certwright.domain.access import Permission, Role
from certwright.domain.errors import ConfigurationError
from certwright.engine.people import add_person, set_password
from certwright.web import application
from certwright.web.app import PAGES
from world.web import PASSWORD, Browser, House

OPEN = {"/sign-in", "/sign-out", "/first-start"}
SOMETHING = "0123456789ab"


def test_every_address_is_a_page_that_takes_a_permission_or_is_named_here(house: House) -> None:
    routes = application(house.engine, house.setup, lambda: None).routes
    assert {route.path for route in routes if isinstance(route, Mount)} == {"/static"}
    paths = {route.path for route in routes if isinstance(route, Route)}
    assert paths - OPEN == {page.path for page in PAGES}
    for page in PAGES:
        assert (page.permission is Permission.READ) is (page.method == "GET")


def test_every_page_sends_strangers_to_the_sign_in_and_back(house: House) -> None:
    for page in PAGES:
        path = page.path.replace("{id}", SOMETHING)
        browser = house.browser()
        seen = browser.get(f"{path}?x=1") if page.method == "GET" else browser.post(path)
        assert seen.status == 303, path
        assert seen.headers["Location"].startswith("/sign-in")
        if page.method == "GET":
            assert seen.headers["Location"].endswith("%3Fx%3D1")


def test_who_may_only_look_changes_nothing(house: House) -> None:
    mail = house.managed("mail.contoso.com")
    viewer = house.signed_in(Role.VIEWER)
    assert "Hold renewals back" not in viewer.get(f"/certificates/{mail.id}").words
    for page in PAGES:
        if page.permission is not Permission.READ:
            seen = viewer.post(page.path.replace("{id}", mail.id), reason="because")
            assert (seen.status, "may not do this" in seen.words) == (403, True)
    operator = house.signed_in(Role.OPERATOR)
    assert operator.post(f"/certificates/{mail.id}/hold", reason="because").status == 303
    assert "because (operator)" in operator.get(f"/certificates/{mail.id}").words


@pytest.mark.parametrize("name", ["anna", "nobody"])
def test_a_wrong_password_and_a_wrong_name_are_told_alike(house: House, name: str) -> None:
    add_person(house.engine, "anna", Role.VIEWER, PASSWORD)
    seen = house.browser().post("/sign-in", name=name, password="correct horse")
    assert seen.status == 401
    assert "The name or the password is wrong." in seen.words
    assert "correct horse" not in seen.text


def test_guessing_is_slowed_down_for_one_name_and_forgotten_after_the_right_password(house: House) -> None:
    for name in ("anna", "berta"):
        add_person(house.engine, name, Role.VIEWER, PASSWORD)
    browser = house.browser()
    for pause in (0, 1, 2, 4):
        for _ in range(5 if pause == 0 else 1):
            assert browser.post("/sign-in", name="anna", password="wrong").status == 401
        locked = browser.post("/sign-in", name="anna", password=PASSWORD)
        assert "too many wrong passwords" in locked.words
        assert house.browser().post("/sign-in", name="berta", password=PASSWORD).status == 303
        house.clock.now += timedelta(minutes=max(pause, 1) * (2 if pause else 1))
    assert browser.post("/sign-in", name="ANNA", password=PASSWORD).status == 303
    assert browser.post("/sign-in", name="anna", password="wrong").status == 401
    assert browser.post("/sign-in", name="anna", password=PASSWORD).status == 303


def test_a_browser_is_given_a_new_secret_that_scripts_and_other_sites_do_not_get(house: House) -> None:
    add_person(house.engine, "anna", Role.VIEWER, PASSWORD)
    browser = Browser(house.at, cookie="chosen-by-a-stranger")
    seen = browser.post("/sign-in", name="anna", password=PASSWORD)
    given = seen.headers["Set-Cookie"]
    assert "chosen" not in given
    assert {"HttpOnly", "Path=/", "SameSite=lax"} <= {part.strip() for part in given.split(";")}
    assert Browser(house.at, cookie="chosen-by-a-stranger").get("/").status == 303
    assert browser.get("/").status == 200


def test_it_ends_after_an_hour_without_a_sign_of_life_and_after_half_a_day_anyway(house: House) -> None:
    idle, busy = house.signed_in(), house.signed_in()
    for _ in range(12):
        house.clock.now += timedelta(minutes=59)
        assert busy.get("/").status == 200
    assert idle.get("/").status == 303
    house.clock.now += timedelta(minutes=12)
    assert busy.get("/").status == 303


def test_signing_out_a_new_password_and_a_removal_end_it_at_once(house: House) -> None:
    first, second = house.signed_in(Role.VIEWER), house.signed_in(Role.VIEWER)
    assert first.post("/sign-out").status == 303
    assert [each.get("/").status for each in (first, second)] == [303, 200]
    set_password(house.engine, "viewer", "another horse battery")
    assert second.get("/").status == 303
    third = house.browser()
    assert third.post("/sign-in", name="viewer", password="another horse battery").status == 303
    with house.engine.store.write() as unit:
        unit.people.remove("viewer")
    assert third.get("/").status == 303


@pytest.mark.parametrize("origin", [None, "null", "http://evil.test", "http://127.0.0.1:1", "https://127.0.0.1"])
def test_what_another_site_has_a_browser_send_does_nothing(house: House, origin: str | None) -> None:
    mail, browser = house.managed("mail.contoso.com"), house.signed_in()
    for path in (f"/certificates/{mail.id}/hold", "/sign-out", "/sign-in", "/first-start"):
        assert browser.post(path, origin=origin, reason="whatever").status == 403
    assert "whatever" not in browser.get(f"/certificates/{mail.id}").words


@pytest.mark.parametrize(
    ("wanted", "led"),
    [
        ("/certificates?health=ok", "/certificates?health=ok"),
        ("https://evil.test/", "/"),
        ("//evil.test/", "/"),
        ("/\\evil.test/", "/"),
        ("evil", "/"),
        ("/x\r\nSet-Cookie: a=b", "/"),
        ("", "/"),
    ],
)
def test_signing_in_leads_to_our_own_pages_only(house: House, wanted: str, led: str) -> None:
    add_person(house.engine, "anna", Role.VIEWER, PASSWORD)
    seen = house.browser().post("/sign-in", name="anna", password=PASSWORD, next=wanted)
    assert seen.headers["Location"] == led


def test_every_answer_forbids_what_our_pages_do_not_need(house: House) -> None:
    browser = house.signed_in()
    for path in (
        "/",
        "/certificates",
        "/certificates/nothing",
        "/nothing",
        "/sign-in",
        "/first-start",
        "/static/app.css",
    ):
        headers = browser.get(path).headers
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert "unsafe" not in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert (headers["Cache-Control"] == "no-store") is (path != "/static/app.css")


@pytest.mark.parametrize("path", ["/static/../app.py", "/static/%2e%2e/app.py", "/static//etc/passwd"])
def test_only_what_is_for_browsers_is_given_to_them(house: House, path: str) -> None:
    assert house.browser().get(path).status == 404


class TestFirstStart:
    def test_the_administrator_is_made_once_and_signed_in(self, house: House) -> None:
        browser, token = house.browser(), house.setup.secret
        assert "first administrator" in browser.get(f"/first-start?token={token}").words
        filled = {"token": token, "name": "anna", "password": PASSWORD, "again": PASSWORD}
        assert browser.post("/first-start", **filled).status == 303
        assert "anna, administrator" in browser.get("/").words
        assert house.browser().post("/first-start", **filled | {"name": "eve"}).status == 403
        assert house.browser().get(f"/first-start?token={token}").status == 403
        with house.engine.store.read() as unit:
            assert [person.name for person in unit.people.list()] == ["anna"]

    @pytest.mark.parametrize(
        ("wrong", "told"),
        [
            ({"again": "x"}, "The two passwords differ."),
            ({"password": "short", "again": "short"}, "A password has 12 to 512 characters."),
            ({"password": "aaaaaaaaaaaaaa", "again": "aaaaaaaaaaaaaa"}, "too few different characters"),
            ({"name": "an na"}, "name: "),
            ({"name": ""}, "name: "),
        ],
    )
    def test_what_cannot_be_taken_is_told_and_tried_again(self, house: House, wrong: dict[str, str], told: str) -> None:
        right = {"token": house.setup.secret, "name": "anna", "password": PASSWORD, "again": PASSWORD}
        browser = house.browser()
        seen = browser.post("/first-start", **right | wrong)
        assert (seen.status, told in seen.words) == (422, True)
        assert PASSWORD not in seen.text
        assert browser.post("/first-start", **right).status == 303

    @pytest.mark.parametrize("token", ["", "x", "é"])
    def test_another_token_lets_nobody_in(self, house: House, token: str) -> None:
        filled = {"token": token, "name": "eve", "password": PASSWORD, "again": PASSWORD}
        assert house.browser().post("/first-start", **filled).status == 403

    def test_it_ends_after_half_an_hour(self, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(house.setup, "_ends_at", 0.0)
        assert house.browser().get(f"/first-start?token={house.setup.secret}").status == 403


def test_the_last_administrator_stays(house: House) -> None:
    for name in ("anna", "berta"):
        add_person(house.engine, name, Role.ADMINISTRATOR, PASSWORD)
    with house.engine.store.write() as unit:
        unit.people.remove("anna")
    with house.engine.store.write() as unit, pytest.raises(ConfigurationError, match="last administrator"):
        unit.people.remove("BERTA")


def test_a_password_is_kept_as_a_digest_of_its_own(house: House) -> None:
    for name in ("anna", "berta"):
        add_person(house.engine, name, Role.VIEWER, PASSWORD)
    with house.engine.store.read() as unit:
        digests = {found[1] for name in ("anna", "berta") if (found := unit.people.find(name))}
    assert len(digests) == 2
    assert all(digest.startswith("$argon2id$") for digest in digests)
