"""What stands where, and the whole organisation in one look."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from certwright.domain.certificates import SERVER_AUTHENTICATION
from certwright.domain.deployment import Finding, ServedRow, Severity
from certwright.exchange.deployment.wish import Wish
from certwright.exchange.judgement.doctor import examine
from certwright.exchange.judgement.names import Coverage
from certwright.exchange.judgement.status import Owner, overview
from certwright.exchange.model import Binding, Certificate, HostFacts, KeyStorage, ServerInfo, ServerState, Unknown
from certwright.exchange.snapshot import Hybrid
from unit.exchange.organisations import (
    AUTH,
    MAIL,
    NEW,
    NOW,
    OLD,
    OWN,
    addresses,
    auth,
    facts,
    front_end,
    hybrid_connector,
    old,
    organisation,
    own,
    seen,
    server,
    wish,
)


def test_whose_certificates_are() -> None:
    state = server("EX01", old(), own(), auth(), Certificate(NEW, facts=facts()))
    (found,) = overview(organisation(state), NOW, {NEW: "Mail"})
    assert {c.thumbprint: c.owner for c in found.certificates} == {
        NEW: Owner.OURS,
        OLD: Owner.OTHER,
        OWN: Owner.EXCHANGE,
        AUTH: Owner.EXCHANGE,
    }
    assert [c.managed for c in found.certificates] == ["Mail", "", "", ""]


def test_what_a_binding_for_one_address_overrides_stands_beside_the_server() -> None:
    bindings = (Binding("*:443:", 1, OLD), Binding("192.0.2.9:443:", 1, OWN))
    (found,) = overview(organisation(server("EX01", old(), host=HostFacts(bindings=bindings))), NOW)
    (told,) = found.overrides
    assert "192.0.2.9:443:" in told
    assert "before bindings by name" in told
    assert "clients that reach 192.0.2.9 go on getting that one" in told


def test_what_uses_a_certificate() -> None:
    value = old().tls_certificate_name
    state = server(connectors=(front_end("EX01", tls_certificate_name=value),), internal_transport=OWN)
    snapshot = organisation(
        state, server("EX02"), send_connectors=(hybrid_connector(),), hybrid=Hybrid(tls_certificate_name=value)
    )
    first, second = overview(snapshot, NOW)
    by_thumbprint = {c.thumbprint: c.uses for c in first.certificates}
    assert by_thumbprint[OLD] == (
        "Default Web Site",
        "send connector Outbound to Office 365",
        "receive connector Default Frontend EX01",
        "hybrid configuration",
    )
    assert by_thumbprint[OWN] == ("Exchange Back End", "mail among servers")
    assert by_thumbprint[AUTH] == ("signs Exchange's tokens",)
    assert "receive connector Default Frontend EX01" not in {u for c in second.certificates for u in c.uses}


@pytest.mark.parametrize(
    ("certificate", "condition"),
    [
        (old(), "valid"),
        (old(facts=facts(thumbprint=OLD, days=13)), "expires soon"),
        (old(facts=facts(thumbprint=OLD, days=-1)), "expired"),
        (old(status="Revoked"), "Revoked"),
        (old(status="Untrusted"), "Untrusted"),
        (old(has_private_key=False), "without private key"),
        (old(facts=None), "valid"),
        (old(facts=None, status=None), "unknown"),
    ],
)
def test_the_condition_of_a_certificate(certificate: Certificate, condition: str) -> None:
    (found,) = overview(organisation(server("EX01", certificate)), NOW)
    assert found.certificates[0].condition == condition


def test_services_that_exchange_did_not_tell_are_not_none() -> None:
    (found,) = overview(organisation(server("EX01", replace(old(), services=None))), NOW)
    assert found.certificates[0].services is None


def test_versions_are_called_by_their_names_and_drift_is_told_where_it_is() -> None:
    difference = Finding(check="drift", severity=Severity.WARN, subject="ex02.contoso.com", message="It was rebound.")
    first, second = overview(organisation(server(), server("EX02")), NOW, drift=(difference,))
    assert first.version == "2019 CU15"
    assert (first.drift, second.drift) == ((), ("It was rebound.",))


# --- the doctor -------------------------------------------------------------------------------------------------------


def test_a_healthy_organisation_passes() -> None:
    found = examine(organisation(), NOW, rows=(seen(),))
    assert found.passed
    assert found.of(Severity.WARN) == ()
    assert {one.id for one in found.clean} >= {"auth-certificate", "back-end-certificate", "internal-transport"}


def test_what_could_not_be_looked_at_is_not_called_in_order() -> None:
    blind = organisation(server(components=None), auth=None, rights=None, send_connectors=None)
    unseen = {"rights", "rivals", "load-balancer", "served", "iis-bindings", "key-storage", "key-access", "clock-skew"}
    unseen |= {"auth-certificate", "away", "connector-certificate", "client-authentication", "same-subject"}
    unseen |= {"key-type", "validity", "name-coverage", "targets", "supervision", "edge", "hybrid-names"}
    assert not {one.id for one in examine(blind, NOW).clean} & unseen
    unknown = {one.id for one in examine(blind, NOW).unseen}
    assert unknown >= {"rights", "rivals", "load-balancer", "served", "iis-bindings", "auth-certificate", "away"}
    with_it = {one.id for one in examine(organisation(), NOW, wish=wish()).clean}
    assert {"key-type", "validity", "name-coverage", "targets"} <= with_it


def told(**options: Any) -> ServerState:
    """A second server, of which all is known that checks need, but for what `options` say."""
    whole = {
        "host": HostFacts(bindings=(), keys=(KeyStorage(OLD, "CSP", "Exchange", ("NT AUTHORITY\\NETWORK SERVICE",)),)),
        "clock_skew": timedelta(0),
    }
    return server("EX02", **{**whole, **options})


def stored(**changed: Any) -> tuple[Certificate, ...]:
    """What a server holds, each certificate with the same thing not known."""
    return tuple(replace(one, **changed) for one in (old(), own("EX02"), auth()))


@pytest.mark.parametrize(
    ("changed", "checks"),
    [
        ({"connectors": None}, {"connector-certificate", "same-subject"}),
        ({"certificates": stored(status=None)}, {"current-certificate", "revocation-check-failure"}),
        ({"certificates": stored(iis_sites=None)}, {"back-end-certificate", "current-certificate"}),
        ({"certificates": stored(facts=None)}, {"auth-certificate", "internal-transport", "connector-certificate"}),
        ({"components": None}, {"away"}),
        ({"unknown": (Unknown("EX02", "its availability group", "no"),)}, {"away"}),
        ({"internal_transport": None}, {"internal-transport"}),
        ({"clock_skew": None}, {"clock-skew"}),
        ({"host": None}, {"iis-bindings", "key-storage", "key-access", "rivals"}),
        ({"host": HostFacts()}, {"iis-bindings", "key-storage", "key-access"}),
        ({"host": HostFacts((), (KeyStorage(OLD, "CSP"),))}, {"key-access"}),
        ({"unknown": (Unknown("EX02", "where the key of AA is kept", "no"),)}, {"key-storage", "key-access"}),
        ({"unknown": (Unknown("EX02", "the scheduled tasks", "no"),)}, {"rivals"}),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_is_not_known_of_one_server_is_not_in_order(changed: dict[str, Any], checks: set[str]) -> None:
    first = replace(told(), server="ex01.contoso.com", info=server().info, connectors=server().connectors)
    rows = (seen(), seen("EX02"))
    healthy = examine(organisation(first, told()), NOW, rows=rows)
    assert healthy.unseen == {}
    found = examine(organisation(first, told(**changed)), NOW, rows=rows)
    assert {one.id: where for one, where in found.unseen.items() if one.id in checks} == dict.fromkeys(
        checks, ("EX02",)
    )
    assert not {one.id for one in found.clean} & checks
    assert {one.id for one in found.clean} >= {"rights", "served"}


def test_a_server_whose_ports_nobody_saw_is_named() -> None:
    found = examine(organisation(server(), server("EX02")), NOW, rows=(seen(), seen("EX02", now=None)))
    where = {one.id: where for one, where in found.unseen.items()}
    assert (where["served"], where["load-balancer"]) == (("EX02",), ("EX02",))


def test_a_server_that_could_not_be_read_is_not_known_to_any_check() -> None:
    gone = ServerInfo("EX02", "ex02.contoso.com")
    found = examine(organisation(unread=(gone,)), NOW, rows=(seen(),))
    assert {one.id for one in found.clean} == {"rights"}


@pytest.mark.parametrize(
    ("changed", "rows", "check"),
    [
        ({}, (), "served"),
        ({}, (seen(now=None),), "served"),
        ({"rights": None}, (seen(),), "rights"),
        ({"unread": (ServerInfo("EX02", "ex02.contoso.com"),)}, (seen(),), "reachability"),
    ],
    ids=["no port", "only silent ports", "no rights", "a server unread"],
)
@pytest.mark.parametrize("wanted", [None, wish()], ids=["nothing managed", "managed"])
def test_what_was_not_seen_unlocks_nothing(
    changed: dict[str, Any], rows: tuple[ServedRow, ...], check: str, wanted: Wish | None
) -> None:
    found = examine(organisation(**changed), NOW, wish=wanted, rows=rows)
    assert not found.passed
    assert [finding.check for finding in found.of(Severity.ASK)] == [check]
    assert found.of(Severity.STOP) == ()


def test_what_stops_a_deployment_fails() -> None:
    found = examine(organisation(), NOW, wish=wish(facts=facts(key="ecdsa-p256")))
    assert not found.passed
    assert [finding.check for finding in found.of(Severity.STOP)] == ["key-type"]


def test_nothing_is_told_twice_if_a_certificate_is_looked_at_too() -> None:
    edge = ServerInfo("EDGE01", "edge01.contoso.com", is_edge=True)
    snapshot = organisation(edges=(edge,), unknown=(Unknown("", "the accepted domains", "Access is denied."),))
    found = examine(snapshot, NOW, wish=wish())
    told = [(finding.check, finding.message) for finding in found.findings]
    assert len(told) == len(set(told))
    assert [check for check, _ in told].count("edge") == 1


def test_a_certificate_that_has_expired_is_no_reason_not_to_renew_it() -> None:
    found = examine(organisation(), NOW, wish=wish(facts=facts(days=-1)), rows=(seen(),))
    assert found.passed
    assert "validity" in {finding.check for finding in found.of(Severity.WARN)}


def test_a_stop_is_not_hidden_by_a_warning_of_the_same_check() -> None:
    names_it = hybrid_connector(name="A", identity="A")
    waits = hybrid_connector(name="B", identity="B", tls_certificate_name="<I>CN=Other<S>CN=other.test")
    snapshot = organisation(send_connectors=(names_it, waits))
    wanted = wish(facts=facts(extended_key_usage=(SERVER_AUTHENTICATION,)), connectors=("B",))
    found = examine(snapshot, NOW, wish=wanted, acknowledged=frozenset({"A"}))
    assert not found.passed
    assert ("client-authentication", "A") in [(f.check, f.subject) for f in found.of(Severity.WARN)]
    assert [(f.check, f.subject) for f in found.of(Severity.STOP)] == [("client-authentication", "B")]


def test_the_names_are_judged_by_what_all_web_sites_serve() -> None:
    assert {v.name: v.coverage for v in examine(organisation(), NOW).names}[MAIL] is Coverage.COVERED
    mixed = organisation(server(), server("EX02", replace(old(), thumbprint=NEW), own(), auth()))
    assert {v.name: v.coverage for v in examine(mixed, NOW).names}[MAIL] is Coverage.MISSING


@pytest.mark.parametrize(
    ("names", "is_self_signed", "coverage"),
    [
        (("mail.contoso.com",), False, Coverage.NOT_PUBLIC),
        (("mail.contoso.local",), False, Coverage.MISSING),
        (("ex01.contoso.local",), True, Coverage.NOT_PUBLIC),
    ],
    ids=["public", "private authority", "of setup"],
)
def test_internal_names_are_judged_by_who_signed_what_is_in_use(
    names: tuple[str, ...], is_self_signed: bool, coverage: Coverage
) -> None:
    served = old(facts=facts(*names, thumbprint=OLD, is_self_signed=is_self_signed))
    state = server("EX01", served, own(), auth(), addresses=addresses("EX01", internal="owa.contoso.local"))
    found = examine(organisation(state), NOW)
    assert {v.name: v.coverage for v in found.names}["owa.contoso.local"] is coverage


def test_names_that_do_not_resolve_are_told() -> None:
    found = examine(organisation(), NOW, resolve=lambda _: False)
    assert all(verdict.resolves is False for verdict in found.names if verdict.coverage is not Coverage.OWN)


def test_what_ports_serve_and_what_drifted_is_part_of_it() -> None:
    row = seen("ex01.contoso.com")
    front = seen("", address=MAIL, now="bb")
    difference = Finding(check="drift", severity=Severity.STOP, subject="EX01", message="It was rebound.")
    found = examine(organisation(), NOW + timedelta(seconds=1), rows=(row, front), drift=(difference,))
    assert {"load-balancer", "drift"} <= {finding.check for finding in found.of(Severity.WARN)}
    assert found.passed
    assert found.served == (row, front)
    assert found.taken_at == NOW
