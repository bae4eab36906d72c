"""Whatever goes wrong: one consistent, valid certificate afterwards, or a person is told exactly what is where."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from certwright.exchange_simulator import (
    Delay,
    Drop,
    Effect,
    Fail,
    Gone,
    HalfDone,
    HttpStatus,
    KeyLost,
    StoredCertificate,
    WsmanFault,
)
from certwright.sdk.context import Material, TaskContext
from certwright.tasks.exchange import Exchange
from peers.exchange_task import NAME, World, deploy, run, spec, take_back, world

pytestmark = pytest.mark.e2e

IMPORT, ENABLE = "Import-ExchangeCertificate", "Enable-ExchangeCertificate"
DENIED = "Access is denied."
PASSING: dict[str, Effect] = {
    "drop": Drop(),
    "drop after commit": Drop(committed=True),
    "delay": Delay(30),
    "http 503": HttpStatus(503),
    "http 500": HttpStatus(500),
    "wsman fault": WsmanFault(),
    "other wsman fault": WsmanFault(2150858999, "The service is busy."),
}


@pytest.fixture
def deployed(tmp_path: Path) -> Iterator[tuple[World, Material]]:
    with world(tmp_path) as made:
        earlier = made.authority.issue()
        deploy(made.task(earlier))
        made.organisation.mutations.clear()
        made.journal.lines.clear()
        yield made, earlier


@pytest.mark.parametrize(
    ("fault", "cmdlet"),
    [
        *((fault, ENABLE) for fault in PASSING),
        *((fault, IMPORT) for fault in ("drop", "drop after commit", "http 503")),
        *((fault, "Get-ExchangeCertificate") for fault in ("drop", "http 503", "wsman fault")),
    ],
)
def test_a_passing_fault_of_the_connection_is_read_back_and_overcome(
    deployed: tuple[World, Material], fault: str, cmdlet: str
) -> None:
    one, earlier = deployed
    version = one.authority.issue()
    one.first.faults.inject(PASSING[fault], cmdlet)
    ended = run(one.task(version, [earlier]))
    assert ended.stage == "deployed", ended.told
    assert set(one.served().values()) == {version.facts.sha256[:16]}
    assert one.mutations.count(IMPORT) == 1


@pytest.mark.parametrize(("nth", "terminating"), [(1, True), (1, False), (2, False), (3, True), (3, False)])
def test_an_rpc_error_that_passes_leaves_one_certificate_everywhere(
    deployed: tuple[World, Material], nth: int, terminating: bool
) -> None:
    one, earlier = deployed
    internal = one.first.state.internal_transport
    version = one.authority.issue()
    one.first.faults.inject(Fail(terminating=terminating), ENABLE, nth=nth)
    ended = run(one.task(version, [earlier]))
    assert ended.stage == "deployed", ended.told
    assert "Read back: the change is not in place." in one.journal.text
    assert set(one.served().values()) == {version.facts.sha256[:16]}
    assert one.first.state.internal_transport == internal


@pytest.mark.parametrize("effect", [Fail(DENIED), Gone(), Gone(committed=True)], ids=["denied", "gone", "gone after"])
def test_when_mail_has_moved_a_failing_last_step_is_left_to_a_person(
    deployed: tuple[World, Material], effect: Effect
) -> None:
    one, earlier = deployed
    internal = one.first.state.internal_transport
    version = one.authority.issue()
    one.first.faults.inject(effect, ENABLE, nth=3)
    ended = run(one.task(version, [earlier]))
    assert ended.stage == "waiting", ended.told
    assert (
        f"Enable-ExchangeCertificate -Server 'mail01.contoso.test' -Thumbprint '{internal}' -Services 'SMTP'"
        in ended.told
    )
    assert set(one.served().values()) == {version.facts.sha256[:16]}

    one.first.faults.heal()
    again = run(one.task(version, [earlier]))
    assert again.stage == "deployed", again.told
    assert one.first.state.internal_transport == internal
    assert not one.memory.values["exchange"]


@pytest.mark.parametrize(("nth", "terminating"), [(1, True), (1, False), (2, False)])
def test_a_cmdlet_that_fails_is_rolled_back_to_a_consistent_state(
    deployed: tuple[World, Material], nth: int, terminating: bool
) -> None:
    one, earlier = deployed
    version = one.authority.issue()
    one.first.faults.inject(Fail(DENIED, terminating=terminating), ENABLE, nth=nth)
    ended = run(one.task(version, [earlier]))
    assert ended.stage == "rolled-back", ended.told
    assert DENIED in ended.told
    assert one.served()[443] == earlier.facts.sha256[:16]
    assert {row.verdict.value for row in ended.rows} == {"ok"}
    assert all(row.valid for row in ended.rows)
    assert set(one.served().values()) == {earlier.facts.sha256[:16]}
    assert one.first.state.internal_transport != version.facts.thumbprint

    again = run(one.task(version, [earlier]))
    assert again.stage == "deployed", again.told
    assert set(one.served().values()) == {version.facts.sha256[:16]}
    assert one.mutations.count(IMPORT) == 1


@pytest.mark.parametrize(
    ("keeps", "effect", "stage"),
    [(False, Fail(DENIED), "rolled-back"), (True, Fail(DENIED), "rolled-back"), (True, Gone(), "undoing")],
    ids=["not asked for", "refuses", "is gone"],
)
def test_the_way_back_requires_no_ssl_where_the_way_forward_did_not(
    tmp_path: Path, keeps: bool, effect: Effect, stage: str
) -> None:
    with world(tmp_path, spec("MAIL01"), spec("MAIL02")) as two:
        earlier, version = two.authority.issue(), two.authority.issue()
        deploy(two.task(earlier))
        states = [server.state for server in two.organisation.servers.values()]
        for state in states:
            state.require_ssl[1] = False
        two.organisation["MAIL02"].faults.inject(effect, ENABLE, nth=1, times=None)
        ended = run(two.task(version, [earlier], do_not_require_ssl=keeps))
        assert ended.stage == stage, ended.told
        assert two.served()[443] == earlier.facts.sha256[:16]
        assert [state.require_ssl[1] for state in states] == [not keeps, False]
        typed = [line for line in ended.told.splitlines() if "-Services 'IIS'" in line]
        assert ["-DoNotRequireSsl:$true" in line for line in typed] == ([True] if stage == "undoing" else [])


@pytest.mark.parametrize("nth", [1, 2])
def test_a_cmdlet_that_does_half_leaves_one_certificate_everywhere(deployed: tuple[World, Material], nth: int) -> None:
    one, earlier = deployed
    version = one.authority.issue()
    one.first.faults.inject(HalfDone(), ENABLE, nth=nth)
    ended = run(one.task(version, [earlier]))
    served = set(one.served().values())
    assert len(served) == 1
    assert ended.stage == ("rolled-back" if served == {earlier.facts.sha256[:16]} else "deployed"), ended.told


def test_a_failed_import_stops_before_anything_is_used_on_any_server(tmp_path: Path) -> None:
    with world(tmp_path, spec("MAIL01"), spec("MAIL02")) as two:
        earlier, version = two.authority.issue(), two.authority.issue()
        deploy(two.task(earlier))
        two.organisation.mutations.clear()
        two.organisation["MAIL02"].faults.inject(Fail("No space left."), IMPORT)
        ended = run(two.task(version, [earlier]))
        assert ended.stage == "rolled-back"
        assert "No space left" in ended.told
        assert two.mutations == [IMPORT]
        for server in two.organisation.servers.values():
            assert set(two.served(server).values()) == {earlier.facts.sha256[:16]}


def test_a_key_lost_on_import_is_found_out_and_the_next_run_says_what_to_remove(
    deployed: tuple[World, Material],
) -> None:
    one, earlier = deployed
    version = one.authority.issue()
    one.first.faults.inject(KeyLost(), IMPORT)
    ended = run(one.task(version, [earlier]))
    assert ended.stage == "rolled-back"
    assert "PrivateKeyMissing" in ended.told
    assert one.mutations == [IMPORT]
    again = run(one.task(version, [earlier]))
    assert again.stage == "failed"
    assert (
        f"Remove-ExchangeCertificate -Server 'mail01.contoso.test' -Thumbprint '{version.facts.thumbprint}'"
        in again.told
    )
    assert set(one.served().values()) == {earlier.facts.sha256[:16]}


class Cleaned(dict[str, StoredCertificate]):
    """A store out of which something takes each certificate at once."""

    def __setitem__(self, thumbprint: str, stored: StoredCertificate) -> None:
        """Nothing is kept."""


def test_a_certificate_that_something_takes_out_of_the_store_is_told_with_what_to_do(
    deployed: tuple[World, Material],
) -> None:
    one, earlier = deployed
    one.first.state.certificates = Cleaned(one.first.state.certificates)
    ended = run(one.task(one.authority.issue(), [earlier]))
    assert "reported no error, but the certificate is not in its store" in ended.told
    assert "Get-ExchangeCertificate -Server 'mail01.contoso.test'" in ended.told
    assert set(one.served().values()) == {earlier.facts.sha256[:16]}


@pytest.mark.parametrize(("nth", "committed"), [(1, True), (2, False), (2, True)])
def test_an_endpoint_gone_for_good_waits_for_a_person_and_goes_on_when_it_is_back(
    deployed: tuple[World, Material], nth: int, committed: bool
) -> None:
    one, earlier = deployed
    version = one.authority.issue()
    task = one.task(version, [earlier])
    before = task.baseline()
    one.first.faults.inject(Gone(committed=committed), ENABLE, nth=nth)
    stuck = run(task, before)
    assert stuck.stage == "undoing"
    assert "mail01.contoso.test IIS 127.0.0.1" in stuck.told
    assert (
        f"Enable-ExchangeCertificate -Server 'mail01.contoso.test' -Thumbprint '{earlier.facts.thumbprint}'"
        in stuck.told
    )
    assert stuck.told.count(", valid") == 7

    still = take_back(one.task(version, [earlier]), before)
    assert still.stage == "undoing"

    one.first.faults.heal()
    healed = take_back(one.task(one.authority.issue(), [version, earlier]), before)
    assert healed.stage == "rolled-back", healed.told
    assert one.served()[443] == earlier.facts.sha256[:16]
    assert one.first.state.internal_transport != version.facts.thumbprint
    assert not one.memory.values["exchange"]

    assert run(one.task(version, [earlier])).stage == "deployed"
    assert set(one.served().values()) == {version.facts.sha256[:16]}


def test_an_undo_done_twice_changes_nothing_more(deployed: tuple[World, Material]) -> None:
    one, earlier = deployed
    version = one.authority.issue()
    one.first.faults.inject(Fail(DENIED), ENABLE, nth=2)
    task = one.task(version, [earlier])
    before = task.baseline()
    with pytest.raises(Exception, match=DENIED):
        task.apply(task.plan())
    one.task(version, [earlier]).undo()
    done = len(one.mutations)
    ended = take_back(one.task(version, [earlier]), before)
    assert ended.stage == "rolled-back"
    assert len(one.mutations) == done


@pytest.mark.parametrize("survivors", [1, 2, 3, 4, 5])
def test_a_run_killed_half_way_converges_at_the_next_run(deployed: tuple[World, Material], survivors: int) -> None:
    one, earlier = deployed
    version = one.authority.issue()
    internal = one.first.state.internal_transport
    task = one.task(version, [earlier])
    before = task.baseline()
    plan = task.plan()
    with pytest.raises(KeyboardInterrupt):
        _die_after(task, survivors).apply(plan)
    ended = run(one.task(version, [earlier]), before)
    assert ended.stage == "deployed", ended.told
    assert set(one.served().values()) == {version.facts.sha256[:16]}
    assert one.first.state.internal_transport == internal


def test_a_newer_version_takes_over_from_a_run_that_was_killed(deployed: tuple[World, Material]) -> None:
    one, earlier = deployed
    internal = one.first.state.internal_transport
    abandoned, version = one.authority.issue(), one.authority.issue()
    task = one.task(abandoned, [earlier])
    with pytest.raises(KeyboardInterrupt):
        _die_after(task, 3).apply(task.plan())
    assert one.first.state.internal_transport == abandoned.facts.thumbprint
    one.first.faults.inject(Fail(DENIED), ENABLE, nth=2)
    ended = run(one.task(version, [abandoned, earlier]))
    assert ended.stage == "rolled-back", ended.told
    assert one.served()[443] == abandoned.facts.sha256[:16]

    ended = run(one.task(version, [abandoned, earlier]))
    assert ended.stage == "deployed", ended.told
    assert set(one.served().values()) == {version.facts.sha256[:16]}
    assert one.first.state.internal_transport == internal


def _die_after(task: Exchange, survivors: int) -> Exchange:
    """The task, whose process dies before the change after so many."""
    count = iter(range(survivors))

    def guard() -> None:
        if next(count, None) is None:
            raise KeyboardInterrupt

    task.context = replace(task.context, guard=guard)
    return task


def test_an_expired_predecessor_is_not_put_back(tmp_path: Path) -> None:
    with world(tmp_path) as one:
        earlier, version = one.authority.issue(days=0.5, age=2), one.authority.issue()
        deploy(one.task(earlier))
        task = one.task(version, [earlier])
        before = task.baseline()
        one.first.faults.inject(Fail(DENIED), ENABLE, nth=2)
        with pytest.raises(Exception, match=DENIED):
            task.apply(task.plan())
        late = one.task(version, [earlier])
        late.context = _later(late.context)
        ended = take_back(late, before)
        assert ended.stage == "rolled-back", ended.told
        assert one.served()[443] == version.facts.sha256[:16]
        assert "expired on" in one.journal.text
        assert "keeps the new certificate" in one.journal.text
        iis = next(row for row in ended.rows if row.service == "IIS")
        assert iis.now == f"{version.facts.sha256[:16]} {NAME}"


def _later(context: TaskContext) -> TaskContext:
    return replace(context, now=lambda: datetime.now(UTC) + timedelta(days=1))
