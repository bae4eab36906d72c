"""Web services and sign-in pages as the probe sees them, of nginx in all its moods."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from urllib.parse import parse_qs

import pytest
import trustme

from certwright.probe import (
    NO_SUCH_USER,
    FailureKind,
    Health,
    SignIn,
    Target,
    attempt_sign_in,
    look_at_web,
)
from peers.daemons import TlsFiles, write_tls
from peers.nginx import nginx, plain_site, tls_site
from peers.nonsense import Behaviour, closes, nonsense, silent
from peers.ports import free_port

pytestmark = pytest.mark.e2e
NAME = "mail.contoso.test"
HOST = "127.0.0.1"


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> TlsFiles:
    return write_tls(tmp_path_factory.mktemp("tls"), trustme.CA().issue_cert(NAME))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "nginx"


@contextmanager
def site(folder: Path, tls: TlsFiles, *locations: str, more: str = "") -> Iterator[Target]:
    """A web site; ``locations`` are ``PATH { DIRECTIVES }``."""
    port = free_port()
    body = " ".join(f"location {location}" for location in locations)
    with nginx(folder, [tls_site(port, tls, body, more)], [port]):
        yield Target(HOST, port, server_name=NAME)


def response(status: str, *headers: str) -> str:
    return "\r\n".join([f"HTTP/1.1 {status}", "Content-Length: 0", *headers, "", ""])


def https(tls: TlsFiles, heard: list[str], answers: list[str]) -> Behaviour:
    """Gives the next of ``answers`` to each request, whole, and notes what it ``heard``."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tls.chain, tls.key)

    def serve(connection: socket.socket, _over: threading.Event) -> None:
        with context.wrap_socket(connection, server_side=True) as secured:
            heard.append(secured.recv(16_384).decode())
            secured.sendall(answers[len(heard) - 1].encode())
            secured.recv(1)

    return serve


def test_each_path_is_told_in_order_as_it_answers(folder: Path, tls: TlsFiles) -> None:
    locations = (
        "= /owa/ { return 302 https://mail.contoso.test/owa/auth/logon.aspx?url=secret&reason=0; }",
        "= /ews { add_header X-FEServer EX01 always; return 401; }",
        "= /page { return 200 hello; }",
        "= /away { return 503; }",
        "= /denied { return 403; }",
    )
    paths = ["/ews", "/away", "/owa/", "/page", "/denied", "/nothing"]
    with site(folder, tls, *locations) as target:
        answers = look_at_web(target, paths)
    assert [answer.path for answer in answers] == paths
    assert [answer.status for answer in answers] == [401, 503, 302, 200, 403, 404]
    assert [answer.health for answer in answers] == [
        Health.GOOD,
        Health.FAULT,
        Health.GOOD,
        Health.GOOD,
        Health.UNKNOWN,
        Health.UNKNOWN,
    ]
    ews, away, owa, *_ = answers
    assert ews.front_end == "EX01"
    assert (away.reason, away.front_end) == ("Service Temporarily Unavailable", "")
    assert owa.location == "mail.contoso.test/owa/auth/logon.aspx"
    for answer in answers:
        assert answer.address == target.endpoint
        assert answer.server.startswith("nginx")
        assert answer.skew == timedelta()
        assert answer.failure is None


def test_the_site_is_chosen_by_the_name_that_is_sent(folder: Path, tls: TlsFiles) -> None:
    """The Host header carries the name even if TLS does not: only the handshake differs, as with an SNI binding."""
    port = free_port()
    echo = "location / { add_header X-FEServer $ssl_server_name/$host always; return 401; }"
    with nginx(folder, [tls_site(port, tls, echo)], [port]):
        (with_sni,) = look_at_web(Target(HOST, port, server_name=NAME), ["/"])
        (without,) = look_at_web(Target(HOST, port, expected_name=NAME), ["/"])
    assert with_sni.front_end == f"{NAME}/{NAME}"
    assert without.front_end == f"/{NAME}"


def test_nothing_that_identifies_anyone_is_sent(folder: Path, tls: TlsFiles) -> None:
    echo = (
        "/ { add_header X-FEServer auth=$http_authorization,cookie=$http_cookie,$request_method always; return 401; }"
    )
    with site(folder, tls, echo) as target:
        (answer,) = look_at_web(target, ["/"])
    assert answer.front_end == "auth=,cookie=,GET"


def test_a_clock_that_is_wrong_is_measured(tls: TlsFiles) -> None:
    told = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    answer_late = [response("401 Unauthorized", f"Date: {told}")]
    with nonsense(https(tls, [], answer_late)) as port:
        (answer,) = look_at_web(Target(HOST, port), ["/owa/"])
    assert answer.skew is not None
    assert timedelta(minutes=55) < answer.skew <= timedelta(hours=1)


def test_old_tls_is_good_enough_to_look(folder: Path, tls: TlsFiles) -> None:
    old = "ssl_protocols TLSv1; ssl_ciphers ALL:@SECLEVEL=0;"
    with site(folder, tls, "/ { return 401; }", more=old) as target:
        (answer,) = look_at_web(target, ["/EWS/Exchange.asmx"])
    assert answer.health is Health.GOOD


def test_what_is_no_web_service_is_a_fault(folder: Path, tls: TlsFiles) -> None:
    del tls
    with nonsense(closes) as closing, nonsense(silent) as mute:
        answers = [
            *look_at_web(Target(HOST, closing), ["/owa/"]),
            *look_at_web(Target(HOST, mute), ["/owa/"], timeout=0.3),
            *look_at_web(Target(HOST, free_port()), ["/owa/"]),
        ]
    port = free_port()
    with nginx(folder, [plain_site(port, "return 200;")], [port]):
        answers += look_at_web(Target(HOST, port), ["/owa/"])
    assert {answer.health for answer in answers} == {Health.FAULT}
    assert [answer.failure and answer.failure.kind for answer in answers] == [
        FailureKind.CLOSED,
        FailureKind.TIMEOUT,
        FailureKind.REFUSED,
        FailureKind.HANDSHAKE,
    ]


LOGON = "= /owa/auth/logon.aspx { return 200 page; }"


def sign_in(folder: Path, tls: TlsFiles, *locations: str) -> SignIn:
    with site(folder, tls, *locations) as target:
        return attempt_sign_in(target, timeout=10)


def test_the_page_for_a_wrong_password_is_the_good_end(folder: Path, tls: TlsFiles) -> None:
    found = sign_in(
        folder,
        tls,
        "= /owa/auth.owa { return 302 /owa/auth/logon.aspx?replaceCurrent=1&reason=2&url=https%3a%2f%2fmail; }",
        LOGON,
    )
    assert found.health is Health.GOOD
    assert found.evidence.endswith("/owa/auth/logon.aspx?reason=2.")
    assert found.way == ("/owa/auth.owa", "/owa/auth/logon.aspx?reason=2")
    assert found.address is not None


def test_the_form_is_what_the_page_of_exchange_posts_and_cookies_are_kept(tls: TlsFiles) -> None:
    heard: list[str] = []
    cookies = "cadata=x; path=/; HttpOnly", "PBack=; expires=Thu, 30-Oct-1980 16:00:00 GMT", "\x01=y"
    answers = [
        response("302 Found", "Location: /owa/", *(f"Set-Cookie: {cookie}" for cookie in cookies)),
        response("302 Found", "Location: https://MAIL.contoso.test/owa/auth/Logon.aspx?url=x&reason=2#y"),
        response("200 OK"),
    ]
    with nonsense(https(tls, heard, answers)) as port:
        found = attempt_sign_in(Target(HOST, port, server_name=NAME))
    assert found.health is Health.GOOD, found.evidence
    (post, form), *rest = [request.split("\r\n\r\n") for request in heard]
    assert post.startswith(f"POST /owa/auth.owa HTTP/1.1\r\nHost: {NAME}:{port}\r\n")
    assert "\r\nContent-Type: application/x-www-form-urlencoded\r\n" in post
    assert "\r\nCookie: PBack=0\r\n" in post
    fields = parse_qs(form, keep_blank_values=True)
    assert fields.pop("password") != [""]
    assert {name: values[0] for name, values in fields.items()} == {
        "destination": f"https://{NAME}:{port}/owa/",
        "flags": "4",
        "forcedownlevel": "0",
        "username": NO_SUCH_USER,
        "passwordText": "",
        "isUtf8": "1",
    }
    assert [request[0].splitlines()[0] for request in rest] == [
        "GET /owa/ HTTP/1.1",
        "GET /owa/auth/Logon.aspx?url=x&reason=2 HTTP/1.1",
    ]
    for request in rest:
        assert "\r\nCookie: cadata=x" in request[0]
        assert "PBack" not in request[0]


@pytest.mark.parametrize(
    ("locations", "evidence"),
    [
        (("= /owa/auth.owa { return 503; }",), "503 Service Temporarily Unavailable at /owa/auth.owa"),
        (("= /owa/auth.owa { return 440; }",), "440"),
        (("= /owa/auth.owa { return 302 /owa/; }", "= /owa/ { return 500; }"), "500 Internal Server Error at /owa/"),
        (
            (
                "= /owa/auth.owa { return 302 /owa/; }",
                "= /owa/ { return 302 /owa/auth/logon.aspx?reason=0; }",
                "= /owa/auth/logon.aspx { return 302 /owa/; }",
            ),
            "circles: /owa/auth.owa -> /owa/ -> /owa/auth/logon.aspx?reason=0.",
        ),
        (
            ("= /owa/auth.owa { return 302 /owa/auth/logon.aspx?reason=2; }", "= /owa/auth/logon.aspx { return 502; }"),
            "502 Bad Gateway at /owa/auth/logon.aspx?reason=2",
        ),
        (("/ { return 302 /owa/a$request_uri; }",), "circles"),
    ],
)
def test_circles_and_errors_are_faults(folder: Path, tls: TlsFiles, locations: tuple[str, ...], evidence: str) -> None:
    found = sign_in(folder, tls, *locations)
    assert found.health is Health.FAULT
    assert evidence in found.evidence


@pytest.mark.parametrize(
    ("locations", "evidence"),
    [
        ((), "404 Not Found at /owa/auth.owa"),
        (("= /owa/auth.owa { return 401; }",), "401 Unauthorized"),
        (("= /owa/auth.owa { return 200 hello; }",), "200 OK at /owa/auth.owa"),
        (("= /owa/auth.owa { return 302 /owa/auth/logon.aspx?reason=0; }", LOGON), "does not say"),
        (("= /owa/auth.owa { return 302 https://adfs.contoso.test/adfs/ls/?x=1; }",), "'https://adfs.contoso.test'"),
        (("= /owa/auth.owa { return 302 https://mail.contoso.test:444/owa/; }",), "'https://mail.contoso.test:444'"),
        (("= /owa/auth.owa { return 302 http://mail.contoso.test/owa/; }",), "'http://mail.contoso.test'"),
        (("= /owa/auth.owa { return 302 https://[::1/; }",), "which is no URL"),
        (("= /owa/auth.owa { add_header Location ''; return 302; }",), "without saying where to"),
    ],
)
def test_all_else_is_unknown(folder: Path, tls: TlsFiles, locations: tuple[str, ...], evidence: str) -> None:
    found = sign_in(folder, tls, *locations)
    assert found.health is Health.UNKNOWN
    assert evidence in found.evidence
    assert found.evidence.isprintable()


def test_no_answer_is_a_fault_of_signing_in_too() -> None:
    with nonsense(silent) as port:
        found = attempt_sign_in(Target(HOST, port), timeout=0.3)
    assert found.health is Health.FAULT
    assert "did not finish within 0.3 s" in found.evidence
