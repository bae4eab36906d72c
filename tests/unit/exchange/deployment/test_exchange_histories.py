"""Deployments that are broken off, taken back or made to some servers, one after the other; and then one that ends.

Whatever the history: what was in use for our names before the first, and the wish inherits, is replaced.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from certwright.domain.certificates import CertificateFacts
from certwright.domain.deployment import Change, Plan
from certwright.exchange.deployment import changes, memory
from certwright.exchange.deployment.connectors import all_of
from certwright.exchange.deployment.plan import make_plan
from certwright.exchange.deployment.situation import Situation, with_replaced
from certwright.exchange.deployment.undo import way_back
from certwright.exchange.deployment.wish import Wish, requested_services
from certwright.exchange.judgement import drift
from certwright.exchange.model import Certificate, Connector, ServerState, Service
from certwright.exchange.snapshot import Hybrid, Snapshot
from peers.exchange_task import MemoryInMemory
from unit.exchange.organisations import (
    AUTH,
    MAIL,
    NOW,
    OLD,
    auth,
    facts,
    front_end,
    hybrid_connector,
    old,
    organisation,
    own,
    server,
)

BY_HAND = str(old().tls_certificate_name)
NAMES = ("EX01", "EX02")
SERVERS = tuple(f"{name.lower()}.contoso.com" for name in NAMES)
ALL = Service.IIS | Service.SMTP | Service.POP | Service.IMAP
WHOLE = 99  # more changes than any plan has


@dataclass(frozen=True, slots=True)
class Attempt:
    """One run: whether another version was issued before it, on how many servers, after how many changes it ends, how.

    `fate` is killed, taken back or finished; only what was carried out whole can be finished.
    """

    renewed: bool = True
    servers: int = 2
    changes: int = WHOLE
    fate: str = "finished"


@dataclass
class World:
    """Two servers that share a certificate by hand, with connectors of every kind that name it."""

    snapshot: Snapshot
    memory: MemoryInMemory = field(default_factory=MemoryInMemory)
    versions: list[CertificateFacts] = field(default_factory=list)

    @classmethod
    def of(cls, *services: Service) -> "World":
        """One server for each of `services`, which the certificate by hand has there."""
        states = [
            server(
                name,
                old(given),
                own(name),
                auth(),
                connectors=(replace(front_end(name), fqdn=MAIL, tls_certificate_name=BY_HAND, server=fqdn),),
                pop_name=MAIL,
                imap_name=MAIL,
            )
            for name, fqdn, given in zip(NAMES, SERVERS, services, strict=True)
        ]
        hybrid = Hybrid(tls_certificate_name=BY_HAND, sending_servers=NAMES, receiving_servers=NAMES)
        return cls(
            organisation(*states, send_connectors=(hybrid_connector(source_servers=NAMES),), hybrid=hybrid),
        )

    @property
    def current(self) -> CertificateFacts:
        return self.versions[0]

    def renew(self) -> None:
        """Another version, of another issuer."""
        number = len(self.versions) + 1
        made = facts(thumbprint=f"{number:X}" * 40, issuer=f"CN=E{number}", days=90 + number)
        self.versions.insert(0, made)

    def wish(self, servers: int = 2) -> Wish:
        older = tuple(version.thumbprint for version in self.versions[1:])
        return Wish(self.current, predecessors=older, servers=SERVERS[:servers], last=drift.kept(self.memory))

    @property
    def situation(self) -> Situation:
        begun, web_sites = memory.load(self.memory), memory.web_sites(self.memory)
        return Situation(self.snapshot, begun, web_sites=web_sites)

    def plan(self, servers: int = 2) -> Plan:
        made = make_plan(self.situation, self.wish(servers), NOW)
        assert not made.refusals
        return made

    def go_through(self, attempt: Attempt) -> None:
        """Carry one run out, as far as it goes."""
        if attempt.renewed or not self.versions:
            self.renew()
        wish, found, situation = self.wish(attempt.servers), self.snapshot, self.situation
        planned = self.plan(attempt.servers)
        requested = {s.server: requested_services(s, with_replaced(wish, s, situation)) for s in found.servers}
        for change in planned.changes[: attempt.changes]:
            self._remember(change, planned)
            self.carry_out(change)
        if attempt.fate == "taken back":
            self._take_back()
        elif attempt.fate == "finished" and attempt.changes >= len(planned.changes):
            memory.finish(self.memory, SERVERS[attempt.servers :])
            services = {name: given for name in wish.servers if (given := requested[name]) is not None}
            before = drift.kept(self.memory)
            drift.keep(self.memory, drift.deployed(self.snapshot, self.current, services, (), before, found))
            if attempt.servers == len(SERVERS):
                memory.forget_web_sites(self.memory)

    def _remember(self, change: Change, planned: Plan) -> None:
        """What is kept before a change that is served, as the task does it."""
        if change.action == changes.IMPORT:
            return
        if change.action in changes.ORGANISATIONAL:
            memory.begin_connectors(
                self.memory, self.current, [memory.Named.of(c, ()) for c in self._followers(planned, "")]
            )
            return
        state = self.state(change.target)
        own = self._followers(planned, change.target)
        before = memory.Before.of(state, None, {AUTH})
        if before.web_site and self.wish().left(state.server) is None:
            memory.record_web_site(self.memory, state.server, before.web_site)
        memory.begin(self.memory, self.current, state.server, before, [memory.Named.of(c, ()) for c in own])

    def _followers(self, planned: Plan, server: str) -> Iterator[Connector]:
        """The connectors of `server`, or of none, that are to be changed."""
        connectors = all_of(self.snapshot)
        found = (changes.connector_of(change, connectors) for change in planned.changes)
        yield from (connector for connector in found if connector and connector.server == server)

    def _take_back(self) -> None:
        if begun := memory.load(self.memory):
            for named in begun.connectors:
                if named.kind != "receive":
                    self.carry_out(changes.name_certificate(named.connector, named.before, "", target=SERVERS[0]))
            for name in begun.servers:
                for change in way_back(begun, self.state(name), NOW, {AUTH}).changes:
                    self.carry_out(change)
            memory.finish(self.memory, begun.unreached)

    def state(self, name: str) -> ServerState:
        return next(state for state in self.snapshot.servers if state.server == name)

    def carry_out(self, change: Change) -> None:
        """What Exchange does: flags only grow, SMTP takes the internal transport, one certificate is bound."""
        if change.action in changes.SET_CONNECTOR.values():
            self._name(change)
            return
        state = self.state(change.target)
        if change.action == changes.ENABLE:
            state = enabled(state, change.parameters["Thumbprint"], changes.services_of(change))
        elif change.action == changes.IMPORT and not state.certificate(self.current.thumbprint):
            state = replace(state, certificates=(*state.certificates, imported(self.current)))
        elif change.action in changes.SET_NAME.values():
            which = "pop_name" if change.action == changes.SET_NAME[Service.POP] else "imap_name"
            state = replace(state, **{which: change.parameters["X509CertificateName"]})  # type: ignore[arg-type]
        self._keep(state)

    def _keep(self, state: ServerState) -> None:
        others = (state if state.server == one.server else one for one in self.snapshot.servers)
        self.snapshot = replace(self.snapshot, servers=tuple(others))

    def _name(self, change: Change) -> None:
        told = change.parameters["TlsCertificateName"]
        value = imported(self.current).tls_certificate_name if changes.needs_name(change) else told
        found = changes.connector_of(change, all_of(self.snapshot))
        assert found is not None

        def named(connectors: Iterable[Connector] | None) -> tuple[Connector, ...]:
            return tuple(replace(c, tls_certificate_name=value) if c == found else c for c in connectors or ())

        if found.kind == "receive":
            state = self.state(found.server)
            self._keep(replace(state, connectors=named(state.connectors)))
        elif found.kind == "send":
            self.snapshot = replace(self.snapshot, send_connectors=named(self.snapshot.send_connectors))
        else:
            assert self.snapshot.hybrid is not None
            self.snapshot = replace(self.snapshot, hybrid=replace(self.snapshot.hybrid, tls_certificate_name=value))

    def assert_replaced(self, *inherited: Service) -> None:
        """Nothing that the certificate by hand was used for is still left to it, or to a version before the last."""
        for state, services in zip(self.snapshot.servers, inherited, strict=True):
            new = state.certificate(self.current.thumbprint)
            assert new is not None
            assert new.services is not None
            assert state.web_site_certificate() == new
            assert not services & ~new.services
            assert state.internal_transport == own().thumbprint
        if all(Service.SMTP in services for services in inherited):
            named = {connector.tls_certificate_name for connector in all_of(self.snapshot)}
            assert named == {imported(self.current).tls_certificate_name}
        assert not self.plan().changes


def imported(version: CertificateFacts) -> Certificate:
    """As it lies in a store after the import."""
    made = old(Service.NONE, issuer=version.issuer, subject=version.subject, iis_sites=frozenset(), facts=version)
    return replace(made, thumbprint=version.thumbprint)


def enabled(state: ServerState, thumbprint: str, services: Service) -> ServerState:
    """`state` after Enable-ExchangeCertificate with -Force."""
    held = []
    for one in state.certificates:
        sites = one.iis_sites or frozenset()
        if one.thumbprint == thumbprint:
            given = (one.services or Service.NONE) | services
            held.append(replace(one, services=given, iis_sites=sites | ({1} if Service.IIS in services else set())))
        else:
            held.append(replace(one, iis_sites=sites - {1} if Service.IIS in services else sites))
    internal = thumbprint if Service.SMTP in services else state.internal_transport
    return replace(state, certificates=tuple(held), internal_transport=internal)


ATTEMPTS = st.builds(
    Attempt,
    renewed=st.booleans(),
    servers=st.sampled_from([1, 2]),
    changes=st.one_of(st.integers(0, 16), st.just(WHOLE)),
    fate=st.sampled_from(["killed", "taken back", "finished"]),
)
SERVICES = st.sampled_from([ALL, Service.IIS | Service.SMTP, Service.IIS | Service.SMTP | Service.IMAP, Service.IIS])


@settings(max_examples=50, deadline=None)
@given(SERVICES, SERVICES, st.lists(ATTEMPTS, max_size=4), st.booleans())
@example(ALL, ALL, [Attempt(changes=2, fate="taken back")], True)  # imported everywhere, and never used
@example(ALL, ALL, [Attempt(changes=3, fate="killed")], True)  # the first web site bound, and nothing else
@example(ALL, ALL, [Attempt(changes=3, fate="killed"), Attempt(changes=3, fate="killed")], True)
@example(ALL, ALL, [Attempt(changes=WHOLE, fate="killed")], True)
@example(ALL, ALL, [Attempt(servers=1), Attempt(changes=4, fate="taken back")], True)
def test_a_deployment_that_ends_leaves_nothing_to_what_was_in_use_before_the_first(
    first: Service, second: Service, history: list[Attempt], is_renewed: bool
) -> None:
    world = World.of(first, second)
    for attempt in history:
        world.go_through(attempt)
    world.go_through(Attempt(renewed=is_renewed))
    world.assert_replaced(first, second)


@pytest.mark.parametrize("fate", ["killed", "taken back"])
@pytest.mark.parametrize("after", range(15))
def test_wherever_the_first_one_ends_its_renewal_replaces_what_was_there(after: int, fate: str) -> None:
    world = World.of(ALL, ALL)
    world.go_through(Attempt(changes=after, fate=fate))
    world.go_through(Attempt())
    world.assert_replaced(ALL, ALL)


@pytest.mark.parametrize("between", [[], [Attempt(changes=4, fate="killed")]], ids=["next", "after one that died"])
def test_what_somebody_chose_after_a_deployment_that_ended_is_not_followed(between: list[Attempt]) -> None:
    world = World.of(ALL, ALL)
    world.go_through(Attempt())
    world.carry_out(changes.enable(SERVERS[0], OLD, Service.IIS, ""))
    (send,) = world.snapshot.send_connectors or ()
    world.carry_out(changes.name_certificate(send, BY_HAND, "", target=SERVERS[0]))
    for attempt in between:
        world.go_through(attempt)
    world.renew()
    planned = world.plan()
    assert not [change for change in planned.changes if change.action == changes.SET_CONNECTOR["send"]]
    assert "connector-led-away" in {finding.check for finding in planned.findings}
