"""The Windows Event Log: each message in the log Application, source Certwright, with a fixed id.

Monitoring agents and Task Scheduler look for ids. They are: 101 issuance, 102 deployment, 103 expiring, 104
rolled-back, 105 needs-person, 106 drift, 107 authority-incident, 108 watched, 109 proof, 110 service; 201 when all
problems of a message are over; 100 for other messages. A message about several has the id of its first, most urgent
one. What is urgent is an error, other problems are warnings, the rest is information.

The first message by an administrator registers the source; without, Event Viewer shows the text after a remark. There
is no such log on other systems.
"""

import sys
from typing import Any

from certwright.domain.errors import ConfigurationError, NotificationError
from certwright.domain.messages import Message
from certwright.domain.rules import Matter
from certwright.sdk.notifier import Notifier
from certwright.sdk.params import Params as PluginParams

SOURCE = "Certwright"
IDS = {
    Matter.ISSUANCE: 101,
    Matter.DEPLOYMENT: 102,
    Matter.EXPIRING: 103,
    Matter.ROLLED_BACK: 104,
    Matter.NEEDS_PERSON: 105,
    Matter.DRIFT: 106,
    Matter.INCIDENT: 107,
    Matter.WATCHED: 108,
    Matter.PROOF: 109,
    Matter.SERVICE: 110,
}
OTHER, OVER = 100, 201
ERROR, WARNING, INFORMATION = 1, 2, 4
"""EVENTLOG_*_TYPE of ReportEventW."""
_LONGEST = 31_000
"""Characters in one string of an event, by ReportEventW's documentation, are at most 31,839."""
_SOURCES = rf"SYSTEM\CurrentControlSet\Services\EventLog\Application\{SOURCE}"
_TEXTS = r"%SystemRoot%\System32\EventCreate.exe"
"""Windows' own file whose texts for the ids 1 to 1000 are the string as it is."""


class Params(PluginParams):
    """Nothing is to be set."""


class EventLog(Notifier[Params]):
    """By the functions of advapi32."""

    Params = Params

    def check(self) -> str:
        """See that this is Windows."""
        _functions()
        return "This machine has a Windows Event Log."

    def send(self, message: Message) -> str:
        """Report it."""
        functions = _functions()
        _register()
        number, kind = event_id(message), event_type(message)
        text = f"{message.subject}\n\n{message.text}".replace("\n", "\r\n")[:_LONGEST]
        log = functions.RegisterEventSourceW(None, SOURCE)
        if not log:
            raise NotificationError("Windows did not open its event log.", hint="Is the service EventLog running?")
        try:
            strings = _string_array(text)
            if not functions.ReportEventW(log, kind, 0, number, None, 1, 0, strings, None):
                raise NotificationError(
                    "Windows did not take the event.", hint="Is the log full, or its service stopped?", retryable=True
                )
        finally:
            functions.DeregisterEventSource(log)
        return f"The event {number} is in the log Application."


def event_id(message: Message) -> int:
    """The fixed id."""
    if not message.sections:
        return OTHER
    if all(section.is_over for section in message.sections):
        return OVER
    return IDS[message.sections[0].matter]


def event_type(message: Message) -> int:
    """How bad it is, as Windows counts."""
    if message.urgent:
        return ERROR
    return WARNING if any(not section.is_over for section in message.sections) else INFORMATION


def _functions() -> Any:
    """The functions of advapi32.

    Raises:
        ConfigurationError: if this is not Windows.
    """
    if sys.platform != "win32":
        raise ConfigurationError(
            "There is no Windows Event Log on this system.", hint="Choose another channel, for example smtp or webhook."
        )
    import ctypes  # noqa: PLC0415 - for Windows alone

    library = ctypes.WinDLL("advapi32", use_last_error=True)
    library.RegisterEventSourceW.restype = ctypes.c_void_p
    library.ReportEventW.argtypes = [
        *(ctypes.c_void_p, ctypes.c_ushort, ctypes.c_ushort, ctypes.c_uint32, ctypes.c_void_p),
        *(ctypes.c_ushort, ctypes.c_uint32, ctypes.c_void_p, ctypes.c_void_p),
    ]
    library.DeregisterEventSource.argtypes = [ctypes.c_void_p]
    return library


def _string_array(text: str) -> Any:
    import ctypes  # noqa: PLC0415 - for Windows alone

    return (ctypes.c_wchar_p * 1)(text)


def _register() -> None:
    """Tell Event Viewer how to show our events; whoever may not do that goes without."""
    if sys.platform == "win32":
        import winreg  # noqa: PLC0415 - for Windows alone

        try:
            with winreg.CreateKey(winreg.HKEY_LOCAL_MACHINE, _SOURCES) as key:
                winreg.SetValueEx(key, "EventMessageFile", 0, winreg.REG_EXPAND_SZ, _TEXTS)
                winreg.SetValueEx(key, "TypesSupported", 0, winreg.REG_DWORD, ERROR | WARNING | INFORMATION)
        except PermissionError:
            return
