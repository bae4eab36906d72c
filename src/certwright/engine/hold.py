"""Renewals held back by a person, released, or asked for now; and when a certificate is renewed."""

from collections.abc import Mapping
from datetime import datetime

from certwright.domain.access import UseCase
from certwright.domain.audit import Action
from certwright.domain.capabilities import check_lifetime, check_policy
from certwright.domain.errors import ConfigurationError
from certwright.domain.managed import RenewalPolicy
from certwright.domain.plain_text import check_line
from certwright.domain.renewal import Decision, Reason
from certwright.domain.renewal_state import Hold, Wish
from certwright.engine import first_request
from certwright.engine.context import Engine
from certwright.engine.material import version_facts
from certwright.engine.schedule import decide, reschedule
from certwright.store.managed import subject


def hold(engine: Engine, reference: str, reason: str, until: datetime | None, revision: int | None = None) -> Decision:
    """Have a managed certificate not be renewed, until the moment given or for ever; deployments go on.

    Here and below, `revision` is that at which it was looked at before, if somebody did.

    Raises:
        ConfigurationError: if that moment is past, or the reason is no line of text.
        Changed: if it is not at this revision any more.
    """
    now = engine.now()
    if until is not None and until <= now:
        raise ConfigurationError(f"{until:%Y-%m-%d %H:%M} UTC is past.", hint="Give a moment to come, or none.")
    check_line(reason, "The reason")
    held = Hold(reason=reason.rstrip("."), since=now, until=until)
    return _change(engine, reference, Action.HELD, {"hold": held}, revision)


def release(engine: Engine, reference: str, revision: int | None = None) -> Decision:
    """Let it be renewed again; what failed before keeps its pause, unless somebody asks for it.

    Raises:
        ConfigurationError: if it waits for its first request: nothing else begins that.
        Changed: if it is not at this revision any more.
    """
    return _change(engine, reference, Action.RELEASED, {"hold": None}, revision)


def ask(engine: Engine, reference: str, revision: int | None = None) -> Decision:
    """Have a new version requested soon, by whoever does what is due, though it may not be due.

    What waits for its first request is released by that.

    Raises:
        ConfigurationError: if a person holds it back, or the authority does not want to be asked yet.
        Changed: if it is not at this revision any more.
    """
    with engine.changing(reference, revision) as (unit, managed):
        current = unit.managed.current(managed.id)
        wish = Wish(by=str(engine.caller.actor), at=engine.now(), version_id=current.id if current else None)
        state = first_request.requested(unit, managed.id, engine.now())
        unit.renewals.save(managed.id, state.model_copy(update={"wish": wish}))
        decision = decide(engine, unit, managed)
        if not decision.due:
            raise not_heeded(engine, decision)
        reschedule(engine, unit, managed)
        unit.trail.note(Action.REQUESTED, subject(managed))
    return decision


def set_policy(engine: Engine, reference: str, policy: RenewalPolicy, revision: int | None = None) -> Decision:
    """Choose when it is renewed.

    Raises:
        ConfigurationError: if its certificates do not live long enough for that.
        Changed: if it is not at this revision any more.
    """
    with engine.changing(reference, revision) as (unit, managed):
        changed = managed.model_copy(update={"renewal": policy})
        for name in changed.issuers:
            check_policy(changed, unit.issuers.get(name))
        if current := unit.managed.current(managed.id):
            check_lifetime(changed, version_facts(current).lifetime)
        unit.managed.update(changed)
        reschedule(engine, unit, changed)
        return decide(engine, unit, changed)


def not_heeded(engine: Engine, decision: Decision) -> ConfigurationError:
    """Why somebody's request comes to nothing, and what has to be done first, and by whom."""
    is_others = decision.reason is Reason.HELD and UseCase.HOLD.permission not in engine.caller.permissions
    hint = "Who may hold renewals back has to release it first: an operator or an administrator."
    return ConfigurationError(decision.message, hint=hint if is_others else decision.hint)


def _change(
    engine: Engine, reference: str, action: Action, change: Mapping[str, Hold | None], revision: int | None
) -> Decision:
    """Change the hold. That counts as a change of the certificate, but ends no pause after a failure."""
    with engine.changing(reference, revision) as (unit, managed):
        if action is Action.RELEASED and first_request.waits(unit, managed.id):
            raise ConfigurationError(
                "Nobody holds it back: it waits for its first request.",
                hint=f"Request it: certwright certificate request {managed.id}",
            )
        before = unit.renewals.get(managed.id)
        unit.managed.count_change(managed.id)
        failure = before.failure and before.failure.model_copy(update={"revision": before.failure.revision + 1})
        after = before.model_copy(update={**change, "failure": failure})
        unit.renewals.save(managed.id, after)
        first_request.forget(unit, managed.id, engine.now())
        told = [state.model_dump(mode="json", include=set(change)) for state in (before, after)]
        unit.trail.note(action, subject(managed), *told)
        reschedule(engine, unit, managed)
        return decide(engine, unit, managed)
