"""Several servers: the canary alone, then waves; what fails on one, and what then happens to the others."""

import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from certwright.exchange_simulator import Drop, Fail, Gone, HttpStatus
from certwright.sdk.context import Material
from peers.exchange_task import World, deploy, run, spec, world

pytestmark = pytest.mark.e2e

IMPORT, ENABLE = "Import-ExchangeCertificate", "Enable-ExchangeCertificate"
DENIED = "Access is denied."
LESS: dict[str, Any] = {"services": "IIS,SMTP", "winrm": None}


def less(made: World, **changed: Any) -> dict[str, Any]:
    """Fewer ports, so that less is looked at."""
    looked_at = [word for word in made.params()["verify"] if "/IIS:" in word or "/SMTP:" in word]
    return {**LESS, "verify": looked_at, **changed}


@pytest.fixture
def three(tmp_path: Path) -> Iterator[tuple[World, Material]]:
    """Three servers that serve an earlier version."""
    with world(tmp_path, spec("MAIL01"), spec("MAIL02"), spec("MAIL03")) as made:
        earlier = made.authority.issue()
        deploy(made.task(earlier, **less(made)))
        made.organisation.mutations.clear()
        made.journal.lines.clear()
        yield made, earlier


def https(made: World) -> dict[str, str | None]:
    return {name: made.served(server)[443] for name, server in made.organisation.servers.items()}


def targets(made: World, cmdlet: str) -> list[str]:
    return [call.server.upper()[:6] for call in made.organisation.mutations if call.cmdlet == cmdlet]


def test_the_canary_is_done_and_verified_before_any_other_server_changes(three: tuple[World, Material]) -> None:
    made, earlier = three
    version = made.authority.issue()
    ended = run(made.task(version, [earlier], **less(made, canary="mail02.contoso.test", wave_width=1)))
    assert ended.stage == "deployed", ended.told
    assert set(https(made).values()) == {version.facts.sha256[:16]}
    assert set(targets(made, IMPORT)) == {"MAIL01", "MAIL02", "MAIL03"}
    order = list(dict.fromkeys(targets(made, ENABLE)))
    assert order == ["MAIL02", "MAIL01", "MAIL03"]
    waves = [line for line in made.journal.lines if line.startswith("Wave ")]
    assert [line.partition(":")[0] for line in waves] == ["Wave 1", "Wave 2", "Wave 3"]


def test_servers_behind_one_balancer_change_together(three: tuple[World, Material]) -> None:
    made, earlier = three
    pools = "mail01.contoso.test, mail02.contoso.test+mail03.contoso.test"
    plan = made.task(made.authority.issue(), [earlier], **less(made, pools=pools)).plan()
    waves: dict[int, set[str]] = {}
    for change in plan.changes:
        waves.setdefault(change.wave, set()).add(change.target)
    assert waves[1] == {"mail01.contoso.test"}
    assert waves[2] == {"mail02.contoso.test", "mail03.contoso.test"}
    (mixed,) = [finding for finding in plan.findings if finding.check == "mixed-certificates"]
    assert mixed.subject == "mail02.contoso.test, mail03.contoso.test"
    assert "sign in again" in mixed.message


def test_a_canary_that_does_not_serve_it_goes_back_and_no_other_server_is_touched(
    three: tuple[World, Material],
) -> None:
    made, earlier = three
    version = made.authority.issue()
    made.first.faults.inject(Fail(DENIED), ENABLE)
    ended = run(made.task(version, [earlier], **less(made, rollback="server")))
    assert ended.stage == "rolled-back", ended.told
    assert set(https(made).values()) == {earlier.facts.sha256[:16]}
    assert ENABLE not in made.mutations


@pytest.mark.parametrize("effect", [Drop(), Drop(committed=True), HttpStatus(503)])
def test_a_passing_fault_on_a_later_server_ends_all_new(three: tuple[World, Material], effect: Any) -> None:
    made, earlier = three
    version = made.authority.issue()
    made.organisation["MAIL03"].faults.inject(effect, ENABLE)
    ended = run(made.task(version, [earlier], **less(made)))
    assert ended.stage == "deployed", ended.told
    assert set(https(made).values()) == {version.facts.sha256[:16]}


def test_a_lasting_fault_on_a_later_server_takes_all_back(three: tuple[World, Material]) -> None:
    made, earlier = three
    version = made.authority.issue()
    made.organisation["MAIL03"].faults.inject(Fail(DENIED), ENABLE)
    ended = run(made.task(version, [earlier], **less(made)))
    assert ended.stage == "rolled-back", ended.told
    assert DENIED in ended.told
    assert set(https(made).values()) == {earlier.facts.sha256[:16]}
    assert all(row.valid for row in ended.rows)


def test_or_that_server_alone_as_the_policy_says(three: tuple[World, Material]) -> None:
    made, earlier = three
    version = made.authority.issue()
    made.organisation["MAIL03"].faults.inject(Fail(DENIED), ENABLE, nth=1, times=1)
    ended = run(made.task(version, [earlier], **less(made, rollback="server")))
    assert ended.stage == "waiting", ended.told
    assert "mail03.contoso.test: failed, and was taken back alone" in ended.told
    assert https(made) == {
        "MAIL01": version.facts.sha256[:16],
        "MAIL02": version.facts.sha256[:16],
        "MAIL03": earlier.facts.sha256[:16],
    }
    again = run(made.task(version, [earlier], **less(made, rollback="server")))
    assert again.stage == "deployed", again.told
    assert set(https(made).values()) == {version.facts.sha256[:16]}
    assert not made.memory.values["exchange"]


@pytest.mark.parametrize(("policy", "stage"), [("all", "undoing"), ("server", "waiting")])
def test_a_server_that_dies_is_told_with_commands_and_goes_on_when_it_is_back(
    three: tuple[World, Material], policy: str, stage: str
) -> None:
    made, earlier = three
    version = made.authority.issue()
    made.organisation["MAIL03"].faults.inject(Gone(), ENABLE)
    task = made.task(version, [earlier], **less(made, rollback=policy))
    before = task.baseline()
    ended = run(task, before)
    assert ended.stage == stage, ended.told
    assert f"-Server 'mail03.contoso.test' -Thumbprint '{earlier.facts.thumbprint}'" in ended.told
    others = earlier if policy == "all" else version
    assert https(made)["MAIL02"] == others.facts.sha256[:16]
    made.organisation["MAIL03"].faults.heal()
    if policy == "server":
        assert run(made.task(version, [earlier], **less(made, rollback=policy))).stage == "deployed"
        assert set(https(made).values()) == {version.facts.sha256[:16]}


def test_a_server_in_maintenance_is_left_alone_and_done_by_a_later_run(three: tuple[World, Material]) -> None:
    made, earlier = three
    version = made.authority.issue()
    state = made.organisation["MAIL02"].state
    active = dict(state.components)
    state.enter_maintenance()
    ended = run(made.task(version, [earlier], **less(made)))
    assert ended.stage == "waiting", ended.told
    assert "mail02.contoso.test: left alone, because" in ended.told
    assert "MAIL02" not in {call.server for call in made.organisation.mutations}
    assert https(made) == {
        "MAIL01": version.facts.sha256[:16],
        "MAIL02": earlier.facts.sha256[:16],
        "MAIL03": version.facts.sha256[:16],
    }
    state.components, state.move_active_copies, state.paused = active, False, False
    again = run(made.task(version, [earlier], **less(made)))
    assert again.stage == "deployed", again.told
    assert set(https(made).values()) == {version.facts.sha256[:16]}


def test_only_the_servers_that_were_chosen_change(three: tuple[World, Material]) -> None:
    made, earlier = three
    version = made.authority.issue()
    ended = run(made.task(version, [earlier], **less(made, only="mail03.contoso.test")))
    assert {call.server for call in made.organisation.mutations} == {"MAIL03"}
    assert https(made)["MAIL03"] == version.facts.sha256[:16]
    assert ended.stage == "waiting", ended.told
    assert ended.told.startswith("All is done but for mail01.contoso.test, mail02.contoso.test.")
    rest = run(made.task(version, [earlier], **less(made, only="mail01.contoso.test")))
    assert rest.told.startswith("All is done but for mail02.contoso.test.")
    last = run(made.task(version, [earlier], **less(made, only="mail02.contoso.test")))
    assert last.stage == "deployed", last.told
    assert set(https(made).values()) == {version.facts.sha256[:16]}


class Restarts:
    """How many web sites restart at once at most; each restart waits a little whether another one begins meanwhile."""

    def __init__(self, made: World) -> None:
        self.order: list[str] = []
        self.most = self._now = 0
        self._changed = threading.Condition()
        for name, server in made.organisation.servers.items():
            server.state.on_web_restarted = partial(self._restart, name)

    def _restart(self, name: str) -> None:
        with self._changed:
            self.order.append(name)
            self._now += 1
            self.most = max(self.most, self._now)
            self._changed.notify_all()
            self._changed.wait_for(lambda: self.most > 1, timeout=0.5)
            self._now -= 1


def test_iis_is_restarted_on_one_server_after_the_other(tmp_path: Path) -> None:
    with world(tmp_path, spec("MAIL01"), spec("MAIL02"), spec("MAIL03")) as made:
        restarts = Restarts(made)
        version = made.authority.issue()
        given = {**less(made), "winrm": made.params()["winrm"], "restart_web_site": True}
        ended = run(made.task(version, **given))
        assert ended.stage == "deployed", ended.told
        assert sorted(targets(made, "Restart-Service")) == ["MAIL01", "MAIL02", "MAIL03"]
        assert sorted(restarts.order) == ["MAIL01", "MAIL02", "MAIL03"]
        assert restarts.most == 1


class TestTransport:
    """SMTP follows by itself after a while, or when its services are restarted; never before it had its time."""

    def test_it_is_restarted_only_where_it_goes_on_serving_another_certificate(self, tmp_path: Path) -> None:
        with world(tmp_path, spec("MAIL01", smtp_delay=600), spec("MAIL02")) as made:
            version = made.authority.issue()
            given = {**less(made), "winrm": made.params()["winrm"]}
            ended = run(made.task(version, **given))
            assert ended.stage == "deployed", ended.told
            assert targets(made, "Restart-Service") == ["MAIL01"]
            assert made.served(made.organisation["MAIL01"])[25] == version.facts.sha256[:16]

    @pytest.mark.parametrize("given", [{}, {"restart_transport": False}])
    def test_where_that_is_not_possible_a_person_is_asked(self, tmp_path: Path, given: dict[str, Any]) -> None:
        with world(tmp_path, spec("MAIL01", smtp_delay=600)) as made:
            hosts = {"winrm": made.params()["winrm"]} if given else {}
            ended = run(made.task(made.authority.issue(), **{**less(made), **hosts, **given}))
            assert ended.stage == "waiting", ended.told
            assert "Restart-Service MSExchangeFrontEndTransport, MSExchangeTransport" in ended.told
            assert "Restart-Service" not in made.mutations
