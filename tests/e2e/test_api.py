"""The API of a running service, as a program uses it, and as schemathesis does: by its description alone."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import TypeVar

import pytest

from certwright.domain.access import Permission
from certwright.probe import Endpoint
from peers.ports import free_port, wait_for_port
from world.api import PREFIX, Client
from world.site import Site, authority, describe, register
from world.web import PASSWORD

pytestmark = pytest.mark.e2e
T = TypeVar("T")
SOAKED = os.environ.get("SOAK", "").split()
SEED = SOAKED[0] if SOAKED else "1"
PHASES = "coverage,fuzzing,stateful" if SOAKED else "fuzzing,stateful"
"""Every boundary of every parameter takes minutes."""
SECONDS = 3600 if SOAKED else 280

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
        assert client.get("/issuers")["items"][0]["name"] == "house-ca"
        refused = client.ask("PUT", f"/certificates/{mail.id}/hold", {"reason": "x"})
        assert refused.status == 403
        site.cli("token", "remove", "monitoring", code=0)
        client.get("/status", 401)
        os.kill(service.pid, signal.SIGTERM)
        ended = service.wait()
        assert ended.code == 0
        assert token not in ended.told


ROBOT = """
request-timeout = 60.0

[checks.not_a_server_error]
expected-statuses = ["2xx", "3xx", "4xx", 502]

# A task may be called "test": what changes or removes a task meets it at this address.
[[operations]]
include-path = "/api/v1/certificates/{{id}}/tasks/test"
checks.unsupported_method.enabled = false
parameters = {{ "path.id" = "{certificate}" }}

[[operations]]
include-path-regex = "/certificates/[{{]id[}}]/"
parameters = {{ "path.id" = "{certificate}", "path.task" = "{task}", "path.version" = "{version}" }}

[[operations]]
include-path-regex = "/watched/[{{]id[}}]/"
parameters = {{ "path.id" = "{watched}" }}

[[operations]]
include-path-regex = "/people/[{{]name[}}]/"
parameters = {{ "path.name" = "anna" }}

[[operations]]
include-path-regex = "/issuers/[{{]name[}}]/"
parameters = {{ "path.name" = "house-ca" }}

[[operations]]
include-path-regex = "/runs/[{{]id[}}]"
parameters = {{ "path.id" = "{run}" }}
"""
"""Peers may fail, and take their time to; and most of what is asked is asked of what there is, but for removing it."""
EVERYTHING = [word for permission in Permission for word in ("--allow", permission.value)]


def test_from_nothing_to_a_certificate_and_back_by_the_api_alone(tmp_path: Path) -> None:
    with authority() as ca, serving(tmp_path, *EVERYTHING) as client:
        made = client.ask("POST", "/issuers", {"name": "house-ca", "params": ca.params}, Idempotency_Key="issuer")
        assert (made.status, made.data["capabilities"]["internal_names"]) == (201, True), made.body
        assert made.headers["Location"] == "/api/v1/issuers/house-ca"
        assert client.ask("POST", "/issuers/house-ca/test").status == 200
        of_two_changes_none_is_lost(client, tmp_path, Path(ca.params["ca_file"]))
        proof = ca.validation.model_dump(mode="json")
        wanted = {"names": ["mail.contoso.test"], "issuers": ["house-ca"], "validations": [proof]}
        hold = {"reason": "It is tested first."}
        described = client.ask("POST", "/certificates", wanted, Idempotency_Key="mail")
        assert described.status == 201, described.body
        path = described.headers["Location"].removeprefix(PREFIX)
        first = until(lambda: client.get(path), lambda found: found["versions"])["versions"][0]
        assert client.ask("POST", "/certificates", wanted, Idempotency_Key="mail").body == described.body
        assert client.ask("PUT", f"{path}/hold", hold).status == 200
        tested = client.ended(client.ask("POST", f"{path}/test"))
        assert (tested["job"]["outcome"], tested["result"]["ready"]) == ("done", True), tested
        assert client.get(f"/runs/{tested['job']['runs'][0]}")["kind"] == "test"
        key = client.ask("POST", f"{path}/export", {"format": "pem"}).body
        assert key.startswith(b"-----BEGIN PRIVATE KEY-----")
        assert key.endswith(client.ask("GET", f"{path}/versions/{first['id']}/chain").body)
        tag = client.ask("GET", path).headers["ETag"]
        changed = client.ask("PATCH", path, {"names": ["mail.contoso.test", "smtp.contoso.test"]}, If_Match=tag)
        assert (changed.status, changed.data["renewal"]["reason"]) == (200, "held"), changed.body
        assert client.ask("DELETE", f"{path}/hold").status == 200
        assert client.ask("POST", f"{path}/request").status == 202
        second = until(lambda: client.get(path), lambda found: len(found["versions"]) > 1)
        revoked = client.ask("POST", f"{path}/revoke", {"reason": "superseded", "breaks_services": True})
        assert revoked.status == 200, revoked.body
        assert revoked.data["versions"][0]["id"] == second["versions"][0]["id"]
        assert revoked.data["versions"][0]["revoked_at"]
        tag = client.ask("GET", path).headers["ETag"]
        removed = until(lambda: client.ask("DELETE", path, If_Match=tag), lambda answer: answer.status != 409)
        assert removed.status == 204, removed.body
        assert client.ask("DELETE", "/issuers/house-ca").status == 204


@contextmanager
def serving(folder: Path, *allowed: str, **variables: str) -> Iterator[Client]:
    """A service on a store of its own, and a program with a token for it; it tells no secret and ends well."""
    site = Site(folder).initialise()
    made = site.cli("token", "add", "robot", *(allowed or ("--allow", "read")), "--json", code=0)
    client = Client(Endpoint("127.0.0.1", free_port()), json.loads(made.out)["token"])
    service = site.begin("serve", "--listen", str(client.at), **variables)
    wait_for_port(client.at.host, client.at.port, 60)
    yield client
    os.kill(service.pid, signal.SIGTERM)
    ended = service.wait()
    assert ended.code == 0
    assert client.token not in ended.told
    assert "Traceback" not in ended.told


def of_two_changes_none_is_lost(client: Client, folder: Path, roots: Path) -> None:
    """Whoever changes an issuer while somebody else does is told so, or both changes are there."""
    for number in range(3):
        copied = shutil.copy(roots, folder / f"roots{number}.pem")
        assert client.ask("PATCH", "/issuers/house-ca", {"unset": ["proxy"]}).status == 200
        changes = {"proxy": "none", "ca_file": str(copied)}
        with ThreadPoolExecutor() as both:
            begun = {
                k: both.submit(client.ask, "PATCH", "/issuers/house-ca", {"params": {k: v}}) for k, v in changes.items()
            }
        answers = {name: answer.result().status for name, answer in begun.items()}
        stored = client.get("/issuers/house-ca")["params"]
        assert HTTPStatus.OK in answers.values(), answers
        for name, status in answers.items():
            assert status in (HTTPStatus.OK, HTTPStatus.PRECONDITION_FAILED), answers
            assert (stored[name] == changes[name]) == (status == HTTPStatus.OK), (answers, stored)


def until(look: Callable[[], T], is_there: Callable[[T], object]) -> T:
    """What is seen once it is there."""
    ends = time.monotonic() + 60
    while not is_there(seen := look()):
        assert time.monotonic() < ends, seen
        time.sleep(0.1)
    return seen


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


@pytest.mark.timeout(SECONDS + 60)
def test_the_api_is_as_its_description_says(tmp_path: Path) -> None:
    """Hundreds of requests, most of them without sense, find no server error and no answer that is not described.

    All but the stream, which does not end, and what would take the robot's token away. Nothing leaves this machine.
    """
    with (
        authority() as ca,
        serving(tmp_path, *EVERYTHING, CERTWRIGHT_PROXY=f"http://127.0.0.1:{free_port()}") as client,
    ):
        made = client.ask("POST", "/issuers", {"name": "house-ca", "params": ca.params})
        assert made.status == 201, made.body
        proof = ca.validation.model_dump(mode="json")
        wanted = {"names": ["mail.contoso.test"], "issuers": ["house-ca"], "validations": [proof]}
        described = client.ask("POST", "/certificates", wanted)
        assert described.status == 201, described.body
        path = described.headers["Location"].removeprefix(PREFIX)
        found = until(lambda: client.get(path), lambda found: found["versions"])
        exchange = {"kind": "exchange", "params": {"servers": ["127.0.0.1"], "auth": "ntlm", "credential": "ex"}}
        account = {"kind": "exchange", "username": "svc", "password": PASSWORD}
        assert client.ask("PUT", "/credentials/ex", account).status == 200
        task = client.ask("POST", f"{path}/tasks", exchange, If_Match=client.ask("GET", path).headers["ETag"])
        assert task.status == 201, task.body
        chain = client.ask("GET", f"{path}/chain").body.decode()
        watched = client.ask("POST", "/watched", {"file": {"content": chain}})
        assert watched.status == 201, watched.body
        anna = {"name": "anna", "role": "operator", "password": PASSWORD}
        assert client.ask("POST", "/people", anna).status == 201
        (tmp_path / "schemathesis.toml").write_text(
            ROBOT.format(
                certificate=path.rpartition("/")[2],
                version=found["versions"][0]["id"],
                task=task.data[0]["settings"]["id"],
                watched=watched.data["watched"]["id"],
                run=client.get("/runs")["items"][0]["id"],
            )
        )
        header = f"Authorization: Bearer {client.token}"
        told = subprocess.run(
            [sys.executable, "-m", "schemathesis.cli", "run", f"http://{client.at}{PREFIX}/openapi.json", "-H", header,
             "--exclude-path", f"{PREFIX}/entries", "--exclude-operation-id", "delete_token",
             "--exclude-checks", ",".join(NOT_MEANT),
             "--phases", PHASES, "--max-examples", "3", "--seed", SEED],
            cwd=tmp_path, capture_output=True, text=True, check=False, timeout=SECONDS,
        )  # fmt: skip
    assert told.returncode == 0, told.stdout
