"""A server that dies for good in the middle of a deployment: it is taken out of the task, and the others go on."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from certwright.domain.errors import NeedsPerson
from certwright.domain.managed import TaskSettings
from certwright.domain.runs import Stage
from certwright.engine.deploy import deploy
from certwright.engine.deployment import TaskResult
from certwright.engine.request import request
from certwright.engine.task_list import add_task, change_task
from certwright.exchange_simulator import Gone
from certwright.sdk.context import Credential
from world.contoso import AUTODISCOVER, OUTBOUND, PASSWORD, PUBLIC, USERNAME, Contoso, contoso
from world.house import told
from world.hurry import hurried
from world.site import Site, describe, register

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]
DEAD = "ex02.contoso.test"


@dataclass(frozen=True, slots=True)
class Place:
    """Two servers, and an installation whose certificate could not be taken back on the one that died."""

    organisation: Contoso
    site: Site
    managed: str
    stuck: TaskResult

    def deploy(self) -> TaskResult:
        with self.site.engine() as engine, hurried():
            (result,) = deploy(engine, self.managed)
        return result


def some(organisation: Contoso, servers: Sequence[str]) -> dict[str, Any]:
    """Parameters for these servers: the web site and SMTP alone."""
    given = {name: value for name, value in organisation.reach.items() if name != "winrm"}
    looked_at = [word for word in organisation.verify if word.partition("/")[0] in servers]
    return {
        **given,
        "servers": list(servers),
        "endpoint": {server: url for server, url in given["endpoint"].items() if server in servers},
        "services": "IIS,SMTP",
        "verify": [word for word in looked_at if "/IIS:" in word or "/SMTP:" in word],
    }


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with contoso(tmp_path / "exchange", ("EX01", "EX02")) as organisation:
        site = Site(tmp_path).initialise()
        register(site, organisation.ca)
        every = [server.spec.fqdn for server in organisation.servers]
        with site.engine() as engine:
            managed = describe(engine, organisation.ca, PUBLIC, AUTODISCOVER, key_type="rsa-2048").id
            with engine.store.write() as unit:
                for kind in ("doctor", "supervised"):
                    unit.records.put("organisation:contoso.test", kind, {"passed": True}, engine.now())
                unit.records.put("organisation:contoso.test", "acknowledged", [OUTBOUND], engine.now())
                unit.credentials.add("exchange", Credential("exchange", USERNAME, PASSWORD))
            params = some(organisation, every)
            add_task(engine, managed, TaskSettings(kind="exchange", title="exchange", params=params))
            request(engine, managed)
            organisation.organisation["EX02"].faults.inject(Gone(), "Enable-ExchangeCertificate", times=None)
            with hurried():
                (stuck,) = deploy(engine, managed)
        yield Place(organisation, site, managed, stuck)


def test_once_it_is_taken_out_of_the_task_the_others_go_back_and_then_forward(place: Place) -> None:
    assert isinstance(place.stuck.error, NeedsPerson), told(place.stuck)
    assert isinstance(place.deploy().error, NeedsPerson)
    with place.site.engine() as engine:
        change_task(engine, place.managed, "exchange", some(place.organisation, ["ex01.contoso.test"]))
    back = place.deploy()
    assert back.stage is Stage.ROLLED_BACK, told(back)
    assert f"{DEAD} is no longer among the task's servers" in told(back)
    by_hand = f"Enable-ExchangeCertificate -Server '{DEAD}' -Thumbprint '{place.organisation.first.thumbprint}'"
    assert by_hand in told(back)
    with place.site.engine() as engine, engine.store.read() as unit:
        entries = unit.runs.entries(unit.runs.list(place.managed)[0].id)
    assert any(by_hand in entry.detail or by_hand in entry.title for entry in entries)
    assert place.organisation.served()["EX01", 443] == place.organisation.first.sha256
    forward = place.deploy()
    assert forward.stage is Stage.DEPLOYED, told(forward)
    assert place.organisation.served()["EX01", 443] != place.organisation.first.sha256


def test_a_task_that_is_removed_meanwhile_tells_what_is_unfinished(place: Place) -> None:
    said = place.site.cli("task", "remove", place.managed, "exchange", code=0)
    assert "is removed." in said.told
    assert "A deployment of it failed and was not taken back completely" in said.told
    assert re.search(r"ex01\.contoso\.test SMTP \S+ serves \w+ \S+, and served \w+ \S+ before", said.told), said.told
