"""Backups by hand and by the day, and how many of them are kept."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from certwright.domain.audit import Action, the_store
from certwright.domain.clocks import happened, lately
from certwright.domain.errors import ConfigurationError
from certwright.engine.clock import doubt
from certwright.engine.context import Engine
from certwright.store import Backup

KEPT = 14
"""How many backups of a store stay in a folder."""
DAILY = timedelta(hours=24)
_STAMP = "%Y%m%dT%H%M%SZ"


@dataclass(frozen=True, slots=True)
class BackedUp:
    """A backup that was made, and the older ones that were removed for it."""

    backup: Backup
    removed: tuple[Path, ...] = ()


def back_up(engine: Engine, to: Path, keep: int = KEPT) -> BackedUp:
    """Write a backup, which is read back before it counts.

    Args:
        engine: what to work with.
        to: a new file; or a folder, where the file gets a name of its own and the newest `keep` of this store stay; all
            of them, as long as the clock may be wrong.
        keep: at least 1; for a folder only.

    Raises:
        ConfigurationError: if that is no place for a backup.
        LeaseHeld: if another one is being made.
        StoreError: if it cannot be written or read back; nothing older is removed then.
    """
    now, own = engine.now(), the_store(engine.store.id)
    if not to.is_dir():
        if not to.parent.is_dir():
            raise ConfigurationError(f"There is no folder {to.parent}.", hint="Make it first.")
        engine.note(Action.BACKED_UP, own, {"file": str(to)})
        return BackedUp(engine.store.back_up(to, now))
    file = to / f"certwright-{engine.store.id}-{now.astimezone(UTC).strftime(_STAMP)}.backup"
    engine.note(Action.BACKED_UP, own, {"file": str(file)})
    made = engine.store.back_up(file, now)
    superseded = () if doubt(engine) else tuple(path for _, path in backups(engine, to)[keep:] if path != made.path)
    for path in superseded:
        path.unlink(missing_ok=True)
    return BackedUp(made, superseded)


def back_up_into(engine: Engine, folder: Path, keep: int = KEPT) -> BackedUp:
    """As `back_up`, in a folder that is made if it is missing, for its owner alone.

    Raises:
        ConfigurationError, LeaseHeld, StoreError: as `back_up`.
    """
    _provide(folder)
    return back_up(engine, folder, keep)


def back_up_daily(engine: Engine, folder: Path, keep: int = KEPT) -> BackedUp | None:
    """As `back_up`, if the newest one in `folder` is a day old; the folder is made, for its owner alone.

    A shared store is backed up where it is.

    Raises:
        ConfigurationError, LeaseHeld, StoreError: as `back_up`.
    """
    if engine.store.is_shared:
        return None
    _provide(folder)
    now = engine.now()
    if any(lately(made, now, DAILY) for made, _ in backups(engine, folder)):
        return None
    return back_up(engine, folder, keep)


def backups(engine: Engine, folder: Path) -> Sequence[tuple[datetime, Path]]:
    """The backups of this store in `folder` and when each was made, the newest first; by their names alone.

    Those that a wrong clock has dated ahead are last, and are so the first to go.
    """
    name = re.compile(rf"certwright-{re.escape(engine.store.id)}-(\d{{8}}T\d{{6}}Z)\.backup")
    found = [(match[1], path) for path in folder.iterdir() if (match := name.fullmatch(path.name))]
    dated = [(datetime.strptime(stamp, _STAMP).replace(tzinfo=UTC), path) for stamp, path in found]
    now = engine.now()
    return sorted(dated, key=lambda each: (happened(each[0], now), each), reverse=True)


def _provide(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(
            f"The folder for backups {folder} cannot be made: {error.strerror}.", hint="Choose another."
        ) from error
