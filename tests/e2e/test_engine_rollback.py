"""Whatever goes wrong at Exchange: one consistent, valid certificate afterwards, or a person is told what is where."""

import json
from collections.abc import Iterator

import pytest

from certwright.domain.certificates import CertificateFacts
from certwright.domain.events import EventKind
from certwright.domain.runs import Outcome, Phase, Stage
from certwright.exchange_simulator import Delay, Drop, Effect, Fail, Gone, HalfDone, HttpStatus, KeyLost, WsmanFault
from world.house import House, house, now_served, told

pytestmark = pytest.mark.e2e
IMPORT, ENABLE, RESTART = "Import-ExchangeCertificate", "Enable-ExchangeCertificate", "Restart-Service"
READ = "Get-ExchangeCertificate"
DENIED = "Access is denied."


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with house(tmp_path_factory.mktemp("house")) as made:
        made.next_version()
        made.deployed()
        yield made


@pytest.fixture
def one(shared: House) -> Iterator[House]:
    """A house where a version of ours is in use everywhere, and a newer one waits."""
    shared.next_version()
    yield shared
    shared.exchange.server.faults.heal()
    shared.deployed()
    assert set(shared.exchange.served.values()) == {_versions(shared)[-1].sha256}


def _versions(one: House) -> list[CertificateFacts]:
    return [CertificateFacts.of(each.certificate) for each in one.ca.server.issued]


PASSING: dict[str, tuple[Effect, str, int]] = {
    "import: answer lost": (Drop(committed=True), IMPORT, 1),
    "import: never answered": (Delay(30), IMPORT, 1),
    "web site: shell lost": (WsmanFault(), ENABLE, 1),
    "mail: connection lost": (Drop(), ENABLE, 2),
    "mail: answer lost": (Drop(committed=True), ENABLE, 2),
    "mail: proxy error": (HttpStatus(502), ENABLE, 2),
    "mail: server too busy": (WsmanFault(2150858999, "The service is busy."), ENABLE, 2),
    "mail: RPC error": (Fail(), ENABLE, 2),
    "internal transport: answer lost": (Drop(committed=True), ENABLE, 3),
    "internal transport: RPC error": (Fail(terminating=True), ENABLE, 3),
}


@pytest.mark.parametrize("fault", PASSING)
def test_a_passing_fault_of_the_connection_is_overcome(fault: str, one: House) -> None:
    effect, cmdlet, nth = PASSING[fault]
    internal = one.exchange.internal_transport
    one.exchange.server.faults.inject(effect, cmdlet, nth=nth)
    result = one.deploy()
    assert result.stage is Stage.DEPLOYED, told(result)
    assert now_served(result.rows) == {_versions(one)[-1].sha256[:16]}
    assert one.exchange.internal_transport == internal
    assert any("Read back" in entry.title for entry in one.journal())


FAILING: dict[str, tuple[Effect, str, int]] = {
    "import ends the pipeline": (Fail(DENIED, terminating=True), IMPORT, 1),
    "web site fails": (Fail(DENIED), ENABLE, 1),
    "web site is done by half": (HalfDone(), ENABLE, 1),
    "mail fails": (Fail(DENIED), ENABLE, 2),
    "mail ends the pipeline": (Fail("The disk is full.", terminating=True), ENABLE, 2),
}


@pytest.mark.parametrize("fault", FAILING)
def test_a_cmdlet_that_fails_is_taken_back_and_the_journal_tells(fault: str, one: House) -> None:
    effect, cmdlet, nth = FAILING[fault]
    assert isinstance(effect, Fail | HalfDone)
    earlier = _versions(one)[-2]
    one.exchange.server.faults.inject(effect, cmdlet, nth=nth)
    result = one.deploy()
    assert result.stage is Stage.ROLLED_BACK
    assert effect.message in told(result)
    assert f"certwright deploy {one.managed_id}" in told(result)
    assert now_served(result.rows) == {earlier.sha256[:16]}
    assert set(one.exchange.served.values()) == {earlier.sha256}
    assert one.runs()[0].outcome is Outcome.FAILED

    ended = {entry.title: entry.outcome for entry in one.journal() if entry.phase is Phase.END}
    assert ended["Take the changes back"] is Outcome.DONE
    assert ended["Verify what every port serves after the undo"] is Outcome.DONE
    failed = [title for title, outcome in ended.items() if outcome is Outcome.FAILED]
    assert len(failed) == 2, "the step that failed, and the one around it"
    assert _last_event(one) is EventKind.ROLLED_BACK


def _last_event(one: House) -> EventKind:
    with one.site.engine() as engine, engine.store.read() as unit:
        return unit.events.list(limit=10_000)[-1][1].kind


@pytest.mark.parametrize("effect", [Fail(DENIED), Gone(), Gone(committed=True)], ids=repr)
def test_a_last_step_that_fails_after_mail_has_moved_is_left_to_a_person(effect: Effect, one: House) -> None:
    """Exchange cannot take an assignment to SMTP back: so all goes on with the new certificate."""
    internal = one.exchange.internal_transport
    one.exchange.server.faults.inject(effect, ENABLE, nth=3)
    ended = one.site.cli("deploy", one.managed_id, code=4)
    command = f"Enable-ExchangeCertificate -Server 'EX01' -Thumbprint '{internal}' -Services 'SMTP'"
    assert any(command in line and line.endswith("-Confirm:$false") for line in ended.out.splitlines())
    assert one.runs()[0].outcome is Outcome.WAITING
    assert set(one.exchange.served.values()) == {_versions(one)[-1].sha256}
    one.exchange.server.faults.heal()
    one.deployed()
    assert one.exchange.internal_transport == internal


def test_a_key_that_was_lost_is_found_out_before_anything_uses_the_certificate(one: House) -> None:
    one.exchange.server.faults.inject(KeyLost(), IMPORT)
    result = one.deploy()
    assert result.stage is Stage.ROLLED_BACK
    assert "PrivateKeyMissing" in told(result)
    assert now_served(result.rows) == {_versions(one)[-2].sha256[:16]}
    again = one.deploy()
    assert again.stage is Stage.FAILED
    assert f"-Thumbprint '{_versions(one)[-1].thumbprint}'" in told(again)
    assert not any("Everything is in place" in entry.title for entry in one.journal())
    one.exchange.server.state.remove(_versions(one)[-1].thumbprint)


@pytest.mark.parametrize("effect", [HttpStatus(500), Fail(terminating=True)], ids=repr)
def test_a_server_that_cannot_be_read_is_not_touched(effect: Effect, one: House) -> None:
    before = len(one.exchange.mutations)
    one.exchange.server.faults.inject(effect, READ, times=None)
    result = one.deploy()
    assert result.stage is Stage.FAILED
    assert told(result)
    assert len(one.exchange.mutations) == before
    assert set(one.exchange.served.values()) == {_versions(one)[-2].sha256}


def test_a_restart_that_fails_waits_for_a_person_who_is_told_the_command(one: House) -> None:
    one.exchange.server.faults.inject(Fail(), RESTART, times=None)
    result = one.deploy()
    assert result.stage is Stage.WAITING, told(result)
    assert "Restart-Service MSExchangePOP3" in told(result)
    assert now_served(result.rows) <= {version.sha256[:16] for version in _versions(one)[-2:]}
    assert one.exchange.served[443] == _versions(one)[-1].sha256
    assert one.runs()[0].outcome is Outcome.WAITING
    assert one.site.cli("deploy", one.managed_id).code == 4


@pytest.mark.parametrize("committed", [False, True])
@pytest.mark.parametrize("nth", [1, 2])
def test_a_server_that_is_gone_for_good_waits_for_a_person_and_goes_on_when_it_is_back(
    nth: int, committed: bool, one: House
) -> None:
    earlier, newer = _versions(one)[-2:]
    internal = one.exchange.internal_transport
    one.exchange.server.faults.inject(Gone(committed=committed), ENABLE, nth=nth)

    ended = one.site.cli("deploy", one.managed_id, code=4)
    _tells_where_everything_is(one, ended.out, earlier)
    assert one.runs()[0].outcome is Outcome.WAITING
    assert _last_event(one) is EventKind.NEEDS_PERSON

    still = one.deploy()
    assert still.stage is Stage.UNDOING
    assert now_served(still.rows) <= {earlier.sha256[:16], newer.sha256[:16]}

    one.exchange.server.faults.heal()
    healed = one.deploy()
    assert healed.stage is Stage.ROLLED_BACK, told(healed)
    assert "An earlier run could not take back all it had done; that is finished first." in {
        entry.title for entry in one.journal()
    }
    assert one.exchange.served[443] == earlier.sha256
    assert one.exchange.internal_transport == internal
    assert now_served(healed.rows) <= {earlier.sha256[:16], newer.sha256[:16]}


def _tells_where_everything_is(one: House, out: str, earlier: CertificateFacts) -> None:
    lines = [line.strip() for line in out.splitlines()]
    for _host, port in (one.exchange.server.ports[number] for number in (443, 25, 587, 143, 993, 110, 995)):
        assert any(f":{port}: " in line and ", valid" in line for line in lines), f"nothing about port {port}"
    command = f"Enable-ExchangeCertificate -Server 'EX01' -Thumbprint '{earlier.thumbprint}' -Services 'IIS'"
    assert any(command in line and line.endswith("-Confirm:$false") for line in lines), "no command to paste"


def test_a_task_that_needs_a_person_does_not_hide_what_others_did(one: House) -> None:
    """The CLI's JSON tells of each task: stage, ports and error."""
    one.exchange.server.faults.inject(Fail(DENIED), ENABLE, nth=1)
    ended = one.site.cli("deploy", one.managed_id, "--json", code=1)
    (task,) = json.loads(ended.out)
    assert task["stage"] == "rolled-back"
    assert len(task["ports"]) == 7
    assert task["error"][0].startswith("The deployment failed and was taken back")
