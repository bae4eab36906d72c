"""Test: try everything that a request and a deployment need, without an order and without a validation attempt."""

from certwright.domain.readiness import Check, Readiness, Report
from certwright.domain.runs import RunKind
from certwright.engine.context import Engine, running
from certwright.engine.left_over import cleared
from certwright.engine.test import authority, names, proofs, targets


def test(engine: Engine, reference: str) -> Report:
    """Look at the authority, at each name as the authority will, at the proofs, and at the targets.

    Answers to made-up challenges are presented, seen and taken away; targets are read. Every problem is reported, not
    only the first.

    Raises:
        NotFound: if there is no such managed certificate.
        LeaseHeld: if another run works on it.
    """
    with engine.store.read() as unit:
        found = unit.managed.get(reference)
    checks: list[Check] = []
    with (
        engine.certificate_lease(found) as lease,
        running(engine, found, RunKind.TEST, lease) as run,
        cleared(engine, run),
    ):
        for part in (authority, names, proofs, targets):
            for check in part.checks(engine, found, run):
                checks.append(check)
                if check.verdict is not Readiness.OK:
                    run.journal.note(f"{check.verdict}: {check.subject}: {check.evidence} {check.fix}".strip())
    return Report(managed_id=found.id, title=found.title, checks=tuple(checks))
