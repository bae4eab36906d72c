"""The API of a running service, as a program uses it, and as schemathesis does: by its description alone."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from certwright.probe import Endpoint
from peers.ports import free_port, wait_for_port
from world.api import PREFIX, Client
from world.site import Site, authority, describe, register

pytestmark = pytest.mark.e2e
NOT_MEANT = ("positive_data_acceptance", "allow_header_conformance")
"""No description says which names exist and which revision is current; a 405 tells what one route allows, not all."""


def test_a_program_sees_a_request_from_its_beginning_to_the_certificate(tmp_path: Path) -> None:
    with authority() as ca:
        site = Site(tmp_path).initialise()
        register(site, ca)
        token = json.loads(site.cli("token", "add", "monitoring", "--allow", "read", "--json", code=0).out)["token"]
        with site.engine() as engine:
            mail = describe(engine, ca, "mail.contoso.test")
        client = Client(Endpoint("127.0.0.1", free_port()), token)
        service = site.begin("serve", "--listen", str(client.at))
        wait_for_port(client.at.host, client.at.port, 60)
        with client.events("/entries?after=0") as events:
            first = json.loads(next(events)["data"])
        with client.events(f"/entries?run={first['run_id']}&after=0") as events:
            told = [json.loads(event["data"]) for event in events if event["event"] == "entry"]
        assert told[0] == first
        assert client.get(f"/runs/{first['run_id']}")["outcome"] == "done"
        found = client.get(f"/certificates/{mail.id}")
        assert found["health"]["health"] == "ok"
        assert found["versions"][0]["managed_id"] == mail.id
        chain = client.ask("GET", f"/certificates/{mail.id}/chain")
        assert chain.headers["Content-Type"] == "application/pem-certificate-chain"
        assert chain.body.startswith(b"-----BEGIN CERTIFICATE-----")
        assert b"PRIVATE KEY" not in chain.body
        assert client.get("/status")["certificates"] == {"ok": 1}
        assert client.get("/issuers")[0]["name"] == "house-ca"
        refused = client.ask("PUT", f"/certificates/{mail.id}/hold", {"reason": "x"})
        assert refused.status == 403
        site.cli("token", "remove", "monitoring", code=0)
        client.get("/status", 401)
        os.kill(service.pid, signal.SIGTERM)
        ended = service.wait()
        assert ended.code == 0
        assert token not in ended.told


def test_a_stream_that_is_open_does_not_hold_up_the_end(tmp_path: Path) -> None:
    site = Site(tmp_path).initialise()
    token = json.loads(site.cli("token", "add", "live", "--allow", "read", "--json", code=0).out)["token"]
    client = Client(Endpoint("127.0.0.1", free_port()), token)
    service = site.begin("serve", "--listen", str(client.at))
    wait_for_port(client.at.host, client.at.port, 60)
    with client.events("/entries") as events:
        os.kill(service.pid, signal.SIGTERM)
        assert service.wait().code == 0
        assert not [event for event in events if event["event"] == "entry"]


def test_the_api_is_as_its_description_says(tmp_path: Path) -> None:
    """Hundreds of requests, most of them without sense, find no server error and no answer that is not described.

    All but the stream, which does not end.
    """
    with authority() as ca:
        site = Site(tmp_path).initialise()
        register(site, ca)
        with site.engine() as engine:
            describe(engine, ca, "mail.contoso.test")
        made = site.cli("token", "add", "robot", "--allow", "read", "--allow", "edit", "--json", code=0)
        client = Client(Endpoint("127.0.0.1", free_port()), json.loads(made.out)["token"])
        service = site.begin("serve", "--listen", str(client.at))
        wait_for_port(client.at.host, client.at.port, 60)
        header = f"Authorization: Bearer {client.token}"
        told = subprocess.run(
            [sys.executable, "-m", "schemathesis.cli", "run", f"http://{client.at}{PREFIX}/openapi.json", "-H", header,
             "--exclude-path", f"{PREFIX}/entries", "--exclude-checks", ",".join(NOT_MEANT),
             "--max-examples", "20", "--seed", "1"],
            cwd=tmp_path, capture_output=True, text=True, check=False, timeout=280,
        )  # fmt: skip
        os.kill(service.pid, signal.SIGTERM)
        ended = service.wait()
    assert told.returncode == 0, told.stdout
    assert "Traceback" not in ended.told
    assert ended.code == 0
