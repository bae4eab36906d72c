"""Managed certificates over the API."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest

from certwright.domain import certificates
from certwright.domain.errors import ConfigurationError
from certwright.domain.managed import CertificateVersion, KeyForm, TaskSettings
from certwright.domain.validation import Validation
from certwright.domain.windows import MaintenanceWindow, Span
from certwright.engine.managed import Wish, create
from certwright.engine.schedule import reschedule
from certwright.engine.task_list import add_task
from certwright.engine.tokens import create_token
from certwright.engine.windows import put_window
from unit.domain.workshop import Authority, ec_key
from world.api import Service


def pages(service: Service, query: str = "") -> Iterator[list[str]]:
    """The titles of page after page."""
    client, after = service.client("read"), ""
    while True:
        page = client.get(f"/certificates?limit=2{query}&after={quote(after)}")
        yield [item["title"] for item in page["items"]]
        after = page["next"]
        if after is None:
            return


def test_a_list_goes_on_where_it_ended_whatever_is_added_meanwhile(service: Service) -> None:
    for title in "bdfh":
        service.managed(f"{title}.contoso.com", title=title)
    reading = pages(service)
    assert next(reading) == ["b", "d"]
    for title in "ag":
        service.managed(f"{title}.contoso.com", title=title)
    assert list(reading) == [["f", "g"], ["h"]]


def test_a_list_is_searched_in_the_script_of_a_name(service: Service) -> None:
    service.managed("www.bücher.example", title="shop")
    service.managed("mail.contoso.com", title="München")
    client = service.client("read")
    for part, found in {"Bücher": ["shop"], "xn--bcher-kva": ["shop"], "mün": ["München"]}.items():
        shown = client.get(f"/certificates?part={quote(part)}")["items"]
        assert [item["title"] for item in shown] == found, part


def test_a_list_is_filtered_by_name_issuer_and_health(service: Service) -> None:
    mail = service.managed("mail.contoso.com", "autodiscover.contoso.com", title="mail")
    service.managed("web.contoso.com", title="web")
    client = service.client("read")
    (found,) = client.get("/certificates?name=Autodiscover.Contoso.com")["items"]
    assert (found["id"], found["names"]) == (mail.id, ["mail.contoso.com", "autodiscover.contoso.com"])
    health = found["health"]["health"]
    assert len(client.get(f"/certificates?health={health}")["items"]) == 2
    others = "&".join(f"health={h}" for h in ("critical", "failing", "ok") if h != health)
    assert client.get(f"/certificates?{others}")["items"] == []
    assert len(client.get("/certificates?issuer=le")["items"]) == 2
    assert client.get("/certificates?issuer=other")["items"] == []


def test_a_list_is_filtered_by_the_end_and_then_in_its_order(service: Service) -> None:
    now, until = service.clock(), {"late": 50, "over": -3, "soon": 5, "later": 50}
    for title, days in until.items():
        made, lifetime = service.managed("mail.contoso.com", title=title), timedelta(days=80 + days)
        leaf = Authority("CA").certify(title, ec_key(), start=now - timedelta(days=80), lifetime=lifetime)
        version = CertificateVersion(
            managed_id=made.id,
            issuer="le",
            chain_pem=certificates.pem([leaf]).decode(),
            key_form=KeyForm.ELSEWHERE,
            fingerprint="f",
            issued_at=now,
        )
        with service.engine.store.write() as unit:
            unit.versions.add(version, None)
            reschedule(service.engine, unit, made)
    service.managed("mail.contoso.com", title="never")

    def found(expiry: str) -> list[str]:
        return [title for page in pages(service, f"&expiry={expiry}") for title in page]

    assert found("over") == ["over"]
    assert found("7") == ["soon"]
    assert found("90") == ["soon", "late", "later"]
    assert found("later") == ["over", "soon", "late", "later"]
    assert found("never") == ["never"]
    holds, held = service.client("read", "edit"), {"which": {"expiry": "over"}, "reason": "it is not used"}
    assert holds.ended(holds.ask("POST", "/bulk/hold", held))["result"]["total"] == 1


EVERYTHING: dict[str, Any] = {"which": {}}


def test_the_same_is_done_to_all_that_a_filter_finds(service: Service) -> None:
    mail, web = (service.managed(f"{name}.contoso.com", tags=(name,)) for name in ("mail", "web"))
    holds, requests = service.client("read", "edit"), service.client("read", "request")
    which = {"part": "MAIL.con"}
    seen = holds.ended(holds.ask("POST", "/bulk/hold/preview", {"which": which}))
    counted = {"total": 1, "done": 1, "obstacles": {}, "last_at": None}
    looked = seen["result"].pop("seen")
    assert seen["result"] == counted
    wanted = {"which": which, "reason": "we move", "seen": looked}
    stale = holds.ended(holds.ask("POST", "/bulk/hold", {**wanted, "which": {}}))
    assert "not the certificates that were looked at" in str(stale)
    assert holds.ended(holds.ask("POST", "/bulk/hold", wanted))["result"] == {**counted, "seen": looked}
    assert holds.ask("POST", "/bulk/hold", {**wanted, "which": {"tga": "mail"}}).status == 422
    with service.engine.store.read() as unit:
        held = unit.renewals.get(mail.id).hold
        assert (held and held.reason, unit.renewals.get(web.id).hold) == ("we move", None)
    everything = requests.ended(requests.ask("POST", "/bulk/request", EVERYTHING))["result"]
    assert (everything["total"], everything["done"], sum(everything["obstacles"].values())) == (2, 1, 1)
    assert holds.ask("POST", "/bulk/hold", EVERYTHING).status == 422
    for path in ("hold", "hold/preview", "release", "release/preview"):
        assert requests.ask("POST", f"/bulk/{path}", EVERYTHING).status == 403
    assert holds.ask("POST", "/bulk/request", EVERYTHING).status == 403
    assert holds.ended(holds.ask("POST", "/bulk/release", {"which": which}))["result"]["done"] == 1
    limited = service.client("read", "request", tags=["web"])
    assert limited.ended(limited.ask("POST", "/bulk/request/preview", EVERYTHING))["result"]["total"] == 1


def test_what_a_change_would_come_to_is_told_and_not_done(service: Service) -> None:
    mail, client = service.managed("mail.contoso.com"), service.client("read", "edit")
    seen = client.ask("POST", f"/certificates/{mail.id}/change/preview", {"title": "mail"}).data
    assert (seen["before"], seen["after"]) == ({"title": "mail.contoso.com"}, {"title": "mail"})
    assert (seen["renewal"]["due"], seen["renewal"]["reason"]) == (True, "never-issued")
    assert client.get(f"/certificates/{mail.id}")["wanted"] == mail.model_dump(mode="json")
    assert client.ask("POST", f"/certificates/{mail.id}/change/preview", {"issuers": ["x"]}).status == 404


@pytest.mark.parametrize("query", ["name=..", "health=fine", "expiry=8", "limit=0", "limit=201", "limit=x"])
def test_a_filter_that_cannot_be_is_told(service: Service, query: str) -> None:
    problem = service.client("read").get(f"/certificates?{query}", 422)
    assert problem["title"] == "Unprocessable Entity"
    assert problem["detail"]


def test_one_certificate_tells_what_is_wanted_and_how_it_is(service: Service) -> None:
    mail = service.managed("mail.contoso.com")
    found = service.client("read").get(f"/certificates/{mail.id}")
    assert found["wanted"] == mail.model_dump(mode="json")
    assert (found["renewal"]["due"], found["renewal"]["reason"]) == (True, "never-issued")
    assert (found["not_after"], found["versions"], found["deployments"]) == (None, [], [])


def test_what_is_not_there_is_told_with_the_next_step(service: Service) -> None:
    answer = service.client("read").ask("GET", "/certificates/0123456789ab")
    assert (answer.status, answer.headers["Content-Type"]) == (404, "application/problem+json")
    assert answer.data["type"] == "urn:certwright:problem:not-found"
    assert answer.data["hint"] == "Make one with: certwright certificate new"
    chain = service.client("read").get(f"/certificates/{service.managed('mail.contoso.com').id}/chain", 404)
    assert chain["detail"] == "'mail.contoso.com' was not issued yet."


def changed(service: Service, path: str, data: Any, tag: str = "", status: int = 200) -> Any:
    headers = {"If_Match": tag} if tag else {}
    answer = service.client("edit").ask("PUT", path, data, **headers)
    assert answer.status == status, answer.body
    return answer.data


def test_of_two_who_change_the_same_the_second_is_refused(service: Service) -> None:
    mail = service.managed("mail.contoso.com")
    with service.engine.store.write() as unit:
        unit.windows.put(MaintenanceWindow(name="nights", zone="UTC", spans=(Span.parse("Mon-Sun 22:00-04:00"),)))
    tag = service.client("read").ask("GET", f"/certificates/{mail.id}").headers["ETag"]
    first = changed(service, f"/certificates/{mail.id}/renewal", {"days_before": 20}, tag)
    assert first["wanted"]["renewal"]["days_before"] == 20
    late = changed(service, f"/certificates/{mail.id}/window", {"window": "nights"}, tag, 412)
    assert late["type"] == "urn:certwright:problem:changed"
    again = service.client("read").ask("GET", f"/certificates/{mail.id}")
    assert again.data["wanted"]["window"] is None
    second = changed(service, f"/certificates/{mail.id}/window", {"window": "nights"}, again.headers["ETag"])
    assert (second["wanted"]["window"], second["wanted"]["renewal"]["days_before"]) == ("nights", 20)


@pytest.mark.parametrize(
    ("method", "below", "wanted"),
    [("POST", "/request", None), ("PUT", "/hold", {"reason": "we move"}), ("DELETE", "/hold", None)],
)
def test_what_is_begun_or_held_back_is_what_was_seen(
    service: Service, method: str, below: str, wanted: dict[str, str] | None
) -> None:
    mail, client = service.managed("mail.contoso.com"), service.client("read", "edit", "request")
    path = f"/certificates/{mail.id}"
    before = client.get(path)
    late = client.ask(method, path + below, wanted, If_Match='"99"')
    assert (late.status, late.data["type"]) == (412, "urn:certwright:problem:changed")
    assert client.get(path) == before
    assert client.ask(method, path + below, wanted, If_Match='"1"').status in (200, 202)


def test_of_two_holds_nobody_replaces_or_releases_another_than_they_saw(service: Service) -> None:
    mail, client = service.managed("mail.contoso.com"), service.client("read", "edit")
    path = f"/certificates/{mail.id}"
    seen = client.ask("PUT", f"{path}/hold", {"reason": "until Monday"}).headers["ETag"]
    assert client.ask("PUT", f"{path}/hold", {"reason": "never renew"}, If_Match=seen).status == 200
    for late in (
        client.ask("PUT", f"{path}/hold", {"reason": "until Tuesday"}, If_Match=seen),
        client.ask("DELETE", f"{path}/hold", If_Match=seen),
    ):
        assert (late.status, late.data["type"]) == (412, "urn:certwright:problem:changed")
    now = client.ask("GET", path)
    assert "never renew" in now.data["renewal"]["message"]
    assert client.ask("DELETE", f"{path}/hold", If_Match=now.headers["ETag"]).status == 200


@pytest.mark.parametrize(("tag", "status"), [("", 428), ("*", 422), ('W/"1"', 422), ('"x"', 422), ('"99"', 412)])
def test_a_change_takes_what_was_seen_before(service: Service, tag: str, status: int) -> None:
    mail = service.managed("mail.contoso.com")
    changed(service, f"/certificates/{mail.id}/window", {"window": None}, tag, status)
    changed(service, f"/certificates/{mail.id}/renewal", {"days_before": 1}, tag, status)


def test_a_window_that_is_not_there_changes_nothing(service: Service) -> None:
    mail = service.managed("mail.contoso.com")
    problem = changed(service, f"/certificates/{mail.id}/window", {"window": "none"}, '"1"', 404)
    assert problem["hint"] == "Add it first: certwright window add"
    assert service.client("read").ask("GET", f"/certificates/{mail.id}").headers["ETag"] == '"1"'


def test_a_renewal_is_held_and_released(service: Service) -> None:
    mail = service.managed("mail.contoso.com")
    until = (service.clock.now + timedelta(days=2)).isoformat()
    held = changed(service, f"/certificates/{mail.id}/hold", {"reason": "the server moves", "until": until})
    assert (held["renewal"]["due"], held["renewal"]["reason"]) == (False, "held")
    assert "the server moves" in held["renewal"]["message"]
    answer = service.client("edit").ask("DELETE", f"/certificates/{mail.id}/hold")
    assert answer.data["renewal"]["reason"] == "never-issued"


def test_a_new_one_is_requested_once_however_often_it_is_asked_for(service: Service) -> None:
    mail, client = service.managed("mail.contoso.com"), service.client("request")
    for _ in range(2):
        answer = client.ask("POST", f"/certificates/{mail.id}/request")
        assert (answer.status, answer.data["renewal"]["reason"]) == (202, "asked-for")
    with service.engine.store.read() as unit:
        assert unit.managed.next_check(mail.id) == service.clock.now
    changed(service, f"/certificates/{mail.id}/hold", {"reason": "the server moves"})
    refused = client.ask("POST", f"/certificates/{mail.id}/request")
    assert (refused.status, "the server moves" in refused.data["detail"]) == (422, True)
    assert refused.data["hint"].startswith("Who may hold renewals back has to release it first")
    both = service.client("request", "edit").ask("POST", f"/certificates/{mail.id}/request")
    assert both.data["hint"].endswith(f"certwright certificate release {mail.id}")


@pytest.mark.parametrize("data", [{}, {"reason": ""}, {"reason": "x", "until": "2020-01-01T00:00:00Z"}, [], "x", 7])
def test_a_hold_without_sense_holds_nothing(service: Service, data: Any) -> None:
    mail = service.managed("mail.contoso.com")
    changed(service, f"/certificates/{mail.id}/hold", data, status=422)
    assert service.client("read").get(f"/certificates/{mail.id}")["renewal"]["due"]


def test_somebody_at_work_on_it_is_told_and_nothing_waits(service: Service) -> None:
    mail = service.managed("mail.contoso.com")
    with service.engine.certificate_lease(mail):
        problem = changed(service, f"/certificates/{mail.id}/hold", {"reason": "x"}, status=409)
    assert problem["retryable"]


def test_a_title_with_blanks_around_it_would_look_like_another_and_is_refused(service: Service) -> None:
    mail, client = service.managed("mail.contoso.com"), service.client("edit", "manage", "read")
    wanted = {"names": ["web.contoso.com"], "issuers": ["le"], "title": f" {mail.title} "}
    answers = (
        client.ask("POST", "/certificates", wanted),
        client.ask("PATCH", f"/certificates/{mail.id}", {"title": f"{mail.title} "}, If_Match='"1"'),
        client.ask("PUT", "/windows/%20nights", {"spans": ["Sat 22:00-04:00"], "zone": "UTC"}),
    )
    for answer in answers:
        assert (answer.status, "There are blanks around it." in answer.body.decode()) == (422, True), answer.body
    assert [each["title"] for each in client.get("/certificates")["items"]] == [mail.title]


def test_text_that_is_shown_otherwise_than_it_is_is_refused(service: Service) -> None:
    mail, client, odd = service.managed("mail.contoso.com"), service.client("edit", "manage"), "\u202etset.osotnoc"
    for method, path, body in (
        ("PATCH", f"/certificates/{mail.id}", {"title": odd}),
        ("PUT", f"/certificates/{mail.id}/hold", {"reason": odd}),
    ):
        refused = client.ask(method, path, body, If_Match='"1"')
        assert (refused.status, "U+202E" in refused.body.decode()) == (422, True), refused.body
    for act in (
        lambda: create(service.engine, Wish(("web.contoso.com",), "le", Validation(), title=odd)),
        lambda: put_window(
            service.engine, MaintenanceWindow(name=odd, zone="UTC", spans=(Span.parse("Mon 02:00-04:00"),))
        ),
        lambda: create_token(service.engine, odd, ["read"], timedelta(days=1)),
        lambda: add_task(service.engine, mail.id, TaskSettings(kind="script", title=odd, params={})),
    ):
        with pytest.raises(ConfigurationError, match="U\\+202E"):
            act()
