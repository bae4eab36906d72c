"""dns-01 from the stored credential to the certificate: BIND as primary and secondary, our authority, Pebble."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from certwright.domain.certificates import CertificateFacts
from certwright.domain.errors import CertwrightError, ConfigurationError, NeedsPerson, NotProved, SolverError
from certwright.domain.events import EventKind
from certwright.domain.runs import Outcome
from certwright.domain.validation import Validation
from certwright.engine.credentials import store_credential, try_credential
from certwright.engine.issuers import add_issuer
from certwright.engine.managed import Wish, create
from certwright.engine.request import request
from certwright.engine.validations import put_validation
from peers.bind import World, bind_world
from peers.pebble import pebble
from peers.ports import free_port
from world.proofs import CREDENTIAL, Proofs, proofs
from world.site import ISSUER

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with bind_world() as started:
        started.zone("contoso.test")
        started.zone("fabrikam.test")
        started.zone("lagging.test", lagging=True)
        yield started


@pytest.fixture
def one(world: World, tmp_path: Path) -> Iterator[Proofs]:
    with proofs(tmp_path, world) as started:
        yield started


def issued_names(one: Proofs) -> set[str]:
    return {str(i) for i in CertificateFacts.of(one.ca.server.issued[-1].certificate).names}


def test_an_apex_and_its_wildcard_are_proved_at_one_name_and_nothing_is_left(one: Proofs) -> None:
    one.request(one.describe("contoso.test", "*.contoso.test"))
    assert issued_names(one) == {"contoso.test", "*.contoso.test"}
    assert one.standing("_acme-challenge.contoso.test") == []


def test_what_stands_at_the_name_already_stays(one: Proofs) -> None:
    one.world.records("fabrikam.test", "_acme-challenge.fabrikam.test", "TXT", '"of somebody else"')
    one.request(one.describe("fabrikam.test"))
    assert one.standing("_acme-challenge.fabrikam.test") == ["of somebody else"]


def test_a_cname_into_another_zone_is_followed(one: Proofs) -> None:
    one.world.records("contoso.test", "_acme-challenge.mail.contoso.test", "CNAME", "mail.proof.fabrikam.test.")
    managed = one.describe("mail.contoso.test", "fabrikam.test")
    one.request(managed)
    assert "the record is written there, in fabrikam.test" in one.journal(managed)
    assert one.standing("mail.proof.fabrikam.test") == []


def test_an_explicit_delegation_goes_before_what_can_be_seen(one: Proofs) -> None:
    """Inside, the CNAME that the authority sees may not be there."""
    one.world.records("contoso.test", "_acme-challenge.split.contoso.test", "CNAME", "nowhere.fabrikam.test.")
    managed = one.describe("split.contoso.test", delegations=["*.contoso.test:here.fabrikam.test"])
    with pytest.raises(CertwrightError):
        one.request(managed)
    told = one.journal(managed)
    assert "leads to here.fabrikam.test: the record is written there, in fabrikam.test" in told
    seen = "_acme-challenge.split.contoso.test leads to nowhere.fabrikam.test."
    warned = told.index(f"knows of no CNAME that leads there: {seen}")
    assert warned < told.index("See each answer as the authority will see it")
    assert "Create the record _acme-challenge.split.contoso.test. CNAME here.fabrikam.test." in told
    assert one.standing("here.fabrikam.test") == []


def test_the_target_of_a_rule_is_followed_if_it_is_an_alias(one: Proofs) -> None:
    one.world.records("fabrikam.test", "proof.fabrikam.test", "CNAME", "real.fabrikam.test.")
    one.world.records("contoso.test", "_acme-challenge.twice.contoso.test", "CNAME", "proof.fabrikam.test.")
    managed = one.describe("twice.contoso.test", delegations=["*.contoso.test:proof.fabrikam.test"])
    one.request(managed)
    told = one.journal(managed)
    assert "leads to real.fabrikam.test: the record is written there, in fabrikam.test" in told
    assert "knows of no CNAME" not in told


def test_an_alias_that_a_wildcard_makes_is_not_followed(one: Proofs) -> None:
    """A record at the name itself goes before the wildcard, wherever that leads."""
    wildcards = "* CNAME balancer.fabrikam.test.\n*.dead CNAME balancer.unregistered.com.\n"
    one.world.zone("wild.test", wildcards)
    managed = one.describe("mail.wild.test", "*.mail.wild.test", "mail.dead.wild.test")
    one.request(managed)
    assert issued_names(one) == {"mail.wild.test", "*.mail.wild.test", "mail.dead.wild.test"}
    assert "the record is written there" not in one.journal(managed)


def test_a_hundred_names_wait_once(one: Proofs) -> None:
    names = [f"host{number}.contoso.test" for number in range(100)]
    managed = one.describe(*names)
    one.request(managed)
    assert issued_names(one) == set(names)
    assert one.journal(managed).count("See each answer as the authority will see it") == 2  # its start and its end


def test_a_secondary_that_lags_is_waited_for(one: Proofs) -> None:
    transfer = threading.Timer(2, one.world.transfer, ["lagging.test"])
    transfer.start()
    managed = one.describe("lagging.test")
    one.request(managed)
    transfer.join()
    assert issued_names(one) == {"lagging.test"}
    assert one.world.secondary in one.journal(managed)


def test_a_secondary_that_never_has_it_is_told_and_nothing_is_left(one: Proofs) -> None:
    managed = one.describe("never.lagging.test", timeout=1)
    with pytest.raises(CertwrightError) as raised:
        one.request(managed)
    assert one.world.secondary in "\n".join(raised.value.explain())
    assert one.standing("_acme-challenge.never.lagging.test") == []
    assert not one.ca.server.issued


def test_what_was_written_before_a_zone_refused_is_taken_away(one: Proofs) -> None:
    one.world.zone("refusing.test")
    clauses = one.world.primary_server.clauses
    clauses["refusing.test"] = clauses["refusing.test"].replace(f'key "{one.world.key.name}"', "none")
    one.world.primary_server.reload()
    managed = one.describe("contoso.test", "mail.refusing.test")
    with pytest.raises(CertwrightError) as raised:
        one.request(managed)
    told = "\n".join(raised.value.explain())
    assert "refusing.test: REFUSED" in told
    assert one.world.key.name in told
    assert one.standing("_acme-challenge.contoso.test") == []


def test_the_next_run_removes_what_a_killed_one_has_left(one: Proofs) -> None:
    managed = one.describe("killed.lagging.test")
    running = one.site.begin("certificate", "request", managed.id)
    while not one.standing("_acme-challenge.killed.lagging.test"):
        assert running.is_alive
    os.kill(running.pid, signal.SIGKILL)
    running.wait()
    (left,) = one.standing("_acme-challenge.killed.lagging.test")
    with one.site.engine() as engine:
        put_validation(
            engine,
            managed.id,
            Validation(
                challenge="dns-01",
                solver="dns",
                params={"credential": CREDENTIAL, "delegations": ["*.lagging.test:other.contoso.test"]},
            ),
        )
        with suppress(CertwrightError):  # what the killed run wrote stands until the end, and may prove the name
            request(engine, managed.id)
    assert one.standing("_acme-challenge.killed.lagging.test") == [], left
    assert one.standing("other.contoso.test") == []


def test_a_resumed_order_goes_on_with_the_records_of_the_killed_run(one: Proofs) -> None:
    managed = one.describe("resumed.lagging.test")
    running = one.site.begin("certificate", "request", managed.id)
    while not one.standing("_acme-challenge.resumed.lagging.test"):
        assert running.is_alive
    os.kill(running.pid, signal.SIGKILL)
    running.wait()
    one.world.transfer("lagging.test")
    one.request(managed)
    assert one.standing("_acme-challenge.resumed.lagging.test") == []
    assert len(one.ca.server.issued) == 1


def test_by_hand_a_run_waits_and_the_next_goes_on_with_the_same_records(one: Proofs) -> None:
    with one.site.engine() as engine:
        store_credential(engine, "manual", "me", {"wait": 1}, checked=True)
    managed = one.describe("manual.contoso.test", "*.manual.contoso.test", credential="me")
    with pytest.raises(NeedsPerson) as raised:
        one.request(managed)
    values = [str(cause).split('"')[1] for cause in raised.value.causes if "  TXT  " in str(cause)]
    assert len(set(values)) == 2
    assert f"certwright certificate request {managed.id}" in raised.value.hint
    assert "you may remove them" not in one.journal(managed)
    with one.site.engine() as engine, engine.store.read() as unit:
        assert unit.runs.list(managed.id)[0].outcome is Outcome.WAITING
        told = [event.kind for _, event in unit.events.list() if event.managed_id == managed.id]
    assert told == [EventKind.ISSUANCE_WAITS]
    status = one.site.cli("status", code=4).out
    assert f"certwright certificate log {managed.id}" in status
    assert "[renewal-waits]" in status
    assert all(value in one.site.cli("certificate", "log", managed.id, code=0).out for value in values)
    one.world.records("contoso.test", "_acme-challenge.manual.contoso.test", "TXT", *(f'"{v}"' for v in values))
    one.request(managed)
    assert issued_names(one) == {"manual.contoso.test", "*.manual.contoso.test"}
    assert "you may remove them" in one.journal(managed)


def test_by_hand_what_the_person_did_wrong_is_told(one: Proofs) -> None:
    """The service's page adds the name of the zone."""
    with one.site.engine() as engine:
        store_credential(engine, "manual", "me", {"wait": 1}, checked=True)
    managed = one.describe("slip.contoso.test", credential="me")
    with pytest.raises(NeedsPerson) as first:
        one.request(managed)
    value = str(first.value.causes[0]).split('"')[1]
    doubled = one.world.holding("contoso.test", "_acme-challenge.slip.contoso.test.contoso.test", "TXT", value)
    with doubled, pytest.raises(NeedsPerson) as second:
        one.request(managed)
    assert second.value.hint.startswith("Write the name without contoso.test")
    assert second.value.hint.endswith(first.value.hint)


def test_by_hand_records_may_be_removed_once_the_order_can_come_to_nothing(one: Proofs) -> None:
    """The name beside it is one that nothing proves: the authority closes the order."""
    one.world.records("contoso.test", "refused.contoso.test", "A", "127.0.0.1")
    with one.site.engine() as engine:
        store_credential(engine, "manual", "me", {"wait": 1}, checked=True)
    managed = one.describe("refused.contoso.test", "beside.contoso.test", credential="me")
    away = one.ca.validation.model_copy(update={"names": ("refused.contoso.test",)})
    away.params.update(precheck=False, port=free_port())
    with one.site.engine() as engine:
        put_validation(engine, managed.id, away)
    with pytest.raises(NeedsPerson) as raised:
        one.request(managed)
    value = str(raised.value.causes[0]).split('"')[1]
    one.world.records("contoso.test", "_acme-challenge.beside.contoso.test", "TXT", f'"{value}"')
    with pytest.raises(NotProved):
        one.request(managed)
    assert "you may remove them" in one.journal(managed)


def test_by_hand_nothing_is_asked_for_that_no_request_needs(one: Proofs) -> None:
    managed = one.describe("tested.contoso.test", credential="manual")
    tried = one.site.cli("credential", "test", "manual", "contoso.test", code=0)
    report = one.site.cli("certificate", "test", managed.id)
    assert "nothing to try out" in tried.out
    assert "nothing to try out" in report.out
    assert "Create in the zone" not in tried.told + report.told


def test_a_credential_does_not_take_the_place_of_a_provider(one: Proofs) -> None:
    with one.site.engine() as engine, pytest.raises(ConfigurationError, match="needs no credential"):
        store_credential(engine, "manual", "manual", {"wait": 1}, checked=False)
    told = one.site.cli("credential", "add", "pfx", "manual", "--password-file", "-", given="secret", code=2).told
    assert "needs no credential" in told


def test_rules_choose_the_proof_of_each_name(one: Proofs) -> None:
    one.world.records("contoso.test", "web.contoso.test", "A", "127.0.0.1")
    listen = one.ca.validation.model_copy(update={"names": ("web.contoso.test",)})
    managed = one.describe("web.contoso.test", "fabrikam.test")
    with one.site.engine() as engine:
        put_validation(engine, managed.id, listen)
    one.request(managed)
    assert issued_names(one) == {"web.contoso.test", "fabrikam.test"}


def test_a_rule_that_cannot_prove_a_name_is_refused_at_once(one: Proofs) -> None:
    managed = one.describe("*.contoso.test")
    listen = one.ca.validation.model_copy(update={"names": (".contoso.test",)})
    with one.site.engine() as engine:
        with pytest.raises(CertwrightError) as raised:
            put_validation(engine, managed.id, listen)
        with engine.store.read() as unit:
            assert len(unit.managed.get(managed.id).validations) == 1
    assert "*.contoso.test is a wildcard" in "\n".join(raised.value.explain())


def test_a_key_that_the_server_does_not_know_is_not_stored(one: Proofs) -> None:
    with pytest.raises(SolverError) as raised:
        one.store("wrong", key="d3JvbmcgYnV0IGJhc2U2NA==")
    told = "\n".join(raised.value.explain())
    assert one.world.key.name in told
    assert "d3JvbmcgYnV0IGJhc2U2NA" not in told
    with one.site.engine() as engine, engine.store.read() as unit:
        assert "wrong" not in unit.credentials.names()


def test_a_credential_is_tried_out_with_a_record(one: Proofs) -> None:
    with one.site.engine() as engine:
        told = try_credential(engine, CREDENTIAL, "contoso.test")
    assert "written, seen on every server of its zone, and removed" in told
    with one.site.engine() as engine, pytest.raises(ConfigurationError, match=r"192\.0\.2\.1 is an address"):
        try_credential(engine, CREDENTIAL, "192.0.2.1")
    assert one.standing("_acme-challenge.contoso.test") == []


def test_pebble_is_satisfied_too(one: Proofs, tmp_path: Path) -> None:
    with pebble(tmp_path / "pebble", resolver=one.world.resolver) as authority, one.site.engine() as engine:
        params = {"directory": authority.directory_url, "email": "postmaster@contoso.test", "agree_tos": True}
        add_issuer(
            engine, "acme", "pebble", {**params, "ca_file": str(authority.ca_file)}, internal_names=True, eab=None
        )
        way = Validation(challenge="dns-01", solver="dns", params={"credential": CREDENTIAL})
        names = ("contoso.test", "*.contoso.test", "mail.fabrikam.test")
        managed = create(engine, Wish(names=names, issuer="pebble", validation=way, title="by Pebble"))
        version = request(engine, managed.id).version
    assert version
    assert one.standing("_acme-challenge.contoso.test") == []


def test_from_the_command_line(one: Proofs) -> None:
    key = one.key
    options = ["--server", key["server"], "--key-name", key["key_name"], "--key-file", "-"]
    stored = one.site.cli("credential", "add", "dns:rfc2136", "typed", *options, given=key["key"], code=0)
    assert key["key"] not in stored.told
    one.site.cli("credential", "test", "typed", "contoso.test", code=0)
    one.site.cli("certificate", "new", "cli.contoso.test", "--issuer", ISSUER, "--dns", "typed", code=0)
    listed = one.site.cli("credential", "list", "--json", code=0)
    assert "cli.contoso.test" in listed.out
    assert key["key"] not in listed.told
    shown = one.site.cli("validation", "list", "cli.contoso.test", code=0)
    assert "dns-01 by dns" in shown.out
    assert "none of the names" not in shown.out
    unrelated = ["dns", "--credential", "typed", "--for", "unrelated.test"]
    shown = one.site.cli("validation", "set", "cli.contoso.test", *unrelated, code=0)
    (line,) = [line for line in shown.out.splitlines() if "fits none of the names" in line]
    assert "unrelated.test" in line
    one.site.cli("certificate", "request", "cli.contoso.test", code=0)
    one.site.cli("credential", "remove", "typed", code=2)
