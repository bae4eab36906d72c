"""Access tokens: asked for once, and what is none."""

import json
import threading
from typing import Any

import pytest

from certwright.domain.errors import Unreachable
from certwright.rest import Answer
from certwright.rest.bearer import Bearer


class Endpoint:
    """Gives the tokens t1, t2 and so on, each valid for so many seconds."""

    def __init__(self, life: Any) -> None:
        self.life = life
        self.asked = 0

    def __call__(self) -> Answer:
        self.asked += 1
        body = {"token_type": "Bearer", "access_token": f"t{self.asked}", "expires_in": self.life}
        return Answer("POST login/token", 200, {}, json.dumps(body).encode())


def test_a_token_is_kept_while_it_lasts() -> None:
    endpoint = Endpoint(3599)
    sign = Bearer(endpoint)
    assert [sign("GET", "https://x/", b"") for _ in range(3)] == [{"Authorization": "Bearer t1"}] * 3
    assert endpoint.asked == 1


@pytest.mark.parametrize("life", [0, 59, -5])
def test_a_token_that_is_about_to_end_is_replaced(life: int) -> None:
    sign = Bearer(Endpoint(life))
    assert [sign("GET", "https://x/", b"")["Authorization"] for _ in range(2)] == ["Bearer t1", "Bearer t2"]


def test_several_threads_share_one_token() -> None:
    endpoint = Endpoint(3599)
    sign = Bearer(endpoint)
    threads = [threading.Thread(target=sign, args=("GET", "https://x/", b"")) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert endpoint.asked == 1


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b'{"access_token": 7}',
        b'{"access_token": ""}',
        b'{"access_token": "a b"}',
        b'{"access_token": "a\\r\\nX-Evil: 1"}',
        b"<html>",
    ],
)
def test_an_answer_without_a_token_is_told(body: bytes) -> None:
    with pytest.raises(Unreachable) as caught:
        Bearer(lambda: Answer("POST login/token", 200, {}, body))("GET", "https://x/", b"")
    assert "login/token" in caught.value.message
    assert "proxy" in caught.value.hint


def test_a_life_that_is_not_told_is_taken_to_be_short() -> None:
    answers = iter([b'{"access_token": "t"}', b'{"access_token": "u", "expires_in": "soon"}'])
    sign = Bearer(lambda: Answer("POST login/token", 200, {}, next(answers)))
    assert sign("GET", "https://x/", b"")["Authorization"] == "Bearer t"
    assert sign("GET", "https://x/", b"")["Authorization"] == "Bearer t"
