r"""Answers http-01 by files in the folder of a web server that is there already.

For each challenge a file is written to `.well-known/acme-challenge` in the site's root folder, and removed afterwards;
one that a killed run has left is removed by the certificate's next run, or with the certificate.
The web server must serve that folder on port 80 as it is, files without an extension included; a redirect to https is
fine. Choose it where a web server holds port 80 of the machine.

On Windows, and where the root folder looks like one of IIS (`web.config` or `iisstart.htm` in it), a `web.config` is
written beside the answers, so that IIS serves files without an extension and no inherited redirect applies to them. One
that is there already stays as it is; ours is removed with the last answer.

Where the folder is copied to several servers (DFS Replication, rsync), `timeout` is how long the copy may take: until
then it is looked again whether all of them have the answers.

Nothing is written but below the folders that the administrator has named (the setting `file_folders`): that is looked
at when the solver is chosen and again whenever it works, with all links followed. Where they are not said, they are
those in which web sites usually lie: `/var/www`, `/srv` and `/usr/share/nginx`, on Windows `C:\inetpub`.
"""

import itertools
import os
import re
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import Field, field_validator

from certwright.domain.errors import SolverError
from certwright.probe import iis
from certwright.probe.dns.resolver import as_outsider
from certwright.probe.http01 import CHALLENGE_PATH, look
from certwright.probe.precheck import Precheck
from certwright.sdk.context import SolverContext
from certwright.sdk.params import by_name_field, host
from certwright.sdk.places import Places
from certwright.sdk.solver import Challenge, Solver
from certwright.targets.folder import Folder, LeadsOut, allowed, opened

_TOKEN = re.compile(r"[A-Za-z0-9_-]{1,200}")
_FOLDERS = tuple(CHALLENGE_PATH.strip("/").split("/"))
_ATTEMPTS = 100
_PAUSE_SECONDS = 1.0
_WEB_CONFIG = "web.config"
_OUR_WEB_CONFIG = f"{iis.WEB_CONFIG}<!-- Certwright removes this file with the last challenge file beside it. -->\n"


class Params(Precheck):
    """Which folder to write to."""

    path: Path = Field(description="Root folder of the web site, as an absolute path.")
    paths: dict[str, Path] = by_name_field("Root folders of names that have a site of their own, by name.")

    timeout: float = Field(
        default=0, ge=0, le=3600, description="Seconds that it may take until the folder is copied to all servers."
    )

    @field_validator("path", "paths")
    @classmethod
    def _is_absolute(cls, value: Path | dict[str, Path]) -> Path | dict[str, Path]:
        for path in value.values() if isinstance(value, dict) else [value]:
            if not path.is_absolute():
                raise ValueError(f"{path} is not an absolute path")
        return value

    @field_validator("paths")
    @classmethod
    def _are_hosts(cls, value: dict[str, Path]) -> dict[str, Path]:
        read = {host(name): path for name, path in value.items()}
        if len(read) < len(value):
            raise ValueError("two folders are for the same name")
        return read


class Webroot(Solver[Params]):
    """Leaves the answers where a web server finds them."""

    Params = Params
    commands = True
    types = frozenset({"http-01"})
    _made: tuple[tuple[Path, int], ...] = ()
    """Folders that were made, each with the root above it and how deep it lies."""

    def __init__(self, params: Any, context: SolverContext) -> None:
        super().__init__(params, context)
        self.check_places(params, context.places)

    @classmethod
    def check_places(cls, params: Any, places: Places) -> None:
        """Each root folder must be below one for files."""
        for folder in (params.path, *params.paths.values()):
            allowed(folder, places.files)

    @property
    def looks(self) -> bool:
        """As was chosen."""
        return self.params.precheck

    def present(self, challenges: Sequence[Challenge]) -> None:
        """Write a file for each challenge."""
        self.context.outstanding.remember(challenges)
        causes: list[str] = []
        for challenge in challenges:
            try:
                self._write(challenge)
            except (OSError, LeadsOut, _Refused) as error:
                reason = error.strerror or error if isinstance(error, OSError) else error
                causes.append(f"{challenge.identifier}: {self._root(challenge)}: {reason}.")
        if causes:
            raise SolverError(
                f"{len(causes)} of {len(challenges)} answers could not be written to the web server's folder.",
                causes=causes,
                hint="Make the folder writable for this user, or name the one that the web server serves on port 80: "
                "certwright validation set CERT webroot --path FOLDER",
            )

    def check(self, challenges: Sequence[Challenge]) -> None:
        """Fetch each answer as the authority will; again while servers may not have got their copy.

        Raises:
            SolverError: with one cause for each wrong answer.
        """
        end = time.monotonic() + self.params.timeout
        fetch = partial(look, resolver=as_outsider(self.context.resolvers))
        for attempt in itertools.count():
            try:
                self.params.check(challenges, self.context.journal, fetch)
            except SolverError as error:
                if time.monotonic() >= end:
                    raise
                if not attempt:
                    told = " ".join([error.message, *map(str, error.causes)])
                    self.context.journal.note(f"Looked again for up to {self.params.timeout:g} s: {told}")
                time.sleep(_PAUSE_SECONDS)
            else:
                return

    def clean_up(self, challenges: Sequence[Challenge]) -> None:
        """Remove the answers, whichever run wrote them, and the folders that this one made if they are empty."""
        self.context.guard()
        stuck: dict[Challenge, str] = {}
        for challenge in challenges:
            try:
                self._remove(challenge)
            except OSError as error:
                stuck[challenge] = f"{self._file(challenge)}: {error.strerror or error}."
        for root in {self._root(challenge) for challenge in challenges}:
            with suppress(OSError, LeadsOut), opened(root, self.context.places.files) as site:
                _remove_web_config(_down(site, _FOLDERS))
        for root, depth in reversed(self._made):
            with suppress(OSError, LeadsOut), opened(root, self.context.places.files) as site:
                _down(site, _FOLDERS[:depth]).remove_folder(_FOLDERS[depth])  # fails if it is not empty, or gone
        self.context.outstanding.forget([challenge for challenge in challenges if challenge not in stuck])
        if stuck:
            raise SolverError(
                f"{len(stuck)} of {len(challenges)} answers could not be removed from the web server's folder.",
                causes=[*stuck.values()],
                hint="Make the folder writable for this user, or remove them by hand.",
            )

    def _remove(self, challenge: Challenge) -> None:
        """Remove one if it is there and is what we wrote."""
        if _TOKEN.fullmatch(challenge.token):
            with (
                suppress(FileNotFoundError, NotADirectoryError, LeadsOut),  # gone, or not where we write
                opened(self._root(challenge), self.context.places.files) as site,
            ):
                folder = _down(site, _FOLDERS)
                folder.tidy(challenge.token)
                if folder.holds(challenge.token, challenge.key_authorization):
                    folder.remove(challenge.token)

    def _file(self, challenge: Challenge) -> Path:
        return self._root(challenge).joinpath(*_FOLDERS, challenge.token)

    def _root(self, challenge: Challenge) -> Path:
        return self.params.paths.get(challenge.identifier.value, self.params.path)

    def _write(self, challenge: Challenge) -> None:
        root = self._root(challenge)
        if not _TOKEN.fullmatch(challenge.token):
            raise _Refused("the authority's token cannot be a file name")
        if not root.is_dir():
            raise _Refused("there is no such folder")
        for _ in range(_ATTEMPTS):
            with (
                suppress(FileNotFoundError, FileExistsError),  # another run has just removed or made the same
                opened(root, self.context.places.files) as site,
            ):
                folder = self._make_folders(root, site)
                folder.write(challenge.token, challenge.key_authorization)
                if os.name == "nt" or any(name.lower() in iis.SIGNS for name in site.names()):
                    _add_web_config(folder)
                return
        raise _Refused("others change the folder for the answers again and again")

    def _make_folders(self, root: Path, site: Folder) -> Folder:
        folder = site
        for depth, part in enumerate(_FOLDERS):
            if folder.make(part):
                self._made += ((root, depth),)
            folder = folder.within(part)
        return folder


class _Refused(Exception):
    """A reason of our own not to write."""


def _down(folder: Folder, parts: Sequence[str]) -> Folder:
    for part in parts:
        folder = folder.within(part)
    return folder


def _add_web_config(folder: Folder) -> None:
    """Let IIS serve the folder's files, unless somebody has settled that already."""
    if not any(name.lower() == _WEB_CONFIG for name in folder.names()):
        folder.write(_WEB_CONFIG, _OUR_WEB_CONFIG)


def _remove_web_config(folder: Folder) -> None:
    """Remove ours once no answer lies beside it.

    Who writes an answer looks for the file afterwards; so an answer that came while it was removed is seen here.
    """
    while folder.holds(_WEB_CONFIG, _OUR_WEB_CONFIG) and folder.names() == [_WEB_CONFIG]:
        folder.remove(_WEB_CONFIG)
        if folder.names():
            _add_web_config(folder)
