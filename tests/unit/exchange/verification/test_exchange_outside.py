"""What is looked at from outside, and its report as rows."""

import ast
import json
from typing import Any

import pytest

from certwright.domain.deployment import Verdict
from certwright.exchange.verification.outside import from_outside, script
from certwright.exchange.verification.ports import chosen, public, shown, standard
from certwright.probe.outside import read_outside_report
from peers.exchange_task import NAMES, Authority

FACTS = Authority().issue([*NAMES, "*.contoso.test"]).facts
OTHER = "0" * 64


def job(text: str) -> dict[str, Any]:
    """What the program is told to look at."""
    (line,) = [line for line in text.splitlines() if line.startswith("JOB = ")]
    told: dict[str, Any] = json.loads(ast.literal_eval(line.removeprefix("JOB = ")))
    return told


def test_the_certificates_names_are_looked_at_from_outside() -> None:
    told = job(script(standard(["ex01.contoso.test"]), FACTS))
    assert told["expected_sha256"] == FACTS.sha256
    assert {target["host"] for target in told["targets"]} == set(NAMES)
    assert {t["host"] for t in told["targets"] if t["required"]} == set(NAMES)
    assert {t["port"] for t in told["targets"]} == {443, 25, 587, 143, 993, 110, 995}
    assert any(t["server_name"] is None for t in told["targets"])


def test_public_names_that_the_task_names_are_looked_at_instead() -> None:
    ports = (*standard(["ex01"]), *chosen(["BALANCER/SMTP:mx.contoso.test:25", "BALANCER/WEB:owa:443"], ["ex01"]))
    told = job(script(ports, FACTS))
    assert [(t["host"], t["port"], t["starttls"]) for t in told["targets"] if not t["required"]] == [
        ("mx.contoso.test", 25, "smtp")
    ]


def test_an_address_is_asked_for_the_name_that_clients_want() -> None:
    told = job(script(public(["192.0.2.1"]), FACTS))
    by_address = [t for t in told["targets"] if t["host"] == "192.0.2.1" and t["port"] == 443]
    assert {t["server_name"] for t in by_address} == {NAMES[0], None}


def report(**changed: Any) -> bytes:
    row = {
        "host": NAMES[0],
        "port": 443,
        "starttls": None,
        "server_name": NAMES[0],
        "required": True,
        "address": "192.0.2.1",
        "verdict": "ok",
        "protocol": "TLSv1.3",
        "sha256": FACTS.sha256,
        "trusted": True,
        "detail": "",
    }
    made = {"format": "certwright-outside/1", "taken_at": "2026-01-02T03:04:05Z", "expected_sha256": FACTS.sha256}
    return json.dumps({**made, "rows": [{**row, **changed}]}).encode()


@pytest.mark.parametrize(
    ("changed", "verdict", "valid"),
    [
        ({}, Verdict.OK, True),
        ({"verdict": "untrusted", "trusted": False, "detail": "no issuer"}, Verdict.NOT_VERIFIED, False),
        ({"verdict": "other", "sha256": OTHER}, Verdict.STALE, False),
        ({"verdict": "closed", "sha256": None, "protocol": None}, Verdict.REGRESSION, False),
        ({"verdict": "closed", "sha256": None, "protocol": None, "required": False}, Verdict.NOT_VERIFIED, False),
        ({"verdict": "fault", "sha256": None, "protocol": None}, Verdict.REGRESSION, False),
    ],
)
def test_what_was_seen_becomes_a_row(changed: dict[str, Any], verdict: Verdict, valid: bool) -> None:
    (row,) = from_outside(read_outside_report(report(**changed)), FACTS)
    assert (row.verdict, row.valid) == (verdict, valid)
    assert (row.server, row.service, row.address, row.port) == ("outside", "IIS", "192.0.2.1", 443)
    assert (row.now == shown(FACTS)) is (verdict in {Verdict.OK, Verdict.NOT_VERIFIED} and "sha256" not in changed)
    assert NAMES[0] in row.detail


@pytest.mark.parametrize(
    ("port", "starttls", "name", "service", "protocol"),
    [
        (443, None, None, "IIS (no SNI)", "TLSv1.2"),
        (25, "smtp", NAMES[0], "SMTP", "STARTTLS TLSv1.2"),
        (993, None, NAMES[0], "IMAP", "TLSv1.2"),
        (8443, None, NAMES[0], "TLS", "TLSv1.2"),
    ],
)
def test_services_are_called_as_on_a_server(
    port: int, starttls: str | None, name: str | None, service: str, protocol: str
) -> None:
    told = report(port=port, starttls=starttls, server_name=name, protocol="TLSv1.2")
    (row,) = from_outside(read_outside_report(told), FACTS)
    assert (row.service, row.protocol) == (service, protocol)
