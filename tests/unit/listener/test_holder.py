import os
import socket
from pathlib import Path

import pytest

from certwright.listener.holder import held_addresses, holder_of
from peers.ports import free_port

pytestmark = pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="only Linux tells")


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_the_program_that_holds_a_port_is_named(host: str) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family) as server:
        port = server.getsockname()[1]
        name, held = holder_of(port), held_addresses(port)
    assert host in held  # another process may hold that number at the other address
    assert name == f"{Path('/proc/self/comm').read_text().strip()} (process {os.getpid()})"


def test_of_a_free_port_nobody_is_named() -> None:
    port = free_port()
    assert holder_of(port) == ""
    assert held_addresses(port) == []


def test_where_the_system_tells_nothing_nobody_is_named(tmp_path: Path) -> None:
    assert holder_of(80, tmp_path) == ""
    assert held_addresses(80, tmp_path) == []
