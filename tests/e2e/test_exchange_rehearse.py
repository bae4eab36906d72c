"""A rehearsal: every change is sent with -WhatIf, nothing is changed, and what would be refused is known before."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from certwright.domain.deployment import Severity
from certwright.exchange_simulator import Fail, SendConnector
from peers.exchange_task import Authority, World, pfx, run, spec, world

pytestmark = pytest.mark.e2e

LESS: dict[str, Any] = {"services": "IIS,SMTP,POP", "verify": ["off"]}


@pytest.fixture
def two(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path, spec("MAIL01"), spec("MAIL02")) as made:
        yield made


def test_every_change_is_asked_for_and_none_is_made(two: World) -> None:
    old, version = Authority("Contoso Old CA").issue(), two.authority.issue()
    stored = [s.add_certificate(pfx(old), "pfx", services="IIS, SMTP") for s in two.organisation.servers.values()]
    two.organisation.state.send_connectors.append(
        SendConnector("To partner", tls_certificate_name=stored[0].tls_certificate_name)
    )
    task = two.task(version, [old], **LESS)
    plan = task.plan()
    answers = task.rehearse(plan)
    assert len(answers) == len(plan.changes)
    assert {answer.severity for answer in answers} == {Severity.NOTE}, [a.message for a in answers]
    assert not two.mutations
    asked = {call.cmdlet for call in two.organisation.calls if call.parameters.get("WhatIf") is True}
    assert asked == {
        "Import-ExchangeCertificate",
        "Enable-ExchangeCertificate",
        "Set-PopSettings",
        "Set-SendConnector",
    }
    imports = [answer for answer in answers if "import the certificate" in answer.message]
    assert all("would be done" in answer.message for answer in imports)
    assert task.plan().digest == plan.digest
    assert run(two.task(version, [old], **LESS)).stage == "deployed"


def test_what_exchange_refuses_is_known_before(two: World) -> None:
    task = two.task(two.authority.issue(), **LESS)
    plan = task.plan()
    two.organisation["MAIL02"].faults.inject(Fail("Access is denied."), "Import-ExchangeCertificate", times=None)
    refused = [answer for answer in task.rehearse(plan) if answer.severity is Severity.STOP]
    assert [answer.subject for answer in refused] == ["mail02.contoso.test"]
    assert "Access is denied." in refused[0].message
    assert not two.mutations


def test_a_server_that_does_not_answer_is_said(two: World) -> None:
    task = two.task(two.authority.issue(), **LESS)
    plan = task.plan()
    two.organisation["MAIL02"].faults.take_down()
    stopped = [answer for answer in task.rehearse(plan) if answer.severity is Severity.STOP]
    assert {answer.subject for answer in stopped} == {"mail02.contoso.test"}
    two.organisation["MAIL02"].faults.heal()
