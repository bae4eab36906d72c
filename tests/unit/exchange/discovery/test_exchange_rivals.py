from datetime import UTC, datetime, timedelta

import pytest

from certwright.exchange.access.windows import ScheduledTask, WindowsService
from certwright.exchange.access.wire import facts_of
from certwright.exchange.discovery import rivals
from certwright.exchange.model import Certificate
from peers.exchange_shell import TestAuthority

NOW = datetime.now(UTC)
AUTHORITY = TestAuthority()


def called(friendly_name: str, age: timedelta = timedelta(days=1)) -> Certificate:
    facts = facts_of(AUTHORITY.issue("mail.contoso.test", age=age, life=timedelta(days=90)).der)
    assert facts is not None
    return Certificate(facts.thumbprint, friendly_name=friendly_name, facts=facts)


@pytest.mark.parametrize(
    ("task", "product"),
    [
        (ScheduledTask("win-acme renew (acme-v02.api.letsencrypt.org)"), "win-acme"),
        (ScheduledTask("letsencrypt-win-simple (acme-v01.api.letsencrypt.org)"), "win-acme"),
        (ScheduledTask("Renew certificates", runs=r"C:\tools\wacs.exe --renew"), "win-acme"),
        (ScheduledTask("simple-acme renew (acme-v02.api.letsencrypt.org)"), "simple-acme"),
        (ScheduledTask("Certify Maintenance Task"), "Certify"),
        (ScheduledTask("Nightly", runs="pwsh.exe -Command Submit-Renewal -AllOrders"), "Posh-ACME"),
    ],
)
def test_tasks_of_other_clients(task: ScheduledTask, product: str) -> None:
    (rival,) = rivals.at_work("EX01", [task], [])
    assert rival.product == product
    assert rival.disable == f"Disable-ScheduledTask -TaskPath '\\' -TaskName '{task.name}'"


@pytest.mark.parametrize(
    "task",
    [
        ScheduledTask("win-acme renew", is_enabled=False),
        ScheduledTask("Certificate services client", r"\Microsoft\Windows\CertificateServicesClient\ "),
        ScheduledTask("Exchange Auth certificate monitor"),
    ],
)
def test_other_tasks_do_no_harm(task: ScheduledTask) -> None:
    assert not list(rivals.at_work("EX01", [task], None))


def test_services_of_other_clients() -> None:
    services = [WindowsService("Certify.Service", is_running=True), WindowsService("Certify.Agent", is_disabled=True)]
    (rival,) = rivals.at_work("EX01", None, services)
    assert rival.product == "Certify"
    assert rival.disable == (
        "Stop-Service -Name 'Certify.Service'; Set-Service -Name 'Certify.Service' -StartupType Disabled"
    )


def test_names_in_commands_are_quoted() -> None:
    (rival,) = rivals.at_work("EX01", [ScheduledTask("win-acme '; Remove-Item C:\\ '")], None)
    assert rival.disable.endswith("-TaskName 'win-acme ''; Remove-Item C:\\ '''")


@pytest.mark.parametrize(
    ("name", "product"),
    [
        ("[Manual] mail.contoso.test @ 2026.1.1 9:00:00", "win-acme or simple-acme"),
        ("[IIS] Default Web Site, (any host)", "win-acme or simple-acme"),
        ("mail.contoso.test [Certify] - 2026-01-01 to 2026-03-31", "Certify"),
    ],
)
def test_certificates_that_look_like_theirs(name: str, product: str) -> None:
    (rival,) = rivals.by_certificates("EX01", [called(name)], NOW)
    assert rival.product == product
    assert name in rival.evidence
    assert "Disable-ScheduledTask" in rival.disable


def test_an_ordinary_name_and_one_of_the_past_are_no_evidence() -> None:
    old = called("[Manual] mail.contoso.test", age=timedelta(days=100))
    plain = called("Contoso mail")
    assert not list(rivals.by_certificates("EX01", [old, plain, Certificate("A" * 40, friendly_name="[IIS] x")], NOW))


def test_the_newest_certificate_is_the_evidence() -> None:
    older, newer = called("[Manual] a", age=timedelta(days=60)), called("[Manual] b")
    (rival,) = rivals.by_certificates("EX01", [older, newer], NOW)
    assert newer.thumbprint in rival.evidence
