"""What the store has seen of the clock: whether that is believed, and what follows when it is put back."""

from datetime import datetime

from certwright.domain.clocks import ENDS_SOON, happened
from certwright.domain.errors import CertwrightError
from certwright.domain.sighting import LEAP, STANDS, Sighting
from certwright.engine.context import Engine
from certwright.store import UnitOfWork

_SUBJECT, _KIND = "service", "clock"


def sight(engine: Engine) -> Sighting:
    """Look at the clock; what is known of it then.

    Raises:
        StoreError: if the store cannot be used.
    """
    now = engine.now()
    with engine.store.read() as unit:
        known = _known(unit)
    if known and not known.is_news(now):
        return known
    with engine.store.write() as unit:
        known = _known(unit)
        seen = known.seen(now) if known else Sighting(at=now, believed=now)
        unit.records.put(_SUBJECT, _KIND, seen.model_dump(mode="json"), now)
    return seen


def doubt(engine: Engine) -> CertwrightError | None:
    """Why nothing is removed for its age now; None: the clock is believed.

    Raises:
        StoreError: if the store cannot be used.
    """
    seen = sight(engine)
    if not seen.doubts(engine.now()):
        return None
    return CertwrightError(
        f"The clock is more than {LEAP.days} days ahead of {seen.believed:%Y-%m-%d}, when it was looked at before. It "
        "may be wrong, so nothing is removed for being old.",
        hint="Put the clock of this machine right. If it is right, there is nothing to do: it is believed when it has "
        f"gone on for {STANDS.days} days.",
    )


class ClockWatch:
    """Looks at the clock again and again. Short lives would end while they wait as one that was ahead has planned."""

    def __init__(self) -> None:
        self._last: datetime | None = None

    def look(self, engine: Engine) -> None:
        """If the clock was put back since the last time, or an earlier start, have what ends soon be looked at anew.

        Raises:
            StoreError: if the store cannot be used.
        """
        with engine.store.read() as unit:
            known = _known(unit)
        now, last = engine.now(), self._last or (known.at if known else None)
        sight(engine)
        if last and not happened(last, now):
            with engine.store.write() as unit:
                unit.managed.hurry_ending(now + ENDS_SOON, now)
        self._last = now


def _known(unit: UnitOfWork) -> Sighting | None:
    record = unit.records.last(_SUBJECT, _KIND)
    return Sighting.model_validate(record.value) if record else None
