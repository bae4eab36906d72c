"""One certificate in the browser, tab by tab: what is changed there, what is done, and what is advised against."""

import html
import re
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlencode

import pytest
from markupsafe import escape

from certwright.acme_server.ca import CertificateAuthority
from certwright.domain.access import Role
from certwright.domain.deployment import ServedRow, Verdict
from certwright.domain.managed import CertificateVersion, Issuer, ManagedCertificate, TaskSettings
from certwright.domain.renewal_state import Failure
from certwright.domain.retry import Cause
from certwright.domain.runs import DeploymentState, Run, RunKind, Stage
from certwright.domain.validation import Validation
from certwright.domain.windows import MaintenanceWindow, Span
from certwright.engine.hold import hold
from certwright.engine.managed import set_tags
from certwright.engine.persist import records
from certwright.engine.task_list import add_task
from certwright.engine.windows import put_window
from certwright.web.certificate import TABS
from world.web import Browser, House, landed


@pytest.fixture
def mail(house: House) -> ManagedCertificate:
    return house.managed("mail.contoso.com")


@pytest.fixture
def operator(house: House) -> Browser:
    return house.signed_in(Role.OPERATOR)


def current(house: House, mail: ManagedCertificate) -> ManagedCertificate:
    with house.engine.store.read() as unit:
        return unit.managed.get(mail.id)


def issued(house: House, mail: ManagedCertificate) -> None:
    now = house.clock()
    made = CertificateAuthority().issue_directly(
        ["mail.contoso.com"], not_before=now - timedelta(days=1), not_after=now + timedelta(days=89)
    )
    version = CertificateVersion(
        managed_id=mail.id, issuer="le", chain_pem=made.chain_pem.decode(), fingerprint=mail.fingerprint, issued_at=now
    )
    with house.engine.store.write() as unit:
        unit.versions.add(version, None)


def test_each_tab_is_a_link_of_its_own(house: House, mail: ManagedCertificate, operator: Browser) -> None:
    for path in TABS:
        seen = operator.get(f"/certificates/{mail.id}{path}")
        assert (seen.status, f'href="/certificates/{mail.id}{path}" aria-current="page"' in seen.text) == (200, True)
        assert operator.get(f"/certificates/0123456789ab{path}").status == 404


def test_its_last_two_days_are_told_in_hours(house: House, mail: ManagedCertificate) -> None:
    issued(house, mail)
    house.clock.now += timedelta(days=86)
    assert "3 days left" in house.signed_in().get("/certificates").words
    house.clock.now += timedelta(days=1, hours=1)
    assert "47 hours left" in house.signed_in().get("/certificates").words
    house.clock.now += timedelta(days=1, hours=18)
    assert "5 hours left" in house.signed_in().get("/certificates").words
    house.clock.now += timedelta(hours=4, minutes=30)
    assert "less than an hour left" in house.signed_in().get("/certificates").words


def test_tags_are_chosen_by_who_has_seen_them_last(house: House, mail: ManagedCertificate, operator: Browser) -> None:
    path = f"/certificates/{mail.id}"
    assert operator.post(f"{path}/tags", tags="berlin, web", revision="1").status == 303
    assert current(house, mail).tags == ("berlin", "web")
    assert 'name="tags" value="berlin web"' in operator.get(path).text
    assert "mail.contoso.com" in operator.get("/certificates?tag=berlin").words
    late = operator.post(f"{path}/tags", tags="rome", revision="1")
    assert (late.status, 'name="tags" value="rome"' in late.text) == (412, True)
    assert "<details open" not in late.text, "where the names are changed"
    limited = house.signed_in(Role.OPERATOR, "berlin")
    assert limited.post(f"{path}/tags", tags="rome").status == 403
    viewer = house.signed_in(Role.VIEWER)
    assert "berlin, web" in viewer.get(path).words
    assert viewer.post(f"{path}/tags", tags="").status == 403
    assert operator.post(f"{path}/tags", tags="").status == 303
    assert current(house, mail).tags == ()


def test_records_that_prove_names_for_good_are_shown_as_a_zone_file_has_them(
    house: House, mail: ManagedCertificate, operator: Browser
) -> None:
    path = f"/certificates/{mail.id}/validation"
    assert "DNS records to make once" not in operator.get(path).words
    lasting = Validation(challenge="dns-persist-01", solver="dns_persist")
    with house.engine.store.write() as unit:
        unit.managed.update(current(house, mail).model_copy(update={"validations": (lasting,)}))
    assert "has not said by which name records in DNS name it" in operator.get(path).words
    with house.engine.store.write() as unit:
        issuer = unit.issuers.get("le")
        said = issuer.capabilities.model_copy(update={"caa_identities": ("ca.test",)})
        told = {"capabilities": said, "account": {"url": "https://ca.test/account/1"}}
        unit.issuers.update(issuer.model_copy(update=told))
    (record,) = records(house.engine, mail.id)
    assert str(escape(record.line)) in operator.get(path).text


def test_names_are_changed_by_who_has_seen_them_last(house: House, mail: ManagedCertificate, operator: Browser) -> None:
    path = f"/certificates/{mail.id}"
    sent = {"names": "mail.contoso.com\nimap.contoso.com", "title": "The mail", "revision": "1"}
    assert operator.post(f"{path}/names", **sent).status == 303
    assert current(house, mail).title == "The mail"
    late = operator.post(f"{path}/names", **sent | {"names": "www.contoso.com", "title": "Web"})
    assert (late.status, "was changed by somebody else meanwhile" in late.words) == (412, True)
    assert ("www.contoso.com</textarea>" in late.text, 'value="Web"' in late.text) == (True, True)
    assert len(current(house, mail).identifiers) == 2
    (revision,) = set(re.findall(r'name="revision" value="(\d+)"', late.text))
    assert operator.post(f"{path}/names", **sent | {"names": "www.contoso.com", "revision": revision}).status == 303
    house.managed("theirs.contoso.com")
    taken = operator.post(f"{path}/names", names="www.contoso.com", title="theirs.contoso.com")
    assert ('id="title-error">Is taken<' in taken.text, "title:" in taken.words) == (True, False)
    wrong = operator.post(f"{path}/names", names="mail.contoso.com server01")
    assert (wrong.status, "server01 is a single label" in wrong.words) == (422, True)
    assert ("server01</textarea>" in wrong.text, "<details open" in wrong.text) == (True, True)
    all_at_once = operator.post(f"{path}/names", names="intranet foo.local <b>x</b>").words
    for each in ("is the address of a page", "intranet is a single label", "foo.local ends in .local"):
        assert each in all_at_once


def test_names_are_proved_in_another_way_and_mistakes_stand_beside_their_fields(
    house: House, mail: ManagedCertificate, operator: Browser
) -> None:
    path = f"/certificates/{mail.id}/validation"
    typed = {"param.port": "8080", "param.address": "127.0.0.1\n::1", "param.precheck": "yes"}
    assert operator.post(f"{path}/http_listener", **typed).status == 303
    assert current(house, mail).validations[0].params == {"address": ["127.0.0.1", "::1"], "port": 8080}
    assert "Address: 127.0.0.1, ::1" in operator.get(path).words
    form = operator.get(f"{path}/http_listener")
    assert 'value="8080"' in form.text
    wrong = operator.post(f"{path}/http_listener", **{"param.port": "0", "names": "mail.contoso.com"})
    assert (wrong.status, 'id="param.port-error"' in wrong.text) == (422, True)
    rule = operator.post(f"{path}/dns", **{"param.credential": "manual", "names": "mail.contoso.com"})
    assert rule.status == 303
    assert operator.post(f"{path}/remove", rule="mail.contoso.com").status == 303
    (seen,) = set(re.findall(r'name="revision" value="(\d+)"', operator.get(f"{path}/http_listener").text))
    assert f'name="revision" value="{seen}"' in operator.get(path).text
    assert operator.post(f"{path}/http_listener", **{"param.port": "8081", "revision": seen}).status == 303
    late = operator.post(f"{path}/http_listener", **{"param.port": "8082", "revision": seen})
    assert (late.status, 'value="8082"' in late.text) == (412, True)
    assert operator.post(f"{path}/remove", revision=seen).status == 412
    assert current(house, mail).validations[0].params["port"] == 8081
    wrong = operator.post(f"{path}/http_listener", **{"param.port": "0", "revision": seen})
    assert f'name="revision" value="{seen}"' in wrong.text, "a mistake does not forget what was seen"
    last = operator.post(f"{path}/remove")
    assert (last.status, "No validation is chosen" in last.words or "not clear" in last.words) == (422, True)
    assert operator.get(f"{path}/nothing").status == 422


def test_a_rule_is_changed_with_the_names_that_it_is_for(
    house: House, mail: ManagedCertificate, operator: Browser
) -> None:
    path, way = f"/certificates/{mail.id}/validation", {"param.credential": "manual"}
    assert operator.post(f"{path}/dns", **way, names="mail.contoso.com").status == 303
    addresses = [html.unescape(each) for each in re.findall(r'href="([^"]+\?for=[^"]*)"', operator.get(path).text)]
    assert addresses == [f"{path}/http_listener?for=&", f"{path}/dns?for=mail.contoso.com&"]
    both = {"names": "mail.contoso.com\n.contoso.com"}
    wrong = operator.post(addresses[1], **way, names="mail contoso")
    assert (wrong.status, "mail contoso</textarea>" in wrong.text) == (422, True)
    assert operator.post(addresses[1], **way, **both).status == 303
    assert [each.names for each in current(house, mail).validations] == [(), ("mail.contoso.com", ".contoso.com")]
    taken = operator.post(addresses[0], **both)
    assert (taken.status, "two validations are for the same" in taken.words) == (422, True)
    assert operator.post(addresses[0], names="contoso.com").status == 303
    assert [each.names for each in current(house, mail).validations] == [
        ("mail.contoso.com", ".contoso.com"),
        ("contoso.com",),
    ]


def test_issuer_key_renewal_and_window_are_chosen(house: House, mail: ManagedCertificate, operator: Browser) -> None:
    path = f"/certificates/{mail.id}"
    assert operator.post(f"{path}/issuer", issuer="le", key="ecdsa-p256", reused="yes").status == 303
    assert (current(house, mail).key.type, current(house, mail).key.source) == ("ecdsa-p256", "reused")
    assert operator.post(f"{path}/issuer", issuer="nobody", key="ecdsa-p256").status == 404
    assert operator.post(f"{path}/issuer", issuer="le", key="rot13").status == 422
    assert operator.post(f"{path}/policy", days_before="20").status == 303
    assert current(house, mail).renewal.days_before == 20
    both = operator.post(f"{path}/policy", days_before="20", lifetime_share="0.5")
    assert (both.status, "Either days or a share" in both.words) == (422, True)
    assert operator.post(f"{path}/policy").status == 303
    assert not current(house, mail).renewal.is_own
    assert operator.post(f"{path}/window", window="nothing").status == 404


def test_who_stands_in_may_have_blanks_in_the_name(house: House, mail: ManagedCertificate, operator: Browser) -> None:
    path = f"/certificates/{mail.id}/issuer"
    with house.engine.store.write() as unit:
        for name in ("The house CA", "le 2"):
            unit.issuers.add(Issuer(name=name, kind="acme", params={}), b"account key")
    sent = {"issuer": "le", "key": "rsa-2048", "fallbacks": "The house CA\r\n\r\n le 2 \r\nle"}
    assert operator.post(path, **sent).status == 303
    assert current(house, mail).fallback_issuers == ("The house CA", "le 2")
    assert "The house CA\nle 2</textarea>" in operator.get(path).text


def test_a_profile_that_the_authority_no_longer_lists_stays_chosen(
    house: House, mail: ManagedCertificate, operator: Browser
) -> None:
    with house.engine.store.write() as unit:
        issuer = unit.issuers.get("le")
        listed = issuer.capabilities.model_copy(update={"profiles": {"classic": ""}})
        unit.issuers.update(issuer.model_copy(update={"capabilities": listed}))
        unit.managed.update(mail.model_copy(update={"profile": "tlsclient"}))
    _, _, profiles = operator.get(f"/certificates/{mail.id}/issuer").text.partition('id="profile"')
    shown = re.findall(r'<option value="(\w+)" (selected)?', profiles)
    assert shown == [("classic", ""), ("tlsclient", "selected")]


def test_ways_to_prove_names_are_offered_to_those_who_may_choose_them(
    house: House, mail: ManagedCertificate, operator: Browser
) -> None:
    with house.engine.store.write() as unit:
        for name, kind in (("programs", "script"), ("zones", "cloudflare")):
            unit.credentials.add_typed("dns", kind, name, {}, {})
        webroot = Validation(challenge="http-01", solver="webroot", params={"path": "/var/www"})
        unit.managed.update(mail.model_copy(update={"validations": (webroot,)}))
    by_program = ("dns:programs", f"as:{mail.id}:0")

    def offered(browser: Browser) -> tuple[set[str], bool, bool]:
        _, form = landed(browser, browser.post("/new/names", names="www.contoso.com"))
        solver = browser.get(f"/certificates/{mail.id}/validation/dns").text
        assert 'value="zones"' in solver
        assert 'value="dns:zones"' in form.text
        ways = {way for way in by_program if f'value="{way}"' in form.text}
        list_of_ways = browser.get(f"/certificates/{mail.id}/validation").text
        return ways, 'value="programs"' in solver, '/validation/webroot"' in list_of_ways

    assert offered(house.signed_in(Role.ADMINISTRATOR)) == (set(by_program), True, True)
    assert offered(operator) == (set(), False, False)
    sent = {"param.credential": "programs", "param.delegations": "*.contoso.com:other.zone"}
    assert operator.post(f"/certificates/{mail.id}/validation/dns", **sent).status == 403


def test_tasks_are_added_ordered_switched_changed_and_removed(
    house: House, mail: ManagedCertificate, operator: Browser, tmp_path: Path
) -> None:
    program = tmp_path / "reload"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    admin, path = house.signed_in(Role.ADMINISTRATOR), f"/certificates/{mail.id}/tasks"
    for title in ("one", "two"):
        added = admin.post(f"{path}/add/script", title=title, **{"param.program": str(program)})
        assert added.status == 303
    one, two = current(house, mail).tasks
    assert admin.post(f"{path}/{two.id}/move", place="1").status == 303
    assert [task.title for task in current(house, mail).tasks] == ["two", "one"]
    assert admin.post(f"{path}/{one.id}/enable", enabled="no").status == 303
    assert not current(house, mail).task("one").enabled
    form = admin.get(f"{path}/{one.id}")
    assert f'value="{program}"' in form.text
    changed = admin.post(
        f"{path}/{one.id}", title="one", retries="3", **{"param.program": str(program), "param.timeout": "9"}
    )
    assert changed.status == 303
    task = current(house, mail).task("one")
    assert (task.retries, task.params["timeout"]) == (3, 9)
    assert admin.post(f"{path}/{one.id}", title="one", **{"param.program": str(program)}).status == 303
    task = current(house, mail).task("one")
    assert (task.retries, "timeout" in task.params) == (None, False)
    wrong = admin.post(f"{path}/add/script", title="three", **{"param.program": "/nowhere", "param.timeout": "0"})
    assert wrong.status == 422
    assert 'id="param.program-error">There is no file /nowhere<' in wrong.text
    assert 'id="param.timeout-error"' in wrong.text
    twice = admin.post(f"{path}/add/script", title="two", **{"param.program": str(program)})
    assert (twice.status, "has a task 'two' already" in twice.text.replace("&#39;", "'")) == (422, True)
    assert ("Give another title." in twice.words, 'id="title-error">Is taken<' in twice.text) == (True, True)
    assert admin.post(f"{path}/{two.id}/remove", revision="1").status == 412
    assert admin.post(f"{path}/{two.id}/remove").status == 303
    assert "1. one" in admin.get(f"/certificates/{mail.id}/deployment").words
    for again in (admin.post(f"{path}/{two.id}/remove"), admin.get(f"{path}/{two.id}")):
        assert (again.status, "This task was removed meanwhile." in again.words) == (404, True)
        assert f'<a href="/certificates/{mail.id}/deployment"' in again.text


def test_a_task_is_put_to_any_place_and_stays_in_sight(house: House, mail: ManagedCertificate, tmp_path: Path) -> None:
    program = tmp_path / "reload"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    admin, path = house.signed_in(Role.ADMINISTRATOR), f"/certificates/{mail.id}"

    def add(title: str) -> str:
        admin.post(f"{path}/tasks/add/script", title=title, **{"param.program": str(program)})
        return admin.get(f"{path}/deployment").text

    add("one")
    assert 'type="number"' not in add("two"), "earlier and later lead to each of two"
    assert 'max="3" value="3" required autocomplete="off" aria-label="Place of three"' in add("three")
    three = current(house, mail).task("three")
    moved = admin.post(f"{path}/tasks/{three.id}/move", place="1")
    assert [task.title for task in current(house, mail).tasks] == ["three", "one", "two"]
    switched = admin.post(f"{path}/tasks/{three.id}/enable", enabled="no")
    assert {each.headers["Location"] for each in (moved, switched)} == {f"{path}/deployment#task-{three.id}"}
    assert f'id="task-{three.id}"' in admin.get(f"{path}/deployment").text


def test_removing_a_task_says_first_what_follows_from_it(
    house: House, mail: ManagedCertificate, tmp_path: Path
) -> None:
    program = tmp_path / "reload"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    admin, path = house.signed_in(Role.ADMINISTRATOR), f"/certificates/{mail.id}"
    assert "once the first certificate is issued" in admin.get(f"{path}/tasks/add/script").words
    issued(house, mail)
    assert "within seconds after it is stored" in admin.get(f"{path}/tasks/add/script").words
    for title in ("one", "two"):
        admin.post(f"{path}/tasks/add/script", title=title, **{"param.program": str(program)})
    one, two = current(house, mail).tasks
    ports = tuple(
        ServedRow(
            server=server,
            service="IIS",
            address=address,
            port=443,
            protocol="https",
            before="aaaa",
            now=now,
            verdict=Verdict.OK,
        )
        for server, address, now in (("EX01", "10.0.0.1", "bbbb"), ("EX02", "10.0.0.2", "aaaa"))
    )
    half = DeploymentState(task_id=one.id, managed_id=mail.id, stage=Stage.APPLYING, served=ports)
    with house.engine.store.write() as unit:
        unit.deployments.save(half)
    assert f'href="{path}/tasks/{one.id}/remove"' in admin.get(f"{path}/deployment").text
    question = admin.get(f"{path}/tasks/{one.id}/remove")
    assert "A deployment of it was broken off, and nobody goes on with it now." in question.words
    assert "EX01 IIS 10.0.0.1:443 serves bbbb, and served aaaa before." in question.words
    assert ("EX02 IIS" in question.words, "deployed nowhere" in question.words) == (False, False)
    assert len(current(house, mail).tasks) == 2
    (seen,) = set(re.findall(r'name="revision" value="(\d+)"', question.text))
    assert admin.post(f"{path}/tasks/{one.id}/remove", revision=seen).status == 303
    last = admin.get(f"{path}/tasks/{two.id}/remove").words
    assert "it is renewed from now on, and deployed nowhere" in last
    stale = admin.post(f"{path}/tasks/{two.id}/remove", revision=seen)
    assert (stale.status, "Remove the task two?" in stale.words) == (412, True)
    assert "Run it now" in admin.get(f"{path}/deployment").words
    assert "deployed nowhere" not in admin.get(path).words
    admin.post(f"{path}/tasks/{two.id}/enable", enabled="no")
    assert "Run it now" not in admin.get(f"{path}/deployment").words
    assert "not before it is enabled" in admin.get("/tasks").words
    assert "No task that is enabled puts it to use: what is renewed is deployed nowhere." in admin.get(path).words
    assert admin.post(f"{path}/tasks/{two.id}/remove").status == 303
    assert "No task puts it to use: what is renewed is deployed nowhere." in admin.get(path).words


def test_a_preview_says_what_would_happen(house: House, mail: ManagedCertificate, operator: Browser) -> None:
    hold(house.engine, mail.id, "Not yet", None)
    path, seen = landed(operator, operator.post(f"/certificates/{mail.id}/preview"))
    assert path.startswith(f"/certificates/{mail.id}/previews/")
    assert "mail.contoso.com proved by http-01 by http_listener" in seen.words
    assert "Key ec-p256, generated" in seen.words or "Key rsa-2048, generated" in seen.words
    assert "as long as the authority says" in seen.words
    assert "by itself, after 67 percent of its life" in seen.words
    assert "It is put to use nowhere yet." in seen.words
    issued(house, mail)
    _, later = landed(operator, operator.post(f"/certificates/{mail.id}/preview"))
    assert "Valid for about 90 days" in later.words
    assert "Renewed by itself, when it is about 60 days old" in later.words
    job = path.rpartition("/")[2]
    for other in (f"/certificates/{mail.id}/tests/{job}", f"/exchange/looks/{job}", f"/exchange/diagnoses/{job}"):
        assert operator.get(other).status == 404, other


def test_a_preview_tells_how_long_it_is_valid_and_where_it_goes(
    house: House, mail: ManagedCertificate, operator: Browser
) -> None:
    given = {"servers": ["ex01.contoso.test", "ex02.contoso.test"], "services": "IIS,SMTP"}
    add_task(house.engine, mail.id, TaskSettings(kind="exchange", title="mail", params=given))
    at_letsencrypt = {"directory": "https://acme-v02.api.letsencrypt.org/directory"}
    with house.engine.store.write() as unit:
        unit.issuers.update(unit.issuers.get("le").model_copy(update={"params": at_letsencrypt}))
    _, seen = landed(operator, operator.post(f"/certificates/{mail.id}/preview"))
    assert "Valid for about 90 days" in seen.words
    assert "Renewed by itself, when it is about 60 days old" in seen.words
    assert "Servers ex01.contoso.test, ex02.contoso.test" in seen.words
    assert "exchange, when it is issued, at any time" in seen.words
    issued(house, mail)
    assert operator.post(f"/certificates/{mail.id}/policy", days_before="40").status == 303
    _, seen = landed(operator, operator.post(f"/certificates/{mail.id}/preview"))
    assert "when it is about 50 days old" in seen.words


@pytest.mark.parametrize("tab", ["issuer", "policy", "window"])
def test_what_was_typed_is_kept_where_somebody_was_faster(
    house: House, mail: ManagedCertificate, operator: Browser, tab: str
) -> None:
    sent = {"revision": "9", "days_before": "17", "chain": "Root X9", "issuer": "le", "key": "rsa-4096"}
    late = operator.post(f"/certificates/{mail.id}/{tab}", **sent)
    assert late.status == 412
    kept = {"issuer": ['value="Root X9"', '<option value="rsa-4096" selected>rsa-4096<'], "policy": ['value="17"']}.get(
        tab, []
    )
    assert [each for each in kept if each not in late.text] == []


def test_what_was_typed_is_kept_while_a_run_works_on_the_certificate(
    house: House, mail: ManagedCertificate, operator: Browser
) -> None:
    path, sent = f"/certificates/{mail.id}", {"names": "www.contoso.com", "title": "The web", "revision": "1"}
    set_tags(house.engine, mail.id, ["web"])
    with house.engine.certificate_lease(mail):
        busy = operator.post(f"{path}/names", **sent)
    assert (busy.status, "is being worked on" in busy.words) == (409, True)
    assert set(re.findall(r'name="revision" value="(\d+)"', busy.text)) == {"1"}, "what was changed is not passed over"
    assert ("www.contoso.com</textarea>" in busy.text, 'value="The web"' in busy.text) == (True, True)
    assert operator.post(f"{path}/names", **sent | {"revision": "2"}).status == 303


def test_what_was_typed_is_kept_where_something_of_it_is_not_there(
    house: House, mail: ManagedCertificate, operator: Browser
) -> None:
    path = f"/certificates/{mail.id}/issuer"
    wrong = operator.post(path, issuer="le", fallbacks="nobody", key="rsa-3072", chain="Old Root")
    assert (wrong.status, "nobody" in wrong.words.split("Change them")[0]) == (404, True)
    assert ("nobody</textarea>" in wrong.text, 'value="Old Root"' in wrong.text) == (True, True)
    gone = operator.post("/issuers/remove?name=nobody")
    assert (gone.status, "To the overview" in gone.words) == (404, True)


def test_numbers_beyond_reckoning_are_no_numbers(house: House, mail: ManagedCertificate) -> None:
    admin = house.signed_in(Role.ADMINISTRATOR)
    for path in (f"/certificates/{mail.id}/window", f"/certificates/{mail.id}/tasks/0123456789ab/move"):
        assert admin.post(path, revision="9" * 5000, place="9" * 5000).status < 500, path
    for after in ("0001-01-01T00:00:00+14:00 a", "9999-12-31T23:59:59-14:00 a"):
        assert admin.get(f"/certificates?{urlencode({'expiry': '7', 'after': after})}").status == 200, after


def test_a_plan_that_nobody_has_seen_is_not_carried_out(house: House, mail: ManagedCertificate, tmp_path: Path) -> None:
    issued(house, mail)
    program = tmp_path / "reload"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    admin, path = house.signed_in(Role.ADMINISTRATOR), f"/certificates/{mail.id}/tasks"
    assert admin.post(f"{path}/add/script", title="one", **{"param.program": str(program)}).status == 303
    task = current(house, mail).task("one")
    program.chmod(0o644)
    _, seen = landed(admin, admin.post(f"{path}/{task.id}/plan"))
    assert "is no program that may be run" in seen.words


def test_revoking_says_what_it_breaks_and_is_not_the_usual_answer(
    house: House, mail: ManagedCertificate, operator: Browser
) -> None:
    issued(house, mail)
    path = f"/certificates/{mail.id}/revoke"
    asked = operator.get(path)
    assert "frees no rate limit" in asked.words
    assert asked.text.index("Do not revoke it") < asked.text.index(">Revoke it<")
    assert operator.post(path, sure="no", reason="key-compromise").headers["Location"].endswith("/history")
    assert operator.post(path, reason="key-compromise").headers["Location"].endswith("/history")
    why = operator.post(path, sure="revoke", reason="")
    assert (why.status, "Say why it is revoked." in why.words) == (422, True)
    with house.engine.store.read() as unit:
        assert unit.versions.list(mail.id)[0].revoked_at is None


def test_before_it_is_revoked_those_alone_are_named_that_have_it_in_use(
    house: House, mail: ManagedCertificate, operator: Browser
) -> None:
    path = f"/certificates/{mail.id}/revoke"
    task = add_task(house.engine, mail.id, TaskSettings(kind="exchange", title="EX", params={"servers": ["ex01"]}))
    assert "It is in use by" not in operator.get(path).words
    issued(house, mail)
    with house.engine.store.read() as unit:
        version = unit.versions.list(mail.id)[0]
    for in_use, is_told in ((None, False), (version.id, True)):
        state = DeploymentState(task_id=task.id, managed_id=mail.id, stage=Stage.ROLLED_BACK, in_use=in_use)
        with house.engine.store.write() as unit:
            unit.deployments.save(state)
        assert ("It is in use by EX." in operator.get(path).words) == is_told


def test_a_window_is_chosen_by_its_name_as_it_is_written(
    house: House, mail: ManagedCertificate, operator: Browser
) -> None:
    put_window(house.engine, MaintenanceWindow(name="Sat  night", zone="UTC", spans=(Span.parse("Sat 22:00-04:00"),)))
    path = f"/certificates/{mail.id}"
    assert '<option value="Sat  night" >' in operator.get(f"{path}/renewal").text
    assert operator.post(f"{path}/window", window="Sat  night").status == 303
    assert '<option value="Sat  night" selected>' in operator.get(f"{path}/renewal").text


def test_the_log_goes_back_to_the_first_run(house: House, mail: ManagedCertificate, operator: Browser) -> None:
    made = [Run(managed_id=mail.id, kind=RunKind.REQUEST, started_at=house.clock()) for _ in range(52)]
    with house.engine.store.write() as unit:
        for each in made:
            unit.runs.start(each)
    shown, following = [], f"/certificates/{mail.id}/log"
    while following:
        seen = operator.get(following)
        shown.append(re.findall(r'href="/runs/(\w+)"', seen.text))
        found = re.search(r'href="([^"]+)">Next page', seen.text)
        following = found[1] if found else ""
    assert [len(each) for each in shown] == [50, 2]
    assert [run for page in shown for run in page] == [each.id for each in reversed(made)]


def test_one_is_managed_no_more_only_if_somebody_says_so(
    house: House, mail: ManagedCertificate, operator: Browser
) -> None:
    path = f"/certificates/{mail.id}/remove"
    assert "private keys are deleted" in operator.get(path).words
    assert operator.post(path, sure="no").status == 303
    assert current(house, mail) == mail
    task = TaskSettings(kind="script", title="one", params={"program": "/bin/true"})
    with house.engine.store.write() as unit:
        unit.managed.update(mail.model_copy(update={"tasks": (task,)}))
        unit.deployments.save(DeploymentState(task_id=task.id, managed_id=mail.id, stage=Stage.APPLYING))
    came, refused = landed(operator, operator.post(path, sure="remove"))
    assert (came.startswith(f"{path}?again="), refused.status, "is in use" in refused.words) == (True, 422, True)
    with house.engine.store.write() as unit:
        unit.managed.update(mail)
    assert landed(operator, operator.post(path, sure="remove"))[0] == "/certificates"
    assert operator.get(f"/certificates/{mail.id}").status == 404


def test_a_renewal_that_fails_by_the_authority_invites_nobody_to_fiddle(
    house: House, mail: ManagedCertificate, operator: Browser
) -> None:
    now = house.clock()
    failure = Failure(
        cause=Cause.UNREACHABLE,
        count=2,
        since=now,
        at=now,
        retry_at=now + timedelta(hours=1),
        message="Away.",
        revision=1,
    )
    with house.engine.store.write() as unit:
        state = unit.renewals.get(mail.id)
        unit.renewals.save(mail.id, state.model_copy(update={"failure": failure}))
    seen = operator.get(f"/certificates/{mail.id}/renewal")
    assert "There is nothing to change: it is tried again by itself; next attempt 2026-11-29 13:00 UTC." in seen.words
