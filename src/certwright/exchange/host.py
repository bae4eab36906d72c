"""The Windows services of an Exchange server, through the host's own PowerShell (WinRM): typed commands only."""

from collections.abc import Sequence

from certwright.exchange.model import Service
from certwright.exchange.wire import text
from certwright.remoting.psrp import Command, Endpoint, Limits, PowerShell

MAIL_SERVICES = {
    Service.POP: ("MSExchangePOP3", "MSExchangePOP3BE"),
    Service.IMAP: ("MSExchangeIMAP4", "MSExchangeIMAP4BE"),
}


class Host:
    """A session with the host's PowerShell. Closing it never fails."""

    def __init__(self, endpoint: Endpoint, limits: Limits | None = None) -> None:
        self._shell = PowerShell(endpoint, limits)

    def close(self) -> None:
        """End the session."""
        self._shell.close()

    def running(self, names: Sequence[str]) -> tuple[str, ...]:
        """Those of the services `names` that run.

        Raises:
            Unreachable, DeploymentError: if the host does not answer, or refuses.
        """
        found = self._shell.read(Command("Get-Service", {"Name": names})).objects
        running = {text(s.properties.get("Name")) for s in found if text(s.properties.get("Status")) == "Running"}
        return tuple(name for name in names if name in running)

    def restart(self, names: Sequence[str]) -> None:
        """Restart the services `names`.

        Raises:
            Unreachable, DeploymentError: if the host does not answer, or refuses.
        """
        self._shell.change(Command("Restart-Service", {"Name": names, "Force": True, "Confirm": False}))
