"""The http-01 solvers beside, behind and inside a real web server."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
import trustme

from certwright.domain.errors import SolverError
from certwright.sdk.solver import Challenge
from certwright.solvers import http_listener, webroot
from certwright.solvers.http_listener import HttpListener
from certwright.solvers.webroot import Webroot
from peers.answers import MemoryAnswers, http01, solver_context
from peers.daemons import TlsFiles, write_tls
from peers.nginx import nginx, plain_site, tls_site
from peers.ports import free_port
from world.processes import Ended
from world.site import Site, authority, describe, register

pytestmark = pytest.mark.e2e
HOST = "127.0.0.1"
CHALLENGES = [http01("mail.contoso.test", "token-1"), http01("autodiscover.contoso.test", "token-2")]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "www"
    folder.mkdir()
    (folder / "index.html").write_text("<html>Welcome")
    return folder


@pytest.fixture
def tls(tmp_path: Path) -> TlsFiles:
    """What no client trusts; authorities do not care."""
    return write_tls(tmp_path, trustme.CA().issue_cert("elsewhere.contoso.test"))


@contextmanager
def presented(solver: Webroot | HttpListener, challenges: Sequence[Challenge] = CHALLENGES) -> Iterator[None]:
    try:
        solver.present(challenges)
        yield
    finally:
        solver.close()
        solver.clean_up(challenges)


def in_webroot(root: Path, port: int) -> Webroot:
    return Webroot(webroot.Params(path=root, check_via=f"{HOST}:{port}"), solver_context())


def complaints(solver: Webroot | HttpListener) -> list[str]:
    with presented(solver), pytest.raises(SolverError, match="2 of 2 names") as caught:
        solver.check(CHALLENGES)
    return [str(cause) for cause in caught.value.causes]


def test_files_without_an_extension_are_found_by_a_plain_site(root: Path, tmp_path: Path) -> None:
    port = free_port()
    with nginx(tmp_path / "nginx", [plain_site(port, f"root {root};")], [port]):
        solver = in_webroot(root, port)
        with presented(solver):
            solver.check(CHALLENGES)
        assert [path.name for path in root.iterdir()] == ["index.html"]


def test_a_redirect_to_https_is_followed_whatever_certificate_is_there(
    root: Path, tls: TlsFiles, tmp_path: Path
) -> None:
    port, secure = free_port(), free_port()
    sites = [
        plain_site(port, f"return 301 https://localhost:{secure}$request_uri;"),
        tls_site(secure, tls, f"root {root};"),
    ]
    with nginx(tmp_path / "nginx", sites, [port, secure]):
        solver = in_webroot(root, port)
        with presented(solver):
            solver.check(CHALLENGES)


def test_a_wrong_folder_is_not_found_by_nginx(root: Path, tmp_path: Path) -> None:
    port = free_port()
    (tmp_path / "wrong").mkdir()
    with nginx(tmp_path / "nginx", [plain_site(port, f"root {root};")], [port]):
        first, second = complaints(in_webroot(tmp_path / "wrong", port))
    assert first.startswith("http://mail.contoso.test/.well-known/acme-challenge/token-1: nginx/1.")
    assert f" at {HOST}:{port} answers 404 Not Found." in first
    assert "autodiscover.contoso.test" in second


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("location ~ /\\. { deny all; }", "answers 403 Forbidden."),
        ("location / { try_files /index.html =404; }", "answers '<html>Welcome' instead"),
        ("location / { return 302 /login; } location = /login { return 200 'Please sign in'; }", "'Please sign in'"),
        ("location / { return 301 $uri; }", "it redirects in a circle"),
        ("location / { return 301 ${uri}x; }", "it redirects more than 10 times"),
        ("location / { return 301 ftp://mail.contoso.test/; }", "which no authority can follow"),
        ("location / { return 301 https://nothing.invalid/; }", "nothing.invalid has no address"),
    ],
)
def test_what_else_nginx_may_say(body: str, said: str, root: Path, tmp_path: Path) -> None:
    port = free_port()
    with nginx(tmp_path / "nginx", [plain_site(port, f"root {root}; absolute_redirect off; {body}")], [port]):
        for complaint in complaints(in_webroot(root, port)):
            assert said in complaint


def test_a_redirect_to_where_no_tls_is_spoken_is_told(root: Path, tmp_path: Path) -> None:
    port, plain = free_port(), free_port()
    sites = [plain_site(port, f"return 301 https://localhost:{plain}/;"), plain_site(plain, "return 200;")]
    with nginx(tmp_path / "nginx", sites, [port, plain]):
        first, _ = complaints(in_webroot(root, port))
    assert f"redirected to https://localhost:{plain}/: " in first
    assert "is not TLS" in first


def test_a_redirect_to_a_closed_port_is_told(root: Path, tmp_path: Path) -> None:
    port, closed = free_port(), free_port()
    with nginx(tmp_path / "nginx", [plain_site(port, f"return 301 https://localhost:{closed}/;")], [port]):
        first, _ = complaints(in_webroot(root, port))
    assert f":{closed} refuses the connection." in first


def test_nginx_may_lead_the_challenges_to_the_listener(tmp_path: Path) -> None:
    front, port = free_port(), free_port()
    forward = f"location /.well-known/acme-challenge/ {{ proxy_pass http://{HOST}:{port}; }}"
    answers = MemoryAnswers()
    params = http_listener.Params(address=(HOST,), port=port, check_via=f"{HOST}:{front}")
    with nginx(tmp_path / "nginx", [plain_site(front, forward)], [front]):
        solver = HttpListener(params, solver_context(answers))
        with presented(solver):
            solver.check(CHALLENGES)
        with pytest.raises(SolverError) as caught:
            solver.check(CHALLENGES)
    assert "answers 502 Bad Gateway" in str(caught.value.causes[0])
    assert answers.held == {}


def test_the_listener_says_that_nginx_holds_the_port(tmp_path: Path) -> None:
    port = free_port()
    with nginx(tmp_path / "nginx", [plain_site(port, "return 404;")], [port]):
        solver = HttpListener(http_listener.Params(address=(HOST,), port=port), solver_context())
        with pytest.raises(SolverError, match=r"held by another program: nginx/1\.") as caught, presented(solver):
            pytest.fail("the port was taken")
    assert "webroot" in caught.value.hint


def test_processes_that_request_at_once_over_one_port_do_not_disturb_each_other(tmp_path: Path) -> None:
    """Each begins while others listen, and ends while others are being validated."""
    with authority() as ca:
        site = Site(tmp_path).initialise()
        register(site, ca)
        with site.engine() as engine:
            names = [[f"{host}.{place}.contoso.test" for host in "abcdef"] for place in ("one", "two", "three")]
            ids = [describe(engine, ca, *each).id for each in names]

        def request_again_and_again(managed_id: str) -> list[Ended]:
            return [site.cli("certificate", "request", "--force", managed_id) for _ in range(3)]

        with ThreadPoolExecutor(len(ids)) as threads:
            ended = [one for each in threads.map(request_again_and_again, ids) for one in each]
    assert not [(one.code, one.told[-1500:]) for one in ended if one.code]
