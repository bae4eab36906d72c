"""An installation whose certificate has a task that deploys to a simulated Exchange, and an authority to issue it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from certwright.domain.certificates import CertificateFacts
from certwright.domain.deployment import ServedRow
from certwright.domain.runs import Entry, Run, RunKind, Stage
from certwright.engine.deploy import deploy
from certwright.engine.deployment import TaskResult
from certwright.engine.request import request
from world.exchange import Exchange, attach, exchange
from world.hurry import hurried
from world.site import Authority, Site, authority, describe, register


@dataclass(frozen=True)
class House:
    """What the tests of deployments live in."""

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

    def deploy(self) -> TaskResult:
        """Deploy in this process."""
        with self.site.engine() as engine, hurried():
            (result,) = deploy(engine, self.managed_id)
        return result

    def deployed(self) -> bool:
        """Deploy, which must succeed; whether anything had to be changed."""
        result = self.deploy()
        assert result.error is None, told(result)
        assert result.stage is Stage.DEPLOYED
        return not result.unchanged

    def runs(self) -> list[Run]:
        """The runs of deployments, newest first."""
        with self.site.engine() as engine, engine.store.read() as unit:
            return [run for run in unit.runs.list(self.managed_id) if run.kind is RunKind.DEPLOY]

    def journal(self) -> Sequence[Entry]:
        """What the last deployment did."""
        last = self.runs()[0]
        with self.site.engine() as engine, engine.store.read() as unit:
            return unit.runs.entries(last.id)


def told(result: TaskResult) -> str:
    """What a person is told of an error."""
    return "\n".join(result.error.explain()) if result.error else ""


def now_served(rows: Sequence[ServedRow]) -> set[str]:
    """The SHA-256 (its first digits) of what is seen on the wire; every port must serve something valid."""
    assert rows
    assert all(row.now and row.valid for row in rows), rows
    return {str(row.now).split()[0] for row in rows}


@contextmanager
def house(folder: Path, store_url: str | None = None, **params: Any) -> Iterator[House]:
    """A house in which nothing was issued yet; `params` change those of the task."""
    with authority() as ca, exchange(folder) as target:
        site = Site(folder, store_url=store_url).initialise()
        register(site, ca)
        with site.engine() as engine:
            managed = describe(engine, ca, key_type="rsa-2048")
            attach(engine, managed.id, target, **(target.few_params if params.pop("few", False) else {}), **params)
        yield House(site, ca, target, managed.id)
