"""Commands beside each other on one store: what may run together does, and the rest is told apart in words."""

import json
import re
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from certwright.acme_server import AcmeServerConfig
from certwright.engine.request import request
from world.exchange import attach
from world.house import house
from world.processes import Running
from world.site import Authority, Site, authority, describe, register

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def ca() -> Iterator[Authority]:
    """An authority that takes its time, so that commands overlap."""
    with authority(AcmeServerConfig(finalize_delay=1.5)) as made:
        yield made


@pytest.fixture
def site(ca: Authority, tmp_path: Path) -> Site:
    made = Site(tmp_path).initialise()
    register(made, ca)
    return made


def _wanted(site: Site, ca: Authority, *names: str) -> str:
    with site.engine() as engine:
        return describe(engine, ca, *names).id


def _begun(site: Site, managed_id: str, running: Running) -> None:
    """Wait until a run of this certificate is under way."""
    end = time.monotonic() + 30
    with site.engine() as engine:
        while time.monotonic() < end and running.is_alive:
            with engine.store.read() as unit:
                if any(run.ended_at is None for run in unit.runs.list(managed_id)):
                    return
            time.sleep(0.02)
    raise AssertionError(f"no run began:\n{running.wait().told}")


def _busy_beside(site: Site, running: Running, managed_id: str) -> int:
    """Use the store with other commands for as long as it runs; how often."""
    commands: list[Callable[[int], tuple[str, ...]]] = [
        lambda _: ("certificate", "list", "--json"),
        lambda _: ("certificate", "show", managed_id),
        lambda _: ("certificate", "log", managed_id),
        lambda n: ("credential", "add", "exchange", f"c{n}", "--username", "u", "--password-file", "-"),
        lambda _: ("task", "list", managed_id),
    ]
    for number in count():
        if not running.is_alive:
            return number
        site.cli(*commands[number % len(commands)](number), given="secret", code=0)
    raise AssertionError


def test_commands_work_while_a_request_does(site: Site, ca: Authority) -> None:
    managed_id = _wanted(site, ca)
    running = site.begin("certificate", "request", managed_id)
    _begun(site, managed_id, running)
    done = _busy_beside(site, running, managed_id)
    ended = running.wait()
    assert ended.code == 0, ended.told
    assert done >= 2
    shown = json.loads(site.cli("certificate", "show", managed_id, "--json", code=0).out)
    assert len(shown["versions"]) == 1


def test_commands_work_while_a_deployment_does(tmp_path: Path) -> None:
    with house(tmp_path) as one:
        version = one.next_version()
        running = one.site.begin("deploy", one.managed_id)
        done = _busy_beside(one.site, running, one.managed_id)
        ended = running.wait()
        assert ended.code == 0, ended.told
        assert done >= 2
        assert set(one.exchange.served.values()) == {version.sha256}


def test_two_deployments_of_one_certificate_do_not_mix(tmp_path: Path) -> None:
    with house(tmp_path) as one:
        one.next_version()
        running = one.site.begin("deploy", one.managed_id)
        _begun(one.site, one.managed_id, running)
        second = one.site.cli("deploy", one.managed_id, code=1)
        assert re.search(
            r"'mail.contoso.test' is being worked on: \S+ began its deployment at \d\d:\d\d UTC", second.err
        )
        assert f"It is process {running.pid} on " in second.err
        assert running.wait().code == 0


def test_two_certificates_are_not_deployed_to_one_server_at_once(tmp_path: Path) -> None:
    with house(tmp_path) as one:
        one.next_version()
        with one.site.engine() as engine:
            other = describe(engine, one.ca, "other.contoso.test", key_type="rsa-2048").id
            attach(engine, other, one.exchange)
            request(engine, other)
        running = one.site.begin("deploy", one.managed_id)
        _begun(one.site, one.managed_id, running)
        (task,) = json.loads(one.site.cli("deploy", other, "--json", code=1).out)
        told = "\n".join(task["error"])
        assert re.match(
            r"The organisation \S+ is being worked on: \S+ began the deployment of 'mail.contoso.test' at", told
        )
        assert f"its log: certwright certificate log {one.managed_id}" in told
        assert f"It is process {running.pid} on " in told
        assert running.wait().code == 0


def test_of_two_requests_for_one_certificate_one_is_told_that_the_other_works_on_it(site: Site, ca: Authority) -> None:
    managed_id, issued = _wanted(site, ca), len(ca.server.issued)
    first = site.begin("certificate", "request", managed_id)
    _begun(site, managed_id, first)
    pid = first.pid
    second = site.cli("certificate", "request", managed_id, code=1)
    assert re.search(r" is being worked on: \S+ began its request at ", second.err)
    assert f"Wait for it to end; its log: certwright certificate log {managed_id}" in second.err
    assert f"It is process {pid} on " in second.err
    assert "if that hangs, end it" in second.err
    assert first.wait().code == 0
    assert len(ca.server.issued) == issued + 1
    site.cli("certificate", "request", managed_id, code=3)


def test_two_certificates_are_requested_at_once_on_one_port(site: Site, ca: Authority) -> None:
    ids, issued = [_wanted(site, ca, f"{n}.contoso.test") for n in ("one", "two")], len(ca.server.issued)
    running = [site.begin("certificate", "request", managed_id) for managed_id in ids]
    ended = [each.wait() for each in running]
    assert [each.code for each in ended] == [0, 0], "\n".join(each.told for each in ended)
    assert len(ca.server.issued) == issued + 2
