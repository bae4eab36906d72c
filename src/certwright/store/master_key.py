"""The master key: a file that only its owner can read, outside the data folder; or the environment.

A new one waits in a file beside it, `.next`, until the store is wrapped with it: one of the two opens the store at any
moment.
"""

import base64
import binascii
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from certwright.domain.errors import StoreError
from certwright.settings import Settings
from certwright.store import place, private
from certwright.store.crypto import KEY_BYTES, new_key

_LOST = (
    "Put it back, name its place with CERTWRIGHT_MASTER_KEY_FILE, or make a new one from the recovery key: "
    "certwright init --recover"
)
_LOST_SHARED = (
    "All nodes share one: copy it from another node, or name its place with CERTWRIGHT_MASTER_KEY_FILE. If none has it "
    "any more, make a new one from the recovery key: certwright init --recover"
)


def read(settings: Settings, store_id: str) -> bytes:
    """The master key of this store.

    Raises:
        StoreError: if it is missing, unreadable, no key, or readable by others.
    """
    if settings.master_key is not None:
        return _decode(settings.master_key, "CERTWRIGHT_MASTER_KEY")
    path = settings.key_file(store_id)
    try:
        return _decode(private.read(path, "master key"), str(path))
    except FileNotFoundError:
        hint = _LOST_SHARED if settings.store_url else _LOST
        raise StoreError(f"The master key {path} is missing.", hint=hint) from None


def read_next(settings: Settings, store_id: str) -> bytes | None:
    """The key that waits to become the master key, if there is one.

    Raises:
        StoreError: if it is unreadable, no key, or readable by others.
    """
    if settings.master_key is not None:
        return None
    path = next_file(settings, store_id)
    try:
        return _decode(private.read(path, "master key"), str(path))
    except FileNotFoundError:
        return None


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
        with _written_whole(path, key) as beside:
            os.link(beside, path)
    except OSError as error:
        raise StoreError(
            f"The master key {path} cannot be written: {error.strerror}.",
            hint="Name another place with CERTWRIGHT_MASTER_KEY_FILE.",
        ) from error
    return key


def prepare_next(settings: Settings, store_id: str) -> bytes:
    """A new key, in the file that `adopt_next` puts in the place of the master key; one that waited is forgotten.

    Raises:
        StoreError: if it cannot be written.
    """
    path, key = next_file(settings, store_id), new_key()
    try:
        with _written_whole(path, key) as beside:
            beside.replace(path)
        _folder_to_disk(path.parent)
    except OSError as error:
        raise StoreError(
            f"A new master key cannot be written to {path}: {error.strerror}.",
            hint="Run as the user who owns the folder of the master key.",
        ) from error
    return key


def adopt_next(settings: Settings, store_id: str) -> None:
    """Let the key that waits take the place of the master key.

    Raises:
        StoreError: if it cannot; it goes on waiting.
    """
    path = settings.key_file(store_id)
    try:
        next_file(settings, store_id).replace(path)
        _folder_to_disk(path.parent)
    except OSError as error:
        raise StoreError(f"The master key {path} cannot be replaced: {error.strerror}.") from error


def next_file(settings: Settings, store_id: str) -> Path:
    """Where a key waits to become the master key."""
    path = settings.key_file(store_id)
    return path.with_name(f"{path.name}.next")


def _folder_to_disk(folder: Path) -> None:
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextmanager
def _written_whole(path: Path, key: bytes) -> Iterator[Path]:
    """The key in a file beside `path`, to be put there: nobody ever reads one that is half written."""
    beside = path.with_name(f"{path.name}.part")
    beside.unlink(missing_ok=True)
    try:
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(base64.b64encode(key) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        yield beside
    finally:
        beside.unlink(missing_ok=True)


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
