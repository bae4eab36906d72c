"""Each known cause of a failed http-01 validation, made to happen by a real server."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import trustme

from certwright.domain.errors import SolverError
from certwright.probe.http01 import see
from certwright.probe.http_causes import causes
from certwright.probe.http_sight import Cause
from certwright.probe.observation import Endpoint
from certwright.probe.wire import Deadline, Resolve, resolve
from certwright.sdk.journal import SilentJournal
from certwright.sdk.solver import Challenge
from certwright.solvers.http_listener import HttpListener
from certwright.solvers.http_listener import Params as ListenParams
from certwright.solvers.tls_alpn import Params as AlpnParams
from certwright.solvers.tls_alpn import TlsAlpn
from peers.answers import MemoryAnswers, http01, solver_context, tls_alpn01
from peers.apache import apache
from peers.daemons import write_tls
from peers.haproxy import haproxy
from peers.loopback import block
from peers.nginx import nginx, plain_site, tls_site
from peers.nonsense import Behaviour, closes, drips, nonsense, says, silent
from peers.pebble import pebble
from peers.ports import free_port

pytestmark = pytest.mark.e2e
HOST = "127.0.0.1"
CHALLENGE = http01("mail.contoso.test")
ANSWER = CHALLENGE.key_authorization
RIGHT = f"location /.well-known/acme-challenge/ {{ return 200 '{ANSWER}'; }}"
OTHER_ACCOUNT = f"{CHALLENGE.token}.{'x' * 43}"
FORM = "<html><form>Sign in <input type=password></form>"


class Notes(SilentJournal):
    """What a journal is told."""

    def __init__(self) -> None:
        self.held: list[str] = []

    def note(self, message: str) -> None:
        self.held.append(message)


def resolving(*addresses: Endpoint) -> Resolve:
    """The challenge's name has these addresses, whatever their port; others have those that the system knows."""

    def look_up(endpoint: Endpoint, deadline: Deadline) -> list[Endpoint]:
        return list(addresses) if endpoint.host == CHALLENGE.identifier.value else resolve(endpoint, deadline)

    return look_up


def seen(*ports: int, host: str = HOST, timeout: float = 5, mapped: bool = False, tries: int = 1) -> list[Cause]:
    """The causes if the name leads to these ports, of `host`; `mapped`: if we look there instead."""
    places = [Endpoint(host, port) for port in ports]
    via = places[0] if mapped else None
    return causes(see(CHALLENGE, via, timeout, resolver=resolving(*places), tries=tries))


def the_cause(*ports: int, host: str = HOST, timeout: float = 5, mapped: bool = False) -> Cause:
    (cause,) = seen(*ports, host=host, timeout=timeout, mapped=mapped)
    assert cause.evidence.startswith("http://mail.contoso.test/.well-known/acme-challenge/")
    assert cause.remedy.endswith(".")
    assert ANSWER not in cause.sentence
    assert cause.sentence.isprintable()
    return cause


def answering(*pages: tuple[str, str]) -> Behaviour:
    """A web server that gives each path its response; the last page is for all others."""

    def behave(connection: socket.socket, over: threading.Event) -> None:
        asked = connection.recv(8192).split(b" ")[1].decode()
        response = next((page for path, page in pages if asked.startswith(path)), pages[-1][1])
        connection.sendall(response.encode())

    return behave


def page(status: str, body: str = "", *headers: str) -> str:
    return "\r\n".join([f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", body])


def iis(status: str, body: str = "", *headers: str) -> str:
    return page(status, body, "Server: Microsoft-IIS/10.0", *headers)


def detailed(status: str) -> str:
    """As IIS shows it to who asks from the server itself."""
    return f"<!DOCTYPE html><html><head><title>IIS 10.0 Detailed Error - {status}</title></head></html>"


@pytest.mark.parametrize(
    ("body", "cause"),
    [
        ("location / { return 301 $uri; }", "http-redirect-loop"),
        ("location / { return 301 ${uri}x; }", "http-too-many-redirects"),
        ("location / { return 301 https://mail.contoso.test:8443/; }", "http-redirect-port"),
        ("location / { return 301 https://127.0.0.1$request_uri; }", "http-redirect-address"),
        ("location / { return 301 ftp://mail.contoso.test/; }", "http-redirect-unusable"),
        ("location / { return 301 https://nothing.invalid/; }", "http-redirect-dead"),
        ("location / { return 302 /login; } location = /login { return 404; }", "http-login-page"),
        (f"location / {{ default_type text/html; return 200 '{FORM}'; }}", "http-login-page"),
        ("location ~ /\\. { deny all; }", "http-forbidden"),
        ("location / { auth_basic realm; auth_basic_user_file /dev/null; }", "http-unauthorized"),
        ("location / { return 404; }", "http-not-found"),
        ("location / { return 410; }", "http-not-found"),
        ("location / { return 418; }", "http-unexpected-status"),
        ("location / { return 500; }", "http-server-error"),
        (f"location / {{ proxy_pass http://{HOST}:1; }}", "http-gateway"),
        (f"location / {{ return 200 '{OTHER_ACCOUNT}'; }}", "http-other-client"),
        (f"location / {{ return 200 '{ANSWER[:-5]}'; }}", "http-truncated"),
        ("location / { return 200 '<html>Welcome'; }", "http-html-page"),
        ("location / { return 204; }", "http-unexpected-status"),
        ("location / { return 200 ''; }", "http-empty"),
        ("location / { return 200 'Hello'; }", "http-wrong-content"),
    ],
)
def test_what_nginx_may_do(body: str, cause: str, tmp_path: Path) -> None:
    port = free_port()
    with nginx(tmp_path, [plain_site(port, f"absolute_redirect off; {body}")], [port]):
        assert the_cause(port).id == cause


@pytest.mark.parametrize(
    ("body", "cause"),
    [
        ("", "http-not-found"),
        ("<LocationMatch '/\\.'>\nRequire all denied\n</LocationMatch>", "http-forbidden"),
        ("RedirectMatch 301 ^/(.*)$ /$1", "http-redirect-loop"),
        ("FallbackResource /index.html", "http-html-page"),
        (f"ProxyPass / http://{HOST}:1/", "http-gateway"),
        ("RewriteEngine on\nRewriteRule ^ https://localhost:8443/x [R=302,L]", "http-redirect-port"),
        ("ErrorDocument 404 /index.html", "http-not-found"),
    ],
)
def test_what_apache_may_do(body: str, cause: str) -> None:
    port = free_port()
    with apache(port, body) as root:
        (root / "index.html").write_text("<html>Welcome")
        assert the_cause(port).id == cause


def test_a_redirect_to_another_host_that_has_no_answer(tmp_path: Path) -> None:
    port, other = free_port(), free_port()
    sites = [plain_site(port, f"return 301 http://localhost:{other}$request_uri;"), plain_site(other, "return 404;")]
    with nginx(tmp_path, sites, [port, other]):
        cause = the_cause(port, mapped=True)
    assert cause.id == "http-other-host"
    assert "leads to localhost" in cause.explanation


def test_a_redirect_to_https_where_no_tls_is_spoken(tmp_path: Path) -> None:
    port, plain = free_port(), free_port()
    sites = [plain_site(port, f"return 301 https://localhost:{plain}/;"), plain_site(plain, "return 200;")]
    with nginx(tmp_path, sites, [port, plain]):
        assert the_cause(port, mapped=True).id == "http-redirect-https-broken"


@pytest.mark.parametrize(("body", "found"), [(RIGHT, []), ("return 404;", ["http-other-host"])])
def test_an_expired_certificate_behind_a_redirect_is_no_cause_and_said_to_be_none(
    body: str, found: list[str], tmp_path: Path
) -> None:
    port, secure = free_port(), free_port()
    expired = datetime.now(UTC) - timedelta(days=3)
    tls = write_tls(tmp_path, trustme.CA().issue_cert("mail.contoso.test", not_after=expired))
    sites = [plain_site(port, f"return 301 https://localhost:{secure}$request_uri;"), tls_site(secure, tls, body)]
    with nginx(tmp_path / "nginx", sites, [port, secure]):
        causes_ = seen(port, mapped=True)
    assert [cause.id for cause in causes_] == found
    for cause in causes_:
        assert f"expired on {expired:%Y-%m-%d}, which authorities do not mind." in cause.sentence


@contextmanager
def nginx_tls(tmp_path: Path) -> Iterator[int]:
    port = free_port()
    with nginx(tmp_path / "nginx", [tls_site(port, write_tls(tmp_path, trustme.CA().issue_cert("x.test")))], [port]):
        yield port


@contextmanager
def apache_tls(tmp_path: Path) -> Iterator[int]:
    port = free_port()
    tls = write_tls(tmp_path, trustme.CA().issue_cert("x.test"))
    body = f"SSLEngine on\nSSLCertificateFile {tls.chain}\nSSLCertificateKeyFile {tls.key}"
    with apache(port, body):
        yield port


@contextmanager
def bare_tls(_: Path) -> Iterator[int]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("x.test").configure_cert(context)

    def behave(connection: socket.socket, _over: threading.Event) -> None:
        with context.wrap_socket(connection, server_side=True):
            pass

    with nonsense(behave) as port:
        yield port


@contextmanager
def go_tls(tmp_path: Path) -> Iterator[int]:
    """Pebble's own port."""
    with pebble(tmp_path) as ca:
        yield urlsplit(ca.directory_url).port or 0


@pytest.mark.parametrize("server", [nginx_tls, apache_tls, bare_tls, go_tls])
def test_tls_on_the_http_port(server: Callable[[Path], object], tmp_path: Path) -> None:
    with server(tmp_path) as port:  # type: ignore[attr-defined]
        assert the_cause(port).id == "http-tls-on-port"


@pytest.mark.parametrize(
    ("behave", "cause", "timeout"),
    [
        (says(b"SSH-2.0-OpenSSH\r\n"), "http-no-http", 5),
        (closes, "http-closed", 5),
        (silent, "http-slow", 0.5),
        (drips(b"HTTP/1.1 200 OK\r\n", 0.05), "http-slow", 0.5),
    ],
)
def test_who_is_no_web_server_or_a_slow_one(behave: Behaviour, cause: str, timeout: float) -> None:
    with nonsense(behave) as port:
        assert the_cause(port, timeout=timeout).id == cause


def test_a_redirect_to_a_slow_server_is_slow_too(tmp_path: Path) -> None:
    port = free_port()
    with nonsense(silent) as slow, nginx(tmp_path, [plain_site(port, f"return 301 http://localhost:{slow}/;")], [port]):
        assert the_cause(port, timeout=2, mapped=True).id == "http-slow"


@pytest.mark.parametrize(
    ("response", "cause", "evidence"),
    [
        (iis("403 Forbidden", detailed("403.4 - Forbidden")), "http-iis-require-ssl", "IIS says 403.4"),
        (iis("403 Forbidden", "<h2>403 - Forbidden: Access is denied.</h2>"), "http-iis-require-ssl", "nearly always"),
        (iis("403 Forbidden", detailed("403.14 - Forbidden")), "http-forbidden", "denies the folder"),
        (iis("404 Not Found", detailed("404.3 - Not Found")), "http-iis-extensionless", "IIS says 404.3"),
        (iis("404 Not Found", "<h2>404 - File or directory not found.</h2>"), "http-iis-extensionless", "it is 404.3"),
        (iis("404 Not Found", detailed("404.0 - Not Found")), "http-not-found", "another folder"),
        (iis("500 Internal Server Error", detailed("500.19")), "http-server-error", "itself fails"),
        (page("404 Not Found", "", "Server: Microsoft-HTTPAPI/2.0"), "http-iis-no-site", "no web site"),
        (page("503 Service Unavailable", "", "Server: Microsoft-HTTPAPI/2.0"), "http-gateway", "nobody behind it"),
    ],
)
def test_what_iis_may_say(response: str, cause: str, evidence: str) -> None:
    with nonsense(answering(("/", response))) as port:
        found = the_cause(port)
    assert found.id == cause
    assert evidence in found.explanation


def test_an_inherited_redirect_of_iis() -> None:
    """As `httpRedirect` does it: what was asked for is put behind its destination."""
    redirect = iis("302 Redirect", "", "Location: /owa/.well-known")
    with nonsense(answering(("/owa", page("404 Not Found")), ("/", redirect))) as port:
        found = the_cause(port)
    assert found.id == "http-iis-redirect"
    assert "httpRedirect -enabled:false" in found.remedy


def test_nobody_listens() -> None:
    cause = the_cause(free_port())
    assert (cause.id, cause.failure) == ("http-refused", "refused")


def test_packets_vanish() -> None:
    """A full queue drops them, as a firewall does."""
    with ExitStack() as stack:
        server = stack.enter_context(socket.create_server((HOST, 0), backlog=0))
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(server.getsockname())
        assert the_cause(server.getsockname()[1], timeout=0.5).id == "http-firewall"


def test_no_route() -> None:
    """A link-local address without its link leads nowhere."""
    assert the_cause(80, host="fe80::1").id == "http-unreachable"


def test_a_name_that_does_not_exist() -> None:
    (cause,) = causes(see(http01("nothing.invalid"), None, 5))
    assert cause.id == "http-name-unresolved"
    assert "nothing.invalid has no address" in cause.evidence


@pytest.mark.parametrize("dead", [Endpoint("::1", 1), Endpoint("fe80::1", 80)])
def test_a_dead_ipv6_address_beside_a_living_ipv4_one(dead: Endpoint, tmp_path: Path) -> None:
    port = free_port()
    with nginx(tmp_path, [plain_site(port, RIGHT)], [port]):
        (cause,) = causes(see(CHALLENGE, None, 5, resolver=resolving(dead, Endpoint(HOST, port))))
    assert cause.id == "http-ipv6-dead"
    assert f"{HOST}:{port} answers rightly" in cause.sentence
    assert dead.host in cause.remedy


@pytest.mark.parametrize("challenge", [http01("mail.contoso.test"), tls_alpn01("mail.contoso.test")])
def test_an_ipv6_address_without_a_route_from_here_is_no_reason_not_to_ask(challenge: Challenge) -> None:
    answers, notes, port = MemoryAnswers(), Notes(), free_port()
    context = solver_context(answers, notes)
    listener: HttpListener | TlsAlpn = (
        HttpListener(ListenParams(address=(HOST,), port=port), context)
        if challenge.type == "http-01"
        else TlsAlpn(AlpnParams(address=(HOST,), port=port), context)
    )
    with block() as addresses, closing(listener):
        away = Endpoint(addresses.unreachable_v6(), port)
        look = partial(listener.look, resolver=resolving(away, Endpoint(HOST, port)))
        listener.present([challenge])
        listener.params.check([challenge], notes, look)
        (told,) = [note for note in notes.held if "IPv6" in note]
        assert f"{away} could not be looked at: this machine has no route to it" in told
        assert "AAAA" not in told
        alone = partial(listener.look, resolver=resolving(away))
        with pytest.raises(SolverError):
            listener.params.check([challenge], notes, alone)


def test_one_of_two_addresses_is_another_server(tmp_path: Path) -> None:
    port, other = free_port(), free_port()
    with nginx(tmp_path, [plain_site(port, RIGHT), plain_site(other, "return 404;")], [port, other]):
        cause = the_cause(port, other)
    assert cause.id == "http-address-differs"
    assert "webroot --path FOLDER --timeout 60" in cause.remedy


def test_another_machine_answers(tmp_path: Path) -> None:
    """All of loopback is ours, so that it is not is put in afterwards."""
    port = free_port()
    with nginx(tmp_path, [plain_site(port, "return 404;")], [port]):
        sight = see(CHALLENGE, None, 5, resolver=resolving(Endpoint(HOST, port)))
    (sighting,) = sight.sightings
    assert sighting.is_own
    (cause,) = causes(replace(sight, sightings=(replace(sighting, is_own=False),)))
    assert cause.id == "http-other-machine"
    assert f"{HOST} is no address of this machine" in cause.explanation


def test_a_balancer_with_one_bad_server(tmp_path: Path) -> None:
    front, good, bad = free_port(), free_port(), free_port()
    balancer = (
        f"listen front\n  mode http\n  bind {HOST}:{front}\n  balance roundrobin\n"
        f"  server bad {HOST}:{bad}\n  server good {HOST}:{good}\n"
    )
    sites = [plain_site(good, RIGHT), plain_site(bad, "return 404;")]
    with nginx(tmp_path / "nginx", sites, [good, bad]), haproxy(tmp_path / "haproxy", balancer, [front]):
        (cause,) = seen(front, tries=2)
    assert cause.id == "http-bad-node"
    assert "found the answer" in cause.explanation
    assert "webroot --path FOLDER --timeout 60" in cause.remedy
