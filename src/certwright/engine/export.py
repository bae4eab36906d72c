"""The current version as files; written each at once and whole, keys readable by their owner alone."""

import os
import tempfile
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding

from certwright.domain.access import Permission
from certwright.domain.audit import Action
from certwright.domain.certificates import pem
from certwright.domain.credentials import SignIn
from certwright.domain.errors import ConfigurationError, InvalidMaterial, NotFound
from certwright.domain.formats import PfxCipher, intermediates, pkcs7_bytes, pkcs12_bytes
from certwright.domain.keys import PrivateKey, private_key_pem
from certwright.engine.context import Engine
from certwright.engine.material import current_version, material
from certwright.sdk.context import Material
from certwright.store.managed import subject

MEDIA_TYPES = {
    "pfx": "application/x-pkcs12",
    "pem": "application/x-pem-file",
    "der": "application/pkix-cert",
    "p7b": "application/x-pkcs7-certificates",
}


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


@dataclass(frozen=True, slots=True)
class Content:
    """What a file is to hold, under which name."""

    name: str
    data: bytes = field(repr=False)
    secret: bool

    @property
    def media_type(self) -> str:
        """What is in it, for programs."""
        return MEDIA_TYPES[self.name.rpartition(".")[2]]


def export(
    engine: Engine, reference: str, folder: Path, form: ExportFormat, *, cipher: PfxCipher, password: str | None
) -> list[ExportedFile]:
    """Write the current version into `folder`.

    Raises:
        ConfigurationError: as `contents`, or if the folder cannot be written.
    """
    files = contents(engine, reference, form, cipher=cipher, password=password)
    return [_write(folder / file.name, file.data, secret=file.secret) for file in files]


def contents(
    engine: Engine, reference: str, form: ExportFormat, *, cipher: PfxCipher, password: str | None
) -> list[Content]:
    """The files of the current version.

    `pem` writes certificate, chain and key apart; `fullchain` writes certificate and chain in one file, and the key;
    `pfx` writes all in one encrypted file, its password given here or by the managed certificate's credential; `der`
    writes the certificate alone, `p7b` its issuers alone, without the root.

    Raises:
        ConfigurationError: if there is nothing to write, or no password for a PFX.
        Forbidden: if there is a private key in it, and who asks may not take that out.
    """
    with engine.store.read() as unit:
        managed = unit.managed.get(reference)
        version = current_version(unit, managed)
        found = material(unit, version)
        if form is ExportFormat.PFX and password is None and managed.pfx_password_credential:
            password = unit.credentials.get(managed.pfx_password_credential, SignIn.PFX).password
    name = managed.identifiers[0].value.replace("*", "_").replace(":", "-")
    files = _files(found, form, cipher, password, managed.title)
    if secret := [f"{name}{suffix}" for suffix, _data, is_secret in files if is_secret]:
        engine.caller.require(Permission.KEYS)
        engine.note(Action.EXPORTED, subject(managed), {"files": secret, "version": version.id})
    return [Content(f"{name}{suffix}", data, is_secret) for suffix, data, is_secret in files]


def with_key(engine: Engine, reference: str, form: str, *, cipher: PfxCipher, password: str | None) -> Content:
    """The current version with its private key in one file.

    Args:
        engine: what to work with.
        reference: the managed certificate.
        form: `pfx`, or `pem` for the key, the certificate and its issuers.
        cipher: of a PFX.
        password: of a PFX; None for that of the managed certificate's credential.

    Raises:
        ConfigurationError, Forbidden: as `contents`.
        NotFound: if the private key is not here.
    """
    wanted = ExportFormat.PFX if form == "pfx" else ExportFormat.FULLCHAIN
    files = contents(engine, reference, wanted, cipher=cipher, password=password)
    if not any(file.secret for file in files):
        raise NotFound("Its private key is not here: it was made from your own signing request.")
    data = b"".join(file.data for file in sorted(files, key=lambda file: not file.secret))
    name = files[0].name.removesuffix(".fullchain.pem").removesuffix(".pfx")
    return Content(f"{name}.{form}", data, secret=True)


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
