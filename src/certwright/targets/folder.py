"""Folders of the administrator on this machine in which files are written: below the allowed ones alone.

Where the system can (not on Windows), each folder is opened from the one above it, and no link is followed on the way:
so nobody puts another one in its place between the look and the act.
"""

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from certwright.domain.errors import ConfigurationError

_BY_DESCRIPTOR = {os.open, os.mkdir, os.rmdir, os.unlink, os.rename, os.stat, os.chmod} <= os.supports_dir_fd
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)
_FOLDER = getattr(os, "O_PATH", os.O_RDONLY) | getattr(os, "O_DIRECTORY", 0) | _NO_LINK
_READ = os.O_RDONLY | _NO_LINK | getattr(os, "O_NONBLOCK", 0)
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_LINK


class LeadsOut(Exception):
    """A link on the way leads out of the folder."""


def allowed(folder: Path, folders: Sequence[Path]) -> Path:
    """Which of `folders`, those that the administrator has named, `folder` is in, links and `..` followed.

    Raises:
        ConfigurationError: if it is in none.
    """
    return _located(folder, folders)[0]


def _located(folder: Path, folders: Sequence[Path]) -> tuple[Path, Path, Path]:
    """Which of `folders` it is in, and where that one and it really lie; each is resolved once, for links change."""
    found = _real(folder)
    for each in folders:
        if found.is_relative_to(root := _real(each)):
            return each, root, found
    known = ", ".join(map(str, folders)) or "none"
    leads = "" if found == folder else f", where {folder} leads"
    raise ConfigurationError(
        f"Nothing may be written to {found}{leads}: it is in none of the allowed folders ({known}).",
        hint="Choose a folder below one of them. Or the administrator of this machine adds it to file_folders in the "
        "settings file, or in CERTWRIGHT_FILE_FOLDERS, and starts Certwright again.",
    )


@contextmanager
def opened(folder: Path, folders: Sequence[Path]) -> Iterator["Folder"]:
    """A folder that is there, to write to.

    Raises:
        ConfigurationError: if it is not `allowed`.
        OSError: if it cannot be opened, or somebody changes the way to it at this moment.
    """
    _, root, place = _located(folder, folders)
    with ExitStack() as stack:
        yield Folder(place, _walk(root, place.relative_to(root).parts, stack), place, stack)


@dataclass(frozen=True, slots=True)
class Folder:
    """An open folder at `path`, itself below `top`, which nothing may leave; what is in it goes by its plain name."""

    path: Path
    _descriptor: int | None
    top: Path
    _stack: ExitStack

    def within(self, name: str) -> "Folder":
        """A folder in this one; a link is followed if it does not leave `top`.

        Raises:
            LeadsOut: if it does.
            OSError: if there is no such folder.
        """
        path = self.path / name
        with suppress(NotADirectoryError):
            return Folder(path, _open(self._at(name), self._descriptor, self._stack), self.top, self._stack)
        place = _real(path)
        if not place.is_relative_to(self.top):
            raise LeadsOut(f"{path} is a link that leads out of it")
        descriptor = _walk(self.top, place.relative_to(self.top).parts, self._stack)
        return Folder(place, descriptor, self.top, self._stack)

    def make(self, name: str) -> bool:
        """Make a folder in this one that everybody may read; whether it was not there before."""
        try:
            os.mkdir(self._at(name), dir_fd=self._descriptor)
        except FileExistsError:
            return False
        self.within(name).show()
        return True

    def show(self) -> None:
        """Let everybody read it, as a web server must."""
        os.chmod(self._at("."), 0o755, dir_fd=self._descriptor)  # noqa: S103 - what is in it is public

    def names(self) -> list[str]:
        """What is in it."""
        if self._descriptor is None:
            return [each.name for each in self.path.iterdir()]
        descriptor = os.open(".", os.O_RDONLY, dir_fd=self._descriptor)
        try:
            return os.listdir(descriptor)  # noqa: PTH208 - a Path is no descriptor
        finally:
            os.close(descriptor)

    def holds(self, name: str, text: str) -> bool:
        """Whether a file in it has exactly this content; a link has none.

        Raises:
            OSError: if it is not there, or cannot be read.
        """
        try:
            descriptor = os.open(self._at(name), _READ, dir_fd=self._descriptor)
        except OSError as error:
            if error.errno == errno.ELOOP:
                return False
            raise
        with os.fdopen(descriptor, "rb") as file:
            return file.read(len(text.encode()) + 1) == text.encode()

    def write(self, name: str, text: str) -> None:
        """Write a file that everybody may read, in place of what was there; it is there whole or not at all."""
        self.tidy(name)
        beside = _beside(name)
        descriptor = os.open(self._at(beside), _NEW, 0o600, dir_fd=self._descriptor)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(text.encode())
            os.chmod(self._at(beside), 0o644, dir_fd=self._descriptor)
            os.replace(self._at(beside), self._at(name), src_dir_fd=self._descriptor, dst_dir_fd=self._descriptor)
        except BaseException:
            self.tidy(name)
            raise

    def tidy(self, name: str) -> None:
        """Remove what is there of a file that somebody has begun to write."""
        with suppress(FileNotFoundError):
            self.remove(_beside(name))

    def remove(self, name: str) -> None:
        """Remove a file from it."""
        os.unlink(self._at(name), dir_fd=self._descriptor)

    def remove_folder(self, name: str) -> None:
        """Remove a folder from it, if that is empty."""
        os.rmdir(self._at(name), dir_fd=self._descriptor)

    def _at(self, name: str) -> str:
        """How the system is asked for what goes by this name in it.

        Raises:
            LeadsOut: if it is no plain name.
        """
        if name == ".." or Path(name).parts not in ((), (name,)):
            raise LeadsOut(f"{name!r} is no name in {self.path}")
        return name if self._descriptor is not None else str(self.path / name)


def _beside(name: str) -> str:
    return f".{name}.certwright"


def _walk(root: Path, parts: Sequence[str], stack: ExitStack) -> int | None:
    """The folder at the end of `parts`, each opened from the one before."""
    descriptor = _open(str(root), None, stack)
    for number, part in enumerate(parts, 1):
        where = part if descriptor is not None else str(root.joinpath(*parts[:number]))
        descriptor = _open(where, descriptor, stack)
    return descriptor


def _open(where: str, above: int | None, stack: ExitStack) -> int | None:
    """Open a folder; a link is none, however the system says so."""
    if not _BY_DESCRIPTOR:
        if Path(where).resolve(strict=True) == Path(where) and stat.S_ISDIR(os.lstat(where).st_mode):
            return None
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), where)
    try:
        descriptor = os.open(where, _FOLDER, dir_fd=above)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), where) from error
        raise
    stack.callback(os.close, descriptor)
    return descriptor


def _real(path: Path) -> Path:
    """Where it leads.

    Raises:
        ConfigurationError: if links go in a circle, or a part of it cannot be a name.
    """
    try:
        return path.resolve()
    except (OSError, RuntimeError, ValueError) as error:
        raise ConfigurationError(f"{path} leads nowhere: {error}.") from error
