"""One installation of Certwright in a folder, and the authority it asks: what most end-to-end tests begin with."""

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from certwright import store
from certwright.acme_server import AcmeServer, AcmeServerConfig
from certwright.domain.managed import ManagedCertificate
from certwright.domain.runs import Entry
from certwright.domain.validation import Validation
from certwright.engine.context import Engine
from certwright.engine.issuers import add_issuer
from certwright.engine.journal import Listen
from certwright.engine.managed import Wish, create
from certwright.settings import Settings
from certwright.wiring import open_engine, utc_now
from peers.acme_server import loopback_config
from world import processes, stores
from world.hurry import command_line
from world.processes import Ended, Running

NAMES = ("mail.contoso.test", "autodiscover.contoso.test")
ISSUER = "house-ca"


@dataclass(frozen=True, slots=True)
class Authority:
    """Our ACME server; it validates every name at `http_port`, or at `tls_port`, of loopback."""

    server: AcmeServer
    http_port: int
    tls_port: int

    @property
    def http_address(self) -> str:
        """Where http-01 is answered."""
        return f"127.0.0.1:{self.http_port}"

    @property
    def params(self) -> dict[str, Any]:
        """The parameters of an issuer here."""
        return {
            "directory": self.server.directory_url,
            "email": "postmaster@contoso.test",
            "ca_file": str(self.server.ca_file),
            "agree_tos": True,
        }

    @property
    def validation(self) -> Validation:
        """How names are proved to it."""
        listen = {"address": "127.0.0.1", "port": self.http_port, "check_via": self.http_address}
        return Validation(challenge="http-01", solver="http_listener", params=listen)

    @property
    def issuer_options(self) -> list[str]:
        """The same for the command line."""
        server = self.server
        options = ["--directory", server.directory_url, "--email", "postmaster@contoso.test", "--agree-tos"]
        return [*options, "--ca-file", str(server.ca_file)]

    @property
    def http_options(self) -> list[str]:
        """The same for the command line."""
        return ["--http-address", self.http_address, "--http-check-via", self.http_address]


@contextmanager
def authority(
    config: AcmeServerConfig | None = None,
    hosts: Mapping[str, tuple[str, ...]] | None = None,
    resolver: str | None = None,
    http_port: int | None = None,
    tls_port: int | None = None,
) -> Iterator[Authority]:
    """An authority for which every name is this machine, or for which these `hosts` and `resolver` are all there is."""
    loopback = loopback_config(config, http_port=http_port, tls_port=tls_port)
    if hosts is not None or resolver:
        validation = replace(loopback.validation, hosts=hosts or {}, resolver=resolver)
        loopback = replace(loopback, validation=validation)
    with AcmeServer(loopback) as server:
        yield Authority(server, loopback.validation.http_port, loopback.validation.tls_port)


@dataclass(frozen=True, slots=True)
class Site:
    """One installation, or a node of one whose store is at `store_url`.

    It asks `resolvers`, or those of the system, runs programs from `script_folders`, and writes
    files where tests have their folders.
    """

    folder: Path
    resolvers: tuple[str, ...] = ()
    script_folders: tuple[Path, ...] = ()
    store_url: str | None = None

    @property
    def settings(self) -> Settings:
        """Its places."""
        places = Settings(self.folder / "data", key_folder=self.folder / "keys", master_key_file=self.key_file)
        return replace(
            places,
            resolvers=self.resolvers,
            script_folders=self.script_folders,
            file_folders=(self.folder.parent,),
            store_url=self.store_url,
        )

    @property
    def key_file(self) -> Path:
        """Its master key."""
        return self.folder / "keys" / "master.key"

    @property
    def environment(self) -> Mapping[str, str]:
        """What a command needs to work on it."""
        return {
            "CERTWRIGHT_DATA": str(self.settings.data_folder),
            "CERTWRIGHT_MASTER_KEY_FILE": str(self.key_file),
            "CERTWRIGHT_STORE": self.store_url or "",
            "CERTWRIGHT_LISTEN": "none",
            "HOME": str(self.folder),
            "COLUMNS": "200",
            "CERTWRIGHT_RESOLVERS": ",".join(self.resolvers),
            "CERTWRIGHT_SCRIPT_FOLDERS": os.pathsep.join(map(str, self.script_folders)),
            "CERTWRIGHT_FILE_FOLDERS": str(self.folder.parent),
        }

    def initialise(self) -> "Site":
        """Make its store."""
        make = store.create if self.store_url else stores.fresh
        make(self.settings)
        return self

    def copied(self, folder: Path) -> "Site":
        """Another one in the same state; nobody may be working on this one."""
        shutil.copytree(self.folder / "data", folder / "data")
        shutil.copytree(self.folder / "keys", folder / "keys")
        return Site(folder, self.resolvers)

    @contextmanager
    def engine(self, listen: Listen | None = None, now: Callable[[], datetime] = utc_now) -> Iterator[Engine]:
        """Its engine, in this process."""
        engine = replace(open_engine(self.settings, listen or _nobody), now=now)
        try:
            yield engine
        finally:
            engine.store.close()

    def begin(self, *arguments: str, given: str | bytes = b"", **variables: str) -> Running:
        """Start a command in a process of its own, with these `variables` in its environment too."""
        data = given.encode() if isinstance(given, str) else given
        environment = {**self.environment, **variables}
        return processes.start(command_line, *arguments, folder=self.folder, environment=environment, given=data)

    def cli(self, *arguments: str, given: str | bytes = b"", code: int | None = None) -> Ended:
        """Run a command in a process of its own, to its end; ``code`` is the exit code that it must have."""
        ended = self.begin(*arguments, given=given).wait()
        assert "Traceback" not in ended.told, ended.told
        assert code is None or ended.code == code, f"{arguments} ended with {ended.code}, not {code}:\n{ended.told}"
        return ended


def _nobody(_entry: Entry) -> None:
    """Nobody listens."""


def register(site: Site, ca: Authority, name: str = ISSUER, **params: Any) -> None:
    """Add the authority as an issuer."""
    with site.engine() as engine:
        add_issuer(engine, "acme", name, {**ca.params, **params}, internal_names=True, eab=None)


def describe(engine: Engine, ca: Authority, *names: str, **wish: Any) -> ManagedCertificate:
    """A managed certificate for `names`, with a key that costs nothing unless the wish says otherwise."""
    wanted = {"key_type": "ecdsa-p256", "validation": ca.validation, **wish}
    return create(engine, Wish(names=names or NAMES, issuer=ISSUER, **wanted))
