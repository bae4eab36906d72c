"""When no certificate comes: the authority's own words, the name they are about, and what to do."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from certwright.acme_server import AcmeServer, AcmeServerConfig, Endpoint
from certwright.acme_server.problem import ErrorType
from certwright.domain.errors import (
    CertwrightError,
    ConfigurationError,
    InvalidIdentifier,
    IssuanceError,
    OrderDead,
    SolverError,
    Unreachable,
)
from certwright.domain.events import EventKind
from certwright.domain.readiness import Readiness
from certwright.domain.runs import Outcome
from certwright.engine.context import Engine
from certwright.engine.issuers import add_issuer
from certwright.engine.request import request
from certwright.engine.test import test as attempt
from certwright.wiring import utc_now
from peers.acme_server import loopback_config
from peers.ports import free_port
from world.site import Authority, Site, authority, describe, register

pytestmark = pytest.mark.e2e
NAME = "mail.contoso.test"


@contextmanager
def _house(
    folder: Path, config: AcmeServerConfig | None = None, hosts: Mapping[str, tuple[str, ...]] | None = None
) -> Iterator[tuple[Engine, Authority]]:
    with authority(config, hosts) as ca:
        site = Site(folder).initialise()
        register(site, ca)
        with site.engine() as engine:
            yield engine, ca


def _failure(engine: Engine, managed_id: str) -> CertwrightError:
    """What a request is told; the run and an event tell the same."""
    with pytest.raises(CertwrightError) as caught:
        request(engine, managed_id)
    with engine.store.read() as unit:
        run, (_, event) = unit.runs.list(managed_id)[0], unit.events.list(limit=1000)[-1]
    assert run.outcome is Outcome.FAILED
    assert event.message == caught.value.message
    assert run.message.splitlines() == list(caught.value.explain())
    assert event.kind is EventKind.ISSUANCE_FAILED
    return caught.value


def _told(error: CertwrightError) -> str:
    return "\n".join(error.explain())


@contextmanager
def _some_web_server(port: int) -> Iterator[None]:
    """A web server that knows nothing of challenges."""
    body = b"<h1>It works!</h1>"

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
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


def _elsewhere(ca: Authority) -> Authority:
    """We listen, and look, at another port than the authority does."""
    return replace(ca, http_port=free_port())


def test_another_web_server_answers_the_authority_and_the_next_order_is_a_new_one(tmp_path: Path) -> None:
    with _house(tmp_path) as (engine, ca):
        managed = describe(engine, _elsewhere(ca), NAME)
        with _some_web_server(ca.http_port):
            error = _failure(engine, managed.id)
        assert isinstance(error, IssuanceError)
        assert f"{NAME}: " in _told(error)
        assert "[unauthorized]" in _told(error) or "[incorrectResponse]" in _told(error)
        assert "let the web server forward /.well-known/acme-challenge/" in error.hint
        with engine.store.write() as unit:
            unit.managed.update(managed.model_copy(update={"validations": (ca.validation,)}))
        assert request(engine, managed.id).version
        assert len(ca.server.state.orders) == 2


def test_nothing_listens_where_the_authority_looks(tmp_path: Path) -> None:
    with _house(tmp_path) as (engine, ca):
        error = _failure(engine, describe(engine, _elsewhere(ca), NAME).id)
        assert isinstance(error, IssuanceError)
        assert f"{NAME}: " in _told(error)
        assert "[connection]" in _told(error)
        assert "Make the name lead to where the answer is served" in error.hint


def test_a_name_that_is_not_in_dns(tmp_path: Path) -> None:
    with _house(tmp_path, hosts={"other.contoso.test": ("127.0.0.1",)}) as (engine, ca):
        error = _failure(engine, describe(engine, ca, NAME).id)
        assert "[dns]" in _told(error)
        assert NAME in _told(error)
        assert f"Correct {NAME}" in error.hint


def test_a_port_that_another_program_holds_fails_before_the_authority_is_asked_and_the_order_is_gone_on_with(
    tmp_path: Path,
) -> None:
    with _house(tmp_path) as (engine, ca):
        managed = describe(engine, ca, NAME)
        with _some_web_server(ca.http_port):
            error = _failure(engine, managed.id)
        assert isinstance(error, SolverError)
        assert str(ca.http_port) in _told(error)
        assert error.hint
        assert request(engine, managed.id).version
        assert len(ca.server.state.orders) == 1


def test_a_rate_limit_says_when_it_may_be_tried_again(tmp_path: Path) -> None:
    with _house(tmp_path) as (engine, ca):
        detail = "too many certificates (5) already issued for this exact set of names"
        ca.server.faults.problem_next(Endpoint.NEW_ORDER, ErrorType.RATE_LIMITED, detail, retry_after=3600)
        error = _failure(engine, describe(engine, ca, NAME).id)
        assert detail in _told(error)
        assert "It may be tried again in 1:00:00." in error.message
        assert error.retry_after == timedelta(hours=1)
        assert error.retryable
        assert "Wait" in error.hint
        assert ca.server.requests[Endpoint.NEW_ORDER] == 1


def test_a_name_that_the_authority_does_not_issue_for(tmp_path: Path) -> None:
    with _house(tmp_path, AcmeServerConfig(forbidden_domains=("contoso.test",))) as (engine, ca):
        error = _failure(engine, describe(engine, ca, NAME).id)
        assert "[rejectedIdentifier]" in _told(error)
        assert NAME in _told(error)
        assert "read its policy" in error.hint


def test_a_name_that_no_public_authority_issues_for_is_refused_before_it_is_asked(tmp_path: Path) -> None:
    with authority() as ca:
        site = Site(tmp_path).initialise()
        with site.engine() as engine:
            add_issuer(engine, "acme", "house-ca", ca.params, internal_names=False, eab=None)
            with pytest.raises(InvalidIdentifier, match="cannot issue a certificate for these names"):
                describe(engine, ca, NAME)
        assert ca.server.requests[Endpoint.NEW_ORDER] == 0


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("certwright.issuers.acme._REACH_SECONDS", 1.0)


def test_an_authority_that_is_away_is_asked_again_later_about_the_same_order(tmp_path: Path, impatient: None) -> None:
    with _house(tmp_path) as (engine, ca):
        managed = describe(engine, ca, NAME)
        closed = ca.params | {"directory": f"https://127.0.0.1:{free_port()}/directory"}
        with engine.store.write() as unit:
            issuer = unit.issuers.get("house-ca")
            unit.issuers.update(issuer.model_copy(update={"params": closed}))
        error = _failure(engine, managed.id)
        assert isinstance(error, Unreachable)
        assert error.retryable
        assert "could not be reached" in error.message
        assert str(closed["directory"]) in _told(error)
        with engine.store.write() as unit:
            begun = unit.orders.get(managed.id)
            unit.issuers.update(issuer)
        assert request(engine, managed.id).version
        assert begun
        assert len(ca.server.state.orders) == 1


def test_an_authority_whose_certificate_is_not_trusted(tmp_path: Path) -> None:
    with authority() as ca, AcmeServer() as other:
        site = Site(tmp_path).initialise()
        with pytest.raises(Unreachable) as caught:
            register(site, ca, ca_file=str(other.ca_file))
        message, hint = caught.value.message, caught.value.hint
        assert re.search(r"its https certificate is signed by .*CN=.*, which is not trusted here", message)
        assert "A proxy on the way seems to open TLS" in hint
        assert "--ca-file" in hint


def test_an_authority_that_wants_an_external_account(tmp_path: Path) -> None:
    keys = {"kid-1": "c2l4dGVlbiBieXRlcyBvZiBhIG1hYyBrZXkgb3Igc28"}
    config = AcmeServerConfig(external_account_keys=keys, external_account_required=True)
    with authority(config) as ca:
        site = Site(tmp_path).initialise()
        with pytest.raises(ConfigurationError) as caught:
            register(site, ca)
        assert "--eab-kid and --eab-key-file" in caught.value.hint
        with site.engine() as engine:
            with pytest.raises(IssuanceError) as refused:
                add_issuer(engine, "acme", "ca", ca.params, internal_names=True, eab=("kid-1", b"bm90IHRoZSBrZXk"))
            assert refused.value.message == "The account could not be registered."
            assert refused.value.causes
            add_issuer(engine, "acme", "ca", ca.params, internal_names=True, eab=("kid-1", keys["kid-1"].encode()))


def test_where_to_get_an_external_account_is_told_also_where_the_directory_forgets_to_ask_for_it(
    tmp_path: Path,
) -> None:
    with authority() as ca:
        site = Site(tmp_path).initialise()
        with pytest.raises(ConfigurationError) as caught:
            register(site, ca, authority="sslcom-ecc")
        assert "SSL.com (ECC)" in caught.value.message
        assert "https://secure.ssl.com" in caught.value.hint
        assert "--eab-kid and --eab-key-file" in caught.value.hint
        assert ca.server.requests[Endpoint.NEW_ACCOUNT] == 0
        with site.engine() as engine, engine.store.read() as unit:
            assert unit.issuers.list() == []


def test_a_profile_that_the_authority_offers_since_yesterday_is_known_when_it_is_wanted(tmp_path: Path) -> None:
    with _house(tmp_path) as (engine, ca):
        with engine.store.write() as unit:
            issuer = unit.issuers.get("house-ca")
            forgetful = issuer.capabilities.model_copy(update={"profiles": {}})
            unit.issuers.update(issuer.model_copy(update={"capabilities": forgetful}))
        assert describe(engine, ca, NAME, profile="tlsserver").profile == "tlsserver"
        with engine.store.read() as unit:
            assert unit.issuers.get("house-ca") == issuer
        with pytest.raises(ConfigurationError, match="has no profile 'gold'"):
            describe(engine, ca, "other.contoso.test", profile="gold")


def test_terms_of_service_are_agreed_to_by_a_person(tmp_path: Path) -> None:
    with authority() as ca:
        with pytest.raises(ConfigurationError) as caught:
            register(Site(tmp_path).initialise(), ca, agree_tos=False)
        assert f"{ca.server.directory_url.removesuffix('directory')}terms" in caught.value.message
        assert "--agree-tos" in caught.value.hint


def test_the_test_finds_every_problem_at_once_and_asks_for_nothing(tmp_path: Path, impatient: None) -> None:
    with _house(tmp_path) as (engine, ca):
        managed = describe(engine, ca, NAME)
        assert attempt(engine, managed.id).is_ready
        with engine.store.write() as unit:
            closed = ca.params | {"directory": f"https://127.0.0.1:{free_port()}/directory"}
            unit.issuers.update(unit.issuers.get("house-ca").model_copy(update={"params": closed}))
        with _some_web_server(ca.http_port):
            report = attempt(engine, managed.id)
        assert [c.check for c in report.checks if c.verdict is Readiness.FAILED] == ["account", "proof"]
        assert ca.server.requests[Endpoint.NEW_ORDER] == 0
        with engine.store.read() as unit:
            assert unit.managed.current(managed.id) is None
            assert unit.orders.get(managed.id) is None


@pytest.mark.parametrize(("ahead", "told"), [(timedelta(days=-100), "it ended at"), (timedelta(days=3), "valid from")])
def test_a_certificate_that_is_not_valid_now_takes_no_good_ones_place(
    ahead: timedelta, told: str, tmp_path: Path
) -> None:
    config, moved = loopback_config(), [timedelta()]
    with AcmeServer(config, clock=lambda: utc_now() + moved[0]) as server:
        site = Site(tmp_path).initialise()
        ca = Authority(server, config.validation.http_port, config.validation.tls_port)
        register(site, ca)
        with site.engine() as engine:
            managed = describe(engine, ca, NAME)
            good = request(engine, managed.id).version
            moved[0] = ahead
            with pytest.raises(OrderDead) as refused:
                request(engine, managed.id, force=True)
            assert told in " ".join(refused.value.explain())
            assert "look at the clock of this machine" in " ".join(refused.value.explain())
            with engine.store.read() as unit:
                assert unit.managed.current(managed.id) == good
