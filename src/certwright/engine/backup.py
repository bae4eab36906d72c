"""Backups by hand and by the day, and how many of them are kept."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from certwright.domain.errors import ConfigurationError
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
        to: a new file; or a folder, where the file gets a name of its own and the newest `keep` of this store stay.
        keep: at least 1; for a folder only.

    Raises:
        ConfigurationError: if that is no place for a backup.
        LeaseHeld: if another one is being made.
        StoreError: if it cannot be written or read back; nothing older is removed then.
    """
    now = engine.now()
    if not to.is_dir():
        if not to.parent.is_dir():
            raise ConfigurationError(f"There is no folder {to.parent}.", hint="Make it first.")
        return BackedUp(engine.store.back_up(to, now))
    made = engine.store.back_up(to / f"certwright-{engine.store.id}-{now.astimezone(UTC).strftime(_STAMP)}.backup", now)
    superseded = tuple(path for _, path in backups(engine, to)[keep:] if path != made.path)
    for path in superseded:
        path.unlink(missing_ok=True)
    return BackedUp(made, superseded)


def back_up_daily(engine: Engine, folder: Path, keep: int = KEPT) -> BackedUp | None:
    """As `back_up`, if the newest one in `folder` is a day old; the folder is made, for its owner alone.

    A shared store is backed up where it is.

    Raises:
        ConfigurationError, LeaseHeld, StoreError: as `back_up`.
    """
    if engine.store.is_shared:
        return None
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(
            f"The folder for backups {folder} cannot be made: {error.strerror}.", hint="Choose another."
        ) from error
    newest = next(iter(backups(engine, folder)), None)
    if newest and engine.now() - newest[0] < DAILY:
        return None
    return back_up(engine, folder, keep)


def backups(engine: Engine, folder: Path) -> Sequence[tuple[datetime, Path]]:
    """The backups of this store in `folder` and when each was made, the newest first; by their names alone."""
    name = re.compile(rf"certwright-{re.escape(engine.store.id)}-(\d{{8}}T\d{{6}}Z)\.backup")
    found = [(match[1], path) for path in folder.iterdir() if (match := name.fullmatch(path.name))]
    return [(datetime.strptime(s, _STAMP).replace(tzinfo=UTC), path) for s, path in sorted(found, reverse=True)]
