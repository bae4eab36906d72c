"""The host's own PowerShell (WinRM): Windows services by name."""

import fnmatch
from collections.abc import Iterable

from psrpcore.types import ErrorCategory

from certwright.exchange_simulator.cmdlet import Cmdlet, Invocation, switch, texts
from certwright.exchange_simulator.mail_access import IMAP_SERVICES, POP_SERVICES
from certwright.exchange_simulator.records import (
    CmdletError,
    Record,
    ServiceControllerStatus,
    ServiceStartMode,
)

_COMMANDS = "Microsoft.PowerShell.Commands."
_DISPLAY_NAMES = {
    "MSExchangeTransport": "Microsoft Exchange Transport",
    "MSExchangeFrontEndTransport": "Microsoft Exchange Frontend Transport",
    "MSExchangePOP3": "Microsoft Exchange POP3",
    "MSExchangePOP3BE": "Microsoft Exchange POP3 Backend",
    "MSExchangeIMAP4": "Microsoft Exchange IMAP4",
    "MSExchangeIMAP4BE": "Microsoft Exchange IMAP4 Backend",
    "MSExchangeServiceHost": "Microsoft Exchange Service Host",
    "MSExchangeUM": "Microsoft Exchange Unified Messaging",
    "MSExchangeUMCR": "Microsoft Exchange Unified Messaging Call Router",
    "W3SVC": "World Wide Web Publishing Service",
}


def _service(call: Invocation, name: str) -> Record:
    running = call.node.state.running[name]
    manual = name in POP_SERVICES + IMAP_SERVICES
    return Record(
        ("System.ServiceProcess.ServiceController", "System.ComponentModel.Component", "System.Object"),
        {
            "Name": name,
            "ServiceName": name,
            "DisplayName": _DISPLAY_NAMES.get(name, name),
            "Status": ServiceControllerStatus.Running if running else ServiceControllerStatus.Stopped,
            "StartType": ServiceStartMode.Manual if manual else ServiceStartMode.Automatic,
            "CanStop": running,
            "MachineName": ".",
        },
        "System.ServiceProcess.ServiceController",
    )


def _matching(call: Invocation, default: list[str]) -> list[str]:
    """The services that ``-Name`` means; a name without wildcard that fits none is an error."""
    found: list[str] = []
    for pattern in call.get("Name", default):
        names = [n for n in call.node.state.running if fnmatch.fnmatchcase(n.lower(), pattern.lower())]
        if not names and not set(pattern) & set("*?["):
            call.streams.error(_not_found(call, pattern))
        found += [n for n in names if n not in found]
    return found


def _not_found(call: Invocation, name: str) -> CmdletError:
    return CmdletError(
        f"Cannot find any service with service name '{name}'.",
        reason="ServiceCommandException",
        namespace="Microsoft.PowerShell.Commands",
        category=ErrorCategory.ObjectNotFound,
        error_id=f"NoServiceFoundForGivenName,{call.cmdlet.task}",
        target=name,
    )


def _get_service(call: Invocation) -> Iterable[Record]:
    return [_service(call, name) for name in _matching(call, ["*"])]


def _restart_service(call: Invocation) -> Iterable[Record]:
    names = _matching(call, [])
    if not call.should_process():
        return []
    for name in names:
        call.node.state.start_service(name)
    if names:
        call.changed()
    return [_service(call, name) for name in names] if call.get("PassThru", False) else []


def _service_failure(_server: str, message: str, task: str) -> CmdletError:
    return CmdletError(
        message,
        reason="ServiceCommandException",
        namespace="Microsoft.PowerShell.Commands",
        category=ErrorCategory.OpenError,
        error_id=f"StartServiceFailed,{task}",
    )


SERVICE_CMDLETS = (
    Cmdlet(
        "Get-Service",
        _COMMANDS + "GetServiceCommand",
        _get_service,
        {"Name": texts},
        positional=("Name",),
        refusal=_service_failure,
    ),
    Cmdlet(
        "Restart-Service",
        _COMMANDS + "RestartServiceCommand",
        _restart_service,
        {"Name": texts, "Force": switch, "PassThru": switch},
        positional=("Name",),
        mandatory=frozenset({"Name"}),
        mutates=True,
        refusal=_service_failure,
    ),
)
