"""Write the current version to files, each at once and whole; keys readable by their owner alone."""

import os
import tempfile
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding

from certwright.domain.certificates import pem
from certwright.domain.errors import ConfigurationError, InvalidMaterial
from certwright.domain.formats import PfxCipher, intermediates, pkcs7_bytes, pkcs12_bytes
from certwright.domain.keys import PrivateKey, private_key_pem
from certwright.engine.context import Engine
from certwright.engine.material import current_version, material
from certwright.sdk.context import Material


class ExportFormat(StrEnum):
    """What can be written."""

    PEM = "pem"
    FULLCHAIN = "fullchain"
    PFX = "pfx"
    DER = "der"
    P7B = "p7b"


@dataclass(frozen=True, slots=True)
class ExportedFile:
    """One file that was written."""

    path: Path
    secret: bool


def export(
    engine: Engine, reference: str, folder: Path, form: ExportFormat, *, cipher: PfxCipher, password: str | None
) -> list[ExportedFile]:
    """Write the current version into `folder`.

    `pem` writes certificate, chain and key apart; `fullchain` writes certificate and chain in one file, and the key;
    `pfx` writes all in one encrypted file, its password given here or by the managed certificate's credential; `der`
    writes the certificate alone, `p7b` its issuers alone, without the root.

    Raises:
        ConfigurationError: if there is nothing to write, no password for a PFX, or the folder cannot be written.
    """
    with engine.store.read() as unit:
        managed = unit.managed.get(reference)
        found = material(unit, current_version(unit, managed))
        if form is ExportFormat.PFX and password is None and managed.pfx_password_credential:
            password = unit.credentials.get(managed.pfx_password_credential).password
    name = managed.identifiers[0].value.replace("*", "_").replace(":", "-")
    files = _files(found, form, cipher, password, managed.title)
    return [_write(folder / f"{name}{suffix}", data, secret=secret) for suffix, data, secret in files]


def _files(
    found: Material, form: ExportFormat, cipher: PfxCipher, password: str | None, title: str
) -> list[tuple[str, bytes, bool]]:
    leaf, *rest = found.chain
    match form:
        case ExportFormat.DER:
            return [(".der", leaf.public_bytes(Encoding.DER), False)]
        case ExportFormat.P7B:
            return [(".issuers.p7b", pkcs7_bytes(intermediates(found.chain)), False)]
        case ExportFormat.PFX:
            if not password:
                raise ConfigurationError(
                    "A PFX needs a password.", hint="Give --password-file, or set --pfx-password-credential."
                )
            return [(".pfx", pkcs12_bytes(_key(found), found.chain, password, cipher, title), True)]
        case ExportFormat.FULLCHAIN:
            files = [(".fullchain.pem", pem(found.chain), False)]
        case _:
            files = [(".cert.pem", pem([leaf]), False), (".chain.pem", pem(rest), False)]
    return [*files, (".key.pem", private_key_pem(_key(found)), True)] if found.key else files


def _key(found: Material) -> PrivateKey:
    if found.key is None:
        raise InvalidMaterial(
            "The private key is not here: the certificate was made from your own signing request.",
            hint="Export der, pem or fullchain, and join it with the key where the key is.",
        )
    return found.key


def _write(path: Path, data: bytes, *, secret: bool) -> ExportedFile:
    """Write beside and rename: a reader sees the old file or the new one, never a half."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise ConfigurationError(f"{path.parent} cannot be written: {error.strerror}.") from error
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            os.fchmod(file.fileno(), 0o600 if secret else 0o644)
            file.flush()
            os.fsync(file.fileno())
        Path(beside).replace(path)
    except OSError as error:
        Path(beside).unlink(missing_ok=True)
        raise ConfigurationError(f"{path} cannot be written: {error.strerror}.") from error
    return ExportedFile(path, secret)
