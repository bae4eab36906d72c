"""People & tokens in the browser: who is let in, as what, and by which secrets."""

import base64
import re
from datetime import timedelta
from urllib.parse import urlencode

import pytest

from certwright.domain.access import Person, Role
from certwright.domain.totp import PERIOD, code
from certwright.engine.audit import entries
from certwright.engine.people import add_person, begin_second_factor, confirm_second_factor
from certwright.engine.tokens import create_token, recognise
from world.web import PASSWORD, Browser, House, digest_in

HOSTILE = "<script>alert(1)<b>"
OTHER = "four words and a comma"
ANNA = {"name": "anna", "role": "operator", "tags": "berlin\nmail", "password": PASSWORD, "again": PASSWORD}
TOKEN = re.compile(r"certwright_[0-9a-f]{12}_[A-Za-z0-9_-]{43}")


def person(house: House, name: str) -> Person:
    with house.engine.store.read() as unit:
        return unit.people.get(name)


def enrol(house: House, name: str) -> str:
    """Have a code asked for; the key that makes it."""
    key = begin_second_factor(house.engine, name).key
    confirm_second_factor(house.engine, name, typed(house, key))
    return key


def typed(house: House, key: str) -> str:
    return code(base64.b32decode(key), int(house.clock().timestamp()) // PERIOD)


def sign_in(house: House, name: str, password: str) -> tuple[int, Browser]:
    browser = house.browser()
    return browser.post("/sign-in", name=name, password=password).status, browser


class TestPeople:
    def test_somebody_is_added_and_signs_in_as_what_was_chosen(self, house: House) -> None:
        browser = house.signed_in()
        assert browser.post("/people/add", **ANNA).headers["Location"] == "/people"
        assert "anna operator berlin, mail no no Change New password Remove" in browser.get("/people").words
        status, hers = sign_in(house, "anna", PASSWORD)
        assert status == 303
        assert hers.get("/people").status == 403
        assert "People &amp; tokens" not in hers.get("/").text

    @pytest.mark.parametrize(
        ("wrong", "told"),
        [
            ({"again": OTHER}, "The two passwords differ."),
            ({"password": "short", "again": "short"}, "A password has 12 to 512 characters."),
            ({"name": "Anna Müller"}, 'id="name-error">A name has up to 64 letters a to z, digits and'),
            ({"name": ""}, 'id="name-error"'),
            ({"name": "Administrator"}, "There is a person"),
            ({"tags": "No Tag"}, "These are no tags"),
            ({"role": "auditor"}, "cannot be limited to tags"),
            ({"role": "owner"}, 'id="role-error"'),
        ],
    )
    def test_a_mistake_is_told_and_the_form_filled_in_again_without_passwords(
        self, house: House, wrong: dict[str, str], told: str
    ) -> None:
        seen = house.signed_in().post("/people/add", **ANNA | wrong)
        assert (seen.status, told in seen.text) == (422, True)
        assert not {PASSWORD, OTHER} & set(re.findall(r'value="([^"]*)"', seen.text))
        assert (wrong.get("tags") or "berlin\nmail") + "</textarea>" in seen.text

    def test_a_password_is_kept_as_it_was_typed(self, house: House) -> None:
        spaced = f" {PASSWORD} "
        house.signed_in().post("/people/add", **ANNA | {"password": spaced, "again": spaced})
        assert [sign_in(house, "anna", each)[0] for each in (PASSWORD, spaced)] == [401, 303]

    def test_another_role_counts_at_once(self, house: House) -> None:
        browser = house.signed_in()
        browser.post("/people/add", **ANNA)
        _, hers = sign_in(house, "anna", PASSWORD)
        form = browser.get("/people/role?name=anna")
        assert ('<option value="operator" selected>' in form.text, "berlin\nmail</textarea>" in form.text) == (
            True,
            True,
        )
        assert hers.get("/new").status == 200
        assert browser.post("/people/role?name=anna", role="viewer").status == 303
        assert (person(house, "anna").role, person(house, "anna").tags) == (Role.VIEWER, ())
        assert hers.get("/new").status == 403
        refused = browser.post("/people/role?name=anna", role="auditor", tags="berlin")
        assert (refused.status, "cannot be limited to tags" in refused.words) == (422, True)
        assert browser.get("/people/role?name=nobody").status == 404

    def test_of_two_who_give_another_role_the_second_is_refused(self, house: House) -> None:
        browser, role = house.signed_in(), "/people/role?name=anna"
        browser.post("/people/add", **ANNA)
        seen = digest_in(browser.get(role))
        assert [browser.post(role, role=each, seen=seen).status for each in ("viewer", "auditor")] == [303, 412]
        assert person(house, "anna").role is Role.VIEWER

    def test_of_two_who_give_another_password_the_second_is_refused(self, house: House) -> None:
        browser, page = house.signed_in(), "/people/password?name=anna"
        browser.post("/people/add", **ANNA)
        seen = digest_in(browser.get(page))
        first, second = (f"{OTHER} {which}" for which in ("first", "second"))
        assert browser.post(page, password=first, again=first, seen=seen).status == 303
        stale = browser.post(page, password=second, again=second, seen=seen)
        assert (stale.status, "was changed by somebody else meanwhile" in stale.words) == (412, True)
        assert [sign_in(house, "anna", each)[0] for each in (first, second)] == [303, 401]
        assert browser.post(page, password=second, again=second, seen=digest_in(stale)).status == 303

    def test_a_new_password_ends_the_lock_and_the_sessions(self, house: House) -> None:
        browser = house.signed_in()
        browser.post("/people/add", **ANNA)
        _, hers = sign_in(house, "anna", PASSWORD)
        for _ in range(5):
            sign_in(house, "anna", OTHER)
        assert "until 2026-11-29 12:01 UTC" in browser.get("/people").words
        differ = browser.post("/people/password?name=anna", password=OTHER, again=PASSWORD)
        assert (differ.status, "The two passwords differ." in differ.words) == (422, True)
        assert browser.post("/people/password?name=anna", password=OTHER, again=OTHER).status == 303
        assert "until" not in browser.get("/people").words
        assert hers.get("/").headers["Location"].startswith("/sign-in")
        assert [sign_in(house, "anna", each)[0] for each in (PASSWORD, OTHER)] == [401, 303]
        assert OTHER not in str(entries(house.engine))

    def test_the_code_is_switched_off_for_whoever_lost_the_phone(self, house: House) -> None:
        browser = house.signed_in()
        assert "Ask for no code" not in browser.get("/people").words
        browser.post("/people/add", **ANNA)
        enrol(house, "anna")
        assert sign_in(house, "anna", PASSWORD)[0] == 401
        assert "anna operator berlin, mail yes no Change New password Ask for no code" in browser.get("/people").words
        assert browser.post("/people/code/end", name="anna").status == 303
        assert sign_in(house, "anna", PASSWORD)[0] == 303

    def test_who_is_limited_still_switches_the_own_code_off(self, house: House) -> None:
        browser = house.signed_in(Role.OPERATOR, "berlin")
        key = enrol(house, "operator-berlin")
        house.clock.now += timedelta(seconds=PERIOD)
        assert browser.post("/account/code/end", password=PASSWORD, code=typed(house, key)).status == 303
        assert not person(house, "operator-berlin").second_factor

    def test_the_last_administrator_stays(self, house: House) -> None:
        browser = house.signed_in()
        told = "'administrator' is the last administrator."
        for seen in (
            browser.post("/people/remove?name=administrator"),
            browser.post("/people/role?name=administrator", role="viewer"),
        ):
            assert (seen.status, told in seen.words.replace("&#39;", "'")) == (422, True)
        add_person(house.engine, "berta", Role.ADMINISTRATOR, PASSWORD)
        assert browser.post("/people/remove?name=administrator").status == 303
        assert browser.get("/people").headers["Location"].startswith("/sign-in")


class TestTokens:
    def test_one_is_shown_once_and_lets_in_until_it_is_removed(self, house: House) -> None:
        browser = house.signed_in()
        assert "A program that uses the API needs one of its own." in browser.get("/people").words
        wanted = {"name": "robot", "permissions": "read\nrequest", "tags": "berlin", "days": "7"}
        made = browser.post("/people/tokens/add", **wanted)
        (secret,) = TOKEN.findall(made.text)
        assert (made.status, made.headers["Cache-Control"]) == (200, "no-store")
        with house.engine.store.read() as unit:
            (token,) = unit.tokens.list()
        assert (token.permissions, token.tags) == (("read", "request"), ("berlin",))
        assert token.expires_at - token.created_at == timedelta(days=7)
        assert (
            "robot read, request certificates berlin 2026-12-06 12:00 UTC 7 days left never"
            in browser.get("/people").words
        )
        assert recognise(house.engine, secret, "::1").actor.name == "robot"
        seen = browser.get("/people")
        assert ("never" in seen.words, secret in seen.text) == (False, False)
        assert secret.split("_", 2)[2] not in str(entries(house.engine))
        again = browser.post("/people/tokens/add", **wanted)
        assert (again.status, "There is a token" in again.words, TOKEN.findall(again.text)) == (422, True, [])
        assert browser.post("/people/tokens/remove?name=robot").status == 303
        assert browser.post("/people/tokens/remove?name=robot").status == 404

    @pytest.mark.parametrize(
        ("wrong", "told"),
        [
            ({"permissions": ""}, 'id="permissions-error"'),
            ({"permissions": "everything"}, 'id="permissions-error"'),
            ({"days": "0"}, 'id="days-error"'),
            ({"days": "367"}, 'id="days-error"'),
            ({"name": ""}, 'id="name-error"'),
            ({"permissions": "administer", "tags": "berlin"}, "cannot be limited to tags"),
        ],
    )
    def test_a_mistake_makes_none(self, house: House, wrong: dict[str, str], told: str) -> None:
        seen = house.signed_in().post("/people/tokens/add", **{"name": "robot", "permissions": "read"} | wrong)
        assert (seen.status, told in seen.text, TOKEN.findall(seen.text)) == (422, True, [])
        with house.engine.store.read() as unit:
            assert unit.tokens.list() == []


def test_what_was_typed_is_text_wherever_it_comes_again(house: House) -> None:
    browser = house.signed_in()
    create_token(house.engine, HOSTILE, ["read"], timedelta(days=1))
    seen = [
        browser.get("/people"),
        browser.post("/people/add", **ANNA | {"name": HOSTILE, "tags": HOSTILE}),
        browser.post("/people/tokens/add", name=f"{HOSTILE} 2", permissions="read"),
        browser.post("/people/tokens/add", name=HOSTILE, permissions=HOSTILE, tags=HOSTILE),
        browser.post(f"/people/remove?{urlencode({'name': HOSTILE})}"),
    ]
    for each in seen:
        assert (HOSTILE in each.text, "&lt;script&gt;" in each.text) == (False, True)
