"""The service's port, asked over real sockets."""

import http.client
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.types import Receive, Scope, Send

from certwright.domain.errors import ConfigurationError
from certwright.domain.identifiers import parse_all
from certwright.engine.context import Engine
from certwright.engine.tally import Tally
from certwright.engine.tokens import create_token
from certwright.probe import Endpoint
from certwright.server import door
from certwright.server.duties import Duties
from certwright.server.endpoints import routes
from certwright.server.http import listening
from certwright.server.metrics import Exposition
from certwright.server.readiness import Readiness
from certwright.server.tls import OwnTls
from certwright.settings import Settings
from peers.ports import free_port


@pytest.fixture
def readiness(engine: Engine) -> Readiness:
    return Readiness(engine.store, Tally())


@pytest.fixture
def exposition(engine: Engine, readiness: Readiness) -> Exposition:
    return Exposition(engine, Tally(), [Duties(engine, ())], readiness)


@pytest.fixture
def at(engine: Engine, readiness: Readiness, exposition: Exposition) -> Iterator[Endpoint]:
    at = Endpoint("127.0.0.1", free_port())
    with listening(at, Starlette(routes=routes(engine, readiness, exposition))):
        yield at


def get(at: Endpoint, path: str, host: str = "", method: str = "GET", **headers: str) -> tuple[int, str, str]:
    connection = http.client.HTTPConnection(at.host, at.port, timeout=60)
    try:
        connection.request(method, path, headers=headers | ({"Host": host} if host else {}))
        answer = connection.getresponse()
        return answer.status, answer.headers["Content-Type"], answer.read().decode()
    finally:
        connection.close()


def test_it_is_healthy_whatever_else_is_wrong(engine: Engine, at: Endpoint) -> None:
    with engine.store.write():
        assert get(at, "/healthz") == (200, "text/plain; charset=utf-8", "ok\n")


def test_it_is_ready_when_there_is_no_reason_against_it(at: Endpoint, readiness: Readiness) -> None:
    status, _, body = get(at, "/readyz")
    assert (status, json.loads(body)) == (
        503,
        {"ready": False, "reasons": ["The store cannot be used: it has not been tried yet."]},
    )
    readiness.look()
    status, _, body = get(at, "/readyz")
    assert (status, json.loads(body)) == (200, {"ready": True, "reasons": []})


def test_metrics_are_in_the_text_format_of_prometheus(at: Endpoint) -> None:
    status, kind, body = get(at, "/metrics")
    assert (status, kind) == (200, "text/plain; version=0.0.4; charset=utf-8")
    assert "\ncertwright_due 0.0\n" in body


def test_a_scrape_beside_another_is_refused(at: Endpoint, exposition: Exposition) -> None:
    with exposition._lock:
        assert get(at, "/metrics")[0] == 503
        assert get(at, "/healthz")[0] == 200


@pytest.mark.parametrize(("path", "method", "status"), [("/", "GET", 404), ("/metrics", "POST", 405)])
def test_nothing_else_is_answered(at: Endpoint, path: str, method: str, status: int) -> None:
    assert get(at, path, method=method)[0] == status


@pytest.mark.parametrize(("host", "status"), [("localhost", 200), ("[::1]:80", 200), ("evil.test", 400)])
def test_only_names_of_this_machine_are_answered(at: Endpoint, host: str, status: int) -> None:
    assert get(at, "/healthz", host)[0] == status


def test_what_is_no_http_ends_its_own_connection_only(at: Endpoint) -> None:
    with socket.create_connection((at.host, at.port), timeout=60) as stranger:
        stranger.sendall(b"\x16\x03\x01\x00\xff" + b"A" * 100_000)
        assert b"400" in stranger.recv(100)
    assert get(at, "/healthz")[0] == 200


def test_who_says_nothing_does_not_hold_up_the_end(
    engine: Engine, readiness: Readiness, exposition: Exposition
) -> None:
    at = Endpoint("127.0.0.1", free_port())
    with listening(at, Starlette(routes=routes(engine, readiness, exposition))):
        silent = socket.create_connection((at.host, at.port), timeout=60)
        silent.sendall(b"GET /healthz HTTP/1.1\r\n")
        assert get(at, "/healthz")[0] == 200
    with silent:
        assert not silent.recv(1)
    assert not any(thread.name == "http" for thread in threading.enumerate())


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "certs.contoso.com", "::"])
def test_addresses_that_others_reach_are_refused(host: str) -> None:
    with pytest.raises(ConfigurationError) as refused, listening(Endpoint(host, 8480), Starlette()):
        pass
    assert "is not on this machine's loopback address" in refused.value.message
    assert "--listen" in refused.value.hint


def test_a_port_that_is_taken_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        at = Endpoint("127.0.0.1", taken.getsockname()[1])
        with pytest.raises(ConfigurationError) as refused, listening(at, Starlette()):
            pass
    assert str(at) in refused.value.message
    assert "Address already in use" in refused.value.message


def test_others_are_told_whether_it_is_ready_and_nothing_else(
    engine: Engine, readiness: Readiness, exposition: Exposition
) -> None:
    token = create_token(engine, "prometheus", ["read"], timedelta(days=1))[1]
    other = create_token(engine, "portal", ["request"], timedelta(days=1))[1]
    app, at = Starlette(routes=routes(engine, readiness, exposition)), Endpoint("127.0.0.1", free_port())

    async def from_elsewhere(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, "client": ("192.0.2.7", 50_000)}, receive, send)

    with listening(at, from_elsewhere):
        assert get(at, "/healthz")[0] == 200
        status, _, body = get(at, "/readyz")
        assert (status, json.loads(body)) == (503, {"ready": False, "reasons": []})
        for shown, status in (("", 403), ("Bearer x", 403), (f"Bearer {other}", 403), (f"Bearer {token}", 200)):
            assert get(at, "/metrics", Authorization=shown)[0] == status


def test_where_it_listens_at_every_address_those_of_ipv4_are_what_they_are(
    engine: Engine, readiness: Readiness, exposition: Exposition, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app, port, clients = Starlette(routes=routes(engine, readiness, exposition)), free_port("::"), []
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    monkeypatch.setattr(door, "MOST_FROM_ONE", 0)  # nobody but who is on this machine

    async def noted(scope: Scope, receive: Receive, send: Send) -> None:
        clients.append(scope["client"][0])
        await app(scope, receive, send)

    tls = OwnTls(engine, Settings(tmp_path, key_folder=tmp_path), parse_all(["localhost"]))
    with listening(Endpoint("::", port), noted, tls):
        for host in ("127.0.0.2", "::1"):
            connection = http.client.HTTPSConnection(host, port, timeout=60, context=context, source_address=(host, 0))
            with closing(connection):
                connection.request("GET", "/metrics")
                assert connection.getresponse().status == 200
    assert clients == ["127.0.0.2", "::1"]


def test_what_a_proxy_on_this_machine_hands_on_is_not_from_here(
    engine: Engine, readiness: Readiness, exposition: Exposition
) -> None:
    app, at = Starlette(routes=routes(engine, readiness, exposition)), Endpoint("127.0.0.1", free_port())
    with listening(at, app):
        assert get(at, "/metrics")[0] == 200
        for header in ("X-Forwarded-For", "Forwarded", "Via"):
            assert get(at, "/metrics", **{header: "203.0.113.9"})[0] == 403
            assert json.loads(get(at, "/readyz", **{header: "203.0.113.9"})[2])["reasons"] == []
