"""What else the host's own PowerShell tells: IIS bindings, scheduled tasks, the event log, the registry."""

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import Any

from psrpcore.types import ErrorCategory, PSEnumBase, PSType

from certwright.exchange_simulator.cmdlet import Cmdlet, Invocation, text, texts
from certwright.exchange_simulator.configuration import Role
from certwright.exchange_simulator.host_store import not_there
from certwright.exchange_simulator.records import CmdletError, Record
from certwright.exchange_simulator.transport import Event
from certwright.exchange_simulator.web_bindings import SITES

_SETUP = "hklm:\\software\\microsoft\\exchangeserver\\v15\\"
_ROLES = {
    Role.MAILBOX: ("MailboxRole", "HubTransportRole", "UnifiedMessagingRole"),
    Role.CLIENT_ACCESS: ("ClientAccessRole", "CafeRole", "FrontendTransportRole"),
    Role.EDGE: ("EdgeTransportRole",),
}
_SNI = 1


@PSType(["Microsoft.PowerShell.Cmdletization.GeneratedTypes.ScheduledTask.StateEnum"])
class TaskState(PSEnumBase):
    """State of a scheduled task."""

    Unknown = 0
    Disabled = 1
    Queued = 2
    Ready = 3
    Running = 4


def hashtable(value: Any) -> dict[str, Any]:
    """A Hashtable, its keys in lower case."""
    if not isinstance(value, Mapping):
        raise TypeError("System.Collections.Hashtable")
    return {str(name).lower(): entry for name, entry in value.items()}


def _get_web_binding(call: Invocation) -> Iterable[Record]:
    if call.get("Protocol", "https").lower() != "https":
        return
    for binding in call.node.state.web_bindings:
        site = SITES[binding.site]
        yield Record(
            ("Microsoft.IIs.PowerShell.Framework.ConfigurationElement#bindings#binding", "System.Object"),
            {
                "protocol": "https",
                "bindingInformation": binding.information,
                "sslFlags": _SNI if binding.host else 0,
                "certificateHash": binding.thumbprint,
                "certificateStoreName": "My",
                "ItemXPath": f"/system.applicationHost/sites/site[@name='{site}' and @id='{binding.site}']",
            },
        )


def _get_scheduled_task(call: Invocation) -> Iterable[Record]:
    for task in call.node.state.scheduled_tasks:
        yield Record(
            ("Microsoft.Management.Infrastructure.CimInstance#MSFT_ScheduledTask", "System.Object"),
            {
                "TaskName": task.name,
                "TaskPath": task.path,
                "State": TaskState.Ready if task.enabled else TaskState.Disabled,
            },
        )


def _get_win_event(call: Invocation) -> Iterable[Record]:
    wanted = call.get("FilterHashtable")
    state = call.node.state
    with state.lock:
        state.transport.loaded()
        found = [event for event in reversed(state.transport.events) if _fits(event, wanted)]
    if not found:
        raise CmdletError(
            "No events were found that match the specified selection criteria.",
            reason="Exception",
            category=ErrorCategory.ObjectNotFound,
            error_id=f"NoMatchingEventsFound,{call.cmdlet.task}",
        )
    return [
        Record(
            ("System.Diagnostics.Eventing.Reader.EventLogRecord", "System.Object"),
            {
                "Id": event.id,
                "TimeCreated": event.time,
                "ProviderName": event.provider,
                "LogName": "Application",
                "LevelDisplayName": "Error",
                "Message": event.message,
            },
            "System.Diagnostics.Eventing.Reader.EventLogRecord",
        )
        for event in found
    ]


def _fits(event: Event, wanted: Mapping[str, Any]) -> bool:
    if event.time < _moment(wanted.get("starttime")):
        return False
    providers = [name.lower() for name in texts(wanted.get("providername", [event.provider]))]
    numbers = texts(wanted.get("id", [event.id]))
    log = str(wanted.get("logname", "Application")).lower()
    return event.provider.lower() in providers and str(event.id) in numbers and log == "application"


def _moment(given: Any) -> dt.datetime:
    """A DateTime, or text that PowerShell makes one of; without a zone it is ours."""
    if given is None:
        return dt.datetime.min.replace(tzinfo=dt.UTC)
    start = given if isinstance(given, dt.datetime) else dt.datetime.fromisoformat(str(given))
    return start if start.tzinfo else start.replace(tzinfo=dt.UTC)


def _get_item_property(call: Invocation) -> Iterable[Record]:
    path, state = call.get("Path", ""), call.node.state
    roles = _ROLES.get(state.role) or (*_ROLES[Role.MAILBOX], *_ROLES[Role.CLIENT_ACCESS])
    role = path.lower().removeprefix(_SETUP)
    if not path.lower().startswith(_SETUP) or role not in {name.lower() for name in roles}:
        raise not_there(path, call.cmdlet.task)
    version = state.version.build
    properties = {"ConfiguredVersion": version, "UnpackedVersion": version, "PSPath": path}
    if state.update_in_progress:
        properties |= {"Action": "BuildToBuildUpgrade", "Watermark": "MSExchangeIS"}
    return [Record(("System.Management.Automation.PSCustomObject", "System.Object"), properties)]


STATE_CMDLETS = (
    Cmdlet(
        "Get-WebBinding",
        "Microsoft.IIs.PowerShell.Provider.GetWebBindingCommand",
        _get_web_binding,
        {"Protocol": text},
        positional=("Name",),
    ),
    Cmdlet("Get-ScheduledTask", "Get-ScheduledTask", _get_scheduled_task),
    Cmdlet(
        "Get-WinEvent",
        "Microsoft.PowerShell.Commands.GetWinEventCommand",
        _get_win_event,
        {"FilterHashtable": hashtable},
        mandatory=frozenset({"FilterHashtable"}),
    ),
    Cmdlet(
        "Get-ItemProperty",
        "Microsoft.PowerShell.Commands.GetItemPropertyCommand",
        _get_item_property,
        {"Path": text},
        positional=("Path",),
        mandatory=frozenset({"Path"}),
    ),
)
