"""Who is at work on what somebody wants: what those are told who have to wait for it."""

from datetime import datetime

from certwright.domain.actors import ActorKind
from certwright.domain.audit import Action
from certwright.domain.errors import LeaseHeld
from certwright.domain.managed import ManagedCertificate
from certwright.domain.runs import Run, RunKind
from certwright.store import Store, UnitOfWork
from certwright.store.audit import Wanted
from certwright.store.leases import CERTIFICATE, SERVICE

_NOUNS = {
    RunKind.REQUEST: "request",
    RunKind.DEPLOY: "deployment",
    RunKind.TASK: "task",
    RunKind.TEST: "test",
    RunKind.REVOKE: "revocation",
    RunKind.CLEANUP: "cleanup",
    RunKind.LOOK: "look",
}
_CHANGING = (RunKind.DEPLOY, RunKind.CLEANUP)
_MOST = 50


def on_certificate(store: Store, managed: ManagedCertificate, held: LeaseHeld, now: datetime) -> LeaseHeld:
    """The same, with which run it is that works on this certificate, who began it, and where its log is."""
    with store.read() as unit:
        run = unit.runs.at_work(managed.id, now)
        begun = f"{_who(unit, run)} began its {_NOUNS[run.kind]} at {run.started_at:%H:%M} UTC" if run else ""
    return _told(store, repr(managed.title), begun, managed.id, held, now)


def on_organisation(store: Store, name: str, held: LeaseHeld, now: datetime) -> LeaseHeld:
    """The same of the organisation, or the server, of this name: the run of its holder that began next to the lease."""
    with store.read() as unit:
        leases, runs = unit.leases.held(now), unit.runs.under_way(_MOST)
    taken = next((lease for lease in leases if lease.name == f"organisation:{name}"), None)
    if taken is None:
        return held
    its = {lease.name for lease in leases if lease.holder == taken.holder}
    able = [run for run in runs if run.kind in _CHANGING and f"{CERTIFICATE}{run.managed_id}" in its]
    run = min(able, key=lambda run: abs(run.started_at - taken.since), default=None)
    if run is None:
        return _told(store, f"The organisation {name}", "", "", held, now)
    with store.read() as unit:
        title = unit.managed.get(run.managed_id).title
        begun = f"{_who(unit, run)} began the {_NOUNS[run.kind]} of {title!r} at {run.started_at:%H:%M} UTC"
    return _told(store, f"The organisation {name}", begun, run.managed_id, held, now)


def _told(store: Store, what: str, begun: str, managed_id: str, held: LeaseHeld, now: datetime) -> LeaseHeld:
    """With what was begun, where that is known, and the log of the certificate for which it is done."""
    said = f"{what} is being worked on: {begun}." if begun else f"{what} is being worked on at this moment."
    hint = f"Wait for it to end; its log: certwright certificate log {managed_id}" if managed_id else held.hint
    with store.read() as unit:
        if store.caller.actor.kind is ActorKind.COMMAND_LINE:
            is_service = any(each.name == SERVICE and str(each.holder) == held.holder for each in unit.leases.held(now))
            hint += f"\n{_process(held.holder, may_end=not (is_service or store.is_shared))}"
    return LeaseHeld(said, hint=hint, holder=held.holder)


def _who(unit: UnitOfWork, run: Run) -> str:
    """Who began it; what the service does by itself, the trail does not have."""
    wanted = Wanted(action=Action.BEGAN, subject_id=run.managed_id)
    began = (entry for entry in unit.trail.list(wanted, _MOST) if (entry.after or {}).get("run") == run.id)
    return next((entry.actor.name for entry in began), "Certwright itself")


def _process(holder: str, *, may_end: bool) -> str:
    """Which process it is; to end it is no advice where it is a service, which has more in hand than this."""
    advice = "; if that hangs, end it: the next run goes on with what it began" if may_end else ""
    return f"It is {holder}{advice}."
