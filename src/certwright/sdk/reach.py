"""Refuses connections to what is never reached, where they are made: after names are resolved, for every library."""

import errno
import sys
from functools import cache
from typing import Any

from certwright.domain.reach import is_never_reached


@cache
def guard() -> None:
    """From now on no socket of this process is connected to what is never reached; there is no way back."""
    sys.addaudithook(_audit)


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if event != "socket.connect":
        return
    _, address = arguments
    if isinstance(address, tuple) and is_never_reached(str(address[0]), int(address[1])):
        raise PermissionError(
            errno.EACCES, f"{address[0]} is a link-local or metadata address, to which Certwright does not connect"
        )
