"""Programs of the administrator on this machine: from allowed folders alone, without a shell, bounded in time."""

import os
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from certwright.domain.errors import ConfigurationError
from certwright.probe.wire import harmless
from certwright.settings import for_strangers

_CHUNK = 4096
_MOST_OUTPUT = 16 * 1024
_MOST_LINES = 20
_MOST_OF_LINE = 200
_TO_A_SHELL = {".bat", ".cmd"}


@dataclass(frozen=True, slots=True)
class Ended:
    """How a program ended: its exit status (a signal is negative), None if it took too long; and its last lines."""

    status: int | None
    told: tuple[str, ...]

    @property
    def how(self) -> str:
        """In a few words."""
        if self.status is None:
            return "took too long and was ended"
        return f"ended with status {self.status}" if self.status >= 0 else f"ended with signal {-self.status}"


def run(
    command: Sequence[str], told: Mapping[str, str], seconds: float, hide: Callable[[str], str] = lambda text: text
) -> Ended:
    """Run to the end, of the program itself and then of all that it has started in its process group.

    Args:
        command: the program, which must be `allowed`, and its arguments.
        told: variables of its environment, beside those of Certwright that are not its own.
        seconds: how long it may take; then it is ended.
        hide: takes out of what it prints what nobody may see.

    Raises:
        ConfigurationError: if the system cannot run it.
    """
    try:
        status, output = _execute(command, {**for_strangers(os.environ), **told}, seconds)
    except OSError as error:
        raise ConfigurationError(
            f"{command[0]} cannot be run: {error.strerror}.",
            hint="A script needs an interpreter that exists in its first line, such as #!/bin/sh.",
        ) from error
    lines = [line for line in hide(output.decode("utf-8", "replace")).splitlines() if line.strip()]
    return Ended(status, tuple(harmless(line, _MOST_OF_LINE) for line in lines[-_MOST_LINES:]))


def allowed(program: Path, folders: Sequence[Path]) -> Path:
    """The file that `program` leads to.

    Raises:
        ConfigurationError: if the administrator has not allowed it, or somebody else could put another in its place.
    """
    found = program.resolve()
    if not any(found.is_relative_to(folder.resolve()) for folder in folders):
        known = os.pathsep.join(map(str, folders)) or "none"
        raise ConfigurationError(
            f"{found} may not be run: it is in none of the script folders ({known}).",
            hint="The administrator of this machine names them in the settings file, as script_folders, or in "
            "CERTWRIGHT_SCRIPT_FOLDERS, and starts Certwright again.",
        )
    if not os.access(found, os.X_OK) or not found.is_file():
        raise ConfigurationError(f"{found} is no program that may be run.", hint=f"chmod u+x {found}")
    if found.suffix.lower() in _TO_A_SHELL:
        raise ConfigurationError(f"{found} is a batch file, which is run by a shell.", hint="Name another program.")
    if sys.platform != "win32":
        for place in (found, *found.parents):
            _refuse_writable(found, place)
    return found


def _refuse_writable(program: Path, place: Path) -> None:
    """Refuse `place` if another user may write there; as in sshd, ownership and mode count, ACLs do not."""
    seen = place.stat()
    if seen.st_uid not in (0, os.geteuid()):
        who, mend = f"it belongs to the user number {seen.st_uid}", f"chown root {place}"
    elif seen.st_mode & stat.S_ISVTX and stat.S_ISDIR(seen.st_mode):
        return  # all may write, but nobody may replace what is another's
    elif seen.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        who, mend = f"its mode is {stat.filemode(seen.st_mode)}", f"chmod go-w {place}"
    else:
        return
    raise ConfigurationError(f"{program} may not be run: others may write to {place}, {who}.", hint=mend)


def _execute(command: Sequence[str], environment: dict[str, str], seconds: float) -> tuple[int | None, bytes]:
    """The exit status, None if it had to be ended; and the end of what it printed, in whole lines."""
    process = subprocess.Popen(  # noqa: S603 - no shell, and the program was judged by `allowed`
        command,
        bufsize=0,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment,
        start_new_session=True,
    )
    output = bytearray()
    reader = threading.Thread(target=_read, args=(process.stdout, output), daemon=True)
    reader.start()
    in_time = False
    try:
        in_time = _ends_within(process, seconds)
    finally:
        _end(process)
        reader.join(1)
    return process.returncode if in_time else None, bytes(
        output[output.find(b"\n") :] if len(output) == _MOST_OUTPUT else output
    )


def _ends_within(process: "subprocess.Popen[bytes]", seconds: float) -> bool:
    """Whether it ends by itself; it is left to be waited for, so that its number cannot be another's yet."""
    if sys.platform == "win32":
        with suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
        return process.returncode is not None
    waiter = threading.Thread(target=_await_end, args=(process.pid,), daemon=True)
    waiter.start()
    waiter.join(seconds)
    return not waiter.is_alive()


def _await_end(number: int) -> None:
    with suppress(ChildProcessError):  # ended and waited for by `_end`
        os.waitid(os.P_PID, number, os.WEXITED | os.WNOWAIT)


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End it and what it has started, also what it has left behind."""
    if sys.platform == "win32":
        process.kill()
    else:
        with suppress(PermissionError):  # macOS, if only the process itself is left and has ended
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _read(stream: IO[bytes], output: bytearray) -> None:
    with stream:
        while piece := stream.read(_CHUNK):
            output += piece
            del output[:-_MOST_OUTPUT]
