"""A process that is killed in the middle of a deployment leaves a world that the next run brings to its end."""

import itertools
from pathlib import Path

import pytest

from certwright.domain.certificates import CertificateFacts
from certwright.domain.runs import Outcome
from world import dying, processes
from world.dying import Boundary, Death
from world.house import House, house

pytestmark = pytest.mark.e2e
MOST = 60


def _killed(one: House, nth: int) -> int:
    """Deploy in a process that dies when the `nth` entry is in the journal; its exit code."""
    death, site = Death(Boundary.ENTRY, nth), one.site
    return processes.run(dying.deploy, one.managed_id, death, folder=site.folder, environment=site.environment).code


def test_a_deployment_that_is_killed_anywhere_converges_at_the_next_run(tmp_path: Path) -> None:
    with house(tmp_path, few=True) as one:
        target = one.exchange
        internal = target.internal_transport
        for nth in itertools.count(1):
            assert nth < MOST, "it never survived"
            version = one.next_version()
            killed = _killed(one, nth)
            if killed == 0:
                break
            assert killed == -9
            ours = {CertificateFacts.of(each.certificate).sha256 for each in one.ca.server.issued}
            assert {target.served[port] for port in (443, 25, 587)} <= {*ours, target.first_sha256}
            one.deployed()
            assert {target.served[port] for port in (443, 25, 587)} == {version.sha256}
            assert target.internal_transport == internal
            assert [run.outcome for run in one.runs()[:2]] == [Outcome.DONE, Outcome.INTERRUPTED]
            if nth % 5 == 0:
                _changes_nothing_more(one)
        assert nth > 15, "it was hardly ever killed"


@pytest.mark.parametrize("nth", [24, 26, 28, 30, 32])
def test_a_deployment_that_is_killed_around_a_restart_leaves_no_port_behind(nth: int, tmp_path: Path) -> None:
    with house(tmp_path) as one:
        version, target = one.next_version(), one.exchange
        internal = target.internal_transport
        assert _killed(one, nth) == -9
        one.deployed()
        assert set(target.served.values()) == {version.sha256}
        assert target.internal_transport == internal
        _changes_nothing_more(one)


def _changes_nothing_more(one: House) -> None:
    before = len(one.exchange.mutations)
    assert not one.deployed()
    assert len(one.exchange.mutations) == before
