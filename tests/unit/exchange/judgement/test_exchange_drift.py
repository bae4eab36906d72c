"""What differs from what was deployed last, in words, and what is no difference."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from rich.console import Console

from certwright.cli.exchange.show import status_shown
from certwright.cli.show import DIFFERS, finding_lines
from certwright.domain.certificates import CertificateFacts
from certwright.domain.deployment import Finding, Severity, Verdict
from certwright.exchange.judgement.drift import REPAIR, Deployed, deployed, drift
from certwright.exchange.judgement.drift import after as read_back
from certwright.exchange.judgement.status import whole
from certwright.exchange.model import Certificate, Connector, ServerInfo, ServerState, Service
from certwright.exchange.snapshot import Hybrid, Snapshot
from certwright.exchange.verification.ports import Port, Sight, row, shown
from certwright.probe import Endpoint, Observation
from peers.exchange_task import Authority

SERVER, NAME = "ex01.contoso.test", "mail.contoso.test"
AUTHORITY = Authority()
OURS, THEIRS, INTERNAL = (AUTHORITY.issue().facts for _ in range(3))
EVERYTHING = Service.IIS | Service.SMTP | Service.POP | Service.IMAP
ISSUER, SUBJECT = "CN=Contoso Test CA", f"CN={NAME}"
VALUE = f"<I>{ISSUER}<S>{SUBJECT}"
PARTNER = Connector("To partner", "send", identity="To partner", tls_certificate_name=VALUE)
OTHER = Connector("Internet", "send", identity="Internet")
FRONT = Connector("Frontend", "receive", identity="EX01\\Frontend", server="EX01", tls_certificate_name=VALUE)


def certificate(facts: CertificateFacts, services: Service = Service.NONE, site: int | None = None) -> Certificate:
    return Certificate(
        facts.thumbprint,
        services=services,
        status="Valid",
        has_private_key=True,
        subject=SUBJECT,
        issuer=ISSUER if facts is OURS else "CN=Another CA",
        iis_sites=frozenset() if site is None else frozenset({site}),
        facts=facts,
    )


MINE = certificate(OURS, EVERYTHING, 1)
STATE = ServerState(
    SERVER,
    ServerInfo("EX01", SERVER),
    (MINE, certificate(THEIRS), certificate(INTERNAL, Service.SMTP, 2)),
    internal_transport=INTERNAL.thumbprint,
    connectors=(FRONT,),
    pop_name=NAME,
    imap_name=NAME,
)
SNAPSHOT = Snapshot((STATE,), (PARTNER, OTHER), hybrid=Hybrid(tls_certificate_name=VALUE))
LAST = deployed(SNAPSHOT, OURS, {SERVER: EVERYTHING})


def after(**changed: object) -> Snapshot:
    return replace(SNAPSHOT, servers=(replace(STATE, **changed),))  # type: ignore[arg-type]


def ours(**changed: object) -> tuple[Certificate, ...]:
    return (replace(MINE, **changed), *STATE.certificates[1:])  # type: ignore[arg-type]


def serves(facts: CertificateFacts, way: str = "IIS", *, server: str = SERVER, shared: bool = False) -> Sight:
    port = Port(server, way, Endpoint("10.0.0.1", 443), shared=shared)
    return Sight(port, Observation(port.target(NAME), leaf=facts))


def differences(now: Snapshot, last: Deployed, sights: Sequence[Sight] = ()) -> tuple[Finding, ...]:
    return drift(now, last, sights, title="Contoso mail")


def test_what_is_remembered_can_be_stored() -> None:
    assert LAST.connectors == {"To partner": VALUE, "EX01\\Frontend": VALUE, "HybridConfiguration": VALUE}
    assert Deployed.model_validate_json(LAST.model_dump_json()) == LAST


def test_what_ports_served_is_remembered_until_another_version_is_deployed() -> None:
    first, second = (row(serves(OURS, way), None, Verdict.OK, OURS.not_before) for way in ("IIS", "SMTP"))
    one = deployed(SNAPSHOT, OURS, {SERVER: EVERYTHING}, [first])
    both = deployed(SNAPSHOT, OURS, {SERVER: EVERYTHING}, [second], one)
    assert dict(both.served) == {first.key: shown(OURS), second.key: shown(OURS)}
    assert not deployed(SNAPSHOT, THEIRS, {}, [], both).served


def test_a_server_without_the_certificate_was_left_alone() -> None:
    assert not deployed(after(certificates=()), OURS, {SERVER: EVERYTHING}).servers


def test_what_was_read_back_stands_for_what_was_known() -> None:
    now = ServerState(SERVER, ServerInfo("EX01", SERVER), (MINE,), "CD", (), "pop", "imap")
    known = replace(SNAPSHOT, servers=(replace(STATE, dag="DAG1"),))
    found = read_back(known, {SERVER: now}, None)
    assert found.servers == (replace(now, dag="DAG1"),)
    assert (found.send_connectors, found.hybrid) == (SNAPSHOT.send_connectors, SNAPSHOT.hybrid)
    led = read_back(SNAPSHOT, {}, [OTHER])
    assert (led.servers, led.send_connectors, led.hybrid) == (SNAPSHOT.servers, (OTHER,), None)


def test_nothing_differs_while_nothing_changes() -> None:
    assert differences(SNAPSHOT, LAST, [serves(OURS), serves(THEIRS, "BACKEND"), serves(THEIRS, "TRANSPORT")]) == ()


def test_services_that_did_not_get_it_may_serve_what_they_like() -> None:
    some = deployed(SNAPSHOT, OURS, {SERVER: Service.SMTP})
    assert differences(after(pop_name="else"), some, [serves(THEIRS)]) == ()
    assert differences(SNAPSHOT, some, [serves(THEIRS, server="ex02.contoso.test")]) == ()


@pytest.mark.parametrize(
    ("now", "check", "says"),
    [
        (after(certificates=STATE.certificates[1:]), "drift-removed", f"{OURS.thumbprint} was removed from {SERVER}"),
        (after(certificates=ours(has_private_key=False)), "drift-key", "has no private key now"),
        (after(certificates=ours(status="Revoked")), "drift-status", "Revoked"),
        (
            after(certificates=(replace(MINE, iis_sites=frozenset()), certificate(THEIRS, Service.IIS, 1))),
            "drift-web-site",
            f"bound the Default Web Site of {SERVER} to {THEIRS.thumbprint} ({NAME}, issued by CN=Contoso Test CA",
        ),
        (after(certificates=ours(iis_sites=frozenset())), "drift-web-site", "no longer uses the certificate"),
        (after(certificates=ours(services=Service.IIS | Service.SMTP)), "drift-services", "to IMAP, POP"),
        (after(internal_transport=OURS.thumbprint), "drift-internal-transport", f"is now {OURS.thumbprint}"),
        (after(imap_name=SERVER), "drift-mail-access-name", f"IMAP on {SERVER} looked for a certificate for '{NAME}'"),
    ],
    ids=lambda value: value if isinstance(value, str) and value.startswith("drift") else "",
)
def test_each_difference_is_told_with_what_repairs_it(now: Snapshot, check: str, says: str) -> None:
    (found,) = differences(now, LAST)
    assert (found.check, found.severity, found.remedy) == (check, Severity.STOP, f"{REPAIR} 'Contoso mail'")
    assert says in found.message


@pytest.mark.parametrize(
    ("now", "says", "severity", "typed"),
    [
        (
            replace(SNAPSHOT, send_connectors=(replace(PARTNER, tls_certificate_name="<I>CN=X<S>CN=Y"), OTHER)),
            f"To partner was changed: it named {VALUE}, and names <I>CN=X<S>CN=Y now.",
            Severity.STOP,
            f"Set-SendConnector -Identity 'To partner' -TlsCertificateName '{VALUE}'",
        ),
        (
            after(connectors=(replace(FRONT, tls_certificate_name=None),)),
            f"EX01\\Frontend was changed: it named {VALUE}, and names no certificate now.",
            Severity.WARN,
            f"Set-ReceiveConnector -Identity 'EX01\\Frontend' -TlsCertificateName '{VALUE}'",
        ),
        (
            replace(SNAPSHOT, hybrid=Hybrid()),
            f"HybridConfiguration was changed: it named {VALUE}, and names no certificate now.",
            Severity.WARN,
            f"Set-HybridConfiguration -TlsCertificateName '{VALUE}'",
        ),
    ],
    ids=["names what is nowhere", "blank", "hybrid"],
)
def test_a_connector_that_was_led_away_is_told_with_the_command(
    now: Snapshot, says: str, severity: Severity, typed: str
) -> None:
    (found,) = differences(now, LAST)
    assert (found.check, found.severity, found.message) == ("drift-connector", severity, says)
    assert f"\n    {typed} " in found.remedy


def test_what_somebody_seems_to_have_chosen_is_a_warning() -> None:
    own = replace(certificate(INTERNAL), thumbprint="E" * 40, is_self_signed=True, issuer=SUBJECT)
    with_own = (*STATE.certificates, own)
    (internal,) = differences(after(certificates=with_own, internal_transport=own.thumbprint), LAST)
    led = replace(PARTNER, tls_certificate_name=own.tls_certificate_name)
    (connector,) = differences(replace(after(certificates=with_own), send_connectors=(led, OTHER)), LAST)
    assert (internal.check, connector.check) == ("drift-internal-transport", "drift-connector")
    assert {internal.severity, connector.severity} == {Severity.WARN}
    assert internal.remedy == f"{REPAIR} 'Contoso mail'"
    assert "Set-SendConnector -Identity 'To partner'" in connector.remedy


def test_what_a_run_did_not_repair_is_told_again() -> None:
    found = replace(
        after(internal_transport=OURS.thumbprint, pop_name="else"),
        send_connectors=(replace(PARTNER, tls_certificate_name="<I>CN=X<S>CN=Y"), OTHER),
        hybrid=Hybrid(),
    )
    before = differences(found, LAST)
    assert {f.check for f in before} == {"drift-internal-transport", "drift-mail-access-name", "drift-connector"}
    assert differences(found, deployed(found, OURS, {SERVER: EVERYTHING}, (), LAST, found)) == before


def test_after_a_renewal_too_what_still_differs_is_told() -> None:
    held = (MINE, replace(certificate(THEIRS), issuer="CN=New CA"), STATE.certificates[2])
    led = replace(PARTNER, tls_certificate_name=None)
    found = replace(after(certificates=held, connectors=(FRONT,)), send_connectors=(led, OTHER), hybrid=None)
    kept = deployed(found, THEIRS, {SERVER: EVERYTHING}, (), LAST, found)
    assert kept.connectors == {"To partner": f"<I>CN=New CA<S>{SUBJECT}"}


def test_what_a_run_changed_is_the_new_baseline() -> None:
    found = after(internal_transport=THEIRS.thumbprint, pop_name="else")
    now = after(internal_transport=OURS.thumbprint, pop_name="pop")
    assert not differences(now, deployed(now, OURS, {SERVER: EVERYTHING}, (), LAST, found))


def test_a_server_that_was_left_alone_is_not_forgotten() -> None:
    assert deployed(SNAPSHOT, OURS, {}, (), LAST, SNAPSHOT).servers == LAST.servers
    assert not deployed(replace(SNAPSHOT, servers=()), OURS, {}, (), LAST).servers


def test_an_internal_transport_certificate_that_was_renewed_by_hand_is_the_new_baseline() -> None:
    own = replace(certificate(INTERNAL), thumbprint="E" * 40, is_self_signed=True)
    now = after(certificates=(*STATE.certificates[:2], own), internal_transport=own.thumbprint)
    assert not differences(now, deployed(now, OURS, {SERVER: EVERYTHING}, (), LAST, now))


@pytest.mark.parametrize(
    ("now", "check"),
    [
        (replace(SNAPSHOT, servers=()), "drift-server-gone"),
        (replace(SNAPSHOT, send_connectors=(OTHER,)), "drift-connector-gone"),
        (replace(SNAPSHOT, hybrid=None), "drift-connector-gone"),
    ],
)
def test_what_is_gone_needs_no_repair(now: Snapshot, check: str) -> None:
    found = {finding.check: finding.severity for finding in differences(now, LAST)}
    assert found[check] is Severity.WARN
    assert set(found.values()) == {Severity.WARN}


@pytest.mark.parametrize(
    "now",
    [
        after(internal_transport=None, pop_name=None, imap_name=None, connectors=None),
        after(certificates=ours(services=None, iis_sites=None, has_private_key=None, status=None)),
        replace(SNAPSHOT, send_connectors=None),
        replace(SNAPSHOT, send_connectors=(replace(PARTNER, tls_certificate_name=VALUE.upper()), OTHER)),
    ],
)
def test_what_exchange_does_not_tell_is_no_difference(now: Snapshot) -> None:
    assert differences(now, LAST) == ()


def test_ports_tell_what_exchange_does_not() -> None:
    (found,) = differences(SNAPSHOT, LAST, [serves(THEIRS), serves(THEIRS, "IIS-NO-SNI"), serves(OURS, "SMTP")])
    assert (found.check, found.severity) == ("drift-port", Severity.STOP)
    assert f"IIS of {SERVER} serves another certificate at 10.0.0.1:443: {NAME}, issued by" in found.message


def test_a_web_site_bound_to_another_is_told_once() -> None:
    rebound = after(certificates=(replace(MINE, iis_sites=frozenset()), certificate(THEIRS, Service.IIS, 1)))
    checks = [f.check for f in differences(rebound, LAST, [serves(THEIRS), serves(THEIRS, "SMTP")])]
    assert checks == ["drift-web-site", "drift-port"]


def test_what_stands_in_front_may_have_its_own() -> None:
    (found,) = differences(SNAPSHOT, LAST, [serves(THEIRS, server=NAME, shared=True)])
    assert (found.severity, found.subject) == (Severity.WARN, NAME)


def test_status_shows_all_that_differs_wherever_it_is() -> None:
    now = replace(after(certificates=STATE.certificates[1:]), send_connectors=(OTHER,), hybrid=Hybrid())
    found = differences(now, LAST, [serves(THEIRS, server=NAME, shared=True)])
    assert {f.subject for f in found} == {SERVER, "To partner", "HybridConfiguration", NAME}
    seen = whole(now, OURS.not_before, {}, found)
    assert [(*seen.servers[0].drift,), {*seen.drift}] == [
        (found[0].message,),
        {finding.message for finding in found[1:]},
    ]
    told = [line for line in status_shown(Console(width=80), seen) if isinstance(line, str)]
    assert [line for line in told if line.startswith("differs: ")] == [f"differs: {f.message}" for f in found]


def test_what_differs_is_not_called_refused() -> None:
    found = differences(after(certificates=STATE.certificates[1:]), LAST)
    first, *_ = finding_lines(found, DIFFERS)
    assert first.startswith("differs: The certificate")
