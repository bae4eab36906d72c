"""Files that hold a secret: none but their owner may read them."""

import os
import stat
from pathlib import Path

from certwright.domain.errors import StoreError

_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_MAX_BYTES = 1024


def read(path: Path, what: str) -> str:
    """The text of a short file; `what` it is, is for the errors.

    Raises:
        FileNotFoundError: if it is missing.
        StoreError: if it is unreadable, or readable by others.
    """
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            text = file.read(_MAX_BYTES).decode(errors="replace")
    except FileNotFoundError:
        raise
    except OSError as error:
        raise StoreError(f"The {what} {path} cannot be read: {error.strerror}.") from error
    if os.name == "posix" and mode & _OTHERS:
        raise StoreError(f"The {what} {path} can be read by others (mode {mode:04o}).", hint=f"chmod 600 '{path}'")
    return text
