"""The commands that every endpoint has, beside its own."""

import fnmatch
from collections.abc import Iterable

from psrpcore.types import CommandTypes, ErrorCategory, PSDict

from certwright.exchange_simulator.cmdlet import Cmdlet, Invocation, not_recognized, text, texts
from certwright.exchange_simulator.records import CmdletError, Record

_COMMAND_TYPES = (
    "System.Management.Automation.CmdletInfo",
    "System.Management.Automation.CommandInfo",
    "System.Object",
)


def _get_command(call: Invocation) -> Iterable[Record]:
    rights = call.session.rights
    visible = [c for c in call.session.commands.values() if rights.show(c.name)]
    for pattern in call.get("Name", ["*"]):
        found = [c for c in visible if fnmatch.fnmatchcase(c.name.lower(), pattern.lower())]
        if not found and not set(pattern) & set("*?["):
            missing = not_recognized(pattern)
            missing.terminating = False
            missing.error_id = f"CommandNotFoundException,{call.cmdlet.task}"
            call.streams.error(missing)
        for cmdlet in found:
            shown = [name for name in cmdlet.all_parameters if name not in rights.hidden(cmdlet.name)]
            yield Record(
                _COMMAND_TYPES,
                {
                    "Name": cmdlet.name,
                    "CommandType": CommandTypes.Cmdlet,
                    "ModuleName": "",
                    "Parameters": PSDict({name: name for name in shown}),
                },
                cmdlet.name,
            )


def _select_object(call: Invocation) -> Iterable[Record]:
    records: Iterable[Record] = call.received
    if expanded := call.get("ExpandProperty"):
        return _expanded(call, expanded)
    names = call.get("Property")
    return [record.selected(names) for record in records] if names else records


def _expanded(call: Invocation, name: str) -> Iterable[Record]:
    """The values of one property, each an output of its own; an object without it is an error that does not end it."""
    for record in call.received:
        found = next((value for own, value in record.properties.items() if own.lower() == name.lower()), None)
        if found is None:
            call.streams.error(_cannot_be_found(name, call.cmdlet.task))
            continue
        for value in found if isinstance(found, list | tuple) else [found]:
            yield value if isinstance(value, Record) else Record.of_value(value)


def _cannot_be_found(name: str, task: str) -> CmdletError:
    return CmdletError(
        f'Property "{name}" cannot be found.',
        reason="PSArgumentException",
        namespace="System.Management.Automation",
        category=ErrorCategory.InvalidArgument,
        error_id=f"ExpandPropertyNotFound,{task}",
    )


COMMON_CMDLETS = (
    Cmdlet(
        "Get-Command",
        "Microsoft.PowerShell.Commands.GetCommandCommand",
        _get_command,
        {"Name": texts},
        positional=("Name",),
    ),
    Cmdlet(
        "Select-Object",
        "Microsoft.PowerShell.Commands.SelectObjectCommand",
        _select_object,
        {"Property": texts, "ExpandProperty": text},
        positional=("Property",),
    ),
)
