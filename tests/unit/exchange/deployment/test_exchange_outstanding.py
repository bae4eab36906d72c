"""What is left for a person is told in one error, whatever came together."""

from typing import Any

import pytest

from certwright.domain.deployment import Finding, Severity
from certwright.domain.errors import DeploymentError, NeedsPerson
from certwright.exchange.deployment import changes
from certwright.exchange.deployment.apply import Left
from certwright.exchange.deployment.connectors import LEFT_OUT
from certwright.exchange.deployment.outstanding import SOAK, WAITS, outstanding
from certwright.exchange.model import Service
from certwright.exchange.verification.chains import Gap
from certwright.exchange.verification.ports import Port
from certwright.probe import Endpoint

LEFT = Left(changes.enable("ex01", "A" * 40, Service.SMTP, ""), DeploymentError("Access is denied."))
POP = Port("ex02", "POPS", Endpoint("127.0.0.1", 995))
WAITING = Finding(check=WAITS, severity=Severity.WARN, message="The send connector 'x' goes on.", remedy="It follows.")


def told(**given: object) -> str:
    error = outstanding("Contoso mail", **given)  # type: ignore[arg-type]
    return "\n".join(error.explain()) if error else ""


def test_nothing_left_is_no_error() -> None:
    assert not told()
    assert not told(findings=[WAITING.model_copy(update={"check": "edge"})])
    assert not told(findings=[WAITING.model_copy(update={"check": LEFT_OUT})])


def test_each_alone_is_told_with_its_next_step() -> None:
    assert "Enable-ExchangeCertificate -Server 'ex01'" in told(left=[LEFT])
    assert "On ex02 run: Restart-Service MSExchangePOP3, MSExchangePOP3BE" in told(restarts=[POP])
    assert "certutil -addstore CA" in told(gaps=[Gap(POP, "CN=R12")])
    assert "127.0.0.1:995 still presents the earlier certificate" in told(copies=[POP])
    issuers = Left(changes.import_issuers("ex01", "A" * 40, 1, ""), DeploymentError("Access is denied."))
    assert "certwright certificate export 'Contoso mail' --format p7b" in told(left=[issuers])
    assert "certificate export" not in told(left=[LEFT])
    away = told(away={"ex03": "it is in maintenance"})
    assert away.startswith("All is done but for ex03.")
    assert "ex03: left alone, because it is in maintenance" in away
    assert "The next run of 'Contoso mail' goes on there" in away
    assert "All is done but for connectors that have to wait." in told(findings=[WAITING])


def test_servers_that_were_not_chosen_are_told_with_the_connectors_that_wait_for_them() -> None:
    error = outstanding("Contoso mail", others=["ex02"], findings=[WAITING.model_copy(update={"check": LEFT_OUT})])
    assert error
    assert error.retry_after == SOAK
    said = "\n".join(error.explain())
    assert said.startswith("All is done but for ex02.")
    assert "ex02: not worked on, because it was not chosen this time" in said
    assert WAITING.message in said
    assert "certwright exchange apply 'Contoso mail'" in said


def test_together_nothing_is_left_out() -> None:
    all_of_it = told(
        left=[LEFT],
        restarts=[POP],
        away={"ex03": "it is in maintenance"},
        failed={"ex04": DeploymentError("No space left.")},
        findings=[WAITING],
    )
    for words in (
        "All is done but for ex03, ex04.",
        "ex04: failed, and was taken back alone",
        "No space left.",
        "The send connector 'x' goes on. It follows.",
        "Access is denied.",
        "Enable-ExchangeCertificate -Server 'ex01'",
        "Then on ex02 run: Restart-Service MSExchangePOP3, MSExchangePOP3BE",
    ):
        assert words in all_of_it


def test_a_server_that_could_not_be_taken_back_is_not_said_to_have_been() -> None:
    stuck = told(failed={"ex03": NeedsPerson("The change could not be taken back on ex03.")})
    assert "ex03: failed, and could not be taken back yet" in stuck
    assert "was taken back alone" not in stuck


@pytest.mark.parametrize(
    ("given", "can_wait"),
    [
        ({"others": ["ex02"]}, True),
        ({"away": {"ex02": "it is in maintenance"}}, True),
        ({"failed": {"ex02": DeploymentError("No space left.")}}, True),
        ({"findings": [WAITING]}, True),
        ({"failed": {"ex02": NeedsPerson("The change could not be taken back on ex02.")}}, False),
        ({"restarts": [POP]}, False),
        ({"others": ["ex02"], "left": [LEFT]}, False),
    ],
)
def test_servers_that_were_not_touched_can_wait_and_others_cannot(given: dict[str, Any], can_wait: bool) -> None:
    error = outstanding("Contoso mail", **given)
    assert error
    assert error.can_wait is can_wait
