"""The daily run: what is due is requested, what is not in use yet is deployed, and nothing is forgotten."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from certwright import __version__
from certwright.acme import https_transport
from certwright.acme_server.messages import Endpoint
from certwright.acme_server.problem import ErrorType
from certwright.domain.certificates import load_certificates
from certwright.domain.errors import ConfigurationError
from certwright.domain.keys import KeyType, generate
from certwright.domain.managed import CertificateVersion
from certwright.domain.runs import Stage
from certwright.engine.context import Engine
from certwright.engine.renew import renew, renew_all
from certwright.engine.request import request
from certwright.engine.revoke import revoke
from certwright.exchange_simulator import Fail, Gone
from certwright.wiring import utc_now
from world.house import House, house
from world.hurry import hurried
from world.site import Site, authority, describe, register

pytestmark = pytest.mark.e2e
ENABLE = "Enable-ExchangeCertificate"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with house(tmp_path_factory.mktemp("house")) as made:
        yield made


@pytest.fixture
def one(shared: House) -> Iterator[House]:
    yield shared
    shared.exchange.server.faults.heal()
    shared.ca.server.faults.clear()
    shared.deployed()


def test_what_was_only_requested_is_deployed_by_the_daily_run_and_then_nothing_is_due(one: House) -> None:
    version = one.next_version()
    with one.site.engine() as engine, hurried():
        done = renew_all(engine)
        again = renew_all(engine)
    assert [result.stage for item in done for result in item.tasks] == [Stage.DEPLOYED]
    assert set(one.exchange.served.values()) == {version.sha256}
    assert again == []


def test_a_deployment_that_failed_is_tried_again_without_asking_the_authority(one: House) -> None:
    version, issued = one.next_version(), len(one.ca.server.issued)
    one.exchange.server.faults.inject(Fail("The disk is full.", terminating=True), ENABLE, nth=2)
    with one.site.engine() as engine, hurried():
        first = renew_all(engine)
        assert renew_all(engine) == []  # it pauses
        second = [renew(engine, one.managed_id)]
    assert [result.stage for item in first for result in item.tasks] == [Stage.ROLLED_BACK]
    assert [result.stage for item in second for result in item.tasks] == [Stage.DEPLOYED]
    assert set(one.exchange.served.values()) == {version.sha256}
    assert len(one.ca.server.issued) == issued


def test_an_undo_does_not_wait_for_the_authority(one: House) -> None:
    one.next_version()
    one.exchange.server.faults.inject(Gone(), ENABLE, nth=2)
    with one.site.engine() as engine, hurried():
        stuck = renew_all(engine)[0].tasks[0]
        one.exchange.server.faults.heal()
        one.ca.server.faults.problem_next("newOrder", ErrorType.UNAUTHORIZED, count=100)
        gone_on = renew(engine, one.managed_id, force=True)
    assert stuck.stage is Stage.UNDOING
    assert gone_on.error is not None
    assert [result.stage for result in gone_on.tasks] == [Stage.ROLLED_BACK]


def _spki(version: CertificateVersion | None) -> object:
    assert version is not None
    return load_certificates(version.chain_pem.encode())[0].public_key()


def _next(engine: Engine, managed_id: str) -> CertificateVersion:
    made = request(engine, managed_id, force=True).version
    assert made is not None
    return made


def test_a_reused_key_is_not_used_again_once_its_certificate_is_revoked(tmp_path: Path) -> None:
    site = Site(tmp_path).initialise()
    with authority() as ca:
        register(site, ca)
        with site.engine() as engine:
            managed = describe(engine, ca, reuse_key=True)
            first, second = _next(engine, managed.id), _next(engine, managed.id)
            revoke(engine, managed.id, "key-compromise")
            third = _next(engine, managed.id)
    assert _spki(first) == _spki(second)
    assert _spki(third) != _spki(second)


def test_an_own_key_of_a_revoked_certificate_is_refused(tmp_path: Path) -> None:
    site = Site(tmp_path).initialise()
    with authority() as ca:
        register(site, ca)
        with site.engine() as engine:
            managed = describe(engine, ca, own_key=generate(KeyType.ECDSA_P256), key_type=None)
            _next(engine, managed.id)
            revoke(engine, managed.id, "key-compromise")
            with pytest.raises(ConfigurationError, match="same key"):
                request(engine, managed.id)


def test_a_listener_that_fails_stops_nothing(tmp_path: Path) -> None:
    def closed_pipe(_entry: object) -> None:
        raise BrokenPipeError

    site = Site(tmp_path).initialise()
    with authority() as ca:
        register(site, ca)
        with site.engine(closed_pipe) as engine:
            managed = describe(engine, ca)
            assert request(engine, managed.id).version is not None


def test_orders_and_looks_at_the_authoritys_advice_come_over_one_connection(tmp_path: Path) -> None:
    site = Site(tmp_path).initialise()
    with authority() as ca:
        register(site, ca)
        with site.engine() as engine:
            ids = [describe(engine, ca, name).id for name in ("a.contoso.test", "b.contoso.test")]
            assert all(request(engine, managed_id).version for managed_id in ids)
        with site.engine(now=lambda: utc_now() + timedelta(days=2)) as engine:
            assert all(renew(engine, managed_id, patient=True).nothing_to_do for managed_id in ids)
        transport = https_transport.shared(f"certwright/{__version__}", ca.server.ca_file)
        assert ca.server.requests[Endpoint.RENEWAL_INFO] == len(ids)
        assert [len(origin.idle) for origin in transport._origins.values()] == [1]
