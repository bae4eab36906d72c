"""Whether a data folder can hold a store."""

import os
from pathlib import Path

from certwright.domain.errors import StoreError

_MOUNTS = Path("/proc/self/mountinfo")
_MOUNT_POINT = 4
_SHARES = frozenset(
    {"9p", "afs", "ceph", "cifs", "coda", "fuse.sshfs", "glusterfs", "ncpfs", "nfs", "nfs4", "smb3", "smbfs"}
)


def prepare(folder: Path) -> None:
    """Make the data folder, for its owner alone, unless it is there.

    Raises:
        StoreError: if it cannot be made, or cannot hold a store.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"The data folder {folder} cannot be made: {error.strerror}.",
            hint="Choose another with --data or CERTWRIGHT_DATA.",
        ) from error
    check(folder)


def exists(path: Path) -> bool:
    """Whether there is a file or folder.

    Raises:
        StoreError: if this user may not know.
    """
    try:
        return path.exists()
    except OSError as error:
        raise StoreError(
            f"{path} cannot be looked at: {error.strerror}.",
            hint="Run as the user who owns it, or choose other places: see --data and CERTWRIGHT_MASTER_KEY_FILE.",
        ) from error


def check(folder: Path) -> None:
    """Refuse a folder that is not writable or lies on a network share, where SQLite's locks do not hold.

    Raises:
        StoreError: with what is wrong.
    """
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        raise StoreError(
            f"The data folder {folder} cannot be written.",
            hint="Run as the user who owns it, or choose another with --data or CERTWRIGHT_DATA.",
        )
    share = network_share(folder.resolve(), _MOUNTS.read_text(errors="replace") if _MOUNTS.exists() else "")
    if share:
        raise StoreError(
            f"The data folder {folder} is on a network share ({share}), where the locks of the store do not hold.",
            hint="Choose a folder on a local disk with --data or CERTWRIGHT_DATA.",
        )


def network_share(path: Path, mounts: str) -> str | None:
    """The kind of network share that `path` lies on, if any.

    Args:
        path: absolute, without symbolic links.
        mounts: the text of `/proc/self/mountinfo` (see proc_pid_mountinfo(5)); empty where there is none.
    """
    if str(path).startswith("\\\\"):
        return "UNC path"
    below: list[tuple[int, str]] = []
    for line in mounts.splitlines():
        place, _, kind = line.partition(" - ")
        fields = place.split(" ")
        if len(fields) > _MOUNT_POINT and kind and path.is_relative_to(mount := Path(_unescape(fields[_MOUNT_POINT]))):
            below.append((len(mount.parts), kind.split(" ")[0]))
    kind = max(below, key=lambda found: found[0])[1] if below else ""
    return kind if kind in _SHARES else None


def _unescape(text: str) -> str:
    for escape, character in ((r"\040", " "), (r"\011", "\t"), (r"\012", "\n"), (r"\134", "\\")):
        text = text.replace(escape, character)
    return text
