"""Who is let in to the pages, from where, and for how long."""

import base64
import re
from contextlib import nullcontext
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import count
from urllib.parse import urlencode

import pytest
from fastapi.routing import APIRoute, iter_route_contexts
from starlette.routing import Mount, Route

import certwright.api
from certwright.api.access import Needs
from certwright.domain.access import Caller, Permission, Role
from certwright.domain.actors import Actor, ActorKind
from certwright.domain.audit import Action
from certwright.domain.errors import ConfigurationError, Forbidden, NotSignedIn
from certwright.domain.identifiers import parse_all
from certwright.domain.runs import Run, RunKind
from certwright.domain.totp import PERIOD, code
from certwright.engine.audit import entries
from certwright.engine.exchange.reach import reach, remember
from certwright.engine.live import Live
from certwright.engine.people import add_person, remove_second_factor, set_password, set_role
from certwright.engine.refusals import refuse_token
from certwright.engine.sign_in import change_password, sign_in
from certwright.exchange.connection import Connection
from certwright.probe import Endpoint
from certwright.sdk.params import read_params
from certwright.server.http import listening
from certwright.server.tls import OwnTls
from certwright.settings import Settings
from certwright.store.audit import Wanted
from certwright.web import application
from certwright.web.app import PAGES
from certwright.web.problems import BY_ITSELF
from peers.ports import free_port
from world.stores import execute
from world.web import PASSWORD, Browser, House, digest_in, landed

OPEN = {
    *("/sign-in", "/sign-out", "/first-start", "/live"),
    *("/sign-in/with/{name}", "/sign-in/with/{name}/callback"),
}
SOMETHING = "0123456789ab"
OTHER = "four words and a comma"
SOMEBODY = Actor(kind=ActorKind.PERSON, name="anna")


def test_every_address_is_a_page_that_takes_a_permission_or_is_named_here(house: House) -> None:
    routes = application(house.engine, house.setup, lambda: None, Live(house.engine.store), house.jobs).routes
    assert {route.path for route in routes if isinstance(route, Mount)} == {"/static"}
    paths = {route.path for route in routes if isinstance(route, Route)}
    assert paths - OPEN == {page.path for page in PAGES}
    own = {page.path for page in PAGES if page.path.startswith("/account")}  # what concerns nobody else
    assert not [p.path for p in PAGES if p.permission is Permission.READ and p.method != "GET" and p.path not in own]


SAME = {
    "certificates/{id}/preview": "certificates/{id}/preview",
    "certificates/{id}/test": "certificates/{id}/test",
    "certificates/{id}/request": "certificates/{id}/request",
    "certificates/{id}/tasks/{task}/plan": "certificates/{id}/exchange/plan",
    "certificates/{id}/tasks/{task}/apply": "certificates/{id}/tasks/{task}/run",
    "certificates/{id}/hold": "PUT certificates/{id}/hold",
    "certificates/{id}/release": "DELETE certificates/{id}/hold",
    "certificates/{id}/revoke": "certificates/{id}/revoke",
    "certificates/{id}/remove": "DELETE certificates/{id}",
    "certificates/{id}/export": "certificates/{id}/export",
    "certificates/{id}/look": "certificates/{id}/look",
    "certificates/{id}/tags": "PUT certificates/{id}/tags",
    "certificates/{id}/names": "PATCH certificates/{id}",
    "certificates/{id}/validation/remove": "PATCH certificates/{id}",
    "certificates/{id}/validation/{solver}": "PATCH certificates/{id}",
    "certificates/{id}/issuer": "PATCH certificates/{id}",
    "certificates/{id}/policy": "PUT certificates/{id}/renewal",
    "certificates/{id}/window": "PUT certificates/{id}/window",
    "certificates/{id}/tasks/add/{kind}": "certificates/{id}/tasks",
    "certificates/{id}/tasks/add/{kind}/test": "certificates/{id}/tasks/test",
    "certificates/{id}/tasks/{task}/test": "certificates/{id}/tasks/test",
    "certificates/{id}/tasks/{task}": "PATCH certificates/{id}/tasks/{task}",
    "certificates/{id}/tasks/{task}/enable": "PATCH certificates/{id}/tasks/{task}",
    "certificates/{id}/tasks/{task}/move": "PATCH certificates/{id}/tasks/{task}",
    "certificates/{id}/tasks/{task}/remove": "DELETE certificates/{id}/tasks/{task}",
    "bulk/request": "bulk/request",
    "bulk/hold": "bulk/hold",
    "bulk/release": "bulk/release",
    "new/names": "proposals/names",
    "new/server": "proposals/server",
    "new/file": "proposals/file",
    "new/names/{id}": "certificates",
    "new/verdicts/names": "proposals/names",
    "new/verdicts/more": "proposals/names",
    "new/verdicts/title": "certificates",
    "new/verdicts/tags": "certificates",
    "new/verdicts/email": "certificates",
    "new/verdicts/host": "proposals/server",
    "new/verdicts/server": "exchange/discover",
    "certificates/{id}/verdicts/names": "PATCH certificates/{id}",
    "certificates/{id}/verdicts/title": "PATCH certificates/{id}",
    "certificates/{id}/exchange/plan": "certificates/{id}/exchange/plan",
    "certificates/{id}/exchange/acknowledge": "exchange/acknowledge",
    "certificates/{id}/exchange/apply": "certificates/{id}/exchange/apply",
    "certificates/{id}/exchange/undo-plan": "certificates/{id}/exchange/undo-plan",
    "certificates/{id}/exchange/undo": "certificates/{id}/exchange/undo",
    "certificates/{id}/exchange/verify": "certificates/{id}/exchange/verify",
    "certificates/{id}/exchange/rehearse": "certificates/{id}/exchange/rehearse",
    "certificates/{id}/exchange/cleanup-plan": "certificates/{id}/exchange/cleanup-plan",
    "certificates/{id}/exchange/removable/{job}": "certificates/{id}/exchange/cleanup",
    "exchange/look": "exchange/status",
    "exchange/account/check": "exchange/account",
    "exchange/examine": "exchange/doctor",
    "exchange/acknowledge": "exchange/acknowledge",
    "new/exchange": "exchange/discover",
    "issuers/add/{kind}": "issuers",
    "issuers/change": "PATCH issuers/{name}",
    "issuers/test": "issuers/{name}/test",
    "issuers/remove": "DELETE issuers/{name}",
    "credentials/add/{kind}": "PUT credentials/{name}",
    "credentials/test": "credentials/{name}/test",
    "credentials/remove": "DELETE credentials/{name}",
    "windows/edit": "PUT windows/{name}",
    "windows/remove": "DELETE windows/{name}",
    "notifications/channels/add/{kind}": "PUT notifications/channels/{name}",
    "notifications/channels/test": "notifications/channels/{name}/test",
    "notifications/channels/remove": "DELETE notifications/channels/{name}",
    "notifications/rule": "PUT notifications/rules/{name}",
    "notifications/rule/remove": "DELETE notifications/rules/{name}",
    "watched/add/file": "watched",
    "watched/add/service": "watched",
    "watched/replace": "PUT watched/{id}/file",
    "watched/look": "watched/{id}/look",
    "watched/remove": "DELETE watched/{id}",
    "people/add": "people",
    "people/role": "PUT people/{name}/role",
    "people/password": "PUT people/{name}/password",
    "people/code/end": "DELETE people/{name}/second-factor",
    "people/remove": "DELETE people/{name}",
    "people/admit": "people/{name}/admit",
    "people/providers/add": "PUT sign-in-providers/{name}",
    "people/providers/test": "sign-in-providers/{name}/test",
    "people/providers/remove": "DELETE sign-in-providers/{name}",
    "people/tokens/add": "tokens",
    "people/tokens/remove": "DELETE tokens/{name}",
    "system/backup": "service/backup",
    "system/diagnostics": "service/diagnostics",
}
"""What forms and operations (POST, if nothing else is said) do alike."""
PAGES_ALONE = {
    "account/code": "what concerns nobody else",
    "account/code/confirm": "as above",
    "account/code/end": "as above",
    "account/password": "what concerns nobody else",
    "audit/export": "the API has the trail page by page",
    "audit/head": "the command line has it",
    "audit/verify": "the command line has it",
    "first-start/authority": "two operations of the API at once",
    "first-start/authority/{id}": "as above",
    "new/exchange/{id}": "as above",
    "system/recovery-key": "who sees the terminal",
}


def test_a_form_takes_the_permission_of_the_operation_that_does_the_same(house: House) -> None:
    settings = Settings(house.folder / "nothing", house.folder / "nothing")
    api = certwright.api.application(house.engine, lambda: None, Live(house.engine.store), house.jobs, settings)
    takes = {
        f"{method} {str(context.path_format).removeprefix(certwright.api.PREFIX)}": guard.call.permission
        for context in iter_route_contexts(api.routes)
        if isinstance(route := context.original_route, APIRoute)
        for method in route.methods or ()
        for guard in route.dependant.dependencies
        if isinstance(guard.call, Needs)
    }
    forms = {page.path: page.permission for page in PAGES if page.method == "POST"}
    assert takes["POST /bulk/request"] is takes["POST /certificates/{id}/request"]
    for method, act in {"PUT": "hold", "DELETE": "release"}.items():
        one = takes[f"{method} /certificates/{{id}}/hold"]
        assert (takes[f"POST /bulk/{act}"], takes[f"POST /bulk/{act}/preview"]) == (one, one)
    for path, same in SAME.items():
        method, _, operation = same.rpartition(" ")
        assert forms[f"/{path}"] is takes[f"{method or 'POST'} /{operation}"], path
    assert {path[1:] for path in forms} - SAME.keys() == PAGES_ALONE.keys()


def test_who_is_limited_does_with_own_certificates_what_the_role_says(house: House) -> None:
    ours, theirs = (house.managed(f"{name}.contoso.com", tags=(name,)) for name in ("mine", "theirs"))
    operator = house.signed_in(Role.OPERATOR, "mine")
    assert "Manage it no more" in operator.get(f"/certificates/{ours.id}").words
    for each, status in ((theirs, 404), (ours, 200)):
        _, seen = landed(operator, operator.post(f"/certificates/{each.id}/remove", sure="remove"))
        assert seen.status == status
    with house.engine.store.read() as unit:
        assert unit.managed.list() == [theirs]


def test_who_is_limited_sees_and_examines_no_organisation(house: House) -> None:
    connection = read_params(Connection, {"servers": ["mail01.contoso.test"]}, "it")
    remember(house.engine, connection)
    whole, limited = house.signed_in(Role.OPERATOR), house.signed_in(Role.OPERATOR, "berlin")
    assert ["mail01.contoso.test" in each.get("/exchange").text for each in (whole, limited)] == [True, False]
    for act in ("look", "examine", "acknowledge"):
        assert limited.post(f"/exchange/{act}", server="mail01.contoso.test", connector="x").status == 403
    with pytest.raises(Forbidden, match="'manage'"):
        reach(house.engine.acting(Caller.limited(SOMEBODY, Permission, ["berlin"])), {})


@pytest.mark.parametrize("path", ["/", "/certificates", "/watched", "/exchange", "/tasks"])
def test_to_who_is_limited_nothing_is_said_not_to_be_there_that_may_be(house: House, path: str) -> None:
    house.managed("mail.contoso.com")
    limited = house.signed_in(Role.VIEWER, "sales", "berlin")
    told = "There is nothing here that you may see, as you are limited to these tags: berlin, sales."
    assert told in limited.get(path).words
    assert told not in house.signed_in(Role.VIEWER).get(path).words


def test_every_page_sends_strangers_to_the_sign_in_and_back(house: House) -> None:
    for page in PAGES:
        path = page.path.replace("{id}", SOMETHING).replace("{name}", "pages")
        browser = house.browser()
        seen = browser.get(f"{path}?x=1") if page.method == "GET" else browser.post(path)
        assert seen.status == 303, path
        assert seen.headers["Location"].startswith("/sign-in")
        if page.method == "GET":
            assert seen.headers["Location"].endswith("%3Fx%3D1")


def test_who_may_only_look_changes_nothing(house: House) -> None:
    mail = house.managed("mail.contoso.com")
    viewer = house.signed_in(Role.VIEWER)
    assert "Hold renewals back" not in viewer.get(f"/certificates/{mail.id}/renewal").words
    for page in PAGES:
        if page.permission is not Permission.READ:
            path = page.path.replace("{id}", mail.id)
            seen = viewer.post(path, reason="because") if page.method == "POST" else viewer.get(path)
            assert (seen.status, "may not do this" in seen.words) == (403, True)
            assert not re.search(r"token add|<a href=\"/people", seen.text)
    operator = house.signed_in(Role.OPERATOR)
    assert operator.post(f"/certificates/{mail.id}/hold", reason="because").status == 303
    assert "because (operator)" in operator.get(f"/certificates/{mail.id}").words


def test_what_is_out_of_sight_is_on_every_page_as_if_it_were_not_there(house: House) -> None:
    theirs, ours = house.managed("theirs.contoso.com"), house.managed("ours.contoso.com", tags=("berlin",))
    runs = {each.id: Run(managed_id=each.id, kind=RunKind.REQUEST, started_at=house.clock()) for each in (theirs, ours)}
    with house.engine.store.write() as unit:
        for run in runs.values():
            unit.runs.start(run)
    about_one = [page for page in PAGES if page.path.startswith(("/certificates/{id}", "/runs/{id}"))]
    limited = house.signed_in(Role.OPERATOR, "berlin")
    named = [page for page in about_one if not re.search(r"{(job|task)}", page.path)]
    for page in named:
        statuses = []
        for each in (theirs, ours):
            path = page.path.replace("{solver}", "http_listener").replace("{kind}", "exchange").replace("{form}", "der")
            path = path.replace("{id}", runs[each.id].id if page.path.startswith("/runs/") else each.id)
            seen = limited.get(path) if page.method == "GET" else limited.post(path, reason="we move")
            statuses.append((seen.status, "theirs.contoso.com" in seen.text))
        if page.permission in (Permission.MANAGE, Permission.KEYS):  # whoever is limited has neither
            assert statuses == [(403, False)] * 2, page
            continue
        assert statuses[0] == (404, False), page
        assert statuses[1][0] != 404, page
    for page in (page for page in PAGES if "{" not in page.path and page.method == "GET"):
        assert "theirs.contoso.com" not in limited.get(page.path).text, page
    assert "ours.contoso.com" in limited.get("/certificates").text
    assert house.signed_in(Role.OPERATOR).get(f"/certificates/{theirs.id}").status == 200


def test_who_signs_in_or_tries_to_is_told_of(house: House) -> None:
    add_person(house.engine, "anna", Role.OPERATOR, PASSWORD)
    mail, browser = house.managed("mail.contoso.com"), house.browser()
    for name in ("anna", "anna", "nobody", "nobody"):
        browser.post("/sign-in", name=name, password="correct horse")
    browser.post("/sign-in", name="Anna", password=PASSWORD)
    browser.post(f"/certificates/{mail.id}/hold", reason="we move")
    browser.post("/sign-out")
    browser.post("/sign-out")
    for _ in range(6):
        browser.post("/sign-in", name="anna", password="correct horse")
    told = [(entry.actor.name, entry.action.value, entry.subject.title) for entry in entries(house.engine)][::-1]
    owner = told[0][0]
    refused = (owner, "refused", "anna")
    assert told[told.index(refused) :] == [
        refused,
        refused,
        (owner, "refused", "nobody that is known"),
        ("anna", "signed in", "anna"),
        ("anna", "held back", "mail.contoso.com"),
        ("anna", "signed out", "anna"),
        *[refused] * 4,
        (owner, "locked", "anna"),
    ]


def test_what_somebody_may_not_do_is_told_of_once_a_minute_whatever_strangers_try(house: House) -> None:
    browser, mail = house.signed_in(Role.OPERATOR, "berlin"), house.managed("mail.contoso.com", tags=("berlin",))
    for number in range(12):
        refuse_token(house.engine, "", f"192.0.2.{number}", "It is no token of this installation.")
        house.browser().post("/sign-in", name="operator-berlin", password="correct horse")
    for _ in range(2):
        for path in (f"/certificates/{mail.id}/export", "/people/remove?name=anna", f"/certificates/{mail.id}/tags"):
            assert browser.post(path, tags="hamburg").status == 403
    told = [
        (entry.after["from"], entry.after["why"].partition(" may ")[2])
        for entry in entries(house.engine, Wanted(actor="operator-berlin", action=Action.REFUSED))
        if entry.after
    ]
    assert told == [
        ("127.0.0.1", "give certificates no other tags than berlin, and one of them at least."),
        ("127.0.0.1", "not do this: it takes the permission 'administer'."),
        ("127.0.0.1", "not do this: it takes the permission 'keys'."),
    ]


def test_a_page_that_asks_by_itself_is_no_attempt_of_anybody(house: House) -> None:
    browser = house.signed_in(Role.VIEWER)
    assert browser.get("/people", **{BY_ITSELF: "1"}).status == 403
    assert entries(house.engine, Wanted(action=Action.REFUSED)) == []


def enrolled(house: House, browser: Browser) -> tuple[str, list[str]]:
    """Set up a code as a person would: its key, and the recovery codes."""
    seen = browser.post("/account/code", password=PASSWORD).text
    assert re.search(r"<svg [^>]*class=\"qr\"><title>QR code</title>.*<path stroke=", seen)
    (key,) = re.findall(r"<code>([A-Z2-7]{32})</code>", seen)
    wrong = browser.post("/account/code/confirm", code="nonsense")
    assert (wrong.status, "The code that the app shows" in wrong.words) == (422, True)
    codes = re.findall(
        r"<code>([a-z2-7-]{19})</code>", browser.post("/account/code/confirm", code=now(house, key)).text
    )
    assert len(codes) == 10
    return key, codes


def now(house: House, key: str) -> str:
    return code(base64.b32decode(key), int(house.clock().timestamp()) // PERIOD)


def test_a_code_is_asked_for_once_it_is_set_up(house: House) -> None:
    key, (recovery, *_) = enrolled(house, house.signed_in(Role.VIEWER))

    def enter(typed: str, password: str = PASSWORD) -> int:
        return house.browser().post("/sign-in", name="viewer", password=password, code=typed).status

    assert enter(now(house, key)) == 401  # it was used to set it up
    house.clock.now += timedelta(seconds=PERIOD)
    right = now(house, key)
    assert (enter(""), enter("nonsense"), enter(right, "correct horse")) == (401, 401, 401)
    assert (enter(right), enter(right)) == (303, 401)
    assert (enter(recovery), enter(recovery)) == (303, 401)
    for _ in range(4):
        enter("nonsense")
    house.clock.now += timedelta(seconds=PERIOD)
    assert "too many wrong passwords" in (
        house.browser().post("/sign-in", name="viewer", password=PASSWORD, code=now(house, key)).words
    )
    told = [(entry.action.value, entry.after) for entry in entries(house.engine, Wanted(subject="viewer"))]
    assert ("changed", {"second_factor": True}) in told
    assert ("changed", {"recovery_codes": 9}) in told
    assert key not in str(told)


def test_a_code_is_switched_off_by_a_code_or_an_administrator(house: House) -> None:
    browser = house.signed_in(Role.VIEWER)
    key, _ = enrolled(house, browser)
    assert browser.post("/account/code", password=PASSWORD).status == 422  # it is on already
    assert browser.post("/account/code/end", password=PASSWORD, code="nonsense").status == 422
    house.clock.now += timedelta(seconds=PERIOD)
    assert browser.post("/account/code/end", password=PASSWORD, code=now(house, key)).status == 303
    assert house.browser().post("/sign-in", name="viewer", password=PASSWORD).status == 303
    enrolled(house, browser)
    assert house.browser().post("/sign-in", name="viewer", password=PASSWORD).status == 401
    remove_second_factor(house.engine, "viewer")
    assert house.browser().post("/sign-in", name="viewer", password=PASSWORD).status == 303


def test_another_role_counts_at_once_and_there_is_an_administrator_always(house: House) -> None:
    house.signed_in()
    viewer, mail = house.signed_in(Role.VIEWER), house.managed("mail.contoso.com")
    assert viewer.post(f"/certificates/{mail.id}/request").status == 403
    set_role(house.engine, "viewer", Role.REQUESTER, ["berlin"])
    assert viewer.post(f"/certificates/{mail.id}/request").status == 404
    set_role(house.engine, "viewer", Role.REQUESTER)
    assert viewer.post(f"/certificates/{mail.id}/request").status == 303
    for role in (Role.VIEWER, Role.AUDITOR):
        with pytest.raises(ConfigurationError, match="'administrator' is the last administrator"):
            set_role(house.engine, "administrator", role)
    set_role(house.engine, "administrator", Role.ADMINISTRATOR)
    for role in (Role.ADMINISTRATOR, Role.AUDITOR, Role.OPERATOR):
        with (
            pytest.raises(ConfigurationError, match="cannot be limited") if role is not Role.OPERATOR else nullcontext()
        ):
            add_person(house.engine, f"limited-{role}", role, PASSWORD, ["berlin"])


@pytest.mark.parametrize("name", ["anna", "nobody"])
def test_a_wrong_password_and_a_wrong_name_are_told_alike(house: House, name: str) -> None:
    add_person(house.engine, "anna", Role.VIEWER, PASSWORD)
    seen = house.browser().post("/sign-in", name=name, password="correct horse")
    assert seen.status == 401
    assert "The name, the password or the code is wrong." in seen.words
    assert "correct horse" not in seen.text


def test_guessing_is_slowed_down_for_one_name_and_forgotten_after_the_right_password(house: House) -> None:
    for name in ("anna", "berta"):
        add_person(house.engine, name, Role.VIEWER, PASSWORD)
    browser = house.browser()
    for pause in (0, 1, 2, 4):
        for _ in range(5 if pause == 0 else 1):
            assert browser.post("/sign-in", name="anna", password="wrong").status == 401
        locked = browser.post("/sign-in", name="anna", password=PASSWORD)
        assert (locked.status, "too many wrong passwords" in locked.words) == (429, True)
        assert int(locked.headers["Retry-After"]) == max(pause * 2, 1) * 60
        assert house.browser().post("/sign-in", name="berta", password=PASSWORD).status == 303
        house.clock.now += timedelta(minutes=max(pause, 1) * (2 if pause else 1))
    assert browser.post("/sign-in", name="ANNA", password=PASSWORD).status == 303
    assert browser.post("/sign-in", name="anna", password="wrong").status == 401
    assert browser.post("/sign-in", name="anna", password=PASSWORD).status == 303


def test_who_guesses_is_told_the_same_of_names_that_there_are_and_others(house: House) -> None:
    add_person(house.engine, "anna", Role.VIEWER, PASSWORD)

    def told(name: str) -> list[tuple[int, str | None, str]]:
        seen = [house.browser().post("/sign-in", name=name, password="wrong") for _ in range(6)]
        return [(each.status, each.headers["Retry-After"], each.text.replace(name, "")) for each in seen]

    assert told("anna") == told("otto")


def test_who_tries_many_names_waits_and_who_signed_in_there_before_does_not(house: House) -> None:
    house.signed_in()
    for each in range(20):
        assert house.browser().post("/sign-in", name=f"name-{each}", password="wrong").status == 401
    assert house.browser().post("/sign-in", name="otto", password="wrong").status == 429
    assert house.browser().post("/sign-in", name="administrator", password=PASSWORD).status == 303


def test_who_has_a_session_guesses_at_passwords_and_codes_no_faster(house: House) -> None:
    browser = house.signed_in(Role.VIEWER)
    key, _ = enrolled(house, browser)
    house.clock.now += timedelta(seconds=PERIOD)
    wrong = [
        browser.post("/account/code/end", code=now(house, key)),
        browser.post("/account/code/end", password=PASSWORD, code="000000"),
        browser.post("/account/password", password="wrong", code=now(house, key), new=OTHER, again=OTHER),
        browser.post("/account/code", password="wrong"),
        browser.post("/account/code/end", password="wrong", code=now(house, key)),
    ]
    assert [each.status for each in wrong] == [422] * 5
    waits = browser.post("/account/code/end", password=PASSWORD, code=now(house, key))
    assert (waits.status, waits.headers["Retry-After"]) == (429, "60")
    assert [entry.action for entry in entries(house.engine, Wanted(subject="viewer"), 5)] == [
        Action.LOCKED,
        *[Action.REFUSED] * 4,
    ]


def test_an_own_password_is_changed_by_the_present_one_and_ends_all_other_sessions(house: House) -> None:
    browser, other = house.signed_in(Role.OPERATOR, "berlin"), house.signed_in(Role.OPERATOR, "berlin")

    def change(**fields: str) -> tuple[int, str]:
        seen = browser.post("/account/password", **{"password": PASSWORD, "new": OTHER, "again": OTHER} | fields)
        return seen.status, seen.words

    for wrong, told in (
        ({"password": "wrong"}, "The name, the password or the code is wrong."),
        ({"again": PASSWORD}, "The two passwords differ."),
        ({"new": "short", "again": "short"}, "12 to 512 characters"),
    ):
        status, words = change(**wrong)
        assert (status, told in words) == (422, True)
        assert "The code that the app shows" not in words, "no key was made"
    before = browser.cookie
    assert change()[0] == 303
    assert browser.get("/").status == 200
    assert [each.get("/").status for each in (other, Browser(house.at, before))] == [303, 303]
    tried = [house.browser().post("/sign-in", name="operator-berlin", password=each) for each in (PASSWORD, OTHER)]
    assert [each.status for each in tried] == [401, 303]
    noted = [(entry.actor.name, entry.after) for entry in entries(house.engine, Wanted(action=Action.CHANGED))]
    assert ("operator-berlin", {"password": "another one"}) in noted
    assert OTHER not in str(entries(house.engine))


def test_an_own_password_is_not_changed_for_somebody_whom_another_one_changed_meanwhile(house: House) -> None:
    browser = house.signed_in(Role.OPERATOR)
    typed = {"password": PASSWORD, "new": OTHER, "again": OTHER}
    seen = digest_in(browser.get("/account"))
    set_role(house.engine, "operator", Role.VIEWER)
    stale = browser.post("/account/password", **typed, seen=seen)
    assert (stale.status, "was changed by somebody else meanwhile" in stale.words) == (412, True)
    assert house.browser().post("/sign-in", name="operator", password=OTHER).status == 401
    wrong = browser.post("/account/password", **typed | {"password": "wrong"}, seen=digest_in(stale))
    assert (wrong.status, digest_in(wrong)) == (422, digest_in(stale))
    assert browser.post("/account/password", **typed, seen=digest_in(wrong)).status == 303
    assert house.browser().post("/sign-in", name="operator", password=OTHER).status == 303


def test_a_browser_is_given_a_new_secret_that_scripts_and_other_sites_do_not_get(house: House) -> None:
    add_person(house.engine, "anna", Role.VIEWER, PASSWORD)
    browser = Browser(house.at, cookie="chosen-by-a-stranger")
    seen = browser.post("/sign-in", name="anna", password=PASSWORD)
    given = seen.headers["Set-Cookie"]
    assert "chosen" not in given
    assert {"HttpOnly", "Path=/", "SameSite=lax"} <= {part.strip() for part in given.split(";")}
    assert Browser(house.at, cookie="chosen-by-a-stranger").get("/").status == 303
    assert browser.get("/").status == 200


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_browser_that_came_by_https_shows_the_secret_nowhere_else(house: House, scheme: str) -> None:
    add_person(house.engine, "anna", Role.VIEWER, PASSWORD)
    origin = f"{scheme}://{house.at}"  # https where a proxy speaks it
    given = house.browser().post("/sign-in", origin=origin, name="anna", password=PASSWORD).headers["Set-Cookie"]
    assert ("Secure" in given) is (scheme == "https")


def test_where_we_speak_tls_neither_another_host_nor_plain_http_sets_what_a_browser_shows(house: House) -> None:
    add_person(house.engine, "anna", Role.VIEWER, PASSWORD)
    tls = OwnTls(house.engine, house.settings, parse_all(["127.0.0.1"]))
    app = application(house.engine, house.setup, lambda: None, Live(house.engine.store), house.jobs)
    app.state.service = house.service
    at = Endpoint("127.0.0.1", free_port())
    typed = {"name": "anna", "password": PASSWORD}
    with listening(at, app, tls):
        browser = Browser(at, tls=True)
        assert browser.post("/sign-in", origin=f"http://{at}", **typed).status == 403
        seen = browser.post("/sign-in", **typed)
        given = {part.strip() for part in seen.headers["Set-Cookie"].split(";")}
        assert {f"__Host-certwright={browser.cookie}", "Secure", "Path=/"} <= given
        assert browser.get("/").status == 200
        assert Browser(at, others={"certwright": browser.cookie}, tls=True).get("/").status == 303
        left = browser.post("/sign-out").headers["Set-Cookie"]
        assert ("Max-Age=0" in left, "Secure" in left, browser.get("/").status) == (True, True, 303)


def test_it_ends_after_an_hour_without_a_sign_of_life_and_after_half_a_day_anyway(house: House) -> None:
    idle, busy = house.signed_in(), house.signed_in()
    for _ in range(12):
        house.clock.now += timedelta(minutes=59)
        assert busy.get("/").status == 200
    assert idle.get("/").status == 303
    house.clock.now += timedelta(minutes=12)
    assert busy.get("/").status == 303


def test_who_only_reads_stays_signed_in_though_nothing_can_be_written(house: House) -> None:
    browser = house.signed_in(Role.VIEWER)
    full = "SELECT RAISE(ABORT, 'database or disk is full')"
    execute(house.settings, f"CREATE TRIGGER no_room BEFORE UPDATE ON sessions BEGIN {full}; END")
    house.clock.now += timedelta(minutes=59)
    assert browser.get("/").status == 200


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


def test_signing_in_again_ends_what_the_browser_showed_before_and_nothing_else(house: House) -> None:
    browser, elsewhere = house.signed_in(Role.VIEWER), house.signed_in(Role.VIEWER)
    before = replace(browser)
    assert browser.post("/sign-in", name="viewer", password="correct horse").status == 401
    assert before.get("/").status == 200
    assert browser.post("/sign-in", name="viewer", password=PASSWORD).status == 303
    assert [each.get("/").status for each in (before, browser, elsewhere)] == [303, 200, 200]


def test_a_password_that_is_changed_while_somebody_comes_in_by_the_old_one_lets_nobody_in(house: House) -> None:
    add_person(house.engine, "anna", Role.VIEWER, PASSWORD)
    moments = count()

    def now() -> datetime:
        """Is asked for before a password is looked at, and once it is known to be right."""
        if next(moments) % 2:
            set_password(house.engine, "anna", OTHER)
        return house.clock()

    meanwhile = replace(house.engine, now=now)
    with pytest.raises(NotSignedIn, match="was changed at this moment"):
        sign_in(meanwhile, "anna", PASSWORD)
    assert next(moments) == 2
    with pytest.raises(NotSignedIn, match="was changed at this moment"):
        change_password(meanwhile, "anna", PASSWORD)
    assert house.browser().post("/sign-in", name="anna", password=OTHER).status == 303


@pytest.mark.parametrize(
    "origin", [None, "null", "http://evil.test", "http://127.0.0.1:1", "https://127.0.0.1", "http://["]
)
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
        ("//[", "/"),
        ("evil", "/"),
        ("/x\r\nSet-Cookie: a=b", "/"),
        ("", "/"),
    ],
)
def test_signing_in_leads_to_our_own_pages_only(house: House, wanted: str, led: str) -> None:
    add_person(house.engine, "anna", Role.VIEWER, PASSWORD)
    browser = house.browser()
    assert f'name="next" value="{led}"' in browser.get(f"/sign-in?{urlencode({'next': wanted})}").text
    seen = browser.post("/sign-in", name="anna", password=PASSWORD, next=wanted)
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
        late = house.browser().get(f"/first-start?token={token}")
        assert (late.status, "There is an administrator already. Sign in" in late.words) == (403, True)
        assert '<p><a href="/sign-in">Sign in</a></p>' in late.text
        with house.engine.store.read() as unit:
            assert [person.name for person in unit.people.list()] == ["anna"]

    def test_whoever_was_added_at_that_moment_stays_alone(self, house: House) -> None:
        def now() -> datetime:
            add_person(house.engine, "anna", Role.ADMINISTRATOR, PASSWORD)
            return house.clock()

        with pytest.raises(Forbidden, match="There is an administrator already"):
            house.setup.use(replace(house.engine, now=now), house.setup.secret, "eve", PASSWORD)
        with house.engine.store.read() as unit:
            assert [each.name for each in unit.people.list()] == ["anna"]

    @pytest.mark.parametrize(
        ("wrong", "told"),
        [
            ({"again": "x"}, "The two passwords differ."),
            ({"password": "short", "again": "short"}, "A password has 12 to 512 characters."),
            ({"password": "aaaaaaaaaaaaaa", "again": "aaaaaaaaaaaaaa"}, "too few different characters"),
            ({"name": "Anna Müller"}, "A name has up to 64 letters a to z, digits and . _ @ -, and begins with"),
            ({"name": ""}, "A name has up to 64 letters"),
        ],
    )
    def test_what_cannot_be_taken_is_told_and_tried_again(self, house: House, wrong: dict[str, str], told: str) -> None:
        right = {"token": house.setup.secret, "name": "anna", "password": PASSWORD, "again": PASSWORD}
        browser = house.browser()
        assert "letters a to z, digits and . _ @ -" in browser.get(f"/first-start?token={house.setup.secret}").words
        seen = browser.post("/first-start", **right | wrong)
        assert (seen.status, told in seen.words) == (422, True)
        assert PASSWORD not in seen.text
        assert ('id="name-error"' in seen.text) is ("name" in wrong)
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


@pytest.mark.parametrize(
    ("referer", "back"),
    [
        ("http://{at}/certificates/0123456789ab/renewal?x=1", "/certificates/0123456789ab/renewal?x=1"),
        ("http://evil.test/certificates", "/"),
        ("http://{at}//evil.test/", "/"),
        ("http://[x", "/"),
        ("", "/"),
    ],
)
def test_what_is_sent_without_a_session_leads_back_to_the_page_of_the_form(
    house: House, referer: str, back: str
) -> None:
    browser = house.browser()
    headers = {"Origin": f"http://{house.at}", "Referer": referer.format(at=house.at)}
    asked = browser._ask("POST", "/certificates/0123456789ab/hold", "reason=because", headers)
    path = asked.headers["Location"]
    assert (asked.status, path) == (303, f"/sign-in?{urlencode({'next': back, 'untaken': 'yes'})}")
    seen = browser.get(path)
    assert "nothing of what you sent was taken or done" in seen.words
    assert f'name="next" value="{back}"' in seen.text
    assert "nothing of what you sent" not in browser.get(f"/sign-in?{urlencode({'next': back})}").words


def test_a_script_is_told_that_nobody_is_signed_in(house: House) -> None:
    for header in ("HX-Request", "Certwright-Live"):
        assert house.browser().get("/certificates", **{header: "true"}).status == 401
