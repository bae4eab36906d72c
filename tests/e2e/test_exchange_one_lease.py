"""Two tasks of one Exchange organisation exclude each other, also when their servers are in different domains."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from certwright.domain.errors import LeaseHeld, NeedsPerson
from certwright.domain.managed import TaskSettings
from certwright.domain.runs import Entry, Phase, Stage
from certwright.engine.context import Engine
from certwright.engine.deploy import deploy
from certwright.engine.deployment import TaskResult
from certwright.engine.exchange import cleanup
from certwright.engine.request import request
from certwright.engine.task_list import add_task
from certwright.exchange_simulator import Fail, ServerSpec
from certwright.sdk.context import Credential
from peers.exchange_reading import PASSWORD, USERNAME, Stock, stocked
from world.hurry import hurried
from world.site import Site, authority, describe, register

pytestmark = pytest.mark.e2e
HERE, THERE = "contoso.test", "emea.contoso.test"
SERVERS = {HERE: "mail01.contoso.test", THERE: "mail02.emea.contoso.test"}
ENABLE = "Enable-ExchangeCertificate"


@dataclass(slots=True)
class When:
    """Does something once, when a step with these words begins."""

    words: str
    act: Callable[[], None]
    done: list[str] = field(default_factory=list)

    def hear(self, entry: Entry) -> None:
        if entry.phase is Phase.START and self.words in entry.title and not self.done:
            self.done.append(entry.title)
            self.act()


@dataclass(frozen=True, slots=True)
class Forest:
    """One organisation with a server in each of two domains, and a certificate with a task for each server."""

    stock: Stock
    site: Site
    managed: Mapping[str, str]

    def deploy(self, engine: Engine, domain: str) -> TaskResult:
        """Deploy to the server in this domain, attended."""
        (result,) = deploy(engine, self.managed[domain], attended=True)
        return result

    @property
    def cmdlets(self) -> list[str]:
        """What the organisation was asked."""
        return [call.cmdlet for call in self.stock.organisation.calls]


@pytest.fixture
def forest(tmp_path: Path) -> Iterator[Forest]:
    specs = [ServerSpec(name=fqdn.partition(".")[0].upper(), fqdn=fqdn) for fqdn in SERVERS.values()]
    with authority() as ca, stocked(tmp_path, *specs) as stock, hurried():
        site = Site(tmp_path).initialise()
        register(site, ca)
        managed = {}
        with site.engine() as engine:
            with engine.store.write() as unit:
                unit.credentials.add("exchange", Credential("exchange", USERNAME, PASSWORD))
            for domain, server in SERVERS.items():
                made = describe(engine, ca, f"mail.{domain}", key_type="rsa-2048")
                request(engine, made.id)
                add_task(engine, made.id, _task(stock, server))
                managed[domain] = made.id
        yield Forest(stock, site, managed)


def _task(stock: Stock, server: str) -> TaskSettings:
    connection = stock.connection([server])
    (found,) = [one for one in stock.organisation.servers.values() if one.spec.fqdn == server]
    host, port = found.ports[443]
    params = connection.model_dump(mode="json", exclude_defaults=True)
    return TaskSettings(
        kind="exchange", title=server, params={**params, "services": "IIS,SMTP", "verify": [f"IIS:{host}:{port}"]}
    )


def test_two_runs_on_one_organisation_exclude_each_other(forest: Forest) -> None:
    met: list[TaskResult] = []
    with forest.site.engine() as other:

        def meet() -> None:
            forest.stock.organisation.calls.clear()
            met.append(forest.deploy(other, THERE))

        when = When("Probe what every port serves now", meet)
        with forest.site.engine(when.hear) as engine:
            assert forest.deploy(engine, HERE).error is None
        (second,) = met
        assert isinstance(second.error, LeaseHeld)
        assert "The organisation contoso.test is being worked on: " in second.error.message
        assert {call.server for call in forest.stock.organisation.mutations} == {"MAIL01"}
        assert forest.deploy(other, THERE).error is None


def test_what_is_turned_away_has_read_nothing_for_its_plan(forest: Forest) -> None:
    with forest.site.engine() as engine, engine.store.lease(f"organisation:{HERE}"):
        forest.stock.organisation.calls.clear()
        assert isinstance(forest.deploy(engine, THERE).error, LeaseHeld)
        assert forest.cmdlets == ["Get-ExchangeServer"]
        with pytest.raises(LeaseHeld):
            cleanup.carry_out(engine, forest.managed[THERE])
        assert forest.cmdlets == ["Get-ExchangeServer"] * 2


def test_a_supervised_deployment_counts_for_the_whole_organisation(forest: Forest) -> None:
    with forest.site.engine() as engine:
        assert forest.deploy(engine, HERE).error is None
        with engine.store.read() as unit:
            assert all(unit.records.last(f"organisation:{domain}", "supervised") for domain in SERVERS)


def test_what_does_not_tell_who_it_is_is_not_changed(forest: Forest) -> None:
    """It may answer again a moment later: then the next run, which holds the whole organisation, goes on."""
    server = forest.stock.first
    server.faults.inject(Fail("Access is denied."), ENABLE, nth=2)
    down = When("Take the changes back", server.faults.take_down)
    with forest.site.engine(down.hear) as engine:
        assert isinstance(forest.deploy(engine, HERE).error, NeedsPerson)
    assert down.done
    forest.stock.organisation.mutations.clear()
    back = When("Take the changes back", server.faults.heal)
    with forest.site.engine(back.hear) as engine:
        stuck = forest.deploy(engine, HERE)
        assert back.done
        assert stuck.stage is Stage.UNDOING
        assert forest.stock.organisation.mutations == []
        finished = forest.deploy(engine, HERE)
    assert finished.stage is Stage.ROLLED_BACK
