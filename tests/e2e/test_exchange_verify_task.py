"""The task's own verification, end to end: outbound mail counts, and a later look tells what somebody has changed."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from certwright.domain.deployment import Severity, Verdict, failures
from certwright.exchange_simulator import HybridConfiguration, SendConnector, Services, StoredCertificate
from certwright.exchange_simulator.certificates import read_bundle
from certwright.exchange_simulator.configuration import WebFault
from certwright.exchange_simulator.mail_access import POP_SERVICES
from certwright.sdk.context import Material
from peers.exchange_task import NAME, Authority, World, deploy, pfx, run, spec, world
from peers.exchange_task import WAYS as PORTS

pytestmark = pytest.mark.e2e

WAYS = {443: ("IIS", "IIS-NO-SNI", "WEB", "SIGN-IN"), 444: ("BACKEND",), 25: ("SMTP",), 2525: ("TRANSPORT",)}
FQDN = "mail01.contoso.test"


@pytest.fixture
def one(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path, spec()) as made:
        yield made


def params(made: World, **changed: Any) -> dict[str, Any]:
    """IIS and SMTP, looked at in every way."""
    where = made.first.ports
    words = [f"{way}:{where[number][0]}:{where[number][1]}" for number, ways in WAYS.items() for way in ways]
    return {"services": "IIS,SMTP", "verify": words, **changed}


def led(made: World) -> tuple[Material, SendConnector]:
    """An earlier certificate of another issuer, in use, and a send connector that names it."""
    old = Authority("Contoso Old CA").issue()
    stored = made.first.add_certificate(pfx(old), "pfx", services="IIS, SMTP")
    name = stored.tls_certificate_name
    connector = SendConnector("To partner", smart_hosts=("partner.contoso.test",), tls_certificate_name=name)
    made.organisation.state.send_connectors.append(connector)
    made.organisation.state.hybrid = HybridConfiguration(tls_certificate_name=name)
    made.first.state.transport_changed()
    return old, connector


def test_a_connector_that_follows_goes_on_sending(one: World) -> None:
    old, connector = led(one)
    _, rows = deploy(one.task(one.authority.issue(), [old], **params(one)))
    assert connector.tls_certificate_name == f"<I>CN=Contoso Test CA<S>CN={NAME}"
    assert not failures(rows)
    by_service = {row.service: row for row in rows}
    sent = by_service["outbound: To partner"]
    assert (sent.server, sent.address, sent.before, sent.now) == (FQDN, "partner.contoso.test", "Ready", "Ready")
    assert sent.verdict is Verdict.OK
    assert by_service["IIS back end"].verdict is Verdict.OK
    assert "Default Frontend MAIL01" in by_service["SMTP"].detail
    assert by_service["sign-in"].now == "good"
    assert not one.memory.values["exchange-sending"]


@pytest.mark.parametrize("winrm", [True, False])
def test_mail_that_is_stuck_after_the_change_takes_it_back(one: World, winrm: bool) -> None:
    old, connector = led(one)
    name, state = connector.tls_certificate_name, one.first.state
    # Of those with one issuer and subject the longest-lived is taken; no port shows that its key cannot be read.
    stranger = put(one, one.authority.issue(days=400, age=30), "SMTP")
    stranger.readable_by_network_service = False
    state.transport_changed()
    how = params(one) if winrm else params(one, winrm=None)
    ended = run(one.task(one.authority.issue(), [old], **how))
    assert ended.stage == "rolled-back", ended.told
    assert "3 messages to partner.contoso.test, last error" in ended.told
    assert ("outbound: To partner: event 12014" in ended.told) is winrm
    assert connector.tls_certificate_name == name
    assert not one.memory.values["exchange-sending"]


def put(made: World, material: Material, services: str) -> StoredCertificate:
    """What an administrator does: import and assign, and nothing is restarted."""
    state = made.first.state
    stored = state.import_certificate(read_bundle(pfx(material), "pfx"), exportable=False, friendly_name=None)
    state.enable(stored.thumbprint, Services.parse(services), replace_internal_transport=False)
    return stored


# --- a later look --------------------------------------------------------------------------------------------------


def found(made: World, material: Material, before: Sequence[Material] = ()) -> dict[str, Severity]:
    return {f.check: f.severity for f in made.task(material, before, **params(made)).inspect().findings}


def test_nothing_differs_right_after_a_deployment(one: World) -> None:
    old, _ = led(one)
    version = one.authority.issue()
    deploy(one.task(version, [old], **params(one)))
    seen = one.task(version, [old], **params(one)).inspect()
    assert not failures(seen.rows)
    assert not seen.findings
    assert len(seen.rows) == sum(map(len, WAYS.values()))


def test_what_somebody_changes_is_told_and_the_plan_repairs_it(one: World) -> None:
    old, _ = led(one)
    version = one.authority.issue()
    deploy(one.task(version, [old], **params(one)))
    state = one.first.state
    own = state.internal_transport
    put(one, one.authority.issue(["else.contoso.test"]), "IIS")
    state.enable(version.facts.thumbprint, Services.SMTP, replace_internal_transport=True)
    state.transport_changed()

    seen = one.task(version, [old], **params(one)).inspect()
    assert {(f.check, f.severity) for f in seen.findings} == {
        ("drift-web-site", Severity.STOP),
        ("drift-internal-transport", Severity.STOP),
    }
    assert {f.remedy for f in seen.findings} == {"To see what repairs it: certwright exchange plan 'Contoso mail'"}
    assert {row.service for row in failures(seen.rows)} == {"IIS", "IIS (no SNI)"}
    deploy(one.task(version, [old], **params(one)))
    assert state.internal_transport == own
    assert not found(one, version, [old])


def test_what_somebody_chose_stays_and_is_told_after_every_run(one: World) -> None:
    old, connector = led(one)
    version = one.authority.issue()
    deploy(one.task(version, [old], **params(one)))
    chosen = put(one, Authority("Else").issue(["else.contoso.test"]), "SMTP").tls_certificate_name
    connector.tls_certificate_name = chosen
    for _ in range(2):
        plan, _ = deploy(one.task(version, [old], **params(one)))
        (told,) = [f for f in plan.findings if f.check == "connector-led-away"]
        assert "Set-SendConnector -Identity 'To partner'" in told.remedy
        assert connector.tls_certificate_name == chosen
        assert found(one, version, [old]) == {"drift-connector": Severity.WARN}


@pytest.mark.parametrize("value", [None, "<I>CN=Somebody<S>CN=else"])
def test_a_connector_that_somebody_blanked_or_broke_is_told_and_set_only_when_it_is_chosen(
    one: World, value: str | None
) -> None:
    old, connector = led(one)
    version = one.authority.issue()
    deploy(one.task(version, [old], **params(one)))
    hybrid, ours = one.organisation.state.hybrid, connector.tls_certificate_name
    assert hybrid is not None
    connector.tls_certificate_name = hybrid.tls_certificate_name = value
    renewed, done = one.authority.issue(days=120), len(one.mutations)
    for wanted, earlier in ((version, [old]), (renewed, [version, old])):
        seen = one.task(wanted, earlier, **params(one)).inspect()
        told = {f.subject: f.remedy for f in seen.findings if f.check == "drift-connector"}
        assert "Set-SendConnector -Identity 'To partner'" in told["To partner"]
        assert "Set-HybridConfiguration -TlsCertificateName" in told["HybridConfiguration"]
        plan, _ = deploy(one.task(wanted, earlier, **params(one)))
        assert [f.subject for f in plan.findings if f.check == "connector-led-away"] == list(told)
    assert not {"Set-SendConnector", "Set-HybridConfiguration"} & set(one.mutations[done:])
    assert connector.tls_certificate_name == hybrid.tls_certificate_name == value
    deploy(one.task(renewed, [version, old], **params(one), connectors=["To partner", "HybridConfiguration"]))
    assert connector.tls_certificate_name == hybrid.tls_certificate_name == ours
    assert not found(one, renewed, [version, old])


def first_of_ours(made: World) -> Material:
    """A certificate of somebody else's in use for everything is replaced by our first; services are not named."""
    made.first.add_certificate(pfx(Authority("Contoso Old CA").issue()), "pfx", services="IIS, SMTP, POP, IMAP")
    made.first.state.transport_changed()
    version = made.authority.issue()
    deploy(made.task(version, services=None))
    return version


def test_after_the_first_deployment_every_port_is_still_looked_at(one: World) -> None:
    version = first_of_ours(one)
    seen = one.task(version, services=None).inspect()
    assert {row.port for row in seen.rows} == {one.first.ports[number][1] for number in PORTS}
    assert not failures(seen.rows)
    assert not one.task(version, services=None).plan().changes


@pytest.mark.parametrize("reimported", [False, True])
def test_pop_that_somebody_leads_elsewhere_is_stale_and_comes_back(one: World, reimported: bool) -> None:
    version, state = first_of_ours(one), one.first.state
    put(one, one.authority.issue(["else.contoso.test"]), "POP")
    state.pop.x509_certificate_name = "else.contoso.test"
    if reimported:
        state.certificates.pop(version.facts.thumbprint)
        put(one, version, "IIS")
    one.first.state.start_service(POP_SERVICES[0])
    seen = one.task(version, services=None).inspect()
    assert "POP" in {row.service for row in failures(seen.rows)}
    assert "drift-mail-access-name" in {f.check for f in seen.findings}
    plan, rows = deploy(one.task(version, services=None))
    assert {"Set-PopSettings", "Restart-Service"} <= {change.action for change in plan.changes}
    assert not failures(rows)
    assert state.pop.x509_certificate_name == NAME
    assert not one.task(version, services=None).inspect().findings


def test_a_certificate_that_was_removed_is_told(one: World) -> None:
    version = one.authority.issue()
    deploy(one.task(version, **params(one)))
    one.first.state.certificates.pop(version.facts.thumbprint)
    assert found(one, version)["drift-removed"] is Severity.STOP


def test_web_services_that_fail_later_are_found(one: World) -> None:
    version = one.authority.issue()
    deploy(one.task(version, **params(one)))
    one.first.state.web_faults.append(WebFault("/ecp", 500))
    wrong = failures(one.task(version, **params(one)).inspect().rows)
    assert [(row.service, row.verdict) for row in wrong] == [("web", Verdict.REGRESSION)]


def test_where_exchange_does_not_answer_the_ports_are_still_told(one: World) -> None:
    version = one.authority.issue()
    deploy(one.task(version, **params(one)))
    seen = one.task(version, password="wrong", **params(one)).inspect()
    (told,) = seen.findings
    assert told.check == "drift-unknown"
    assert "credential add" in told.remedy
    assert told.remedy.endswith("\n    certwright exchange verify 'Contoso mail'")
    assert not failures(seen.rows)
