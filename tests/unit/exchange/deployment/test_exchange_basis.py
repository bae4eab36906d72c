"""What makes an agreed plan stale: every change of the world that it depends on, and no other."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from certwright.domain.deployment import Plan, basis_changes
from certwright.exchange.deployment.basis import PASSING
from certwright.exchange.deployment.plan import make_plan
from certwright.exchange.deployment.situation import Situation
from certwright.exchange.deployment.wish import Wish
from certwright.exchange.model import Certificate, Service, Unknown
from certwright.exchange.snapshot import AcceptedDomain, Snapshot
from unit.exchange.organisations import (
    AUTH,
    MAIL,
    NEW,
    NOW,
    OWN,
    addresses,
    auth,
    facts,
    front_end,
    hybrid_connector,
    old,
    organisation,
    own,
    server,
    wish,
)

STRANGER = "E" * 40
OTHER = "<I>CN=Intranet CA<S>CN=app.intranet.test"
SKEW = timedelta(minutes=9)


def stranger(*names: str, **changed: Any) -> Certificate:
    """A certificate that somebody imported for something else; Exchange uses it for nothing."""
    values = {
        "services": Service.NONE,
        "status": "Valid",
        "has_private_key": True,
        "is_self_signed": False,
        "subject": "CN=app.intranet.test",
        "issuer": "CN=Intranet CA",
        "iis_sites": frozenset[int](),
        "facts": facts(*(names or ("app.intranet.test",)), thumbprint=STRANGER),
    }
    return Certificate(STRANGER, **{**values, **changed})


def new(**changed: Any) -> Certificate:
    return replace(old(Service.NONE, facts=facts(), iis_sites=frozenset()), thumbprint=NEW, **changed)


def world(*more: Certificate, **changed: Any) -> Snapshot:
    """Two servers; the first has `more` certificates, and is otherwise as `changed` says."""
    return organisation(server("EX01", old(), own(), auth(), *more, **changed), server("EX02"))


def plan_for(snapshot: Snapshot, wanted: Wish | None = None) -> Plan:
    return make_plan(Situation(snapshot), wanted or wish(), NOW)


def about(name: str) -> str:
    """How what is said of a certificate begins."""
    return f"ex01.contoso.com: certificate {name}"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (world(), world(stranger())),
        (world(stranger()), world(stranger(status="DateInvalid", has_private_key=False))),
        (world(stranger()), world(stranger(friendly_name="for the intranet"))),
        (world(stranger()), world(stranger("other.intranet.test"))),
        (world(), replace(world(), taken_at=NOW)),
        (world(clock_skew=SKEW), world(clock_skew=SKEW + timedelta(minutes=1))),
        (world(clock_skew=SKEW), world(clock_skew=SKEW, answered_by="EX02")),
        (
            replace(world(), unknown=(Unknown("EX03", "its queues", "no answer within 30 s"),)),
            replace(world(), unknown=(Unknown("EX03", "its queues", "the connection was refused"),)),
        ),
    ],
)
def test_what_the_plan_has_nothing_to_do_with_leaves_it_agreed(before: Snapshot, after: Snapshot) -> None:
    assert plan_for(before).changes
    assert plan_for(before).digest == plan_for(after).digest


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (world(stranger()), world(stranger(services=Service.IIS)), about(STRANGER)),
        (world(stranger()), world(stranger(services=None)), about(STRANGER)),
        (world(stranger()), world(stranger(iis_sites=frozenset({3}))), about(STRANGER)),
        (world(), world(stranger(MAIL)), about(STRANGER)),
        (world(), world(stranger("*.contoso.com")), about(STRANGER)),
        (world(), world(stranger(facts=None)), about(STRANGER)),
        (world(), world(stranger(facts=replace(facts("x.test", thumbprint=STRANGER), subject=f"CN={MAIL}"))), STRANGER),
        (world(pop_name="pop.test"), world(stranger("pop.test"), pop_name="pop.test"), about(STRANGER)),
        (world(), world(internal_transport=STRANGER), "internal transport certificate"),
        (
            world(internal_transport=STRANGER),
            world(stranger(), internal_transport=STRANGER),
            about(STRANGER),
        ),
        (world(), world(new()), about(NEW)),
        (world(new()), world(new(has_private_key=False)), about(NEW)),
        (world(pop_name=MAIL), world(pop_name="pop.contoso.com"), "POP looks for"),
        (world(imap_name=MAIL), world(imap_name="imap.contoso.com"), "IMAP looks for"),
        (world(), world(away="it is in maintenance"), "left alone"),
        (world(), world(connectors=(front_end("EX01", tls_certificate_name=OTHER),)), "receive connector EX01"),
        (
            world(connectors=(front_end("EX01", tls_certificate_name=OTHER),)),
            world(stranger(), connectors=(front_end("EX01", tls_certificate_name=OTHER),)),
            about(STRANGER),
        ),
        (world(), replace(world(), send_connectors=(hybrid_connector(),)), "send connector Outbound to Office 365"),
        (world(stranger()), replace(world(stranger()), protected=frozenset({AUTH, STRANGER})), about(STRANGER)),
        (world(), world(addresses=addresses("EX01", "webmail.contoso.com")), "check name-coverage"),
        (world(), world(clock_skew=SKEW), "EX01: check clock-skew"),
        (world(), replace(world(), rights={}), "check rights"),
        (
            world(),
            replace(world(), accepted_domains=(AcceptedDomain("fabrikam.com", "Authoritative", is_default=True),)),
            "check name-coverage",
        ),
    ],
)
def test_what_it_depends_on_makes_it_stale_and_is_told(before: Snapshot, after: Snapshot, told: str) -> None:
    agreed, now = plan_for(before), plan_for(after)
    assert agreed.digest != now.digest
    assert any(told in change for change in basis_changes(agreed, now)), basis_changes(agreed, now)


# --- properties -------------------------------------------------------------------------------------------------------

SERVICES = st.sampled_from([None, Service.NONE, Service.IIS, Service.SMTP, Service.IIS | Service.SMTP | Service.POP])
VALUES = st.sampled_from([None, OTHER, old().tls_certificate_name, new().tls_certificate_name])
NAMES = st.sampled_from([MAIL, "*.contoso.com", "app.intranet.test", "ex01.contoso.com"])
STRANGERS = st.builds(
    lambda name, services, sites, key: stranger(name, services=services, iis_sites=sites, has_private_key=key),
    NAMES,
    SERVICES,
    st.sampled_from([None, frozenset[int](), frozenset({1}), frozenset({3})]),
    st.sampled_from([None, True, False]),
)


@st.composite
def worlds(draw: st.DrawFn) -> Snapshot:
    """An organisation in which anything may be as it should not."""
    states = []
    for name in ("EX01", "EX02")[: draw(st.integers(1, 2))]:
        more = draw(st.lists(STRANGERS, max_size=1))
        ours = [new(services=draw(SERVICES))] if draw(st.booleans()) else []
        sites = draw(st.sampled_from([frozenset({1}), frozenset[int](), None]))
        states.append(
            server(
                name,
                old(services=draw(SERVICES), iis_sites=sites, status=draw(st.sampled_from(["Valid", "Revoked", None]))),
                own(name),
                auth(days=draw(st.sampled_from([700, 20]))),
                *ours,
                *more,
                internal_transport=draw(st.sampled_from([None, OWN, NEW, STRANGER])),
                pop_name=draw(st.sampled_from([None, MAIL, "pop.contoso.com"])),
                connectors=(front_end(name, tls_certificate_name=draw(VALUES)),),
                addresses=addresses(name, draw(st.sampled_from([MAIL, "webmail.contoso.com", "mail.local"]))),
                away=draw(st.sampled_from(["", "", "it is in maintenance"])),
                clock_skew=draw(st.sampled_from([None, timedelta(0), SKEW])),
            )
        )
    sender = hybrid_connector(tls_certificate_name=draw(VALUES), source_servers=draw(st.sampled_from([(), ("EX01",)])))
    return organisation(
        *states,
        send_connectors=(sender,) if draw(st.booleans()) else (),
        protected=frozenset(draw(st.sets(st.sampled_from([AUTH, STRANGER])))),
    )


def seen(plan: Plan) -> object:
    """What a person agreed to, but for what is only measured."""
    told = [(f.check, f.subject, f.severity, "" if f.check in PASSING else f.text) for f in plan.findings]
    return plan.changes, sorted(told)


@settings(max_examples=150, deadline=None)
@given(worlds(), worlds())
def test_whatever_alters_changes_or_findings_alters_the_hash(one: Snapshot, other: Snapshot) -> None:
    before, after = plan_for(one), plan_for(other)
    if seen(before) != seen(after):
        assert before.digest != after.digest
        assert basis_changes(before, after) or before.changes != after.changes


@st.composite
def altered(draw: st.DrawFn) -> tuple[Snapshot, Snapshot]:
    """A world, and the same after one thing in it has changed."""
    made, other = draw(worlds()), draw(worlds())
    field = draw(st.sampled_from(["certificates", "internal_transport", "pop_name", "connectors", "addresses", "away"]))
    first, *rest = made.servers
    changed = replace(first, **{field: getattr(other.servers[0], field)})
    return made, replace(made, servers=(changed, *rest))


@settings(max_examples=150, deadline=None)
@given(altered())
def test_one_change_that_alters_changes_or_findings_alters_the_hash(pair: tuple[Snapshot, Snapshot]) -> None:
    before, after = map(plan_for, pair)
    assert (seen(before) == seen(after)) or before.digest != after.digest


@settings(max_examples=80, deadline=None)
@given(worlds(), st.integers(0, 1), st.sampled_from(["wiki.intranet.test", "www.fabrikam.test"]))
def test_a_certificate_for_something_else_never_makes_a_plan_stale(made: Snapshot, place: int, name: str) -> None:
    further = replace(
        stranger(name, subject=f"CN={name}", issuer="CN=Another CA"),
        thumbprint="F" * 40,
        facts=facts(name, thumbprint="F" * 40),
    )
    servers = list(made.servers)
    at = place % len(servers)
    servers[at] = replace(servers[at], certificates=(*servers[at].certificates, further))
    agreed, now = plan_for(made), plan_for(replace(made, servers=tuple(servers)))
    assert not basis_changes(agreed, now)
    assert agreed.digest == now.digest
