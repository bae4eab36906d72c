"""Which connectors follow, and to which value: pure, so shown by cases and by generated organisations."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from certwright.domain.certificates import CertificateFacts
from certwright.domain.deployment import Change, Plan, Severity
from certwright.domain.errors import Unreachable
from certwright.exchange.deployment import changes
from certwright.exchange.deployment.connectors import HYBRID, LED_AWAY, ORGANISATION, all_of, follow, of_hybrid
from certwright.exchange.deployment.memory import Before, Deployment, Named
from certwright.exchange.deployment.plan import make_plan
from certwright.exchange.deployment.situation import Situation
from certwright.exchange.deployment.undo import stuck, way_back
from certwright.exchange.deployment.waves import Order
from certwright.exchange.deployment.wish import Wish
from certwright.exchange.model import Certificate, Connector, ServerInfo, ServerState, Service, quoted
from certwright.exchange.snapshot import Hybrid, Snapshot
from unit.exchange.organisations import MAIL, NEW, NOW, OLD, auth, facts, own, server
from unit.exchange.organisations import old as stored_old

OLD_NAME = f"<I>CN=R11, O=Let's Encrypt, C=US<S>CN={MAIL}"
NEW_NAME = f"<I>CN=R12, O=Let's Encrypt, C=US<S>CN={MAIL}"
OTHER_NAME = "<I>CN=R11, O=Let's Encrypt, C=US<S>CN=other.contoso.com"


def old() -> Certificate:
    return stored_old(facts=facts(thumbprint=OLD, days=20, issuer="C=US,O=Let's Encrypt,CN=R11"))


def new(issuer: str = "R12") -> Certificate:
    return Certificate(
        NEW,
        services=Service.NONE,
        has_private_key=True,
        subject=f"CN={MAIL}",
        issuer=f"CN={issuer}, O=Let's Encrypt, C=US",
        iis_sites=frozenset(),
        facts=wanted(),
    )


def wanted() -> CertificateFacts:
    return replace(facts(thumbprint=NEW), issuer="C=US,O=Let's Encrypt,CN=R12")


def state(name: str, *more: Certificate, **changed: object) -> ServerState:
    return replace(server(name, old(), own(), auth(), *more), **changed)  # type: ignore[arg-type]


def snapshot(*connectors: Connector, states: tuple[ServerState, ...] = (), **changed: object) -> Snapshot:
    return Snapshot(states or (state("EX01"),), connectors, **changed)  # type: ignore[arg-type]


def named(value: str | None, name: str = "To partner", **changed: object) -> Connector:
    return Connector(name, "send", tls_certificate_name=value, identity=name, **changed)  # type: ignore[arg-type]


def followed(made: Snapshot, *chosen: str, servers: tuple[str, ...] = ()) -> tuple[list[str], list[str]]:
    """The values that are set, and the checks that found something."""
    at = servers or tuple(s.server for s in made.servers)
    found = follow(made, wanted(), NOW, [old()], chosen, at)
    return [c.parameters["TlsCertificateName"] for c in found.changes], [f.check for f in found.findings]


def test_the_value_is_exchanges_own_or_said_to_come_from_it() -> None:
    assert followed(snapshot(named(OLD_NAME), states=(state("EX01", new()),)))[0] == [NEW_NAME]
    (waits,), _ = followed(snapshot(named(OLD_NAME)))
    assert waits == "(as Exchange writes issuer and subject of the new certificate)"


@pytest.mark.parametrize("value", [None, OTHER_NAME, NEW_NAME])
def test_nothing_else_is_touched(value: str | None) -> None:
    assert not followed(snapshot(named(value), states=(state("EX01", new()),)))[0]


LEFT = {"To partner": OLD_NAME, HYBRID: OLD_NAME}


def test_what_somebody_led_away_stays_so_and_the_command_is_told() -> None:
    """Blank, unknown, broken or sound: nobody but a person knows what was meant."""
    stranger = replace(new(), thumbprint="E" * 40, issuer="CN=Else", status="Valid")
    broken = replace(stranger, thumbprint="F" * 40, issuer="CN=Broken", has_private_key=False)
    there = state("EX01", new(), stranger, broken)
    for value in (None, "<I>CN=X<S>CN=Y", stranger.tls_certificate_name, broken.tls_certificate_name):
        made = snapshot(named(value), states=(there,), hybrid=Hybrid(tls_certificate_name=value))
        found = follow(made, wanted(), NOW, [old()], (), (there.server,), (), LEFT)
        assert not found.changes, value
        assert [(f.check, f.severity, f.subject) for f in found.findings] == [
            (LED_AWAY, Severity.WARN, "To partner"),
            (LED_AWAY, Severity.WARN, HYBRID),
        ]
        partner, hybrid = (f.remedy for f in found.findings)
        assert f"Set-SendConnector -Identity 'To partner' -TlsCertificateName {quoted(NEW_NAME)}" in partner
        assert f"Set-HybridConfiguration -TlsCertificateName {quoted(NEW_NAME)}" in hybrid
        chosen = follow(made, wanted(), NOW, [old()], ("To partner",), (there.server,), (), LEFT)
        assert [c.parameters["Identity"] for c in chosen.changes] == ["To partner"]


def test_what_names_an_earlier_version_that_no_server_holds_any_more_follows() -> None:
    there = replace(server("EX01", new(), own(), auth()), server="ex01")
    made = Snapshot((there,), (named(OLD_NAME), named(OLD_NAME, "To another")))
    found = follow(made, wanted(), NOW, [], (), (there.server,), (), LEFT)
    assert [c.parameters["Identity"] for c in found.changes] == ["To partner"]
    assert found.changes[0].why == "it names the certificate that was deployed last"
    assert not follow(made, wanted(), NOW, [], (), (there.server,)).changes


def test_what_was_chosen_follows_whatever_it_names() -> None:
    made = snapshot(named(OTHER_NAME), named(None, "To internet"), states=(state("EX01", new()),))
    assert followed(made, "TO PARTNER", "To internet")[0] == [NEW_NAME, NEW_NAME]
    assert followed(made, "To nobody") == ([], ["connector-unknown"])


def test_the_same_issuer_and_subject_are_known_before_the_import() -> None:
    same = replace(old(), facts=replace(wanted(), thumbprint=OLD))
    made = Snapshot((replace(server("EX01", same, own()), server="ex01"),), (named(OLD_NAME),))
    found = follow(made, wanted(), NOW, [same], (), ("ex01",))
    assert not found.changes
    assert [f.check for f in found.findings] == ["connector-same-name"]


@pytest.mark.parametrize(
    ("sources", "check"),
    [
        (("EX01",), None),
        (("contoso.com/Servers/EX01", "EDGE01"), "connector-edge"),
        (("EX01", "EX09"), "connector-source-unknown"),
        (("EX01", "EX02"), "connector-left-out"),
        (("EX01", "EX03"), "connector-waits"),
    ],
)
def test_all_its_source_servers_have_to_hold_the_certificate(sources: tuple[str, ...], check: str | None) -> None:
    states = (state("EX01", new()), state("EX02"), state("EX03", away="it is in maintenance"))
    edge = (ServerInfo("EDGE01", "edge01.contoso.com", is_edge=True),)
    made = snapshot(named(OLD_NAME, source_servers=sources), states=states, edges=edge)
    values, checks = followed(made, servers=(states[0].server,))
    assert checks == ([check] if check else [])
    assert values == ([NEW_NAME] if check in {None, "connector-edge"} else [])


@pytest.mark.parametrize(
    ("connector", "silent", "chosen", "severity"),
    [
        (named(OLD_NAME), ("ex01",), (), Severity.WARN),
        (named(OLD_NAME, source_servers=("EX02",)), ("ex01",), (), None),
        (named(None), ("ex01",), ("To partner",), Severity.STOP),
        (replace(named(OLD_NAME), kind="receive", server="ex01"), ("ex01",), (), Severity.WARN),
        (replace(named(OLD_NAME), kind="receive", server="ex02"), ("ex01",), (), None),
    ],
)
def test_where_smtp_does_not_get_the_certificate_no_connector_names_it(
    connector: Connector, silent: tuple[str, ...], chosen: tuple[str, ...], severity: Severity | None
) -> None:
    states = tuple(replace(state(name, new()), server=name.lower()) for name in ("EX01", "EX02"))
    own = [connector] if connector.kind == "receive" else []
    made = Snapshot((replace(states[0], connectors=tuple(own)), states[1]), () if own else (connector,))
    found = follow(made, wanted(), NOW, [old()], chosen, ("ex01", "ex02"), silent)
    assert bool(found.changes) is (severity is None)
    assert [(f.check, f.severity) for f in found.findings] == (
        [("connector-without-smtp", severity)] if severity else []
    )


def test_without_exchanges_spelling_it_is_refused_with_the_command_to_type() -> None:
    silent = replace(new(), subject=None, issuer=None)
    found = follow(snapshot(named(OLD_NAME), states=(state("EX01", silent),)), wanted(), NOW, [old()], (), ("ex01",))
    (finding,) = found.findings
    assert (finding.check, finding.severity) == ("connector-name-unknown", Severity.STOP)
    assert '"<I>$($new.Issuer)<S>$($new.Subject)"' in finding.remedy


def test_a_connector_names_again_only_what_may_still_be_used() -> None:
    made = snapshot(named(OLD_NAME), states=(state("EX01", new()), state("EX02", new())))
    servers = [each.server for each in made.servers]
    (change,) = follow(made, wanted(), NOW, [old()], (), servers).changes
    assert change.restored == tuple((server, OLD) for server in servers)
    (change,) = follow(made.knowing({OLD}), wanted(), NOW, [old()], (), servers).changes
    assert (change.inverse, change.restored) == ("", ())
    assert change.stays == "the certificate that it named before was revoked"


def test_nobody_is_told_to_have_a_connector_name_a_revoked_certificate_again() -> None:
    begun = Deployment(
        thumbprint=NEW,
        sha256="",
        servers={"ex01": Before()},
        connectors=(Named.of(named(OLD_NAME), [old()]), Named.of(replace(named(OLD_NAME), server="ex01"), [old()])),
    )
    failed = {"ex01": Unreachable("It is away."), ORGANISATION: Unreachable("It is away.")}
    told = [str(cause) for cause in stuck(begun, failed, NOW).causes if "Set-" in str(cause)]
    assert len(told) == 3
    causes = [str(cause) for cause in stuck(begun.knowing({OLD}), failed, NOW).causes]
    assert not [cause for cause in causes if "Set-" in cause]
    assert len([cause for cause in causes if "the certificate it named before was revoked" in cause]) == 3


def test_the_hybrid_configuration_is_last() -> None:
    made = snapshot(named(OLD_NAME), states=(state("EX01", new()),), hybrid=Hybrid(OLD_NAME))
    found = follow(made, wanted(), NOW, [old()], (), (made.servers[0].server,))
    assert [c.action for c in found.organisation] == ["Set-SendConnector", "Set-HybridConfiguration"]
    assert OLD_NAME.replace("'", "''") in found.organisation[0].inverse
    assert "Identity" not in found.organisation[1].parameters
    assert of_hybrid(None) == ()


# --- whole organisations ---------------------------------------------------------------------------------------------

VALUES = st.sampled_from([None, OLD_NAME, NEW_NAME, OTHER_NAME])


@st.composite
def organisations(draw: st.DrawFn) -> tuple[Snapshot, Wish]:
    count = draw(st.integers(1, 4))
    states = []
    for number in range(count):
        name = f"EX{number:02}"
        receive = Connector("Default", "receive", fqdn=MAIL, tls_certificate_name=draw(VALUES), identity=f"{name}\\D")
        made = state(name, *([new()] if draw(st.booleans()) else []))
        states.append(
            replace(
                made,
                connectors=(replace(receive, server=made.server, role="FrontendTransport"),),
                info=replace(made.info, site=draw(st.sampled_from(["Berlin", "Paris"]))),
                away=draw(st.sampled_from(["", "", "it is in maintenance"])),
            )
        )
    send = tuple(named(draw(VALUES), f"To {n}") for n in range(draw(st.integers(0, 3))))
    hybrid = draw(st.sampled_from([None, Hybrid(OLD_NAME), Hybrid(None)]))
    services = draw(st.sampled_from([Service.IIS | Service.SMTP, Service.IIS | Service.POP]))
    choice = [c.name for c in send] if Service.SMTP in services else []
    wish = Wish(
        wanted(),
        predecessors=(OLD,),
        services=services,
        connectors=tuple(draw(st.sets(st.sampled_from(choice)))) if choice else (),
        order=Order(width=draw(st.sampled_from([None, 1]))),
    )
    return Snapshot(tuple(states), send, hybrid=hybrid), wish


def carried_out(made: Snapshot, plan: Plan) -> Snapshot:
    """What Exchange does with a plan."""
    for change in plan.changes:
        made = _after(made, change)
    return made


def _after(made: Snapshot, change: Change) -> Snapshot:
    value = change.parameters.get("TlsCertificateName")
    if value is not None:
        written = NEW_NAME if changes.needs_name(change) else None if value == "$null" else value
        return _named(made, change, written)
    return replace(made, servers=tuple(_server(s, change) if s.server == change.target else s for s in made.servers))


def _named(made: Snapshot, change: Change, value: str | None) -> Snapshot:
    if change.action == "Set-HybridConfiguration":
        assert made.hybrid is not None
        return replace(made, hybrid=replace(made.hybrid, tls_certificate_name=value))

    def set_in(connectors: tuple[Connector, ...]) -> tuple[Connector, ...]:
        return tuple(
            replace(c, tls_certificate_name=value) if changes.connector_of(change, [c]) else c for c in connectors
        )

    servers = tuple(replace(s, connectors=set_in(s.connectors or ())) for s in made.servers)
    return replace(made, servers=servers, send_connectors=set_in(made.send_connectors or ()))


def _server(made: ServerState, change: Change) -> ServerState:
    if change.action == changes.IMPORT:
        return replace(made, certificates=(*made.certificates, new()))
    if change.action == changes.ENABLE:
        wanted_services, thumbprint = changes.services_of(change), change.parameters["Thumbprint"]
        bound = Service.IIS in wanted_services
        certificates = tuple(
            replace(
                c,
                services=(c.services or Service.NONE)
                | (wanted_services if c.thumbprint == thumbprint else Service.NONE),
                iis_sites=((c.iis_sites or frozenset()) - ({1} if bound else set()))
                | ({1} if bound and c.thumbprint == thumbprint else set()),
            )
            for c in made.certificates
        )
        transport = thumbprint if Service.SMTP in wanted_services else made.internal_transport
        return replace(made, certificates=tuple(certificates), internal_transport=transport)
    name = change.parameters.get("X509CertificateName")
    return replace(made, pop_name=name) if change.action == "Set-PopSettings" else made


@settings(max_examples=60, deadline=None)
@given(organisations())
def test_planning_after_apply_yields_no_change_and_who_was_away_is_untouched(made: tuple[Snapshot, Wish]) -> None:
    before, wish = made
    plan = make_plan(Situation(before), wish, NOW)
    assert not plan.refusals
    away = {s.server for s in before.servers if s.away}
    assert not away & {change.target for change in plan.changes}
    after = carried_out(before, plan)
    again = make_plan(Situation(after), wish, NOW)
    assert not again.changes
    assert (again.basis == plan.basis) == (not plan.changes)
    for old_one, new_one in zip(all_of(before), all_of(after), strict=True):
        if old_one.tls_certificate_name != new_one.tls_certificate_name:
            assert new_one.tls_certificate_name == NEW_NAME
            chosen = old_one.name in wish.connectors
            assert chosen or old_one.tls_certificate_name == OLD_NAME


@settings(max_examples=40, deadline=None)
@given(organisations())
def test_the_same_world_gives_the_same_plan_and_waves_only_grow(made: tuple[Snapshot, Wish]) -> None:
    before, wish = made
    plan = make_plan(Situation(before), wish, NOW)
    assert make_plan(Situation(before), wish, NOW).digest == plan.digest
    waves = [change.wave for change in plan.changes]
    assert waves == sorted(waves)
    assert set(waves) <= set(range(max(waves, default=0) + 1))
    organisational = [change.action in changes.ORGANISATIONAL for change in plan.changes]
    assert organisational == sorted(organisational)
    for change in plan.changes:
        if change.action in changes.SET_CONNECTOR.values():
            assert change.inverse


@pytest.mark.parametrize("before", [None, OLD_NAME])
def test_the_way_back_of_a_receive_connector_leads_to_what_it_named(before: str | None) -> None:
    connector = Connector("D", "receive", tls_certificate_name=NEW_NAME, server="ex01", identity="EX01\\D")
    was = replace(connector, tls_certificate_name=before)
    now = replace(state("EX01", new()), server="ex01", connectors=(connector,))
    remembered = Deployment(
        thumbprint=NEW, sha256="", servers={"ex01": Before.of(now, None)}, connectors=(Named.of(was, ()),)
    )
    back = way_back(remembered, now, NOW)
    (change,) = [c for c in back.changes if c.action == "Set-ReceiveConnector"]
    assert change.parameters["TlsCertificateName"] == (before or "$null")
    assert not [
        c for c in way_back(remembered, replace(now, connectors=(was,)), NOW).changes if "Connector" in c.action
    ]


def test_a_name_whose_certificates_are_all_gone_or_expired_is_not_restored() -> None:
    connector = Connector("D", "receive", tls_certificate_name=NEW_NAME, server="ex01", identity="EX01\\D")
    was = replace(connector, tls_certificate_name=OTHER_NAME)
    now = replace(state("EX01", new()), server="ex01", connectors=(connector,))
    remembered = Deployment(
        thumbprint=NEW, sha256="", servers={"ex01": Before.of(now, None)}, connectors=(Named.of(was, ()),)
    )
    back = way_back(remembered, now, NOW)
    assert not [c for c in back.changes if "Connector" in c.action]
    assert any("no server has what it named before" in line for line in back.stays)


def test_the_hybrid_configuration_is_known_by_its_kind() -> None:
    (hybrid,) = of_hybrid(Hybrid(OLD_NAME))
    change = changes.name_certificate(hybrid, NEW_NAME, "", target="organisation")
    assert changes.connector_of(change, [named(OLD_NAME, HYBRID), hybrid]) is hybrid
    assert not changes.shows_name(change, [hybrid])
    assert changes.shows_name(change, of_hybrid(Hybrid(NEW_NAME)))
