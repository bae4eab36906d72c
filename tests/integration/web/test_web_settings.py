"""What certificates are made with, in the browser: issuers, credentials, notifications, windows; what is watched."""

import re
from datetime import timedelta
from shutil import copyfile
from urllib.parse import urlencode

import pytest

from certwright.acme_server.ca import CertificateAuthority
from certwright.domain.access import Role
from certwright.domain.credentials import SignIn
from certwright.domain.formats import PfxCipher, pkcs12_bytes
from certwright.domain.managed import TaskSettings
from certwright.domain.validation import Validation
from certwright.engine.credentials import store_sign_in
from certwright.engine.issuers import add_issuer
from certwright.engine.windows import set_window
from certwright.sdk.context import Credential
from peers.ports import free_port
from world.site import authority
from world.web import House, digest_in, landed, send, upload

HOSTILE = "<script>alert(1)<b>"
PAGES = ("/issuers", "/credentials", "/notifications", "/windows", "/watched")


@pytest.mark.parametrize(
    ("path", "first"),
    [
        ("/credentials", "There is none yet."),
        ("/notifications", "Nobody is told of problems: there is no channel."),
        ("/windows", "certificates are put to use as soon as they are renewed"),
        ("/watched", "Nothing is watched beside what is managed."),
    ],
)
def test_what_is_empty_says_what_to_do_first(house: House, path: str, first: str) -> None:
    assert first in house.signed_in().get(path).words


@pytest.mark.parametrize("path", PAGES)
def test_who_may_only_look_sees_all_and_is_offered_nothing(house: House, path: str) -> None:
    viewer = house.signed_in(Role.VIEWER)
    seen = viewer.get(path)
    assert seen.status == 200
    assert seen.text.count("<form") == 1, "that of signing out"
    assert f'class="help" href="/guide/pages#{"maintenance-windows" if path == "/windows" else path[1:]}"' in seen.text
    assert not re.search(r'href="[^"]*/(add|edit|change|rule)\b', seen.text)


class TestIssuers:
    @pytest.mark.parametrize(("given", "missing"), [("eab_kid", "eab_key"), ("eab_key", "eab_kid")])
    def test_the_half_of_a_binding_that_is_missing_is_asked_for(self, house: House, given: str, missing: str) -> None:
        browser = house.signed_in(Role.OPERATOR)
        sent = {"name": "own", "param.email": "postmaster@contoso.test", given: "c2VjcmV0"}
        _, seen = landed(browser, browser.post("/issuers/add/acme", **sent))
        assert f'id="{missing}-error">Is needed too: key id and MAC key belong together' in seen.text
        assert f'id="{given}-error"' not in seen.text

    def test_one_in_use_is_not_removed_and_its_users_are_named(self, house: House) -> None:
        house.managed("mail.contoso.com")
        browser = house.signed_in(Role.OPERATOR)
        seen = browser.post("/issuers/remove?name=le")
        assert (seen.status, "is used by 'mail.contoso.com'" in seen.text.replace("&#39;", "'")) == (422, True)
        assert "le" in browser.get("/issuers").words

    def test_an_authority_that_is_not_reached_leaves_nothing_behind(self, house: House) -> None:
        browser, port = house.signed_in(Role.OPERATOR), free_port()
        sent = {
            "name": "own",
            "param.directory": f"https://127.0.0.1:{port}/directory",
            "param.email": "anna@contoso.com",
            "param.agree_tos": "yes",
            "eab_kid": "kid-1",
            "eab_key": "c2VjcmV0LWtleQ",
        }
        path, seen = landed(browser, browser.post("/issuers/add/acme", **sent))
        assert seen.status == 422, path
        assert 'value="anna@contoso.com"' in seen.text
        assert "c2VjcmV0LWtleQ" not in seen.text
        assert "own" not in browser.get("/issuers").words.split()

    def test_mistakes_stand_beside_their_fields(self, house: House) -> None:
        browser = house.signed_in(Role.OPERATOR)
        sent = {"name": "own", "param.authority": "letsencrypt", "param.email": "nobody"}
        _, seen = landed(browser, browser.post("/issuers/add/acme", **sent))
        assert 'id="param.email-error">That is not an e-mail address<' in seen.text

    def test_what_the_account_was_registered_with_is_not_changed(self, house: House) -> None:
        seen = house.signed_in(Role.OPERATOR).get("/issuers/change?name=le")
        assert ('name="param.proxy"' in seen.text, 'name="param.email"' in seen.text) == (True, False)
        assert house.signed_in(Role.OPERATOR).get("/issuers/change?name=nobody").status == 404

    def test_of_two_who_change_the_same_the_second_is_refused_and_told(self, house: House) -> None:
        browser, form = house.signed_in(Role.OPERATOR), "/issuers/change?name=own"

        def kept() -> str:
            with house.engine.store.read() as unit:
                return str(unit.issuers.get("own").params["ca_file"])

        with authority() as ca:
            given = {"email": "anna@contoso.test", "agree_tos": True, "directory": ca.server.directory_url}
            add_issuer(house.engine, "acme", "own", {**given, "ca_file": str(ca.server.ca_file)})
            hers, his = ({"name": "own", "param.ca_file": str(house.folder / name)} for name in ("hers", "his"))
            for each in (hers, his):
                copyfile(ca.server.ca_file, each["param.ca_file"])
            seen = digest_in(browser.get(form))
            assert landed(browser, browser.post(form, **hers, seen=seen))[0] == "/issuers"
            _, stale = landed(browser, browser.post(form, **his, seen=seen))
            assert (stale.status, his["param.ca_file"] in stale.text) == (412, True)
            assert ("What you typed is still here" in stale.words, kept()) == (True, hers["param.ca_file"])
            assert landed(browser, browser.post(form, **his, seen=digest_in(stale)))[0] == "/issuers"
            assert kept() == his["param.ca_file"]


class TestCredentials:
    def test_one_is_stored_and_its_secret_shown_nowhere(self, house: House) -> None:
        browser = house.signed_in(Role.OPERATOR)
        sent = {"name": "exchange", "username": "svc@contoso.com", "password": "s3cret-word"}
        path, seen = landed(browser, browser.post("/credentials/add/exchange", **sent))
        assert (path, "svc@contoso.com" in seen.words) == ("/credentials", True)
        for each in ("/credentials", "/credentials/add/exchange?name=exchange"):
            assert "s3cret-word" not in browser.get(each).text
        with house.engine.store.read() as unit:
            assert unit.credentials.get("exchange", "exchange").password == "s3cret-word"

    def test_a_name_that_somebody_was_led_here_with_is_filled_in(self, house: House) -> None:
        browser = house.signed_in(Role.OPERATOR)
        landed(browser, browser.post("/credentials/add/dns:cloudflare", name="cf", **{"param.api_token": "token"}))
        for form in ("/credentials/add/exchange", "/notifications/channels/add/webhook"):
            for name in ("exchange-contoso.test-2", "cf"):
                seen = browser.get(f"{form}?name={name}")
                assert (f'value="{name}"' in seen.text, 'name="seen"' in seen.text) == (True, False)
        sent = {"name": "cf", "username": "svc", "password": "secret"}
        _, seen = landed(browser, browser.post("/credentials/add/exchange?name=cf", **sent))
        assert "There is a credential &#39;cf&#39; already." in seen.text

    def test_one_that_cannot_be_stored_is_filled_in_again_without_its_secret(self, house: House) -> None:
        browser = house.signed_in(Role.OPERATOR)
        sent = {"name": "cf", "param.api_token": "s3cret word", "param.email": "anna@contoso.com"}
        _, seen = landed(browser, browser.post("/credentials/add/dns:cloudflare", **sent))
        assert (seen.status, 'id="param.api_token-error"' in seen.text) == (422, True)
        assert ("s3cret" in seen.text, 'value="anna@contoso.com"' in seen.text) == (False, True)

    def test_one_in_use_is_not_removed_and_its_users_are_named(self, house: House) -> None:
        store_sign_in(house.engine, SignIn.EXCHANGE, Credential("exchange", "svc", "secret"))
        mail = house.managed("mail.contoso.com")
        task = TaskSettings(kind="exchange", title="Mail", params={"servers": ["ex01"], "credential": "exchange"})
        with house.engine.store.write() as unit:
            unit.managed.update(mail.model_copy(update={"tasks": (task,)}))
        browser = house.signed_in(Role.OPERATOR)
        _, seen = landed(browser, browser.post("/credentials/remove?name=exchange"))
        assert (seen.status, "mail.contoso.com" in seen.words) == (422, True)
        with house.engine.store.write() as unit:
            unit.managed.update(mail)
        assert landed(browser, browser.post("/credentials/remove?name=exchange"))[0] == "/credentials"

    @pytest.mark.parametrize("kind", ["nothing", "dns:nothing", "dns:lexicon:nothing"])
    def test_a_kind_that_is_none_is_told(self, house: House, kind: str) -> None:
        assert house.signed_in(Role.OPERATOR).get(f"/credentials/add/{kind}").status == 422


@pytest.mark.parametrize(
    ("add", "hers", "his"),
    [
        pytest.param(
            "/credentials/add/exchange",
            {"username": "svc", "password": "s3cret-word"},
            {"username": "svc", "password": "another-word"},
            id="a password, and nothing that is shown",
        ),
        pytest.param(
            "/credentials/add/dns:cloudflare",
            {"param.api_token": "one-token"},
            {"param.api_token": "two-token"},
            id="a DNS provider",
        ),
        pytest.param(
            "/notifications/channels/add/webhook",
            {"param.url": "https://hooks.contoso.com/one"},
            {"param.url": "https://hooks.contoso.com/two"},
            id="a channel",
        ),
    ],
)
def test_of_two_who_replace_the_same_the_second_is_refused_and_told(
    house: House, add: str, hers: dict[str, str], his: dict[str, str]
) -> None:
    browser, page = house.signed_in(Role.OPERATOR), add.rpartition("/add/")[0].removesuffix("/channels")
    before, replace = {"name": "one", **hers}, f"{add}?name=one"
    assert 'name="seen"' not in browser.get(replace).text
    assert landed(browser, browser.post(add, **before))[0] == page
    seen = digest_in(browser.get(replace))
    assert landed(browser, browser.post(replace, **before, seen=seen))[0] == page
    with house.engine.store.read() as unit:
        kept = unit.credentials.sealed("one")
    _, stale = landed(browser, browser.post(replace, **{"name": "one", **his}, seen=seen))
    assert (stale.status, "was changed by somebody else meanwhile" in stale.words) == (412, True)
    assert "What you typed is still here" in stale.words
    with house.engine.store.read() as unit:
        assert unit.credentials.sealed("one") == kept
    assert "-token" not in stale.text
    path, _ = landed(browser, browser.post(replace, **{"name": "one", **his}, seen=digest_in(stale)))
    assert path == page
    with house.engine.store.read() as unit:
        assert unit.credentials.sealed("one") != kept


def test_a_mistake_in_a_replacement_does_not_forget_what_was_seen(house: House) -> None:
    browser, replace = house.signed_in(Role.OPERATOR), "/credentials/add/dns:cloudflare?name=cf"
    landed(browser, browser.post("/credentials/add/dns:cloudflare", name="cf", **{"param.api_token": "token"}))
    seen = digest_in(browser.get(replace))
    path, wrong = landed(browser, browser.post(replace, name="cf", **{"param.api_token": "to ken"}, seen=seen))
    assert (wrong.status, digest_in(wrong), "Replace the credential cf" in wrong.words) == (422, seen, True)
    landed(browser, browser.post(replace, name="cf", **{"param.api_token": "other"}, seen=seen))
    _, stale = landed(browser, browser.post(path, name="cf", **{"param.api_token": "token"}, seen=seen))
    assert stale.status == 412


NIGHTS = {"name": "nights", "spans": "Sat 22:00-04:00", "zone": "UTC"}
RULE = {"name": "one", "zone": "UTC"}


@pytest.mark.parametrize(
    ("form", "first", "second", "told", "way"),
    [
        pytest.param(
            "/windows/edit",
            NIGHTS,
            NIGHTS | {"spans": "Mon 01:00-02:00"},
            "There is a window 'nights' already.",
            "/windows/edit?name=nights",
            id="a window",
        ),
        pytest.param(
            "/notifications/rule",
            RULE | {"failures": "2"},
            RULE | {"failures": "9"},
            "There is a rule 'one' already.",
            "/notifications/rule?name=one",
            id="a rule",
        ),
        pytest.param(
            "/credentials/add/exchange",
            {"name": "ex", "username": "user0", "password": "one"},
            {"name": "ex", "username": "user1", "password": "two"},
            "There is a credential 'ex' already.",
            "/credentials/add/exchange?name=ex",
            id="a credential",
        ),
        pytest.param(
            "/notifications/channels/add/webhook",
            {"name": "hook", "param.url": "https://hooks.contoso.com/one"},
            {"name": "hook", "param.url": "https://hooks.contoso.com/two"},
            "There is a channel 'hook' already.",
            "/notifications/channels/add/webhook?name=hook",
            id="a channel",
        ),
    ],
)
def test_what_is_to_be_new_takes_the_place_of_nothing(
    house: House, form: str, first: dict[str, str], second: dict[str, str], told: str, way: str
) -> None:
    def kept() -> list[object]:
        with house.engine.store.read() as unit:
            return [
                unit.windows.list(),
                unit.notices.rules(),
                [unit.credentials.sealed(name) for name in unit.credentials.names()],
            ]

    browser = house.signed_in(Role.OPERATOR)
    assert landed(browser, browser.post(form, **first))[1].status == 200
    before = kept()
    _, refused = landed(browser, browser.post(form, **second))
    assert (refused.status, told in refused.words.replace("&#39;", "'")) == (422, True)
    assert f'href="{way}"' in refused.text
    assert kept() == before
    other = {"name": "another"} | {each: value for each, value in second.items() if each != "name"}
    assert landed(browser, browser.post(form, **other))[1].status == 200
    seen = digest_in(browser.get(f"{form}?name=another"))
    _, renamed = landed(browser, browser.post(f"{form}?name=another", **second, seen=seen))
    assert (renamed.status, told in renamed.words.replace("&#39;", "'")) == (422, True)


@pytest.mark.parametrize(
    ("listed", "removal", "told"),
    [
        ("/issuers", "/issuers/remove?name=le", "The key of its account is deleted here"),
        ("/credentials", "/credentials/remove?name=ex", "Its secret is deleted here"),
        ("/notifications", "/notifications/channels/remove?name=hook", "What waits to be sent by it is dropped"),
        ("/notifications", "/notifications/rule/remove?name=one", "nobody is told from now on"),
        ("/windows", "/windows/remove?name=nights", "while no certificate and no task waits for it"),
    ],
)
def test_what_is_removed_is_asked_for_first_with_what_follows(
    house: House, listed: str, removal: str, told: str
) -> None:
    browser = house.signed_in(Role.OPERATOR)
    browser.post("/windows/edit", **NIGHTS)
    browser.post("/notifications/rule", **RULE)
    store_sign_in(house.engine, SignIn.EXCHANGE, Credential("ex", "svc", "secret"))
    landed(
        browser,
        browser.post(
            "/notifications/channels/add/webhook", name="hook", **{"param.url": "https://hooks.contoso.com/one"}
        ),
    )
    assert f'href="{removal}"' in browser.get(listed).text
    question = browser.get(removal)
    assert (question.status, told in question.words) == (200, True)
    assert f'href="{removal}"' in browser.get(listed).text, "asking removes nothing"
    assert landed(browser, browser.post(removal))[0] == listed
    assert f'href="{removal}"' not in browser.get(listed).text
    assert (browser.get(removal).status, landed(browser, browser.post(removal))[1].status) == (404, 404)


class TestNotifications:
    def test_a_channel_and_a_rule_are_kept_and_belong_together(self, house: House) -> None:
        browser = house.signed_in(Role.OPERATOR)
        sent = {"name": "hook", "param.url": "https://hooks.contoso.com/s3cret"}
        path, seen = landed(browser, browser.post("/notifications/channels/add/webhook", **sent))
        assert (path, "there is no channel" in seen.words) == ("/notifications", False)
        assert "s3cret" not in seen.text
        rule = {"name": "night", "channels": "hook", "quiet": "22:00-07:00", "digest": "daily", "matters": "drift"}
        assert browser.post("/notifications/rule", **rule).status == 303
        seen = browser.get("/notifications")
        assert (
            "night drift hook 3 failures, or 14 days before the expiry daily at 08:00, quiet 22:00-07:00" in seen.words
        )
        refused = browser.post("/notifications/channels/remove?name=hook")
        assert (refused.status, "night" in refused.words) == (422, True)
        assert browser.post("/notifications/rule", name="day", failures="1", days="1").status == 303
        assert "day all all 1 failure, or 1 day before the expiry at once" in browser.get("/notifications").words
        assert browser.post("/notifications/rule/remove?name=night").status == 303
        assert browser.post("/notifications/channels/remove?name=hook").status == 303

    def test_whom_a_channel_tells_is_listed_and_a_channel_in_use_is_called_one(self, house: House) -> None:
        browser = house.signed_in(Role.OPERATOR)
        sent = {"param.host": "mail.contoso.com", "param.sender": "a@contoso.com", "param.to": "b@c.test\nd@c.test"}
        landed(browser, browser.post("/notifications/channels/add/smtp", name="mail", **sent))
        assert "To: b@c.test, d@c.test" in browser.get("/notifications").words
        assert browser.post("/notifications/rule", name="night", channels="mail").status == 303
        refused = browser.post("/notifications/channels/remove?name=mail")
        assert "The channel &#39;mail&#39; is used by the notification rule &#39;night&#39;." in refused.text

    def test_the_name_of_a_rule_is_not_translated(self, house: House) -> None:
        browser = house.signed_in(Role.OPERATOR)
        seen = browser.get("/notifications/rule?name=summary", **{"Accept-Language": "de"})
        assert "<h1>summary</h1>" in seen.text
        assert "<h1>Eine neue Regel</h1>" in browser.get("/notifications/rule", **{"Accept-Language": "de"}).text

    @pytest.mark.parametrize(
        ("wrong", "told"),
        [
            ({"quiet": "22-7"}, "names no quiet hours"),
            ({"zone": "Nowhere"}, "Nowhere"),
            ({"days": "0"}, "greater than or equal to 1"),
            ({"channels": "nothing"}, "There is no channel"),
        ],
    )
    def test_a_rule_with_a_mistake_is_filled_in_again(self, house: House, wrong: dict[str, str], told: str) -> None:
        browser = house.signed_in(Role.OPERATOR)
        seen = browser.post("/notifications/rule", **{"name": "night", "failures": "7"} | wrong)
        assert (seen.status, told in seen.text) == (422, True)
        assert 'value="7"' in seen.text


@pytest.mark.parametrize(
    "path", ["/notifications", "/notifications/channels/add/webhook", "/credentials/add/exchange", "/new/exchange"]
)
def test_what_shows_no_certificate_reads_none(house: House, path: str) -> None:
    house.make_unreadable(house.managed("mail.contoso.com").id)
    assert house.signed_in(Role.OPERATOR).get(path).status == 200


def test_each_act_in_a_list_says_on_what(house: House) -> None:
    browser = house.signed_in(Role.OPERATOR)
    for name in ("one", "two"):
        browser.post("/windows/edit", **{**NIGHTS, "name": name})
        browser.post("/notifications/rule", **{**RULE, "name": name})
        store_sign_in(house.engine, SignIn.EXCHANGE, Credential(name, "svc", "secret"))
    mail = house.managed("mail.contoso.com", "web.contoso.com")
    rules = (Validation(), Validation(names=("web.contoso.com",)))
    tasks = [TaskSettings(kind="script", title=title, params={"program": "/bin/true"}) for title in ("one", "two")]
    with house.engine.store.write() as unit:
        unit.managed.update(mail.model_copy(update={"validations": rules, "tasks": tuple(tasks)}))
    of_it = f"/certificates/{mail.id}"
    for path in (
        "/windows",
        "/notifications",
        "/credentials",
        "/issuers",
        f"{of_it}/deployment",
        f"{of_it}/validation",
    ):
        acts = re.findall(r'(?:aria-label="([^"]*)")?>(?:Change|Remove|Replace|Disable)<', browser.get(path).text)
        assert acts, path
        assert sorted({each for each in acts if each}) == sorted(acts), path


def test_of_many_users_of_a_credential_some_are_named(house: House) -> None:
    store_sign_in(house.engine, SignIn.PFX, Credential("pfx", "", "secret"))
    for number in range(12):
        made = house.managed(f"mail{number:02}.contoso.com")
        with house.engine.store.write() as unit:
            unit.managed.update(made.model_copy(update={"pfx_password_credential": "pfx"}))
    seen = house.signed_in().get("/credentials")
    assert len(set(re.findall(r"mail\d\d", seen.text))) == 10
    assert "And 2 more" in seen.words


class TestWindows:
    def test_one_is_added_changed_and_not_removed_while_it_is_used(self, house: House) -> None:
        browser = house.signed_in(Role.OPERATOR)
        sent = {"name": "nights", "spans": "Sat 22:00-04:00\nTue,Thu 02:00-04:00", "zone": "Europe/Berlin"}
        assert browser.post("/windows/edit", **sent).status == 303
        seen = browser.get("/windows")
        assert "Sat 22:00-04:00 Tue,Thu 02:00-04:00" in seen.words
        assert '<time datetime="2026-12-01T01:00:00+00:00" data-form="moment">' in seen.text
        form = browser.get("/windows/edit?name=nights")
        assert "Tue,Thu 02:00-04:00</textarea>" in form.text
        mail = house.managed("mail.contoso.com")
        set_window(house.engine, mail.id, "nights")
        refused = browser.post("/windows/remove?name=nights")
        assert (refused.status, "mail.contoso.com" in refused.words) == (422, True)
        set_window(house.engine, mail.id, None)
        assert browser.post("/windows/remove?name=nights").status == 303

    def test_the_first_that_use_it_are_named_and_the_others_counted(self, house: House) -> None:
        browser = house.signed_in(Role.OPERATOR)
        browser.post("/windows/edit", name="nights", spans="Sat 22:00-04:00", zone="UTC")
        for number in range(12):
            set_window(house.engine, house.managed(f"host{number:02}.contoso.com").id, "nights")
        assert "host09.contoso.com And 2 more" in browser.get("/windows").words

    def test_what_somebody_else_changed_meanwhile_is_not_lost(self, house: House) -> None:
        browser = house.signed_in(Role.OPERATOR)
        sent, edit = {"name": "nights", "spans": "Sat 22:00-04:00", "zone": "UTC"}, "/windows/edit?name=nights"
        browser.post("/windows/edit", **sent)
        seen = digest_in(browser.get(edit))
        assert browser.post(edit, **{**sent, "spans": "Sun 01:00-02:00"}, seen=seen).status == 303
        wrong = browser.post(edit, **{**sent, "spans": "whenever"}, seen=seen)
        assert (wrong.status, digest_in(wrong)) == (422, seen)
        stale = browser.post(edit, **{**sent, "spans": "Mon 03:00-04:00"}, seen=seen)
        assert (stale.status, "was changed by somebody else meanwhile" in stale.words) == (412, True)
        assert "Mon 03:00-04:00</textarea>" in stale.text
        assert "Sun 01:00-02:00" in browser.get("/windows").words
        again = browser.post(edit, **{**sent, "spans": "Mon 03:00-04:00"}, seen=digest_in(stale))
        assert (again.status, "Mon 03:00-04:00" in browser.get("/windows").words) == (303, True)

    def test_what_somebody_else_removed_meanwhile_is_filled_in_again_as_a_new_one(self, house: House) -> None:
        operator, other = house.signed_in(Role.OPERATOR), house.signed_in()
        assert operator.post("/windows/edit", name="nights", spans="Sat 22:00-04:00", zone="UTC").status == 303
        shown = digest_in(operator.get("/windows/edit?name=nights"))
        assert other.post("/windows/remove?name=nights").status == 303
        typed = {"name": "nights", "spans": "Sun 22:00-04:00", "zone": "UTC"}
        seen = operator.post("/windows/edit?name=nights", seen=shown, **typed)
        assert (seen.status, "<h1>A new maintenance window</h1>" in seen.text) == (404, True)
        assert "It was removed meanwhile. What you typed is still here" in seen.words
        assert "Sun 22:00-04:00</textarea>" in seen.text
        assert '<a href="/windows">To the page as it is now</a>' in seen.text
        assert operator.get("/windows/edit?name=nights").status == 404
        assert operator.post("/windows/edit?name=nights", **typed).status == 303
        assert "Sun 22:00-04:00" in operator.get("/windows").words

    def test_of_two_who_change_a_rule_the_second_is_refused(self, house: House) -> None:
        browser, edit = house.signed_in(Role.OPERATOR), "/notifications/rule?name=night"
        sent = {"name": "night", "zone": "UTC"}
        assert browser.post("/notifications/rule", **sent, failures="2").status == 303
        seen = digest_in(browser.get(edit))
        changes = [browser.post(edit, **sent, failures=each, seen=seen).status for each in ("3", "4")]
        assert changes == [303, 412]

    def test_a_span_that_is_none_is_told_beside_its_field(self, house: House) -> None:
        sent = {"name": "nights", "spans": "whenever", "zone": "Europe/Berlin"}
        seen = house.signed_in(Role.OPERATOR).post("/windows/edit", **sent)
        assert seen.status == 422
        assert 'id="spans-error"' in seen.text
        assert "Write it as &#34;Sat 22:00-04:00&#34;" in seen.text
        assert "whenever</textarea>" in seen.text


def test_who_is_limited_is_not_told_that_nothing_uses_what_others_may_use(house: House) -> None:
    store_sign_in(house.engine, SignIn.EXCHANGE, Credential("exchange", "user", "secret"))
    assert house.signed_in().post("/windows/edit", name="nights", spans="Sat 22:00-04:00", zone="UTC").status == 303
    whole, limited = house.signed_in(Role.VIEWER), house.signed_in(Role.VIEWER, "sales")
    for path in ("/credentials", "/windows"):
        assert "nothing" in whole.get(path).words
        assert ["nothing that you may see" in each.get(path).words for each in (whole, limited)] == [False, True]


class TestWatched:
    def test_a_pfx_is_watched_and_takes_its_password(self, house: House) -> None:
        now = house.clock()
        made = CertificateAuthority().issue_directly(
            ["old.contoso.com"], not_before=now - timedelta(days=50), not_after=now + timedelta(days=40)
        )
        pfx = pkcs12_bytes(made.private_key, made.chain, "s3cret", PfxCipher.LEGACY, "x")
        browser = house.signed_in(Role.OPERATOR)
        seen = upload(browser, "/watched/add/file", pfx, password="wrong")
        assert (seen.status, "the password is wrong" in seen.words) == (422, True)
        done = upload(browser, "/watched/add/file", pfx, password="s3cret")
        assert done.status == 303, done.words
        assert "old.contoso.com" in browser.get("/watched").words
        with house.engine.store.read() as unit:
            (item,) = unit.watches.list()
        again = upload(browser, f"/watched/replace?id={item.id}", pfx, password="s3cret")
        assert (again.status, "has this certificate already" in again.words) == (422, True)
        question = browser.get(f"/watched/remove?id={item.id}")
        assert "Watch old.contoso.com no more? Nobody is told any more when it ends" in question.words
        assert browser.post(f"/watched/remove?id={item.id}").status == 303
        assert "old.contoso.com" not in browser.get("/watched").words

    def test_without_a_file_it_is_asked_for(self, house: House) -> None:
        seen = house.signed_in(Role.OPERATOR).post("/watched/add/file", title="x")
        assert (seen.status, "No file was chosen." in seen.words) == (422, True)

    def test_a_service_that_is_not_there_is_told(self, house: House) -> None:
        browser = house.signed_in(Role.OPERATOR)
        sent = {"endpoint": f"127.0.0.1:{free_port()}", "title": "The mail"}
        _, seen = landed(browser, browser.post("/watched/add/service", **sent))
        assert (seen.status, "nothing can be seen there" in seen.words) == (422, True)
        assert "where TLS begins later, choose STARTTLS" in seen.words
        assert 'value="The mail"' in seen.text


def test_what_was_typed_is_text_wherever_it_comes_again(house: House) -> None:
    browser = house.signed_in(Role.OPERATOR)
    store_sign_in(house.engine, SignIn.EXCHANGE, Credential(HOSTILE, HOSTILE, "secret"))
    browser.post("/windows/edit", name=HOSTILE, spans="Sat 22:00-04:00", zone="UTC")
    browser.post("/notifications/rule", name=HOSTILE, zone="UTC")
    seen = [browser.get(path) for path in PAGES]
    named = urlencode({"name": f"100% {HOSTILE}"})
    seen.append(browser.get(f"/notifications/rule?{named}"))
    seen.append(landed(browser, browser.post("/credentials/test", name=f"100% {HOSTILE}"))[1])
    seen.append(browser.post("/windows/edit", name=HOSTILE, spans=HOSTILE, zone=HOSTILE))
    seen.append(browser.post("/notifications/rule", name=HOSTILE, quiet=HOSTILE, zone=HOSTILE))
    seen.append(landed(browser, browser.post("/issuers/add/acme", name=HOSTILE, **{"param.email": HOSTILE}))[1])
    seen.append(landed(browser, browser.post("/watched/add/service", endpoint=HOSTILE))[1])
    assert sum("&lt;script&gt;" in each.text for each in seen) >= 8
    for each in seen:
        assert HOSTILE not in each.text


def test_a_form_that_no_browser_sends_is_refused_in_words_and_nobody_waits_for_it(house: House) -> None:
    browser = house.browser()
    for disposition in ("name=a; " + '"' * 500_000, "(" * 500_000):
        body = f"--b\r\nContent-Disposition: form-data; {disposition}\r\n\r\nx\r\n--b--\r\n"
        seen = send(browser, "/sign-in", "multipart/form-data; boundary=b", body.encode())
        assert (seen.status, "no form that a browser sends" in seen.words) == (422, True)
