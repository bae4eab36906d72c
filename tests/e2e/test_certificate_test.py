"""`certwright certificate test` with real name servers: obstacles are found before the authority is asked."""

import json
import socketserver
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from pathlib import Path
from threading import Thread

import dns.message
import dns.query
import dns.rcode
import dns.rdatatype
import dns.resolver
import pytest

from certwright.acme_server import AcmeServerConfig, Endpoint, ValidationConfig
from certwright.cli.show import report_lines
from certwright.domain.errors import NotProved, SolverError
from certwright.domain.managed import ManagedCertificate
from certwright.domain.readiness import Check, Readiness, Report
from certwright.domain.runs import Outcome, RunKind
from certwright.domain.validation import Validation
from certwright.engine.caa import refuse_forbidden
from certwright.engine.issuers import add_issuer
from certwright.engine.managed import Wish, create
from certwright.engine.test import test as attempt
from certwright.engine.validations import put_validation
from certwright.sdk.journal import SilentJournal
from peers.bind import World, bind_world
from peers.ports import free_port
from world.proofs import CREDENTIAL, Proofs
from world.site import ISSUER, Site, authority

pytestmark = pytest.mark.e2e
CONFIG = AcmeServerConfig(validation=ValidationConfig(timeout=3))


def report_of(one: Proofs, managed: ManagedCertificate) -> Report:
    """The report; nothing may have been asked of the authority, and nothing may be left."""
    with one.site.engine() as engine:
        report = attempt(engine, managed.id)
        with engine.store.read() as unit:
            run = unit.runs.list(managed.id)[0]
            assert (run.kind, run.outcome) == (RunKind.TEST, Outcome.DONE)
    assert one.ca.server.requests[Endpoint.NEW_ORDER] == 0
    assert one.standing("_acme-challenge.contoso.com") == []
    return report


def long_name(length: int) -> str:
    beginning, end = ".".join(["a", *["a" * 60] * 3]), "contoso.com"
    return f"{beginning}.{'b' * (length - len(beginning) - len(end) - 2)}.{end}"


@pytest.mark.parametrize("length", [237, 253])
def test_a_long_name_has_its_report(one: Proofs, length: int) -> None:
    name = long_name(length)
    with one.world.holding("contoso.com", name, "A", "127.0.0.1"), one.site.engine() as engine:
        managed = create(engine, Wish(names=(name,), issuer=ISSUER, validation=one.ca.validation))
        assert report_of(one, managed).is_ready
        by_dns = (Validation(challenge="dns-01", solver="dns", params={"credential": CREDENTIAL}),)
        with engine.store.write() as unit:
            unit.managed.update(managed.model_copy(update={"validations": by_dns}))
        failed = {check.check: check for check in report_of(one, managed).checks if check.verdict is Readiness.FAILED}
    if length == 237:
        assert not failed
    else:
        assert "choose http-01" in failed["capabilities"].fix


def caa(one: Proofs, *records: str) -> AbstractContextManager[None]:
    """These CAA records, on both servers."""
    return one.world.holding("contoso.com", "contoso.com", "CAA", *records)


def the(report: Report, check: str, subject: str) -> Check:
    (found,) = [c for c in report.checks if c.check == check and c.subject == subject]
    return found


def test_all_is_well(one: Proofs) -> None:
    report = report_of(one, one.describe("contoso.com", "*.contoso.com"))
    assert report.is_ready
    assert {c.check for c in report.checks} == {"capabilities", "account", "limits", "caa", "zone", "sign-in", "proof"}
    assert {c.verdict for c in report.checks} == {Readiness.OK}


def test_a_request_that_caa_forbids_is_not_made(one: Proofs) -> None:
    managed = one.describe("contoso.com", "*.contoso.com")
    with caa(one, '0 issue "other.example"'), pytest.raises(SolverError) as raised:
        one.request(managed)
    assert raised.value.hint == 'Add the CAA record 0 issue "ca.contoso.com" at contoso.com.'
    assert one.ca.server.requests[Endpoint.NEW_ORDER] == 0
    one.request(managed)


def test_an_issuer_that_caa_would_not_let_stand_in_is_warned_of(one: Proofs) -> None:
    managed = one.describe("contoso.com")
    with one.site.engine() as engine, engine.store.write() as unit:
        issuer = unit.issuers.get(managed.issuer)
        other = issuer.capabilities.model_copy(update={"caa_identities": ("other.example",)})
        second = issuer.model_copy(update={"name": "second", "kind": "absent", "capabilities": other})
        unit.issuers.add(second, b"")
        unit.managed.update(managed.model_copy(update={"fallback_issuers": ("second",)}))
    with caa(one, '0 issue "ca.contoso.com"'):
        report = report_of(one, managed)
    assert report.is_ready
    (warned,) = [c for c in report.checks if c.check == "caa" and c.verdict is Readiness.WARNING]
    assert warned.evidence.startswith("second could not stand in. ")


def test_what_nobody_looked_at_is_not_called_seen(one: Proofs) -> None:
    managed = one.describe("contoso.com")
    port = {"address": "127.0.0.1", "port": free_port(), "precheck": False}
    with one.site.engine() as engine:
        way = Validation(challenge="http-01", solver="http_listener", params=port)
        put_validation(engine, managed.id, way)
    report = report_of(one, managed)
    (proof,) = [c for c in report.checks if c.check == "proof"]
    assert proof.verdict is Readiness.NOT_LOOKED_AT
    assert "looked at by nobody, as was chosen" in proof.evidence
    passed = report.model_copy(update={"checks": tuple(c for c in report.checks if c.verdict is not Readiness.FAILED)})
    assert "Nothing that was looked at keeps a request from succeeding." in report_lines(passed)[-1]


@pytest.mark.parametrize(
    ("records", "failing"),
    [
        (['0 issue "other.example"'], ["contoso.com", "*.contoso.com"]),
        (['0 issue "ca.contoso.com"', '0 issuewild ";"'], ["*.contoso.com"]),
        (['0 issue "ca.contoso.com; validationmethods=http-01"'], ["contoso.com", "*.contoso.com"]),
        (['0 issue "ca.contoso.com; accounturi=https://ca.contoso.com/9"'], ["contoso.com", "*.contoso.com"]),
        (['0 issue "ca.contoso.com; validationmethods=dns-01"'], []),
    ],
)
def test_caa_is_judged_for_this_authority_account_and_challenge(
    one: Proofs, records: list[str], failing: list[str]
) -> None:
    managed = one.describe("contoso.com", "*.contoso.com")
    with caa(one, *records):
        report = report_of(one, managed)
    wrong = [c for c in report.checks if c.verdict is Readiness.FAILED]
    assert [(c.check, c.subject) for c in wrong] == [("caa", name) for name in failing]
    assert all(c.fix for c in wrong)


def test_a_name_that_leads_nowhere(one: Proofs) -> None:
    managed = one.describe("web.contoso.com", "gone.contoso.com")
    with one.site.engine() as engine:
        put_validation(engine, managed.id, one.ca.validation)
    report = report_of(one, managed)
    assert the(report, "resolves", "web.contoso.com").verdict is Readiness.OK
    gone = the(report, "resolves", "gone.contoso.com")
    assert gone.verdict is Readiness.FAILED
    assert "NXDOMAIN" in gone.evidence
    assert gone.fix


def test_a_lame_server_is_a_warning_and_a_dead_delegation_is_not(one: Proofs) -> None:
    """Resolvers go on to the next server, but not for ever."""
    world = one.world
    world.zone("lame.com", servers={"ns1.lame.com": [world.primary], "ns2.lame.com": [world.parent]})
    report = report_of(one, one.describe("lame.com", timeout=1))
    assert the(report, "dns-lame-server", "lame.com").verdict is Readiness.WARNING
    world.delegate("dead.com", {"ns1.dead.com": ["127.255.255.253"]})
    report = report_of(one, one.describe("dead.com", timeout=1))
    assert [c.check for c in report.checks if c.subject == "dead.com" and c.verdict is Readiness.FAILED]


def test_a_delegation_rule_needs_its_cname_in_the_dns(one: Proofs) -> None:
    managed = one.describe("ruled.contoso.com", "*.ruled.contoso.com", delegations=["*.contoso.com:here.contoso.com"])
    name = "_acme-challenge.ruled.contoso.com"
    report = report_of(one, managed)
    unseen = the(report, "dns-rule-unseen", name)
    assert unseen.verdict is Readiness.FAILED
    assert unseen.evidence.endswith(f"no CNAME leads there: {name} is no alias.")
    assert unseen.fix == f"Create the record {name}. CNAME here.contoso.com. in the public DNS, or remove the rule."
    (proof,) = [c for c in report.checks if c.check == "proof"]
    assert "seen where rules have them written" in proof.evidence
    with one.world.holding("contoso.com", name, "CNAME", "web.contoso.com."):
        assert "leads to web.contoso.com." in the(report_of(one, managed), "dns-rule-unseen", name).evidence
    with one.world.holding("contoso.com", name, "CNAME", "here.contoso.com."):
        assert report_of(one, managed).is_ready


def test_a_delegation_that_makes_a_name_too_long_hides_no_other_problem(one: Proofs) -> None:
    managed = one.describe("long.contoso.com", delegations=[f"*.contoso.com:*.{'.'.join(['x' * 60] * 4)}"])
    report = report_of(one, managed)
    assert "too long a name" in the(report, "delegation", "long.contoso.com").evidence
    assert the(report, "zone", "contoso.com").verdict is Readiness.OK


def asks_inside(world: World, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the system's resolver be that of `world`, whose servers nobody can ask over the internet."""
    system = folder / "resolv.conf"
    system.write_text(f"nameserver {world.resolver.removesuffix(':53')}\n")
    monkeypatch.setattr(dns.resolver, "Resolver", partial(dns.resolver.Resolver, filename=str(system)))


def test_a_rule_whose_cname_may_be_there_for_outsiders_is_a_warning(
    one: Proofs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system's resolver may be one that sees the DNS inside alone."""
    managed = one.describe("ruled.contoso.com", delegations=["*.contoso.com:here.contoso.com"])
    asks_inside(one.world, tmp_path, monkeypatch)
    with one.site.engine() as engine:
        report = attempt(replace(engine, resolvers=()), managed.id)
    unseen = the(report, "dns-rule-unseen", "_acme-challenge.ruled.contoso.com")
    assert unseen.verdict is Readiness.WARNING
    assert "set CERTWRIGHT_RESOLVERS to a resolver that sees the public DNS" in unseen.fix
    assert report.is_ready


def test_where_inside_and_outside_differ_a_proof_seen_inside_is_worth_little(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The provider writes inside, and the system's resolver looks there; the authority sees the zone outside."""
    asks_inside(world, tmp_path, monkeypatch)
    with bind_world() as outside:
        outside.zone("contoso.com")
        with authority(CONFIG, resolver=outside.resolver) as ca:
            site = Site(tmp_path).initialise()
            with site.engine() as engine:
                add_issuer(engine, "acme", ISSUER, ca.params, internal_names=False, eab=None)
            one = Proofs(site, ca, world)
            one.store()
            managed = one.describe("contoso.com")
            report = report_of(one, managed)
            with pytest.raises(NotProved) as raised:
                one.request(managed)
    warned = the(report, "dns-split-horizon", "contoso.com")
    assert warned.verdict is Readiness.WARNING
    assert world.primary in warned.evidence
    assert "set CERTWRIGHT_RESOLVERS to a resolver that sees the public DNS" in warned.fix
    assert "seen in the DNS inside" in the(report, "proof", "dns-01 by dns").evidence
    assert "[dns-split-horizon]" in str(raised.value.causes[-1])
    assert "set CERTWRIGHT_RESOLVERS to a resolver that sees the public DNS" in raised.value.hint


def test_an_authority_inside_sees_the_dns_inside(one: Proofs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asks_inside(one.world, tmp_path, monkeypatch)
    managed = one.describe("contoso.com")
    with one.site.engine() as engine:
        with engine.store.write() as unit:
            issuer = unit.issuers.get(managed.issuer)
            inside = issuer.capabilities.model_copy(update={"internal_names": True})
            unit.issuers.update(issuer.model_copy(update={"capabilities": inside}))
        report = attempt(replace(engine, resolvers=()), managed.id)
    assert not [c for c in report.checks if c.check == "dns-split-horizon"]
    assert "seen as the authority would see them" in the(report, "proof", "dns-01 by dns").evidence


def test_the_zone_that_a_challenge_is_delegated_to_is_looked_at(one: Proofs) -> None:
    one.world.zone("unsigned.com")
    managed = one.describe("deleg.contoso.com")
    name = "_acme-challenge.deleg.contoso.com"
    with one.world.holding("contoso.com", name, "CNAME", "proof.unsigned.com."):
        assert the(report_of(one, managed), "zone", "unsigned.com").verdict is Readiness.OK
        one.world.records("com", "unsigned.com", "DS", "12345 13 2 " + "ab" * 32)
        report = report_of(one, managed)
        one.world.records("com", "unsigned.com", "DS")
    assert the(report, "zone", "contoso.com").verdict is Readiness.OK
    wrong = the(report, "dns-dnssec", "unsigned.com")
    assert wrong.verdict is Readiness.FAILED
    assert wrong.fix == "Sign the zone, or have the registrar remove the DS record at once."
    one.world.delegate("astray.com", {"ns1.astray.com": [one.world.parent]})
    with one.world.holding("contoso.com", name, "CNAME", "proof.astray.com."):
        report = report_of(one, managed)
    assert the(report, "dns-lame-server", "astray.com").fix.startswith("Let them load the zone")
    assert not report.is_ready
    one.world.delegate("moved.com", {"ns1.moved.com": [one.world.primary]})
    with one.world.holding("contoso.com", name, "CNAME", "proof.moved.com."):
        report = report_of(one, managed)
    dead = the(report, "delegation", "deleg.contoso.com")
    assert dead.evidence.startswith(f"{name} is an alias of proof.moved.com, where no record can be written.")
    assert dead.fix == f"Correct or remove the CNAME record at {name}."
    assert the(report, "dns-lame-server", "moved.com").fix.startswith("Let them load the zone")
    with one.world.holding("contoso.com", name, "CNAME", "proof.unregistered.com."):
        astray = the(report_of(one, managed), "delegation", "deleg.contoso.com")
    assert astray.verdict is Readiness.FAILED
    assert "unregistered.com is not in the DNS" in astray.evidence
    assert astray.fix == f"Correct or remove the CNAME record at {name}."


def test_the_resolvers_of_the_settings_are_asked_for_the_names(one: Proofs) -> None:
    """What only they know is looked at by http-01, too."""
    managed = one.describe("web.contoso.com")
    way = one.ca.validation.model_copy(update={"params": {"address": "127.0.0.1", "port": one.ca.http_port}})
    with one.site.engine() as engine:
        put_validation(engine, managed.id, way)
    (proof,) = [c for c in report_of(one, managed).checks if c.check == "proof"]
    assert "127.0.0.1" in proof.evidence  # nobody answers at its port 80, but it was found


def test_a_key_that_was_changed_at_the_server(one: Proofs) -> None:
    managed = one.describe("contoso.com")
    with one.site.engine() as engine, engine.store.write() as unit:
        kind, values = unit.credentials.typed("dns", "primary")
        unit.credentials.add_typed(
            "dns", kind, "primary", {k: v for k, v in values.items() if k != "key"}, {"key": "b3RoZXI="}
        )
    report = report_of(one, managed)
    refused = the(report, "sign-in", "dns-01 by dns")
    assert refused.verdict is Readiness.FAILED
    assert "'primary'" in refused.fix
    assert not [c for c in report.checks if c.check == "proof"]


def test_an_authority_that_is_away_hides_no_other_problem(one: Proofs) -> None:
    managed = one.describe("contoso.com", timeout=1)
    with one.site.engine() as engine, engine.store.write() as unit:
        issuer = unit.issuers.get(managed.issuer)
        unit.issuers.update(
            issuer.model_copy(update={"params": {**issuer.params, "directory": "https://127.0.0.1:1/d"}})
        )
    one.world.secondary_server.stop()
    try:
        report = report_of(one, managed)
    finally:
        one.world.secondary_server.start()
    assert the(report, "account", managed.issuer).verdict is Readiness.FAILED


def test_from_the_command_line(one: Proofs) -> None:
    managed = one.describe("contoso.com")
    with caa(one, '0 issue ";"'):
        told = one.site.cli("certificate", "test", managed.id, code=1)
        data = json.loads(one.site.cli("certificate", "test", managed.id, "--json", code=1).out)
    assert told.out.startswith("failed")
    assert data["ready"] is False
    assert [c["check"] for c in data["checks"] if c["verdict"] == "failed"] == ["caa"]
    one.site.cli("certificate", "test", managed.id, code=0)


def test_caa_behind_an_alias_names_its_end_and_a_fix_that_can_be_carried_out(one: Proofs) -> None:
    one.world.zone("cdn.com", 'lb A 127.0.0.1\nlb CAA 0 issue "other.example"\n')
    with one.world.holding("contoso.com", "cdn.contoso.com", "CNAME", "lb.cdn.com."):
        managed = one.describe("cdn.contoso.com")
        check = the(report_of(one, managed), "caa", "cdn.contoso.com")
        with pytest.raises(SolverError) as raised:
            one.request(managed)
    assert "The CAA records at lb.cdn.com (cdn.contoso.com is an alias of it) do not let" in check.evidence
    assert check.fix == raised.value.hint
    assert check.fix.startswith('Add the CAA record 0 issue "ca.contoso.com" at lb.cdn.com. If lb.cdn.com is not yours')
    assert "replace the CNAME record at cdn.contoso.com by A and AAAA records" in check.fix


@pytest.mark.parametrize("alias", [True, False], ids=["behind an alias", "of the zone itself"])
def test_caa_that_cannot_be_found_out_spends_no_attempt(one: Proofs, alias: bool) -> None:
    """The target's servers do not serve its zone; those of the name are well."""
    world, name = one.world, "mail.contoso.com" if alias else "mail.unserved.com"
    world.delegate("unserved.com", {"ns1.unserved.com": [world.primary]})
    with world.holding("contoso.com", "mail.contoso.com", "CNAME", "x.unserved.com."):
        managed = one.describe(name)
        report = report_of(one, managed)
        with pytest.raises(SolverError) as raised:
            one.request(managed)
    assert one.ca.server.requests[Endpoint.NEW_ORDER] == 0
    told = "\n".join(raised.value.explain())
    assert "[dns-lame-server]" in told
    assert "ns1.unserved.com" in told
    assert raised.value.hint.startswith("Let them load the zone")
    check = the(report, "caa", name)
    assert check.evidence in told
    for fix in (check.fix, raised.value.hint):
        assert "Let the name servers of unserved.com answer questions for CAA" in fix
        assert ("replace the CNAME record at mail.contoso.com" in fix) == alias
    fixes = [each.fix for each in report.checks if each.verdict is Readiness.FAILED and each.check != "proof"]
    assert not any("servers above mail.contoso.com" in fix for fix in fixes)


class Hesitant(socketserver.UDPServer):
    """A resolver that cannot find out CAA when it is first asked; all else it has from `behind`."""

    behind: str
    hesitated = 0


class Question(socketserver.BaseRequestHandler):
    server: Hesitant

    def handle(self) -> None:
        wire, sock = self.request
        asked = dns.message.from_wire(wire)
        if asked.question[0].rdtype == dns.rdatatype.CAA and not self.server.hesitated:
            self.server.hesitated += 1
            reply = dns.message.make_response(asked)
            reply.set_rcode(dns.rcode.SERVFAIL)
        else:
            host, _, port = self.server.behind.rpartition(":")
            reply = dns.query.udp(asked, host, timeout=20, port=int(port))
        sock.sendto(reply.to_wire(), self.client_address)


def test_caa_that_is_found_out_when_it_is_asked_for_again(one: Proofs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("certwright.engine.caa._PAUSE", 0.0)
    managed, port = one.describe("contoso.com"), free_port()
    with Hesitant(("127.0.0.1", port), Question) as resolver, one.site.engine() as engine:
        resolver.behind = one.world.resolver
        serving = Thread(target=resolver.serve_forever, args=(0.01,))
        serving.start()
        try:
            with engine.store.read() as unit:
                issuer = unit.issuers.get(managed.issuer)
            refuse_forbidden(replace(engine, resolvers=(f"127.0.0.1:{port}",)), managed, issuer, SilentJournal())
        finally:
            resolver.shutdown()
            serving.join()
        assert resolver.hesitated
