"""The ledger of an authority's rate limits: no request goes out that the authority would refuse, whoever asks."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from certwright.acme_server import Endpoint
from certwright.acme_server.problem import ErrorType
from certwright.domain import limits
from certwright.domain.authorities import named
from certwright.domain.errors import LimitReached, NotProved, SolverError
from certwright.domain.limits import Scope
from certwright.domain.managed import ManagedCertificate
from certwright.domain.readiness import Readiness
from certwright.domain.renewal import Reason
from certwright.engine import ledger
from certwright.engine.context import Engine
from certwright.engine.request import request
from certwright.engine.schedule import decide
from certwright.engine.test import test as attempt
from certwright.wiring import utc_now
from peers.acme_server import challenge_responder
from peers.ports import free_port
from world.site import ISSUER, Authority, Site, authority, describe, register

pytestmark = pytest.mark.e2e
NAME = "mail.contoso.test"


class Clock:
    """The engine's time, moved by hand."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def now(self) -> datetime:
        return utc_now() + self.ahead


@contextmanager
def house(
    folder: Path, clock: Clock | None = None, known_as: str = "letsencrypt"
) -> Iterator[tuple[Engine, Authority]]:
    """An installation whose authority is ours, and known by the limits of another."""
    with authority() as ca:
        site = Site(folder).initialise()
        register(site, ca, authority=known_as)
        with site.engine(now=(clock or Clock()).now) as engine:
            yield engine, ca


def refusal(engine: Engine, managed: ManagedCertificate) -> LimitReached:
    with pytest.raises(LimitReached) as caught:
        request(engine, managed.id, force=True)
    return caught.value


def left(engine: Engine, scope: Scope) -> list[int | None]:
    return [level.left for level in ledger.levels(engine, ISSUER) if level.key.scope is scope]


def kind_of_next(engine: Engine, managed: ManagedCertificate) -> set[Scope]:
    with engine.store.read() as unit:
        asked = ledger.charges(managed, unit.issuers.get(ISSUER), unit.managed.current(managed.id))
    return {charge.key.scope for charge in asked if charge.limit}


def test_an_order_is_counted_and_its_renewal_is_exempt(tmp_path: Path) -> None:
    with house(tmp_path) as (engine, ca):
        managed = describe(engine, ca, NAME)
        assert kind_of_next(engine, managed) == set(Scope) - {Scope.ACCOUNTS}
        request(engine, managed.id)
        counted = {s: left(engine, s) for s in (Scope.ORDERS, Scope.DOMAIN, Scope.NAMES, Scope.ACCOUNTS)}
        assert counted == {Scope.ORDERS: [299], Scope.DOMAIN: [49], Scope.NAMES: [4], Scope.ACCOUNTS: [9]}
        assert kind_of_next(engine, managed) == {Scope.CONSECUTIVE}
        request(engine, managed.id, force=True)
        assert left(engine, Scope.NAMES) == [4]
        other = managed.model_copy(update={"identifiers": describe(engine, ca, "fabrikam.test").identifiers})
        assert kind_of_next(engine, other) == set(Scope) - {Scope.ACCOUNTS}


def test_a_renewal_that_the_authority_does_not_take_for_one_is_counted(tmp_path: Path) -> None:
    with authority() as ca:
        site = Site(tmp_path / "now").initialise()
        register(site, ca, authority="letsencrypt")
        with site.engine() as engine:
            managed = describe(engine, ca, NAME)
            request(engine, managed.id)
        (tmp_path / "copy").mkdir()
        restored = site.copied(tmp_path / "copy")
        with site.engine() as engine:
            request(engine, managed.id, force=True)
            assert left(engine, Scope.NAMES) == [4]
        with restored.engine() as engine:
            request(engine, managed.id, force=True)
            assert left(engine, Scope.NAMES) == [3]
        assert [bool(issued.replaces) for issued in ca.server.issued] == [False, True, False]


def test_what_the_ledger_forbids_is_never_asked_and_waits_until_there_is_room(tmp_path: Path) -> None:
    clock = Clock()
    with house(tmp_path, clock) as (engine, ca):
        managed = describe(engine, ca, NAME)
        with engine.store.read() as unit:
            issuer = unit.issuers.get(ISSUER)
        asked = ledger.charges(managed, issuer, None)
        for _ in range(5):
            with engine.store.write() as unit:
                ledger._reserve(unit, issuer, asked, engine.now())
        error = refusal(engine, managed)
        assert error.message.startswith("Let's Encrypt is not asked before ")
        assert "it allows 5 certificates for exactly these names within 7 days, and they are used up" in error.message
        assert "certwright issuer limits house-ca" in error.hint
        assert error.retry_after
        assert timedelta(hours=33) < error.retry_after < timedelta(hours=34)
        assert ca.server.requests[Endpoint.NEW_ORDER] == 0
        with engine.store.read() as unit:
            assert decide(engine, unit, managed).reason is Reason.LIMITED
        (told,) = [c for c in attempt(engine, managed.id).checks if c.check == "limits"]
        assert told.verdict is Readiness.WARNING
        assert "exactly these names" in told.evidence
        clock.ahead = error.retry_after
        assert request(engine, managed.id).version
        assert ca.server.requests[Endpoint.NEW_ORDER] == 1


def test_a_refusal_of_the_authority_shuts_what_it_speaks_of_and_nothing_else(tmp_path: Path) -> None:
    clock = Clock()
    with house(tmp_path, clock) as (engine, ca):
        first, second = describe(engine, ca, NAME), describe(engine, ca, "fabrikam.test")
        detail = 'too many certificates (50) already issued for "contoso.test" in the last 168h0m0s'
        ca.server.faults.problem_next(Endpoint.NEW_ORDER, ErrorType.RATE_LIMITED, detail, retry_after=7200)
        assert detail in "\n".join(refusal(engine, first).explain())
        again = refusal(engine, describe(engine, ca, "www.contoso.test"))
        assert "refused with a rate limit, and is left alone until then" in again.message
        assert ca.server.requests[Endpoint.NEW_ORDER] == 1
        assert left(engine, Scope.NAMES) == []
        assert request(engine, second.id).version
        clock.ahead = timedelta(hours=2)
        assert request(engine, first.id).version


def test_an_unknown_authoritys_refusal_is_kept_for_the_same_names(tmp_path: Path) -> None:
    with house(tmp_path, known_as="custom") as (engine, ca):
        managed = describe(engine, ca, NAME)
        ca.server.faults.problem_next(Endpoint.NEW_ORDER, retry_after=600)
        refusal(engine, managed)
        assert ISSUER in refusal(engine, managed).message
        assert ca.server.requests[Endpoint.NEW_ORDER] == 1
        assert request(engine, describe(engine, ca, "fabrikam.test").id).version


@pytest.mark.parametrize(
    ("known_as", "wait"), [("custom", 600), ("custom", None), ("letsencrypt", 600), ("letsencrypt", None)]
)
def test_refusals_that_name_nothing_shut_the_account_from_the_second_on(
    tmp_path: Path, known_as: str, wait: int | None
) -> None:
    clock = Clock()
    with house(tmp_path, clock, known_as) as (engine, ca):
        due = [describe(engine, ca, f"host{n}.domain{n}.test") for n in range(5)]
        ca.server.faults.problem_next(Endpoint.NEW_ORDER, ErrorType.RATE_LIMITED, "Busy.", retry_after=wait, count=2)
        for managed in due:
            refusal(engine, managed)
        assert ca.server.requests[Endpoint.NEW_ORDER] == 2
        clock.ahead = timedelta(seconds=wait or 3600)
        assert [request(engine, managed.id, force=True).version for managed in due].count(None) == 0


def test_failed_validations_are_counted_by_name_and_cost_no_certificate(tmp_path: Path) -> None:
    with house(tmp_path) as (engine, ca):
        managed = describe(engine, replace(ca, http_port=free_port()), NAME)
        with pytest.raises(NotProved):
            request(engine, managed.id)
        assert (left(engine, Scope.FAILURES), left(engine, Scope.CONSECUTIVE)) == ([4], [1151])
        assert left(engine, Scope.NAMES) == left(engine, Scope.DOMAIN) == []
        assert left(engine, Scope.ORDERS) == [299]
        placed = ca.server.requests[Endpoint.NEW_ORDER]
        for _ in range(4):
            with engine.store.write() as unit:
                lost = limits.failures(named("letsencrypt").limits, "letsencrypt", ISSUER, [NAME])
                unit.ledger.save(limits.taken(lost, unit.ledger.get(c.key for c in lost), engine.now()), engine.now())
        assert f"5 failed validations of {NAME} ({ISSUER}) within an hour" in refusal(engine, managed).message
        assert ca.server.requests[Endpoint.NEW_ORDER] == placed


def test_an_order_that_is_resumed_was_counted_when_it_was_placed(tmp_path: Path) -> None:
    with house(tmp_path) as (engine, ca):
        managed = describe(engine, ca, NAME)
        with challenge_responder(ca.http_port), pytest.raises(SolverError):
            request(engine, managed.id)
        assert left(engine, Scope.NAMES) == [4]
        assert request(engine, managed.id).version
        assert left(engine, Scope.NAMES) == [4]
        assert ca.server.requests[Endpoint.NEW_ORDER] == 1
