"""The tasks of all certificates on one page, fields that count only with others, and a task tried out before it is."""

import re
from pathlib import Path

import pytest

from certwright.domain.access import Role
from certwright.domain.managed import ManagedCertificate, TaskSettings
from certwright.domain.runs import DeploymentState, Stage
from certwright.engine.managed import set_tags
from certwright.engine.task_list import add_task, enable_task
from world.web import House, landed


@pytest.fixture
def program(tmp_path: Path) -> Path:
    made = tmp_path / "reload"
    made.write_text("#!/bin/sh\ntouch $0.ran\n")
    made.chmod(0o755)
    return made


def add(house: House, managed: ManagedCertificate, title: str, program: Path) -> TaskSettings:
    return add_task(
        house.engine, managed.id, TaskSettings(kind="script", title=title, params={"program": str(program)})
    )


def kept(house: House, managed: ManagedCertificate) -> tuple[TaskSettings, ...]:
    with house.engine.store.read() as unit:
        return unit.managed.get(managed.id).tasks


def listed(text: str) -> list[str]:
    return re.findall(r"<td class=\"titled\">\d+\. ([^<]+)", text)


def test_all_tasks_are_on_one_page_with_how_they_went_and_when_they_run_next(house: House, program: Path) -> None:
    browser = house.signed_in(Role.OPERATOR)
    assert "There is no task yet" in browser.get("/tasks").words
    house.managed("without")
    mail, web = house.managed("mail"), house.managed("web")
    tasks = [add(house, managed, title, program) for managed, title in ((mail, "b"), (mail, "a"), (web, "c"))]
    enable_task(house.engine, web.id, "c", enabled=False)
    failed = DeploymentState(task_id=tasks[1].id, managed_id=mail.id, stage=Stage.FAILED, message="It did not answer.")
    with house.engine.store.write() as unit:
        unit.deployments.save(failed)
    seen = browser.get("/tasks")
    assert listed(seen.text) == ["b", "a", "c"]
    assert ">Tasks</a>" in seen.text
    assert "It did not answer." in seen.words
    assert "not before it is enabled" in seen.words
    assert f'href="/certificates/{mail.id}/tasks/{tasks[0].id}"' in seen.text
    assert listed(browser.get("/tasks?stage=failed").text) == ["a"]
    assert listed(browser.get("/tasks?name=WEB").text) == ["c"]
    assert "No task is so." in browser.get("/tasks?name=elsewhere&stage=nonsense").words
    assert "/tasks/" not in house.signed_in(Role.VIEWER).get("/tasks").text
    assert listed(house.signed_in(Role.VIEWER, "berlin").get("/tasks").text) == []


def test_many_tasks_come_page_by_page(house: House, program: Path) -> None:
    for number in range(53):
        add(house, house.managed(f"host{number:02}"), f"t{number:02}", program)
    browser = house.signed_in()
    first = browser.get("/tasks?name=host")
    following = re.search(r'href="(/tasks\?[^"]+after=[^"]+)"', first.text)
    assert following
    second = browser.get(following[1].replace("&amp;", "&"))
    assert [*listed(first.text), *listed(second.text)] == [f"t{number:02}" for number in range(53)]
    assert "after=" not in second.text


def test_a_task_is_tried_out_beside_its_form_and_nothing_of_it_is_done(house: House, program: Path) -> None:
    mail, browser = house.managed("mail"), house.signed_in()
    form = f"/certificates/{mail.id}/tasks/add/script"
    wanted = {"title": "reload", "param.program": str(program), "param.arguments": "--now"}
    assert f"lies below {program.parent}: the setting script_folders" in browser.get(form).words
    path, seen = landed(browser, browser.post(f"{form}/test", **wanted))
    assert path.startswith(f"{form}?again=")
    assert "It may be run." in seen.words
    assert 'value="--now"' in seen.text
    assert not program.with_name("reload.ran").exists()
    assert not kept(house, mail)
    elsewhere = program.parent.parent / "elsewhere"
    elsewhere.write_text("#!/bin/sh\n")
    _, wrong = landed(browser, browser.post(f"{form}/test", **wanted | {"param.program": str(elsewhere)}))
    assert "in none of the script folders" in wrong.words
    assert 'value="--now"' in wrong.text
    _, unread = landed(browser, browser.post(f"{form}/test", **wanted | {"param.program": "/nowhere"}))
    assert 'id="param.program-error">There is no file /nowhere<' in unread.text
    again = browser.post(path, **wanted | {"param.timeout": "0", "param.arguments": "--later"})
    assert (again.status, 'value="--later"' in again.text) == (422, True)
    assert 'id="param.timeout-error"' in again.text
    task = add(house, mail, "kept", program)
    path, seen = landed(browser, browser.post(f"/certificates/{mail.id}/tasks/{task.id}/test", **wanted))
    assert "It may be run." in seen.words
    assert kept(house, mail) == (task,)
    assert house.signed_in(Role.OPERATOR).post(f"{form}/test", **wanted).status == 303
    assert house.signed_in(Role.VIEWER).post(f"{form}/test", **wanted).status == 403


def test_the_form_of_what_deployed_says_that_a_change_deploys_again(house: House, program: Path) -> None:
    mail = house.managed("mail")
    task, browser = add(house, mail, "reload", program), house.signed_in(Role.ADMINISTRATOR)
    path = f"/certificates/{mail.id}/tasks/{task.id}"
    assert "it deploys again" not in browser.get(path).words
    with house.engine.store.write() as unit:
        unit.deployments.save(DeploymentState(task_id=task.id, managed_id=mail.id, stage=Stage.DEPLOYED))
    assert "it deploys again within seconds after it is stored" in browser.get(path).words
    enable_task(house.engine, mail.id, "reload", enabled=False)
    assert "it deploys again" not in browser.get(path).words


def test_a_task_that_was_tried_out_is_not_stored_over_what_somebody_else_changed(house: House, program: Path) -> None:
    mail, browser = house.managed("mail"), house.signed_in()
    task = add(house, mail, "reload", program)
    form = f"/certificates/{mail.id}/tasks/{task.id}"
    for name in (str(program), "/nowhere"):
        (seen,) = re.findall(r'name="revision" value="(\d+)"', browser.get(form).text)
        wanted = {"title": "mine", "param.program": name, "revision": seen}
        set_tags(house.engine, mail.id, [f"tag{seen}"])
        path, tried = landed(browser, browser.post(f"{form}/test", **wanted))
        assert f'name="revision" value="{seen}"' in tried.text
        late = browser.post(path, **wanted | {"param.program": str(program)})
        assert (late.status, kept(house, mail)) == (412, (task,))
        assert f'name="revision" value="{int(seen) + 1}"' in late.text


def test_a_field_that_counts_only_with_another_says_so_and_is_refused_without(house: House, program: Path) -> None:
    mail, browser = house.managed("mail"), house.signed_in()
    task = add(house, mail, "first", program)
    path = f"/certificates/{mail.id}/tasks/add/exchange"
    text = browser.get(path).text
    assert 'data-with="param.auth" data-values="kerberos negotiate ntlm basic"' in text
    assert 'data-with="trigger" data-values="on-task-failure"' in text
    answer = browser.post(path, **{"param.servers": "ex01", "param.winrm_configuration": "Jea"})
    assert answer.status == 422
    assert 'id="param.winrm_configuration-error">Counts only with winrm' in answer.text
    alarm = {"title": "alarm", "trigger": "on-task-failure", "watched": "first", "param.program": str(program)}
    assert browser.post(f"/certificates/{mail.id}/tasks/add/script", **alarm).status == 303
    _, added = kept(house, mail)
    assert added.watched == task.id
    assert '<option value="first" selected' in browser.get(f"/certificates/{mail.id}/tasks/{added.id}").text


def test_an_operator_changes_a_deployment_but_not_where_the_key_goes(house: House) -> None:
    mail, operator = house.managed("mail"), house.signed_in(Role.OPERATOR)
    form = f"/certificates/{mail.id}/tasks/add/exchange"
    seen = operator.get(form)
    assert "described by somebody who may take private keys out" in seen.words
    assert ("Store the task" in seen.words, "All else is yours" in seen.words) == (False, False)
    refused = operator.post(form, **{"param.servers": "mallory.test"})
    assert (refused.status, "would be sent to http://mallory.test/PowerShell/" in refused.words) == (403, True)
    assert "mallory.test</textarea>" in refused.text
    assert kept(house, mail) == ()
    task = add_task(house.engine, mail.id, TaskSettings(kind="exchange", title="mail", params={"servers": ["ex01"]}))
    form = f"/certificates/{mail.id}/tasks/{task.id}"
    wanted = {"title": "mail", "revision": "2", "param.servers": "ex01", "param.services": "IIS"}
    assert operator.post(form, **wanted | {"param.servers": "ex01,mallory.test"}).status == 403
    assert operator.post(form, **wanted).status == 303
    for each in (form, f"/certificates/{mail.id}/tasks/add/exchange"):
        seen = operator.get(each)
        assert ("Store the task" in seen.words, "All else is yours" in seen.words) == (True, True)
    assert kept(house, mail)[0].params.items() >= {"servers": ["ex01"], "services": ["IIS"]}.items()
    assert "described by somebody" not in house.signed_in(Role.ADMINISTRATOR).get(form).words


@pytest.mark.parametrize("path", ["tasks/add/script", "validation/webroot"])
def test_what_takes_a_permission_of_its_own_says_so_and_has_no_button_for_others(house: House, path: str) -> None:
    mail, button = house.managed("mail"), "<button>"
    path = f"/certificates/{mail.id}/{path}"
    operators, ours = house.signed_in(Role.OPERATOR).get(path), house.signed_in().get(path)
    told = "needs a permission of its own (commands)"
    assert [(told in each.words, button in each.text) for each in (operators, ours)] == [(True, False), (False, True)]
