"""What can go wrong on purpose, by cmdlet and by how many calls from now.

A fault belongs to one server and strikes the cmdlet that *targets* that server (``-Server``), whichever endpoint
the session is on.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Drop:
    """The connection dies; with `committed` only the response is lost, the change was made."""

    committed: bool = False


@dataclass(frozen=True, slots=True)
class Gone:
    """As `Drop`, and the server's PowerShell endpoint refuses connections until `Faults.heal`."""

    committed: bool = False


@dataclass(frozen=True, slots=True)
class Delay:
    """The cmdlet starts `seconds` later; stopping the pipeline meanwhile prevents it."""

    seconds: float


@dataclass(frozen=True, slots=True)
class HttpStatus:
    """A bare HTTP status with an HTML page instead of SOAP; the cmdlet does not run."""

    status: int = 503


@dataclass(frozen=True, slots=True)
class WsmanFault:
    """A WSMan fault instead of output; the cmdlet does not run."""

    code: int = 2150858843
    message: str = "The request for the Windows Remote Shell with ShellId failed because the shell was not found."


@dataclass(frozen=True, slots=True)
class Fail:
    """The cmdlet reports an error and changes nothing.

    Attributes:
        message: What follows "A special Rpc error occurs on server EX01: " for certificate cmdlets.
        terminating: Whether it ends the pipeline; otherwise the pipeline is Completed with an error record.
    """

    message: str = "The RPC server is unavailable."
    terminating: bool = False


@dataclass(frozen=True, slots=True)
class HalfDone:
    """Enable-ExchangeCertificate: all services but IIS are changed, then an error is reported."""

    message: str = "The IIS metabase could not be written."
    terminating: bool = False


@dataclass(frozen=True, slots=True)
class KeyLost:
    """Import-ExchangeCertificate: the certificate is stored without its private key, and no error is shown."""


Effect = Drop | Gone | Delay | HttpStatus | WsmanFault | Fail | HalfDone | KeyLost


@dataclass(slots=True)
class _Planned:
    effect: Effect
    cmdlet: str
    skip: int
    times: int | None


class Faults:
    """The faults of one server.

    Args:
        close_endpoint: Makes the server's PowerShell endpoint refuse connections.
        open_endpoint: Undoes that.
    """

    def __init__(self, close_endpoint: Callable[[], None], open_endpoint: Callable[[], None]) -> None:
        self._close_endpoint = close_endpoint
        self._open_endpoint = open_endpoint
        self._lock = threading.Lock()
        self._planned: list[_Planned] = []

    def inject(self, effect: Effect, cmdlet: str, *, nth: int = 1, times: int | None = 1) -> None:
        """Plan `effect` for `cmdlet`; of several that are due, the one planned first strikes.

        Args:
            effect: What happens.
            cmdlet: Its name, in any case.
            nth: From which call of it on, counted from now.
            times: How often; None for ever (until `heal`).
        """
        with self._lock:
            self._planned.append(_Planned(effect, cmdlet.lower(), nth - 1, times))

    def take_down(self) -> None:
        """The PowerShell endpoint drops its connections and refuses new ones until `heal`."""
        self._close_endpoint()

    def heal(self) -> None:
        """Forget what is planned and bring the endpoint back."""
        with self._lock:
            self._planned.clear()
        self._open_endpoint()

    def strike(self, cmdlet: str) -> Effect | None:
        """The effect due for this call of `cmdlet`; the simulator asks once a call."""
        with self._lock:
            due = None
            for planned in self._planned:
                if planned.cmdlet == cmdlet.lower():
                    if planned.skip > 0:
                        planned.skip -= 1
                    elif due is None:
                        due = planned
            if due is None:
                return None
            if due.times is not None:
                due.times -= 1
                if due.times == 0:
                    self._planned.remove(due)
            return due.effect
