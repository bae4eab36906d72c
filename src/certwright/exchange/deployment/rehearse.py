"""Asks Exchange whether it would do what a plan says: each change is sent with -WhatIf, which changes nothing.

That proves that the account sees the cmdlets with these parameters, and that their values can be read. What needs the
certificate in the store cannot be proved any further before it is there.
"""

from collections.abc import Mapping

from certwright.domain.deployment import Change, Finding, Plan, Severity
from certwright.domain.errors import DeploymentError, Unreachable
from certwright.exchange.deployment import changes
from certwright.exchange.deployment.apply import NAME, Work
from certwright.exchange.parallel import side_by_side
from certwright.remoting.failures import CommandFailed
from certwright.remoting.psrp import Command

CHECK = "rehearsal"
_SWITCH = "WhatIf"
_ANY_NAME = "<I>CN=Certwright rehearsal<S>CN=Certwright rehearsal"


def rehearse(plan: Plan, work: Work, rights: Mapping[str, frozenset[str]] | None) -> tuple[Finding, ...]:
    """What Exchange says to each change, in their order; servers are asked at the same time.

    Args:
        plan: what would be done.
        work: what is worked with.
        rights: the cmdlets with their parameters as the account sees them; None if that is not known.
    """
    imported = {change.target for change in plan.changes if change.action == changes.IMPORT}
    secrets = {NAME: _ANY_NAME, **work.secrets}
    answers: dict[int, Finding] = {}

    def ask(target: str) -> None:
        for number, change in enumerate(plan.changes):
            if change.target == target:
                answers[number] = _ask(change)

    def _ask(change: Change) -> Finding:
        if change.action == changes.RESTART:
            return _said(change, Severity.NOTE, "is not asked: services are restarted by the host itself.")
        if rights is not None and _SWITCH not in rights.get(change.action, {_SWITCH}):
            return _said(change, Severity.NOTE, "cannot be asked: the cmdlet takes no -WhatIf.")
        command = changes.command(change, secrets)
        rehearsed = Command(command.name, {**command.parameters, _SWITCH: True})
        server = work.servers[0] if change.action in changes.ORGANISATIONAL else change.target
        try:
            work.organisation.session(server).change(rehearsed)
        except CommandFailed as failure:
            return _judged(change, failure, waits=bool(imported))
        except (Unreachable, DeploymentError) as failure:
            return _said(change, Severity.STOP, f"could not be asked: {failure.message}", failure.hint)
        return _said(change, Severity.NOTE, "would be done.")

    side_by_side(dict.fromkeys(change.target for change in plan.changes), ask, work.stop)
    return tuple(answers[number] for number in sorted(answers))


def _judged(change: Change, failure: CommandFailed, *, waits: bool) -> Finding:
    """A refusal counts, but not that something is missing which the import would bring."""
    is_binding = failure.is_missing_command or any("ParameterBinding" in record.kind for record in failure.records)
    if waits and not is_binding and change.action != changes.IMPORT:
        return _said(
            change,
            Severity.NOTE,
            f"may be done, but cannot be proved before the certificate is imported: {failure.records[0].message}",
        )
    return _said(change, Severity.STOP, f"is refused: {failure.message}", failure.hint)


def _said(change: Change, severity: Severity, answer: str, remedy: str = "") -> Finding:
    message = f"{changes.title(change)}: {answer}"
    return Finding(check=CHECK, severity=severity, subject=change.target, message=message, remedy=remedy)
