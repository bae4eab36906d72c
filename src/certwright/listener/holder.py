"""Which program of this machine holds a port, and where (Linux, proc(5)); other systems are asked by hand."""

import struct
from collections.abc import Iterator
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path

_LISTEN = "0A"
_LOCAL, _STATE, _INODE = 1, 3, 9


def holder_of(port: int, proc: Path = Path("/proc")) -> str:
    """The program that listens on `port`, with its process id; empty if this user cannot see it."""
    sockets = {f"socket:[{inode}]" for _, inode in _listening(port, proc)}
    if sockets:
        for process in sorted(proc.glob("[0-9]*"), key=lambda path: int(path.name)):
            with suppress(OSError):  # another user's, or gone
                if any(str(handle.readlink()) in sockets for handle in (process / "fd").iterdir()):
                    return f"{(process / 'comm').read_text().strip()} (process {process.name})"
    return ""


def held_addresses(port: int, proc: Path = Path("/proc")) -> list[str]:
    """The addresses of this machine on which a program listens on `port`; none if the system does not tell."""
    return sorted({_address(text) for text, _ in _listening(port, proc)})


def _listening(port: int, proc: Path) -> Iterator[tuple[str, str]]:
    """Address and inode of the sockets that listen on `port`."""
    for table in ("tcp", "tcp6"):
        with suppress(OSError):
            for line in (proc / "net" / table).read_text().splitlines()[1:]:
                fields = line.split()
                address, _, number = fields[_LOCAL].rpartition(":")
                if fields[_STATE] == _LISTEN and int(number, 16) == port:
                    yield address, fields[_INODE]


def _address(text: str) -> str:
    """An address that is written as the machine's own 32-bit numbers, in hexadecimal."""
    words = [int(text[start : start + 8], 16) for start in range(0, len(text), 8)]
    return str(ip_address(struct.pack(f"={len(words)}I", *words)))
