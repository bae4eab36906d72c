"""The settings as people see them: without a secret, each with where it comes from."""

import re
from dataclasses import dataclass

from certwright.settings.known import KNOWN
from certwright.settings.value import Settings

_PASSWORDS = re.compile(r"(?<=:)[^/@:]*(?=@)|(?<=password=)[^&\s]*")


@dataclass(frozen=True, slots=True)
class Shown:
    """One setting: `value` is empty where nothing is set, `where` says who set it."""

    name: str
    value: str
    where: str


def shown(settings: Settings) -> list[Shown]:
    """All, in the order of the documentation."""
    proxy = settings.proxy
    values = {
        "data": settings.data_folder,
        "store": without_passwords(settings.store_url or ""),
        "store_password_file": settings.store_password_file,
        "master_key_file": settings.master_key_file,
        "master_key": "given, and not shown" if settings.master_key else "",
        "listen": settings.listen,
        "hosts": settings.hosts,
        "own_certificate": settings.own_certificate,
        "tls_certificate_file": settings.tls_certificate_file,
        "tls_key_file": settings.tls_key_file,
        "resolvers": settings.resolvers,
        "proxy": proxy.way,
        "proxy_credential": proxy.credential,
        "proxy_ca_file": proxy.roots,
        "script_folders": settings.script_folders,
        "file_folders": settings.file_folders,
        "log_format": settings.log_format,
    }
    return [Shown(name, _text(values[name]), settings.where(name)) for name in KNOWN]


def without_passwords(url: str) -> str:
    """The address of a database, fit to be shown."""
    return _PASSWORDS.sub("...", url)


def _text(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return "" if value is None else str(value)
