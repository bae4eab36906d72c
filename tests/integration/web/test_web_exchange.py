"""Exchange in the browser: what each server presents, a plan in words, one server first, and the way back."""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID
from markupsafe import escape

from certwright.domain.access import Role
from certwright.domain.managed import TaskSettings, new_id
from certwright.domain.runs import DeploymentState, Stage
from certwright.domain.windows import MaintenanceWindow, Span, Weekday
from certwright.engine.deploy import deploy
from certwright.engine.exchange.discovery import discover
from certwright.engine.exchange.reach import organisations, reach
from certwright.engine.managed import details
from certwright.engine.schedule import reschedule
from certwright.engine.task_list import add_task, enable_task, remove_task
from certwright.engine.windows import put_window, set_window
from certwright.exchange.account import grant_script
from certwright.exchange_simulator import Fail, SendConnector
from certwright.sdk.context import Credential
from peers.exchange_task import NAMES, PASSWORD, USERNAME, spec, world
from world.mailing import Mail, mailing
from world.web import House, Seen, job_of, landed

REMOVE = "Remove-ExchangeCertificate"


@pytest.fixture
def mail(house: House, tmp_path: Path) -> Iterator[Mail]:
    with mailing(house, tmp_path) as made:
        yield made


def sent(seen: Seen) -> dict[str, str]:
    """What the first form with a plan sends along."""
    return dict(re.findall(r'<input type="hidden" name="(plan|server)" value="([^"]+)"', seen.text))


def test_one_server_first_then_the_others_and_back_again(mail: Mail) -> None:
    browser = mail.house.signed_in(Role.ADMINISTRATOR)
    before, new = mail.served(), mail.version.facts.sha256[:16]
    seen = browser.get("/exchange")
    assert "Contoso mail" in seen.words
    assert "MAIL02" in seen.words
    assert "Put back what was there before" not in seen.words
    assert 'aria-label="Look at every port, Contoso mail"' in seen.text

    _, seen = landed(browser, browser.post(f"{mail.at}/plan", server="mail02.contoso.test"))
    assert "On mail02.contoso.test alone" in seen.words
    assert "Put the certificate and its key into the store. Nothing uses it yet." in seen.words
    assert "Have IIS use the certificate" in seen.words
    assert "Import-ExchangeCertificate -Server" in seen.words, "the exact command stands beside it"

    written = {
        name: browser.get(path) for path, name in re.findall(r'<a href="([^"]+)" download>(\w+\.ps1)</a>', seen.text)
    }
    assert list(written) == ["do.ps1", "undo.ps1"]
    assert "Import-ExchangeCertificate" in written["do.ps1"].body.decode("utf-8-sig")
    assert 'filename="undo.ps1"' in written["undo.ps1"].headers["Content-Disposition"]

    _, said = landed(browser, browser.post(f"{mail.at}/rehearse", server="mail02.contoso.test"))
    assert "Each was sent with -WhatIf: nothing was changed." in said.words
    assert "import the certificate: would be done." in said.words
    assert sent(said) == {"server": "mail02.contoso.test"}, "it can be planned for the same again"
    assert mail.served() == before

    _, seen = landed(browser, browser.post(f"{mail.at}/apply", **sent(seen)))
    assert mail.served() == [before[0], new]
    assert "Go on with mail01.contoso.test" in seen.words
    assert '<a href="/certificates/Contoso%20mail/exchange" title="certwright exchange apply' in seen.text

    _, seen = landed(browser, browser.post(f"{mail.at}/plan"))
    _, done = landed(browser, browser.post(f"{mail.at}/apply", **sent(seen)))
    assert mail.served() == [new, new]
    assert "2 ok" in done.words
    _, again = landed(browser, browser.post(f"{mail.at}/plan"))
    assert ["Every port is looked at after each wave" in each.words for each in (seen, again)] == [True, False]

    path, seen = landed(browser, browser.post(f"{mail.at}/verify"))
    other = mail.house.managed("other.contoso.test")
    assert browser.get(path.replace(mail.managed_id, other.id)).status == 404, "it is about another certificate"
    assert browser.get(path.replace("/verified/", "/done/")).status == 404
    assert path.startswith(f"{mail.at}/verified/")
    assert f"Every port should serve {mail.version.facts.thumbprint[:8]}" in seen.words
    assert seen.text.count('class="outcome ok"') >= 2

    seen = browser.get("/exchange")
    assert "Put back what was there before" in seen.words
    assert 'aria-label="What each server presents, Contoso mail"' in seen.text
    _, seen = landed(browser, browser.post(f"{mail.at}/undo-plan"))
    assert "what would be put back" in seen.words
    plan = sent(seen)
    assert browser.post(f"{mail.at}/apply", **plan).status == 303
    assert mail.served() == [new, new], "the plan of an undo is none to be applied"
    _, seen = landed(browser, browser.post(f"{mail.at}/undo", **plan))
    assert "undone" in seen.words
    assert mail.served() == before
    assert "a person had its deployment taken back" in browser.get("/exchange").words


def test_what_was_begun_here_leads_to_its_certificate_and_back_after_the_service_was_killed(mail: Mail) -> None:
    browser = mail.house.signed_in(Role.ADMINISTRATOR)
    seen = browser.post(f"{mail.at}/plan")
    begun, place = job_of(seen), seen.headers["Location"]
    landed(browser, seen)
    with mail.house.engine.store.write() as unit:
        killed = unit.jobs.get(begun)[0].model_copy(update={"id": new_id(), "ended_at": None, "outcome": None})
        unit.jobs.add(killed)
    seen = browser.get(place.replace(begun, killed.id))
    assert "what had begun there goes on by itself" in seen.words
    assert '<a href="/exchange">Back</a>' in seen.text
    assert f'<a href="/certificates/{mail.managed_id}">To the certificate</a>' in seen.text


def test_what_a_disabled_task_left_in_use_is_told_and_the_next_step_is_to_enable_it(mail: Mail) -> None:
    browser, at = mail.house.signed_in(Role.ADMINISTRATOR), f"/certificates/{mail.managed_id}"
    still = f"is still in use, and ends {mail.version.facts.not_after:%Y-%m-%d}"
    earlier = "As it was after the earlier version was deployed:"
    deploy(mail.house.engine, mail.managed_id, attended=True)
    enable_task(mail.house.engine, mail.managed_id, "exchange", enabled=False)
    seen = browser.get(f"{at}/deployment").words
    assert (still in seen, earlier in seen, "1. exchange deployed" in seen) == (False, False, True)
    mail.issued()
    seen = browser.get(f"{at}/deployment").words
    assert (still in seen, earlier in seen, "1. exchange new" in seen) == (True, True, True)
    _, previewed = landed(browser, browser.post(f"{at}/preview"))
    assert "No enabled task puts it to use." in previewed.words
    for act in ("plan", "verify", "cleanup-plan"):
        _, told = landed(browser, browser.post(f"{mail.at}/{act}"))
        assert "deploys to Exchange, and is disabled." in told.words
        assert re.search(rf'Enable it: <a href="{at}/deployment"[^>]*>Deployment: Enable</a>', told.text)


def test_what_waits_for_a_person_is_judged_anew_once_the_organisation_was_found_healthy(mail: Mail) -> None:
    engine, browser = mail.house.engine, mail.house.signed_in(Role.ADMINISTRATOR)

    def due() -> datetime:
        with engine.store.read() as unit:
            found = unit.managed.next_check(mail.managed_id)
        assert found
        return found

    deploy(engine, mail.managed_id, attended=True)
    newer = mail.issued()
    (waits,) = deploy(engine, mail.managed_id)
    assert waits.error
    assert "Nobody looks on" in str(list(waits.error.explain()))
    assert due() > engine.now()
    landed(browser, browser.post("/exchange/examine", server=mail.exchange.first.spec.fqdn))
    assert due() == engine.now()
    (result,) = deploy(engine, mail.managed_id)
    assert (result.error, set(mail.served())) == (None, {newer.facts.sha256[:16]})


def test_once_a_connector_is_agreed_to_it_is_planned_for_the_same_servers_again(mail: Mail) -> None:
    mail.issued(ExtendedKeyUsageOID.SERVER_AUTH)
    mail.exchange.organisation.state.send_connectors.append(
        SendConnector("To partner", fqdn=NAMES[0], require_tls=True)
    )
    with mail.house.engine.store.write() as unit:
        managed = unit.managed.get(mail.managed_id)
        task = managed.tasks[0]
        smtp = task.model_copy(update={"params": {**task.params, "services": "SMTP"}})
        unit.managed.update(managed.model_copy(update={"tasks": (smtp,)}))
    browser = mail.house.signed_in(Role.ADMINISTRATOR)
    landed(browser, browser.post("/exchange/look", server="mail01.contoso.test"))
    _, seen = landed(browser, browser.post(f"{mail.at}/plan", server="mail02.contoso.test"))
    assert "Agree that To partner presents it without client authentication, and plan again" in seen.words
    _, seen = landed(browser, browser.post(f"{mail.at}/acknowledge", connector="To partner", **sent(seen)))
    assert "On mail02.contoso.test alone" in seen.words
    assert "Agree that To partner" not in seen.words


def test_earlier_versions_are_shown_with_what_keeps_them_and_removed_as_they_were_seen(mail: Mail) -> None:
    browser = mail.house.signed_in(Role.ADMINISTRATOR)
    _, seen = landed(browser, browser.post(f"{mail.at}/cleanup-plan"))
    assert "There is nothing of an earlier version on any server." in seen.words
    assert "Remove these now" not in seen.words

    first, second = mail.version.facts.thumbprint, mail.renewed()
    path, seen = landed(browser, browser.post(f"{mail.at}/cleanup-plan"))
    assert "earlier versions are kept for 24 hours" in seen.words
    assert "Remove these now" not in seen.words
    assert "nothing to remove" in seen.words

    mail.house.clock.now += timedelta(days=2)
    browser, operator = mail.house.signed_in(Role.ADMINISTRATOR), mail.house.signed_in(Role.OPERATOR)
    path, _ = landed(browser, browser.post(f"/certificates/{mail.managed_id}/look"))
    with mail.house.engine.store.read() as unit:
        (look,) = unit.looks.get(mail.managed_id).tasks.values()
    assert (path, look.seen_at) == (f"/certificates/{mail.managed_id}/deployment", mail.house.clock.now)
    path, seen = landed(browser, browser.post(f"{mail.at}/cleanup-plan"))
    assert seen.text.count("Remove-ExchangeCertificate -Server &#39;mail0") == 2
    assert f"{second} took its place, and nothing refers to it" in seen.words
    assert operator.post(path).status == 404, "who has not seen it removes nothing"
    requester = mail.house.signed_in(Role.REQUESTER)
    _, seen = landed(requester, requester.post(f"{mail.at}/cleanup-plan"))
    assert "Carrying it out takes an operator or an administrator." in seen.words
    state = mail.exchange.organisation.state
    name = mail.exchange.first.state.certificates[first].tls_certificate_name
    state.send_connectors.append(SendConnector("To partner", tls_certificate_name=name))
    _, seen = landed(browser, browser.post(path))
    assert "Nothing was removed." in seen.words
    assert seen.words.count("the send connector &#39;To partner&#39; names") == 2

    state.send_connectors.clear()
    path, seen = landed(browser, browser.post(f"{mail.at}/cleanup-plan"))
    mail.exchange.first.faults.inject(Fail("It is referred to.", terminating=True), REMOVE)
    _, seen = landed(browser, browser.post(path))
    assert "mail01.contoso.test refused a removal" in seen.words
    assert "It is referred to." in seen.words
    held = [first in server.state.certificates for server in mail.exchange.organisation.servers.values()]
    assert held == [True, False]


@pytest.mark.parametrize("fails", [False, True])
def test_a_picture_from_before_a_deployment_says_so_until_it_is_read_again(mail: Mail, fails: bool) -> None:
    browser, old = mail.house.signed_in(Role.ADMINISTRATOR), "Since then Certwright was at work there for Contoso mail"
    assert old not in browser.get("/exchange").words
    if fails:
        mail.exchange.first.faults.inject(Fail("It is referred to.", terminating=True), "Import-ExchangeCertificate")
    mail.house.clock.now += timedelta(seconds=1)
    (result,) = deploy(mail.house.engine, mail.managed_id, attended=True)
    assert (result.error is not None) is fails
    seen = browser.get("/exchange")
    assert (old in seen.words, "Read it again" in seen.words) == (True, True)
    mail.house.clock.now += timedelta(seconds=1)
    landed(browser, browser.post("/exchange/look", server=mail.exchange.first.spec.fqdn))
    seen = browser.get("/exchange")
    assert (old in seen.words, "Look at it now" in seen.words) == (False, True)


def test_a_version_has_one_name_wherever_it_is_told_of(mail: Mail) -> None:
    browser, first = mail.house.signed_in(Role.ADMINISTRATOR), mail.version.facts
    second = mail.renewed()
    tab = f"/certificates/{mail.managed_id}"
    for page in ("", "/deployment", "/history"):
        seen = browser.get(f"{tab}{page}")
        assert f'<code title="SHA-1 {second}, SHA-256 ' in seen.text
        assert f">{second[:8]}</code>" in seen.text
    history = browser.get(f"{tab}/history")
    for told in (first.thumbprint, first.sha256, first.serial, first.issuer, f"{first.not_after:%Y-%m-%d %H:%M}"):
        assert told in history.words
    newest, oldest = re.findall(r"<tr>\s*<td>.*?</tr>", history.text, re.DOTALL)
    assert "exchange (mail01.contoso.test, mail02.contoso.test)" in newest
    assert "nowhere" in oldest
    (known,) = details(mail.house.engine, mail.managed_id).states
    assert {row.certificate_before.thumbprint for row in known.served if row.certificate_before} == {first.thumbprint}
    assert {row.shown_now for row in known.served} == {f"{second[:8]} {NAMES[0]}"}
    _, seen = landed(browser, browser.post(f"{mail.at}/verify"))
    assert f"Every port should serve {second[:8]}" in seen.words
    assert first.sha256[:8] not in browser.get("/exchange").words


def test_what_waits_for_its_window_says_so_and_is_done_all_the_same_by_who_wants_that(mail: Mail) -> None:
    house, page, waits = mail.house, f"/certificates/{mail.managed_id}", "when the window &#39;nights&#39; opens"
    browser, before = house.signed_in(Role.ADMINISTRATOR), mail.served()
    deploy(house.engine, mail.managed_id, attended=True)
    day = f"{Weekday.of(house.clock.now + timedelta(days=2))} 22:00-23:00"
    put_window(house.engine, MaintenanceWindow(name="nights", zone="UTC", spans=(Span.parse(day),)))
    set_window(house.engine, mail.managed_id, "nights")
    assert waits not in browser.get(page).text
    newer = mail.issued()
    with house.engine.store.write() as unit:
        reschedule(house.engine, unit, unit.managed.get(mail.managed_id))
    seen = browser.get(page)
    assert (waits in seen.text, "still to be deployed" in seen.words) == (True, False)
    seen = browser.get(f"{page}/deployment")
    assert waits in seen.text
    assert "As it was after the earlier version was deployed:" in seen.words
    assert '<span class="outcome deployed">' not in seen.text

    with house.engine.store.read() as unit:
        (task,) = unit.managed.get(mail.managed_id).tasks
    for plan in (f"{page}/tasks/{task.id}/plan", f"{mail.at}/plan"):
        _, seen = landed(browser, browser.post(plan))
        assert (waits in seen.text, "Do it now all the same?" in seen.words) == (True, True), plan
        assert '<button name="anytime" value="yes">' in seen.text
    _, seen = landed(browser, browser.post(f"{page}/tasks/{task.id}/plan"))
    (digest,) = re.findall(r'name="digest" value="([^"]+)"', seen.text)
    _, seen = landed(browser, browser.post(f"{page}/tasks/{task.id}/apply", digest=digest))
    assert "look at its plan on its page again" in seen.words
    assert newer.facts.sha256[:16] not in mail.served()
    landed(browser, browser.post(f"{page}/tasks/{task.id}/apply", digest=digest, anytime="yes"))
    assert mail.served() == [newer.facts.sha256[:16]] * len(before)
    seen = browser.get(page)
    assert (waits in seen.text, "health ok" in seen.text) == (False, True)


def test_what_was_begun_with_one_server_stays_told_while_the_others_wait_for_the_window(mail: Mail) -> None:
    house, page, browser = mail.house, f"/certificates/{mail.managed_id}", mail.house.signed_in(Role.ADMINISTRATOR)
    mail.renewed()
    newer = mail.issued()
    opens = house.clock.now + timedelta(days=2)
    day = f"{Weekday.of(opens)} 22:00-23:00"
    put_window(house.engine, MaintenanceWindow(name="nights", zone="UTC", spans=(Span.parse(day),)))
    set_window(house.engine, mail.managed_id, "nights")
    _, seen = landed(browser, browser.post(f"{mail.at}/plan", server="mail02.contoso.test"))
    landed(browser, browser.post(f"{mail.at}/apply", **sent(seen), anytime="yes"))
    assert newer.facts.sha256[:16] in mail.served()

    waits = f"Its deployment waits until {Weekday.of(opens)} {opens:%Y-%m-%d} 22:00 UTC"
    seen = browser.get(f"{page}/deployment")
    assert '<span class="outcome waiting">' in seen.text
    assert ("go on with the others" in seen.words, "As it was after the earlier version" in seen.words) == (True, False)
    assert (seen.words.count(waits), "tried again by itself" in seen.words) == (2, False), "in the head, too"
    assert f'<time datetime="{opens:%Y-%m-%d}T22:00:00+00:00"' in browser.get("/tasks").text
    assert f"{newer.facts.thumbprint[:8]} mail.contoso.test ok" in seen.words
    assert seen.words.count("not verified") == 1, "the other one is not to serve it yet"


def test_who_may_only_request_is_told_who_carries_a_plan_out(mail: Mail) -> None:
    requester, page = mail.house.signed_in(Role.REQUESTER), f"/certificates/{mail.managed_id}"
    for path in ("/tasks", f"{page}/deployment"):
        words = requester.get(path).words
        assert ("See what would be done" in words, "Run it now" in words) == (True, False), path
    with mail.house.engine.store.read() as unit:
        (task,) = unit.managed.get(mail.managed_id).tasks
    for plan in (f"{page}/tasks/{task.id}/plan", f"{mail.at}/plan"):
        _, seen = landed(requester, requester.post(plan))
        assert "Carrying it out takes an operator or an administrator." in seen.words, plan
        assert "/apply" not in seen.text


def test_several_tasks_of_a_certificate_are_told_apart(mail: Mail) -> None:
    browser = mail.house.signed_in()
    assert "Contoso mail new" in browser.get("/exchange").words
    with mail.house.engine.store.read() as unit:
        (task,) = unit.managed.get(mail.managed_id).tasks
    add_task(mail.house.engine, mail.managed_id, task.model_copy(update={"id": new_id(), "title": "edge"}))
    words = browser.get("/exchange").words
    assert ("Contoso mail , exchange new" in words, "Contoso mail , edge new" in words) == (True, True)


def test_a_task_alone_makes_its_organisation_known_until_it_is_removed(mail: Mail) -> None:
    engine, browser = mail.house.engine, mail.house.signed_in(Role.ADMINISTRATOR)
    with engine.store.write() as unit:
        (task,) = unit.managed.get(mail.managed_id).tasks
        unit.records.forget("exchange", but_for=())
        unit.records.forget("organisation:", but_for=())
    seen = browser.get("/exchange")
    assert all(words in seen.words for words in ("Examine it", "Contoso mail new", "See what would be done"))
    assert browser.get(mail.at).headers["Location"] == f"/exchange#deployed-{task.id}"
    (known,) = organisations(engine)
    assert known == {"contoso.test": reach(engine, {"servers": ["mail02.contoso.test"]})}
    remove_task(engine, mail.managed_id, task.id)
    assert "No Exchange organisation is known yet." in browser.get("/exchange").words
    add_task(engine, mail.managed_id, task)
    path, _ = landed(browser, browser.post("/exchange/examine", server=task.params["servers"][0]))
    assert path.startswith("/exchange/diagnoses/")


def test_what_was_broken_off_is_called_so_on_every_page_with_the_way_to_go_on(mail: Mail) -> None:
    browser, page = mail.house.signed_in(Role.ADMINISTRATOR), f"/certificates/{mail.managed_id}"
    with mail.house.engine.store.write() as unit:
        (task,) = unit.managed.get(mail.managed_id).tasks
        version = unit.managed.current(mail.managed_id)
        assert version
        state = DeploymentState(task_id=task.id, managed_id=mail.managed_id, version_id=version.id)
        unit.deployments.save(state.model_copy(update={"stage": Stage.APPLYING}))
    for path in ("/exchange", f"{page}/deployment", "/tasks"):
        seen = browser.get(path)
        assert '<span class="outcome interrupted">interrupted</span>' in seen.text, path
        assert "The deployment was broken off half-way." in seen.words
        assert "applying</span>" not in seen.text
    seen = browser.get("/exchange")
    assert "It goes on by itself. To go on at once: Deployment: Run it now" in seen.words
    assert f'<a href="{page}/deployment" title="certwright task run {mail.managed_id} {task.id}"' in seen.text


def test_what_is_deployed_elsewhere_is_not_read(mail: Mail) -> None:
    mail.house.make_unreadable(mail.house.managed("www.contoso.test").id)
    seen = mail.house.signed_in().get("/exchange")
    assert (seen.status, "Contoso mail" in seen.words) == (200, True)


def test_what_a_hint_names_leads_to_the_part_of_the_page_that_is_about_the_certificate(mail: Mail) -> None:
    browser = mail.house.signed_in(Role.VIEWER)
    seen = browser.get("/certificates/Contoso%20mail/exchange")
    place, _, anchor = seen.headers["Location"].partition("#")
    assert (seen.status, place) == (303, "/exchange")
    assert f'<article id="{anchor}">' in browser.get(place).text
    limited = mail.house.signed_in(Role.OPERATOR, "berlin")
    ours = mail.house.managed("berlin.contoso.test", tags=("berlin",))
    assert limited.get(f"/certificates/{ours.id}/exchange").headers["Location"] == f"/certificates/{ours.id}/deployment"
    assert limited.get(mail.at).status == 404


@pytest.mark.parametrize("hidden", [(), (REMOVE,)])
def test_what_the_account_lacks_is_shown_with_the_commands_that_give_it(
    house: House, tmp_path: Path, hidden: tuple[str, ...]
) -> None:
    browser, viewer = house.signed_in(Role.ADMINISTRATOR), house.signed_in(Role.VIEWER)
    assert "Check the account" not in browser.get("/exchange/account").words, "no organisation is known"
    with world(tmp_path, spec("MAIL01"), hidden_cmdlets=hidden) as made:
        with house.engine.store.write() as unit:
            unit.credentials.add("exchange", Credential("exchange", USERNAME, PASSWORD))
        discover(house.engine, reach(house.engine, made.params(services=None, verify=None, winrm=None)))
        server = made.first.spec.fqdn
        assert viewer.post("/exchange/account/check", server=server).status == 403
        path, seen = landed(browser, browser.post("/exchange/account/check", server=server))
    assert path.startswith("/exchange/account/checks/")
    lacks = f"does not see {REMOVE}, which is needed to remove certificates"
    assert (lacks in seen.words) is bool(hidden)
    assert ("The account has all the rights that Certwright needs." in seen.words) is not bool(hidden)
    assert "Import-ExchangeCertificate -Server -FileData -Password" in seen.words, "what it needs"


def test_the_commands_for_an_account_are_those_of_the_command_line(house: House) -> None:
    viewer = house.signed_in(Role.VIEWER)
    seen = viewer.get("/exchange/account?account=CONTOSO%5Csvc-certs")
    assert escape(grant_script("CONTOSO\\svc-certs")) in seen.text
    assert ("or by its name alone." in seen.words, viewer.get("/exchange/account?account=svc").status) == (True, 200)
    seen = viewer.get("/exchange/account?account=a%2Fb")
    assert (seen.status, "is no name of an account" in seen.words) == (422, True)


def test_an_account_is_stored_once_it_has_signed_in_and_replaces_none(house: House, tmp_path: Path) -> None:
    browser, kept = house.signed_in(Role.ADMINISTRATOR), Credential("exchange-contoso.test", "reader", "of others")

    def stored() -> dict[str, Credential]:
        with house.engine.store.read() as unit:
            return {name: unit.credentials.get(name, "exchange") for name in unit.credentials.names()}

    with world(tmp_path, spec("MAIL01")) as made:
        server = made.first.spec.fqdn
        given = {
            "server": server,
            "username": USERNAME,
            "param.endpoint": f"{server}={made.first.powershell_url}",
            "param.auth": "basic",
            "param.ca_file": str(made.ca_file),
            "param.verify": "off",
        }
        path, seen = landed(browser, browser.post("/new/exchange", **given, password="mistyped"))
        assert (seen.status, "refused the sign-in" in seen.words) == (422, True)
        assert ("Type the right one again" in seen.words, "/credentials/add" in seen.text) == (True, False)
        assert stored() == {}
        with house.engine.store.write() as unit:
            unit.credentials.add("exchange", kept)
        for _ in range(2):
            path, seen = landed(browser, browser.post("/new/exchange", **given, password=PASSWORD))
            assert path.startswith("/new/exchange/")
            assert "The account is stored as exchange-contoso.test-2" in seen.words
        chosen = {"more": "mail.contoso.com", "issuer": "issuer:le", "proof": "http_listener", "tags": "mail, berlin"}
        landed(browser, browser.post(path, **chosen))
        with house.engine.store.read() as unit:
            assert unit.managed.get("mail.contoso.com").tags == ("berlin", "mail")
        _, seen = landed(browser, browser.post(path, **chosen))
        assert ("Or choose another title." in seen.words, 'id="title-error">Is taken<' in seen.text) == (True, True)
        operator = house.signed_in(Role.OPERATOR)
        seen = operator.get("/new/exchange")
        assert "somebody who may take private keys out" in seen.words
        gone_on = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]+)">', seen.text))
        assert gone_on == {"server": server, "param.restart_transport": "yes"}, "all else as it is usual"
        path, seen = landed(operator, operator.post("/new/exchange", **given, password=PASSWORD))
        assert ("Set it up</button>" in seen.text, "may take private keys out" in seen.words) == (False, True)
        refused = operator.post(path, name=NAMES[0], issuer="authority:letsencrypt", email="a@contoso.com")
        assert (refused.status, "may not do this: it takes the permission" in refused.words) == (403, True)
    ours = Credential("exchange-contoso.test-2", USERNAME, PASSWORD)
    assert stored() == {kept.name: kept, ours.name: ours}
    (known,) = organisations(house.engine)
    assert {each.credential for each in known.values()} == {ours.name}


def test_what_nobody_has_seen_or_may_do_is_not_done(house: House) -> None:
    managed = house.managed(*NAMES)
    add_task(house.engine, managed.id, TaskSettings(kind="exchange", title="mail", params={"servers": ["mail01"]}))
    at = f"/certificates/{managed.id}/exchange"
    operator, viewer = house.signed_in(Role.OPERATOR), house.signed_in(Role.VIEWER)
    assert "No plan was agreed to." in operator.post(f"{at}/apply").words
    begun = job_of(operator.post(f"{at}/verify"))
    for shown in ("plans", "undo-plans", "done", "verified", "rehearsed", "removable", "removed"):
        seen = operator.get(f"{at}/{shown}/{begun}")
        assert (seen.status, "is not shown here" in seen.words) == (404, True), f"{shown}: it failed"
    for act in ("apply", "undo"):
        _, seen = landed(operator, operator.post(f"{at}/{act}", plan="0123456789abcdef"))
        assert "No plan 0123456789abcdef is known" in seen.words
    for act in (
        "plan",
        "apply",
        "verify",
        "undo-plan",
        "undo",
        "acknowledge",
        "rehearse",
        "cleanup-plan",
        f"removable/{begun}",
    ):
        assert viewer.post(f"{at}/{act}").status == 403
