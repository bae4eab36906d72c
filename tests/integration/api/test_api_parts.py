"""What certificates are made with, over the API: tasks, issuers, credentials, windows, channels, watched items."""

import json
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from certwright.domain.access import ApiToken, Permission, Role
from certwright.domain.credentials import SignIn
from certwright.domain.errors import ConfigurationError
from certwright.domain.limits import Bucket, Key, Scope
from certwright.domain.managed import Issuer
from certwright.domain.rules import Rule
from certwright.domain.windows import MaintenanceWindow, Span
from certwright.engine import catalog
from certwright.engine.channels import add_channel, put_rule
from certwright.engine.credentials import store_credential, store_sign_in
from certwright.engine.issuers import add_issuer
from certwright.engine.openid.providers import put_provider
from certwright.engine.people import add_person
from certwright.engine.tokens import create_token
from certwright.engine.windows import put_window, set_window
from certwright.sdk.context import Credential
from world.api import Answer, Client, Service

GUIDE = Path(__file__).parents[3] / "docs" / "guide" / "api.md"
SECRET = "c4n4ry-S3cr3t"


def put(client: Client, path: str, data: Any, status: int = 200) -> Any:
    answer = client.ask("PUT", path, data)
    assert answer.status == status, answer.body
    assert SECRET.encode() not in answer.body
    return answer.data


def add_task(service: Service, managed_id: str, tag: str, status: int = 201, **wanted: Any) -> Answer:
    client = service.client("manage", "keys")
    answer = client.ask("POST", f"/certificates/{managed_id}/tasks", wanted, If_Match=tag)
    assert answer.status == status, answer.body
    return answer


def test_tasks_are_added_changed_moved_and_removed(service: Service) -> None:
    mail = service.managed("mail.contoso.com")
    params = {"servers": ["ex01.contoso.com"]}
    first = add_task(service, mail.id, '"1"', kind="exchange", params=params)
    second = add_task(service, mail.id, first.headers["ETag"], kind="exchange", params=params, title="again")
    assert [(t["settings"]["title"], t["place"], t["stage"]) for t in second.data] == [
        ("exchange", 1, "new"),
        ("again", 2, "new"),
    ]
    path = second.headers["Location"].removeprefix("/api/v1")
    assert path == f"/certificates/{mail.id}/tasks/{second.data[1]['settings']['id']}"
    wanted = {"place": 1, "enabled": False, "trigger": "manual", "params": {"services": ["IIS"]}, "retries": 3}
    client = service.client("manage")
    changed = client.ask("PATCH", path, wanted, If_Match=second.headers["ETag"])
    assert changed.status == 200, changed.body
    settings = changed.data[0]["settings"]
    assert (settings["title"], settings["enabled"], settings["trigger"], settings["retries"]) == (
        "again", False, "manual", 3
    )  # fmt: skip
    assert settings["params"] == {"servers": ["ex01.contoso.com"], "services": ["IIS"]}
    assert client.ask("PATCH", path, {"place": 1}, If_Match=second.headers["ETag"]).status == 412
    assert client.ask("PATCH", path, {"unset": ["nothing"]}, If_Match=changed.headers["ETag"]).status == 422
    taken = client.ask("PATCH", path, {"title": "exchange"}, If_Match=changed.headers["ETag"])
    assert (taken.status, "has a task 'exchange' already" in taken.data["detail"]) == (422, True)
    gone = client.ask("DELETE", path, If_Match=changed.headers["ETag"])
    assert (gone.status, gone.data["task"]["title"]) == (200, "again")
    assert len(service.client("read").get(f"/certificates/{mail.id}/tasks")) == 1


def test_where_a_private_key_is_sent_is_said_by_whoever_may_take_it_out(service: Service) -> None:
    mail, client = service.managed("mail.contoso.com"), service.client("edit", "manage", "request", "read")
    path, params = f"/certificates/{mail.id}/tasks", {"servers": ["ex01.contoso.com", "ex02.contoso.com"]}
    refused = client.ask("POST", path, {"kind": "exchange", "params": params}, If_Match='"1"')
    assert refused.status == 403
    assert "may not say where private keys go: it takes the permission 'keys'" in refused.data["detail"]
    assert "http://ex01.contoso.com/PowerShell/ (current)" in refused.data["causes"][0]
    assert client.get(path) == []

    added = add_task(service, mail.id, '"1"', kind="exchange", params=params)
    tag, task = added.headers["ETag"], f"{path}/{added.data[0]['settings']['id']}"
    for elsewhere in (
        {"servers": ["ex01.contoso.com", "mallory.test"]},
        {"endpoint": "https://mallory.test/PowerShell/"},
        {
            "endpoint": {
                "ex01.contoso.com": "http://ex01.contoso.com/PowerShell/",
                "ex02.contoso.com": "http://mallory.test/",
            }
        },
        {"proxy": "http://mallory.test:3128"},
        {"service_host": "mallory.test"},
        {"auth": "negotiate", "credential": "other"},
    ):
        moved = client.ask("PATCH", task, {"params": elsewhere}, If_Match=tag)
        assert (moved.status, "mallory" in str(moved.data) or "other" in str(moved.data)) == (403, True), elsewhere
    for wanted in ({"params": {"services": ["IIS"]}}, {"params": {"servers": ["EX01.contoso.com"]}}, {"retries": 3}):
        changed = client.ask("PATCH", task, wanted, If_Match=tag)
        assert changed.status == 200, changed.body
        tag = changed.headers["ETag"]
    (stored,) = client.get(path)
    assert stored["settings"]["params"] == {"servers": ["EX01.contoso.com"], "services": ["IIS"]}


@pytest.mark.parametrize(
    "wanted",
    [
        {"kind": "none"},
        {"kind": "exchange", "params": {}},
        {"kind": "exchange", "params": {"servers": ["a"], "stranger": 1}},
        {"kind": "exchange", "params": {"servers": ["a"], "auth": "basic", "credential": "none"}},
        {"kind": "exchange", "params": {"servers": ["a"]}, "role": "pre-request"},
        {"kind": "exchange", "params": {"servers": ["a"]}, "window": "none"},
        {"kind": "exchange", "params": {"servers": ["a"]}, "retry_delay": "PT1S"},
    ],
)
def test_a_task_that_could_never_run_is_not_added(service: Service, wanted: dict[str, Any]) -> None:
    mail = service.managed("mail.contoso.com")
    client = service.client("manage", "keys")
    answer = client.ask("POST", f"/certificates/{mail.id}/tasks", wanted, If_Match='"1"')
    assert answer.status in (404, 422), answer.body
    assert service.client("read").get(f"/certificates/{mail.id}/tasks") == []


def test_the_tasks_of_all_certificates_come_page_by_page(service: Service) -> None:
    script = service.folder / "hello"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    wanted = {"kind": "script", "title": "hello", "params": {"program": str(script)}}
    client = service.client("read", "manage", "commands")
    tried = service.managed("none.contoso.com")
    for name in ("mail.contoso.com", "web.contoso.com"):
        made = client.ask("POST", f"/certificates/{service.managed(name).id}/tasks", wanted, If_Match='"1"')
        assert made.status == 201, made.body
    first = client.get("/tasks?limit=1")
    second = client.get(f"/tasks?limit=1&after={first['next']}")
    assert [each["title"] for page in (first, second) for each in page["items"]] == [
        "mail.contoso.com",
        "web.contoso.com",
    ]
    assert [each["title"] for each in client.get("/tasks?part=WEB&stage=new")["items"]] == ["web.contoso.com"]
    assert client.get("/tasks?stage=failed") == {"items": [], "next": None}
    done = client.ended(client.ask("POST", f"/certificates/{tried.id}/tasks/test", wanted))
    assert [(check["subject"], check["verdict"]) for check in done["result"]] == [("hello", "ok")]
    assert client.get(f"/certificates/{tried.id}/tasks") == []
    assert service.client("manage").ask("POST", f"/certificates/{tried.id}/tasks", wanted, If_Match='"1"').status == 403


def test_a_stored_password_goes_to_no_proxy_that_did_not_get_it_before(service: Service) -> None:
    client, keeper = service.client("manage", "edit", "read"), service.client("manage", "keys", "read")
    for name, kind in (("ex", "exchange"), ("corporate", "proxy")):
        put(client, f"/credentials/{name}", {"kind": kind, "username": "svc", "password": SECRET})
    with service.engine.store.write() as unit:
        unit.issuers.add(
            Issuer(name="x", kind="acme", params={"directory": "https://ca.test/", "email": "pki@contoso.com"}), b"k"
        )
    theirs, ours = "http://mallory.test:3128", "http://proxy.contoso.com:3128"

    def channel(by: Client, proxy: str, credential: str) -> Answer:
        params = {"url": "https://hook.test/", "proxy": proxy, "proxy_credential": credential}
        return by.ask("PUT", "/notifications/channels/hook", {"kind": "webhook", "params": params, "check": False})

    other = channel(keeper, ours, "ex")
    assert (other.status, "'ex' is one of the kind exchange, and not proxy" in other.data["detail"]) == (422, True)
    own = {"proxy": theirs, "proxy_credential": "corporate"}
    account = {"directory": "https://ca.test/", "email": "pki@contoso.com", "agree_tos": True}
    issuer = {"name": "y", "kind": "acme", "params": account | own}
    for refused in (
        channel(client, theirs, "corporate"),
        client.ask("POST", "/issuers", issuer),
        client.ask("PATCH", "/issuers/x", {"params": own}),
    ):
        assert refused.status == 403, refused.body
        assert refused.data["causes"] == [f"The password would be sent to {theirs}."]
    assert [each["name"] for each in client.get("/issuers")["items"]] == ["le", "x"]
    assert client.get("/notifications/channels")["items"] == []
    assert channel(keeper, ours, "corporate").status == 200
    assert channel(client, ours, "corporate").status == 200
    assert channel(client, theirs, "corporate").status == 403
    assert channel(client, "system", "corporate").status == 200


def test_each_use_of_a_credential_takes_one_of_its_kind(service: Service) -> None:
    put(service.client("manage"), "/credentials/proxy", {"kind": "proxy", "username": "svc", "password": SECRET})
    mail = service.managed("web.contoso.com")
    wanted = {"names": ["mail.contoso.com"], "issuers": [mail.issuer], "pfx_password_credential": "proxy"}
    refused = service.client("edit").ask("POST", "/certificates", wanted)
    assert (refused.status, "is one of the kind proxy, and not pfx" in refused.data["detail"]) == (422, True)
    params = {"servers": ["ex01.contoso.com"], "auth": "ntlm", "credential": "proxy"}
    add_task(service, mail.id, '"1"', 422, kind="exchange", params=params)
    client = service.client("edit", "read")
    changed = client.ask("PATCH", f"/certificates/{mail.id}", {"pfx_password_credential": "proxy"}, If_Match='"1"')
    assert (changed.status, "not pfx" in changed.data["detail"]) == (422, True)


def test_a_credential_is_stored_used_and_never_shown(service: Service) -> None:
    client = service.client("manage", "read")
    stored = put(client, "/credentials/ex", {"kind": "exchange", "username": "svc", "password": SECRET})
    unused = {"used_by": [], "more": 0}
    assert stored["credential"] == {"name": "ex", "kind": "exchange", "shown": {"username": "svc"}, **unused}
    dns = {"kind": "dns:cloudflare", "params": {"api_token": SECRET}, "check": False}
    put(client, "/credentials/cf", dns)
    mail = service.managed("mail.contoso.com", title="mail")
    params = {"servers": ["ex01.contoso.com"], "auth": "ntlm", "credential": "ex"}
    add_task(service, mail.id, '"1"', kind="exchange", params=params)
    told = json.dumps(client.get("/credentials"))
    assert SECRET not in told
    assert "'mail' (task 'exchange')" in told
    refused = client.ask("DELETE", "/credentials/ex")
    assert (refused.status, refused.data["type"]) == (409, "urn:certwright:problem:in-use")
    assert client.ask("DELETE", "/credentials/cf").status == 204
    assert client.ask("DELETE", "/credentials/cf").status == 404


def test_the_credential_of_the_guide_is_stored(service: Service) -> None:
    ((name, body),) = re.findall(r"\$API/credentials/(\w+) -d '(.*)'", GUIDE.read_text())
    put(service.client("manage"), f"/credentials/{name}", {**json.loads(body), "check": False})


@pytest.mark.parametrize(
    "wanted",
    [
        {"kind": "none", "password": SECRET},
        {"kind": "exchange", "password": SECRET},
        {"kind": "exchange", "username": "svc"},
        {"kind": "pfx", "password": f"{SECRET}\n{SECRET}"},
        {"kind": "pfx", "password": SECRET, "params": {"token": SECRET}},
        {"kind": "pfx", "password": [SECRET]},
        {"kind": "dns:none", "params": {"token": SECRET}},
        {"kind": "dns:cloudflare", "params": {"stranger": SECRET}},
        {"kind": "dns:cloudflare", "params": {"api_token": [SECRET]}},
        {"kind": "dns:cloudflare", "password": SECRET},
    ],
)
def test_what_is_no_credential_is_not_repeated(service: Service, wanted: dict[str, Any]) -> None:
    put(service.client("manage"), "/credentials/x", wanted, 422)
    assert service.client("read").get("/credentials")["items"] == []


def test_issuers_are_shown_and_removed_unless_they_are_used(service: Service) -> None:
    client = service.client("manage", "read")
    assert client.get("/issuers/le")["kind"] == "acme"
    client.get("/issuers/none", 404)
    assert "letsencrypt" in [authority["name"] for authority in client.get("/authorities")]
    assert client.get("/issuers/le/limits") == {"items": [], "more": 0}
    mail = service.managed("mail.contoso.com")
    refused = client.ask("DELETE", "/issuers/le")
    assert (refused.status, "'mail.contoso.com'" in refused.data["detail"]) == (409, True)
    assert service.client("edit").ask("DELETE", f"/certificates/{mail.id}", If_Match='"1"').status == 204
    assert client.ask("DELETE", "/issuers/le").status == 204


def test_of_the_limits_those_are_shown_that_have_room_last(service: Service) -> None:
    now = service.engine.now()
    with service.engine.store.write() as unit:
        counted_at = unit.issuers.get("le").counted_at
        for minute in (1, 3, 2):
            shut = Bucket(now, now + timedelta(minutes=minute))
            unit.ledger.save({Key(counted_at, Scope.NAMES, f"host{minute}.contoso.com"): shut}, now)
    found = service.client("read").get("/issuers/le/limits?limit=1")
    assert ([level["subject"] for level in found["items"]], found["more"]) == (["host3.contoso.com"], 2)


def add_house(service: Service) -> Answer:
    """Ask for an issuer at an authority that does not answer."""
    params = {"directory": "https://127.0.0.1:1/directory", "email": "a@contoso.com", "agree_tos": True}
    return service.client("manage").ask("POST", "/issuers", {"name": "house", "params": params})


def test_an_authority_that_does_not_answer_leaves_no_issuer_behind(service: Service) -> None:
    answer = add_house(service)
    assert (answer.status, answer.data["retryable"]) == (502, True)
    assert [issuer["name"] for issuer in service.client("read").get("/issuers")["items"]] == ["le"]


def test_an_account_key_that_a_crash_has_left_outlives_a_refusal(service: Service) -> None:
    key = catalog.plugin("issuers", "acme").cls.new_account_key()
    with service.engine.store.write() as unit:
        unit.issuers.add(Issuer(name="house", kind="acme", params={}), key)
    assert add_house(service).status == 502
    with service.engine.store.read() as unit:
        assert unit.issuers.account_key("house") == key


def test_two_do_not_register_one_issuer_at_once(service: Service) -> None:
    with service.engine.store.lease("issuer:house"):
        refused = add_house(service)
    assert (refused.status, refused.data["retryable"]) == (409, True)
    assert add_house(service).status == 502


def test_windows_are_kept_and_told_with_their_openings(service: Service) -> None:
    client = service.client("manage", "read")
    wanted = {"spans": ["Sat 22:00-04:00"], "zone": "Europe/Berlin", "closed": ["2026-12-24..2026-12-26"]}
    kept = put(client, "/windows/nights", wanted)
    assert {name: kept[name] for name in wanted} == wanted
    assert kept["openings"][0]["start"] == "2026-12-05T21:00:00Z"
    assert client.get("/windows") == {"items": [kept], "next": None}
    put(client, "/windows/nights", {"spans": ["someday"], "zone": "UTC"}, 422)
    put(client, "/windows/nights", {"spans": ["daily 22:00-04:00"], "zone": "Nowhere"}, 422)
    assert client.ask("DELETE", "/windows/nights").status == 204
    client.get("/windows/nights", 404)


def test_of_what_uses_a_window_the_first_are_named(service: Service) -> None:
    client = service.client("manage", "read")
    put(client, "/windows/nights", {"spans": ["Sat 22:00-04:00"], "zone": "Europe/Berlin"})
    for number in range(12):
        set_window(service.engine, service.managed(f"host{number:02}.contoso.com").id, "nights")
    (window,) = client.get("/windows")["items"]
    assert (window["used_by"], window["more"]) == ([f"host{number:02}.contoso.com" for number in range(10)], 2)


_SIGN_IN = {"kind": "script", "username": "svc", "password": SECRET}
_HOOK = {"kind": "webhook", "params": {"url": "https://hooks.contoso.test/one"}, "check": False}
_PROVIDER = {
    "params": {
        "title": "Contoso",
        "issuer": "https://login.contoso.test",
        "client_id": "certwright",
        "client_secret": SECRET,
        "address": "https://certwright.contoso.test",
        "role_claim": "groups",
        "operators": ["certificate-team"],
    },
    "check": False,
}


@pytest.mark.parametrize(
    ("path", "method", "wanted"),
    [
        ("/windows/nights", "PUT", {"spans": ["Sun 22:00-04:00"], "zone": "UTC"}),
        ("/credentials/files", "PUT", _SIGN_IN),
        ("/credentials/files", "DELETE", None),
        ("/notifications/channels/hook", "PUT", _HOOK),
        ("/notifications/channels/hook", "DELETE", None),
        ("/sign-in-providers/contoso", "PUT", _PROVIDER),
        ("/sign-in-providers/contoso", "DELETE", None),
        ("/notifications/rules/problems", "PUT", {"days": 7}),
        ("/people/anna", "PUT /role", {"role": "auditor"}),
        ("/issuers/le", "DELETE", None),
        ("/windows/nights", "DELETE", None),
        ("/notifications/rules/problems", "DELETE", None),
        ("/people/anna", "DELETE", None),
    ],
)
def test_what_goes_by_its_name_is_changed_by_who_saw_it_last(
    service: Service, path: str, method: str, wanted: dict[str, Any] | None
) -> None:
    client = service.client(*Permission)
    put(client, "/windows/nights", {"spans": ["Sat 22:00-04:00"], "zone": "UTC"})
    put(client, "/credentials/files", _SIGN_IN)
    put(client, "/notifications/channels/hook", _HOOK)
    put(client, "/sign-in-providers/contoso", _PROVIDER)
    for name in ("anna", "boss"):
        add_person(service.engine, name, Role.ADMINISTRATOR, "correct horse battery")
    kind, _, below = method.partition(" ")
    seen, stranger = client.ask("GET", path).headers["ETag"], f'"{"0" * 32}"'
    refused = client.ask(kind, path + below, wanted, If_Match=stranger)
    assert (refused.status, "somebody else" in refused.data["detail"]) == (412, True)
    assert client.ask("GET", path).headers["ETag"] == seen
    assert client.ask(kind, path + below, wanted, If_Match=seen).status in (200, 204)
    assert client.ask(kind, path + below, wanted, If_Match=seen).status in (404, 412)


@pytest.mark.parametrize(
    ("path", "wanted", "told"),
    [
        ("/windows/nights", {"spans": ["Sun 22:00-04:00"], "zone": "UTC"}, "There is a window 'nights' already."),
        ("/notifications/rules/one", {"days": 7}, "There is a rule 'one' already."),
        ("/credentials/files", _SIGN_IN, "There is a credential 'files' already."),
        ("/notifications/channels/hook", _HOOK, "There is a channel 'hook' already."),
        ("/sign-in-providers/contoso", _PROVIDER, "There is a sign-in provider 'contoso' already."),
    ],
)
def test_what_is_to_be_new_takes_the_place_of_nothing(
    service: Service, path: str, wanted: dict[str, Any], told: str
) -> None:
    client = service.client(*Permission)
    assert client.ask("PUT", path, wanted, If_None_Match="*").status == 200
    kept = client.ask("GET", path)
    refused = client.ask("PUT", path, wanted, If_None_Match="*")
    assert (refused.status, told in refused.data["detail"]) == (412, True)
    assert client.ask("GET", path).headers["ETag"] == kept.headers["ETag"]
    both = client.ask("PUT", path, wanted, If_None_Match="*", If_Match=kept.headers["ETag"])
    assert (both.status, "contradict" in both.data["detail"]) == (422, True)
    assert client.ask("PUT", path, wanted).status == 200


@pytest.mark.parametrize(
    ("method", "wanted"),
    [("PUT /password", {"password": "another correct horse"}), ("DELETE /second-factor", None), ("POST /admit", None)],
)
def test_what_leaves_a_person_as_shown_is_done_for_who_saw_them_last(
    service: Service, method: str, wanted: dict[str, Any] | None
) -> None:
    client = service.client(*Permission)
    add_person(service.engine, "anna", Role.ADMINISTRATOR, "correct horse battery")
    kind, _, below = method.partition(" ")
    seen = client.ask("GET", "/people/anna").headers["ETag"]
    refused = client.ask(kind, f"/people/anna{below}", wanted, If_Match=f'"{"0" * 32}"')
    assert (refused.status, "somebody else" in refused.data["detail"]) == (412, True)
    assert client.ask(kind, f"/people/anna{below}", wanted, If_Match=seen).status == 200


@pytest.mark.parametrize("name", ["ci/prod", ".."])
def test_what_is_new_has_no_name_that_no_path_could_hold(service: Service, name: str) -> None:
    engine, rule = service.engine, Rule(name=name)
    window = MaintenanceWindow(name=name, zone="UTC", spans=(Span.parse("Sat 22:00-04:00"),))
    hook = {"url": "https://hooks.contoso.test/one"}
    for make in (
        lambda: add_issuer(engine, "acme", name, {"authority": "letsencrypt", "email": "a@contoso.com"}),
        lambda: store_credential(engine, "cloudflare", name, {"api_token": SECRET}, checked=False),
        lambda: store_sign_in(engine, SignIn.SCRIPT, Credential(name, "", SECRET)),
        lambda: add_channel(engine, "webhook", name, hook, checked=False),
        lambda: put_rule(engine, rule),
        lambda: put_window(engine, window),
        lambda: create_token(engine, name, ["read"], timedelta(days=1)),
    ):
        with pytest.raises(ConfigurationError, match="It is part of addresses"):
            make()
    with pytest.raises(ConfigurationError, match="wrong for the person"):
        add_person(engine, name, Role.VIEWER, "correct horse battery")
    with pytest.raises(ConfigurationError, match="cannot be the name of a sign-in provider"):
        put_provider(engine, name, {}, checked=False)
    answer = service.client(*Permission).ask("POST", "/tokens", {"name": name, "permissions": ["read"]})
    assert (answer.status, "It is part of addresses" in answer.data["detail"]) == (422, True)


def test_what_was_called_so_before_is_changed_and_removed(service: Service) -> None:
    client, window = service.client(*Permission), {"spans": ["Sat 22:00-04:00"], "zone": "UTC"}
    kept = MaintenanceWindow(name="a/b", zone="UTC", spans=(Span.parse("Sun 22:00-04:00"),))
    token = ApiToken(
        name="a/b",
        permissions=frozenset({Permission.READ}),
        created_at=service.clock(),
        expires_at=service.clock() + timedelta(days=1),
    )
    with service.engine.store.write() as unit:
        unit.windows.put(kept)
        unit.notices.put_rule(Rule(name="a/b"))
        unit.tokens.add(token, b"digest")
        unit.credentials.add(SignIn.SCRIPT, Credential("a/b", "", SECRET))
    for path, wanted in (("windows", window), ("notifications/rules", {"days": 7})):
        tag = client.ask("GET", f"/{path}/a%2Fb").headers["ETag"]
        assert client.ask("PUT", f"/{path}/a%2Fb", wanted, If_Match=tag).data["name"] == "a/b"
        assert client.ask("DELETE", f"/{path}/a%2Fb").status == 204
    assert client.ask("DELETE", "/tokens/a%2Fb").status == 204
    store_sign_in(service.engine, SignIn.SCRIPT, Credential("a/b", "", f"{SECRET} 2"))


def test_short_lists_go_on_where_they_ended(service: Service) -> None:
    client = service.client("manage", "read")
    for name in "dbc":
        put(client, f"/windows/{name}", {"spans": ["Sat 22:00-04:00"], "zone": "UTC"})
    first = client.get("/windows?limit=2")
    put(client, "/windows/a", {"spans": ["Sat 22:00-04:00"], "zone": "UTC"})
    assert ([each["name"] for each in first["items"]], first["next"]) == (["b", "c"], "c")
    second = client.get("/windows?limit=2&after=c")
    assert ([each["name"] for each in second["items"]], second["next"]) == (["d"], None)


def test_channels_and_rules_are_kept(service: Service) -> None:
    client = service.client("manage", "read")
    wanted = {"kind": "webhook", "params": {"url": f"https://127.0.0.1:1/{SECRET}"}, "check": False}
    stored = put(client, "/notifications/channels/chat", wanted)
    assert (stored["channel"]["kind"], stored["channel"]["carries"]) == ("webhook", True)
    rule = put(client, "/notifications/rules/nights", {"channels": ["chat"], "quiet": "22:00-07:00", "days": 7})
    assert (rule["name"], rule["days"], rule["quiet"]) == ("nights", 7, "22:00-07:00")
    put(client, "/notifications/rules/nights", {"channels": ["none"]}, 422)
    assert SECRET not in json.dumps([client.get("/notifications/channels"), client.get("/notifications/rules")])
    failed = client.ask("POST", "/notifications/channels/chat/test")
    assert failed.status == 502
    assert SECRET.encode() not in failed.body
    assert client.ask("DELETE", "/notifications/channels/chat").status in (409, 422)
    assert client.ask("DELETE", "/notifications/rules/nights").status == 204
    refused = client.ask("DELETE", "/credentials/chat")
    assert (refused.status, "is a notification channel" in refused.data["detail"]) == (422, True)
    assert client.ask("DELETE", "/notifications/channels/chat").status == 204
    assert client.ask("DELETE", "/notifications/channels/chat").status == 404
    done = client.ended(client.ask("POST", "/notifications/send"))
    assert (done["job"]["outcome"], done["result"]) == ("done", [])


def test_a_file_is_watched_replaced_and_no_more(service: Service, tmp_path: Path) -> None:
    from unit.domain.workshop import Authority, ec_key

    def pem(name: str) -> str:
        from certwright.domain import certificates

        return certificates.pem([Authority("CA").certify(name, ec_key())]).decode()

    client = service.client("manage", "read")
    made = client.ask("POST", "/watched", {"title": "partner", "file": {"content": pem("partner")}})
    assert made.status == 201, made.body
    assert made.data["watched"]["title"] == "partner"
    item = made.headers["Location"].removeprefix("/api/v1")
    assert item == f"/watched/{made.data['watched']['id']}"
    put(client, f"{item}/file", {"content": pem("other")})
    put(client, f"{item}/file", {"content": "n o n s e n s e"}, 422)
    assert client.ask("POST", "/watched", {"file": {"content": pem("b")}}).status == 201
    page = client.get("/watched?limit=1")
    assert ([each["watched"]["title"] for each in page["items"]], page["next"]) == (["b"], "b")
    assert [each["watched"]["title"] for each in client.get("/watched?after=b")["items"]] == ["partner"]
    assert client.ask("POST", "/watched", {"title": "x"}).status == 422
    refused = client.ask("POST", "/watched", {"service": {"host": "127.0.0.1", "port": 1}})
    assert (refused.status, "cannot be watched" in refused.data["detail"]) == (502, True)
    assert client.ask("DELETE", item).status == 204
    client.get(item, 404)


def test_plugins_describe_their_parameters(service: Service) -> None:
    client = service.client("read")
    assert "cloudflare" in client.get("/plugins/dns")
    found = client.get("/plugins/dns/cloudflare")
    assert found["params"]["properties"]["api_token"]["anyOf"][0]["writeOnly"]
    assert client.get("/plugins/tasks/exchange")["params"]["properties"]["credential"]["credential"] == "exchange"
    client.get("/plugins/dns/none", 422)
    client.get("/plugins/none", 422)
