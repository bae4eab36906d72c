"""The lines of the guide in real web servers: they lead the authority to our listeners, and all others elsewhere."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
import trustme

from certwright.probe import iis
from certwright.probe.http import fetch
from certwright.probe.observation import Endpoint, Target
from certwright.probe.tls import probe
from certwright.sdk.solver import Challenge
from certwright.solvers.http_listener import HttpListener
from certwright.solvers.http_listener import Params as HttpParams
from certwright.solvers.tls_alpn import Params as TlsParams
from certwright.solvers.tls_alpn import TlsAlpn
from peers.answers import http01, solver_context, tls_alpn01
from peers.apache import apache
from peers.daemons import write_tls
from peers.haproxy import haproxy
from peers.nginx import nginx, plain_site, tls_site
from peers.ports import free_port

pytestmark = pytest.mark.e2e
HOST = "127.0.0.1"
GUIDE = (Path(__file__).parents[2] / "docs" / "guide" / "http-validation.md").read_text()
NAMES = [f"host{i}.contoso.test" for i in range(5)]


def lines(language: str, port: int) -> str:
    """What the guide says for a server, with our port."""
    (found,) = re.findall(rf"^```{language}\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)
    return re.sub(r"127\.0\.0\.1:8\d+", f"{HOST}:{port}", str(found))


@contextmanager
def by_nginx(folder: Path, front: int, port: int) -> Iterator[None]:
    elsewhere = "location / { return 301 https://mail.contoso.com$request_uri; }"
    with nginx(folder, [plain_site(front, lines("nginx", port) + elsewhere)], [front]):
        yield


@contextmanager
def by_apache(_: Path, front: int, port: int) -> Iterator[None]:
    with apache(front, lines("apache", port)):
        yield


@contextmanager
def by_haproxy(folder: Path, front: int, port: int) -> Iterator[None]:
    frontend = f"frontend web\n  mode http\n  bind {HOST}:{front}\n"
    with haproxy(folder, frontend + lines("haproxy", port), [front]):
        yield


@contextmanager
def presented(solver: HttpListener | TlsAlpn, challenges: Sequence[Challenge]) -> Iterator[None]:
    try:
        solver.present(challenges)
        yield
    finally:
        solver.close()
        solver.clean_up(challenges)


@pytest.mark.parametrize("proxy", [by_nginx, by_apache, by_haproxy])
def test_challenges_are_forwarded_and_all_else_is_redirected(proxy: object, tmp_path: Path) -> None:
    front, port = free_port(), free_port()
    challenges = [http01(name, f"token-of-{name.partition('.')[0]}") for name in NAMES]
    params = HttpParams(address=(HOST,), port=port, check_via=f"{HOST}:{front}")
    listener = HttpListener(params, solver_context())
    with proxy(tmp_path, front, port):  # type: ignore[operator]
        with presented(listener, challenges):
            listener.check(challenges)
        other = fetch("http://mail.contoso.com/owa", Endpoint(HOST, front), 5)
        idle = fetch("http://mail.contoso.com/.well-known/acme-challenge/x", Endpoint(HOST, front), 5)
    assert other.urls[1].startswith("https://")
    assert idle.page is not None
    assert idle.page.status in (502, 503)


def test_a_balancer_leads_the_authority_to_us_and_everybody_else_to_the_web_server(tmp_path: Path) -> None:
    front, port, web = free_port(), free_port(), free_port()
    challenges = [tls_alpn01(name) for name in NAMES]
    tls_alpn = TlsAlpn(TlsParams(address=(HOST,), port=port, check_via=f"{HOST}:{front}"), solver_context())
    tls = write_tls(tmp_path, trustme.CA().issue_cert("www.contoso.test"))
    frontend = f"frontend tls\n  bind {HOST}:{front}\n{lines('haproxy-tls', port)}"
    backend = f"backend web\n  mode tcp\n  server web {HOST}:{web}\n"
    with (
        nginx(tmp_path / "nginx", [tls_site(web, tls)], [web]),
        haproxy(tmp_path / "haproxy", frontend + backend, [front]),
        presented(tls_alpn, challenges),
    ):
        tls_alpn.check(challenges)
        seen = probe(Target(HOST, front, server_name="www.contoso.test"))
    assert seen.covers_name


def test_the_guide_shows_the_web_config_that_is_written() -> None:
    assert f"```xml\n{iis.WEB_CONFIG}```" in GUIDE
