"""Test: try everything that a request and a deployment need, without asking for a certificate and without a change."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager

from certwright.domain.errors import CertwrightError, ConfigurationError
from certwright.domain.managed import ManagedCertificate, TaskSettings, check_capabilities
from certwright.domain.runs import RunKind
from certwright.engine.context import ActiveRun, Engine, running
from certwright.engine.deploy import make_task
from certwright.engine.issuers import issuer_plugin
from certwright.engine.solving import answered, solver
from certwright.sdk.solver import Challenge


def test(engine: Engine, reference: str) -> None:
    """Try the authority, the validation of each name, and the targets; every problem is reported, not only the first.

    Raises:
        CertwrightError: with one cause for each part that does not work.
    """
    with engine.store.read() as unit:
        found = unit.managed.get(reference)
    with engine.certificate_lease(found) as lease, running(engine, found, RunKind.TEST, lease) as run:
        problems: list[Exception] = []
        with _collected(problems):
            _authority(engine, found, run)
        with _collected(problems):
            _validation(engine, found, run)
        for settings in found.tasks:
            if settings.enabled:
                with _collected(problems):
                    _target(engine, found, settings, run)
        if problems:
            raise CertwrightError(f"The test of {found.title!r} found {len(problems)} problems.", causes=problems)


@contextmanager
def _collected(problems: list[Exception]) -> Iterator[None]:
    try:
        yield
    except CertwrightError as error:
        problems.append(error)


def _authority(engine: Engine, managed: ManagedCertificate, run: ActiveRun) -> None:
    with engine.store.read() as unit:
        issuer = unit.issuers.get(managed.issuer)
    with run.journal.step(f"Reach {managed.issuer} and find the account"):
        check_capabilities(managed, issuer.capabilities)
        issuer_plugin(engine, managed.issuer, run.journal).find_account()


def _validation(engine: Engine, managed: ManagedCertificate, run: ActiveRun) -> None:
    """Answer made-up tokens the way real ones would be answered, and look at them from outside."""
    validation = managed.validations[0]
    made_up = [
        Challenge(i, validation.challenge, token := secrets.token_urlsafe(32), f"{token}.{secrets.token_urlsafe(32)}")
        for i in managed.identifiers
        if not i.is_wildcard
    ]
    with answered(solver(engine, validation, run.journal), made_up, run.journal):
        pass


def _target(engine: Engine, managed: ManagedCertificate, settings: TaskSettings, run: ActiveRun) -> None:
    with engine.store.read() as unit:
        version = unit.managed.current(managed.id)
    with run.journal.step(f"Read the targets of {settings.title}") as step:
        if version is None:
            step.skip("Planned when the first certificate is there.")
            return
        plan = make_task(engine, managed, version, settings, run.journal, ()).plan()
        step.note(f"{len(plan.changes)} changes would be made.")
        if plan.refusals:
            raise ConfigurationError("The plan would be refused.", causes=plan.refusals)
