"""Loopback ports for peers."""

import random
import socket
import time

_choose = random.SystemRandom()  # pytest-randomly seeds `random` alike in every worker


def free_port(host: str = "127.0.0.1") -> int:
    """A port free for TCP and UDP on ``host``.

    From below the ephemeral range, so that no outgoing connection takes it before the peer binds it.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for _ in range(200):
        port = _choose.randrange(20_000, 32_000)
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
    raise RuntimeError(f"no free port on {host}")


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
