"""Renewals held back by a person, released, or asked for now; and when a certificate is renewed."""

from collections.abc import Callable
from datetime import datetime

from certwright.domain.errors import ConfigurationError
from certwright.domain.managed import RenewalPolicy
from certwright.domain.renewal import Decision, Hold, Reason, RenewalState, Wish
from certwright.engine.context import Engine
from certwright.engine.schedule import decide, reschedule

_WAITS = {
    Reason.HELD: "Release it first.",
    Reason.LIMITED: "Wait: it is requested by itself then.",
}


def hold(engine: Engine, reference: str, reason: str, until: datetime | None) -> Decision:
    """Have a managed certificate not be renewed, until the moment given or for ever; deployments go on.

    Raises:
        ConfigurationError: if that moment is past.
    """
    now = engine.now()
    if until is not None and until <= now:
        raise ConfigurationError(f"{until:%Y-%m-%d %H:%M} UTC is past.", hint="Give a moment to come, or none.")
    held = Hold(reason=reason.rstrip("."), since=now, until=until)
    return _change(engine, reference, lambda state: state.model_copy(update={"hold": held}))


def release(engine: Engine, reference: str) -> Decision:
    """Let it be renewed again, and at once where it failed before."""
    return _change(engine, reference, lambda state: state.model_copy(update={"hold": None, "failure": None}))


def ask(engine: Engine, reference: str, by: str) -> Decision:
    """Have a new version requested soon, by whoever does what is due, though it may not be due.

    Args:
        engine: what to work with.
        reference: the managed certificate.
        by: who wishes it.

    Raises:
        ConfigurationError: if it is held back, or the authority does not want to be asked yet.
    """
    with engine.changing(reference) as (unit, managed):
        state = unit.renewals.get(managed.id)
        unit.renewals.save(managed.id, state.model_copy(update={"wish": Wish(by=by, at=engine.now())}))
        decision = decide(engine, unit, managed)
        if not decision.due:
            raise ConfigurationError(decision.message, hint=_WAITS.get(decision.reason, ""))
        reschedule(engine, unit, managed)
    return decision


def set_policy(engine: Engine, reference: str, policy: RenewalPolicy, revision: int | None = None) -> Decision:
    """Choose when it is renewed.

    Raises:
        Changed: if it is not at this revision any more.
    """
    with engine.changing(reference, revision) as (unit, managed):
        changed = managed.model_copy(update={"renewal": policy})
        unit.managed.update(changed)
        reschedule(engine, unit, changed)
        return decide(engine, unit, changed)


def _change(engine: Engine, reference: str, change: Callable[[RenewalState], RenewalState]) -> Decision:
    with engine.changing(reference) as (unit, managed):
        unit.renewals.save(managed.id, change(unit.renewals.get(managed.id)))
        reschedule(engine, unit, managed)
        return decide(engine, unit, managed)
