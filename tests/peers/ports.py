"""Loopback ports for peers."""

import os
import random
import socket
import time

_choose = random.SystemRandom()  # pytest-randomly seeds `random` alike in every worker
_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_WORKERS = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
_given: set[int] = set()


def free_port(host: str = "127.0.0.1") -> int:
    """A port free for TCP and UDP on ``host``, that nobody was given before, here or in another worker of xdist.

    From below the ephemeral range, so that no outgoing connection takes it before the peer binds it.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    while ours := [port for port in range(16_000 + _WORKER, 32_000, _WORKERS) if port not in _given]:
        port = _choose.choice(ours)
        _given.add(port)
        with (
            socket.socket(family, socket.SOCK_STREAM) as tcp,
            socket.socket(family, socket.SOCK_DGRAM) as udp,
        ):
            try:
                tcp.bind((host, port))
                udp.bind((host, port))
            except OSError:
                continue
            return port
    _given.clear()
    return free_port(host)


def wait_for_port(host: str, port: int, timeout: float = 10) -> None:
    """Return once ``host`` accepts TCP connections on ``port``; TimeoutError after ``timeout`` seconds."""
    end = time.monotonic() + timeout
    while True:
        try:
            with socket.create_connection((host, port), timeout=1):
                return
        except OSError as error:
            if time.monotonic() > end:
                raise TimeoutError(f"nothing listens on {host}:{port} after {timeout} s") from error
            time.sleep(0.02)
