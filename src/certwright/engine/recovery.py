"""Whether somebody has the recovery key: it is shown once, and without it a lost master key is a lost store."""

from certwright.domain.audit import Action, the_store
from certwright.engine.context import Engine
from certwright.store import UnitOfWork
from certwright.store.records import RECOVERY_KEY


def confirm(engine: Engine, recovery_key: str) -> None:
    """Note that somebody has the recovery key of this store.

    Raises:
        StoreError: if it is mistyped, or not the one that the store has now.
    """
    wrapping = engine.store.confirm_recovery_key(recovery_key)
    with engine.store.write() as unit:
        unit.records.put(*RECOVERY_KEY, wrapping, engine.now())
        unit.trail.note(Action.ACKNOWLEDGED, the_store(engine.store.id), after={"recovery_key": "is known"})


def is_confirmed(engine: Engine, unit: UnitOfWork) -> bool:
    """Whether that was noted of the recovery key that the store has now."""
    noted = unit.records.last(*RECOVERY_KEY)
    return noted is not None and noted.value == engine.store.wrapping
