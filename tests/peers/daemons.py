"""Debian's servers in the foreground, with throw-away configurations."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme

from peers.ports import wait_for_port

HOST = "127.0.0.1"
_SECONDS = 10


@dataclass(frozen=True)
class TlsFiles:
    """A server's key and chain as PEM files, and the chain in the order that must be served."""

    key: Path
    chain: Path
    pem: tuple[bytes, ...]


def require_root() -> None:
    """Skip (fail under ``CI=true``) where servers cannot switch to their own users."""
    if os.geteuid() != 0:
        reason = "this server needs root to switch to its own user"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)


@contextmanager
def short_folder(name: str) -> Iterator[Path]:
    """A folder that other users may enter, with a path short enough for Unix sockets."""
    folder = Path(tempfile.mkdtemp(prefix=f"cw-{name}-", dir="/tmp"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        _remove(folder)


def _remove(folder: Path) -> None:
    """Remove a folder in which the children of a server that has ended may still write."""
    end = time.monotonic() + _SECONDS
    while True:
        try:
            shutil.rmtree(folder)
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.1)
        else:
            return


def write_tls(folder: Path, certificate: trustme.LeafCert, *, intermediates: bool = True) -> TlsFiles:
    """Key and chain of ``certificate`` in ``folder``; the chain without ``intermediates`` is the leaf alone."""
    pems = [pem.bytes() for pem in certificate.cert_chain_pems]
    pems = pems if intermediates else pems[:1]
    files = TlsFiles(folder / "key.pem", folder / "chain.pem", tuple(pems))
    files.key.write_bytes(certificate.private_key_pem.bytes())
    files.key.chmod(0o600)
    files.chain.write_bytes(b"".join(pems))
    return files


@contextmanager
def running(command: Sequence[str | Path], ports: Sequence[int], log: Path, *, host: str = HOST) -> Iterator[None]:
    """``command`` in the foreground until the block ends; it begins once all ``ports`` of ``host`` answer."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(part) for part in command], stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
        try:
            _wait(process.poll, host, ports, log)
            yield
        finally:
            process.terminate()
            try:
                process.wait(_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(_SECONDS)


def _wait(poll: Callable[[], int | None], host: str, ports: Sequence[int], log: Path) -> None:
    for port in ports:
        try:
            wait_for_port(host, port, _SECONDS)
        except TimeoutError as error:
            raise RuntimeError(f"exit status {poll()}, log:\n{log.read_text(errors='replace')}") from error
