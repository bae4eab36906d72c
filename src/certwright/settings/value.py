"""What the settings come to: from the command line, the environment, the settings file, and who runs it."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from certwright.domain.errors import ConfigurationError
from certwright.domain.proxy import DIRECT, SYSTEM, ProxyChoice
from certwright.settings.file import NAME, Given, read
from certwright.settings.known import KNOWN, PREFIX, whole

DATABASE = "certwright.db"
LISTEN = "127.0.0.1:8480"
FILE_FOLDERS = tuple(map(Path, ["C:/inetpub"] if os.name == "nt" else ["/var/www", "/srv", "/usr/share/nginx"]))
"""Where web sites usually lie."""
NOWHERE = "none"
"""What `listen` says where nothing is listened to."""
_BY_DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of one installation; nothing here says that the places exist.

    `key_folder` holds a master key file for each store, outside the data folder, so that a copy of that opens nothing.
    `master_key_file` names another file and `master_key` (base64) gives the key itself. `store_url` names a PostgreSQL
    database that keeps the store instead of a file in the data folder, and `store_password_file` a file with its
    password. `resolvers` (ADDRESS or ADDRESS:PORT) are asked for names as outsiders would ask; none means those of the
    system. Programs that a stored setting names are run from `script_folders` alone, and files written below
    `file_folders` alone. Requests to services outside leave by `proxy`. The service answers at `listen` (ADDRESS:PORT,
    or `NOWHERE`) to its own names and `hosts`, and presents the managed certificate `own_certificate`, or what the two
    `tls_` files hold. `file` is the settings file that was read; `origins` says of each value that is no default where
    it comes from.
    """

    data_folder: Path
    key_folder: Path
    master_key_file: Path | None = None
    master_key: str | None = field(default=None, repr=False)
    store_url: str | None = field(default=None, repr=False)
    store_password_file: Path | None = None
    resolvers: tuple[str, ...] = ()
    script_folders: tuple[Path, ...] = ()
    file_folders: tuple[Path, ...] = FILE_FOLDERS
    proxy: ProxyChoice = DIRECT
    listen: str = LISTEN
    hosts: tuple[str, ...] = ()
    own_certificate: str | None = None
    tls_certificate_file: Path | None = None
    tls_key_file: Path | None = None
    log_format: str = "text"
    file: Path | None = field(default=None, compare=False)
    origins: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def locate(
        cls, data: Path | None, environ: Mapping[str, str], *, file: Path | None = None, is_root: bool | None = None
    ) -> Self:
        """The settings for this user and this environment.

        Args:
            data: the data folder that was asked for on the command line.
            environ: the environment's variables: each setting's own (`Known.variable`), which wins over the file, and
                `CERTWRIGHT_SETTINGS`, the file. An empty one counts as missing.
            file: the settings file that was asked for on the command line; otherwise that of the environment,
                otherwise `certwright.toml` in the folder for configuration, if it is there.
            is_root: whether the defaults are those of the machine rather than of a user; None asks the system.

        Raises:
            ConfigurationError: with where a value is wrong and what is allowed, or if a home folder is not known.
        """
        if is_root is None:
            is_root = hasattr(os, "geteuid") and os.geteuid() == 0
        config = Path("/etc/certwright") if is_root else _base(environ, "XDG_CONFIG_HOME", ".config")
        path, given = _of_file(file, environ.get(PREFIX + "SETTINGS"), config / NAME)
        given |= _of_environment(environ)
        if data:
            given["data"] = Given(KNOWN["data"].checked(str(data), Path.cwd), "--data")
        if "data" not in given:
            usual = Path("/var/lib/certwright") if is_root else _base(environ, "XDG_DATA_HOME", ".local/share")
            given["data"] = Given(usual, _BY_DEFAULT)
        return cls(
            key_folder=config / "keys",
            proxy=_proxy(given),
            file=path,
            origins={name: one.where for name, one in given.items()},
            **{_FIELDS.get(name, name): one.value for name, one in given.items() if name not in _OF_PROXY},
        )

    def where(self, name: str) -> str:
        """Where the value of this setting comes from, for people."""
        return self.origins.get(name, _BY_DEFAULT)

    @contextmanager
    def blaming(self, name: str) -> Iterator[None]:
        """Say of an error in the block that this setting is wrong, where it was made, and what it takes."""
        try:
            yield
        except ConfigurationError as error:
            where = self.where(name)
            raise ConfigurationError(
                f"{where}: {name} cannot be used: {error.message}",
                hint=f"It takes {KNOWN[name].allowed_at(where)}. {error.hint}".rstrip(),
            ) from error

    @property
    def place(self) -> str:
        """Where the store is, for people."""
        return self.store_url or str(self.data_folder)

    @property
    def database(self) -> Path:
        """The store's SQLite file."""
        return self.data_folder / DATABASE

    @property
    def backups(self) -> Path:
        """The folder for backups by the day."""
        return self.data_folder / "backups"

    def key_file(self, store_id: str) -> Path:
        """The file with the master key of this store."""
        return self.master_key_file or self.key_folder / f"{store_id}.key"


def for_strangers(environ: Mapping[str, str]) -> dict[str, str]:
    """`environ` for a program that is not ours: without our own variables, the master key among them."""
    return {name: value for name, value in environ.items() if not name.upper().startswith(PREFIX)}


_FIELDS = {"data": "data_folder", "store": "store_url"}
_OF_PROXY = ("proxy", "proxy_credential", "proxy_ca_file")


def _of_file(asked: Path | None, of_environment: str | None, usual: Path) -> tuple[Path | None, dict[str, Given]]:
    """The settings file and what it says; that the usual one is missing is fine."""
    named = asked or (Path(of_environment) if of_environment else None)
    path = whole(str(named or usual), Path.cwd)
    try:
        return path, dict(read(path))
    except FileNotFoundError:
        if named is None:
            return None, {}
    raise ConfigurationError(
        f"There is no settings file {path}.", hint="Write it, or leave out --settings and CERTWRIGHT_SETTINGS."
    )


def _of_environment(environ: Mapping[str, str]) -> dict[str, Given]:
    found = {}
    for name, known in KNOWN.items():
        if text := environ.get(known.variable):
            try:
                found[name] = Given(known.of_text(text), known.variable)
            except ConfigurationError as error:
                raise ConfigurationError(f"{known.variable}: {error.message}", hint=error.hint) from None
    return found


def _proxy(given: Mapping[str, Given]) -> ProxyChoice:
    way, credential, roots = (given[name].value if name in given else None for name in _OF_PROXY)
    try:
        return ProxyChoice(way or SYSTEM, credential, roots)
    except ConfigurationError as error:
        raise ConfigurationError(f"{given['proxy'].where}: {error.message}", hint=error.hint) from None


def _base(environ: Mapping[str, str], name: str, default: str) -> Path:
    """A folder of the XDG base directory specification, which says that relative values are to be ignored."""
    text = environ.get(name, "")
    return (Path(text) if Path(text).is_absolute() else _home(environ) / default) / "certwright"


def _home(environ: Mapping[str, str]) -> Path:
    try:
        return Path(environ.get("HOME") or Path.home())
    except RuntimeError:
        raise ConfigurationError(
            "The home folder of this user is not known.", hint="Set HOME, or XDG_CONFIG_HOME and XDG_DATA_HOME."
        ) from None
