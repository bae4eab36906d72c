"""What can go wrong on purpose, by cmdlet and by how many calls from now.

A fault belongs to one server and strikes the cmdlet that *targets* that server (``-Server``), whichever endpoint
the session is on.
"""

import fnmatch
import threading
from collections.abc import Callable
from dataclasses import dataclass

from certwright.exchange_simulator.certificates import Status


@dataclass(frozen=True, slots=True)
class Drop:
    """The connection dies; with `committed` only the response is lost, the change was made."""

    committed: bool = False


@dataclass(frozen=True, slots=True)
class Gone:
    """As `Drop`, and the server's PowerShell endpoint refuses connections until `Faults.heal`.

    Attributes:
        committed: Whether the change was made.
        whole: Whether the whole server is gone, and with it all its ports.
    """

    committed: bool = False
    whole: bool = False


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


@dataclass(frozen=True, slots=True)
class Distrusted:
    """Import-ExchangeCertificate: the certificate gets this status, as with a revocation list out of reach."""

    status: Status = Status.REVOCATION_CHECK_FAILURE


@dataclass(frozen=True, slots=True)
class IssuersLost:
    """Import-ExchangeCertificate: the issuers in the file are not stored, so that ports send the leaf alone.

    Attributes:
        untrusted: Whether Exchange then calls the certificate Untrusted, until its issuers are imported.
    """

    untrusted: bool = False


Effect = Drop | Gone | Delay | HttpStatus | WsmanFault | Fail | HalfDone | KeyLost | Distrusted | IssuersLost


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
        power_off: Makes all its ports refuse connections.
        power_on: Undoes that.

    Attributes:
        off: Whether the whole server is gone.
    """

    def __init__(
        self,
        close_endpoint: Callable[[], None],
        open_endpoint: Callable[[], None],
        power_off: Callable[[], None] = lambda: None,
        power_on: Callable[[], None] = lambda: None,
    ) -> None:
        self._power_off = power_off
        self._power_on = power_on
        self.off = False
        self._close_endpoint = close_endpoint
        self._open_endpoint = open_endpoint
        self._lock = threading.Lock()
        self._planned: list[_Planned] = []

    def inject(self, effect: Effect, cmdlet: str, *, nth: int = 1, times: int | None = 1) -> None:
        """Plan `effect` for `cmdlet`; of several that are due, the one planned first strikes.

        Args:
            effect: What happens.
            cmdlet: Its name, in any case; ``*`` stands for anything.
            nth: From which call of it on, counted from now.
            times: How often; None for ever (until `heal`).
        """
        with self._lock:
            self._planned.append(_Planned(effect, cmdlet.lower(), nth - 1, times))

    def take_down(self) -> None:
        """The PowerShell endpoint drops its connections and refuses new ones until `heal`."""
        self._close_endpoint()
        if self.off:
            self._power_off()

    def power_off(self) -> None:
        """The whole server is gone until `heal`: its ports refuse, and other servers cannot ask it anything."""
        self.off = True
        self._power_off()

    def heal(self) -> None:
        """Forget what is planned and bring the endpoint, or the whole server, back."""
        with self._lock:
            self._planned.clear()
        if self.off:
            self.off = False
            self._power_on()
        self._open_endpoint()

    def strike(self, cmdlet: str) -> Effect | None:
        """The effect due for this call of `cmdlet`; the simulator asks once a call."""
        with self._lock:
            due = None
            for planned in self._planned:
                if fnmatch.fnmatchcase(cmdlet.lower(), planned.cmdlet):
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
