"""The master key: a file that only its owner can read, outside the data folder; or the environment."""

import base64
import binascii
import os
import stat
from pathlib import Path

from certwright.domain.errors import StoreError
from certwright.settings import Settings
from certwright.store import place
from certwright.store.crypto import KEY_BYTES, new_key

_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_MAX_BYTES = 1024


def read(settings: Settings, store_id: str) -> bytes:
    """The master key of this store.

    Raises:
        StoreError: if it is missing, unreadable, no key, or readable by others.
    """
    if settings.master_key is not None:
        return _decode(settings.master_key, "CERTWRIGHT_MASTER_KEY")
    path = settings.key_file(store_id)
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            text = file.read(_MAX_BYTES).decode("ascii", "replace")
    except FileNotFoundError:
        raise StoreError(
            f"The master key {path} is missing.",
            hint="Put it back, name its place with CERTWRIGHT_MASTER_KEY_FILE, or make a new one from the recovery "
            "key: certwright init --recover",
        ) from None
    except OSError as error:
        raise StoreError(f"The master key {path} cannot be read: {error.strerror}.") from error
    if os.name == "posix" and mode & _OTHERS:
        raise StoreError(f"The master key {path} can be read by others (mode {mode:04o}).", hint=f"chmod 600 '{path}'")
    return _decode(text, str(path))


def provide(settings: Settings, store_id: str) -> bytes:
    """The master key that is there already, or a new one in a new file; a file is never overwritten.

    Raises:
        StoreError: if what is there cannot be used, or the file cannot be written.
    """
    path = settings.key_file(store_id)
    if settings.master_key is not None or place.exists(path):
        return read(settings, store_id)
    if path.resolve().is_relative_to(settings.data_folder.resolve()):
        raise StoreError(
            f"The master key {path} would lie inside the data folder, where every copy of the data takes it along.",
            hint="Name a place outside with CERTWRIGHT_MASTER_KEY_FILE.",
        )
    key = new_key()
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write_new(path, base64.b64encode(key) + b"\n")
    except OSError as error:
        raise StoreError(
            f"The master key {path} cannot be written: {error.strerror}.",
            hint="Name another place with CERTWRIGHT_MASTER_KEY_FILE.",
        ) from error
    return key


def _write_new(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _decode(text: str, source: str) -> bytes:
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY_BYTES:
        raise StoreError(
            f"{source} holds no master key: {KEY_BYTES} bytes in base64 were expected.",
            hint="Put the right key back, or move this one away and make a new one from the recovery key: "
            "certwright init --recover",
        )
    return key
