"""What the authority rejects is explained by its words and by what is seen at that moment; then all is taken away."""

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
import trustme

from certwright.domain.errors import CertwrightError, NotProved, SolverError
from certwright.domain.managed import ManagedCertificate
from certwright.domain.validation import Validation
from certwright.engine.request import request
from certwright.engine.validations import put_validation
from peers.daemons import write_tls
from peers.nginx import nginx, tls_site
from peers.ports import free_port
from world.proofs import Proofs

pytestmark = pytest.mark.e2e


def rejected(one: Proofs, managed: ManagedCertificate) -> NotProved:
    """How the request ends; the journal tells the same."""
    with one.site.engine() as engine, pytest.raises(NotProved) as raised:
        request(engine, managed.id)
    assert raised.value.hint in "\n".join(raised.value.explain())
    return raised.value


def causes(error: CertwrightError) -> set[str]:
    """The ids of what was found."""
    return {str(cause).rpartition("[")[2].rstrip("]") for cause in error.causes if str(cause).endswith("]")}


def test_caa_that_forbids_names_the_record_to_add(one: Proofs) -> None:
    managed = one.describe("contoso.com", "*.contoso.com")
    with one.site.engine() as engine, engine.store.write() as unit:
        issuer = unit.issuers.get(managed.issuer)
        inside = issuer.capabilities.model_copy(update={"internal_names": True})  # its DNS is not looked at before
        unit.issuers.update(issuer.model_copy(update={"capabilities": inside}))
    with one.world.holding("contoso.com", "contoso.com", "CAA", '0 issue "other.example"'):
        error = rejected(one, managed)
    assert "dns-caa-forbids" in causes(error)
    assert '0 issue "ca.contoso.com"' in error.hint
    assert {r.problem for r in error.rejections} == {"caa"}
    assert one.standing("_acme-challenge.contoso.com") == []
    assert "Look for the reason" in one.journal(managed)
    one.request(managed)


def by_web(one: Proofs, **params: object) -> ManagedCertificate:
    """A certificate proved by http-01, without a look at the answers first."""
    managed = one.describe("web.contoso.com")
    way = one.ca.validation
    with one.site.engine() as engine:
        return put_validation(
            engine, managed.id, way.model_copy(update={"params": {**way.params, "precheck": False, **params}})
        )


@contextmanager
def web_server(port: int, status: int, body: bytes, **headers: str) -> Iterator[None]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


def elsewhere(one: Proofs) -> ManagedCertificate:
    """We listen at another port than the authority asks; what it meets there is looked at, too."""
    return by_web(one, port=free_port(), check_via=one.ca.http_address)


@pytest.mark.parametrize(
    ("status", "body", "headers", "cause"),
    [
        (404, b"no", {}, "http-not-found"),
        (401, b"", {"WWW-Authenticate": "Basic"}, "http-unauthorized"),
        (500, b"", {}, "http-server-error"),
        (200, b"<html><body>hello</body></html>", {}, "http-html-page"),
        (302, b"", {"Location": "/again"}, "http-redirect-loop"),
    ],
)
def test_what_another_web_server_does_is_told(
    one: Proofs, status: int, body: bytes, headers: dict[str, str], cause: str
) -> None:
    managed = elsewhere(one)
    with web_server(one.ca.http_port, status, body, **headers):
        error = rejected(one, managed)
    assert causes(error) & {cause}, causes(error)
    assert error.hint


def test_what_has_changed_since_a_certificate_was_issued_is_named(one: Proofs) -> None:
    managed = one.describe("web.contoso.com")
    with one.site.engine() as engine:
        way = one.ca.validation
        managed = put_validation(engine, managed.id, way)
        one.request(managed)
        moved = {**way.params, "port": free_port(), "check_via": one.ca.http_address}
        managed = put_validation(engine, managed.id, way.model_copy(update={"params": moved}))
        portal = web_server(one.ca.http_port, 302, b"", Location="http://portal.contoso.com/login")
        with portal, pytest.raises(SolverError) as raised:
            request(engine, managed.id, force=True)
    assert "surroundings-changed" in causes(raised.value)
    told = "\n".join(raised.value.explain())
    assert "web.contoso.com redirects the challenge to portal.contoso.com now" in told
    assert "surroundings-changed" in one.journal(managed)


def test_where_nobody_listens_the_port_is_named(one: Proofs) -> None:
    error = rejected(one, elsewhere(one))
    assert "http-refused" in causes(error)
    assert error.hint


def test_an_ordinary_tls_server_in_the_way_of_tls_alpn_is_told(one: Proofs, tmp_path: Path) -> None:
    tls = write_tls(tmp_path, trustme.CA().issue_cert("web.contoso.com"))
    managed = one.describe("web.contoso.com")
    where = {"port": free_port(), "check_via": f"127.0.0.1:{one.ca.tls_port}", "precheck": False}
    way = Validation(challenge="tls-alpn-01", solver="tls_alpn", params={"address": "127.0.0.1", **where})
    with one.site.engine() as engine:
        managed = put_validation(engine, managed.id, way)
    with nginx(tmp_path / "nginx", [tls_site(one.ca.tls_port, tls)], [one.ca.tls_port]):
        error = rejected(one, managed)
    assert "tls-alpn-no-answer" in causes(error)
    assert "undecrypted" in error.hint
