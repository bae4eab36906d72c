"""Backups: the whole store in one encrypted file that the recovery key alone opens.

A file is ``CWBACKUP``, the length of the head in four bytes (the greatest first), the head as JSON, and the database as
`sealed_file` encrypts it. Its key is made from the data key and a random salt. The head holds the data key as the
recovery key of that time wraps it: so no recovery key is needed to write a file, and later changes of keys do not close
it.
"""

import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from certwright.domain.errors import StoreError
from certwright.store import identity, integrity, schema, sealed_file
from certwright.store.crypto import Cipher
from certwright.store.database import Database
from certwright.store.keys import Keys
from certwright.store.sqlite import SqliteFile

FORMAT = 1
_MAGIC = b"CWBACKUP"
_LENGTH_BYTES = 4
_MAX_HEAD = 16 * 1024
_PURPOSE = b"certwright backup"
_SALT_BYTES = 32
_ANOTHER = "Use another backup of this store."


class Head(BaseModel):
    """What a backup says of itself in clear; all of it is authenticated."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_bytes="base64", val_json_bytes="base64")

    format: int = FORMAT
    store: str
    made_at: AwareDatetime
    revision: str
    salt: bytes
    key_by_recovery: bytes


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup that was written and read back. `rows` are those of each table, `size` is in bytes."""

    path: Path
    head: Head
    rows: Mapping[str, int]
    size: int


def write(database: Database, keys: Keys, target: Path, at: datetime) -> Backup:
    """Copy the store as it is at one moment to the new file `target`, which appears when it has been read back.

    One process does this at a time: the caller holds a lease for it.

    Raises:
        StoreError: if the file is there already, cannot be written, or does not hold what was written.
    """
    file = database.backend
    if not isinstance(file, SqliteFile):
        raise StoreError(
            f"The store {file.name} is backed up on its server, and not by this command.",
            hint="Use pg_dump, or what is used for the other databases there.",
        )
    partial = target.with_name(f".{target.name}.partial")
    copy = file.path.with_name(".backup.db")
    try:
        file.copy(copy)
        head, rows, cipher = _describe(copy, keys, at)
        key, text = cipher.derive(_PURPOSE, head.salt), _encoded(head)
        with copy.open("rb") as plain, _private(partial) as sealed:
            sealed.write(text)
            sealed_file.seal(plain, sealed, key, text)
            _to_disk(sealed)
        _verify(partial, cipher, copy, rows)
        _publish(partial, target)
        return Backup(target, head, rows, target.stat().st_size)
    except OSError as error:
        raise StoreError(
            f"The backup {target} cannot be written: {error.strerror}.", hint="Choose another folder or disk."
        ) from error
    finally:
        for left in (partial, copy):
            left.unlink(missing_ok=True)


@contextmanager
def opened(source: Path) -> Iterator[tuple[Head, BinaryIO, bytes]]:
    """The head of a backup, the file behind it, and the head as it is written.

    Raises:
        StoreError: if it is no backup, a later version's, damaged, or cannot be read.
    """
    try:
        with source.open("rb") as file:
            head, text = _read_head(file, source)
            yield head, file, text
    except OSError as error:
        raise StoreError(f"The backup {source} cannot be read: {error.strerror}.") from error


def unpack(source: Path, cipher: Cipher, plain: Path) -> None:
    """Decrypt a backup into `plain`, which is there and its owner's alone, and check that it is a whole database.

    Args:
        source: the backup.
        cipher: of the data key that the store had when the backup was made.
        plain: becomes the database.

    Raises:
        StoreError: if it was changed or cut short.
    """
    with opened(source) as (head, file, text), plain.open("wb") as copy:
        try:
            sealed_file.unseal(file, copy, cipher.derive(_PURPOSE, head.salt), text)
        except sealed_file.Damaged as damage:
            raise StoreError(
                f"The backup {source} is damaged or was cut short: {damage} of it is not what was written.",
                hint=_ANOTHER,
            ) from None
        _to_disk(copy)
    with closing(Database(SqliteFile(plain))) as database, database.read() as connection:
        if found := list(integrity.problems(connection)):
            raise StoreError(
                f"The backup {source} holds a damaged database.",
                causes=found,
                hint=f"{_ANOTHER} `certwright check` tells whether the store itself is damaged.",
            )


def _read_head(file: BinaryIO, source: Path) -> tuple[Head, bytes]:
    begin = file.read(len(_MAGIC) + _LENGTH_BYTES)
    if not begin.startswith(_MAGIC):
        raise StoreError(f"{source} is not a backup of Certwright.", hint="Name a file that `certwright backup` made.")
    length = int.from_bytes(begin[len(_MAGIC) :])
    text = file.read(min(length, _MAX_HEAD))
    try:
        written_by = _Format.model_validate_json(text).format
        if written_by != FORMAT:
            raise StoreError(
                f"The backup {source} has format {written_by}; this version of Certwright reads format {FORMAT}.",
                hint="Use the version of Certwright that made it, or a later one.",
            )
        return Head.model_validate_json(text), begin + text
    except ValidationError:
        raise StoreError(
            f"The backup {source} is damaged or was cut short: its head cannot be read.", hint=_ANOTHER
        ) from None


class _Format(BaseModel):
    format: int


def _describe(copy: Path, keys: Keys, at: datetime) -> tuple[Head, Mapping[str, int], Cipher]:
    with closing(Database(SqliteFile(copy))) as database, database.read() as connection:
        own = identity.read(connection, str(copy))
        rows, cipher = integrity.rows(connection), keys.cipher(connection)
    head = Head(
        store=own.id,
        made_at=at,
        revision=schema.REVISION,
        salt=secrets.token_bytes(_SALT_BYTES),
        key_by_recovery=own.key_by_recovery,
    )
    return head, rows, cipher


def _encoded(head: Head) -> bytes:
    text = head.model_dump_json().encode()
    return _MAGIC + len(text).to_bytes(_LENGTH_BYTES) + text


def _verify(partial: Path, cipher: Cipher, copy: Path, rows: Mapping[str, int]) -> None:
    """Read back what is on the disk, into the place of the copy that it was made from."""
    unpack(partial, cipher, copy)
    with closing(Database(SqliteFile(copy))) as database, database.read() as connection:
        if integrity.rows(connection) != rows:
            raise StoreError("The backup does not hold what the store holds.", hint="Try again; look at the disk.")


def _publish(partial: Path, target: Path) -> None:
    if os.path.lexists(target):
        raise StoreError(f"{target} is there already.", hint="Name another file, or a folder.")
    partial.rename(target)
    if os.name == "posix":
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _private(path: Path) -> BinaryIO:
    """A file for its owner alone, in place of what a killed backup left."""
    path.unlink(missing_ok=True)
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


def _to_disk(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())
