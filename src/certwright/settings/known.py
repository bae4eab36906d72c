"""Every setting: what it is called in the file and in the environment, what it takes, and what it means."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Any

from certwright.domain.errors import ConfigurationError

PREFIX = "CERTWRIGHT_"


class LogFormat(StrEnum):
    """How `certwright serve` writes lines to standard error."""

    TEXT = "text"
    JSON = "json"


class Takes(Enum):
    """The shape of a setting's value."""

    TEXT = "text"
    FOLDER_OR_FILE = "path"
    TEXTS = "list of texts"
    FOLDERS = "list of paths"

    @property
    def is_list(self) -> bool:
        """Whether it holds several."""
        return self in (Takes.TEXTS, Takes.FOLDERS)

    @property
    def is_path(self) -> bool:
        """Whether it names places on this machine."""
        return self in (Takes.FOLDER_OR_FILE, Takes.FOLDERS)


@dataclass(frozen=True, slots=True)
class Known:
    """One setting.

    `allowed` goes on after "takes", for people. `choices` are all values there are, where there are few. One that is
    `only_environment` is no part of the file.
    """

    name: str
    takes: Takes
    allowed: str
    meaning: str
    default: str = ""
    choices: tuple[str, ...] = ()
    only_environment: bool = False

    @property
    def variable(self) -> str:
        """The variable of the environment that gives it."""
        return PREFIX + self.name.upper()

    def allowed_at(self, where: str) -> str:
        """What it takes there: a variable of the environment holds one text."""
        if not self.takes.is_list or where != self.variable:
            return self.allowed
        return f"{self.allowed}, {'separated as in PATH' if self.takes.is_path else 'with commas between them'}"

    def of_text(self, text: str) -> Any:
        """What a variable of the environment says, checked; lists are divided by commas, folders as in `PATH`."""
        if not self.takes.is_list:
            return self.checked(text, Path.cwd)
        parts = text.split(os.pathsep if self.takes.is_path else ",")
        return self.checked([part.strip() for part in parts if part.strip()], Path.cwd)

    def checked(self, value: Any, folder: Callable[[], Path]) -> Any:
        """The value if it is one, its paths made whole from `folder`.

        Raises:
            ConfigurationError: if it is none, with what is allowed.
        """
        parts = value if self.takes.is_list and isinstance(value, list) else [value]
        fits = isinstance(value, list) is self.takes.is_list and all(isinstance(part, str) for part in parts)
        if not fits or any(not part.strip() or not part.isprintable() for part in parts):
            raise ConfigurationError(f"{self.name} takes {self.allowed}.")
        if self.choices and value not in self.choices:
            raise ConfigurationError(f"{self.name} takes {self.allowed}, and not {value[:40]!r}.")
        if self.takes.is_path:
            parts = [whole(part, folder) for part in parts]
        return tuple(parts) if self.takes.is_list else parts[0]


def whole(text: str, folder: Callable[[], Path]) -> Path:
    """The path, from `folder` unless it is whole.

    Raises:
        ConfigurationError: if it begins at the home of a user whom nobody knows.
    """
    try:
        path = Path(text).expanduser()
        return path if path.is_absolute() else folder() / path
    except RuntimeError:
        raise ConfigurationError(f"The home folder in {text} is not known.", hint="Write the whole path.") from None


_ALL = (
    Known(
        "data",
        Takes.FOLDER_OR_FILE,
        "a folder on a local disk",
        "The data folder: the store, logs and backups. `--data` wins over it.",
        "`/var/lib/certwright` for root, else `~/.local/share/certwright`",
    ),
    Known(
        "store",
        Takes.TEXT,
        "postgresql://USER@HOST:PORT/DATABASE",
        "A PostgreSQL database that keeps the store ([PostgreSQL](postgresql.md)).",
        "a file in the data folder",
    ),
    Known(
        "store_password_file",
        Takes.FOLDER_OR_FILE,
        "a file that its owner alone can read",
        "The password for that database.",
    ),
    Known(
        "master_key_file",
        Takes.FOLDER_OR_FILE,
        "a file outside the data folder that its owner alone can read",
        "The master key, where it is not in its usual place.",
        "`/etc/certwright/keys/STORE.key` for root, else `~/.config/certwright/keys/STORE.key`",
    ),
    Known(
        "master_key",
        Takes.TEXT,
        "the key in base64",
        "The master key itself; in the environment only.",
        only_environment=True,
    ),
    Known(
        "listen",
        Takes.TEXT,
        "ADDRESS:PORT, [IPV6]:PORT or none",
        "Where `certwright serve` offers the pages, the API, health and metrics. `--listen` wins over it. "
        "On any other address than one of loopback it speaks TLS alone.",
        "`127.0.0.1:8480`",
    ),
    Known(
        "hosts",
        Takes.TEXTS,
        "a list of host names",
        "Names by which browsers reach the pages, beside `localhost`, the address itself and those of its certificate.",
    ),
    Known(
        "own_certificate",
        Takes.TEXT,
        "the title, the id or a name of a managed certificate",
        "The managed certificate that the service presents itself; each new version at once.",
        "a self-signed one",
    ),
    Known(
        "tls_certificate_file",
        Takes.FOLDER_OR_FILE,
        "a PEM file with the certificate and its issuers",
        "What the service presents instead, where another program manages that; read again when it changes.",
    ),
    Known("tls_key_file", Takes.FOLDER_OR_FILE, "a PEM file with the private key", "The key for it."),
    Known(
        "resolvers",
        Takes.TEXTS,
        "a list of addresses, each ADDRESS, ADDRESS:PORT or [IPV6]:PORT",
        "Asked for names as outsiders would ask.",
        "those of the system",
    ),
    Known(
        "proxy",
        Takes.TEXT,
        "system, none or http://HOST:PORT",
        "The way to services outside ([proxy](proxy.md)).",
        "`system`",
    ),
    Known("proxy_credential", Takes.TEXT, "the name of a stored credential", "What the proxy wants."),
    Known(
        "proxy_ca_file",
        Takes.FOLDER_OR_FILE,
        "a PEM file",
        "What the proxy signs with, where it opens TLS to look inside.",
    ),
    Known(
        "script_folders",
        Takes.FOLDERS,
        "a list of folders",
        "Programs that tasks and DNS providers name are run from these alone.",
        "none: no program is run",
    ),
    Known(
        "file_folders",
        Takes.FOLDERS,
        "a list of folders",
        "Files are written below these alone where a task or solver names a folder, as `webroot` does.",
        "`/var/www`, `/srv` and `/usr/share/nginx`; on Windows `C:\\inetpub`",
    ),
    Known(
        "log_format",
        Takes.TEXT,
        "text or json",
        "What `certwright serve` writes to standard error: lines for people, or JSON. `--log-format` wins over it.",
        "`text`",
        choices=tuple(LogFormat),
    ),
)
KNOWN = MappingProxyType({known.name: known for known in _ALL})
