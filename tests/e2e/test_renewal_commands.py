"""Hold, release and policy on the command line, and what the schedule makes of them."""

import json
from pathlib import Path

import pytest

from certwright.domain.renewal import Reason
from certwright.engine.renew import renew_all
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
        assert site.cli("certificate", "request", managed.id, code=3).out
        site.cli("certificate", "hold", managed.id, "--reason", "x", "--until", "2020-01-01", code=2)
        released = json.loads(site.cli("certificate", "release", managed.id, "--json", code=0).out)
        assert released["reason"] == Reason.NEVER_ISSUED
        with site.engine() as engine:
            (done,) = renew_all(engine)
        assert done.request
        assert done.request.version


def test_the_policy_of_a_certificate_counts(tmp_path: Path) -> None:
    with authority() as ca:
        site = Site(tmp_path).initialise()
        register(site, ca)
        with site.engine() as engine:
            managed = describe(engine, ca)
        site.cli("certificate", "request", managed.id, code=0)
        usual = json.loads(site.cli("certificate", "policy", managed.id, "--default", "--json", code=0).out)
        early = json.loads(site.cli("certificate", "policy", managed.id, "--days-before", "63", "--json", code=0).out)
        assert (usual["due"], early["due"]) == (False, False)
        assert early["message"] != usual["message"]
        site.cli("certificate", "policy", managed.id, code=2)
        site.cli("certificate", "policy", managed.id, "--default", "--share", "0.5", code=2)
