"""What lies between a client and a server's PowerShell endpoint: front end, quotas, proxies and other boxes."""

import datetime as dt
import threading
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field

from certwright.exchange_simulator.soap import WSMAN, Fault

USER_QUOTA = 2150859175
_CAPACITY = 1000
_SECONDS = 2


@dataclass(frozen=True, slots=True)
class Intercepted:
    """What something else answers in the endpoint's place, without asking who it is.

    Attributes:
        status: HTTP status.
        headers: Further headers, for example ``Location`` or ``Proxy-Authenticate``.
        page: HTML.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    page: str = "<html><head><title>Sign in to the network</title></head><body><form></form></body></html>"


@dataclass(slots=True)
class _Throttle:
    action: str
    skip: int
    left: int


class Wire:
    """The way to one endpoint; a test changes it while clients are on it.

    Args:
        front_end: NetBIOS name of an Exchange server, which puts a word of its own before a fault's text; None for
            the host's own PowerShell.
        back_end: Full name of the server that the sessions are on.
    """

    def __init__(self, front_end: str | None, back_end: str) -> None:
        self.front_end = front_end
        self.back_end = back_end
        self._lock = threading.Lock()
        self._intercepted: Intercepted | None = None
        self._throttles: list[_Throttle] = []

    def intercept(self, answer: Intercepted) -> None:
        """From now on something else answers every request, until `clear`."""
        self._intercepted = answer

    def throttle(self, requests: int = 1, *, action: str = "Command", nth: int = 1) -> None:
        """Refuse requests as beyond the user's load quota.

        Args:
            requests: How many.
            action: Of which kind: Create, Command, Send, Receive, Signal or Delete.
            nth: From which of that kind on, counted from now.
        """
        with self._lock:
            self._throttles.append(_Throttle(action, nth - 1, requests))

    def clear(self) -> None:
        """Let everything through again."""
        with self._lock:
            self._throttles.clear()
        self._intercepted = None

    @property
    def intercepted(self) -> Intercepted | None:
        """What answers instead of the endpoint."""
        return self._intercepted

    def admit(self, action: str) -> None:
        """Let a request pass.

        Args:
            action: Its full name, whose last part counts.

        Raises:
            Fault: It is beyond a quota.
        """
        with self._lock:
            for throttle in [t for t in self._throttles if t.action == action.rpartition("/")[2]]:
                if throttle.skip:
                    throttle.skip -= 1
                    continue
                throttle.left -= 1
                if not throttle.left:
                    self._throttles.remove(throttle)
                raise _beyond_quota()

    def diagnostics(self, category: str) -> str:
        """What the front end puts before the text of a fault of `category`; nothing without a front end."""
        if self.front_end is None or not category:
            return ""
        now = dt.datetime.now(dt.UTC)
        moment = f"{now.month}/{now.day}/{now.year} {now:%I:%M:%S %p}".replace(" 0", " ")
        return (
            f"[ClientAccessServer={self.front_end},BackEndServer={self.back_end},RequestId={uuid.uuid4()},"
            f"TimeStamp={moment}] [FailureCategory={category}] "
        )


def _beyond_quota() -> Fault:
    return Fault(
        USER_QUOTA,
        f"{{{WSMAN}}}QuotaLimit",
        f"The WS-Management service cannot process the request. The user load quota of {_CAPACITY} requests per "
        f"{_SECONDS} seconds has been exceeded. Send future requests at a slower rate or raise the quota for this "
        f"user. The next request from this user will not be approved for at least {_SECONDS * 1000} milliseconds.",
    )
