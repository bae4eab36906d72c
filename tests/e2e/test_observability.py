"""A running service tells how it goes: health, readiness, metrics, and its log as JSON."""

import http.client
import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from certwright.acme_server import AcmeServerConfig
from peers.ports import free_port
from peers.postgres import Postgres
from world.processes import until
from world.site import Site, authority, describe, register

pytestmark = pytest.mark.e2e


def get(port: int, path: str) -> tuple[int, str]:
    """Status and body; 0 while nothing listens."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    except ConnectionRefusedError:
        return 0, ""
    finally:
        connection.close()


def samples(port: int) -> dict[tuple[str, ...], float]:
    """Every sample by its name and the values of its labels; nothing while another scrape is under way."""
    status, body = get(port, "/metrics")
    if status != 200:
        return {}
    found = text_string_to_metric_families(body)
    return {(s.name, *s.labels.values()): s.value for family in found for s in family.samples}


def test_what_the_service_does_is_seen_from_outside(tmp_path: Path) -> None:
    with authority(AcmeServerConfig(forbidden_domains=("wrong.contoso.test",))) as ca:
        site = Site(tmp_path).initialise()
        register(site, ca)
        with site.engine() as engine:
            wrong = describe(engine, ca, "wrong.contoso.test")
            right = describe(engine, ca, "right.contoso.test")
        port = free_port()
        service = site.begin("serve", "--listen", f"127.0.0.1:{port}", "--log-format", "json")
        until(lambda: get(port, "/readyz")[0] == 200)
        assert get(port, "/healthz") == (200, "ok\n")
        until(lambda: samples(port).get(("certwright_attempts_total", "request", "done")) == 1)
        until(lambda: samples(port).get(("certwright_attempts_total", "request", "refused")) == 1)
        until(lambda: samples(port).get(("certwright_running",)) == 0)
        told = samples(port)
        assert told["certwright_ready",] == 1
        assert told["certwright_due",] == 0
        assert sum(value for (name, *_), value in told.items() if name == "certwright_certificates") == 2
        os.kill(service.pid, signal.SIGTERM)
        ended = service.wait()
    assert ended.code == 0, ended.told
    lines: list[dict[str, Any]] = [json.loads(line) for line in ended.err.splitlines()]
    assert all({"at", "level", "message"} <= line.keys() for line in lines)
    with site.engine() as engine, engine.store.read() as unit:
        (failed,), (issued,) = unit.runs.list(wrong.id), unit.runs.list(right.id)
        journal = unit.runs.entries(issued.id)
    of_issued = [line for line in lines if line.get("run") == issued.id]
    assert [line["message"] for line in of_issued] == [entry.title for entry in journal]
    assert [line["phase"] for line in of_issued] == [entry.phase for entry in journal]
    warnings = [line for line in lines if line["level"] == "warning"]
    assert any(line["message"].startswith("Nobody is told of problems: there is no channel.") for line in warnings)
    (warning,) = (line for line in warnings if "run" in line)
    assert warning["run"] == failed.id
    assert warning["certificate"] == wrong.id
    assert warning["message"].startswith("wrong.contoso.test: ")
    log = (site.settings.data_folder / "logs" / "certwright.log").read_text()
    assert f"(run {failed.id})" in log
    assert issued.id not in log


def test_a_command_that_fails_has_its_run_in_the_log(tmp_path: Path) -> None:
    with authority(AcmeServerConfig(forbidden_domains=("wrong.contoso.test",))) as ca:
        site = Site(tmp_path).initialise()
        register(site, ca)
        with site.engine() as engine:
            wrong = describe(engine, ca, "wrong.contoso.test")
        site.cli("certificate", "request", wrong.id, code=1)
    with site.engine() as engine, engine.store.read() as unit:
        (failed,) = unit.runs.list(wrong.id)
    (line,) = (site.settings.data_folder / "logs" / "certwright.log").read_text().splitlines()
    assert "INFO failed: " in line
    assert line.endswith(f"(run {failed.id})")


def test_it_is_alive_but_not_ready_while_the_database_is_away(tmp_path: Path, postgres: Postgres) -> None:
    site = Site(tmp_path, store_url=postgres.schema()).initialise()
    port = free_port()
    service = site.begin("serve", "--listen", f"127.0.0.1:{port}")
    until(lambda: get(port, "/readyz")[0] == 200)
    postgres.stop()
    try:
        until(lambda: get(port, "/readyz")[0] == 503)
        assert "store" in json.loads(get(port, "/readyz")[1])["reasons"][0]
        assert get(port, "/healthz") == (200, "ok\n")
    finally:
        postgres.start()
    until(lambda: get(port, "/readyz")[0] == 200)
    os.kill(service.pid, signal.SIGTERM)
    ended = service.wait(120)
    assert ended.code == 0, ended.told


def test_an_address_that_is_none_is_refused_before_any_work(tmp_path: Path) -> None:
    site = Site(tmp_path).initialise()
    assert "names no port" in site.cli("serve", "--listen", "8480", code=2).err
