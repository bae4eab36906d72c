"""Exchange over the API: a certificate is set up, planned and put back in the words of the command line."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from certwright import api
from certwright.domain.managed import Issuer
from certwright.engine.live import Live
from certwright.exchange.account import grant_script
from certwright.exchange.connection import Connection
from certwright.probe import Endpoint
from certwright.sdk.context import Credential
from certwright.server.http import listening
from peers.exchange_task import NAMES, PASSWORD, USERNAME, World, spec, world
from peers.ports import free_port
from world.api import Service
from world.hurry import hurried
from world.mailing import mailing
from world.web import opened


@pytest.fixture
def mail(service: Service, tmp_path: Path) -> Iterator[World]:
    service.clock.now = datetime.now(UTC)
    with world(tmp_path, spec("MAIL01")) as made, hurried():
        with service.engine.store.write() as unit:
            unit.credentials.add("exchange", Credential("exchange", USERNAME, PASSWORD))
            own = Issuer(name="own", kind="acme", params={"directory": "https://ca.test/"}, account={"url": "x"})
            able = own.capabilities.model_copy(update={"internal_names": True})
            unit.issuers.add(own.model_copy(update={"capabilities": able}), b"account key")
        yield made


def test_a_certificate_is_set_up_from_the_organisation(service: Service, mail: World) -> None:
    client = service.client("manage", "read", "keys")
    wanted: dict[str, Any] = {"connection": mail.params(winrm=None, verify=None), "issuer": "own"}
    told = client.ended(client.ask("POST", "/exchange/setup-plan", wanted))
    assert told["job"]["what"] == "exchange setup --dry-run"
    assert set(told["result"]["names"]) & set(NAMES), told
    assert told["result"]["verdicts"]
    assert client.get("/certificates")["items"] == [], "a proposal stores nothing"

    wanted |= {"names": list(NAMES), "title": "Mail", "held": "To be tested first."}
    made = client.ended(client.ask("POST", "/exchange/setup", wanted))["result"]
    assert made["title"] == "Mail"
    assert made["tasks"][0]["kind"] == "exchange"
    assert made["proposal"]["servers"] == ["mail01.contoso.test"]
    held = client.ask("GET", f"/certificates/{made['id']}")
    assert held.data["health"]["health"] == "paused"
    assert held.headers["ETag"] == '"1"', "it was never there without its task"
    again = client.ended(client.ask("POST", "/exchange/setup", wanted))
    assert "There is a managed certificate 'Mail' already." in again["job"]["fault"]["message"]
    undoes = service.client("edit", "read", "request")
    undo = undoes.ended(undoes.ask("POST", f"/certificates/{made['id']}/exchange/undo-plan"))
    assert "has no certificate yet" in undo["job"]["fault"]["message"]


@pytest.mark.parametrize("path", ["/exchange/setup-plan", "/exchange/setup"])
def test_setting_up_takes_the_right_to_manage_and_to_say_where_keys_go(service: Service, path: str) -> None:
    wanted = {"connection": {"servers": ["mail01.contoso.test"]}}
    assert service.client("edit", "request", "read", "keys").ask("POST", path, wanted).status == 403
    plans = path.endswith("plan")
    assert service.client("edit", "manage", "read").ask("POST", path, wanted).status == (202 if plans else 403)


def test_a_stored_password_goes_only_where_it_went_before_for_whoever_may_not_take_secrets_out(
    service: Service, mail: World
) -> None:
    client, keeper = service.client("manage", "read", "edit"), service.client("manage", "read", "keys")
    known = {name: value for name, value in mail.params(winrm=None).items() if name in Connection.model_fields}
    ours = {"connection": known}
    refused = client.ask("POST", "/exchange/discover", ours)
    assert refused.status == 403, refused.body
    assert f"The password would be sent to {mail.first.powershell_url} (basic, exchange" in refused.data["causes"][0]
    assert (
        "may not have a stored password sent"
        in client.ended(client.ask("POST", "/exchange/setup-plan", ours | {"issuer": "own"}))["job"]["fault"]["message"]
    )
    assert keeper.ended(keeper.ask("POST", "/exchange/discover", ours))["result"]["snapshot"]
    assert client.ended(client.ask("POST", "/exchange/discover", ours))["result"]["snapshot"]
    theirs = known | {"endpoint": "https://mallory.test/PowerShell/"}
    for path in ("discover", "doctor", "status", "account", "names"):
        assert client.ask("POST", f"/exchange/{path}", {"connection": theirs}).status == 403
    certificate = service.managed("mail.contoso.com")
    tried = client.ask("POST", f"/certificates/{certificate.id}/tasks/test", {"kind": "exchange", "params": theirs})
    assert "may not say where private keys go" in client.ended(tried)["job"]["fault"]["message"]


def test_the_commands_that_give_an_account_its_rights(service: Service) -> None:
    client = service.client("read")
    assert client.get("/exchange/account-script?account=CONTOSO%5Csvc")["script"] == grant_script("CONTOSO\\svc")
    refused = client.ask("GET", "/exchange/account-script?account=a%2Fb")
    assert (refused.status, "is no name of an account" in refused.data["detail"]) == (422, True)


def test_of_earlier_versions_those_are_removed_that_somebody_agreed_to(tmp_path: Path) -> None:
    at = Endpoint("127.0.0.1", free_port())
    with opened(tmp_path) as house, mailing(house, tmp_path) as mail:
        app = api.application(house.engine, lambda: None, Live(house.engine.store), house.jobs, house.settings)
        with listening(at, app):
            first = mail.version.facts.thumbprint
            mail.renewed()
            house.clock.now += timedelta(days=2)
            client = Service(house.engine, house.clock, at, house.jobs, tmp_path).client("edit", "request", "read")
            (planned,) = client.ended(client.ask("POST", f"{mail.at}/cleanup-plan"))["result"]
            assert [each["target"] for each in planned["removals"]] == ["mail01.contoso.test", "mail02.contoso.test"]
            assert client.ask("POST", f"{mail.at}/cleanup", {"anytime": True}).status == 422
            wanted = {"removals": planned["removals"][1:]}
            (done,) = client.ended(client.ask("POST", f"{mail.at}/cleanup", wanted))["result"]
    assert done["removed"] == wanted["removals"]
    assert done["kept"] == [
        {"server": "mail01.contoso.test", "thumbprint": first, "reasons": ["nobody has agreed to its removal yet"]}
    ]
    held = [first in server.state.certificates for server in mail.exchange.organisation.servers.values()]
    assert held == [True, False]
