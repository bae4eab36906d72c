"""People, tokens and the service itself, over the API."""

import base64
import io
import zipfile
from datetime import timedelta

from certwright.domain.access import Permission, Role
from certwright.domain.totp import PERIOD, code
from certwright.engine.people import add_person, begin_second_factor, confirm_second_factor, remove_second_factor
from certwright.settings import KNOWN
from peers.openid import openid
from world.api import Service

ALL = tuple(Permission)
PASSWORD = "correct horse battery staple"


def test_people_are_added_and_removed_and_their_passwords_never_shown(service: Service) -> None:
    client = service.client(*ALL)
    for name, role in (("anna", "administrator"), ("berta", "viewer")):
        made = client.ask("POST", "/people", {"name": name, "role": role, "password": PASSWORD})
        assert made.status == 201, made.body
        assert PASSWORD.encode() not in made.body
        assert made.headers["Location"] == f"/api/v1/people/{name}"
    assert [person["name"] for person in client.get("/people")["items"]] == ["anna", "berta"]
    assert client.ask("PUT", "/people/berta/password", {"password": f"{PASSWORD} 2"}).status == 200
    assert client.ask("PUT", "/people/berta/password", {"password": "short"}).status == 422
    changed = client.ask("PUT", "/people/berta/role", {"role": "requester", "tags": ["berlin"]})
    assert (changed.data["role"], changed.data["tags"]) == ("requester", ["berlin"])
    told = [(each["action"], each["subject"]["title"]) for each in client.get("/audit?kind=person")["items"]]
    assert told[0] == ("changed", "berta")
    assert client.ask("DELETE", "/people/anna").data["detail"] == "'anna' is the last administrator."
    assert client.ask("DELETE", "/people/berta").status == 204


def test_nobody_gives_away_more_than_they_have(service: Service) -> None:
    few, every = service.client("administer", "read"), service.client(*ALL)
    wanted = {"name": "robot", "permissions": ["read", "keys"]}
    assert few.ask("POST", "/tokens", wanted).status == 403
    assert few.ask("POST", "/people", {"name": "a", "role": "administrator", "password": PASSWORD}).status == 403
    assert every.ask("POST", "/people", {"name": "a", "role": "administrator", "password": PASSWORD}).status == 201
    assert few.ask("PUT", "/people/a/password", {"password": PASSWORD}).status == 403
    assert few.ask("POST", "/people", {"name": "b", "role": "viewer", "password": PASSWORD}).status == 201
    assert [token["name"] for token in every.get("/tokens")["items"] if token["name"] == "robot"] == []


def test_no_password_and_no_second_factor_is_changed_by_who_has_not_seen_the_last_one(service: Service) -> None:
    client, password = service.client(*ALL), {"password": f"{PASSWORD} 2"}
    add_person(service.engine, "anna", Role.ADMINISTRATOR, PASSWORD)

    def seen() -> str:
        return str(client.ask("GET", "/people/Anna").headers["ETag"])

    def enrol() -> None:
        key = base64.b32decode(begin_second_factor(service.engine, "anna").key)
        confirm_second_factor(service.engine, "anna", code(key, int(service.clock().timestamp()) // PERIOD))

    before = seen()
    tried = [client.ask("PUT", "/people/anna/password", password, If_Match=before).status for _ in range(2)]
    enrol()
    with_lost_phone = seen()
    remove_second_factor(service.engine, "anna")
    service.clock.now += timedelta(seconds=PERIOD)
    enrol()
    tried += [
        client.ask("DELETE", "/people/anna/second-factor", If_Match=tag).status for tag in (with_lost_phone, seen())
    ]
    assert tried == [200, 412, 412, 200]


def test_a_token_is_shown_once_and_lets_in_until_it_is_removed(service: Service) -> None:
    client = service.client(*ALL)
    made = client.ask("POST", "/tokens", {"name": "the robot", "permissions": ["read"], "days": 1})
    assert (made.status, made.headers["Location"]) == (201, "/api/v1/tokens/the%20robot"), made.body
    headers = {"Authorization": f"Bearer {made.data['secret']}"}
    assert service.client().ask("GET", "/status", **headers).status == 200
    assert made.data["secret"] not in str(client.get("/tokens"))
    assert client.ask("DELETE", made.headers["Location"].removeprefix("/api/v1")).status == 204
    assert service.client().ask("GET", "/status", **headers).status == 401


def test_a_backup_is_made_and_a_bundle_without_secrets(service: Service) -> None:
    client = service.client(*ALL)
    done = client.ended(client.ask("POST", "/service/backup"))
    assert done["job"]["outcome"] == "done", done
    assert done["result"]["size"] > 0
    answer = client.ask("POST", "/service/diagnostics", {"pseudonyms": True})
    assert answer.headers["Content-Type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(answer.body)) as bundle:
        assert "about.json" in bundle.namelist()
        told = b"".join(bundle.read(name) for name in bundle.namelist())
    assert client.token.split("_", 2)[2].encode() not in told


def test_each_setting_is_told_with_where_it_comes_from(service: Service) -> None:
    found = service.client("read").get("/settings")
    assert [each["name"] for each in found["settings"]] == list(KNOWN)
    (data,) = [each for each in found["settings"] if each["name"] == "data"]
    assert (data["value"], found["file"]) == (str(service.folder / "data"), None)
    assert {each["where"] for each in found["settings"]} == {"default"}
    service.client("manage").get("/settings", 403)


def test_a_sign_in_provider_is_stored_tried_and_removed_and_its_secret_never_shown(service: Service) -> None:
    client, few = service.client(*ALL), service.client("administer")
    with openid() as provider:
        params = {
            "title": "Contoso",
            "issuer": provider.issuer,
            "client_id": "certwright",
            "client_secret": "the-secret",
            "address": "https://certwright.contoso.test",
            "administrators": ["chiefs"],
        }
        assert few.ask("PUT", "/sign-in-providers/contoso", {"params": params}).status == 403
        stored = client.ask("PUT", "/sign-in-providers/contoso", {"params": params})
        assert (stored.status, "It takes the client." in stored.data["seen"]) == (200, True), stored.body
        assert client.ask("POST", "/sign-in-providers/contoso/test").data["seen"] == stored.data["seen"]
        wrong = client.ask("PUT", "/sign-in-providers/contoso", {"params": {**params, "issuer": provider.base}})
        assert (wrong.status, "describe itself" in wrong.data["detail"]) == (502, True)
    (shown,) = client.get("/sign-in-providers")["items"]
    assert shown["redirect_uri"] == "https://certwright.contoso.test/sign-in/with/contoso/callback"
    assert "the-secret" not in str([shown, stored.data, client.get("/credentials"), client.get("/audit")])
    assert [each["name"] for each in client.get("/credentials")["items"]] == ["contoso"]
    assert service.client("read", "manage").get("/credentials")["items"] == []
    assert client.ask("DELETE", "/credentials/contoso").status == 422
    assert client.ask("DELETE", "/sign-in-providers/contoso").status == 204
    for method, path in (("DELETE", ""), ("POST", "/test")):
        assert client.ask(method, f"/sign-in-providers/contoso{path}").status == 404
    assert client.ask("POST", "/people/nobody/admit").status == 404
