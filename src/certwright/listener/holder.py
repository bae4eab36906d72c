"""Which program of this machine holds a port (Linux, proc(5)); other systems are asked by hand."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_LISTEN = "0A"
_LOCAL, _STATE, _INODE = 1, 3, 9


def holder_of(port: int, proc: Path = Path("/proc")) -> str:
    """The program that listens on `port`, with its process id; empty if this user cannot see it."""
    sockets = {f"socket:[{inode}]" for table in ("tcp", "tcp6") for inode in _listening(proc / "net" / table, port)}
    if sockets:
        for process in sorted(proc.glob("[0-9]*"), key=lambda path: int(path.name)):
            with suppress(OSError):  # another user's, or gone
                if any(str(handle.readlink()) in sockets for handle in (process / "fd").iterdir()):
                    return f"{(process / 'comm').read_text().strip()} (process {process.name})"
    return ""


def _listening(table: Path, port: int) -> Iterator[str]:
    """The inodes of the sockets that listen on `port`."""
    with suppress(OSError):
        for line in table.read_text().splitlines()[1:]:
            fields = line.split()
            if fields[_STATE] == _LISTEN and int(fields[_LOCAL].rpartition(":")[2], 16) == port:
                yield fields[_INODE]
