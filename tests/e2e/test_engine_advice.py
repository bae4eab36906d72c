"""The authority is asked for its advice without a lease: nothing that happens meanwhile is lost or passed over."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from certwright.domain.advice import ASK_AT_LEAST, heed
from certwright.domain.managed import ManagedCertificate
from certwright.domain.renewal_state import RenewalState
from certwright.domain.runs import Outcome, Run, RunKind
from certwright.engine import advice
from certwright.engine.context import Engine
from certwright.engine.hold import hold
from certwright.engine.renew import renew
from certwright.wiring import utc_now
from peers.ports import free_port
from world.site import Site, authority, describe, register

pytestmark = pytest.mark.e2e


@contextmanager
def half_a_day_later(folder: Path) -> Iterator[tuple[Engine, ManagedCertificate]]:
    """A certificate about which the authority is to be asked."""
    site, ahead = Site(folder).initialise(), [timedelta()]

    def now() -> datetime:
        return utc_now() + ahead[0]

    with authority() as ca:
        register(site, ca)
        with site.engine(now=now) as engine:
            managed = describe(engine, ca)
            renew(engine, managed.id, patient=True)
            ahead[0] = ASK_AT_LEAST
            yield engine, managed


def state(engine: Engine, managed: ManagedCertificate) -> RenewalState:
    with engine.store.read() as unit:
        return unit.renewals.get(managed.id)


@contextmanager
def while_it_answers(act: Callable[[], object]) -> Iterator[None]:
    """Do `act` between the authority's answer and what is made of it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(advice, "heed", lambda *given: (act(), heed(*given))[1])
        yield


def test_an_answer_about_what_was_changed_meanwhile_is_dropped(tmp_path: Path) -> None:
    with half_a_day_later(tmp_path) as (engine, managed):
        before = state(engine, managed)
        with while_it_answers(lambda: hold(engine, managed.id, "the shop moves", None)):
            renew(engine, managed.id, patient=True)
        held = state(engine, managed)
        assert held.hold
        assert held.ask_again == before.ask_again
        assert renew(engine, managed.id, patient=True).nothing_to_do
        after = state(engine, managed)
        assert after.hold == held.hold
        assert after.ask_again
        assert after.ask_again > engine.now()


def test_an_authority_that_is_away_is_asked_again_six_hours_later(tmp_path: Path) -> None:
    with half_a_day_later(tmp_path) as (engine, managed):
        with engine.store.write() as unit:
            issuer = unit.issuers.get(managed.issuer)
            away = {**issuer.params, "directory": f"https://127.0.0.1:{free_port()}/directory"}
            unit.issuers.update(issuer.model_copy(update={"params": away}))
        begun = engine.now()
        assert renew(engine, managed.id, patient=True).nothing_to_do
        again = state(engine, managed).ask_again
        assert again
        assert begun + timedelta(hours=6) <= again <= engine.now() + timedelta(hours=6)


def test_a_run_whose_process_died_is_closed_although_nothing_is_due(tmp_path: Path) -> None:
    with half_a_day_later(tmp_path) as (engine, managed):
        with engine.store.write() as unit:
            unit.runs.start(Run(managed_id=managed.id, kind=RunKind.REQUEST, started_at=engine.now()))
        assert renew(engine, managed.id, patient=True).nothing_to_do
        with engine.store.read() as unit:
            assert unit.runs.list(managed.id, limit=1)[0].outcome is Outcome.INTERRUPTED
