"""Nobody is let in without a token, and nobody to more than the token allows: on every route there is."""

from dataclasses import dataclass
from datetime import timedelta

import pytest
from fastapi.routing import APIRoute, iter_route_contexts

from certwright.api import PREFIX, application
from certwright.api.access import Needs
from certwright.domain.access import Permission
from certwright.domain.errors import ConfigurationError
from certwright.engine.context import Engine
from certwright.engine.tokens import create_token
from world.api import Service

OPEN = {f"{PREFIX}/openapi.json"}
SOMETHING = "0123456789ab"


@dataclass(frozen=True)
class Operation:
    """One method at one path, and the permissions that it asks for."""

    method: str
    path: str
    permissions: tuple[Permission, ...]


def operations(engine: Engine) -> list[Operation]:
    """All of them; what is open to everybody is named in this test."""
    found = []
    for context in iter_route_contexts(application(engine, lambda: None).routes):
        route = context.original_route
        if not isinstance(route, APIRoute):
            assert context.path in OPEN
            continue
        guards = [one.call for one in route.dependant.dependencies if isinstance(one.call, Needs)]
        asked = tuple(guard.permission for guard in guards)
        found += [Operation(method, str(context.path), asked) for method in route.methods or ()]
    return found


def test_every_operation_asks_for_exactly_one_permission(service: Service) -> None:
    found = operations(service.engine)
    assert len(found) > 10
    for operation in found:
        expected = {"GET": Permission.READ, "POST": Permission.REQUEST}.get(operation.method, Permission.EDIT)
        assert operation.permissions == (expected,)


def test_every_operation_refuses_who_has_no_token_or_too_little(service: Service) -> None:
    for operation in operations(service.engine):
        path = operation.path.removeprefix(PREFIX).replace("{id}", SOMETHING)
        without = service.client().ask(operation.method, path)
        assert (without.status, without.headers["WWW-Authenticate"]) == (401, "Bearer"), path
        others = [one for one in Permission if one not in operation.permissions]
        refused = service.client(*others).ask(operation.method, path)
        assert refused.status == 403, path
        assert f"--allow {operation.permissions[0].value}" in refused.data["hint"]


@pytest.mark.parametrize(
    "shown",
    ["x", "certwright_0123456789ab_" + "a" * 43, "certwright_0123456789ab_" + "a" * 42, "a" * 9000, "%00", "é"],
)
def test_what_is_no_token_lets_nobody_in(service: Service, shown: str) -> None:
    answer = service.client().ask("GET", "/status", Authorization=f"Bearer {shown}".encode().decode("latin-1"))
    assert answer.status == 401
    assert shown not in answer.body.decode()


def test_of_a_token_every_part_counts(service: Service) -> None:
    right = service.client("read").token
    for place in (len("certwright_"), -1):
        wrong = list(right)
        wrong[place] = "0" if wrong[place] != "0" else "1"
        assert service.client().ask("GET", "/status", Authorization=f"Bearer {''.join(wrong)}").status == 401
    assert service.client("read").get("/status")


def test_a_token_lets_in_until_it_ends(service: Service) -> None:
    client = service.client("read")
    service.clock.now += timedelta(days=1) - timedelta(seconds=1)
    client.get("/status")
    service.clock.now += timedelta(seconds=1)
    assert "has ended on 2026-11-30 12:00 UTC" in client.get("/status", 401)["detail"]


def test_a_token_that_was_removed_lets_nobody_in(service: Service) -> None:
    client = service.client("read")
    with service.engine.store.write() as unit:
        unit.tokens.remove("read")
    client.get("/status", 401)


def test_when_it_was_used_is_kept_to_the_hour(service: Service) -> None:
    client, moments = service.client("read"), []
    for minutes in (0, 59, 1):
        service.clock.now += timedelta(minutes=minutes)
        client.get("/status")
        with service.engine.store.read() as unit:
            moments.append(unit.tokens.list()[0].used_at)
    assert moments[0] == moments[1] == service.clock.now - timedelta(hours=1)
    assert moments[2] == service.clock.now


def test_the_secret_is_not_kept(service: Service) -> None:
    token = service.client("read").token
    with service.engine.store.read() as unit:
        known, digest = unit.tokens.find(token.split("_")[1]) or (None, b"")
    assert known
    assert token.rpartition("_")[2] not in known.model_dump_json()
    assert token.rpartition("_")[2].encode() not in digest


@pytest.mark.parametrize("life", [timedelta(), timedelta(days=-1), timedelta(days=367)])
def test_a_token_must_end_within_a_year(service: Service, life: timedelta) -> None:
    with pytest.raises(ConfigurationError):
        create_token(service.engine, "long", ["read"], life)


def test_two_tokens_have_two_names(service: Service) -> None:
    for refused in (False, True):
        if refused:
            with pytest.raises(ConfigurationError, match="is a token 'twice' already"):
                create_token(service.engine, "twice", ["read"], timedelta(days=1))
        else:
            create_token(service.engine, "twice", ["read"], timedelta(days=1))
