"""What is removed, and why each other certificate of ours is kept: pure, so shown case by case."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from certwright.domain.deployment import Inspection, ServedRow, Verdict
from certwright.exchange.deployment.cleanup import CleanupPlan, Ours, plan_cleanup
from certwright.exchange.model import Binding, Certificate, Connector, HostFacts, Service, Unknown
from certwright.exchange.snapshot import Hybrid, SigningCertificates, Snapshot
from unit.exchange.organisations import MAIL, NEW, NOW, OLD, auth, facts, old, organisation, own, server

OLDER = "E" * 40
SUBJECT = f"<I>CN=R11, O=Let's Encrypt, C=US<S>CN={MAIL}"


def current(**changed: Any) -> Certificate:
    values: dict[str, Any] = {
        "services": Service.IIS | Service.SMTP,
        "subject": f"CN={MAIL}",
        "issuer": "CN=R12, O=Let's Encrypt, C=US",
        "iis_sites": frozenset({1}),
        "facts": facts(),
    }
    return Certificate(NEW, **{**values, **changed})


def superseded(**changed: Any) -> Certificate:
    return old(**{"iis_sites": frozenset(), **changed})


def row(service: str, shown: str = NEW, server: str = "ex01.contoso.com", **changed: Any) -> ServedRow:
    """A port that serves a certificate, as the organisation's certificates are made here."""
    values = {
        "address": "10.0.0.1",
        "port": 443,
        "protocol": "TLSv1.3",
        "now": f"{shown.lower()[:16]} {MAIL}",
        "verdict": Verdict.OK,
    }
    return ServedRow(server=server, service=service, **{**values, **changed})


def inspected(*further: ServedRow, without: str = "", server: str = "ex01.contoso.com") -> Inspection:
    """Each service serves the new version on a port; `further` ports are seen too."""
    rows = tuple(row(service, server=server) for service in ("IIS", "SMTP", "POP", "IMAP") if service != without)
    return Inspection(rows=rows, seen=(*rows, *further))


def ours(**changed: Any) -> Ours:
    values: dict[str, Any] = {
        "versions": (NEW, OLD, OLDER),
        "current": NEW,
        "since": NOW - timedelta(days=2),
        "imported": {"ex01.contoso.com": (OLD, NEW)},
        "inspection": inspected(),
    }
    return Ours(**{**values, **changed})


def healthy(*certificates: Certificate, **changed: Any) -> Snapshot:
    """One server on which the older version is of no use any more."""
    stored = certificates or (superseded(), current())
    values = {"pop_name": MAIL, "imap_name": MAIL, "connectors": ()}
    return organisation(replace(server("EX01", *stored, own(), auth()), **{**values, **changed}))


def reason(found: CleanupPlan) -> str:
    assert not found.removals
    (kept,) = found.kept
    return "; ".join(kept.reasons)


def test_what_we_imported_and_nothing_uses_goes() -> None:
    found = plan_cleanup(healthy(), ours(), NOW)
    (removal,) = found.removals
    assert removal.action == "Remove-ExchangeCertificate"
    assert removal.parameters == {"Server": found.removals[0].target, "Thumbprint": OLD, "Confirm": "$false"}
    assert not found.kept


def test_strangers_and_the_current_version_are_not_even_mentioned() -> None:
    found = plan_cleanup(healthy(current(), Certificate("F" * 40)), ours(), NOW)
    assert found == CleanupPlan((), ())


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"imported": {}}, "did not import"),
        ({"imported": {"ex02.contoso.com": (OLD,)}}, "did not import"),
        ({"since": None}, "not known to be in use"),
        ({"since": NOW - timedelta(hours=23, minutes=59)}, "24 hours"),
        ({"inspection": Inspection(rows=(*inspected().rows, row("web", verdict=Verdict.STALE)))}, "not every port"),
        ({"inspection": Inspection()}, "no port was seen on which IIS"),
        ({"inspection": inspected(without="SMTP")}, "no port was seen on which SMTP"),
        ({"inspection": inspected(server="ex02.contoso.com")}, "no port was seen on which IIS"),
        ({"inspection": inspected(row("POP", OLD))}, "POP at 10.0.0.1:443 (ex01.contoso.com) serves it"),
        ({"inspection": inspected(row("web", OLD, "lb.contoso.com"))}, "(lb.contoso.com) serves it"),
        ({"inspection": inspected(row("Edge LDAPS", OLD, "edge01.contoso.com"))}, "(edge01.contoso.com) serves it"),
        ({"versions": (OLD, NEW)}, "no later version"),
        ({"current": OLDER}, "no later version"),
    ],
)
def test_our_own_history_keeps_it(changed: dict[str, Any], says: str) -> None:
    found = plan_cleanup(healthy(superseded()) if "current" in changed else healthy(), ours(**changed), NOW)
    assert says in reason(found)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda c: replace(c, iis_sites=frozenset({1})), "the Default Web Site is bound to it"),
        (lambda c: replace(c, iis_sites=frozenset({2})), "Exchange Back End"),
        (lambda c: replace(c, iis_sites=frozenset({7})), "the web site 7"),
        (lambda c: replace(c, iis_sites=None), "cannot be read"),
        (lambda c: replace(c, services=Service.FEDERATION), "signs its own tokens"),
        (lambda c: replace(c, facts=facts("pop.contoso.com", thumbprint=OLD)), "POP looks for"),
        (lambda c: replace(c, facts=None), "no port can be compared"),
        (lambda c: replace(c, services=None), "does not tell which services"),
    ],
)
def test_its_uses_on_the_server_keep_it(spoil: Callable[[Certificate], Certificate], says: str) -> None:
    named = {"pop_name": "pop.contoso.com"} if "POP" in says else {}
    assert says in reason(plan_cleanup(healthy(spoil(superseded()), current(), **named), ours(), NOW))


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"internal_transport": OLD}, "internal transport"),
        ({"internal_transport": None}, "internal transport certificate cannot be read"),
        ({"connectors": None}, "receive connectors cannot be read"),
        ({"pop_name": None}, "POP looks for cannot be read"),
        ({"imap_name": None}, "IMAP looks for cannot be read"),
        ({"away": "it is in maintenance"}, "maintenance"),
        ({"host": HostFacts(bindings=(Binding("10.0.0.5:443:", 1, OLD),))}, "10.0.0.5:443:"),
    ],
)
def test_what_the_server_is_and_does_not_tell_keeps_it(changed: dict[str, Any], says: str) -> None:
    assert says in reason(plan_cleanup(healthy(**changed), ours(), NOW))


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"send_connectors": (Connector("To partner", "send", tls_certificate_name=SUBJECT),)}, "'To partner'"),
        ({"send_connectors": None}, "send connectors"),
        ({"hybrid": Hybrid(tls_certificate_name=SUBJECT)}, "hybrid"),
        ({"protected": frozenset({OLD})}, "signs its own tokens"),
        ({"auth": SigningCertificates(previous=OLD), "protected": frozenset({OLD})}, "signs its own tokens"),
        ({"unknown": (Unknown("", "the hybrid configuration", "no right"),)}, "no right"),
        ({"unknown": (Unknown("", "the federation trust", "no right"),)}, "no right"),
        ({"unknown": (Unknown("", "the Edge subscriptions", "no right"),)}, "no right"),
    ],
)
def test_what_the_organisation_refers_to_keeps_it(changed: dict[str, Any], says: str) -> None:
    assert says in reason(plan_cleanup(replace(healthy(), **changed), ours(), NOW))


def test_a_service_that_only_the_earlier_one_has_keeps_it() -> None:
    snapshot = healthy(superseded(services=Service.IIS | Service.POP), current())
    assert "on which POP" in reason(plan_cleanup(snapshot, ours(inspection=inspected(without="POP")), NOW))
    idle = ours(inspection=inspected(without="POP"), stopped={"ex01.contoso.com": Service.POP})
    assert "on which POP" in reason(plan_cleanup(snapshot, idle, NOW))


def test_a_service_that_does_not_run_proves_nothing_and_needs_nothing() -> None:
    snapshot = healthy(superseded(), current(services=Service.IIS | Service.SMTP | Service.POP))
    known = ours(inspection=inspected(without="POP"))
    assert "on which POP" in reason(plan_cleanup(snapshot, known, NOW))
    assert plan_cleanup(snapshot, replace(known, stopped={"ex01.contoso.com": Service.POP}), NOW).removals


def test_the_name_that_pop_looks_for_has_to_be_covered_by_what_pop_has() -> None:
    covering = Certificate("F" * 40, services=Service.SMTP, facts=facts("pop.contoso.com", thumbprint="F" * 40))
    earlier = superseded(facts=facts("pop.contoso.com", thumbprint=OLD))

    def judged(other: Certificate) -> CleanupPlan:
        return plan_cleanup(healthy(earlier, current(), other, pop_name="pop.contoso.com"), ours(), NOW)

    assert "POP looks for pop.contoso.com" in reason(judged(covering))
    assert judged(replace(covering, services=Service.POP)).removals


def test_an_edge_subscription_keeps_what_may_have_been_the_internal_transport_certificate() -> None:
    subscribed = replace(healthy(), subscriptions=("EDGE01",))
    assert plan_cleanup(subscribed, ours(), NOW).removals
    internal = replace(healthy(internal_transport=NEW), subscriptions=("EDGE01",))
    assert "the Edge subscription EDGE01" in reason(plan_cleanup(internal, ours(), NOW))
    assert plan_cleanup(healthy(internal_transport=NEW), ours(), NOW).removals


def test_a_connector_that_means_the_later_version_gets_a_proposal_and_no_change() -> None:
    same = current(issuer="CN=R11, O=Let's Encrypt, C=US")
    connector = Connector("To partner", "send", tls_certificate_name=SUBJECT)
    found = plan_cleanup(replace(healthy(superseded(), same), send_connectors=(connector,)), ours(), NOW)
    told = reason(found)
    first, second, third = (told.index(word) for word in ("$null", "Remove-ExchangeCertificate", "R11"))
    assert first < second < third


def test_two_references_are_one_reason_and_each_server_is_judged_for_itself() -> None:
    one = healthy(superseded(iis_sites=frozenset({1, 2})), current(), internal_transport=OLD).servers[0]
    other = replace(
        healthy().servers[0], server="ex02.contoso.com", info=replace(one.info, name="EX02", fqdn="ex02.contoso.com")
    )
    both = Inspection(rows=(*inspected().rows, *inspected(server="ex02.contoso.com").rows))
    known = ours(imported=dict.fromkeys(("EX01", "EX02"), (OLD,)), inspection=both)
    found = plan_cleanup(organisation(one, other), known, NOW)
    assert [change.target for change in found.removals] == ["ex02.contoso.com"]
    assert [kept.server for kept in found.kept] == [one.server]
