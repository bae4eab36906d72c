"""Real processes, quickly: each is forked from a server that has loaded the heavy libraries already."""

import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

_LOADED = (
    "certwright.acme.https_transport",
    "certwright.cli.app",
    "certwright.engine.export",
    "certwright.engine.preview",
    "certwright.engine.renew",
    "certwright.engine.revoke",
    "certwright.engine.test",
    "certwright.issuers.acme",
    "certwright.solvers.http_listener",
    "certwright.solvers.webroot",
    "certwright.tasks.exchange",
    "certwright.wiring",
    "pytest",
    "pypsrp.powershell",
    "pypsrp.wsman",
    "rich.console",
    "rich.table",
)
_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(list(_LOADED))


@dataclass(frozen=True, slots=True)
class Ended:
    """How a process ended: its exit code (negative: the signal), and all that it wrote."""

    code: int
    out: str
    err: str

    @property
    def told(self) -> str:
        """Both streams."""
        return f"{self.out}\n{self.err}"


class Running:
    """A process that was started."""

    def __init__(self, process: BaseProcess, folder: Path) -> None:
        self._process = process
        self._folder = folder

    @property
    def pid(self) -> int:
        """Its number."""
        assert self._process.pid is not None
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """Whether it runs."""
        return self._process.is_alive()

    def has_told(self, words: str) -> bool:
        """Whether these words stand in its standard error by now."""
        told = self._folder / "err"
        return told.exists() and words in told.read_text(errors="replace")

    def wait(self, seconds: float = 60) -> Ended:
        """Wait for its end; it is killed if that does not come in time."""
        self._process.join(seconds)
        late = self._process.is_alive()
        if late:
            self._process.kill()
            self._process.join(10)
        code = self._process.exitcode
        self._process.close()
        out, err = (self._folder / name for name in ("out", "err"))
        ended = Ended(code if code is not None else -1, out.read_text(errors="replace"), err.read_text())
        if late:
            raise TimeoutError(f"it still ran after {seconds} s\n{ended.told}")
        return ended


def until(is_so: Callable[[], bool], seconds: float = 120) -> None:
    """Wait until it is so; it fails when that does not come about in time."""
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end, "it did not come about in time"
        time.sleep(0.1)


def start(
    target: Callable[..., None], *args: Any, folder: Path, environment: Mapping[str, str], given: bytes = b""
) -> Running:
    """Call ``target`` in a process of its own, with ``given`` on its standard input; it must be a module's function."""
    own = Path(mkdtemp(dir=folder, prefix="process-"))
    (own / "in").write_bytes(given)
    process = _context.Process(target=_begin, args=(target, args, str(own), dict(environment)), daemon=True)
    process.start()
    return Running(process, own)


def run(
    target: Callable[..., None], *args: Any, folder: Path, environment: Mapping[str, str], given: bytes = b""
) -> Ended:
    """As `start`, to its end."""
    return start(target, *args, folder=folder, environment=environment, given=given).wait()


def _begin(target: Callable[..., None], args: tuple[Any, ...], folder: str, environment: dict[str, str]) -> None:
    os.environ.update(environment)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # tests that run under nohup would hand on that it is ignored
    for number, (name, flags) in enumerate(
        (("in", os.O_RDONLY), ("out", os.O_WRONLY | os.O_CREAT), ("err", os.O_WRONLY | os.O_CREAT))
    ):
        handle = os.open(os.path.join(folder, name), flags, 0o600)  # noqa: PTH118 - nothing is imported after the fork
        os.dup2(handle, number)
        os.close(handle)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - it lives as long as the process
    target(*args)
