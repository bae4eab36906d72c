"""A whole organisation, with a fault at every step of a renewal; all ports are watched throughout.

Three servers in a group, connectors that name the certificate, the hybrid configuration, and an Edge server. `make
test` strikes some of the steps, `make soak` each of them with each fault.
"""

import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from certwright.domain.certificates import CertificateFacts
from certwright.domain.managed import TaskSettings
from certwright.domain.runs import Stage
from certwright.engine.deploy import deploy
from certwright.engine.deployment import TaskResult
from certwright.engine.request import request
from certwright.engine.task_list import add_task
from certwright.exchange_simulator import Drop, Effect, Fail, Gone, StoredCertificate
from certwright.sdk.context import Credential
from world import dying, processes
from world.contoso import AUTODISCOVER, OUTBOUND, PASSWORD, PUBLIC, SERVERS, USERNAME, Contoso, contoso
from world.dying import Boundary, Death
from world.house import told
from world.hurry import hurried
from world.site import Site, describe, register
from world.steps import Step, steps, steps_of
from world.watcher import Watcher, watching

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

STEPS = steps(SERVERS)
WEB, MAIL_ACCESS = 443, (110, 995, 143, 993)
PASSING: dict[str, Effect] = {"drop": Drop(), "answer lost": Drop(committed=True), "rpc error": Fail()}
LASTING: dict[str, Effect] = {"denied": Fail("Access is denied."), "gone": Gone(), "gone after": Gone(committed=True)}
EVERY = bool(os.environ.get("SOAK"))


def _some(faults: dict[str, Effect], first: int) -> list[object]:
    """Some steps, each with one of the faults in turn; in the soak every step with every fault."""
    turns = itertools.cycle(faults)
    pairs = itertools.product(STEPS, faults) if EVERY else zip(STEPS[first::6], turns, strict=False)
    return [pytest.param(step, fault, id=f"{step.id} {fault}") for step, fault in pairs]


@dataclass
class Home:
    """The organisation, and an installation whose certificate is deployed to it again and again."""

    organisation: Contoso
    site: Site
    managed: str
    internal: dict[str, str]
    back_end: dict[str, StoredCertificate | None]

    def renewed(self) -> CertificateFacts:
        """A new version that is to be deployed; stores are kept small, as reading them takes time."""
        with self.site.engine() as engine:
            request(engine, self.managed, force=True)
        issued = [CertificateFacts.of(each.certificate) for each in self.organisation.ca.server.issued]
        for server in self.organisation.servers:
            for earlier in issued[:-2]:
                if earlier.thumbprint in server.state.certificates:
                    server.state.remove(earlier.thumbprint)
        self.organisation.organisation.mutations.clear()
        return issued[-1]

    def deploy(self) -> TaskResult:
        """One run, in this process."""
        with self.site.engine() as engine, hurried():
            (result,) = deploy(engine, self.managed)
        return result

    def deployed(self) -> TaskResult:
        """Deploy, which must succeed."""
        result = self.deploy()
        assert result.stage is Stage.DEPLOYED, told(result)
        return result

    def heal(self) -> None:
        """All servers are well."""
        for server in self.organisation.servers:
            server.faults.heal()

    @contextmanager
    def watched(self) -> Iterator[Watcher]:
        """What clients notice: valid certificates, and no gap but while POP and IMAP restart."""
        with watching(PUBLIC, self.organisation.ports) as watcher:
            yield watcher
        assert not watcher.faults
        assert all(any(f", {port})" in gap for port in MAIL_ACCESS) for gap in watcher.gaps), watcher.gaps

    def assert_new(self, facts: CertificateFacts) -> None:
        """Every port serves it, every connector names it, and what is not ours is as it was."""
        assert set(self.organisation.served().values()) == {facts.sha256}
        stored = self.organisation.servers[0].state.certificates[facts.thumbprint]
        assert set(self.organisation.connectors.values()) == {stored.tls_certificate_name}
        self.assert_kept()
        assert {s.spec.name: s.state.internal_transport for s in self.organisation.servers} == self.internal

    def assert_old(self, facts: CertificateFacts, named: dict[str, str | None]) -> None:
        """Every web site serves it and connectors are as they were; mail may have both, for flags only grow."""
        served = self.organisation.served()
        assert {sha256 for (_, port), sha256 in served.items() if port == WEB} == {facts.sha256}
        assert self.organisation.connectors == named
        assert {s.spec.name: s.state.internal_transport for s in self.organisation.servers} == self.internal

    def assert_kept(self) -> None:
        """What is never touched."""
        for server in self.organisation.servers:
            assert server.state.served(444) is self.back_end[server.spec.name]
        assert "EDGE01" not in {call.server for call in self.organisation.organisation.mutations}

    def assert_nothing_more(self) -> None:
        """The next run finds nothing to do."""
        done = len(self.organisation.mutations)
        assert self.deployed().unchanged
        assert len(self.organisation.mutations) == done


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """The organisation with a first version in use."""
    folder = tmp_path_factory.mktemp("whole")
    with contoso(folder / "exchange") as organisation:
        site = Site(folder).initialise()
        register(site, organisation.ca)
        with site.engine() as engine:
            managed = describe(engine, organisation.ca, PUBLIC, AUTODISCOVER, key_type="rsa-2048").id
            with engine.store.write() as unit:
                for kind in ("doctor", "supervised"):
                    unit.records.put("organisation:contoso.test", kind, {"passed": True}, engine.now())
                unit.records.put("organisation:contoso.test", "acknowledged", [OUTBOUND], engine.now())
                unit.credentials.add("exchange", Credential("exchange", USERNAME, PASSWORD))
            params = {**organisation.reach, "services": "IIS,SMTP,POP,IMAP", "verify": organisation.verify}
            add_task(engine, managed, TaskSettings(kind="exchange", title="exchange", params=params))
        made = Home(
            organisation,
            site,
            managed,
            {s.spec.name: s.state.internal_transport for s in organisation.servers},
            {s.spec.name: s.state.served(444) for s in organisation.servers},
        )
        made.renewed()
        made.deployed()
        yield made


def test_a_renewal_is_just_these_steps(home: Home) -> None:
    version = home.renewed()
    with home.watched():
        home.deployed()
    assert sorted(steps_of(home.organisation.organisation.mutations)) == sorted(STEPS)
    home.assert_new(version)
    home.assert_nothing_more()


@pytest.mark.parametrize(("step", "fault"), _some(PASSING, 0))
def test_what_passes_is_overcome(home: Home, step: Step, fault: str) -> None:
    version = home.renewed()
    home.organisation.organisation[step.server].faults.inject(PASSING[fault], step.cmdlet, nth=step.nth)
    with home.watched():
        home.deployed()
    home.assert_new(version)


@pytest.mark.parametrize(("step", "fault"), _some(LASTING, 2))
def test_what_lasts_ends_valid_everywhere_and_goes_on_later(home: Home, step: Step, fault: str) -> None:
    earlier = home.organisation.served()
    named = home.organisation.connectors
    version = home.renewed()
    struck = home.organisation.organisation[step.server]
    struck.faults.inject(LASTING[fault], step.cmdlet, nth=step.nth, times=None)
    with home.watched() as watcher:
        result = home.deploy()
        assert set(home.organisation.served().values()) <= {*earlier.values(), version.sha256}
        if result.stage is Stage.ROLLED_BACK:
            home.assert_old(_facts(home, earlier), named)
        elif result.stage is not Stage.DEPLOYED:
            assert result.stage in {Stage.WAITING, Stage.UNDOING}, told(result)
            assert _names_command(told(result), step), told(result)
        home.heal()
        for _ in range(2):
            result = home.deploy()
    assert result.stage is Stage.DEPLOYED, told(result)
    assert watcher.rounds > 1
    home.assert_new(version)
    home.assert_nothing_more()


def _facts(home: Home, served: dict[tuple[str, int], str | None]) -> CertificateFacts:
    """The certificate that the web sites served."""
    (sha256,) = {found for (_, port), found in served.items() if port == WEB}
    issued = (CertificateFacts.of(each.certificate) for each in home.organisation.ca.server.issued)
    return next(facts for facts in issued if facts.sha256 == sha256)


def _names_command(text: str, step: Step) -> bool:
    """Whether a person is told what to type where."""
    server = f"{step.server.lower()}.contoso.test"
    if step.cmdlet in {"Set-SendConnector", "Set-HybridConfiguration"}:
        return step.cmdlet in text
    typed = ("Enable-ExchangeCertificate -Server", "Set-ReceiveConnector -Identity", "Restart-Service")
    return any(words in text for words in typed) and (server in text or step.server in text)


@pytest.mark.parametrize("nth", range(4, 130, 3) if EVERY else (25, 95))
def test_a_process_that_is_killed_half_way_leaves_what_the_next_run_brings_to_its_end(home: Home, nth: int) -> None:
    version, site = home.renewed(), home.site
    death = Death(Boundary.ENTRY, nth)
    with home.watched():
        ended = processes.run(dying.deploy, home.managed, death, folder=site.folder, environment=site.environment)
        assert ended.code in {-9, 0}, ended.told
        home.deployed()
    home.assert_new(version)
    home.assert_nothing_more()


def test_a_process_can_be_killed_that_often(home: Home) -> None:
    """The range above must reach into the run, and not beyond its end."""
    home.renewed()
    with home.site.engine() as engine, hurried():
        deploy(engine, home.managed)
    with home.site.engine() as engine, engine.store.read() as unit:
        run = unit.runs.list(home.managed)[0]
        assert len(unit.runs.entries(run.id)) > 60
