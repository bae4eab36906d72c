"""What a form shows goes along with it as a digest, so that no change that was made meanwhile is lost."""

from collections.abc import Callable, Mapping
from typing import TypeVar

from certwright.domain.errors import CertwrightError, Changed, Taken
from certwright.domain.managed import Value
from certwright.engine.context import Engine
from certwright.engine.seen import as_new, as_seen, credential_taken, digest, stored
from certwright.store import UnitOfWork
from certwright.web.pages import Visit
from certwright.web.received import text

T = TypeVar("T", bound=Value)
_FIELD = "seen"


def seen_field(visit: Visit, kept: Value, error: CertwrightError | None = None) -> Mapping[str, str]:
    """The hidden field; after any other error than that it was changed it says what it said before.

    Args:
        visit: shows the form for the first time, or again.
        kept: what the form shows.
        error: why it comes again, where its work does not go on beside.
    """
    again = visit.again()
    sent, why = (again.sent, again.error) if again else (visit.fields, error)
    before = "" if why is None or isinstance(why, Changed) else text(sent, _FIELD).strip()
    return {_FIELD: before or digest(kept)}


def as_shown(visit: Visit, engine: Engine, read: Callable[[UnitOfWork, str], Value], name: str) -> Engine:
    """The engine, with which nothing is written if the form showed something else than is kept."""
    seen = visit.sent(_FIELD)
    return as_seen(engine, read, name, seen) if seen else engine


def as_shown_or_new(
    visit: Visit, engine: Engine, read: Callable[[UnitOfWork, str], T], name: str, taken: Callable[[T], Taken]
) -> Engine:
    """As `as_shown`, of a form in which the `name` is typed: nothing is written over one that it did not show."""
    if visit.sent(_FIELD) and name == visit.asked("name"):
        return as_shown(visit, engine, read, name)
    return as_new(engine, read, name, taken)


def credential_field(visit: Visit, name: str) -> Mapping[str, str]:
    """The hidden field of a form that replaces what is stored as the credential `name`; none if there is no such one.

    What it says is read before what the form shows, so that it is never newer than that.
    """
    with visit.engine.store.read() as unit:
        known = unit.credentials.names()
        return seen_field(visit, stored(unit, name)) if name in known else {}


def credential_as_shown(visit: Visit, engine: Engine, name: str) -> Engine:
    """As `as_shown_or_new`, for the credential of this name."""
    return as_shown_or_new(visit, engine, stored, name, credential_taken)
