"""Undo on demand: what was in use before is planned, seen, put back and looked at; and stays until a person says."""

from collections.abc import Iterator

import pytest

from certwright.domain.audit import Action
from certwright.domain.certificates import CertificateFacts, pem
from certwright.domain.errors import ConfigurationError
from certwright.domain.managed import CertificateVersion
from certwright.domain.runs import Stage
from certwright.engine.deploy import deploy, run_tasks
from certwright.engine.deployment import TaskResult
from certwright.engine.exchange import deployment, undo
from certwright.engine.exchange.judgement import meant_for
from certwright.engine.exchange.presented import presented
from certwright.engine.revoke import revoke
from certwright.engine.schedule import health
from certwright.exchange.settings import Settings
from certwright.exchange_simulator.faults import Gone
from certwright.sdk.params import read_params
from world.house import House, house, told
from world.hurry import hurried
from world.site import ISSUER, describe

pytestmark = pytest.mark.e2e
WEB, MAIL = 443, 25


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with house(tmp_path_factory.mktemp("house")) as made, hurried():
        yield made


def test_what_was_in_use_before_is_put_back_and_stays_until_a_person_says_otherwise(one: House) -> None:
    before, current = one.exchange.served[WEB], one.next_version()
    with one.site.engine() as engine, pytest.raises(ConfigurationError, match="nothing to take back"):
        undo.plan(engine, one.managed_id)
    assert one.deployed()
    with one.site.engine() as engine:
        (planned,) = undo.plan(engine, one.managed_id)
        assert [change.action for change in planned.plan.changes] == ["Enable-ExchangeCertificate"]
        with pytest.raises(ConfigurationError, match="No plan"):
            deployment.apply(engine, one.managed_id, [planned.plan.digest])
        (done,) = undo.apply(engine, one.managed_id, [planned.plan.digest])
        assert done.error is None, told(done)
        assert one.exchange.served[WEB] == before
        assert one.exchange.served[MAIL] == current.sha256, "Exchange cannot take the assignment away"
        assert not [row for row in done.rows if row.verdict.is_failure]
        with engine.store.read() as unit:
            managed = unit.managed.get(one.managed_id)
            assert health(engine, unit, managed).rule == "undone"
            assert Action.UNDONE in {entry.action for entry in unit.trail.list()}
        assert run_tasks(engine, managed) == []
        with pytest.raises(ConfigurationError, match="No deployment is known"):
            undo.plan(engine, one.managed_id)

        (again,) = deploy(engine, one.managed_id, managed.tasks[0].id, attended=True)
        assert again.stage is Stage.DEPLOYED
        assert set(one.exchange.served.values()) == {current.sha256}


def test_what_was_revoked_while_an_undo_waits_is_not_put_back_whosever_it_was(one: House) -> None:
    """Exchange takes it for valid: it has no way to the authority's list."""
    before = one.exchange.served[WEB]
    current = one.next_version()
    assert one.deployed()
    (stuck,) = undone(one, fails=True)
    assert "could not be taken back yet" in told(stuck)
    with one.site.engine() as engine:
        (shown,) = presented(engine, meant_for(engine, read_params(Settings, stuck.task.params, "the task")))
        assert shown.rows == stuck.rows, "newer than what was seen when it was deployed"
        other = describe(engine, one.ca, "other.contoso.test")
        there = [stored.certificate for stored in one.exchange.server.state.certificates.values()]
        (earlier,) = [each for each in there if CertificateFacts.of(each).sha256 == before]
        version = CertificateVersion(
            managed_id=other.id,
            issuer=ISSUER,
            chain_pem=pem([earlier]).decode(),
            fingerprint="",
            issued_at=engine.now(),
            revoked_at=engine.now(),
        )
        with engine.store.write() as unit:
            unit.versions.add(version, None)
            managed = unit.managed.get(one.managed_id)
        (done,) = run_tasks(engine, managed)
    assert (done.stage, told(done)) == (Stage.ROLLED_BACK, "")
    with one.site.engine() as engine, engine.store.read() as unit:
        state = unit.deployments.get(managed.tasks[0].id)
        assert state
        assert (state.is_undone, state.failures, state.retry_at) == (True, 0, None)
        assert health(engine, unit, managed).rule == "undone"
        assert not unit.looks.get(managed.id).tasks
    assert set(one.exchange.served.values()) == {current.sha256}
    assert "the one before" in str(one.journal())
    assert "was revoked" in str(one.journal())


def test_a_revoked_version_is_never_put_back(one: House) -> None:
    revoked = one.next_version()
    assert one.deployed()
    with one.site.engine() as engine:
        revoke(engine, one.managed_id, "superseded")
    current = one.next_version()
    with one.site.engine() as engine:
        script = deployment.scripts(engine, deployment.plan(engine, one.managed_id))["undo.ps1"].decode("utf-8-sig")
    refused = [line for line in script.splitlines() if revoked.thumbprint in line]
    assert refused == [f"# Not taken back: the one before, {revoked.thumbprint}, was revoked. The new one stays."]
    assert one.deployed()
    with one.site.engine() as engine:
        (planned,) = undo.plan(engine, one.managed_id)
        assert planned.plan.changes == ()
        assert "was revoked" in planned.plan.findings[0].message
        (kept,) = undo.apply(engine, one.managed_id, [planned.plan.digest])
        assert kept.error is None, told(kept)
    assert set(one.exchange.served.values()) == {current.sha256}


def undone(one: House, *, fails: bool = False) -> list[TaskResult]:
    """What came of an undo that a person wished; `fails` has the server refuse it, until the next one."""
    faults = one.exchange.server.faults
    if fails:
        faults.inject(Gone(), "Enable-ExchangeCertificate", times=None)
    with one.site.engine() as engine:
        (planned,) = undo.plan(engine, one.managed_id)
        results = undo.apply(engine, one.managed_id, [planned.plan.digest])
    faults.heal()
    return results
