"""Key files as somebody brought them.

How long a password takes to check is told by the file itself, and may be hours in which the interpreter does nothing
else; so a process of its own reads what is protected by one, and is ended in time.
"""

import base64
import sys
import threading
from datetime import timedelta
from enum import StrEnum

from pydantic import BaseModel, Field

from certwright.domain.certificates import load_certificates, pem
from certwright.domain.errors import InvalidMaterial, Throttled
from certwright.domain.formats import Contents, pfx_contents
from certwright.domain.keys import PrivateKey, has_private_key, is_pfx, load_private_key, private_key_pem
from certwright.sdk.apart import Late, NoReport, answer, done_apart

SECONDS = 15
_MOST_MEMORY = 1 << 30
_AT_ONCE = threading.BoundedSemaphore(2)
_SOON = timedelta(seconds=5)


class _Wanted(StrEnum):
    KEY = "key"
    CERTIFICATES = "certificates"


class _Job(BaseModel):
    """What is to be read; bytes are in base64."""

    wanted: _Wanted
    data: str = Field(repr=False)
    password: str | None = Field(repr=False)


class _Report(BaseModel):
    """PEM without a password, and whether there is a key beside it; or why it cannot be read."""

    pem: str = Field(default="", repr=False)
    has_key: bool = False
    message: str = ""
    hint: str = ""


def read_private_key(data: bytes, password: bytes | None) -> PrivateKey:
    """As `domain.keys.load_private_key`, within `SECONDS`.

    Raises:
        InvalidMaterial: as there, or if it takes longer.
        Throttled: if as many are being read already as may be at once.
    """
    if password is None and not is_pfx(data):
        return load_private_key(data)
    return load_private_key(_read(_Wanted.KEY, data, password).pem.encode())


def read_contents(data: bytes, password: bytes | None) -> Contents:
    """What a PEM, DER or PFX file holds, within `SECONDS`; a key in it stays there.

    Raises:
        InvalidMaterial: if it has no certificate that can be read, or it takes longer.
        Throttled: if as many are being read already as may be at once.
    """
    if not is_pfx(data):
        return Contents(tuple(load_certificates(data)), has_private_key(data))
    report = _read(_Wanted.CERTIFICATES, data, password)
    return Contents(tuple(load_certificates(report.pem.encode())), report.has_key)


def _read(wanted: _Wanted, data: bytes, password: bytes | None) -> _Report:
    shown = None if password is None else base64.b64encode(password).decode()
    job = _Job(wanted=wanted, data=base64.b64encode(data).decode(), password=shown)
    if not _AT_ONCE.acquire(blocking=False):  # who waited would keep a thread from all others
        raise Throttled(
            "Other key files are being read at this moment.", hint="Try again in a few seconds.", retry_after=_SOON
        )
    try:
        report = done_apart(__name__, job, _Report, SECONDS)
    except Late:
        raise _late() from None
    except NoReport as ended:
        raise InvalidMaterial(f"The key file cannot be read: {ended}.") from None
    finally:
        _AT_ONCE.release()
    if report.message:
        raise InvalidMaterial(report.message, hint=report.hint)
    return report


def _late() -> InvalidMaterial:
    return InvalidMaterial(
        f"The key file was not read within {SECONDS} seconds: so much work protects its password, or this machine is "
        "busy.",
        hint="Write it anew with fewer iterations, for example: openssl pkcs12 -export -iter 100000 ..., or without a "
        "password.",
    )


def _work(job: _Job) -> _Report:
    data, password = base64.b64decode(job.data), None if job.password is None else base64.b64decode(job.password)
    try:
        if job.wanted is _Wanted.KEY:
            return _Report(pem=private_key_pem(load_private_key(data, password)).decode(), has_key=True)
        found = pfx_contents(data, password)
    except InvalidMaterial as error:
        return _Report(message=error.message, hint=error.hint)
    return _Report(pem=pem(found.certificates).decode(), has_key=found.has_key)


def _bound_memory() -> None:
    if sys.platform != "win32":
        import resource  # noqa: PLC0415 - not on Windows

        resource.setrlimit(resource.RLIMIT_AS, (_MOST_MEMORY, _MOST_MEMORY))


if __name__ == "__main__":
    _bound_memory()
    answer(_Job, _work)
