"""Programs from Debian packages, installed when a test asks for them.

Where they cannot be had (no Debian, no root, no network) the test is skipped with the reason; under
``CI=true`` it fails instead, so that no run passes without its peers.
"""

import fcntl
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import pytest

_LOCK = Path(tempfile.gettempdir()) / "certwright-tests-apt.lock"
_POLICY = Path("/usr/sbin/policy-rc.d")
_POLICY_TEXT = "#!/bin/sh\n# certwright tests: installing a package must not start its services\nexit 101\n"
_WAIT_SECONDS = 240


def require(*packages: str) -> None:
    """Return once all ``packages`` are installed; their services are not started.

    Safe to call from several processes at once. Skips the test (fails it under ``CI=true``) if the
    packages cannot be installed here.
    """
    if not shutil.which("dpkg-query") or not shutil.which("apt-get"):
        _unavailable(packages, "this is not Debian")
    if not _missing(packages):
        return
    if os.geteuid() != 0:
        _unavailable(packages, "installing them needs root")
    with _exclusive(), _services_stay_down():
        missing = _missing(packages)
        install = ("install", "--yes", "--no-install-recommends", *missing)
        if missing and _apt(*install):
            # No package lists yet, or older than the archive: fetch them and try once more.
            failure = _apt("update") or _apt(*install)
            if failure:
                _unavailable(packages, failure)


def _missing(packages: tuple[str, ...]) -> list[str]:
    query = ["dpkg-query", "--show", "--showformat=${Package} ${db:Status-Status}\n", *packages]
    told = subprocess.run(query, capture_output=True, text=True, check=False, timeout=30).stdout
    installed = {line.split()[0] for line in told.splitlines() if line.endswith(" installed")}
    return [package for package in packages if package not in installed]


def _apt(*arguments: str) -> str:
    """Run apt-get; what went wrong, or nothing."""
    command = ["apt-get", "--quiet", "-o", f"DPkg::Lock::Timeout={_WAIT_SECONDS}", *arguments]
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False, timeout=_WAIT_SECONDS
        )
    except subprocess.TimeoutExpired:
        return f"{' '.join(command)} took longer than {_WAIT_SECONDS} s"
    return f"{' '.join(command)} failed: {done.stderr.strip()[-500:]}" if done.returncode else ""


@contextmanager
def _exclusive() -> Iterator[None]:
    """One installation at a time on this machine, whichever test process asks for it."""
    end = time.monotonic() + _WAIT_SECONDS
    with _LOCK.open("w") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.2)
        yield


@contextmanager
def _services_stay_down() -> Iterator[None]:
    """Deny service starts as policy-rc.d(8) has it; a policy that is there already stays as it is."""
    if not _POLICY.exists():
        _POLICY.write_text(_POLICY_TEXT)
        _POLICY.chmod(0o755)
    try:
        yield
    finally:
        if _POLICY.read_text() == _POLICY_TEXT:
            _POLICY.unlink()


def _unavailable(packages: tuple[str, ...], reason: str) -> NoReturn:
    message = f"Debian packages {', '.join(packages)} cannot be installed: {reason}"
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)
