"""Each check finds what it is for, in an organisation that is otherwise healthy, and nothing else there.

Failures of exchange.md, section 3, that a check answers, and the test that fails without it:

| Failure | Test |
|---|---|
| Back End site with a third-party or deleted certificate | test_the_back_end |
| Connector mismatch, 454 4.7.5 | test_a_connector_that_names_what_is_not_there |
| Same issuer and subject | test_connectors_that_name_several_certificates |
| Empty subject | test_a_certificate_that_exchange_cannot_use[common-name] |
| clientAuth EKU | test_a_connector_without_client_authentication_* |
| Hybrid: all servers and Edges, 550 5.7.64, names change | test_hybrid_* , test_edge_servers_come_with_steps |
| Public certificate in Set-AuthConfig | test_the_auth_certificate[public] |
| CNG/KSP | test_keys_in_the_wrong_place |
| AES PFX on Windows up to 2016 | test_old_windows_gets_the_older_file |
| Wildcard and POP/IMAP | test_a_wildcard_cannot_be_assigned_to_pop_and_imap |
| Old cookie behind a balancer | test_servers_that_serve_different_certificates |
| UM/UMCallRouter | test_telephony_is_left_to_a_person |
| Edge renewal | test_edge_servers_come_with_steps |
| DAG: no replication | test_forgotten_servers |
| Extended Protection and TLS bridging | test_a_balancer_with_its_own_certificate |
| Key unreadable for NETWORK SERVICE | test_a_key_that_transport_cannot_read |
| Missing intermediate | test_a_chain_with_gaps |
| RevocationCheckFailure | test_a_server_without_way_to_the_revocation_list |
| IIS IP-specific or SNI bindings | test_bindings_that_hide_the_certificate |
| ECC, RSA default | test_a_certificate_that_exchange_cannot_use[key-type] |
| Names required | test_needed_names_that_are_missing, test_intranet_names |
| Missing rights | test_missing_rights_* |
| Component state, DAG maintenance, update in progress | test_servers_being_worked_on_are_deferred |
| 2019 CU15 and 2013 do not coexist | test_versions_that_do_not_go_together |
"""

import re
import shlex
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import tree_sitter_powershell
from tree_sitter import Language, Parser

from certwright.domain.certificates import SERVER_AUTHENTICATION
from certwright.domain.deployment import Finding, ServedRow, Severity, Verdict
from certwright.exchange.deployment.wish import Wish
from certwright.exchange.judgement.checks import CHECKS, check
from certwright.exchange.judgement.drift import Deployed, deployed
from certwright.exchange.model import (
    Binding,
    Certificate,
    Connector,
    HostFacts,
    KeyStorage,
    Rival,
    ServerInfo,
    ServerState,
    Service,
    Unknown,
)
from certwright.exchange.snapshot import Hybrid, SigningCertificates, Snapshot
from certwright.exchange.steps import parts
from unit.exchange.organisations import (
    AUTH,
    CU23_2013,
    CU23_2016,
    MAIL,
    NEW,
    NOW,
    OLD,
    OWN,
    RIGHTS,
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

PARSER = Parser(Language(tree_sitter_powershell.language()))
SERVER_ONLY = (SERVER_AUTHENTICATION,)
GONE = "<I>CN=R9<S>CN=mail.contoso.com"


def healthy(*servers: ServerState, **changed: Any) -> Snapshot:
    """An organisation in which no check finds anything."""
    whole = (replace(s, host=s.host or HostFacts(bindings=())) for s in servers or (server(),))
    se = tuple(replace(s, info=replace(s.info, version=s.info.version.replace("1748.10", "2562.17"))) for s in whole)
    return organisation(*se, **changed)


def found(name: str, snapshot: Snapshot, wanted: Wish | None = None, **context: Any) -> list[Finding]:
    """What the check `name` finds, and that no other stops because of it."""
    return [finding for finding in check(snapshot, wanted, NOW, **context) if finding.check == name]


def one(name: str, snapshot: Snapshot, wanted: Wish | None = None, **context: Any) -> Finding:
    """The one thing that the check finds; it says what to do, or is only a note."""
    (finding,) = found(name, snapshot, wanted, **context)
    assert finding.message.endswith((".", ")"))
    assert finding.remedy or finding.severity in {Severity.NOTE, Severity.STOP}
    return finding


def shown(now: str | None, server: str, address: str = "10.0.0.1", **changed: Any) -> ServedRow:
    """One row of what is served on port 443."""
    at = {"service": "IIS", "port": 443, "protocol": "TLS", "verdict": Verdict.OK, "valid": True}
    return ServedRow.model_validate({**at, "now": now, "server": server, "address": address, **changed})


def test_nothing_is_found_in_a_healthy_organisation() -> None:
    assert check(healthy(), wish(), NOW) == ()
    assert check(healthy(), None, NOW, rows=(seen(),)) == ()


def test_ids_are_stable_words_and_each_is_explained() -> None:
    assert all(name == one.id and name == name.lower() and " " not in name for name, one in CHECKS.items())
    assert all(one.title and len(one.explanation) > 60 for one in CHECKS.values())
    assert len(CHECKS) == 35


def test_the_gravest_comes_first() -> None:
    snapshot = healthy(rivals=(Rival("EX01", "win-acme", "task"),))
    severities = [f.severity for f in check(snapshot, wish(facts=facts(key="ecdsa-p256")), NOW)]
    assert severities == sorted(severities, key=list(Severity).index)
    assert severities[0] is Severity.STOP


# --- the certificate --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("key-type", wish(facts=facts(key="ecdsa-p256"))),
        ("common-name", wish(facts=facts(common_name=None))),
        ("validity", wish(facts=facts(not_after=NOW - timedelta(seconds=1)))),
        ("validity", wish(facts=facts(not_before=NOW + timedelta(hours=1)))),
        ("private-key", wish(has_key=False)),
        ("server-authentication", wish(facts=facts(extended_key_usage=("1.2.3",)))),
    ],
)
def test_a_certificate_that_exchange_cannot_use(name: str, wanted: Wish) -> None:
    assert one(name, healthy(), wanted).severity is Severity.STOP


def test_a_key_that_2013_never_takes() -> None:
    state = server(info=ServerInfo("EX13", "ex13.contoso.com", version=CU23_2013))
    assert "2013 (EX13)" in one("key-type", healthy(state), wish(facts=facts(key="ecdsa-p256"))).message


def test_a_key_that_is_not_here_is_not_needed_where_the_certificate_is() -> None:
    state = server("EX01", old(), own(), auth(), Certificate(NEW, facts=facts()))
    assert found("private-key", healthy(state), wish(has_key=False)) == []


def test_an_empty_subject_names_the_connectors_that_need_one() -> None:
    snapshot = healthy(send_connectors=(hybrid_connector(),))
    finding = one("common-name", snapshot, wish(facts=facts(common_name=None)))
    assert "Outbound to Office 365" in finding.message


def test_needed_names_that_are_missing() -> None:
    finding = one("name-coverage", healthy(), wish(facts=facts(MAIL)))
    assert finding.severity is Severity.WARN
    assert "autodiscover.contoso.com (Autodiscover for the accepted domain contoso.com)" in finding.message


def test_intranet_names() -> None:
    state = server(addresses=addresses("EX01", internal="ex01.contoso.local"))
    finding = one("name-coverage", healthy(state), wish())
    assert "ex01.contoso.local (OWA, ECP, EWS, ActiveSync, OAB, MAPI internal URL of EX01;" in finding.message
    assert "Set-OwaVirtualDirectory" in finding.remedy


def test_intranet_names_are_like_others_where_an_authority_of_your_own_issues() -> None:
    state = server(addresses=addresses("EX01", internal="ex01.contoso.local"))
    for wanted, context in ((wish(), {"public": False}), (wish(facts=facts(MAIL, "ex02.contoso.local")), {})):
        finding = one("name-coverage", healthy(state), wanted, **context)
        assert "lacks names" in finding.message
        assert "ex01.contoso.local (OWA" in finding.message


@pytest.mark.parametrize(
    ("wanted", "chain", "amiss"),
    [
        (wish(intermediates=0), None, True),
        (wish(intermediates=1), None, False),
        (wish(intermediates=1), (), True),
        (wish(intermediates=0), (facts("root.test", is_ca=True, is_self_signed=True, days=3000),), False),
        (wish(), (facts("middle.test", is_ca=True, days=3000),), False),
        (wish(), (facts("middle.test", is_ca=True, days=10),), True),
    ],
    ids=["none", "some", "none known", "a root", "whole", "ends early"],
)
def test_a_chain_with_gaps(wanted: Wish, chain: tuple[Any, ...] | None, amiss: bool) -> None:
    findings = found("chain-complete", healthy(), wanted, chain=chain)
    assert [finding.severity for finding in findings] == [Severity.WARN] * amiss


def test_a_wildcard_cannot_be_assigned_to_pop_and_imap() -> None:
    wild = facts("*.contoso.com", "contoso.com")
    snapshot = healthy(server("EX01", old(Service.IIS | Service.POP), own(), auth()))
    assert "contoso.com" in one("wildcard-pop-imap", snapshot, wish(facts=wild)).remedy
    assert found("wildcard-pop-imap", healthy(), wish(facts=wild)) == []


def test_old_windows_gets_the_older_file() -> None:
    state = server(info=ServerInfo("EX16", "ex16.contoso.com", version=CU23_2016))
    assert "EX16" in one("pfx-cipher", healthy(state), wish()).message


# --- client authentication --------------------------------------------------------------------------------------------


def partner(**changed: Any) -> Snapshot:
    return healthy(send_connectors=(hybrid_connector(**changed),))


def test_a_connector_without_client_authentication_stops_all() -> None:
    finding = one("client-authentication", partner(), wish(facts=facts(extended_key_usage=SERVER_ONLY)))
    assert finding.severity is Severity.STOP
    assert finding.subject == "Outbound to Office 365"
    assert "certwright exchange acknowledge 'Outbound to Office 365'" in finding.remedy


@pytest.mark.parametrize("name", ["O'Brien Relay", "Zum \u2018Partner\u2019", 'a "quoted" $name'])
def test_a_connector_is_acknowledged_by_a_command_for_the_shell_of_certwright(name: str) -> None:
    snapshot = partner(name=name, identity=name)
    finding = one("client-authentication", snapshot, wish(facts=facts(extended_key_usage=SERVER_ONLY)))
    command = next(line for line in finding.remedy.splitlines() if "acknowledge" in line)
    assert shlex.split(command) == ["certwright", "exchange", "acknowledge", name]


@pytest.mark.parametrize(
    "changed", [{"require_tls": False, "cloud_mail": False, "tls_auth_level": "EncryptionOnly"}, {}]
)
def test_a_connector_without_client_authentication_that_chooses_by_its_name_stops_too(changed: dict[str, Any]) -> None:
    snapshot = partner(tls_certificate_name=None, **changed)
    wanted = wish(facts=facts(extended_key_usage=SERVER_ONLY))
    assert one("client-authentication", snapshot, wanted).severity is Severity.STOP


def test_a_connector_without_client_authentication_may_be_acknowledged_and_no_other_with_it() -> None:
    other = hybrid_connector(name="To partner", identity="To partner", cloud_mail=False)
    snapshot = healthy(send_connectors=(hybrid_connector(), other))
    wanted = wish(facts=facts(extended_key_usage=SERVER_ONLY))
    findings = found("client-authentication", snapshot, wanted, acknowledged=frozenset({"Outbound to Office 365"}))
    assert {f.subject: f.severity for f in findings} == {
        "Outbound to Office 365": Severity.WARN,
        "To partner": Severity.STOP,
    }


@pytest.mark.parametrize(
    ("earlier", "goes_on"),
    [
        ((old(facts=facts(thumbprint=OLD, extended_key_usage=SERVER_ONLY)),), True),
        ((old(facts=facts(thumbprint=OLD, days=-1, extended_key_usage=SERVER_ONLY)),), False),
        ((old(facts=None),), False),
        ((old(), replace(old(), thumbprint=NEW, facts=facts(extended_key_usage=SERVER_ONLY))), False),
    ],
    ids=["it lacked it too", "it expired", "it is not known", "the new one is imported beside it"],
)
def test_a_connector_without_client_authentication_stops_whatever_it_presented_before(
    earlier: tuple[Certificate, ...], goes_on: bool
) -> None:
    snapshot = healthy(server("EX01", *earlier, own(), auth()), send_connectors=(hybrid_connector(),))
    wanted = wish(facts=facts(extended_key_usage=SERVER_ONLY))
    finding = one("client-authentication", snapshot, wanted)
    assert finding.severity is Severity.STOP
    assert ("So does the one that it presents now" in finding.message) is goes_on
    assert "certwright exchange acknowledge 'Outbound to Office 365'" in finding.remedy
    told = one("client-authentication", snapshot, wanted, acknowledged=frozenset({"Outbound to Office 365"}))
    assert told.severity is (Severity.NOTE if goes_on else Severity.WARN)
    assert "You have acknowledged this." in told.message


def test_a_chosen_connector_that_presents_the_wanted_certificate_already_stops_too() -> None:
    there = replace(old(), thumbprint=NEW, subject="CN=new", facts=facts(extended_key_usage=SERVER_ONLY))
    connector = hybrid_connector(tls_certificate_name=there.tls_certificate_name)
    snapshot = healthy(server("EX01", there, own(), auth()), send_connectors=(connector,))
    wanted = wish(facts=facts(extended_key_usage=SERVER_ONLY), connectors=(connector.name,))
    assert one("client-authentication", snapshot, wanted).severity is Severity.STOP


def test_where_smtp_does_not_get_the_certificate_no_connector_presents_it() -> None:
    wanted = wish(facts=facts(extended_key_usage=SERVER_ONLY), services=Service.IIS)
    assert found("client-authentication", partner(), wanted) == []
    held = Certificate(NEW, services=Service.SMTP, facts=facts(extended_key_usage=SERVER_ONLY))
    snapshot = healthy(server("EX01", old(), held, own(), auth()), send_connectors=(hybrid_connector(),))
    assert one("client-authentication", snapshot, wanted).severity is Severity.STOP


def test_a_connector_that_named_the_last_version_needs_it_though_no_server_holds_that_any_more() -> None:
    left = Deployed(thumbprint=OLD, sha256="", servers={}, connectors={"Outbound to Office 365": GONE})
    snapshot = partner(tls_certificate_name=GONE)
    wanted = wish(facts=facts(extended_key_usage=SERVER_ONLY))
    assert found("client-authentication", snapshot, wanted) == []
    assert one("client-authentication", snapshot, replace(wanted, last=left)).severity is Severity.STOP


@pytest.mark.parametrize(
    "changed",
    [
        {"enabled": False},
        {"tls_certificate_name": "<I>CN=Other<S>CN=other.test"},
        {"tls_certificate_name": None, "fqdn": "other.test"},
        {"tls_certificate_name": None, "require_tls": False, "cloud_mail": False, "tls_auth_level": ""},
    ],
    ids=["disabled", "names another", "announces another", "plain internet connector"],
)
def test_a_connector_that_does_not_present_it_needs_no_client_authentication(changed: dict[str, Any]) -> None:
    wanted = wish(facts=facts(extended_key_usage=SERVER_ONLY))
    assert found("client-authentication", partner(**changed), wanted) == []


def test_a_chosen_connector_is_looked_at_whatever_it_names_now() -> None:
    snapshot = partner(tls_certificate_name="<I>CN=Other<S>CN=other.test")
    wanted = wish(facts=facts(extended_key_usage=SERVER_ONLY), connectors=("outbound to Office 365",))
    assert one("client-authentication", snapshot, wanted).severity is Severity.STOP


def test_the_doctor_tells_of_connectors_that_present_such_a_certificate_now() -> None:
    earlier = old(facts=facts(thumbprint=OLD, extended_key_usage=SERVER_ONLY))
    snapshot = healthy(server("EX01", earlier, own(), auth()), send_connectors=(hybrid_connector(),))
    assert one("client-authentication", snapshot).severity is Severity.WARN
    (told,) = found("client-authentication", snapshot, acknowledged=frozenset({"Outbound to Office 365"}))
    assert told.severity is Severity.NOTE


# --- mail -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["send", "receive"])
def test_a_connector_that_names_what_is_not_there(kind: str) -> None:
    value = "<I>CN=R10, O=Let's Encrypt, C=US<S>CN=mail.contoso.com"
    gone = {"tls_certificate_name": value}
    if kind == "send":
        snapshot = healthy(send_connectors=(hybrid_connector(**gone),))
    else:
        snapshot = healthy(server(connectors=(front_end("EX01", **gone),)))
    finding = one("connector-certificate", snapshot)
    assert "454 4.7.5" in finding.message
    assert f"It holds {OLD}, with the same common name only" in finding.message
    assert f"Set-{kind.title()}Connector" in finding.remedy


def test_a_connector_that_follows_and_announces_a_name_that_is_not_on_the_certificate() -> None:
    other = {"fqdn": "smtp.fabrikam.com", "cloud_mail": False}
    finding = one("connector-fqdn", healthy(send_connectors=(hybrid_connector(**other),)), wish())
    assert (finding.severity, finding.subject) == (Severity.WARN, "Outbound to Office 365")
    assert "smtp.fabrikam.com" in finding.message
    assert f"Set-SendConnector -Identity 'Outbound to Office 365' -Fqdn '{MAIL}'" in finding.remedy
    for fine in ({}, {"fqdn": ""}, {**other, "enabled": False}, {**other, "tls_certificate_name": None}):
        assert found("connector-fqdn", healthy(send_connectors=(hybrid_connector(**fine),)), wish()) == []


@pytest.mark.parametrize(("attended", "severity"), [(True, Severity.WARN), (False, Severity.ASK)])
def test_a_receive_connector_that_follows_and_would_lose_the_name_that_it_announces(
    attended: bool, severity: Severity
) -> None:
    lost = "autodiscover.contoso.com"
    earlier = old(facts=facts(MAIL, lost, thumbprint=OLD, days=20))
    named = front_end("EX01", fqdn=lost, tls_certificate_name=earlier.tls_certificate_name)
    wanted = wish(facts=facts(MAIL, thumbprint=NEW))

    def said(connector: Connector, wanted: Wish = wanted) -> list[Finding]:
        there = server("EX01", earlier, own(), auth(), connectors=(connector,))
        return found("connector-fqdn", healthy(there), wanted, attended=attended)

    (finding,) = said(named)
    assert (finding.severity, finding.subject) == (severity, named.identity)
    assert f"announces itself as {lost}" in finding.message
    assert f"Set-ReceiveConnector -Identity '{named.identity}' -Fqdn '{MAIL}'" in finding.remedy
    for fine in ({"fqdn": MAIL}, {"fqdn": "ex01.contoso.com"}, {"enabled": False}, {"tls_certificate_name": None}):
        assert said(replace(named, **fine)) == []
    assert said(named, wish(facts=facts(MAIL, lost, thumbprint=NEW))) == []


@pytest.mark.parametrize(
    ("days", "services", "is_lost"),
    [(40, Service.SMTP, False), (10, Service.SMTP, True), (40, Service.IIS, True)],
    ids=["in use", "valid shorter", "not for SMTP"],
)
def test_of_several_certificates_of_one_name_that_counts_which_a_receive_connector_presents(
    days: int, services: Service, is_lost: bool
) -> None:
    """A version that once had the name stays in the store: nobody is asked for it at every renewal."""
    lost = "autodiscover.contoso.com"
    first = old(facts=facts(MAIL, lost, thumbprint=OLD, days=20))
    second = replace(old(services), thumbprint="E" * 40, facts=facts(MAIL, thumbprint="E" * 40, days=days))
    named = front_end("EX01", fqdn=lost, tls_certificate_name=first.tls_certificate_name)
    there = server("EX01", first, second, own(), auth(), connectors=(named,))
    wanted = wish(facts=facts(MAIL, thumbprint=NEW), predecessors=(second.thumbprint, OLD))
    assert bool(found("connector-fqdn", healthy(there), wanted)) is is_lost
    expired = replace(first, facts=facts(MAIL, lost, thumbprint=OLD, days=-0.5))
    gone = server("EX01", expired, own(), auth(), connectors=(named,))
    assert found("connector-fqdn", healthy(gone), wanted) == []


def test_a_connector_that_will_follow_needs_no_word() -> None:
    gone = hybrid_connector(tls_certificate_name="<I>CN=R10<S>CN=mail.contoso.com")
    wanted = wish(connectors=(gone.identity,))
    assert found("connector-certificate", healthy(send_connectors=(gone,)), wanted) == []


def test_a_connector_that_names_an_expired_certificate() -> None:
    expired = old(facts=facts(thumbprint=OLD, days=-1))
    snapshot = healthy(server("EX01", expired, own(), auth()), send_connectors=(hybrid_connector(),))
    assert "has expired" in one("connector-certificate", snapshot).message


def test_connectors_that_name_several_certificates() -> None:
    twin = old(facts=facts(thumbprint=NEW))
    snapshot = healthy(
        server("EX01", old(), replace(twin, thumbprint=NEW), own(), auth()), send_connectors=(hybrid_connector(),)
    )
    finding = one("same-subject", snapshot)
    assert OLD in finding.message
    assert NEW in finding.message
    assert "certwright exchange cleanup" in finding.remedy


HYBRID = Hybrid(
    tls_certificate_name=old().tls_certificate_name,
    domains=("contoso.com",),
    sending_servers=("EX01",),
    receiving_servers=("EX01", "EX02"),
    edge_servers=("EDGE01",),
)


def test_hybrid_mail_needs_a_name_in_an_accepted_domain() -> None:
    wanted = wish(facts=facts("mail.fabrikam.com", MAIL, "autodiscover.contoso.com"))
    findings = found("hybrid-names", healthy(send_connectors=(hybrid_connector(),)), wanted)
    assert ["550 5.7.64" in finding.message for finding in findings] == [True, False]
    assert found("hybrid-names", healthy(), wanted) == []


def test_hybrid_names_are_looked_at_by_the_doctor_too() -> None:
    strange = hybrid_connector(tls_certificate_name="<I>CN=R11<S>CN=mail.fabrikam.com")
    assert "550 5.7.64" in one("hybrid-names", healthy(send_connectors=(strange,))).message


def test_hybrid_names_that_change_are_told() -> None:
    wanted = wish(facts=facts("smtp.contoso.com", MAIL, "autodiscover.contoso.com"))
    finding = one("hybrid-names", healthy(send_connectors=(hybrid_connector(),)), wanted)
    assert "from mail.contoso.com to smtp.contoso.com" in finding.message
    assert "Get-InboundConnector" in finding.remedy


def test_hybrid_servers_that_get_nothing_are_named() -> None:
    snapshot = healthy(server(), server("EX02"), hybrid=HYBRID, edges=(ServerInfo("EDGE01", "edge01", is_edge=True),))
    assert found("hybrid-names", snapshot, wish()) == []
    assert "EX02" in one("hybrid-names", snapshot, wish(servers=("ex01.contoso.com",))).message


def test_edge_servers_come_with_steps() -> None:
    snapshot = healthy(edges=(ServerInfo("EDGE01", "edge01.contoso.com", is_edge=True),))
    finding = one("edge", snapshot, wish())
    assert finding.severity is Severity.WARN
    assert "Import-ExchangeCertificate" in finding.remedy
    assert f"Enable-ExchangeCertificate -Thumbprint {NEW} -Services SMTP" in finding.remedy
    assert "Answer No" in finding.remedy
    assert one("edge", snapshot).severity is Severity.NOTE


def test_the_file_for_an_edge_server_is_made_by_a_command_that_can_be_pasted() -> None:
    snapshot = healthy(edges=(ServerInfo("EDGE01", "edge01.contoso.com", is_edge=True),))
    finding = one("edge", snapshot, wish(), certificate=shlex.quote("Mail of Contoso"))
    command = next(line for line in finding.remedy.splitlines() if "certwright" in line)
    assert shlex.split(command)[:4] == ["certwright", "certificate", "export", "Mail of Contoso"]
    assert {"--format", "--password-file"} < {*command.split()}


@pytest.mark.parametrize(
    ("state", "word", "severity"),
    [
        (server(internal_transport="F" * 40), "is not in its store", Severity.WARN),
        (server("EX01", old(), own(has_private_key=False), auth()), "has no private key", Severity.WARN),
        (
            server("EX01", old(), own(facts=facts(thumbprint=OWN, days=-1)), auth()),
            "expired on 2026-11-21",
            Severity.WARN,
        ),
        (
            server("EX01", old(), own(facts=facts(thumbprint=OWN, days=30)), auth()),
            "expires on 2026-12-22",
            Severity.WARN,
        ),
        (
            server(internal_transport=OLD, certificates=(old(facts=facts(days=80)), own(), auth())),
            "self-signed",
            "note",
        ),
    ],
    ids=["gone", "without key", "expired", "expires", "public"],
)
def test_the_internal_transport_certificate(state: ServerState, word: str, severity: Severity) -> None:
    finding = one("internal-transport", healthy(state))
    assert word in finding.message
    assert finding.severity == severity


def test_telephony_is_left_to_a_person() -> None:
    state = server("EX01", old(Service.IIS | Service.SMTP | Service.UM), own(), auth())
    finding = one("um-services", healthy(state), wish())
    (commands_told,) = (told for are_commands, told in parts(finding.remedy) if are_commands)
    assert commands_told.splitlines() == [
        "Stop-Service MSExchangeUM",
        f"Enable-ExchangeCertificate -Server 'EX01' -Thumbprint {NEW} -Services 'UM'",
        "Start-Service MSExchangeUM",
    ]
    assert found("um-services", healthy(), wish()) == []


# --- servers ----------------------------------------------------------------------------------------------------------


def with_auth(*certificates: Certificate, **changed: Any) -> Snapshot:
    return healthy(server("EX01", old(), own(), *certificates), **changed)


@pytest.mark.parametrize(
    ("snapshot", "word"),
    [
        (with_auth(), "missing on EX01"),
        (with_auth(auth(days=-1)), "expired on 2026-11-21"),
        (with_auth(auth(days=30)), "expires on 2026-12-22, and no next one is set"),
        (with_auth(auth(facts=facts(thumbprint=AUTH))), "no self-signed one"),
        (with_auth(auth(facts=replace(auth().facts or facts(), key="ecdsa-p256"))), "cannot sign tokens"),
        (with_auth(auth(has_private_key=False)), "has no private key"),
    ],
    ids=["missing", "expired", "expires", "public", "ecc", "without key"],
)
def test_the_auth_certificate(snapshot: Snapshot, word: str) -> None:
    finding = one("auth-certificate", snapshot)
    assert word in finding.message
    assert finding.severity is Severity.WARN


def test_an_auth_certificate_that_has_a_successor_may_expire() -> None:
    snapshot = with_auth(auth(days=30), auth=SigningCertificates(current=AUTH, next="E" * 40))
    assert found("auth-certificate", snapshot) == []


@pytest.mark.parametrize(
    ("certificates", "word"),
    [
        ((old(), own(iis_sites=frozenset()), auth()), "none is bound"),
        ((old(), own(facts=facts(thumbprint=OWN, days=-1)), auth()), "expired on 2026-11-21"),
        ((old(iis_sites=frozenset({1, 2})), own(iis_sites=frozenset()), auth()), "not self-signed"),
    ],
    ids=["deleted", "expired", "public"],
)
def test_the_back_end(certificates: tuple[Certificate, ...], word: str) -> None:
    finding = one("back-end-certificate", healthy(server("EX01", *certificates)))
    assert word in finding.message
    assert "never touches that site" in finding.remedy


def test_a_back_end_of_which_nothing_is_known_is_not_called_ill() -> None:
    blind = tuple(replace(c, iis_sites=None) for c in (old(), own(), auth()))
    assert found("back-end-certificate", healthy(server("EX01", *blind))) == []


@pytest.mark.parametrize(
    "ill",
    [
        old(facts=facts(thumbprint=OLD, days=-1)),
        old(facts=facts(thumbprint=OLD, days=13)),
        old(status="Revoked"),
        old(has_private_key=False),
    ],
)
def test_a_web_site_certificate_that_is_ill(ill: Certificate) -> None:
    snapshot = healthy(server("EX01", ill, own(), auth()))
    assert OLD in one("current-certificate", snapshot).message
    assert found("current-certificate", snapshot, wish()) == []


def with_bindings(*bindings: Binding) -> Snapshot:
    return healthy(server(host=HostFacts(bindings=bindings)))


@pytest.mark.parametrize(
    ("binding", "word"),
    [
        (Binding("10.0.0.5:443:", 1, OLD), "for one address"),
        (Binding(f"*:443:{MAIL}", 1, OLD, sni=True), "SNI"),
        (Binding("*:443:shop.contoso.com", 3, OLD, sni=True), "SNI"),
    ],
)
def test_bindings_that_hide_the_certificate(binding: Binding, word: str) -> None:
    finding = one("iis-bindings", with_bindings(Binding("*:443:", 1, OLD), binding), wish())
    assert word in finding.message
    assert binding.information in finding.message


def test_the_bindings_that_setup_makes_hide_nothing() -> None:
    usual = (Binding("*:443:", 1, OLD), Binding("127.0.0.1:443:", 1, OLD), Binding("*:444:", 2, OWN))
    assert found("iis-bindings", with_bindings(*usual), wish()) == []


@pytest.mark.parametrize("key", [KeyStorage(OLD, ""), KeyStorage(OLD, "RSA SChannel", "Signature")])
def test_keys_in_the_wrong_place(key: KeyStorage) -> None:
    finding = one("key-storage", healthy(server(host=HostFacts(bindings=(), keys=(key,)))))
    assert finding.severity is Severity.WARN
    wanted = replace(key, thumbprint=NEW)
    stored = server("EX01", old(), own(), auth(), Certificate(NEW, Service.NONE, facts=facts()))
    state = replace(stored, host=HostFacts(bindings=(), keys=(wanted,)))
    assert one("key-storage", healthy(state), wish()).severity is Severity.STOP


def test_keys_that_serve_nothing_do_not_matter() -> None:
    state = server(host=HostFacts(bindings=(), keys=(KeyStorage("9" * 40, ""),)))
    assert found("key-storage", healthy(state)) == []


def test_a_key_that_transport_cannot_read() -> None:
    key = KeyStorage(OLD, "Microsoft RSA SChannel Cryptographic Provider", "Exchange", ("BUILTIN\\Administrators",))
    finding = one("key-access", healthy(server(host=HostFacts(bindings=(), keys=(key,)))))
    assert "-NetworkServiceAllowed" in finding.remedy
    readable = replace(key, readers=(*key.readers, "NT AUTHORITY\\NETWORK SERVICE Allow FullControl"))
    assert found("key-access", healthy(server(host=HostFacts(bindings=(), keys=(readable,))))) == []


def test_a_server_without_way_to_the_revocation_list() -> None:
    finding = one(
        "revocation-check-failure", healthy(server("EX01", old(status="RevocationCheckFailure"), own(), auth()))
    )
    assert finding.severity is Severity.WARN
    assert "netsh winhttp show proxy" in finding.remedy


@pytest.mark.parametrize(
    ("minutes", "severity"),
    [(4, None), (-4, None), (6, Severity.WARN), (-6, Severity.WARN), (-60 * 25, Severity.STOP)],
)
def test_clocks_that_disagree(minutes: int, severity: Severity | None) -> None:
    findings = found("clock-skew", healthy(server(clock_skew=timedelta(minutes=minutes))), wish())
    assert [finding.severity for finding in findings] == ([severity] if severity else [])


def test_servers_being_worked_on_are_deferred() -> None:
    finding = one(
        "away", healthy(server(away="it is in maintenance (component ServerWideOffline is Inactive)")), wish()
    )
    assert finding.severity is Severity.WARN
    assert "ServerWideOffline" in finding.message


def test_versions_that_do_not_go_together() -> None:
    old_one = server("EX13", info=ServerInfo("EX13", "ex13.contoso.com", version=CU23_2013))
    assert "EX13" in one("version-mix", healthy(server(), old_one), wish()).message


def test_versions_without_support_are_told_by_the_doctor() -> None:
    state = server(info=ServerInfo("EX16", "ex16.contoso.com", version=CU23_2016))
    assert "EX16 (2016 CU23)" in one("version-mix", healthy(state)).message
    assert found("version-mix", healthy(state), wish()) == []


# --- the organisation -------------------------------------------------------------------------------------------------


def without(*cmdlets: str) -> Snapshot:
    rights = {name: parameters for name, parameters in RIGHTS.items() if name not in cmdlets}
    return healthy(rights=rights, send_connectors=(hybrid_connector(),))


@pytest.mark.parametrize(
    ("cmdlet", "severity", "group"),
    [
        ("Import-ExchangeCertificate", Severity.STOP, "Server Management"),
        ("Get-ExchangeCertificate", Severity.STOP, "View-Only Organization Management"),
        ("Set-SendConnector", Severity.STOP, "Organization Management"),
        ("Set-ReceiveConnector", Severity.WARN, "Server Management"),
        ("Set-PopSettings", Severity.WARN, "Server Management"),
        ("Set-HybridConfiguration", Severity.WARN, "Organization Management"),
        ("Remove-ExchangeCertificate", Severity.WARN, "Server Management"),
        ("Get-Queue", Severity.WARN, "View-Only Organization Management"),
    ],
)
def test_missing_rights_stop_only_where_they_are_needed(cmdlet: str, severity: Severity, group: str) -> None:
    finding = one("rights", without(cmdlet), wish())
    assert finding.severity is severity
    assert cmdlet in finding.message
    assert f"into {group}," in finding.remedy


def test_missing_rights_to_pop_matter_if_pop_is_wanted() -> None:
    wanted = wish(services=Service.POP)
    assert one("rights", without("Set-PopSettings"), wanted).severity is Severity.STOP


def test_missing_rights_to_a_parameter_are_named() -> None:
    rights = {**RIGHTS, "Set-SendConnector": frozenset({"Identity"})}
    assert "the parameters TlsCertificateName of Set-SendConnector" in one("rights", healthy(rights=rights)).message


def test_rights_that_are_not_known_are_not_missing() -> None:
    assert found("rights", healthy(rights=None), wish()) == []
    assert one("rights", healthy(rights=None)).severity is Severity.ASK


def test_servers_that_do_not_answer() -> None:
    info = ServerInfo("EX02", "ex02.contoso.com")
    why = Unknown("EX02", "the whole server", "EX02 does not answer on port 80.")
    snapshot = healthy(unread=(info,), unknown=(why,))
    finding = one("reachability", snapshot, wish())
    assert finding.severity is Severity.WARN
    assert "does not answer on port 80" in finding.message
    assert one("reachability", snapshot, wish(servers=("ex01.contoso.com", "EX02"))).severity is Severity.STOP
    assert found("unknown", snapshot, wish()) == []
    assert one("reachability", snapshot).severity is Severity.ASK


def test_a_server_that_is_away_and_does_not_answer_was_not_seen() -> None:
    why = Unknown("EX02", "the whole server", "EX02 does not answer on port 80.")
    snapshot = healthy(server(), server("EX02", away="in maintenance; it does not answer", unknown=(why,)))
    finding = one("reachability", snapshot)
    assert (finding.severity, finding.subject) == (Severity.ASK, "EX02")
    assert found("reachability", snapshot, wish()) == []


@pytest.mark.parametrize(
    "rows",
    [
        (),
        (shown(None, "EX01"), shown(None, "EX02")),
        (shown("fault sign-in", "EX01", service="sign-in"), shown("200 /owa", "EX01", service="web")),
    ],
    ids=["none", "all silent", "answers only"],
)
def test_ports_that_nobody_saw(rows: tuple[ServedRow, ...]) -> None:
    finding = one("served", healthy(), rows=rows)
    assert (finding.severity, finding.message.partition(":")[0]) == (Severity.ASK, "No port was seen")
    assert "parameter verify" in finding.remedy


def test_forgotten_servers() -> None:
    snapshot = healthy(server(dag="DAG1"), server("EX02", dag="DAG1", addresses=()), server("EX03", addresses=()))
    finding = one("targets", snapshot, wish(servers=("ex01.contoso.com",)))
    assert "EX02, EX03 keep their certificates" in finding.message
    assert "EX02 serve the same names" in finding.message
    assert "--add servers=ex02.contoso.com --add servers=ex03.contoso.com" in finding.remedy
    assert found("targets", snapshot, wish()) == []


@pytest.mark.parametrize(("attended", "severity"), [(True, Severity.WARN), (False, Severity.ASK)])
def test_a_server_that_is_no_longer_among_those_of_the_task_is_asked_for(attended: bool, severity: Severity) -> None:
    snapshot = healthy(server(), server("EX02"))
    left = deployed(snapshot, facts(thumbprint=OLD), {s.server: Service.IIS for s in snapshot.servers})
    wanted = wish(servers=("ex01.contoso.com",), last=left)
    finding = one("targets", snapshot, wanted, attended=attended)
    assert finding.severity is severity
    assert "EX02 got the last one from here, and still use it until it expires" in finding.message
    unused = healthy(server(), server("EX02", own("EX02"), old(services=Service.NONE)))
    assert one("targets", unused, wanted, attended=attended).severity is Severity.WARN


@pytest.mark.parametrize(("attended", "severity"), [(True, Severity.WARN), (False, Severity.ASK)])
def test_another_client_at_work(attended: bool, severity: Severity) -> None:
    rival = Rival("EX01", "win-acme", "task win-acme renew", "Disable-ScheduledTask -TaskName 'win-acme renew'")
    finding = one("rivals", healthy(rivals=(rival,)), wish(), attended=attended)
    assert finding.severity is severity
    assert rival.disable in finding.remedy


@pytest.mark.parametrize(
    ("attended", "proven", "asks"), [(True, False, False), (False, True, False), (False, False, True)]
)
def test_nothing_is_changed_unattended_before_it_worked_once(attended: bool, proven: bool, asks: bool) -> None:
    findings = found("supervision", healthy(), wish(), attended=attended, proven=proven)
    assert [finding.severity for finding in findings] == [Severity.ASK] * asks


def test_a_balancer_with_its_own_certificate() -> None:
    rows = (shown("aa", server="ex01.contoso.com"), shown("bb", server="", address="mail.contoso.com"))
    finding = one("load-balancer", healthy(), rows=rows)
    assert "mail.contoso.com:443 serves bb" in finding.message
    assert "Extended Protection" in finding.message


def test_servers_that_serve_different_certificates() -> None:
    rows = (shown("aa", server="ex01.contoso.com"), shown("bb", server="EX02"))
    assert (
        "aa on ex01.contoso.com; bb on EX02"
        in one("load-balancer", healthy(server(), server("EX02")), rows=rows).message
    )


@pytest.mark.parametrize("front", ["aa", None])
def test_a_balancer_that_passes_tls_on_is_in_order(front: str | None) -> None:
    rows = (shown("aa", server="ex01.contoso.com"), shown(front, server=""))
    assert found("load-balancer", healthy(), rows=rows) == []


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        ({"valid": False}, "clients refuse this certificate"),
        ({"verdict": Verdict.STALE, "detail": "serves the earlier one"}, "stale: serves the earlier one"),
    ],
)
def test_ports_that_serve_what_they_should_not(changed: dict[str, Any], word: str) -> None:
    assert word in one("served", healthy(), rows=(shown("aa", "EX01", **changed),)).message


def test_ports_of_one_server_that_serve_the_same_are_told_together() -> None:
    stale = {"verdict": Verdict.STALE, "detail": "serves the earlier one"}
    rows = [shown("aa", name, port=port, **stale) for name in ("EX01", "EX02") for port in (443, 444)]
    findings = found("served", healthy(), wish(), rows=rows, certificate="'Contoso mail'")
    assert [(f.subject, f.message) for f in findings] == [
        (name, f"{name}: IIS at 10.0.0.1, port 443, IIS at 10.0.0.1, port 444: stale: serves the earlier one.")
        for name in ("EX01", "EX02")
    ]
    assert "\n    certwright exchange plan 'Contoso mail'" in findings[0].remedy


def test_the_back_end_is_self_signed_by_design() -> None:
    row = shown("aa", "EX01", service="IIS back end", port=444, valid=False)
    assert found("served", healthy(), rows=(row,)) == []


def test_what_could_not_be_read_is_listed() -> None:
    state = server(unknown=(Unknown("EX01", "the POP settings", "Access is denied."),))
    finding = one("unknown", healthy(state))
    assert "the POP settings of EX01: Access is denied." in finding.message


def test_send_connectors_that_cannot_be_read_are_a_warning() -> None:
    assert one("unknown", healthy(send_connectors=None), wish()).severity is Severity.WARN


def test_hosts_that_are_not_looked_into_are_told_by_the_doctor() -> None:
    snapshot = organisation(rights=RIGHTS)
    assert "winrm" in one("unknown", snapshot).remedy


# --- what is to be typed ----------------------------------------------------------------------------------------------


def very_ill(name: str = "EX01") -> tuple[Snapshot, Wish]:
    """As much at once as can be wrong with one server and its organisation."""
    ill = server(
        name,
        old(Service.IIS | Service.SMTP | Service.UM, status="RevocationCheckFailure"),
        own(facts=facts(thumbprint=OWN, days=-1)),
        addresses=addresses(name, internal="ex01.contoso.local"),
        clock_skew=timedelta(hours=1),
        host=HostFacts(
            bindings=(Binding("10.0.0.5:443:", 1, OLD),),
            keys=(KeyStorage(OLD, "", readers=("x",)), KeyStorage(OWN, "RSA", "Signature")),
        ),
    )
    gone = hybrid_connector(
        name=name, identity=name, tls_certificate_name="<I>CN=R1<S>CN=mail.fabrikam.com", source_servers=(name,)
    )
    snapshot = organisation(
        ill,
        send_connectors=(hybrid_connector(), gone),
        edges=(ServerInfo(name, name, is_edge=True),),
        rivals=(Rival(name, "win-acme", "task", "Disable-ScheduledTask -TaskName 'win-acme renew'"),),
        rights={},
        hybrid=HYBRID,
    )
    return snapshot, wish(facts=facts("mail.fabrikam.com", MAIL, extended_key_usage=SERVER_ONLY))


@pytest.mark.parametrize("name", ["EX01", "O'Brien's", "a; Remove-Mailbox 'x'"])
def test_every_command_that_a_person_is_given_is_powershell(name: str) -> None:
    snapshot, wanted = very_ill(name)
    findings = (*check(snapshot, wanted, NOW), *check(snapshot, None, NOW))
    advice = (part for finding in findings for part in parts(finding.remedy))
    told = {command for are_commands, part in advice if are_commands for command in part.split("\n")}
    typed = {command for command in told if not command.startswith("certwright ")}
    assert {command.partition(" ")[0] for command in typed} >= {
        *("Set-OwaVirtualDirectory", "Set-SendConnector", "Get-InboundConnector", "Import-ExchangeCertificate"),
        *("New-ExchangeCertificate", "Stop-Service", "Set-AuthConfig", "Remove-ExchangeCertificate", "certutil"),
        *("Enable-ExchangeCertificate", "netsh", "w32tm", "Disable-ScheduledTask"),
    }
    assert [command for command in sorted(typed) if PARSER.parse(command.encode()).root_node.has_error] == []
    assert not any("Remove-Mailbox" in re.sub(r"'(?:[^']|'')*'", "", command) for command in typed)


def test_every_check_is_tried_here() -> None:
    written = Path(__file__).read_text()
    assert [name for name in CHECKS if f'"{name}"' not in written] == []
