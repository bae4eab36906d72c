"""Our ACME server as a peer: a world where every name is this machine, validated on a free port."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from certwright.acme_server import AcmeServerConfig, ValidationConfig
from peers.ports import free_port

LOOPBACK = {"*": ("127.0.0.1",)}


def loopback_config(config: AcmeServerConfig | None = None, *, http_port: int | None = None) -> AcmeServerConfig:
    """``config`` with all names on 127.0.0.1 and http-01 on ``http_port``, by default a free one."""
    validation = ValidationConfig(http_port=http_port or free_port(), tls_port=free_port(), hosts=LOOPBACK)
    return replace(config or AcmeServerConfig(), validation=validation)


@dataclass(frozen=True, slots=True)
class ServerProcess:
    """The server as a process of its own."""

    directory_url: str
    ca_file: Path
    process: subprocess.Popen[str]


@contextmanager
def acme_server_process(config: AcmeServerConfig, folder: Path) -> Iterator[ServerProcess]:
    """``python -m certwright.acme_server`` with ``config``, ended by SIGTERM afterwards."""
    file = folder / "acme_server.json"
    file.write_text(json.dumps(asdict(config), default=lambda value: value.total_seconds()))
    command = [sys.executable, "-m", "certwright.acme_server", "--config", str(file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        killer = threading.Timer(120, process.kill)
        killer.start()
        try:
            assert process.stdout is not None
            told = json.loads(process.stdout.readline())
            yield ServerProcess(told["directory"], Path(told["ca_file"]), process)
        finally:
            process.terminate()
            process.wait(timeout=20)
            killer.cancel()
