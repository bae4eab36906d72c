"""Answers as an authority would find them, on loopback servers that are wrong in one way each."""

import http.client
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certwright.domain.errors import SolverError
from certwright.probe import Endpoint, FailureKind
from certwright.probe.http import _next, _NotFollowed, _read, _Readable, fetch
from certwright.probe.http01 import look, see
from certwright.probe.observation import ProbeError
from certwright.probe.precheck import WrongAnswer, check_answers, wrong_answers
from certwright.probe.wire import Deadline, Resolve
from peers.answers import http01
from peers.nonsense import Behaviour, closes, converses, drips, floods, nonsense, says, silent
from peers.ports import free_port

HOST = "127.0.0.1"
CHALLENGE = http01("mail.contoso.test")
URL = f"http://mail.contoso.test/.well-known/acme-challenge/{CHALLENGE.token}"


def page(status: str = "200 OK", body: str = CHALLENGE.key_authorization, *headers: str) -> Behaviour:
    lines = [f"HTTP/1.1 {status}", "Server: web/1", f"Content-Length: {len(body)}", *headers, "", body]
    return says("\r\n".join(lines).encode())


def found(behave: Behaviour, timeout: float = 5) -> list[WrongAnswer]:
    with nonsense(behave) as port:
        return wrong_answers([CHALLENGE], look, Endpoint(HOST, port), timeout)


def sentence(behave: Behaviour, timeout: float = 5) -> str:
    (wrong,) = found(behave, timeout)
    assert wrong.name == "mail.contoso.test"
    assert wrong.sentence.startswith(URL)
    assert wrong.sentence.endswith(".")
    assert wrong.sentence.isprintable()
    assert CHALLENGE.key_authorization not in wrong.sentence
    return wrong.sentence


@pytest.mark.parametrize("end", ["", "\n", "\r\n", " \t\n"])
def test_the_right_answer_is_right_whatever_space_follows_it(end: str) -> None:
    assert found(page(body=CHALLENGE.key_authorization + end)) == []


def test_the_answer_may_come_in_chunks_or_without_a_length() -> None:
    answer = CHALLENGE.key_authorization.encode()
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(answer), answer)
    assert found(says(chunked)) == []

    def unmeasured(connection: object, over: threading.Event) -> None:
        connection.recv(4096)  # type: ignore[attr-defined]
        connection.sendall(b"HTTP/1.0 200 OK\r\n\r\n" + answer)  # type: ignore[attr-defined]

    assert found(unmeasured) == []


@pytest.mark.parametrize("status", ["404 Not Found", "403 Forbidden", "500 Oops", "401", "204 No Content"])
def test_another_status_is_named_with_the_server(status: str) -> None:
    assert f"web/1 at {HOST}:" in sentence(page(status, ""))
    assert f" answers {status}." in sentence(page(status, ""))


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        ("", "nothing"),
        ("<html>Welcome!\x1b[31m", "'<html>Welcome!.[31m'"),
        (CHALLENGE.token, f"'{CHALLENGE.token}'"),
        ("x" * 100_000, f"'{'x' * 60}...'"),
    ],
)
def test_other_content_is_shown_harmlessly(body: str, shown: str) -> None:
    assert f"answers {shown} instead of the challenge's answer." in sentence(page(body=body))


@pytest.mark.parametrize(
    ("behave", "kind"),
    [
        (closes, FailureKind.CLOSED),
        (silent, FailureKind.TIMEOUT),
        (drips(b"HTTP/1.1 200 OK\r\n", 0.05), FailureKind.TIMEOUT),
        (floods(b"HTTP/1.1 200 OK\r\n"), FailureKind.BAD_GREETING),
        (floods(b"x"), FailureKind.BAD_GREETING),
        (floods(b"HTTP/1.1 100 Continue\r\n\r\n"), FailureKind.TOO_MUCH),
        (says(b"SSH-2.0-OpenSSH\r\n"), FailureKind.BAD_GREETING),
        (converses(b"", b"\x15\x03\x03\x00\x02\x02\x28"), FailureKind.BAD_GREETING),
    ],
)
def test_what_is_no_web_server_is_described(behave: Behaviour, kind: FailureKind) -> None:
    (wrong,) = found(behave, timeout=1)
    assert wrong.kind is kind
    assert wrong.sentence.isprintable()


def test_a_page_that_breaks_off_is_judged_by_what_came() -> None:
    assert "'half' instead" in sentence(converses(b"", b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"))
    assert "nothing instead" in sentence(converses(b"", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"))


def test_a_refused_connection_is_said_to_be_one() -> None:
    (wrong,) = wrong_answers([CHALLENGE], look, Endpoint(HOST, free_port()), 5)
    assert "refuses the connection" in wrong.sentence


def test_a_name_without_an_address_is_told() -> None:
    (wrong,) = wrong_answers([http01("nothing.invalid")], look, None, 5)
    assert wrong.kind is FailureKind.DNS
    assert "nothing.invalid has no address" in wrong.sentence


def resolving(*addresses: Endpoint) -> Resolve:
    def resolve(endpoint: Endpoint, _: Deadline) -> list[Endpoint]:
        assert endpoint == Endpoint("mail.contoso.test", 80)
        return list(addresses)

    return resolve


def test_a_dead_address_is_told_though_another_works() -> None:
    dead = Endpoint("::1", free_port("::1"))
    with nonsense(page()) as port:
        living = Endpoint(HOST, port)
        (wrong,) = look(CHALLENGE, None, 5, resolving(dead, living))
    assert f"{dead} refuses the connection." in wrong.sentence
    assert f"{living} answers rightly, but the authority may ask any address" in wrong.sentence


def test_every_wrong_address_is_told() -> None:
    with nonsense(page("404 Not Found")) as one, nonsense(page(body="other"), "::1") as two:
        places = Endpoint(HOST, one), Endpoint("::1", two)
        wrong = list(look(CHALLENGE, None, 5, resolving(*places)))
    assert [str(place) in answer.sentence for place, answer in zip(places, wrong, strict=True)] == [True, True]


def test_a_name_whose_first_address_is_dead_may_be_the_way_to_a_listener() -> None:
    """`check_via` is ours, not the authority's: one living address of it will do."""
    with nonsense(page()) as port:
        addresses = [Endpoint("::1", free_port("::1")), Endpoint(HOST, port)]
        assert list(look(CHALLENGE, Endpoint("localhost", port), 5, lambda *_: addresses)) == []


def test_where_a_redirect_leads_is_asked_of_the_same_resolver() -> None:
    """Where inside and outside differ, the system does not know the name."""
    with nonsense(page()) as right, nonsense(page("301 Moved", "", "Location: http://www.contoso.test/")) as first:
        at = {"mail.contoso.test": Endpoint(HOST, first), "www.contoso.test": Endpoint(HOST, right)}
        assert list(look(CHALLENGE, None, 5, lambda endpoint, _: [at[endpoint.host]])) == []


def test_who_is_slow_is_waited_for_once() -> None:
    with nonsense(silent) as port:
        (sighting,) = see(CHALLENGE, Endpoint(HOST, port), 0.3, tries=4).sightings
    assert len(sighting.visits) == 1


def test_addresses_that_are_certified_themselves_are_asked_directly() -> None:
    (wrong,) = wrong_answers([http01("::1")], look, Endpoint("::1", free_port("::1")), 5)
    assert wrong.sentence.startswith("http://[::1]/.well-known/")


def test_all_names_are_looked_at_and_the_hint_fits() -> None:
    iis = says(b"HTTP/1.1 404 Not Found\r\nServer: Microsoft-IIS/10.0\r\nContent-Length: 0\r\n\r\n")
    challenges = [http01(f"host{i}.contoso.test") for i in range(20)]
    with nonsense(iis) as port, pytest.raises(SolverError, match="20 of 20 names") as caught:
        check_answers(challenges, look, Endpoint(HOST, port))
    assert len(caught.value.causes) == 20
    assert "web.config" in caught.value.hint
    with nonsense(silent) as port, pytest.raises(SolverError) as caught:
        check_answers([CHALLENGE], look, Endpoint(HOST, port), timeout=0.2)
    assert "why the web server is slow" in caught.value.hint


@pytest.mark.parametrize(
    ("location", "becomes"),
    [
        ("https://mail.contoso.test/x", "https://mail.contoso.test/x"),
        ("//www.contoso.test:443/x#part", "http://www.contoso.test:443/x"),
        ("/other", "http://mail.contoso.test/other"),
        ("other", "http://mail.contoso.test/.well-known/acme-challenge/other"),
        ("/a b\u00fc?c=d&e", "http://mail.contoso.test/a%20b%FC?c=d&e"),
        ("http://user:secret@www.contoso.test/", "http://www.contoso.test/"),
    ],
)
def test_redirects_are_followed_as_browsers_do(location: str, becomes: str) -> None:
    assert _next([URL], location, mapped=False) == becomes


@pytest.mark.parametrize(
    ("location", "reason"),
    [
        (None, "without saying where"),
        ("", "without saying where"),
        ("ftp://mail.contoso.test/", "no authority can follow"),
        ("javascript:alert(1)", "no authority can follow"),
        ("http://[::1/", "no authority can follow"),
        ("http://a b/", "no authority can follow"),
        ("http://mail.contoso.test:99999/", "no authority can follow"),
        ("http://mail.contoso.test:x/", "no authority can follow"),
        ("https://mail.contoso.test:8443/", "ports 80 and 443 only"),
        ("HTTPS://[2001:db8::1]/", "to the address 2001:db8::1"),
        (URL, "in a circle"),
        (URL + "#part", "in a circle"),
    ],
)
def test_redirects_that_lead_nowhere_are_told(location: str | None, reason: str) -> None:
    with pytest.raises(_NotFollowed, match=reason):
        _next([URL], location, mapped=False)


def test_ten_redirects_are_enough() -> None:
    urls = [f"{URL}{number}" for number in range(11)]
    assert _next(urls[:10], "/x", mapped=False)
    with pytest.raises(_NotFollowed, match="more than 10"):
        _next(urls, "/x", mapped=False)


@given(st.text(max_size=60) | st.sampled_from(["http://", "//", "https:"]).flatmap(lambda s: st.text().map(s.__add__)))
def test_any_location_is_followed_or_told(location: str) -> None:
    words = "followed"
    try:
        url = _next([URL], location, mapped=True)
    except _NotFollowed as error:
        words = str(error)
    else:
        assert url.isascii()
        assert " " not in url
    assert words.isprintable()


class _Recorded:
    """A wire that has its bytes already, cut anyhow."""

    address = Endpoint(HOST, 80)

    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = iter(pieces)

    def recv(self) -> bytes:
        return next(self._pieces, b"")


@given(st.lists(st.binary(min_size=1, max_size=30_000), max_size=5), st.lists(st.integers(1, 10_000), min_size=1))
def test_bytes_arrive_whole_however_they_are_cut(pieces: list[bytes], sizes: list[int]) -> None:
    file = _Readable(_Recorded(pieces)).makefile("rb")  # type: ignore[arg-type]
    data = b"".join(file.read(size) for size in sizes) + file.read()
    assert data == b"".join(pieces)


HEADS = st.sampled_from(
    [
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 302 x\r\n",
        b"Location: /\r\n",
        b"Content-Length: ",
        b"Server: x\r\n",
        b"\r\n",
        b"\xff",
    ]
)


@given(st.lists(HEADS | st.binary(min_size=1, max_size=20), max_size=20))
def test_any_response_is_a_page_or_a_failure(pieces: list[bytes]) -> None:
    words = "a page"
    try:
        reply = _read(_Recorded(pieces))  # type: ignore[arg-type]
    except ProbeError as error:
        words = error.failure.message
    else:
        assert len(reply.body) <= 4096
        assert reply.status in range(100, 1000)
        words = reply.reason
    assert words.isprintable()


def test_a_visit_tells_its_way() -> None:
    answers = iter([b"HTTP/1.1 301 x\r\nLocation: /two\r\n\r\n", b"HTTP/1.1 302 x\r\nLocation: /three\r\n\r\n"])

    def behave(connection: object, over: threading.Event) -> None:
        connection.recv(4096)  # type: ignore[attr-defined]
        connection.sendall(next(answers, b"HTTP/1.1 200 OK\r\n\r\n"))  # type: ignore[attr-defined]

    with nonsense(behave) as port:
        visit = fetch("http://mail.contoso.test/one", Endpoint(HOST, port), 5, mapped=True)
    assert [url.rpartition("/")[2] for url in visit.urls] == ["one", "two", "three"]
    assert visit.page is not None
    assert visit.page.status == http.client.OK
