"""What systemd is told of the service: that it has begun, that it is not hung, that it ends (sd_notify(3))."""

import logging
import os
import socket
from enum import StrEnum

log = logging.getLogger("certwright")
_SECONDS = 5


class State(StrEnum):
    """What there is to tell."""

    READY = "READY=1"
    WATCHDOG = "WATCHDOG=1"
    STOPPING = "STOPPING=1"


def tell(state: State) -> None:
    """Send a state to the socket that `NOTIFY_SOCKET` names; without one nobody wants to know."""
    name = os.environ.get("NOTIFY_SOCKET")
    if not name:
        return
    address = f"\0{name[1:]}" if name.startswith("@") else name  # in the abstract namespace, unix(7)
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.settimeout(_SECONDS)
            sender.sendto(state.encode(), address)
    except OSError as error:
        log.warning("systemd was not told %s: %s", state, error)
