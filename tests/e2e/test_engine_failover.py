"""Several issuers for one certificate: who stands in, when, and back to the first."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest

from certwright.acme_server import AcmeServerConfig, Endpoint
from certwright.acme_server.problem import ErrorType
from certwright.domain.errors import (
    AuthorityAway,
    CertwrightError,
    ConfigurationError,
    LimitReached,
    NotProved,
    Unfinished,
)
from certwright.domain.managed import CertificateVersion, ManagedCertificate
from certwright.domain.readiness import Readiness
from certwright.domain.renewal import Reason
from certwright.engine.change import change
from certwright.engine.context import Engine
from certwright.engine.request import request
from certwright.engine.schedule import decide
from certwright.engine.test import test as attempt
from certwright.wiring import utc_now
from peers.acme_server import challenge_responder
from peers.ports import free_port
from world.site import ISSUER, Authority, Site, authority, describe, register

pytestmark = pytest.mark.e2e
NAME, SECOND = "mail.contoso.test", "second"


@dataclass(frozen=True, slots=True)
class House:
    """An installation with two authorities that validate at the same port."""

    engine: Engine
    first: Authority
    second: Authority

    def describe(self, **wish: object) -> ManagedCertificate:
        return describe(self.engine, self.first, NAME, fallback_issuers=(SECOND,), **wish)

    def away(self, name: str) -> None:
        """Its directory leads to where nobody listens."""
        self._lead(name, f"https://127.0.0.1:{free_port()}/directory")

    def back(self, name: str) -> None:
        """It is there again."""
        self._lead(name, (self.first if name == ISSUER else self.second).server.directory_url)

    def _lead(self, name: str, directory: str) -> None:
        with self.engine.store.write() as unit:
            issuer = unit.issuers.get(name)
            unit.issuers.update(issuer.model_copy(update={"params": {**issuer.params, "directory": directory}}))

    def issued(self, managed: ManagedCertificate) -> CertificateVersion:
        version = request(self.engine, managed.id, force=True).version
        assert version
        return version

    def failure(self, managed: ManagedCertificate) -> CertwrightError:
        with pytest.raises(CertwrightError) as caught:
            request(self.engine, managed.id, force=True)
        return caught.value

    def journal(self, managed: ManagedCertificate) -> str:
        with self.engine.store.read() as unit:
            return "\n".join(entry.title for entry in unit.runs.entries(unit.runs.list(managed.id)[0].id))


@contextmanager
def _house(folder: Path, second: AcmeServerConfig | None = None) -> Iterator[House]:
    with authority() as one, authority(second, http_port=one.http_port) as two:
        site = Site(folder).initialise()
        register(site, one)
        register(site, two, SECOND)
        with site.engine() as engine:
            yield House(engine, one, two)


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    monkeypatch.setattr("certwright.issuers.acme._REACH_SECONDS", 1.0)
    with _house(tmp_path) as made:
        yield made


def test_the_second_stands_in_while_the_first_is_away_and_the_next_renewal_asks_the_first(house: House) -> None:
    managed = house.describe()
    house.away(ISSUER)
    version = house.issued(managed)
    assert version.issuer == SECOND
    assert f"{ISSUER} failed by a fault of its own" in house.journal(managed)
    assert f"{SECOND} is asked instead." in house.journal(managed)
    house.back(ISSUER)
    with house.engine.store.read() as unit:
        assert decide(house.engine, unit, managed).reason is Reason.FRESH
    assert house.issued(managed).issuer == ISSUER
    assert len(house.second.server.state.orders) == 1


@pytest.mark.parametrize("endpoint", [Endpoint.NEW_ORDER, Endpoint.FINALIZE])
def test_the_second_stands_in_for_one_that_is_limited_for_long(house: House, endpoint: Endpoint) -> None:
    managed = house.describe()
    house.first.server.faults.problem_next(endpoint, retry_after=86_400)
    assert house.issued(managed).issuer == SECOND
    asked = house.first.server.requests[Endpoint.NEW_ORDER]
    assert house.issued(managed).issuer == SECOND
    assert house.first.server.requests[Endpoint.NEW_ORDER] == asked == 1


def test_the_second_stands_in_for_one_that_takes_an_order_and_never_finishes_it(tmp_path: Path) -> None:
    ahead = timedelta()
    config = AcmeServerConfig(finalize_delay=10_000_000)
    with authority(config) as one, authority(http_port=one.http_port) as two:
        site = Site(tmp_path).initialise()
        register(site, one)
        register(site, two, SECOND)
        with site.engine(now=lambda: utc_now() + ahead) as engine:
            house = House(engine, one, two)
            managed = house.describe()
            for hours in (0, 1):
                ahead = timedelta(hours=hours)
                assert isinstance(house.failure(managed), Unfinished)
            ahead = timedelta(hours=2)
            assert house.issued(managed).issuer == SECOND
            assert "It has had the order since" in house.journal(managed)
        assert [s.server.requests[Endpoint.NEW_ORDER] for s in (one, two)] == [1, 1]


def test_a_limit_that_is_over_soon_is_waited_for(house: House) -> None:
    managed = house.describe()
    house.first.server.faults.problem_next(Endpoint.NEW_ORDER, retry_after=900)
    assert isinstance(house.failure(managed), LimitReached)
    assert not house.second.server.state.orders


def test_what_the_first_does_not_find_proved_the_second_is_not_asked_for(house: House) -> None:
    elsewhere = replace(house.first, http_port=free_port())
    managed = describe(house.engine, elsewhere, NAME, fallback_issuers=(SECOND,))
    assert isinstance(house.failure(managed), NotProved)
    assert not house.second.server.state.orders


def test_what_is_wrong_here_keeps_the_second_from_being_asked(house: House) -> None:
    managed = house.describe()
    with challenge_responder(house.first.http_port):
        house.failure(managed)
    assert not house.second.server.state.orders
    house.first.server.faults.problem_next(Endpoint.NEW_ORDER, ErrorType.REJECTED_IDENTIFIER, "Not that name.")
    with house.engine.store.write() as unit:
        unit.orders.close(managed.id)
    house.failure(managed)
    assert not house.second.server.state.orders


def test_if_none_can_the_first_is_told_with_the_second_and_asked_first_again(house: House) -> None:
    managed = house.describe()
    house.away(ISSUER)
    house.away(SECOND)
    error = house.failure(managed)
    assert isinstance(error, AuthorityAway)
    assert f"{SECOND}, asked instead: " in "\n".join(error.explain())
    house.back(ISSUER)
    house.back(SECOND)
    assert house.issued(managed).issuer == ISSUER


def test_an_order_at_the_second_is_gone_on_with_there(house: House) -> None:
    managed = house.describe()
    house.away(ISSUER)
    with challenge_responder(house.first.http_port):
        house.failure(managed)
    house.back(ISSUER)
    assert house.issued(managed).issuer == SECOND
    assert not house.first.server.state.orders
    assert len(house.second.server.state.orders) == 1


def test_a_profile_is_asked_of_those_that_offer_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("certwright.issuers.acme._REACH_SECONDS", 1.0)
    default = AcmeServerConfig()
    plain = {"ordinary": default.ca.profiles["classic"]}
    with _house(tmp_path, replace(default, ca=replace(default.ca, profiles=plain))) as house:
        managed = house.describe(profile="tlsserver")
        house.away(ISSUER)
        assert house.issued(managed).issuer == SECOND
        with pytest.raises(ConfigurationError, match="'second' has no profile 'tlsserver'"):
            change(house.engine, managed.id, {"issuers": [SECOND, ISSUER]})


def test_issuers_are_changed_and_a_new_first_one_means_a_new_certificate(house: House) -> None:
    managed = describe(house.engine, house.first, NAME)
    house.issued(managed)
    changed = change(house.engine, managed.id, {"issuers": [ISSUER, SECOND, ISSUER]})
    assert changed.issuers == (ISSUER, SECOND)
    with house.engine.store.read() as unit:
        assert decide(house.engine, unit, changed).reason is Reason.FRESH
    changed = change(house.engine, managed.id, {"issuers": [SECOND]})
    with house.engine.store.read() as unit:
        assert decide(house.engine, unit, changed).reason is Reason.SETTINGS_CHANGED
    with pytest.raises(ConfigurationError, match="no issuer 'third'"):
        change(house.engine, managed.id, {"issuers": [SECOND, "third"]})


def test_an_issuer_that_stands_in_is_not_removed_and_is_looked_at_by_the_test(house: House) -> None:
    managed = house.describe()
    with pytest.raises(ConfigurationError, match=f"is used by '{NAME}'"), house.engine.store.write() as unit:
        unit.issuers.remove(SECOND)
    house.away(SECOND)
    report = attempt(house.engine, managed.id)
    assert report.is_ready
    (warned,) = [c for c in report.checks if c.check == "account" and c.verdict is Readiness.WARNING]
    assert warned.subject == SECOND
