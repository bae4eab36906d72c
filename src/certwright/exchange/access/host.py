"""A server's own PowerShell (WinRM): typed commands only. It tells what Exchange's does not, and restarts services."""

import threading
from collections.abc import Sequence
from datetime import datetime, timedelta

from certwright.exchange.access import windows
from certwright.exchange.access.records import text
from certwright.exchange.model import Service
from certwright.remoting.endpoint import Endpoint
from certwright.remoting.failures import CommandFailed
from certwright.remoting.psrp import Command, Entry, Limits, PowerShell, Result

MAIL_SERVICES = {
    Service.POP: ("MSExchangePOP3", "MSExchangePOP3BE"),
    Service.IMAP: ("MSExchangeIMAP4", "MSExchangeIMAP4BE"),
}
TRANSPORT_EVENTS = ("MSExchangeTransport", "MSExchangeFrontEndTransport")


class Host:
    """A session with the host's PowerShell, for several threads. Closing it never fails."""

    def __init__(self, endpoint: Endpoint, limits: Limits | None = None) -> None:
        self._shell = PowerShell(endpoint, limits)
        self._lock = threading.RLock()

    def close(self) -> None:
        """End the session."""
        with self._lock:
            self._shell.close()

    @property
    def clock_skew(self) -> timedelta | None:
        """How far the host's clock is ahead of ours, by its last answer."""
        answer = self._shell.answered
        return answer.skew if answer else None

    def read(self, *pipeline: Command) -> Result:
        """Run commands that change nothing; see `PowerShell.read`."""
        with self._lock:
            return self._shell.read(*pipeline)

    def running(self, names: Sequence[str]) -> tuple[str, ...]:
        """Those of the services `names` that run.

        Raises:
            Unreachable, DeploymentError: if the host does not answer, or refuses.
        """
        found = self.read(Command("Get-Service", {"Name": names})).objects
        running = {text(s.properties.get("Name")) for s in found if text(s.properties.get("Status")) == "Running"}
        return tuple(name for name in names if name in running)

    def restart(self, names: Sequence[str]) -> None:
        """Restart the services `names`.

        Raises:
            Unreachable, DeploymentError: if the host does not answer, or refuses.
        """
        with self._lock:
            self._shell.change(Command("Restart-Service", {"Name": names, "Force": True, "Confirm": False}))

    def events(self, since: datetime, ids: Sequence[int]) -> tuple[windows.Event, ...]:
        """What Exchange's transport has written to the application log under these numbers, newest first.

        Raises:
            Unreachable, DeploymentError: if the host does not answer, or refuses.
        """
        wanted: dict[str, Entry] = {
            "LogName": "Application",
            "ProviderName": TRANSPORT_EVENTS,
            "Id": ids,
            "StartTime": since,
        }
        try:
            found = self.read(Command("Get-WinEvent", {"FilterHashtable": wanted})).objects
        except CommandFailed as failure:
            if all(record.error_id.startswith("NoMatchingEventsFound") for record in failure.records):
                return ()
            raise
        return tuple(map(windows.event, found))
