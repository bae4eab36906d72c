"""Which domain controller a piece of work reads from and writes to, so that it reads back what it wrote.

Sessions may use different domain controllers, which learn of each other's changes only after a while.
"""

import threading
from collections.abc import Mapping
from dataclasses import replace

from certwright.remoting.clixml import Obj
from certwright.remoting.failures import CommandFailed
from certwright.remoting.psrp import Command, Result

PARAMETER = "DomainController"
_ORIGIN = "OriginatingServer"
_WITHOUT = ("Get-Command", "Get-Queue", "Select-Object")


class Directory:
    """The domain controller of one piece of work: that which the first object came from. For several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._controller = ""
        self._without = set(_WITHOUT)

    @property
    def controller(self) -> str:
        """Its name; empty until something was read."""
        return self._controller

    def pin(self, controller: str) -> None:
        """Use `controller` from now on; an empty name lets the next answer decide."""
        with self._lock:
            self._controller = controller

    def aim(self, command: Command) -> Command:
        """`command`, told to use the domain controller if there is one and its cmdlet takes it."""
        with self._lock:
            if not self._controller or command.name in self._without or PARAMETER in command.parameters:
                return command
            return replace(command, parameters={**command.parameters, PARAMETER: self._controller})

    def learn(self, result: Result) -> None:
        """Take the domain controller that the first objects came from."""
        origins = (o.properties.get(_ORIGIN) for o in result.objects)
        found = next((o.text if isinstance(o, Obj) else str(o) for o in origins if o), "")
        with self._lock:
            self._controller = self._controller or found

    def know(self, rights: Mapping[str, frozenset[str]]) -> None:
        """Leave out the parameter where `rights` (cmdlet -> parameters) does not show it."""
        with self._lock:
            self._without |= {name for name, parameters in rights.items() if PARAMETER not in parameters}

    def is_refused(self, command: Command, failure: CommandFailed) -> bool:
        """Whether a cmdlet failed for taking no such parameter: nothing was done, and it is not given it again."""
        refused = any("ParameterBinding" in r.kind and PARAMETER in r.message for r in failure.records)
        if refused:
            with self._lock:
                self._without.add(command.name)
        return refused

    def may_be_gone(self, failure: CommandFailed) -> bool:
        """Whether a failure names the domain controller, as it does if that cannot be reached."""
        name = self._controller.lower()
        return bool(name) and any(name in record.message.lower() for record in failure.records)
