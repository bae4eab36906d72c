"""What proves that a server serves the certificate, and what is told where nothing does."""

import pytest

from certwright.domain.deployment import ServedRow, Severity, Verdict
from certwright.exchange.model import Service
from certwright.exchange.verification.evidence import blind, findings

EX01, EX02 = "ex01.contoso.test", "ex02.contoso.test"
ALL = Service.IIS | Service.SMTP | Service.POP | Service.IMAP


def row(service: str, server: str = EX01, *, before: str | None = None, now: str | None = None) -> ServedRow:
    verdict = Verdict.OK if now == "new" else Verdict.NOT_VERIFIED
    return ServedRow(
        server=server, service=service, address="127.0.0.1", port=11, protocol="", before=before, now=now,
        verdict=verdict,
    )  # fmt: skip


def test_a_server_without_any_port_that_answers_is_not_seen_at_all() -> None:
    rows = [row("IIS"), row("SMTP"), row("POP"), row("IIS", EX02, before="old", now="old")]
    (one,) = blind(rows, {EX01: ALL, EX02: Service.IIS})
    assert (one.server, one.whole, one.services) == (EX01, True, ALL)
    assert one.places == ("IIS at 127.0.0.1:11", "SMTP at 127.0.0.1:11", "POP at 127.0.0.1:11")


@pytest.mark.parametrize("beside", ["web", "sign-in", "IIS back end", "internal transport"])
def test_what_does_not_show_the_certificate_is_no_sight_of_it(beside: str) -> None:
    (one,) = blind([row("IIS"), row(beside, before="good", now="good")], {EX01: Service.IIS})
    assert one.whole


def test_of_a_server_that_is_seen_each_service_that_always_runs_is() -> None:
    rows = [row("IIS", before="old", now="new"), row("SMTP"), row("POP"), row("IMAP")]
    (one,) = blind(rows, {EX01: ALL})
    assert (one.whole, one.services, one.places) == (False, Service.SMTP, ("SMTP at 127.0.0.1:11",))


def test_a_port_that_opens_and_serves_another_certificate_proves_nothing() -> None:
    (one,) = blind([row("IIS", now="other")], {EX01: Service.IIS})
    assert one.whole


@pytest.mark.parametrize(
    "rows",
    [
        [row("IIS", before="old", now="old"), row("POP"), row("IMAP")],
        [row("IIS", now="new"), row("POP")],
        [row("IIS", before="old", now="new"), row("IIS (no SNI)")],
    ],
    ids=["mail access may be off", "opened meanwhile", "in one way of two"],
)
def test_what_was_seen_is_no_matter_and_pop_and_imap_may_be_off(rows: list[ServedRow]) -> None:
    assert blind(rows, {EX01: ALL}) == ()


def test_without_knowing_the_services_all_count() -> None:
    assert [one.server for one in blind([], {EX01: None})] == [EX01]


@pytest.mark.parametrize(
    ("rows", "attended", "severity"),
    [
        ([row("IIS"), row("SMTP")], True, Severity.ASK),
        ([row("IIS"), row("SMTP")], False, Severity.ASK),
        ([row("IIS", before="old", now="old"), row("SMTP")], True, Severity.WARN),
        ([row("IIS", before="old", now="old"), row("SMTP")], False, Severity.ASK),
        ([], True, Severity.WARN),
        ([], False, Severity.ASK),
    ],
)
def test_that_nobody_looks_is_said_by_the_parameter_and_by_a_person(
    rows: list[ServedRow], attended: bool, severity: Severity
) -> None:
    (found,) = findings(blind(rows, {EX01: Service.IIS | Service.SMTP}), "'Contoso mail'", attended=attended)
    assert (found.check, found.severity, found.subject) == ("ports-not-seen", severity, EX01)
    assert f"certwright task change 'Contoso mail' exchange --verify {EX01}/" in found.remedy
    assert "certwright exchange verify 'Contoso mail' --outside FILE" in found.remedy
