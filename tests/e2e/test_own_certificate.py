"""The service speaks TLS to others, and takes care of its own certificate, without a new start."""

import http.client
import json
import os
import re
import signal
import socket
import ssl
from contextlib import closing
from pathlib import Path

import pytest

from certwright.engine.request import request
from certwright.probe import Endpoint, Target, probe
from peers.ports import free_port, wait_for_port
from world.processes import Running, until
from world.site import Site, authority, describe, register

pytestmark = pytest.mark.e2e
NAME = "certs.contoso.test"


def presented(port: int) -> str:
    """The SHA-256 of what is presented there."""
    seen = probe(Target("127.0.0.1", port, server_name=NAME))
    assert seen.leaf, seen.failure
    return seen.leaf.sha256


def secure(port: int) -> http.client.HTTPSConnection:
    """A connection that believes whatever is presented."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return http.client.HTTPSConnection("127.0.0.1", port, timeout=60, context=context)


def begin(site: Site, port: int, *lines: str) -> Running:
    file = site.folder / "certwright.toml"
    file.write_text("\n".join([f'listen = "0.0.0.0:{port}"', *lines]))
    service = site.begin("serve", CERTWRIGHT_SETTINGS=str(file), CERTWRIGHT_LISTEN="")
    wait_for_port("127.0.0.1", port, 60)
    return service


def end(service: Running) -> str:
    os.kill(service.pid, signal.SIGTERM)
    ended = service.wait()
    assert ended.code == 0, ended.told
    assert "Traceback" not in ended.told
    return ended.told


def test_others_are_served_by_tls_with_the_fingerprint_that_was_printed(tmp_path: Path) -> None:
    site, port = Site(tmp_path).initialise(), free_port()
    found = []
    for _ in range(2):
        service = begin(site, port, f'hosts = ["{NAME}"]')
        ready = site.begin("ready", CERTWRIGHT_SETTINGS=str(tmp_path / "certwright.toml"), CERTWRIGHT_LISTEN="")
        found.append(presented(port))
        with socket.create_connection(("127.0.0.1", port), timeout=60) as plain:
            plain.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert b"200" not in plain.recv(100)
        for host, status in ((NAME, 303), ("127.0.0.1", 303), ("evil.test", 400)):
            with closing(secure(port)) as browser:
                browser.request("GET", "/", headers={"Host": host})
                answer = browser.getresponse()
                assert answer.status == status, host
                assert "Strict-Transport-Security" not in answer.headers
        assert ready.wait().code == 0
        printed = re.search(r"fingerprint ([0-9A-F:]+)", told := end(service))
        assert printed
        assert printed[1].replace(":", "").lower() == found[-1]
        assert f"https://{NAME}:{port}/" in told
    assert found[0] == found[1]


def test_its_own_certificate_is_renewed_and_presented_while_streams_go_on(tmp_path: Path) -> None:
    with authority() as ca:
        site, port = Site(tmp_path).initialise(), free_port()
        register(site, ca)
        token = json.loads(site.cli("token", "add", "live", "--allow", "read", "--json", code=0).out)["token"]
        service = begin(site, port, f'own_certificate = "{NAME}"')
        until(lambda: service.has_told("A self-signed certificate is presented for now"))
        first = presented(port)
        with site.engine() as engine, closing(secure(port)) as stream:
            stream.request("GET", "/api/v1/entries", headers={"Authorization": f"Bearer {token}"})
            events = stream.getresponse()
            assert events.status == 200
            managed = describe(engine, ca, NAME)
            until(lambda: presented(port) != first)  # the service requests it by itself
            second = presented(port)
            assert request(engine, managed.id, force=True).version
            until(lambda: presented(port) != second)
            trusted = ssl.create_default_context(cafile=str(ca.server.ca_file))
            with (
                socket.create_connection(("127.0.0.1", port), timeout=60) as raw,
                trusted.wrap_socket(raw, server_hostname=NAME) as browser,
            ):
                browser.sendall(f"GET / HTTP/1.1\r\nHost: {NAME}:{port}\r\nConnection: close\r\n\r\n".encode())
                assert b"strict-transport-security" in browser.recv(10_000)
            told = b""
            while told.count(b"Store the new version") < 2:  # of both requests, on the one connection
                line = events.readline()
                assert line
                told += line
        end(service)


def test_what_the_settings_file_says_wrong_is_told_before_any_work(tmp_path: Path) -> None:
    site = Site(tmp_path).initialise()
    file = tmp_path / "certwright.toml"
    for text, told in (
        ("lissten = 1", f"{file}, line 1: there is no setting 'lissten'."),
        ('\nlisten = "8480"', f"{file}, line 2: listen cannot be used: '8480' names no port."),
        ('hosts = ["a b"]\nlisten = "127.0.0.1:1"', f"{file}, line 1: hosts cannot be used: "),
        ('tls_certificate_file = "no.pem"\nlisten = "127.0.0.1:1"', f"{file}, line 1: tls_certificate_file cannot"),
    ):
        file.write_text(text)
        ended = site.begin("serve", CERTWRIGHT_SETTINGS=str(file), CERTWRIGHT_LISTEN="").wait()
        assert (ended.code, told in ended.err) == (2, True), ended.told


def test_settings_are_shown_with_where_they_come_from(tmp_path: Path) -> None:
    site = Site(tmp_path)
    file = tmp_path / "certwright.toml"
    file.write_text('own_certificate = "certs"\n')
    shown = json.loads(site.cli("settings", "--settings", str(file), "--json", code=0).out)
    assert shown["file"] == str(file)
    rows = {row["name"]: (row["value"], row["where"]) for row in shown["settings"]}
    assert rows["own_certificate"] == ("certs", f"{file}, line 1")
    assert rows["listen"] == ("none", "CERTWRIGHT_LISTEN")
    assert rows["log_format"] == ("text", "default")
    assert "own_certificate" in site.cli("settings", code=0).out
    assert (
        f"There is no settings file {tmp_path / 'none'}"
        in site.cli("status", "--settings", str(tmp_path / "none"), code=2).err
    )


def test_the_usual_port_is_taken_unless_it_is_told_otherwise(tmp_path: Path) -> None:
    site = Site(tmp_path).initialise()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        at = Endpoint("127.0.0.1", taken.getsockname()[1])
        refused = site.cli("serve", "--listen", str(at), code=2)
    assert "none stands for nowhere" in refused.err
    service = site.begin("serve", "--listen", "none")
    until(lambda: service.has_told("The service has begun"))
    assert "The pages" not in end(service)
