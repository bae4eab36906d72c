"""Where Certwright keeps its things: decided from `--data`, the environment and who runs it."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from certwright.domain.proxy import DIRECT, SYSTEM, ProxyChoice

DATABASE = "certwright.db"
_OWN = "CERTWRIGHT_"


@dataclass(frozen=True, slots=True)
class Settings:
    """The places of one installation; nothing here says that they exist.

    `key_folder` holds a master key file for each store, outside the data folder, so that a copy of that opens nothing.
    `master_key_file` names another file and `master_key` (base64) gives the key itself. `store_url` names a PostgreSQL
    database that keeps the store instead of a file in the data folder, and `store_password_file` a file with its
    password. `resolvers` (ADDRESS or
    ADDRESS:PORT) are asked for names as outsiders would ask; none means those of the system. Programs that a stored
    setting names are run from `script_folders` alone. Requests to services outside leave by `proxy`.
    """

    data_folder: Path
    key_folder: Path
    master_key_file: Path | None = None
    master_key: str | None = field(default=None, repr=False)
    store_url: str | None = field(default=None, repr=False)
    store_password_file: Path | None = None
    resolvers: tuple[str, ...] = ()
    script_folders: tuple[Path, ...] = ()
    proxy: ProxyChoice = DIRECT

    @classmethod
    def locate(cls, data: Path | None, environ: Mapping[str, str], *, is_root: bool | None = None) -> Self:
        """The places for this user and this environment.

        Args:
            data: the data folder that was asked for; otherwise `CERTWRIGHT_DATA`, otherwise the user's default.
            environ: the environment's variables; `CERTWRIGHT_STORE` is the `store_url`,
                `CERTWRIGHT_RESOLVERS` is separated by commas, `CERTWRIGHT_SCRIPT_FOLDERS` as `PATH` is;
                `CERTWRIGHT_PROXY` is `system` unless it is given.
            is_root: whether the defaults are those of the machine rather than of a user; None asks the system.

        Raises:
            RuntimeError: with a sentence, if a home folder is needed that is not known.
            ConfigurationError: if `CERTWRIGHT_PROXY` is no proxy.
        """
        if is_root is None:
            is_root = hasattr(os, "geteuid") and os.geteuid() == 0
        config = Path("/etc/certwright") if is_root else _base(environ, "XDG_CONFIG_HOME", ".config")
        wanted = _path(data) or _path(environ.get("CERTWRIGHT_DATA"))
        if wanted is None:
            wanted = Path("/var/lib/certwright") if is_root else _base(environ, "XDG_DATA_HOME", ".local/share")
        folders = environ.get("CERTWRIGHT_SCRIPT_FOLDERS", "")
        return cls(
            data_folder=wanted,
            key_folder=config / "keys",
            master_key_file=_path(environ.get("CERTWRIGHT_MASTER_KEY_FILE")),
            master_key=environ.get("CERTWRIGHT_MASTER_KEY") or None,
            store_url=environ.get("CERTWRIGHT_STORE") or None,
            store_password_file=_path(environ.get("CERTWRIGHT_STORE_PASSWORD_FILE")),
            resolvers=tuple(filter(None, map(str.strip, environ.get("CERTWRIGHT_RESOLVERS", "").split(",")))),
            script_folders=tuple(filter(None, map(_path, folders.split(os.pathsep)))),
            proxy=ProxyChoice(
                environ.get("CERTWRIGHT_PROXY") or SYSTEM,
                environ.get("CERTWRIGHT_PROXY_CREDENTIAL") or None,
                _path(environ.get("CERTWRIGHT_PROXY_CA_FILE")),
            ),
        )

    @property
    def place(self) -> str:
        """Where the store is, for people."""
        return self.store_url or str(self.data_folder)

    @property
    def database(self) -> Path:
        """The store's SQLite file."""
        return self.data_folder / DATABASE

    def key_file(self, store_id: str) -> Path:
        """The file with the master key of this store."""
        return self.master_key_file or self.key_folder / f"{store_id}.key"


def for_strangers(environ: Mapping[str, str]) -> dict[str, str]:
    """`environ` for a program that is not ours: without our own variables, the master key among them."""
    return {name: value for name, value in environ.items() if not name.upper().startswith(_OWN)}


def _path(text: str | Path | None) -> Path | None:
    if not text:
        return None
    try:
        return Path(text).expanduser().absolute()
    except RuntimeError:
        raise RuntimeError(f"The home folder in {text} is not known: write the whole path.") from None


def _base(environ: Mapping[str, str], name: str, default: str) -> Path:
    """A folder of the XDG base directory specification, which says that relative values are to be ignored."""
    text = environ.get(name, "")
    return (Path(text) if Path(text).is_absolute() else _home(environ) / default) / "certwright"


def _home(environ: Mapping[str, str]) -> Path:
    try:
        return Path(environ.get("HOME") or Path.home())
    except RuntimeError:
        raise RuntimeError(
            "The home folder of this user is not known: set HOME, or XDG_CONFIG_HOME and XDG_DATA_HOME."
        ) from None
