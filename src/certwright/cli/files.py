"""Files that a command writes for a person."""

import os
from pathlib import Path

from certwright.domain.errors import ConfigurationError


def check_new(path: Path | None) -> None:
    """Refuse a file that `write_new` would refuse later, before long work is done for it.

    Raises:
        ConfigurationError: if it is there, or its folder is not.
    """
    if path is not None and os.path.lexists(path):
        raise ConfigurationError(f"{path} is there already.", hint="Give the name of a new file.")
    if path is not None and not path.parent.is_dir():
        raise ConfigurationError(f"There is no folder {path.parent} to write {path.name} into.", hint="Make it first.")


def write_new(path: Path, content: str | bytes) -> None:
    """Write a file that is not there yet; its owner alone can read it.

    Raises:
        ConfigurationError: if it is there, or cannot be written.
    """
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise ConfigurationError(f"{path} is there already.", hint="Give the name of a new file.") from None
    except OSError as error:
        raise ConfigurationError(
            f"{path} cannot be written: {error.strerror}.", hint="Choose another folder."
        ) from error
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
    except OSError as error:
        path.unlink(missing_ok=True)
        raise ConfigurationError(f"{path} cannot be written: {error.strerror}.", hint="Choose another disk.") from error
