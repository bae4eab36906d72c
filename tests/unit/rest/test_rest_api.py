"""The HTTP client for vendors' APIs against a server that is busy, breaks off, or answers nonsense."""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from pydantic import BaseModel

from certwright.domain.errors import SolverError, Unreachable
from certwright.rest import Answer, Api, refused, unknown_zone, zones_seen

Reply = tuple[int, Mapping[str, str], bytes] | None
SECRET = "geheim-4711"


class Vendor:
    """Answers what `replies` says, in turn; None closes the connection. The last one stays."""

    def __init__(self, server: ThreadingHTTPServer) -> None:
        self.base = f"http://127.0.0.1:{server.server_port}/v1"
        self.replies: list[Reply] = [(200, {}, b"{}")]
        self.asked: list[tuple[str, str, Mapping[str, str], bytes]] = []


@pytest.fixture
def vendor(monkeypatch: pytest.MonkeyPatch) -> Iterator[Vendor]:
    class Handler(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            one.asked.append((self.command, self.path, dict(self.headers), body))
            reply = one.replies.pop(0) if len(one.replies) > 1 else one.replies[0]
            if reply is None:
                self.close_connection = True
                return
            status, headers, content = reply
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_DELETE = _serve  # noqa: N815 - the names that the base class looks for

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
            pass

    monkeypatch.setattr(Api, "pauses", (0.01, 0.01))
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        one = Vendor(server)
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield one
        server.shutdown()
        thread.join()


def test_what_is_asked_arrives_as_it_was_meant(vendor: Vendor) -> None:
    vendor.replies = [(200, {"Content-Type": "application/json"}, b'{"id": 7}')]
    with Api(vendor.base, headers={"Authorization": f"Bearer {SECRET}"}) as client:
        answer = client.request("POST", "/zones", query={"name": "a b&c"}, data={"x": "ü"})
    ((method, path, headers, body),) = vendor.asked
    assert (method, path, json.loads(body)) == ("POST", "/v1/zones?name=a+b%26c", {"x": "ü"})
    assert headers["Content-Type"] == "application/json"
    assert headers["Authorization"].endswith(SECRET)
    assert (answer.is_success, answer.json()) == (True, {"id": 7})


@pytest.mark.parametrize("first", [(429, {"Retry-After": "0"}, b""), (500, {}, b""), (503, {}, b""), None])
def test_what_is_busy_or_breaks_off_is_asked_again(vendor: Vendor, first: Reply) -> None:
    vendor.replies = [first, (200, {}, b'"done"')]
    with Api(vendor.base) as client:
        assert client.request("DELETE", "/records/1").json() == "done"
    assert len(vendor.asked) == 2


def test_what_does_not_answer_is_not_asked_for_ever(vendor: Vendor, monkeypatch: pytest.MonkeyPatch) -> None:
    vendor.replies = [None]
    monkeypatch.setattr(Api, "patience", 0.0)
    with Api(vendor.base) as client, pytest.raises(Unreachable):
        client.request("GET", "/zones")
    assert len(vendor.asked) == 1


def test_a_form_arrives_as_one(vendor: Vendor) -> None:
    with Api(vendor.base) as client:
        client.request("POST", "/token", form={"scope": "a/.default", "secret": "x&y=z"})
    ((_, _, headers, body),) = vendor.asked
    assert headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert body == b"scope=a%2F.default&secret=x%26y%3Dz"


def test_a_vendor_may_have_its_own_words_for_being_busy(vendor: Vendor) -> None:
    vendor.replies = [(400, {}, b"Throttling"), (403, {}, b"Throttling"), (403, {}, b"Denied")]
    with Api(vendor.base, is_busy=lambda answer: answer.body == b"Throttling") as client:
        answer = client.request("GET", "/zones")
    assert (answer.status, answer.is_busy, len(vendor.asked)) == (403, False, 3)
    assert not refused("Vendor", answer, credential="dns").retryable


def test_a_refusal_for_being_busy_does_not_blame_the_credential(vendor: Vendor) -> None:
    vendor.replies = [(403, {"Retry-After": "0"}, b"Throttling")]
    with Api(vendor.base, is_busy=lambda answer: answer.body == b"Throttling") as client:
        error = refused("Vendor", client.request("GET", "/zones"), credential="my-dns")
    assert error.retryable
    assert "credential" not in error.message
    assert "my-dns" not in error.hint


def test_what_stays_busy_is_an_answer(vendor: Vendor) -> None:
    vendor.replies = [(429, {}, b"slow down")]
    with Api(vendor.base) as client:
        answer = client.request("GET", "/zones")
    assert answer.status == 429
    assert len(vendor.asked) == 3
    assert refused("Vendor", answer, credential="dns").retryable


def test_what_never_answers_is_named_without_its_query(vendor: Vendor) -> None:
    vendor.replies = [None]
    with Api(vendor.base) as client, pytest.raises(Unreachable) as raised:
        client.request("GET", "/zones", query={"key": SECRET})
    assert raised.value.retryable
    told = "\n".join(raised.value.explain())
    assert "/v1/zones" in told
    assert SECRET not in told


def test_each_attempt_is_signed_anew(vendor: Vendor) -> None:
    vendor.replies = [(503, {}, b""), (200, {}, b"")]
    count = iter(range(10))
    sign: Callable[[str, str, bytes], Mapping[str, str]] = lambda *_: {"X-Signature": str(next(count))}  # noqa: E731 - in place
    with Api(vendor.base, sign=sign) as client:
        client.request("GET", "/")
    assert [headers["X-Signature"] for _, _, headers, _ in vendor.asked] == ["0", "1"]


@pytest.mark.parametrize("body", [b"<html>", b"{", b"\xff", b"[" * 100_000])
def test_what_is_no_json_is_told(vendor: Vendor, body: bytes) -> None:
    vendor.replies = [(200, {}, body)]
    with Api(vendor.base) as client, pytest.raises(Unreachable, match="no JSON"):
        client.request("GET", "/zones").json()


def test_an_answer_without_bound_is_given_up(vendor: Vendor) -> None:
    vendor.replies = [(200, {}, b"x" * 2_000_000)]
    with Api(vendor.base) as client, pytest.raises(Unreachable, match="larger"):
        client.request("GET", "/zones")


def test_plain_http_to_another_machine_is_not_sent() -> None:
    with Api("http://192.0.2.1") as client, pytest.raises(Unreachable, match="https") as raised:
        client.request("GET", "/")
    assert not raised.value.retryable


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_credential_says_which_one_to_mend(status: int) -> None:
    error = refused("Vendor", Answer("GET api/zones", status, {}, b"bad\x1b[31m token"), credential="my-dns")
    assert "'my-dns'" in error.hint
    assert "\x1b" not in "\n".join(error.explain())


class Row(BaseModel):
    id: int


def test_an_answer_is_read_in_the_shape_that_is_documented() -> None:
    assert Answer("GET api/rows", 200, {}, b'[{"id": 7, "more": true}]').read(list[Row]) == [Row(id=7)]


@pytest.mark.parametrize("body", [b"{}", b"", b'[{"id": "geheim-4711"}]', b"[[]]"])
def test_another_shape_is_told_without_what_was_in_it(body: bytes) -> None:
    with pytest.raises(Unreachable, match="not as documented") as raised:
        Answer("GET api/rows", 200, {}, body).read(list[Row])
    assert SECRET not in "\n".join(raised.value.explain())
    assert raised.value.hint


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"errors": [{"message": "no"}]}', "no"),
        (b'{"errors": []}', ""),
        (b'{"errors": [{"message": 7}]}', ""),
        (b'{"errors": "text"}', ""),
        (b"<html>", ""),
        (b"[" * 100_000, ""),
    ],
)
def test_a_vendors_words_are_found_or_there_are_none(body: bytes, words: str) -> None:
    assert Answer("GET api/rows", 400, {}, body).words("errors", 0, "message") == words


def test_an_answer_that_says_no_is_the_callers_error(vendor: Vendor) -> None:
    vendor.replies = [(404, {}, b"gone"), (409, {}, b"taken")]
    with Api(vendor.base, refusal=lambda answer: refused("Vendor", answer, credential="my-dns")) as client:
        assert client.ask("DELETE", "/records/1", fine=(404,)).status == 404
        with pytest.raises(SolverError, match="answered 409") as raised:
            client.ask("POST", "/records", data={}, fine=(404,))
    assert raised.value.causes == ("taken",)


def test_without_an_error_of_the_callers_it_is_told_what_came(vendor: Vendor) -> None:
    vendor.replies = [(409, {}, b"")]
    with Api(vendor.base) as client, pytest.raises(Unreachable, match="answered 409"):
        client.ask("GET", "/zones")


@pytest.mark.parametrize(
    ("pause", "seconds"), [("120", 120), ("Wed, 21 Oct 2026 07:28:00 GMT", None), ("9" * 5000, None), ("-1", None)]
)
def test_a_busy_service_says_when_it_may_be_asked_again(pause: str, seconds: int | None) -> None:
    error = refused(
        "Vendor", Answer("GET api/zones", 429, {"retry-after": pause}, b"", is_busy=True), credential="my-dns"
    )
    assert error.retryable
    assert (error.retry_after.total_seconds() if error.retry_after else None) == seconds
    assert "minutes" in error.hint


def test_what_is_no_identity_by_its_status_can_be_one_by_its_words() -> None:
    answer = Answer("GET api/zones", 400, {}, b"")
    assert "'my-dns'" in refused("Vendor", answer, credential="my-dns", is_identity=True).hint
    assert "'my-dns'" not in refused("Vendor", answer, credential="my-dns").hint


def test_zones_are_listed_until_there_are_too_many() -> None:
    assert zones_seen("Vendor", ["contoso.com"], "my-dns").endswith("the zone contoso.com.")
    told = str(unknown_zone("Vendor", "fabrikam.com", [f"zone{number:02}.test" for number in range(12)], "my-dns"))
    assert "zone09.test and 2 more" in told
    assert "zone10.test" not in told


def test_an_account_without_zones_proves_nothing() -> None:
    with pytest.raises(SolverError, match="no zone") as raised:
        zones_seen("Vendor", [], "my-dns")
    assert "'my-dns'" in raised.value.hint
    assert "none" in str(unknown_zone("Vendor", "fabrikam.com", [], "my-dns"))
