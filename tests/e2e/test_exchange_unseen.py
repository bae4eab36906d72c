"""Nothing seen is nothing verified: before a change, after it, and in what is told and remembered of it."""

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from certwright.domain.deployment import Severity, Verdict
from certwright.domain.events import EventKind
from peers.exchange_task import WAYS, World, deploy, run, spec, world
from world.contoso import Contoso
from world.issued import issued
from world.site import Site

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]
FQDN = "mail01.contoso.test"


@pytest.fixture
def place(tmp_path: Path) -> Iterator[tuple[Contoso, Site, str]]:
    """Two servers, and a certificate that is issued but not deployed."""
    with issued(tmp_path) as made:
        yield made


@contextmanager
def closed() -> Iterator[str]:
    """An address that refuses every connection, as a firewall may: bound, so that nobody else opens it."""
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        yield "{}:{}".format(*made.getsockname())


def ports(one: World, unseen: str, *ways: str) -> list[str]:
    """The ports to look at; those of these `ways` where nothing answers."""
    where = {number: "{}:{}".format(*one.first.ports[number]) for number in WAYS}
    return [f"{way}:{unseen if way in ways else where[number]}" for number, way in WAYS.items()]


def test_a_server_of_which_no_port_can_be_seen_is_not_changed(tmp_path: Path) -> None:
    with world(tmp_path) as one, closed() as nowhere:
        ended = run(one.task(one.authority.issue(), verify=ports(one, nowhere, *WAYS.values())))
        assert ended.stage == "waiting"
        assert f"{FQDN}: no port that is to serve the certificate can be seen from this machine" in ended.told
        assert f"IIS at {nowhere}" in ended.told
        assert "certwright task change 'Contoso mail' exchange --verify off" in ended.told
        assert not one.mutations


def test_a_service_that_always_runs_and_is_not_seen_is_told_before_and_left_for_a_person(tmp_path: Path) -> None:
    with world(tmp_path) as one, closed() as nowhere:
        looked_at = ports(one, nowhere, "SMTP")
        version = one.authority.issue()
        alone = one.task(version, verify=looked_at)
        alone.context = replace(alone.context, attended=False)
        refused = run(alone)
        assert refused.stage == "waiting"
        assert f"{FQDN}: no port of SMTP can be seen from this machine" in refused.told
        assert not one.mutations

        ended = run(one.task(version, verify=looked_at))
        assert ended.stage == "waiting"
        assert f"It was not seen whether {FQDN} serves the new certificate: not verified." in ended.told
        assert set(one.served().values()) == {version.facts.sha256[:16]}
        again = run(one.task(version, verify=looked_at))
        assert again.stage == "waiting"
        assert "not verified" in again.told
        found = one.task(version, verify=looked_at).inspect().findings
        assert [(f.check, f.severity) for f in found] == [("ports-not-seen", Severity.ASK)]
        assert run(one.task(version)).stage == "deployed"


def test_pop_that_runs_unseen_is_restarted(tmp_path: Path) -> None:
    with world(tmp_path) as one, closed() as nowhere:
        version, looked_at = one.authority.issue(), ports(one, nowhere, "POP", "POPS")
        _, rows = deploy(one.task(version, verify=looked_at))
        assert one.served()[995] == version.facts.sha256[:16]
        assert {row.verdict for row in rows if row.service == "POP"} == {Verdict.NOT_VERIFIED}


def test_pop_that_does_not_run_is_left_so(tmp_path: Path) -> None:
    with world(tmp_path, spec(mail_access=False)) as one, closed() as nowhere:
        ended = run(one.task(one.authority.issue(), verify=ports(one, nowhere, "POP", "POPS")))
        assert ended.stage == "deployed"
        assert "skipped: the services do not run" in one.journal.lines


def test_who_says_that_nobody_looks_may_deploy_and_nothing_is_called_verified(
    place: tuple[Contoso, Site, str],
) -> None:
    organisation, site, managed = place
    with closed() as nowhere:
        dark = [f"{s.spec.fqdn}/{way}:{nowhere}" for s in organisation.servers for way in ("IIS", "SMTP")]
        look_at(site, managed, *dark)
        refused = site.cli("exchange", "apply", managed, "--yes", code=4)
    assert "no port that is to serve the certificate can be seen" in refused.told
    assert not organisation.mutations

    look_at(site, managed, "off")
    planned = site.cli("exchange", "plan", managed, code=0).out
    assert "warning: ex01.contoso.test: the parameter verify leaves no port to look at" in planned
    site.cli("exchange", "apply", managed, "--yes", code=0)
    assert organisation.first.sha256 not in organisation.served().values()
    assert events(site, EventKind.DEPLOYED) == ["exchange: no port was looked at."]
    assert not released(site)
    seen = site.cli("exchange", "verify", managed, code=1)
    assert "not verified: ex01.contoso.test: the parameter verify leaves no port to look at" in seen.out
    site.cli("certificate", "renew", managed, "--force", code=4)

    look_at(site, managed, *organisation.verify)
    site.cli("exchange", "apply", managed, "--yes", code=0)
    assert released(site)
    site.cli("exchange", "verify", managed, code=0)


def test_who_starts_it_without_a_terminal_consents_by_an_option(place: tuple[Contoso, Site, str]) -> None:
    organisation, site, managed = place
    for command in (["deploy", managed], ["task", "run", managed, "exchange"], ["deploy", managed, "--json"]):
        refused = site.cli(*command, code=4)
        assert "certwright exchange doctor" in refused.told
    assert not organisation.mutations
    assert not released(site)
    done = json.loads(site.cli("deploy", managed, "--yes", "--json", code=0).out)
    assert [one["stage"] for one in done] == ["deployed"]
    assert released(site)
    site.cli("task", "run", managed, "exchange", "--yes", code=3)


def look_at(site: Site, managed: str, *words: str) -> None:
    site.cli("task", "change", managed, "exchange", *(w for word in words for w in ("--verify", word)), code=0)


def released(site: Site) -> bool:
    """Whether a deployment is on record that was seen to succeed."""
    with site.engine() as engine, engine.store.read() as unit:
        return unit.records.last("organisation:contoso.test", "supervised") is not None


def events(site: Site, kind: EventKind) -> list[str]:
    with site.engine() as engine, engine.store.read() as unit:
        return [event.message for _, event in unit.events.list() if event.kind is kind]
