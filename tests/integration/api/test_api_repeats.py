"""What is sent again with the same key is done once, and answered the same."""

import io
import json
import sqlite3
import zipfile
from contextlib import closing
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete

from certwright.domain.access import Permission
from certwright.domain.jobs import Job
from certwright.engine.tokens import create_token
from certwright.store import repeats
from certwright.store.repeats import LIFE
from certwright.store.schema import jobs
from world.api import Answer, Service

MAIL = {"names": ["mail.contoso.com"], "issuers": ["le"]}
KEY = "8e03978e-40d5-43dd-bc93-6894a57f9324"


def post(service: Service, data: Any = MAIL, key: str = KEY, *permissions: str, path: str = "/certificates") -> Answer:
    return service.client(*(permissions or ("edit",))).ask("POST", path, data, Idempotency_Key=key)


def count(service: Service) -> int:
    return len(service.client("read").get("/certificates")["items"])


def test_what_is_sent_again_is_done_once_and_answered_the_same(service: Service) -> None:
    first, second = post(service), post(service)
    assert (first.status, second.status) == (201, 201)
    assert second.body == first.body
    for header in ("Location", "ETag", "Content-Type"):
        assert second.headers[header] == first.headers[header]
    assert count(service) == 1


def test_the_same_key_for_something_else_is_refused(service: Service) -> None:
    post(service)
    refused = post(service, {**MAIL, "title": "other"})
    assert (refused.status, refused.data["hint"]) == (422, "Choose another key for each thing to be done.")
    elsewhere = post(service, {"reason": "x"}, path="/people")
    assert elsewhere.status == 403
    assert count(service) == 1


def test_each_caller_has_keys_of_its_own(service: Service) -> None:
    post(service)
    assert post(service, {**MAIL, "title": "other"}, KEY, "edit", "read").status == 201
    assert count(service) == 2


def test_who_may_not_is_told_nothing_of_what_was_answered(service: Service) -> None:
    post(service)
    assert post(service, MAIL, KEY, "read").status == 403
    assert service.client().ask("POST", "/certificates", MAIL, Idempotency_Key=KEY).status == 401
    client = service.client("edit")
    with service.engine.store.write() as unit:
        unit.tokens.remove("edit")
    assert client.ask("POST", "/certificates", MAIL, Idempotency_Key=KEY).status == 401


def test_what_failed_may_be_tried_again_with_the_same_key(service: Service) -> None:
    assert post(service, {**MAIL, "window": "nights"}).status == 404
    assert post(service).status == 201


def test_a_file_is_made_anew_for_the_same_request_alone(service: Service) -> None:
    everything = tuple(Permission)
    path, wanted = "/service/diagnostics", {"pseudonyms": True}
    first, second = (post(service, wanted, KEY, *everything, path=path) for _ in range(2))
    assert (first.status, second.status, second.headers["Content-Type"]) == (200, 200, "application/zip")
    with zipfile.ZipFile(io.BytesIO(second.body)) as bundle:
        assert bundle.testzip() is None
    for data, elsewhere in (({"pseudonyms": False}, path), (MAIL, "/certificates")):
        assert post(service, data, KEY, *everything, path=elsewhere).status == 422
    assert count(service) == 0
    with service.engine.store.read() as unit:
        (secret,) = [name for name in unit.secrets.names() if name.startswith("repeat:")]
        assert json.loads(unit.secrets.get(secret))["body"] is None


def test_what_began_a_job_that_was_interrupted_is_begun_anew_with_the_same_key(service: Service) -> None:
    client = service.client("administer", "read")
    first = client.ask("POST", "/service/backup", Idempotency_Key=KEY)
    job = Job.model_validate(client.ended(first)["job"])
    assert client.ask("POST", "/service/backup", Idempotency_Key=KEY).data == first.data
    with service.engine.store.write() as unit:  # as it stands in the store until it has ended
        unit.jobs.end(job.model_copy(update={"ended_at": None, "outcome": None}))
    service.clock.now += timedelta(minutes=1)  # a backup is named by its minute
    again = client.ask("POST", "/service/backup", Idempotency_Key=KEY)
    assert again.data["id"] != job.id
    assert client.ended(again)["job"]["outcome"] == "done"
    assert client.ask("POST", "/service/backup", Idempotency_Key=KEY).data == again.data
    with service.engine.store.write() as unit:
        unit.jobs.connection.execute(delete(jobs))
    assert client.ask("POST", "/service/backup", Idempotency_Key=KEY).data == again.data


def test_while_the_first_is_under_way_the_second_is_refused(service: Service) -> None:
    post(service, key="another")
    with service.engine.store.read() as unit:
        (secret,) = [name for name in unit.secrets.names() if name.startswith("repeat:")]
    with service.engine.store.lease(f"passing:{secret}"):
        refused = post(service, key="another")
    assert (refused.status, refused.data["retryable"]) == (409, True)
    assert post(service, key="another").status == 201


def test_a_day_later_it_is_something_new(service: Service) -> None:
    service.tokens["edit"] = create_token(service.engine, "long", ["edit"], timedelta(days=9))[1]
    post(service)
    service.clock.now += LIFE
    assert post(service).status == 201
    service.clock.now += timedelta(seconds=1)
    assert post(service).status == 422
    assert service.client("edit").ask("POST", "/certificates", MAIL).data["detail"].startswith("There is a managed")


def test_no_more_than_some_are_kept(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repeats, "KEPT", 2)
    for number in range(4):
        assert post(service, {**MAIL, "title": f"number {number}"}, f"key-{number}").status == 201
    with service.engine.store.read() as unit:
        assert len([name for name in unit.secrets.names() if name.startswith("repeat:")]) == 2
    assert post(service, {**MAIL, "title": "number 3"}, "key-3").status == 201
    assert count(service) == 4


def test_what_was_done_is_answered_though_the_answer_cannot_be_kept(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    (database,) = service.folder.glob("data/*.db")
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("CREATE TRIGGER full BEFORE INSERT ON repeats BEGIN SELECT RAISE(ABORT, 'no room'); END")
    made = post(service, {"name": "robot", "permissions": ["read"]}, KEY, "administer", "read", path="/tokens")
    assert made.status == 201, made.body
    assert made.data["secret"]
    assert "An answer could not be kept" in caplog.text


@pytest.mark.parametrize("key", ["", "two words", "a" * 256, "é"])
def test_a_key_without_sense_is_refused(service: Service, key: str) -> None:
    assert post(service, key=key.encode().decode("latin-1")).status == 400
    assert count(service) == 0


def test_what_is_shown_once_is_shown_in_no_repeat_and_lies_nowhere(service: Service) -> None:
    wanted = {"name": "robot", "permissions": ["read"]}
    first = post(service, wanted, KEY, "administer", "read", path="/tokens")
    assert first.status == 201, first.body
    secret = first.data["secret"]
    again = post(service, wanted, KEY, "administer", "read", path="/tokens")
    assert (again.status, again.data) == (201, {**first.data, "secret": ""})
    (database,) = service.folder.glob("data/*.db")
    with sqlite3.connect(database) as connection:
        dump = "\n".join(connection.iterdump())
    assert secret.split("_", 2)[2] not in dump  # its random part may hold the same sign
    assert secret.encode().hex() not in dump.lower()
