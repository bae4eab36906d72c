"""Addresses of this machine's loopback for peers that must have a port of their own right, such as DNS on port 53.

On Linux all of 127.0.0.0/8 is this machine. Each test takes a block of addresses that nobody else uses. A server that
listens only where an interface has its address, as BIND does, needs `Block.assign`; so do IPv6 addresses.
"""

import os
import random
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from peers.debian import require

_choose = random.SystemRandom()  # pytest-randomly seeds `random` alike in every worker
_PORT = 53
_RESERVED_HOST = 254


class Block:
    """The addresses 127.a.b.1 to 127.a.b.250, and as many of IPv6 (RFC 4193)."""

    def __init__(self, a: int, b: int) -> None:
        self._prefix = f"127.{a}.{b}"
        self._prefix_v6 = f"fdc7:{a:x}:{b:x}:"
        self._given = 100
        self._undo: list[tuple[str, ...]] = []

    def __getitem__(self, host: int) -> str:
        return f"{self._prefix}.{host}"

    def another(self) -> str:
        """An address that was not given before, from 127.a.b.101 on; nothing listens there yet."""
        self._given += 1
        return self[self._given]

    def another_v6(self) -> str:
        """An IPv6 address that was not given before, assigned to the loopback interface; nothing listens there yet."""
        return self.assign(self._v6())

    def unreachable_v6(self) -> str:
        """An IPv6 address that was not given before, to which there is no route."""
        address = self._v6()
        self._do("-6", "route", "add", "unreachable", f"{address}/128")
        return address

    def assign(self, address: str) -> str:
        """Give `address` to the loopback interface until the block ends."""
        self._do("address", "add", f"{address}/{128 if ':' in address else 32}", "dev", "lo")
        return address

    def release(self) -> None:
        """Take back whatever was done to the machine."""
        while self._undo:
            _ip(*self._undo.pop())

    def _v6(self) -> str:
        self._given += 1
        return f"{self._prefix_v6}:{self._given:x}"

    def _do(self, *command: str) -> None:
        _ip(*command)
        self._undo.append(tuple("del" if word == "add" else word for word in command))


@contextmanager
def block() -> Iterator[Block]:
    """A block of addresses that is ours until the with block ends, whatever other processes take."""
    require("iproute2")
    for _ in range(200):
        a, b = _choose.randrange(1, 255), _choose.randrange(1, 255)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as claim:
            try:
                claim.bind((f"127.{a}.{b}.{_RESERVED_HOST}", _PORT))
            except OSError:
                continue
            found = Block(a, b)
            try:
                yield found
            finally:
                found.release()
            return
    raise RuntimeError(f"no block of loopback addresses with a free port {_PORT}")


@contextmanager
def silent(address: str) -> Iterator[str]:
    """A server at port 53 of `address` that takes every question, and never answers; the address."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
        socket.create_server((address, _PORT), backlog=16),
    ):
        udp.bind((address, _PORT))
        yield address


def _ip(*command: str) -> None:
    done = subprocess.run(["ip", *command], check=False, timeout=10, capture_output=True, text=True)
    if done.returncode:
        reason = f"the loopback interface cannot be given addresses: {done.stderr.strip()}"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
