"""A listening socket that several processes of one user serve together (Linux).

A listening socket that closes resets who waits in its queue and whose handshake is under way: whoever only opens the
port anew after another process has closed it loses requests. Here the next process gets the very same socket from one
that has it (unix(7), SCM_RIGHTS); it listens without a gap until the last of them has closed it. The next one asks at
the counter, a socket in the abstract namespace, which reaches as far as the port does: this network namespace. It is
handed on as well, so that whoever still listens can be asked.
"""

import os
import socket
import struct
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

_BACKLOG = 256
_ASK_SECONDS = 2.0
_CREDENTIALS = struct.Struct("3i")  # struct ucred: pid, uid, gid


@dataclass(frozen=True, slots=True)
class Place:
    """Where challenges of one type are answered; an empty address, and `::`, stand for IPv4 and IPv6."""

    challenge: str
    address: str
    port: int

    def __str__(self) -> str:
        return f"{self.challenge} [{self.address}]:{self.port}"


@dataclass(frozen=True, slots=True)
class SharedPort:
    """A port that is listened on, and where other processes ask for it; without a counter nobody can."""

    listener: socket.socket
    counter: socket.socket | None = None

    def __iter__(self) -> Iterator[socket.socket]:
        """Its sockets."""
        yield self.listener
        if self.counter:
            yield self.counter

    def serve_counter(self) -> None:
        """Hand the port to the processes of this user that ask for it."""
        if sys.platform == "linux" and self.counter:
            with suppress(OSError):  # nobody more is asking, or who asked has gone
                while True:
                    asking, _ = self.counter.accept()
                    with asking:
                        if _is_same_user(asking):
                            socket.send_fds(asking, [b"\0"], [each.fileno() for each in self])

    def close(self) -> None:
        """Leave the port to whoever else has it."""
        for each in self:
            each.close()


def take(place: Place) -> SharedPort:
    """Listen on a port that nobody holds.

    Raises:
        OSError: if the system refuses; EADDRINUSE if another program holds it.
    """
    address, port = place.address, place.port
    if address in ("", "::") and socket.has_dualstack_ipv6():
        listener = socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=_BACKLOG)
    else:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        listener = socket.create_server((address, port), family=family, backlog=_BACKLOG)
    return SharedPort(listener, _open_counter(place))


def join(place: Place) -> SharedPort:
    """Listen together with a process of this user that has taken the port under the same address.

    Raises:
        OSError: if there is none, or the system cannot hand sockets on.
    """
    if sys.platform == "linux":
        with socket.socket(socket.AF_UNIX) as asking:
            asking.settimeout(_ASK_SECONDS)
            asking.connect(_name(place))
            if _is_same_user(asking):
                _, handles, _, _ = socket.recv_fds(asking, 1, 2, socket.MSG_CMSG_CLOEXEC)
                sockets = [socket.socket(fileno=handle) for handle in handles]
                if len(sockets) == len(("listener", "counter")):
                    return SharedPort(*sockets)
                for each in sockets:
                    each.close()
    raise ConnectionRefusedError("nobody shares the port")


def _open_counter(place: Place) -> socket.socket | None:
    if sys.platform != "linux":
        return None
    counter = socket.socket(socket.AF_UNIX)
    try:
        counter.bind(_name(place))
        counter.listen()
    except OSError:  # the name is taken: then the port is not shared
        counter.close()
        return None
    return counter


def _name(place: Place) -> bytes:
    return f"\0certwright {os.geteuid()} {place}".encode()


def _is_same_user(peer: socket.socket) -> bool:
    """Whether a process of this user is at the other end."""
    if sys.platform != "linux":
        return False
    _, uid, _ = _CREDENTIALS.unpack(peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
    return bool(uid == os.geteuid())
