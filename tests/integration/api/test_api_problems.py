"""What goes wrong is a problem detail, and what is sent in bad faith breaks nothing."""

import socket
from typing import Any

import pytest

from certwright.domain.access import Permission
from certwright.domain.errors import StoreError
from world.api import Service


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/nothing", 404), ("POST", "/status", 405)])
def test_what_is_not_there_is_a_problem_too(service: Service, method: str, path: str, status: int) -> None:
    answer = service.client("read").ask(method, path)
    assert (answer.status, answer.data["status"], answer.data["type"]) == (status, status, "about:blank")


@pytest.mark.parametrize(
    ("path", "host", "data", "status"),
    [
        ("", "localhost", None, 404),
        ("/status", "stranger.test", None, 400),
        ("/certificates", "localhost", {"title": "x" * (1 << 20)}, 413),
    ],
)
def test_what_is_refused_before_the_api_hears_of_it_is_a_problem_too(
    service: Service, path: str, host: str, data: Any, status: int
) -> None:
    answer = service.client("edit").ask("POST" if data else "GET", path, data, Host=host)
    assert (answer.status, answer.headers["Content-Type"]) == (status, "application/problem+json")
    assert answer.data["status"] == status


def test_nobody_keeps_what_the_api_tells_or_takes_it_for_something_else(service: Service) -> None:
    for status in (200, 404):
        headers = service.client("read").ask("GET", "/status" if status == 200 else "/nothing").headers
        assert (headers["Cache-Control"], headers["X-Content-Type-Options"]) == ("no-store", "nosniff")
        assert "default-src 'none'" in headers["Content-Security-Policy"]


def test_a_store_that_is_away_is_told(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    client = service.client("read")
    client.get("/status")

    def away() -> None:
        raise StoreError("The database does not answer.", hint="Start it.", retryable=True)

    monkeypatch.setattr(service.engine.store, "read", away)
    problem = client.get("/status", 503)
    assert (problem["detail"], problem["hint"], problem["retryable"]) == (
        "The database does not answer.",
        "Start it.",
        True,
    )


def test_an_unexpected_error_tells_nothing_of_itself(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    client = service.client("read")

    def broken() -> None:
        raise ZeroDivisionError("c4n@ry")

    monkeypatch.setattr(service.engine.store, "read", broken)
    answer = client.ask("GET", "/status")
    assert answer.status == 500
    assert b"c4n@ry" not in answer.body
    assert "a fault in Certwright" in answer.data["detail"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 422),
        (b"[" * 100_000, 400),
        (b'{"reason": "\\ud800"}', 422),
        (b"\xff", 400),
        (b"x" * (1 << 20) + b"x", 413),
    ],
)
def test_bodies_without_sense_are_refused(service: Service, body: bytes, status: int) -> None:
    mail = service.managed("mail.contoso.com")
    head = (
        f"PUT /api/v1/certificates/{mail.id}/hold HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        f"Authorization: Bearer {service.client('edit').token}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode()
    assert sent(service, head + body).startswith(f"HTTP/1.1 {status}".encode())
    assert service.client("read").get(f"/certificates/{mail.id}")["renewal"]["due"]


def test_a_body_that_does_not_say_how_long_it_is_is_read_no_further_than_another(service: Service) -> None:
    mail = service.managed("mail.contoso.com")
    head = (
        f"PUT /api/v1/certificates/{mail.id}/hold HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        f"Authorization: Bearer {service.client('edit').token}\r\nContent-Type: application/json\r\n"
        "Transfer-Encoding: chunked\r\n\r\n"
    ).encode()
    assert sent(service, head + (b"8000\r\n" + b"x" * 0x8000 + b"\r\n") * 33).startswith(b"HTTP/1.1 413")


def sent(service: Service, data: bytes) -> bytes:
    with socket.create_connection((service.at.host, service.at.port), timeout=60) as connection:
        connection.sendall(data)
        return connection.recv(200)


def test_what_is_typed_in_the_wrong_place_is_not_repeated(service: Service) -> None:
    mail = service.managed("mail.contoso.com")
    answer = service.client("edit").ask("PUT", f"/certificates/{mail.id}/hold", {"reason": ["c4n@ry"]})
    assert answer.status == 422
    assert b"c4n@ry" not in answer.body
    assert answer.data["causes"] == ["body.reason: Input should be a valid string"]


@pytest.mark.parametrize("query", ["/certificates?expire=7", "/runs?limit=5&tag=mail", "/windows?part=x", "/status?x"])
def test_a_question_that_is_not_known_is_refused_and_not_passed_over(service: Service, query: str) -> None:
    problem = service.client("read").get(query, 422)
    (cause,) = problem["causes"]
    assert cause.endswith(": There is no such parameter")
    service.client().get(query, 401)


HALF = "\ud800"
EARLY, LATE = "0001-01-01T00:00:00%2B14:00", "9999-12-31T23:59:59-14:00"


@pytest.mark.parametrize(
    ("method", "path", "data"),
    [
        ("PUT", "/certificates/{id}/window", {"window": HALF}),
        ("PUT", "/credentials/x", {"kind": "script", "password": HALF}),
        ("PUT", "/credentials/x", {"kind": "dns:powerdns", "params": {"api_key": [HALF]}}),
        ("PUT", "/credentials/x", {"kind": "dns:powerdns", "params": {HALF: ""}}),
        ("POST", "/people", {"name": "anna", "role": "viewer", "password": HALF * 12}),
        ("PUT", "/people/anna/password", {"password": HALF * 12}),
        ("POST", "/certificates", {"names": ["a.test"], "issuers": ["le"], "key": {"private_key": HALF}}),
        ("POST", "/certificates/{id}/export", {"format": "pfx", "password": HALF}),
        ("PUT", "/certificates/{id}/hold", {HALF: ""}),
        ("PUT", "/certificates/{id}/hold", {"reason": "because", "until": LATE}),
        ("PUT", "/certificates/{id}/hold", {"reason": "because", "until": 1}),
        ("GET", f"/audit?since={EARLY}", None),
        ("GET", f"/audit?until={LATE}", None),
    ],
)
def test_half_characters_and_moments_beyond_reckoning_are_refused(
    service: Service, method: str, path: str, data: dict[str, object] | None
) -> None:
    mail = service.managed("mail.contoso.com")
    client = service.client(*Permission)
    seen = {"If-Match": '"1"'} if path.endswith("/window") else {}
    answer = client.ask(method, path.format(id=mail.id), data, **seen)
    assert (answer.status, answer.data["type"]) == (422, "urn:certwright:problem:invalid-request")
