"""HAProxy from Debian."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from peers.daemons import running
from peers.debian import require

_DEFAULTS = "defaults\n  timeout connect 5s\n  timeout client 10s\n  timeout server 10s\n"


@contextmanager
def haproxy(folder: Path, sections: str, ports: list[int]) -> Iterator[None]:
    """Run it with these ``sections`` until the block ends; ``ports`` are those that it listens on."""
    require("haproxy")
    folder.mkdir(parents=True, exist_ok=True)
    configuration = folder / "haproxy.cfg"
    configuration.write_text(f"{_DEFAULTS}{sections}\n")
    with running(["/usr/sbin/haproxy", "-db", "-f", configuration], ports, folder / "haproxy.log"):
        yield
