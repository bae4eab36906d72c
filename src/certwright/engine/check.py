"""Whether the store is whole: quickly when a service starts, thoroughly when a person asks."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from certwright.domain.errors import StoreError
from certwright.engine.context import Engine

_HINT = "Stop Certwright, keep a copy of the data folder, and restore the newest backup: certwright restore FILE"


@dataclass(frozen=True, slots=True)
class Checked:
    """A store that is whole: its id, the rows of each table, and what a change of keys has left that was killed."""

    store: str
    rows: Mapping[str, int]
    left_over_key: Path | None


def require_whole(engine: Engine) -> None:
    """Refuse to work on a damaged file; it is read once.

    Raises:
        StoreError: with what SQLite found.
    """
    if found := engine.store.damages():
        raise StoreError("The store is damaged.", causes=found, hint=_HINT)


def check(engine: Engine) -> Checked:
    """Look at every page, index, reference and secret.

    Raises:
        StoreError: with all that is wrong.
    """
    if found := engine.store.problems():
        raise StoreError(f"{len(found)} things are wrong with the store.", causes=found, hint=_HINT)
    return Checked(engine.store.id, engine.store.rows(), engine.store.left_over_key)
