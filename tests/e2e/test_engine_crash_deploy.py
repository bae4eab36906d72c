"""A process that is killed in the middle of a deployment leaves a world that the next run brings to its end."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from certwright.domain.certificates import CertificateFacts
from certwright.domain.runs import Outcome, RunKind, Stage
from certwright.engine.deploy import deploy
from certwright.engine.request import request
from world import dying, processes
from world.dying import Boundary, Death
from world.exchange import Exchange, attach, exchange
from world.hurry import hurried
from world.site import Authority, Site, authority, describe, register

pytestmark = pytest.mark.e2e
MOST = 60


@dataclass(frozen=True)
class House:
    """An installation whose certificate has a task."""

    site: Site
    ca: Authority
    exchange: Exchange
    managed_id: str

    def next_version(self) -> CertificateFacts:
        """A new version to deploy; Exchange's store is kept small, as reading it takes time."""
        with self.site.engine() as engine:
            request(engine, self.managed_id, force=True)
        issued = [CertificateFacts.of(each.certificate) for each in self.ca.server.issued]
        if len(issued) > 2 and issued[-3].thumbprint in self.exchange.server.state.certificates:
            self.exchange.server.state.remove(issued[-3].thumbprint)
        return issued[-1]

    def killed(self, nth: int) -> int:
        """Deploy in a process that dies when the `nth` entry is in the journal; its exit code."""
        death, site = Death(Boundary.ENTRY, nth), self.site
        return processes.run(
            dying.deploy, self.managed_id, death, folder=site.folder, environment=site.environment
        ).code

    def deployed(self) -> bool:
        """Deploy in this process; whether anything had to be changed."""
        with self.site.engine() as engine, hurried():
            (result,) = deploy(engine, self.managed_id)
        assert result.error is None, list(result.error.explain())
        assert result.stage is Stage.DEPLOYED
        return not result.unchanged

    def outcomes(self) -> list[Outcome | None]:
        """How the runs of deployments ended, newest first."""
        with self.site.engine() as engine, engine.store.read() as unit:
            return [run.outcome for run in unit.runs.list(self.managed_id) if run.kind is RunKind.DEPLOY]


def _house(folder: Path, ca: Authority, target: Exchange, **params: Any) -> House:
    site = Site(folder).initialise()
    register(site, ca)
    with site.engine() as engine:
        managed = describe(engine, ca, key_type="rsa-2048")
        attach(engine, managed.id, target, **params)
    return House(site, ca, target, managed.id)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with authority() as ca, exchange(tmp_path) as target:
        yield _house(tmp_path, ca, target)


@pytest.fixture
def small_house(tmp_path: Path) -> Iterator[House]:
    with authority() as ca, exchange(tmp_path) as target:
        yield _house(tmp_path, ca, target, **target.few_params)


def test_a_deployment_that_is_killed_anywhere_converges_at_the_next_run(small_house: House) -> None:
    house, target = small_house, small_house.exchange
    internal = target.internal_transport
    for nth in itertools.count(1):
        assert nth < MOST, "it never survived"
        version = house.next_version()
        killed = house.killed(nth)
        if killed == 0:
            break
        assert killed == -9
        assert {target.served[port] for port in (443, 25, 587)} <= {
            CertificateFacts.of(each.certificate).sha256 for each in house.ca.server.issued
        } | {target.first_sha256}
        house.deployed()
        assert {target.served[port] for port in (443, 25, 587)} == {version.sha256}
        assert target.internal_transport == internal
        assert house.outcomes()[:2] == [Outcome.DONE, Outcome.INTERRUPTED]
        if nth % 5 == 0:
            before = len(target.mutations)
            assert not house.deployed()
            assert len(target.mutations) == before
    assert nth > 15, "it was hardly ever killed"


@pytest.mark.parametrize("nth", [24, 26, 28, 30, 32])
def test_a_deployment_that_is_killed_around_a_restart_leaves_no_port_behind(nth: int, house: House) -> None:
    version, target = house.next_version(), house.exchange
    internal = target.internal_transport
    assert house.killed(nth) == -9
    house.deployed()
    assert set(target.served.values()) == {version.sha256}
    assert target.internal_transport == internal
    before = len(target.mutations)
    assert not house.deployed()
    assert len(target.mutations) == before
