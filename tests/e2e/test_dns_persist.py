"""dns-persist-01 from the printed record to the certificate: a real name server, our authority, the command line."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from certwright.acme_server import AcmeServerConfig, Endpoint
from certwright.domain.events import EventKind
from certwright.domain.validation import Validation
from certwright.engine.channels import add_channel
from certwright.engine.looks import look_at_due
from certwright.engine.notify import deliver
from peers.bind import World, bind_world
from peers.mailbox import mailbox
from world.site import ISSUER, Authority, Site, authority, register

pytestmark = pytest.mark.e2e
CA = "ca.contoso.test"
OWNER = "_validation-persist.contoso.test"


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with bind_world() as made:
        made.zone("contoso.test", servers={"ns1.contoso.test": [made.primary]}, negative=0)
        yield made


@pytest.fixture
def ca(world: World) -> Iterator[Authority]:
    with authority(AcmeServerConfig(caa_identities=(CA,)), hosts={}, resolver=world.resolver) as made:
        yield made


@pytest.fixture
def site(world: World, ca: Authority, tmp_path: Path) -> Site:
    site = Site(tmp_path, (world.resolver,)).initialise()
    register(site, ca)
    return site


def describe(site: Site, *names: str) -> str:
    made = site.cli("certificate", "new", *names, "--issuer", ISSUER, "--dns-persist", "--json", code=0)
    return str(json.loads(made.out)["id"])


def publish(world: World, *values: str) -> None:
    world.records("contoso.test", OWNER, "TXT", *(f'"{value}"' for value in values))


def test_the_printed_record_is_all_that_a_certificate_and_its_renewals_need(
    world: World, ca: Authority, site: Site
) -> None:
    publish(world)
    managed = describe(site, "contoso.test", "*.contoso.test")
    printed = site.cli("certificate", "persist", managed, code=0).out.strip()
    (record,) = json.loads(site.cli("certificate", "persist", managed, "--json", code=0).out)
    assert record["value"].startswith(f"{CA}; accounturi=https://")
    assert record["value"].endswith("; policy=wildcard")
    assert printed == record["line"] == f'{OWNER}. IN TXT "{record["value"]}"'
    assert record["proves"] == ["contoso.test", "*.contoso.test"]
    for command in ("test", "request"):
        refused = site.cli("certificate", command, managed, code=1)
        assert printed in refused.told
    assert not ca.server.requests[Endpoint.CHALLENGE]
    publish(world, "other.test; accounturi=urn:x", record["value"])
    site.cli("certificate", "test", managed, code=0)
    site.cli("certificate", "request", managed, code=0)
    site.cli("certificate", "renew", managed, "--force", code=0)
    names = ca.server.issued[-1].certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert len(ca.server.issued) == 2
    assert names.get_values_for_type(x509.DNSName) == ["contoso.test", "*.contoso.test"]


def test_a_record_with_an_end_is_watched(world: World, site: Site) -> None:
    managed = describe(site, "contoso.test")
    soon = (datetime.now(UTC) + timedelta(days=20)).date().isoformat()
    (record,) = json.loads(site.cli("certificate", "persist", managed, "--until", soon, "--json", code=0).out)
    publish(world, record["value"])
    site.cli("certificate", "request", managed, code=0)
    assert f"The record at {OWNER} ends on {soon} 00:00 UTC" in site.cli("certificate", "log", managed, code=0).out
    assert "is past" in site.cli("certificate", "persist", managed, "--until", "2001-01-01", code=2).err


def test_what_caa_forbids_is_told_with_what_to_do(world: World, site: Site) -> None:
    managed = describe(site, "contoso.test")
    (record,) = json.loads(site.cli("certificate", "persist", managed, "--json", code=0).out)
    publish(world, record["value"])
    world.records("contoso.test", "contoso.test", "CAA", f'0 issue "{CA}; validationmethods=dns-01"')
    try:
        refused = site.cli("certificate", "request", managed, code=1)
    finally:
        world.records("contoso.test", "contoso.test", "CAA")
    assert "dns-persist-01 is not among the validationmethods" in refused.told
    assert "Add dns-persist-01 to validationmethods" in refused.told
    assert "Create an A record" not in refused.told


def test_an_authority_that_names_no_domain_is_refused_at_once(world: World, tmp_path: Path) -> None:
    with authority(resolver=world.resolver) as ca:
        site = Site(tmp_path, (world.resolver,)).initialise()
        register(site, ca)
        new = ["certificate", "new", "contoso.test", "--issuer", ISSUER]
        assert "has not said by which name" in site.cli(*new, "--dns-persist", code=2).told
        site.cli(*new, code=0)
        told = site.cli("validation", "set", "contoso.test", "dns_persist", code=2).told
    assert "has not said by which name" in told


def test_an_authority_that_names_no_domain_is_one_line_of_the_report(world: World, tmp_path: Path) -> None:
    """The certificate is one that an earlier version took."""
    with authority(resolver=world.resolver) as ca:
        site = Site(tmp_path, (world.resolver,)).initialise()
        register(site, ca)
        site.cli("certificate", "new", "contoso.test", "--issuer", ISSUER, code=0)
        with site.engine() as engine, engine.store.write() as unit:
            stays = Validation(challenge="dns-persist-01", solver="dns_persist")
            unit.managed.update(unit.managed.get("contoso.test").model_copy(update={"validations": (stays,)}))
        report = json.loads(site.cli("certificate", "test", "contoso.test", "--json", code=1).out)
    (failed,) = [check for check in report["checks"] if check["verdict"] == "failed"]
    assert failed["check"] == "proof"
    assert "has not said by which name" in failed["evidence"]


def test_the_end_of_a_record_is_told_by_mail_in_time_and_its_renewal_too(world: World, site: Site) -> None:
    managed = describe(site, "contoso.test")
    end = (datetime.now(UTC) + timedelta(days=60)).date().isoformat()
    (record,) = json.loads(site.cli("certificate", "persist", managed, "--until", end, "--json", code=0).out)
    (lasting,) = json.loads(site.cli("certificate", "persist", managed, "--json", code=0).out)
    publish(world, record["value"])
    site.cli("certificate", "request", managed, code=0)
    passed: list[timedelta] = []

    def now() -> datetime:
        return datetime.now(UTC) + sum(passed, timedelta())

    def look(after: timedelta) -> tuple[list[str], str]:
        """A while later: what is told, and how the certificate is then."""
        passed.append(after)
        (done,) = look_at_due(engine)
        deliver(engine)
        return [kind for kind, _, _ in done.told], done.health.rule

    with site.engine(now=now) as engine, mailbox() as box:
        params = {"host": "localhost", "port": box.port, "security": "none", "sender": "certwright@contoso.test"}
        add_channel(engine, "smtp", "mail", {**params, "to": ["admin@contoso.test"]}, checked=False)
        assert look(timedelta()) == ([], "well")
        assert look_at_due(engine) == []
        assert look(timedelta(days=32)) == ([EventKind.PROOF_ENDING], "proof-ends")
        assert look(timedelta(days=2)) == ([], "proof-ends")
        told = [mail for mail in box.mails if "loses the record" in str(mail["Subject"])]
        publish(world)
        assert look(timedelta(days=2)) == ([], "proof-ends")
        publish(world, lasting["value"])
        kinds, _ = look(timedelta(days=2))
        again = [mail for mail in box.mails if "has records that stay" in str(mail["Subject"])]
    assert kinds == [EventKind.PROOF_RENEWED]
    assert (len(told), len(again)) == (1, 1)
    body = told[0].get_body(("plain",))
    assert body
    text = " ".join(body.get_content().split())
    assert f"The record at {OWNER} ends on {end} 00:00 UTC" in text
    assert f"certwright certificate persist {managed}" in text


def test_a_record_that_is_gone_needs_attention_when_that_lasts(world: World, site: Site) -> None:
    managed = describe(site, "contoso.test")
    (record,) = json.loads(site.cli("certificate", "persist", managed, "--json", code=0).out)
    publish(world, record["value"])
    site.cli("certificate", "request", managed, code=0)
    publish(world)
    for _ in range(2):
        assert json.loads(site.cli("certificate", "look", managed, "--json", code=0).out)[0]["rule"] == "well"
    (third,) = json.loads(site.cli("certificate", "look", managed, "--json", code=4).out)
    assert (third["rule"], third["proof"]["failures"]) == ("proof-missing", 3)
