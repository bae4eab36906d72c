"""Which process holds something, and whether it still lives."""

import getpass
import os
import socket
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Self

_PROC = Path("/proc")
_STATE, _START_TIME = 0, 19
_ENDED = ("Z", "X")
_NOBODY_SIGNED_IN = 2**32 - 1


@dataclass(frozen=True, slots=True)
class Holder:
    """A process: `started` tells it from another of the same number, and is empty where the system does not say."""

    host: str
    pid: int
    started: str

    @classmethod
    def here(cls) -> Self:
        """This process."""
        return cls(socket.gethostname(), os.getpid(), _started(os.getpid()) or "")

    @property
    def is_here(self) -> bool:
        """Whether it belongs to this host."""
        return self.host == socket.gethostname()

    @property
    def has_ended(self) -> bool:
        """Whether it ran on this very system since its boot, and runs no more; several may have this host's name."""
        if not self.started:
            return False
        boot, namespace, _ = self.started.split("/")
        return boot == _boot() and namespace == _namespace() and _started(self.pid) != self.started

    @property
    def is_gone(self) -> bool:
        """Whether it certainly lives no more; what cannot be known from here is not gone."""
        if not self.is_here:
            return False
        if not self.started:
            return os.name == "posix" and not _exists(self.pid)
        return self.started.split("/")[0] != _boot() or self.has_ended

    def is_dead(self, *, is_shared: bool) -> bool:
        """Whether what it held in a store is free: one that is shared is used by several systems of one name too."""
        return self.has_ended if is_shared else self.is_gone

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"


def user() -> str:
    """For whom this process works, as `USER@HOST`; with who signed in, where the system knows that it is another.

    No variable of the environment is asked, as whoever starts the process chooses these.
    """
    host = socket.gethostname()
    if sys.platform == "win32":
        return f"{getpass.getuser()}@{host}"
    signed_in, works_for = _login_uid(), os.geteuid()
    other = f" (signed in as {_name(signed_in)})" if signed_in not in (None, works_for) else ""
    return f"{_name(works_for)}@{host}{other}"


def _login_uid() -> int | None:
    """Who signed in, which the kernel keeps through su and sudo."""
    try:
        found = int((_PROC / "self/loginuid").read_text())
    except (OSError, ValueError):
        return None
    return None if found == _NOBODY_SIGNED_IN else found


def _name(uid: int | None) -> str:
    import pwd  # noqa: PLC0415 - Windows has none

    try:
        return pwd.getpwuid(uid or 0).pw_name
    except KeyError:
        return f"user {uid}"


def _started(pid: int) -> str | None:
    """Boot, process namespace and start time of a living process; None when there is none, or no `/proc`."""
    try:
        stat = (_PROC / str(pid) / "stat").read_text()
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()  # proc_pid_stat(5): the name before may hold anything
    return None if fields[_STATE] in _ENDED else f"{_boot()}/{_namespace()}/{fields[_START_TIME]}"


@cache
def _boot() -> str:
    try:
        return (_PROC / "sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


@cache
def _namespace() -> str:
    return str((_PROC / "self/ns/pid").readlink())


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
