"""The hold that describing a certificate sets by itself: it waits for the first request, and for nothing else.

So whoever may request lifts it by that. It is told from a person's hold by a record of its moment, beside the state
that nodes of an earlier version read as well.
"""

from datetime import datetime

from certwright.domain.renewal_state import Hold, RenewalState
from certwright.store import UnitOfWork

_KIND = "waits for the first request"


def wait(unit: UnitOfWork, managed_id: str, by: str, now: datetime) -> None:
    """Have what `by` just described wait until somebody requests it."""
    reason = f"{by} has just described it: preview it, test it, and request it"
    unit.renewals.save(managed_id, RenewalState(hold=Hold(reason=reason, since=now)))
    unit.records.put(_subject(managed_id), _KIND, now.isoformat(), now)


def waits(unit: UnitOfWork, managed_id: str) -> bool:
    """Whether that is all that holds it back."""
    hold, kept = unit.renewals.get(managed_id).hold, unit.records.last(_subject(managed_id), _KIND)
    return hold is not None and kept is not None and kept.value == hold.since.isoformat()


def forget(unit: UnitOfWork, managed_id: str, now: datetime) -> None:
    """From now on it is a person who holds it back, or nobody."""
    if unit.records.last(_subject(managed_id), _KIND):
        unit.records.put(_subject(managed_id), _KIND, None, now)


def requested(unit: UnitOfWork, managed_id: str, now: datetime) -> RenewalState:
    """What is known of it, without that hold: it is stored so."""
    state = unit.renewals.get(managed_id)
    if waits(unit, managed_id):
        state = state.model_copy(update={"hold": None})
        unit.renewals.save(managed_id, state)
        forget(unit, managed_id, now)
    return state


def _subject(managed_id: str) -> str:
    return f"certificate:{managed_id}"
