"""The whole life of a certificate in an organisation of three servers, hybrid connectors and an Edge server.

Everything is typed as a person types it; a watcher looks at every port of every server all the time.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from certwright.domain.certificates import CertificateFacts
from certwright.engine.exchange import cleanup
from certwright.engine.task_list import change_task
from certwright.wiring import utc_now
from world.contoso import AUTODISCOVER, OUTBOUND, PASSWORD, PUBLIC, USERNAME, Contoso, contoso
from world.hurry import hurried
from world.site import Site
from world.watcher import Watcher, watching

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[tuple[Contoso, Site]]:
    with contoso(tmp_path / "exchange") as organisation:
        site = Site(tmp_path / "site")
        (tmp_path / "site").mkdir()
        site.initialise()
        site.cli(
            "credential", "add", "exchange", "exchange", "--username", USERNAME, "--password-file", "-",
            given=PASSWORD, code=0,
        )  # fmt: skip
        yield organisation, site


def set_up(organisation: Contoso, site: Site) -> str:
    """From how the organisation is reached, and an e-mail address, to a managed certificate; its id."""
    ca = organisation.ca
    made = site.cli(
        "exchange", "setup", "--json", "--email", "postmaster@contoso.test", *organisation.reach_options,
        *(word for port in organisation.verify for word in ("--verify", port)),
        "--directory", ca.server.directory_url, "--directory-ca-file", str(ca.server.ca_file),
        "--http-address", ca.http_address, "--http-check-via", ca.http_address,
        code=0,
    )  # fmt: skip
    found: dict[str, Any] = json.loads(made.out)
    assert found["proposal"]["names"][0] == PUBLIC
    assert found["proposal"]["servers"] == [f"ex0{number}.contoso.test" for number in (1, 2, 3)]
    site.cli("exchange", "acknowledge", OUTBOUND, code=0)
    return str(found["id"])


def issued(organisation: Contoso) -> CertificateFacts:
    """The certificate that the authority signed last."""
    return CertificateFacts.of(organisation.ca.server.issued[-1].certificate)


def assert_follows(organisation: Contoso, facts: CertificateFacts) -> None:
    """Every port serves it, every connector names it."""
    assert set(organisation.served().values()) == {facts.sha256}
    stored = organisation.servers[0].state.certificates[facts.thumbprint]
    assert set(organisation.connectors.values()) == {stored.tls_certificate_name}


def assert_never_without(watcher: Watcher) -> None:
    """Clients met a valid certificate whenever they met one; POP and IMAP close while they restart, nothing else."""
    assert not watcher.faults
    assert all(any(f", {port})" in gap for port in (110, 995, 143, 993)) for gap in watcher.gaps), watcher.gaps
    assert watcher.rounds > 1


def test_from_setup_to_cleanup(place: tuple[Contoso, Site]) -> None:
    organisation, site = place
    internal = {s.spec.name: s.state.internal_transport for s in organisation.servers}
    with watching(PUBLIC, organisation.ports) as watcher:
        managed = set_up(organisation, site)
        site.cli("certificate", "request", managed, code=0)
        assert not organisation.mutations
        first = issued(organisation)

        planned = json.loads(site.cli("exchange", "plan", managed, "--json", code=0).out)
        assert [change["wave"] for change in planned[0]["changes"]] == sorted(c["wave"] for c in planned[0]["changes"])
        assert not organisation.mutations
        site.cli("exchange", "apply", managed, "--plan", planned[0]["hash"], code=0)
        assert_follows(organisation, first)
        site.cli("exchange", "verify", managed, code=0)
        site.cli("exchange", "apply", managed, "--yes", code=3)

        told = site.cli("exchange", "doctor", code=0)
        assert "EDGE01" in told.out
        site.cli("certificate", "renew", managed, "--force", code=0)
        second = issued(organisation)
        assert second.issuer != first.issuer
        assert_follows(organisation, second)
        assert {s.spec.name: s.state.internal_transport for s in organisation.servers} == internal

        kept = site.cli("exchange", "cleanup", managed, "--yes", code=3)
        assert "24" in kept.out
        later = utc_now() + timedelta(days=2)
        with site.engine(now=lambda: later) as engine, hurried():
            (cleaned,) = cleanup.carry_out(engine, managed)
        assert {change.parameters["Thumbprint"] for change in cleaned.removed} == {first.thumbprint}
        for server in organisation.servers:
            assert first.thumbprint not in server.state.certificates
            assert organisation.first.thumbprint in server.state.certificates  # not ours to remove
        site.cli("exchange", "verify", managed, code=0)
    assert_never_without(watcher)


def test_the_doctor_before_the_first_deployment_and_while_a_server_of_the_task_is_down(
    place: tuple[Contoso, Site],
) -> None:
    organisation, site = place
    managed = set_up(organisation, site)
    site.cli("certificate", "request", managed, code=0)
    found = json.loads(site.cli("exchange", "doctor", "--json", code=0).out)["findings"]
    told = [one for one in found if one["check"] in {"served", "not-deployed"}]
    assert [(one["check"], one["severity"]) for one in told] == [("not-deployed", "note")]
    assert f"certwright exchange plan {PUBLIC}" in told[0]["remedy"]
    assert not [one for one in found if " CERT" in one["remedy"]]
    organisation.servers[2].faults.take_down()
    down = json.loads(site.cli("exchange", "doctor", "--json", code=1).out)["findings"]
    (away,) = [one for one in down if one["check"] == "reachability"]
    assert (away["subject"], away["severity"]) == ("EX03", "stop")
    assert away["remedy"] == "Nothing is changed anywhere until it answers."
    assert "targets" not in {one["check"] for one in down}


def test_unattended_work_waits_until_a_person_was_there(place: tuple[Contoso, Site]) -> None:
    organisation, site = place
    managed = set_up(organisation, site)
    refused = site.cli("certificate", "renew", managed, code=4)
    assert "certwright exchange doctor" in refused.told
    assert "certwright exchange apply" in refused.told
    assert not organisation.mutations


def test_a_plan_that_the_world_has_overtaken_is_not_applied(place: tuple[Contoso, Site]) -> None:
    organisation, site = place
    managed = set_up(organisation, site)
    site.cli("certificate", "request", managed, code=0)
    agreed = json.loads(site.cli("exchange", "plan", managed, "--json", code=0).out)[0]["hash"]
    organisation.servers[1].state.pop.x509_certificate_name = AUTODISCOVER
    refused = site.cli("exchange", "apply", managed, "--plan", agreed, code=1)
    assert f"the plan {agreed} is no longer what has to be done" in refused.told
    assert f"ex02.contoso.test: POP looks for: was {PUBLIC}, is {AUTODISCOVER}" in refused.told
    newer = json.loads(site.cli("exchange", "plan", managed, "--json", code=0).out)[0]["hash"]
    assert newer != agreed
    assert f"the new plan, {newer}" in refused.told
    assert not organisation.mutations
    site.cli("exchange", "apply", managed, "--plan", "0" * 16, code=2)


def test_what_exchange_online_may_refuse_stops_all_until_a_person_acknowledges_it(place: tuple[Contoso, Site]) -> None:
    """Though the certificate by hand lacks client authentication too: nobody knows when it will be enforced."""
    organisation, site = place
    managed = set_up(organisation, site)
    site.cli("certificate", "request", managed, code=0)
    with site.engine() as engine, engine.store.write() as unit:
        unit.records.put("organisation:contoso.test", "acknowledged", [], engine.now())
    for command in (["exchange", "plan", managed], ["exchange", "apply", managed, "--yes"]):
        refused = site.cli(*command, code=1)
        assert f"'{OUTBOUND}' presents the certificate as a client" in refused.told
        assert f"certwright exchange acknowledge '{OUTBOUND}'" in refused.told
    assert f"acknowledge '{OUTBOUND}'" in site.cli("exchange", "doctor", code=1).out
    assert not organisation.mutations
    site.cli("exchange", "acknowledge", OUTBOUND, code=0)
    site.cli("exchange", "plan", managed, code=0)


def test_nothing_is_done_that_nobody_agreed_to(place: tuple[Contoso, Site]) -> None:
    organisation, site = place
    managed = set_up(organisation, site)
    site.cli("certificate", "request", managed, code=0)
    refused = site.cli("exchange", "apply", managed, code=2)
    assert "--plan" in refused.told
    site.cli("exchange", "apply", managed, "--dry-run", code=0)
    site.cli("exchange", "apply", managed, "--dry-run", "--on-server", code=0)
    with site.engine() as engine:
        change_task(engine, managed, "exchange", {"connectors": ["Nowhere"]})
    site.cli("exchange", "apply", managed, "--dry-run", code=1)
    refused = site.cli("exchange", "apply", managed, "--dry-run", "--on-server", code=1)
    assert "Nothing was sent: the plan is refused." in refused.out
    assert not organisation.mutations


def test_a_capture_holds_no_real_name_and_answers_in_place_of_the_servers(
    place: tuple[Contoso, Site], tmp_path: Path
) -> None:
    organisation, site = place
    file = tmp_path / "capture.jsonl"
    site.cli("exchange", "capture", str(file), *organisation.reach_options, code=0)
    text = file.read_text().lower()
    assert all(json.loads(line)["command"] for line in text.splitlines())
    for name in ("contoso", "ex01", "edge01", "svc-certwright", organisation.first.thumbprint.lower()):
        assert name not in text
    again = site.cli("exchange", "capture", str(file), *organisation.reach_options, code=2)
    assert "is there already" in again.told


def test_scripts_for_the_management_shell_and_the_view_from_outside(
    place: tuple[Contoso, Site], tmp_path: Path
) -> None:
    organisation, site = place
    managed = set_up(organisation, site)
    site.cli("certificate", "request", managed, code=0)
    site.cli("exchange", "plan", managed, "--powershell", str(tmp_path), code=0)
    done, undone = ((tmp_path / name).read_bytes().decode("utf-8-sig") for name in ("do.ps1", "undo.ps1"))
    assert done.count("-FileData $file -Password $password") == 3
    assert "Set-HybridConfiguration" in done
    assert organisation.first.thumbprint in undone
    site.cli("exchange", "verify", managed, "--outside", str(tmp_path / "outside.py"), code=0)
    seen = subprocess.run(
        [sys.executable, "-S", "-I", str(tmp_path / "outside.py"), "--json"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    (tmp_path / "report.json").write_text(seen.stdout)
    told = site.cli("exchange", "verify", managed, "--report", str(tmp_path / "report.json"), code=1)
    assert PUBLIC in told.out
    assert not organisation.mutations


def test_the_state_of_the_organisation_in_every_form(place: tuple[Contoso, Site], tmp_path: Path) -> None:
    organisation, site = place
    seen = json.loads(site.cli("exchange", "discover", "--json", *organisation.reach_options, code=0).out)
    assert len(seen["snapshot"]["servers"]) == 3
    organisation.organisation.state.send_connectors[0].tls_certificate_name = None
    exported = tmp_path / "snapshot.json"
    changed = site.cli("exchange", "discover", "--export", str(exported), code=0)
    assert "Outbound to Office 365" in changed.out.partition("Since ")[2]
    same = json.loads(site.cli("exchange", "discover", "--compare", str(exported), "--json", code=0).out)
    assert same["differences"] == []
    names = json.loads(site.cli("exchange", "names", "--json", code=0).out)
    assert PUBLIC in {one["name"] for one in names["names"]}
    status = json.loads(site.cli("exchange", "status", "--json", code=0).out)
    assert {one["name"] for one in status["servers"]} == {"EX01", "EX02", "EX03"}
    assert json.loads(site.cli("exchange", "account", "--json", code=0).out) == {"known": True, "missing": []}
    report = tmp_path / "report.html"
    told = site.cli("exchange", "doctor", "--html", str(report), code=1)  # no task tells where the ports are
    assert "Unattended work stays off" in told.out
    assert "No port was seen" in told.out
    assert "<script" not in report.read_text()
    assert not organisation.mutations
