"""What every kind of task keeps: those that put a version to use and actions, each against its peer in `peers`."""

import inspect
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from certwright.domain.deployment import ServedRow, failures
from certwright.domain.errors import CertwrightError, ConfigurationError, LeaseLost
from certwright.domain.managed import TaskSettings
from certwright.domain.tasks import Role, Trigger
from certwright.engine import catalog
from certwright.engine.task_list import check_kind
from certwright.sdk.params import Params, read_params
from certwright.sdk.task import Action, Task
from peers.task_peer import SECRET, TaskPeer, served

TASKS = sorted(catalog.names("tasks"))
ACTIONS = [name for name in TASKS if issubclass(catalog.plugin("tasks", name).cls, Action)]
DEPLOYMENTS = [name for name in TASKS if name not in ACTIONS]
HEAVY = ("pypsrp", "psrpcore", "requests", "fastapi", "starlette", "sqlalchemy", "asyncssh", "smbprotocol")


def test_there_are_tasks() -> None:
    assert "exchange" in TASKS


@pytest.mark.parametrize("name", TASKS)
def test_a_task_is_documented_and_complete(name: str) -> None:
    plugin = catalog.plugin("tasks", name)
    assert len(plugin.page.splitlines()) > 1
    assert issubclass(plugin.cls, Task)
    assert not inspect.isabstract(plugin.cls)
    assert issubclass(plugin.params, Params)


@pytest.mark.parametrize("name", TASKS)
def test_every_parameter_is_described_for_forms_flags_and_documentation(name: str) -> None:
    params = catalog.plugin("tasks", name).params
    assert all(field.description for field in params.model_fields.values())
    schema = params.model_json_schema()
    assert json.loads(json.dumps(schema)) == schema


@pytest.mark.parametrize("name", TASKS)
def test_an_unknown_parameter_is_named_but_its_value_is_not_shown(name: str) -> None:
    params = catalog.plugin("tasks", name).params
    with pytest.raises(ConfigurationError) as caught:
        read_params(params, {"no_such_parameter": "canary"}, "the task")
    told = "\n".join(caught.value.explain())
    assert "no_such_parameter" in told
    assert "canary" not in told


@pytest.mark.parametrize("name", TASKS)
def test_its_parameters_import_without_heavy_libraries(name: str) -> None:
    module = catalog.names("tasks")[name]
    code = f"import sys, {module}; print([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"


def test_every_kind_has_a_peer() -> None:
    assert sorted(served()) == TASKS


# --- against the peer -----------------------------------------------------------------------------


@pytest.fixture
def peer(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[TaskPeer]:
    with served()[request.param](tmp_path) as started:
        yield started


every = pytest.mark.parametrize("peer", TASKS, indirect=True)
actions = pytest.mark.parametrize("peer", ACTIONS, indirect=True)
deployments = pytest.mark.parametrize("peer", DEPLOYMENTS, indirect=True)


def _done(task: Task[Any]) -> tuple[ServedRow, ...]:
    """As the engine does it when all goes well; the ports afterwards."""
    before = task.baseline()
    plan = task.plan()
    assert not plan.refusals
    task.apply(plan)
    rows = task.verify(before)
    assert not failures(rows)
    return rows


@every
def test_a_plan_changes_nothing_and_is_the_same_the_next_time(peer: TaskPeer) -> None:
    version, state = peer.authority.issue(), peer.state()
    first, second = peer.task(version).plan(), peer.task(version).plan()
    assert first.changes
    assert first.digest == second.digest
    assert all(change.target and change.action and change.why for change in first.changes)
    assert peer.state() == state


@every
def test_what_a_plan_says_is_done_and_the_ports_are_not_worse(peer: TaskPeer) -> None:
    state = peer.state()
    _done(peer.task(peer.authority.issue()))
    assert peer.state() != state


@every
def test_an_overtaken_run_changes_nothing(peer: TaskPeer) -> None:
    def overtaken() -> None:
        raise LeaseLost("Another run has taken over.")

    version, state = peer.authority.issue(), peer.state()
    task = peer.task(version, guard=overtaken)
    task.baseline()
    plan = task.plan()
    with pytest.raises(LeaseLost):
        task.apply(plan)
    assert peer.state() == state


@every
def test_a_failure_is_told_in_a_sentence_and_the_next_run_succeeds(peer: TaskPeer) -> None:
    version = peer.authority.issue()
    peer.break_()
    failed = peer.task(version)
    before = failed.baseline()
    with pytest.raises(CertwrightError) as raised:
        failed.apply(failed.plan())
    assert raised.value.message.endswith((".", "!"))
    peer.mend()
    failed.undo()
    assert not failures(failed.verify_undone(before))
    _done(peer.task(version))


@every
def test_no_secret_is_in_a_plan_a_journal_a_memory_or_an_error(peer: TaskPeer) -> None:
    version = peer.authority.issue()
    peer.break_()
    failed = peer.task(version)
    failed.baseline()
    plan = failed.plan()
    with pytest.raises(CertwrightError) as raised:
        failed.apply(plan)
    peer.mend()
    failed.undo()
    _done(peer.task(version))
    told = "\n".join([*raised.value.explain(), plan.model_dump_json(), peer.journal.text, repr(peer.memory.values)])
    assert SECRET not in told
    assert "PRIVATE KEY" not in told


@every
def test_it_runs_once_more_after_a_run_that_was_killed(peer: TaskPeer) -> None:
    version = peer.authority.issue()
    killed = peer.task(version)
    killed.baseline()
    killed.apply(killed.plan())
    again = peer.task(version)
    before = again.baseline()
    again.apply(again.plan())
    assert not failures(again.verify(before))


@deployments
def test_once_deployed_nothing_is_left_to_do_and_a_later_look_sees_it(peer: TaskPeer) -> None:
    version = peer.authority.issue()
    assert _done(peer.task(version))
    assert not peer.task(version).plan().changes
    looked = peer.task(version).inspect()
    assert looked.rows
    assert not failures(looked.rows)


@deployments
def test_a_later_run_takes_back_what_an_earlier_one_did_and_may_do_so_twice(peer: TaskPeer) -> None:
    first, second = peer.authority.issue(), peer.authority.issue()
    _done(peer.task(first))
    task = peer.task(second, first)
    before = task.baseline()
    task.apply(task.plan())
    deployed, states = peer.state(), []
    for _ in range(2):
        later = peer.task(second, first)
        later.undo()
        assert not failures(later.verify_undone(before))
        states.append(peer.state())
    assert states[0] == states[1] != deployed


@actions
def test_an_action_claims_no_more_than_that_it_ran(peer: TaskPeer) -> None:
    task = peer.task(peer.authority.issue())
    assert _done(task) == task.baseline() == ()
    assert task.inspect().rows == ()


@actions
def test_an_action_needs_no_certificate(peer: TaskPeer) -> None:
    state = peer.state()
    _done(peer.task(None))
    assert peer.state() != state


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.parametrize("trigger", Trigger)
@pytest.mark.parametrize("role", Role)
def test_a_kind_that_needs_a_version_has_its_turn_only_when_there_is_one(
    name: str, trigger: Trigger, role: Role
) -> None:
    settings = TaskSettings(kind=name, title="x", params={}, trigger=trigger, role=role)
    needs = name in DEPLOYMENTS and (role is Role.PRE_REQUEST or trigger not in (Trigger.ON_SUCCESS, Trigger.MANUAL))
    if needs:
        with pytest.raises(ConfigurationError, match="puts a new version to use"):
            check_kind(settings)
    else:
        check_kind(settings)
