"""Judgements on what discovery really reads from the simulated organisation: names, checks, rights, the report."""

import dataclasses
import datetime as dt
from pathlib import Path
from typing import Any

import pytest

from certwright.domain.certificates import SERVER_AUTHENTICATION
from certwright.domain.deployment import Finding, Severity
from certwright.exchange.account import missing_rights
from certwright.exchange.judgement.checks import check
from certwright.exchange.judgement.doctor import examine
from certwright.exchange.judgement.names import Coverage, judge, proposed_names, required_names
from certwright.exchange.judgement.report import html, text
from certwright.exchange.judgement.status import Owner, overview
from certwright.exchange.snapshot import Snapshot
from certwright.exchange_simulator import (
    Gone,
    HybridConfiguration,
    Role,
    SendConnector,
    ServerSpec,
    Version,
    WireForm,
)
from certwright.exchange_simulator.certificates import KEY_STORAGE_PROVIDER, Status
from certwright.exchange_simulator.configuration import ScheduledTask
from certwright.exchange_simulator.roles import RoleGroup
from certwright.exchange_simulator.web_bindings import WebBinding
from peers.exchange_reading import PASSWORD, Stock, stocked
from unit.exchange.organisations import facts, wish
from unit.exchange.organisations import seen as port

pytestmark = pytest.mark.e2e
NOW = dt.datetime.now(dt.UTC)
MAIL = "mail.contoso.com"


def spec(name: str = "MAIL01", **options: Any) -> ServerSpec:
    """A server whose clients use a public name."""
    values = {"version": Version.EXCHANGE_SE, "public_host": MAIL, **options}
    return ServerSpec(name=name, fqdn=f"{name.lower()}.contoso.com", **values)


def ids(findings: tuple[Finding, ...], severity: Severity) -> set[str]:
    return {finding.check for finding in findings if finding.severity is severity}


def seen(stock: Stock) -> Snapshot:
    """The organisation, with a look into the first server's own PowerShell."""
    return stock.discovered(winrm={stock.first.spec.fqdn: stock.first.winrm_url})


def web_certificate(stock: Stock) -> str:
    return next(binding.thumbprint for binding in stock.first.state.web_bindings if binding.site == 1)


@pytest.mark.parametrize("version", list(Version), ids=lambda version: version.name)
def test_an_organisation_as_setup_leaves_it_is_healthy(tmp_path: Path, version: Version) -> None:
    with stocked(tmp_path, spec(version=version), spec("MAIL02", version=version)) as stock:
        found = examine(seen(stock), NOW, rows=(port("MAIL01"), port("MAIL02")))
        assert stock.organisation.mutations == []
    assert [f for f in found.findings if f.severity is not Severity.NOTE] == []
    assert found.passed
    assert {check.id for check in found.clean} >= {
        *("rights", "auth-certificate", "back-end-certificate", "internal-transport", "clock-skew", "away"),
        *("connector-certificate", "served", "load-balancer"),
    }
    asked_the_host = dict.fromkeys(("iis-bindings", "key-storage", "key-access", "rivals"), ("MAIL02",))
    assert {check.id: where for check, where in found.unseen.items()} == asked_the_host


def test_every_illness_is_found_and_told(tmp_path: Path) -> None:
    edge = ServerSpec(name="EDGE01", fqdn="edge01.contoso.com", role=Role.EDGE)
    expired = dt.timedelta(days=-1)
    with stocked(tmp_path, spec(dag="DAG1"), spec("MAIL02", dag="DAG1"), edge, auth_life=expired) as stock:
        state, other = stock.first.state, stock.organisation["MAIL02"].state
        thumbprint = web_certificate(stock)
        state.certificates[thumbprint] = dataclasses.replace(
            state.certificates[thumbprint],
            provider=KEY_STORAGE_PROVIDER,
            readable_by_network_service=False,
            status=Status.REVOCATION_CHECK_FAILURE,
        )
        state.web_bindings.append(WebBinding(1, 443, thumbprint, host=MAIL))
        state.scheduled_tasks.append(ScheduledTask("win-acme renew (acme-v02.api.letsencrypt.org)"))
        other.enter_maintenance()
        other.web_bindings = [binding for binding in other.web_bindings if binding.site == 1]
        gone = SendConnector("To partner", ("MAIL01",), tls_certificate_name="<I>CN=R3<S>CN=mail.fabrikam.com")
        hybrid = SendConnector("Outbound to Office 365", ("MAIL01",), cloud_services_mail=True)
        hybrid.tls_certificate_name = gone.tls_certificate_name
        stock.organisation.state.send_connectors += [gone, hybrid]
        stock.organisation.state.hybrid = HybridConfiguration(gone.tls_certificate_name)
        found = examine(seen(stock), NOW, rows=(port("MAIL01"), port("MAIL02")))
    assert ids(found.findings, Severity.WARN) == {
        *("auth-certificate", "away", "back-end-certificate", "connector-certificate", "hybrid-names"),
        *("iis-bindings", "key-storage", "revocation-check-failure", "rivals"),
    }
    assert {"edge", "unknown"} <= ids(found.findings, Severity.NOTE)
    assert found.passed
    for report in (text(found), html(found)):
        assert "win-acme" in report
        assert PASSWORD not in report


def test_the_names_come_from_where_clients_are_sent(tmp_path: Path) -> None:
    inside = spec("MAIL02", public_host=None, version=Version.EXCHANGE_2019_CU15)
    with stocked(tmp_path, spec(), inside) as stock:
        stock.organisation["MAIL02"].state.virtual_directories["Owa"].internal_url = "https://mail02.contoso.local/owa"
        snapshot = stock.discovered()
    required = required_names(snapshot)
    verdicts = {verdict.name: verdict for verdict in judge(required, facts(MAIL), lambda name: name == MAIL)}
    assert verdicts[MAIL].coverage is Coverage.COVERED
    assert verdicts["autodiscover.contoso.com"].coverage is Coverage.MISSING
    assert verdicts["mail02.contoso.com"].coverage is Coverage.MISSING
    assert verdicts["mail01.contoso.com"].coverage is Coverage.OWN
    private = verdicts["mail02.contoso.local"]
    assert private.coverage is Coverage.NOT_PUBLIC
    assert "Set-OwaVirtualDirectory -Identity 'MAIL02\\owa (Default Web Site)'" in private.remedy
    assert "-InternalUrl 'https://mail.contoso.com/owa'" in private.remedy
    assert proposed_names(snapshot)[:2] == (MAIL, "autodiscover.contoso.com")


@pytest.mark.parametrize(
    ("group", "lacking"),
    [
        (RoleGroup.ORGANIZATION_MANAGEMENT, set[str]()),
        (RoleGroup.CERTWRIGHT, set[str]()),
        (RoleGroup.SERVER_MANAGEMENT, {"survey", "send-connectors", "hybrid"}),
        (
            RoleGroup.VIEW_ONLY,
            {"deploy", "mail-access", "receive-connectors", "send-connectors", "hybrid", "cleanup", "internal"},
        ),
    ],
    ids=lambda value: value.name if isinstance(value, RoleGroup) else "",
)
def test_what_a_role_group_lacks(tmp_path: Path, group: RoleGroup, lacking: set[str]) -> None:
    with stocked(tmp_path, role_group=group) as stock:
        snapshot = stock.discovered()
    assert snapshot.rights is not None
    assert {missing.job.name for missing in missing_rights(snapshot.rights)} == lacking
    stops = ids(check(snapshot, wish(facts=facts("mail.contoso.test")), NOW), Severity.STOP)
    assert ("rights" in stops) is ("deploy" in lacking)


def test_a_hidden_parameter_is_missing(tmp_path: Path) -> None:
    with stocked(tmp_path, hidden_parameters=["TlsCertificateName"]) as stock:
        missing = missing_rights(stock.discovered().rights)
    assert {one.cmdlet: one.parameters for one in missing} == dict.fromkeys(
        ("Set-ReceiveConnector", "Set-SendConnector", "Set-HybridConfiguration"), ("TlsCertificateName",)
    )


def test_a_server_that_is_down_is_named(tmp_path: Path) -> None:
    with stocked(tmp_path, spec(), spec("MAIL02")) as stock:
        stock.organisation["MAIL02"].faults.inject(Gone(), "Get-ExchangeCertificate", times=None)
        snapshot = stock.discovered()
    wanted = wish(facts=facts(MAIL, "autodiscover.contoso.com"))
    told = [finding for finding in check(snapshot, wanted, NOW) if finding.check == "reachability"]
    assert [(finding.subject, finding.severity) for finding in told] == [("MAIL02", Severity.WARN)]
    both = wish(facts=wanted.facts, servers=("mail01.contoso.com", "mail02.contoso.com"))
    assert "reachability" in ids(check(snapshot, both, NOW), Severity.STOP)


@pytest.mark.parametrize("form", list(WireForm), ids=lambda form: form.name)
def test_what_a_connector_names_is_known_in_every_form_of_the_answers(tmp_path: Path, form: WireForm) -> None:
    with stocked(tmp_path, spec(wire_form=form, select_sees_properties=False)) as stock:
        own = stock.first.state.certificates[web_certificate(stock)]
        subject = own.certificate.subject.rfc4514_string()
        partner = SendConnector("To partner", ("MAIL01",), tls_certificate_name=f"<I>{subject}<S>{subject}")
        stock.organisation.state.send_connectors.append(dataclasses.replace(partner, require_tls=True))
        snapshot = stock.discovered()
    (server,) = overview(snapshot, NOW)
    used = {use for certificate in server.certificates for use in certificate.uses}
    assert "send connector To partner" in used
    assert {certificate.owner for certificate in server.certificates} == {Owner.EXCHANGE}
    wanted = wish(facts=facts(MAIL, extended_key_usage=(SERVER_AUTHENTICATION,)), predecessors=(own.thumbprint,))
    told = [finding for finding in check(snapshot, wanted, NOW) if finding.check == "client-authentication"]
    assert [(finding.subject, finding.severity) for finding in told] == [("To partner", Severity.STOP)]
    assert "So does the one that it presents now" in told[0].message
