"""Nobody is let in without a token, and nobody to more than the token allows: on every route there is."""

import json
import re
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi.routing import APIRoute, iter_route_contexts

from certwright.api import PREFIX, application
from certwright.api.access import Needs
from certwright.domain.access import Caller, Permission
from certwright.domain.actors import Actor, ActorKind
from certwright.domain.audit import Action
from certwright.domain.errors import ConfigurationError
from certwright.domain.events import Event, EventKind
from certwright.domain.limits import Bucket, Key, Scope
from certwright.domain.runs import Entry, Phase, Run, RunKind
from certwright.domain.watching import Seen, Watched
from certwright.domain.windows import MaintenanceWindow, Span
from certwright.engine.audit import entries, read_head, verify_file
from certwright.engine.context import Engine
from certwright.engine.jobs import Jobs
from certwright.engine.live import Live
from certwright.engine.refusals import refuse_token
from certwright.engine.tokens import create_token
from certwright.sdk.context import Credential
from certwright.settings import Settings
from certwright.store.audit import Wanted
from world.api import Service
from world.stores import execute

OPEN = {f"{PREFIX}/openapi.json"}
SOMETHING = "0123456789ab"
STREAMS = {"/entries"}
SOMEBODY = Actor(kind=ActorKind.TOKEN, name="ci")
CHANGING = (Permission.EDIT, Permission.MANAGE, Permission.ADMINISTER)


@dataclass(frozen=True)
class Operation:
    """One method at one path, the permissions that it asks for, and whether it is described as heeding If-Match."""

    method: str
    path: str
    permissions: tuple[Permission, ...]
    heeds: bool


def operations(engine: Engine) -> list[Operation]:
    """All of them; what is open to everybody is named in this test."""
    found = []
    places = Settings(Path("/nowhere"), Path("/nowhere"))
    app = application(engine, lambda: None, Live(engine.store), Jobs(engine), places)
    described = app.openapi()["paths"]
    for context in iter_route_contexts(app.routes):
        route = context.original_route
        if not isinstance(route, APIRoute):
            assert context.path in OPEN
            continue
        guards = [one.call for one in route.dependant.dependencies if isinstance(one.call, Needs)]
        asked = tuple(guard.permission for guard in guards)
        for method in route.methods or ():
            told = described[context.path_format][method.lower()]
            heeds = "if-match" in [each["name"] for each in told.get("parameters", ())]
            assert heeds == ("412" in told["responses"]), context.path
            found.append(Operation(method, str(context.path_format), asked, heeds))
    return found


def test_every_operation_asks_for_exactly_one_permission(service: Service) -> None:
    found = operations(service.engine)
    assert len(found) > 80
    for operation in found:
        (permission,) = operation.permissions
        of_people = ("people", "tokens", "service", "sign-in-providers")
        is_of_people = operation.path.startswith(tuple(f"{PREFIX}/{part}" for part in of_people))
        assert is_of_people == (permission is Permission.ADMINISTER), operation
        reads = permission is Permission.READ
        assert is_of_people or permission is Permission.AUDIT or (operation.method == "GET") == reads, operation
        if operation.method in ("PUT", "PATCH", "DELETE"):
            assert permission in CHANGING, operation
    assert [one.path for one in found if one.permissions == (Permission.KEYS,)] == [
        f"{PREFIX}/certificates/{{id}}/export"
    ]


def test_every_operation_refuses_who_has_no_token_or_too_little(service: Service) -> None:
    for operation in operations(service.engine):
        path = re.sub(r"{(\w+)}", SOMETHING, operation.path.removeprefix(PREFIX).replace("{kind}", "tasks"))
        without = service.client().ask(operation.method, path)
        assert (without.status, without.headers["WWW-Authenticate"]) == (401, "Bearer"), path
        others = tuple(one for one in Permission if one not in operation.permissions)
        refused = service.client(*others).ask(operation.method, path)
        assert refused.status == 403, path
        assert f"--allow {operation.permissions[0].value}" in refused.data["hint"]


def test_no_operation_that_changes_something_overlooks_a_condition(service: Service) -> None:
    found = [one for one in operations(service.engine) if one.method != "GET"]
    assert sum(one.heeds for one in found) > 20
    client = service.client(*Permission)
    for operation in found:
        path = re.sub(r"{(\w+)}", SOMETHING, operation.path.removeprefix(PREFIX))
        answer = client.ask(operation.method, path, If_Match=f'"{"0" * 32}"')
        is_refused = "does not heed that condition" in answer.data["detail"]
        assert (is_refused, answer.status in (412, 422, 404)) == (not operation.heeds, True), operation


BODIES = {
    "renewal": {},
    "window": {"window": None},
    "hold": {"reason": "we move"},
    "tags": {"tags": ["berlin"]},
    "revoke": {"reason": "superseded", "breaks_services": True},
    "export": {"format": "pem"},
    "apply": {"plans": ["0123456789"]},
    "undo": {"plans": ["0123456789"]},
    "cleanup": {"removals": [{"target": "mail01", "action": "remove", "why": "nothing uses it"}]},
}
ALONE = re.compile(r"There is no (managed certificate|run) ")


def test_what_is_out_of_sight_is_on_every_route_as_if_it_were_not_there(service: Service) -> None:
    theirs, ours = service.managed("mail.contoso.com"), service.managed("web.contoso.com", tags=("berlin",))
    runs = {
        each.id: Run(managed_id=each.id, kind=RunKind.REQUEST, started_at=service.clock()) for each in (theirs, ours)
    }
    with service.engine.store.write() as unit:
        unit.runs.start(runs[theirs.id])
        unit.runs.start(runs[ours.id])
    limits = (Permission.READ, Permission.REQUEST, Permission.EDIT, Permission.KEYS)  # others are of all or none
    found = [one for one in operations(service.engine) if re.match(rf"{PREFIX}/(certificates|runs)/", one.path)]
    named = [one for one in found if one.permissions[0] in limits]
    assert len(named) > 25
    for operation in sorted(named, key=lambda one: one.method == "DELETE"):
        limited = service.client(*operation.permissions, tags=["berlin"])
        statuses = []
        for each in (theirs, ours):
            of_run = operation.path.startswith(f"{PREFIX}/runs/")
            path = operation.path.removeprefix(PREFIX).replace("{id}", runs[each.id].id if of_run else each.id)
            path = re.sub(r"{\w+}", SOMETHING, path)
            with service.engine.store.read() as unit:
                seen = f'"{unit.managed.revision(each.id)}"'
            body = BODIES.get(path.rpartition("/")[2], {}) if operation.method in ("POST", "PUT", "PATCH") else None
            answer = limited.ask(operation.method, path, body, **({"If_Match": seen} if operation.heeds else {}))
            statuses.append((answer.status, bool(ALONE.search(answer.body.decode()))))
        assert statuses[0] == (404, True), operation
        assert not statuses[1][1], operation


def test_who_is_limited_sees_the_results_of_own_jobs_alone(service: Service) -> None:
    service.managed("mail.contoso.com", tags=("berlin",))
    ours = service.managed("web.contoso.com", tags=("berlin",))
    whole = service.client("read", "request")
    limited = service.client("read", "request", tags=["berlin"])
    theirs = whole.ended(whole.ask("POST", f"/certificates/{ours.id}/preview"))["job"]["id"]
    own = limited.ended(limited.ask("POST", f"/certificates/{ours.id}/preview"))["job"]["id"]
    assert [job["id"] for job in limited.get("/jobs")["items"]] == [own]
    assert [job["id"] for job in whole.get("/jobs")["items"]] == [own, theirs]
    assert limited.get(f"/jobs/{theirs}", 404)["detail"] == f"There is no job '{theirs}'."


def test_what_came_of_a_job_is_shown_to_who_may_do_the_same(service: Service) -> None:
    auditor, viewer = service.client("read", "audit"), service.client("read")
    done = auditor.ended(auditor.ask("POST", "/audit/verify", {}))
    assert (done["job"]["takes"], done["result"] is None) == ("audit", False)
    assert viewer.get(f"/jobs/{done['job']['id']}") == {"job": done["job"], "result": None}


def test_the_trail_is_read_page_by_page(service: Service) -> None:
    for title in "abc":
        service.managed("mail.contoso.com", title=title)
    client, told, before = service.client("audit"), [], ""
    while before is not None:
        page = client.get(f"/audit?kind=certificate&action=added&limit=2{before and f'&before={before}'}")
        told += [entry["subject"]["title"] for entry in page["items"]]
        before = page["next"]
    assert told == ["c", "b", "a"]
    assert client.get("/audit?since=2027-01-01T00:00:00Z")["items"] == []
    assert client.get("/audit?until=2001-01-01T00:00:00Z")["items"] == []
    client.get("/audit?since=0.5", 422)


def test_the_trail_is_signed_verified_and_taken_elsewhere(service: Service) -> None:
    mail, client = service.managed("mail.contoso.com"), service.client("audit", "read")
    signed = client.ask("POST", "/audit/head")
    assert signed.status == 200, signed.body
    assert signed.data == client.ask("POST", "/audit/head").data
    kept = f"{signed.data['head']['number']}:{signed.data['head']['hash']}"
    file = service.folder / "trail.jsonl"
    answer = client.ask("GET", "/audit/export")
    assert answer.headers["Content-Type"] == "application/jsonl"
    file.write_bytes(answer.body)
    found = verify_file(file, dict([read_head(kept)]), signed.data["key"])
    assert (found.heads, found.faults) == (1, ())

    def verified(**sent: list[str]) -> Any:
        return client.ended(client.ask("POST", "/audit/verify", sent))["result"]

    assert verified(seen=[kept]) == found.data()
    assert len(verified(seen=[f"{signed.data['head']['number']}:00"])["faults"]) == 1
    assert "NUMBER:HASH" in client.ask("POST", "/audit/verify", {"seen": ["00"]}).data["hint"]
    settings = Settings(service.folder / "data", key_folder=service.folder / "keys")
    execute(settings, f"UPDATE audit SET text = replace(text, 'mail', 'post') WHERE text LIKE '%{mail.id}%'")
    assert verified()["faults"][0]["message"].startswith("Entry ")


def test_lists_hold_what_is_in_sight(service: Service) -> None:
    theirs, ours = service.managed("mail.contoso.com"), service.managed("web.contoso.com", tags=("berlin", "web"))
    whole, limited = service.client("read"), service.client("read", tags=["berlin", "hamburg"])
    for each in (theirs, ours):
        run = Run(managed_id=each.id, kind=RunKind.REQUEST, started_at=service.clock())
        with service.engine.store.write() as unit:
            unit.runs.start(run)
            unit.runs.append(Entry(run_id=run.id, at=service.clock(), step=1, phase=Phase.NOTE, title=each.title))
    for client, count in ((whole, 2), (limited, 1)):
        assert len(client.get("/certificates")["items"]) == count
        assert len(client.get("/runs")["items"]) == count
        assert sum(client.get("/status")["certificates"].values()) == count
        with client.events("/entries?after=0") as events:
            seen = [json.loads(next(events)["data"])["title"] for _ in range(count)]
        assert seen == ["mail.contoso.com", "web.contoso.com"][-count:]
    assert len(limited.get("/certificates?tag=web")["items"]) == 1
    assert limited.get("/certificates?tag=mail")["items"] == []
    assert limited.get(f"/runs?certificate={theirs.id}")["items"] == []
    assert "mail" not in json.dumps(limited.get(f"/certificates/{theirs.id}", 404))


def test_no_list_holds_what_is_out_of_sight(service: Service) -> None:
    theirs, now = service.managed("theirs.contoso.com"), service.clock()
    said = {
        "sha256": "00",
        "thumbprint": "00",
        "subject": "CN=theirs.contoso.com",
        "issuer": "CN=CA",
        "key": "rsa-2048",
    }
    seen = Seen(**said, names=("theirs.contoso.com",), not_before=now, not_after=now + timedelta(days=90))
    event = Event(kind=EventKind.DRIFT, managed_id=theirs.id, at=now, message="theirs.contoso.com is not served")
    with service.engine.store.write() as unit:
        unit.runs.start(Run(managed_id=theirs.id, kind=RunKind.REQUEST, started_at=now))
        unit.watches.add(Watched(title="theirs.contoso.com", seen=seen, since=now, looked_at=now), now)
        unit.events.add(event)
        unit.credentials.add("pfx", Credential("pfx", "", "correct horse"))
        unit.windows.put(MaintenanceWindow(name="nights", zone="UTC", spans=(Span.parse("Mon 02:00-04:00"),)))
        named = {"pfx_password_credential": "pfx", "window": "nights"}
        unit.managed.update(unit.managed.get(theirs.id).model_copy(update=named))
        used = Key(unit.issuers.get("le").counted_at, Scope.NAMES, "theirs.contoso.com")
        unit.ledger.save({used: Bucket(now + timedelta(days=7))}, now)
    every = [replace(one, path=one.path.replace("{name}/limits", "le/limits")) for one in operations(service.engine)]
    lists = [one for one in every if one.method == "GET" and "{" not in one.path]
    told = set()
    for operation in lists:
        path = operation.path.removeprefix(PREFIX)
        if (
            path in STREAMS
            or not set(operation.permissions) <= Caller.limited(SOMEBODY, Permission, ["berlin"]).permissions
        ):
            continue
        for tags in ([], ["berlin"]):
            body = service.client(*operation.permissions, tags=tags).ask("GET", path).body.decode()
            if "theirs.contoso.com" in body or theirs.id in body:
                told.add((path, bool(tags)))
    assert {path for path, limited in told if not limited} >= {
        "/certificates",
        "/runs",
        "/credentials",
        "/windows",
        "/watched",
        "/issuers/le/limits",
    }
    assert [path for path, limited in told if limited] == []


def test_a_taken_title_tells_who_does_not_see_it_no_more(service: Service) -> None:
    service.managed("theirs.contoso.com", tags=("hamburg",))
    wanted = {"names": ["mine.contoso.com"], "title": "theirs.contoso.com", "issuers": ["le"], "tags": ["berlin"]}
    for tags, hint in (((), "certificate show"), (("berlin",), "Choose another title.")):
        refused = service.client("edit", tags=tags).ask("POST", "/certificates", wanted)
        assert (refused.status, hint in refused.data["hint"]) == (422, True), refused.body


def test_who_is_limited_gives_no_tags_but_their_own(service: Service) -> None:
    ours = service.managed("web.contoso.com", tags=("berlin", "web"))
    limited = service.client("edit", tags=["berlin", "hamburg"])
    for tags, status in (
        (["berlin", "hamburg", "web"], 200),
        (["hamburg", "web"], 200),
        (["hamburg"], 403),
        (["web"], 403),
        (["hamburg", "mail", "web"], 403),
    ):
        with service.engine.store.read() as unit:
            seen = f'"{unit.managed.revision(ours.id)}"'
        assert limited.ask("PUT", f"/certificates/{ours.id}/tags", {"tags": tags}, If_Match=seen).status == status, tags
    with service.engine.store.read() as unit:
        assert unit.managed.get(ours.id).tags == ("hamburg", "web")


@pytest.mark.parametrize("permission", ["manage", "administer", "audit"])
def test_what_concerns_all_certificates_cannot_be_limited(service: Service, permission: str) -> None:
    with pytest.raises(ConfigurationError, match="cannot be limited to tags"):
        create_token(service.engine, "limited", [permission], timedelta(days=1), ["berlin"])


def test_what_a_token_does_is_told_of_it(service: Service) -> None:
    mail = service.managed("mail.contoso.com")
    service.client("edit").ask("PUT", f"/certificates/{mail.id}/hold", {"reason": "we move"})
    service.client("request").ask("POST", f"/certificates/{mail.id}/request")
    service.client("edit").ask("DELETE", f"/certificates/{mail.id}/hold")
    service.client("request").ask("POST", f"/certificates/{mail.id}/request")
    told = [entry for entry in entries(service.engine) if entry.subject.id == mail.id][:3]
    assert [(entry.actor.name, entry.action) for entry in reversed(told)] == [
        ("edit", Action.HELD),
        ("edit", Action.RELEASED),
        ("request", Action.REQUESTED),
    ]
    assert {entry.actor.kind for entry in told} == {ActorKind.TOKEN}


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


def test_what_tokens_are_refused_for_is_told_of_once_a_minute(service: Service) -> None:
    reader, ended = service.client("read"), service.client("request")

    def told() -> list[tuple[str, str, str, str]]:
        found = [each for each in entries(service.engine) if each.action is Action.REFUSED]
        return [
            (each.actor.name, each.subject.title, each.after["from"], each.after["why"]) for each in found if each.after
        ]

    for _ in range(3):
        reader.get("/people", 403)
        assert service.client().ask("GET", "/status", Authorization="Bearer c4nary").status == 401
        service.client().get("/status", 401)
    service.clock.now += timedelta(days=2)
    assert service.client().ask("GET", "/status", Authorization=f"Bearer {ended.token}").status == 401
    user = service.engine.caller.actor.name
    scope = "The token 'read' may not do this: it takes the permission 'administer'."
    assert told() == [
        (user, "request", "127.0.0.1", "It has ended."),
        (user, "none that is known", "127.0.0.1", "It is no token of this installation."),
        ("read", "read", "127.0.0.1", scope),
    ]
    assert "c4nary" not in str(entries(service.engine))


def test_of_refusals_from_everywhere_a_few_are_told_of_and_they_hide_no_others(service: Service) -> None:
    for number in range(30):
        refuse_token(service.engine, "", f"192.0.2.{number}", "It is no token of this installation.")
    strangers = entries(service.engine, Wanted(action=Action.REFUSED))
    assert len(strangers) == 10
    for path in ("people", "audit", "audit/export", "people"):
        service.client("read").get(f"/{path}", 403)
    told = entries(service.engine, Wanted(action=Action.REFUSED, subject="read"))
    assert [each.after["why"].split()[-1] for each in told if each.after] == ["'audit'.", "'administer'."]


def test_when_it_was_used_is_kept_to_the_hour(service: Service) -> None:
    client, moments = service.client("read"), []
    for minutes in (0, 59, 1):
        service.clock.now += timedelta(minutes=minutes)
        client.get("/status")
        with service.engine.store.read() as unit:
            moments.append(unit.tokens.list()[0].used_at)
    assert moments[0] == moments[1] == service.clock.now - timedelta(hours=1)
    assert moments[2] == service.clock.now


def test_who_reads_is_let_in_and_who_may_not_is_refused_though_nothing_can_be_written(service: Service) -> None:
    reader = service.client("read")
    settings = Settings(service.folder / "data", key_folder=service.folder / "keys")
    for event in ("UPDATE ON tokens", "INSERT ON audit"):
        full = "SELECT RAISE(ABORT, 'database or disk is full')"
        execute(settings, f'CREATE TRIGGER "{event}" BEFORE {event} BEGIN {full}; END')
    reader.get("/status")
    reader.get("/people", 403)


def test_the_secret_is_not_kept(service: Service) -> None:
    token = service.client("read").token
    with service.engine.store.read() as unit:
        known, digest = unit.tokens.find(token.split("_")[1]) or (None, b"")
    assert known
    assert token.split("_", 2)[2] not in known.model_dump_json()
    assert token.split("_", 2)[2].encode() not in digest


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
