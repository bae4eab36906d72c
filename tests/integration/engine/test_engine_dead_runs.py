"""Runs that are called interrupted because nobody holds their lease, and what those are told who have to wait."""

import os
import socket
from datetime import timedelta

import pytest

from certwright.domain.access import SERVICE, Caller, Permission
from certwright.domain.actors import Actor, ActorKind
from certwright.domain.errors import LeaseHeld
from certwright.domain.managed import ManagedCertificate
from certwright.domain.runs import Outcome, Run, RunKind
from certwright.engine.context import Engine, running
from certwright.engine.dead_runs import close_dead_runs
from certwright.store import leases
from integration.engine.test_engine_runs import NOW, _last, engine, managed

__all__ = ["engine", "managed"]
ANNA = Caller(Actor(kind=ActorKind.PERSON, name="anna"), frozenset(Permission))
BEN = Caller(Actor(kind=ActorKind.PERSON, name="ben"), frozenset(Permission))
HERE = f"process {os.getpid()} on {socket.gethostname()}"


def test_a_run_whose_lease_nobody_holds_is_interrupted_and_one_at_work_is_not(
    engine: Engine, managed: ManagedCertificate
) -> None:
    dead = Run(managed_id=managed.id, kind=RunKind.DEPLOY, started_at=NOW - timedelta(hours=1))
    with engine.store.write() as unit:
        unit.runs.start(dead)
    close_dead_runs(engine)
    assert _last(engine, managed).outcome is Outcome.INTERRUPTED
    with engine.certificate_lease(managed) as lease, running(engine, managed, RunKind.DEPLOY, lease):
        close_dead_runs(engine)
        assert _last(engine, managed).outcome is None
    assert _last(engine, managed).outcome is Outcome.DONE


def refused(engine: Engine, managed: ManagedCertificate) -> LeaseHeld:
    with pytest.raises(LeaseHeld) as caught, engine.certificate_lease(managed):
        pytest.fail("two at once")
    return caught.value


def test_whoever_waits_is_told_who_began_what_and_where_its_log_is(engine: Engine, managed: ManagedCertificate) -> None:
    log = f"Wait for it to end; its log: certwright certificate log {managed.id}"
    with engine.acting(ANNA).certificate_lease(managed) as lease:
        told = refused(engine.acting(BEN), managed)
        assert (told.message, told.hint) == ("'mail' is being worked on at this moment.", log)
        with running(engine.acting(ANNA), managed, RunKind.DEPLOY, lease):
            told = refused(engine.acting(BEN), managed)
            assert told.message == "'mail' is being worked on: anna began its deployment at 12:00 UTC."
            assert told.hint == log
            told = refused(engine, managed)
            assert told.hint == f"{log}\nIt is {HERE}; if that hangs, end it: the next run goes on with what it began."
            with engine.store.lease(leases.SERVICE):
                assert refused(engine, managed).hint == f"{log}\nIt is {HERE}."
        with running(engine.acting(SERVICE), managed, RunKind.REQUEST, lease):
            told = refused(engine.acting(BEN), managed)
            assert told.message == "'mail' is being worked on: Certwright itself began its request at 12:00 UTC."


def test_whoever_waits_for_an_organisation_is_told_which_certificate_is_put_to_use_there(
    engine: Engine, managed: ManagedCertificate
) -> None:
    with (
        engine.acting(ANNA).certificate_lease(managed) as lease,
        engine.organisation_leases(["contoso.test"]) as others,
        running(engine.acting(ANNA), managed, RunKind.DEPLOY, lease, *others),
        pytest.raises(LeaseHeld) as caught,
        engine.acting(BEN).organisation_leases(["contoso.test"]),
    ):
        pytest.fail("two at once")
    began = "anna began the deployment of 'mail' at 12:00 UTC."
    assert caught.value.message == f"The organisation contoso.test is being worked on: {began}"
    assert caught.value.hint == f"Wait for it to end; its log: certwright certificate log {managed.id}"
