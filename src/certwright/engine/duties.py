"""That a duty of the service fails, or works again: kept for `status`, and told as events."""

from certwright.domain.clocks import lately
from certwright.domain.duties import PREFIX, TOLD_EVERY, Trouble
from certwright.domain.errors import CertwrightError
from certwright.domain.events import Event, EventKind
from certwright.engine.context import Engine
from certwright.store import UnitOfWork
from certwright.store.records import TROUBLE


def failed(engine: Engine, name: str, title: str, error: Exception) -> None:
    """Note that the duty `name` failed; nothing, if that was told within `TOLD_EVERY`.

    Raises:
        StoreError: if the store cannot be used.
    """
    subject, now = f"{PREFIX}{name}", engine.now()
    message, hint = _told(error)
    with engine.store.write() as unit:
        known = [Trouble.model_validate(record.value) for record in unit.records.list(subject, TROUBLE, 2)]
        if any(not each.is_over and lately(each.at, now, TOLD_EVERY) for each in known):
            return
        before = known[0] if known else Trouble(title=title, since=now, at=now, times=0, message=message)
        trouble = before.again(now, message, hint)
        unit.records.put(subject, TROUBLE, trouble.model_dump(mode="json"), now)
        unit.events.add(Event(kind=EventKind.DUTY_FAILED, managed_id=subject, at=now, message=message, hint=hint))


def _told(error: Exception) -> tuple[str, str]:
    """What happened, and the next step; a stranger's text could hold a secret."""
    if isinstance(error, CertwrightError):
        return error.message, error.hint
    return f"An unexpected {type(error).__name__} stopped it.", "The log of the service has the details; report them."


def worked(engine: Engine, name: str) -> None:
    """Note that the duty `name` was done, if it had failed.

    Raises:
        StoreError: if the store cannot be used.
    """
    subject = f"{PREFIX}{name}"
    with engine.store.read() as unit:
        last = unit.records.last(subject, TROUBLE)
    if last is None or Trouble.model_validate(last.value).is_over:
        return
    now = engine.now()
    with engine.store.write() as unit:
        trouble = Trouble.model_validate(last.value).over(now)
        unit.records.put(subject, TROUBLE, trouble.model_dump(mode="json"), now)
        unit.events.add(Event(kind=EventKind.DUTY_WORKED, managed_id=subject, at=now, message="It works again."))


def troubles(unit: UnitOfWork) -> list[Trouble]:
    """What fails now, by duty."""
    found = [Trouble.model_validate(record.value) for record in unit.records.newest(PREFIX, TROUBLE).values()]
    return [trouble for trouble in found if not trouble.is_over]
