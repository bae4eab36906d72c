"""Hold, release and policy on the command line, and what the schedule makes of them."""

import json
from datetime import timedelta
from pathlib import Path

import pytest

from certwright.acme_server import Endpoint
from certwright.domain.events import EventKind
from certwright.domain.renewal import Reason
from certwright.engine.hold import hold
from certwright.engine.renew import renew_all
from certwright.engine.request import request
from certwright.wiring import utc_now
from world.site import Site, authority, describe, register

pytestmark = pytest.mark.e2e


def test_what_is_held_is_not_renewed_until_it_is_released(tmp_path: Path) -> None:
    with authority() as ca:
        site = Site(tmp_path).initialise()
        register(site, ca)
        with site.engine() as engine:
            managed = describe(engine, ca)
        held = json.loads(site.cli("certificate", "hold", managed.id, "--reason", "the move", "--json", code=0).out)
        assert (held["due"], held["reason"]) == (False, Reason.HELD)
        with site.engine() as engine:
            assert renew_all(engine) == []
        assert "the move" in site.cli("certificate", "show", managed.id, code=0).out
        told = f"certwright certificate release {managed.id}"
        assert told in site.cli("certificate", "request", managed.id, code=3).out
        assert told in site.cli("certificate", "request", managed.id, "--force", code=2).told
        site.cli("certificate", "hold", managed.id, "--reason", "x", "--until", "2020-01-01", code=2)
        released = json.loads(site.cli("certificate", "release", managed.id, "--json", code=0).out)
        assert released["reason"] == Reason.NEVER_ISSUED
        with site.engine() as engine:
            (done,) = renew_all(engine)
        assert done.request
        assert done.request.version


def test_what_waits_for_its_first_request_is_released_by_that(tmp_path: Path) -> None:
    with authority() as ca:
        site = Site(tmp_path).initialise()
        register(site, ca)
        with site.engine() as engine:
            managed = describe(engine, ca, waits=True)
            assert renew_all(engine) == []
        site.cli("certificate", "request", managed.id, code=0)
        with site.engine() as engine, engine.store.read() as unit:
            assert unit.renewals.get(managed.id).hold is None


def test_what_is_held_is_asked_about_twice_a_day_and_an_incident_is_told(tmp_path: Path) -> None:
    ahead = timedelta()
    with authority() as ca:
        site = Site(tmp_path).initialise()
        register(site, ca)
        with site.engine(now=lambda: utc_now() + ahead) as engine:
            managed = describe(engine, ca)
            request(engine, managed.id)
            hold(engine, managed.id, "the move", utc_now() + timedelta(days=40))
            past = utc_now() - timedelta(days=2), utc_now() - timedelta(days=1)
            ca.server.set_renewal_window(ca.server.issued[-1].certificate, *past, "https://ca.test/incident")
            asked = ca.server.requests[Endpoint.RENEWAL_INFO]
            for hours in range(0, 48, 6):
                ahead = timedelta(hours=hours)
                for done in renew_all(engine):
                    assert done.nothing_to_do
            with engine.store.read() as unit:
                told = [event for _, event in unit.events.list(limit=100) if event.kind is EventKind.RENEWAL_MOVED]
        assert ca.server.requests[Endpoint.RENEWAL_INFO] - asked >= 4
        assert [event.message.partition("reason: ")[2] for event in told] == ["https://ca.test/incident"]


def test_the_policy_of_a_certificate_counts(tmp_path: Path) -> None:
    with authority() as ca:
        site = Site(tmp_path).initialise()
        register(site, ca)
        with site.engine() as engine:
            managed = describe(engine, ca)
        site.cli("certificate", "request", managed.id, code=0)
        usual = json.loads(site.cli("certificate", "policy", managed.id, "--default", "--json", code=0).out)
        early = json.loads(site.cli("certificate", "policy", managed.id, "--days-before", "60", "--json", code=0).out)
        assert (usual["due"], early["due"]) == (False, False)
        assert early["message"] != usual["message"]
        refused = site.cli("certificate", "policy", managed.id, "--days-before", "70", code=2)
        assert "It cannot be renewed 70 days before its end: it lives 64 days" in refused.told
        site.cli("certificate", "policy", managed.id, code=2)
        site.cli("certificate", "policy", managed.id, "--default", "--share", "0.5", code=2)
