"""Web hooks and heartbeats against a receiver that verifies them."""

from collections.abc import Iterator
from typing import Any

import pytest

from certwright.domain.errors import NotificationError, Unreachable
from certwright.rest import Api
from peers.dns_peer import Fault
from peers.hook import PATH, SECRET, Hook
from peers.vendor import served
from world.channels import channel, problem, refusal


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hook]:
    monkeypatch.setattr(Api, "pauses", (0.0, 0.0, 0.0))
    hook = Hook()
    with served(hook):
        yield hook
    assert hook.complaints == []


def webhook(hook: Hook, **changes: Any) -> Any:
    return channel("webhook", **{"url": f"{hook.url}{PATH}?room=7", "secret": SECRET, **changes})


def test_a_message_arrives_whole_and_signed(hook: Hook) -> None:
    message = problem()
    assert webhook(hook).send(message) == "POST 127.0.0.1/… answered 202."
    assert hook.messages == {message.id: message.model_dump(mode="json", exclude={"html"})}
    assert hook.messages[message.id]["sections"][0]["names"] == ["mail.contoso.test"]


def test_a_template_names_its_own_fields(hook: Hook) -> None:
    message = problem('a "quoted" {text} title')
    webhook(hook, fields={"content": "{subject} ({urgent})", "username": "certwright"}).send(message)
    assert hook.messages == {message.id: {"content": f"{message.subject} ()", "username": "certwright"}}


@pytest.mark.parametrize("fault", [Fault.RATE_LIMITED, Fault.UNAVAILABLE, Fault.BROKEN, Fault.ANSWER_LOST])
def test_what_passes_is_tried_again_with_the_same_key(hook: Hook, fault: Fault) -> None:
    hook.fail(fault, times=2)
    message = problem()
    webhook(hook).send(message)
    assert list(hook.messages) == [message.id]
    assert {request.headers["idempotency-key"] for request in hook.requests} == {message.id}
    assert len(hook.requests) == 3


def test_a_wrong_key_is_refused_by_the_receiver_and_said_without_address_or_key(hook: Hook) -> None:
    with pytest.raises(NotificationError, match=r"POST 127\.0\.0\.1/… answered 401") as caught:
        webhook(hook, secret="another-key-4711").send(problem())
    assert not caught.value.retryable
    told = "".join(caught.value.explain())
    assert "the signature is wrong" in told
    assert "T0P5ECRET" not in told
    assert "4711" not in told


def test_a_receiver_that_stays_away_is_for_later(hook: Hook) -> None:
    hook.fail(Fault.UNAVAILABLE, times=10)
    with pytest.raises(NotificationError, match="answered 503") as caught:
        webhook(hook).send(problem())
    assert caught.value.retryable


def test_one_that_breaks_off_is_said_without_its_address(hook: Hook) -> None:
    hook.fail(Fault.BROKEN, times=10)
    with pytest.raises(Unreachable, match=r"POST 127\.0\.0\.1/… got no answer") as caught:
        webhook(hook).send(problem())
    assert "T0P5ECRET" not in "".join(caught.value.explain())


def test_redirects_are_not_followed(hook: Hook) -> None:
    hook.statuses.append(307)
    with pytest.raises(NotificationError, match="answered 307"):
        webhook(hook).send(problem())


@pytest.mark.parametrize("url", ["http://10.0.0.1/x", "http://metadata.test/", "file:///etc/passwd", "nonsense"])
@pytest.mark.parametrize("kind", ["webhook", "heartbeat"])
def test_only_https_is_asked_beyond_this_machine(kind: str, url: str) -> None:
    with pytest.raises(Unreachable, match="got no answer") as caught:
        channel(kind, url=url).send(problem())
    assert not caught.value.retryable


def test_a_template_with_an_unknown_name_is_refused() -> None:
    assert "there is no {password}: choose from subject" in refusal(
        "webhook", url="https://x.test/", fields={"text": "{password}"}
    )


def test_a_heartbeat_is_a_call(hook: Hook) -> None:
    hook.signed = False
    heartbeat = channel("heartbeat", url=f"{hook.url}{PATH}?room=7")
    assert heartbeat.is_heartbeat
    assert heartbeat.send(problem()) == "GET 127.0.0.1/… answered 200."
    assert [(request.method, request.body) for request in hook.requests] == [("GET", b"")]


def test_a_heartbeat_that_nobody_knows_is_said(hook: Hook) -> None:
    hook.statuses.append(404)
    with pytest.raises(NotificationError, match="answered 404"):
        channel("heartbeat", url=f"{hook.url}{PATH}?room=7").send(problem())
