"""Certificates described, changed and removed over the API, and what is done with one."""

from datetime import timedelta
from typing import Any

import pytest

from certwright.domain import certificates, keys
from certwright.domain.deployment import ServedRow, Verdict
from certwright.domain.identifiers import Identifier
from certwright.domain.keys import KeyType
from certwright.domain.managed import CertificateVersion, ManagedCertificate, TaskSettings
from certwright.domain.runs import DeploymentState, Stage
from unit.domain.workshop import Authority, ec_key
from world.api import Answer, Service

MAIL = {"names": ["mail.contoso.com"], "issuers": ["le"]}


def made(service: Service, status: int = 201, **wanted: Any) -> Answer:
    answer = service.client("edit", "commands").ask("POST", "/certificates", {**MAIL, **wanted})
    assert answer.status == status, answer.body
    return answer


def changed(service: Service, before: Answer, status: int = 200, **wanted: Any) -> Answer:
    path = before.headers["Location"].removeprefix("/api/v1")
    answer = service.client("edit").ask("PATCH", path, wanted, If_Match=before.headers["ETag"])
    assert answer.status == status, answer.body
    return answer


@pytest.mark.parametrize("path", ["/etc", "/srv/../etc", "/srv/www/../../root/.ssh", "/proc/self/cwd"])
def test_a_path_that_the_administrator_has_not_allowed_is_refused(service: Service, path: str) -> None:
    rule = {"challenge": "http-01", "solver": "webroot", "params": {"path": path}}
    answer = made(service, 422, validations=[rule])
    assert "in none of the allowed folders (/var/www, /srv, /usr/share/nginx)" in answer.data["detail"]
    assert "file_folders" in answer.data["hint"]


def test_a_certificate_is_described_as_the_command_line_does_it(service: Service) -> None:
    rule = {"challenge": "http-01", "solver": "webroot", "params": {"path": "/srv/www"}, "names": ["www.contoso.com"]}
    answer = made(
        service,
        names=["mail.contoso.com", "www.contoso.com"],
        title="mail",
        validations=[{"challenge": "http-01", "solver": "http_listener", "params": {"port": 8080}}, rule],
        key={"type": "ecdsa-p256", "reuse": True},
    )
    wanted = answer.data["wanted"]
    assert answer.headers["Location"] == f"/api/v1/certificates/{wanted['id']}"
    assert answer.headers["ETag"] == '"1"'
    assert (wanted["title"], wanted["key"]["source"], wanted["key"]["type"]) == ("mail", "reused", "ecdsa-p256")
    assert [each["solver"] for each in wanted["validations"]] == ["http_listener", "webroot"]
    assert answer.data["renewal"]["reason"] == "never-issued"
    again = made(service, 422, title="mail")
    assert "is a managed certificate 'mail' already" in again.data["detail"]


def test_what_is_described_may_wait_until_somebody_requests_it(service: Service) -> None:
    answer = made(service, waits=True)
    assert (answer.data["renewal"]["due"], answer.data["renewal"]["reason"]) == (False, "held")
    assert "preview it, test it, and request it" in answer.data["renewal"]["message"]
    path = answer.headers["Location"].removeprefix("/api/v1")
    requested = service.client("request").ask("POST", f"{path}/request")
    assert (requested.status, requested.data["renewal"]["due"]) == (202, True), requested.body


@pytest.mark.parametrize(
    "wanted",
    [
        {"names": []},
        {"names": ["not a name"]},
        {"names": ["server.local"]},
        {"issuers": []},
        {"issuers": ["none"]},
        {"title": "two\nlines"},
        {"window": "none"},
        {"pfx_password_credential": "none"},
        {"validations": [{"challenge": "dns-01", "solver": "dns", "params": {"credential": "none"}}]},
        {"validations": [{"challenge": "http-01", "solver": "none"}]},
        {"key": {"private_key": "nonsense!"}},
        {"key": {"private_key": "bm9uc2Vuc2U=", "type": "rsa-2048"}},
        {"stranger": 1},
    ],
)
def test_what_cannot_work_is_not_described(service: Service, wanted: dict[str, Any]) -> None:
    answer = service.client("edit").ask("POST", "/certificates", {**MAIL, **wanted})
    assert answer.status in (404, 422), answer.body
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert service.client("read").get("/certificates")["items"] == []


@pytest.mark.parametrize("in_base64", [True, False])
def test_an_own_key_is_taken_and_never_shown(service: Service, in_base64: bool) -> None:
    pem = keys.private_key_pem(keys.generate(KeyType.ECDSA_P256))
    text = b"".join(pem.splitlines()[1:-1]).decode() if in_base64 else pem.decode()
    answer = made(service, key={"private_key": text})
    assert answer.data["wanted"]["key"]["source"] == "own-key"
    assert b"PRIVATE" not in answer.body
    assert text.encode() not in answer.body
    first = answer.data["wanted"]["key"]["own_key"]
    other = keys.private_key_pem(keys.generate(KeyType.RSA_2048)).decode()
    second = changed(service, answer, key={"private_key": other}).data["wanted"]["key"]["own_key"]
    with service.engine.store.read() as unit:
        assert unit.secrets.find(first) is None
        assert unit.secrets.get(second).decode() == other


def test_what_is_wanted_is_changed_and_the_rest_stays(service: Service) -> None:
    before = made(service, title="mail")
    after = changed(service, before, names=["mail.contoso.com", "smtp.contoso.com"], title="post")
    assert after.headers["ETag"] == '"2"'
    wanted = after.data["wanted"]
    assert (wanted["title"], wanted["identifiers"]) == ("post", ["mail.contoso.com", "smtp.contoso.com"])
    assert wanted["validations"] == before.data["wanted"]["validations"]
    assert changed(service, before, 412, title="late").data["type"] == "urn:certwright:problem:changed"
    missing = service.client("edit").ask("PATCH", f"/certificates/{wanted['id']}", {"title": "x"})
    assert missing.status == 428


def test_null_takes_away_what_can_be_without(service: Service) -> None:
    before = made(service, preferred_chain="ISRG Root X1")
    after = changed(service, before, preferred_chain=None, title=None, names=None)
    assert after.data["wanted"]["preferred_chain"] is None
    assert after.data["wanted"]["identifiers"] == ["mail.contoso.com"]


@pytest.mark.parametrize(
    "wanted",
    [{"names": ["*.contoso.com"]}, {"issuers": ["none"]}, {"profile": ""}, {"validations": []}, {"window": "x"}],
)
def test_a_change_that_cannot_work_changes_nothing(service: Service, wanted: dict[str, Any]) -> None:
    before = made(service)
    answer = service.client("edit").ask(
        "PATCH", before.headers["Location"].removeprefix("/api/v1"), wanted, If_Match=before.headers["ETag"]
    )
    assert answer.status in (404, 422), answer.body
    found = service.client("read").ask("GET", before.headers["Location"].removeprefix("/api/v1"))
    assert found.headers["ETag"] == before.headers["ETag"]


def test_what_is_not_in_use_is_removed(service: Service) -> None:
    before = made(service)
    path = before.headers["Location"].removeprefix("/api/v1")
    client = service.client("edit")
    assert client.ask("DELETE", path).status == 428
    assert client.ask("DELETE", path, If_Match='"9"').status == 412
    assert client.ask("DELETE", path, If_Match='"1"').status == 204
    service.client("read").get(path, 404)


def deployed(service: Service) -> tuple[ManagedCertificate, CertificateVersion]:
    """One whose current version, with its key, a task has put to use."""
    task = TaskSettings(kind="exchange", title="exchange", params={"servers": ["ex01.contoso.com"]})
    names = (Identifier.parse("mail.contoso.com"),)
    managed = ManagedCertificate(title="mail", identifiers=names, issuer="le", tasks=(task,))
    key, start = ec_key(), service.clock.now
    leaf = Authority("CA").certify("mail", key, start=start, lifetime=timedelta(days=90))
    version = CertificateVersion(
        managed_id=managed.id,
        issuer="le",
        chain_pem=certificates.pem([leaf]).decode(),
        fingerprint=managed.fingerprint,
        issued_at=start,
    )
    row = ServedRow(
        server="EX01", service="IIS", address="192.0.2.1", port=443, protocol="https", now="ab", verdict=Verdict.OK
    )
    state = DeploymentState(
        task_id=task.id,
        managed_id=managed.id,
        version_id=version.id,
        stage=Stage.DEPLOYED,
        served=(row,),
        in_use=version.id,
    )
    with service.engine.store.write() as unit:
        unit.managed.add(managed)
        unit.versions.add(version, keys.private_key_pem(key))
        unit.deployments.save(state)
    return managed, version


def test_what_is_in_use_is_not_removed_and_the_users_are_named(service: Service) -> None:
    managed, _ = deployed(service)
    client = service.client("edit", "manage")
    refused = client.ask("DELETE", f"/certificates/{managed.id}", If_Match='"1"')
    assert refused.status == 409
    assert refused.data["type"] == "urn:certwright:problem:in-use"
    assert refused.data["causes"] == ["the task 'exchange' has deployed it: EX01 IIS 192.0.2.1:443"]
    task = f"/certificates/{managed.id}/tasks/{managed.tasks[0].id}"
    assert [client.ask("DELETE", task, If_Match=f'"{revision}"').status for revision in (1, 2)] == [200, 404]
    assert client.ask("DELETE", f"/certificates/{managed.id}", If_Match='"2"').status == 204


def test_a_version_is_shown_without_its_key(service: Service) -> None:
    managed, version = deployed(service)
    client = service.client("read")
    found = client.ask("GET", f"/certificates/{managed.id}/versions/{version.id}")
    assert found.data["chain_pem"] == version.chain_pem
    assert b"PRIVATE" not in found.body
    chain = client.ask("GET", f"/certificates/{managed.id}/versions/{version.id}/chain")
    assert chain.body.decode() == version.chain_pem
    client.get(f"/certificates/{service.managed('web.contoso.com').id}/versions/{version.id}", 404)


@pytest.mark.parametrize("form", ["pfx", "pem"])
def test_the_key_leaves_for_who_may_take_it_alone(service: Service, form: str) -> None:
    managed, version = deployed(service)
    wanted = {"format": form, "password": "s3cr3t", "cipher": "modern"}
    path = f"/certificates/{managed.id}/export"
    assert service.client("read", "edit", "manage", "administer").ask("POST", path, wanted).status == 403
    answer = service.client("keys").ask("POST", path, wanted)
    assert answer.status == 200, answer.body
    assert answer.headers["Cache-Control"] == "no-store"
    assert f'filename="mail.contoso.com.{form}"' in answer.headers["Content-Disposition"]
    password = b"s3cr3t" if form == "pfx" else None
    key = keys.load_private_key(answer.body.partition(b"-----BEGIN CERT")[0], password)
    leaf = certificates.load_certificates(version.chain_pem.encode())[0]
    assert key.public_key() == leaf.public_key()
    assert (version.chain_pem.encode() in answer.body) == (form == "pem")


def test_a_pfx_needs_a_password(service: Service) -> None:
    managed, _ = deployed(service)
    refused = service.client("keys").ask("POST", f"/certificates/{managed.id}/export", {"format": "pfx"})
    assert (refused.status, refused.data["detail"]) == (422, "A PFX needs a password.")


@pytest.mark.parametrize(
    "wanted",
    [
        {"reason": "superseded"},
        {"reason": "superseded", "breaks_services": False},
        {"reason": "x", "breaks_services": True},
    ],
)
def test_nothing_is_revoked_by_who_does_not_say_that_it_breaks_things(service: Service, wanted: dict[str, Any]) -> None:
    managed, version = deployed(service)
    assert service.client("edit").ask("POST", f"/certificates/{managed.id}/revoke", wanted).status == 422
    with service.engine.store.read() as unit:
        assert unit.versions.get(version.id).revoked_at is None


def test_what_would_happen_is_told_by_a_job(service: Service) -> None:
    mail, client = service.managed("mail.contoso.com"), service.client("read", "request")
    begun = client.ask("POST", f"/certificates/{mail.id}/preview")
    assert (begun.status, begun.data["what"], begun.data["subject"]) == (202, "certificate preview", mail.id)
    done = client.ended(begun)
    assert (done["job"]["outcome"], done["result"]["due"], done["result"]["reason"]) == ("done", True, "never-issued")
    assert client.get("/jobs")["items"][0]["id"] == done["job"]["id"]
    assert client.ask("POST", "/certificates/ba9876543210/preview").status == 404


def test_a_job_that_fails_says_why(service: Service) -> None:
    mail, client = service.managed("mail.contoso.com"), service.client("read", "edit")
    done = client.ended(client.ask("POST", f"/certificates/{mail.id}/deploy", {}))
    assert (done["job"]["outcome"], done["result"]) == ("failed", None)
    assert "has no certificate yet" in done["job"]["fault"]["message"]
