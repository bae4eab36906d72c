"""Objects as they travel: a type's names, its properties, and the error records of a cmdlet."""

import secrets
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from psrpcore.types import (
    CommandTypes,
    ErrorCategory,
    ErrorCategoryInfo,
    ErrorRecord,
    InvocationInfo,
    NETException,
    PSDict,
    PSEnumBase,
    PSFlagBase,
    PSList,
    PSListBase,
    PSNoteProperty,
    PSObject,
    PSType,
    SessionStateEntryVisibility,
)

from certwright.exchange_simulator.certificates import utc_now

_TASKS = "Microsoft.Exchange.Management.SystemConfigurationTasks."


@PSType([_TASKS + "AllowedServices"])
class AllowedServices(PSFlagBase):
    """Services, in the order in which Exchange writes them."""

    none = 0  # psrpcore writes this member as "None"
    IMAP = 1
    POP = 2
    UM = 4
    IIS = 8
    SMTP = 16
    Federation = 32
    UMCallRouter = 64


@PSType([_TASKS + "CertificateStatus"])
class CertificateStatus(PSEnumBase):
    """Status of an Exchange certificate."""

    Unknown = 0
    Valid = 1
    Revoked = 2
    DateInvalid = 3
    Untrusted = 4
    Invalid = 5
    RevocationCheckFailure = 6
    PendingRequest = 7


@PSType([_TASKS + "CertificateAuthorityType"])
class CertificateAuthorityType(PSEnumBase):
    """RootCAType; None = 0 and Registry = 3 were seen in captures."""

    none = 0
    ThirdParty = 1
    Enterprise = 2
    Registry = 3


@PSType(["System.ServiceProcess.ServiceControllerStatus"])
class ServiceControllerStatus(PSEnumBase):
    """Status of a Windows service."""

    Stopped = 1
    Running = 4


@PSType(["System.ServiceProcess.ServiceStartMode"])
class ServiceStartMode(PSEnumBase):
    """StartType of a Windows service."""

    Automatic = 2
    Manual = 3


@PSType(["Microsoft.Exchange.Data.QueueViewer.QueueStatus"])
class QueueStatus(PSEnumBase):
    """Status of a queue; the numbers are ours."""

    none = 0
    Active = 1
    Ready = 2
    Retry = 3
    Suspended = 4


def _generic(name: str, argument: str, library: str) -> str:
    return f"{name}`1[[{argument}, {library}, Culture=neutral, PublicKeyToken={_TOKENS[library]}]]"


_RUNTIME, _EXCHANGE_DATA = "mscorlib, Version=4.0.0.0", "Microsoft.Exchange.Data, Version=15.0.0.0"
_MANAGEMENT = "Microsoft.Exchange.Management, Version=15.0.0.0"
_TOKENS = {
    _RUNTIME: "b77a5c561934e089",
    _EXCHANGE_DATA: "31bf3856ad364e35",
    _MANAGEMENT: "31bf3856ad364e35",
}
_LIST = "System.Collections.Generic.List"


@PSType([_generic(_LIST, "System.Object", _RUNTIME), "System.Object"], skip_inheritance=True, rehydrate=False)
class _ArgumentList(PSList):
    """UnboundArguments as PowerShell types it; sharing the type of another list breaks pypsrp's TNRef look-up."""


@PSType(
    [
        _generic(_LIST, "Microsoft.Exchange.Data.SmtpDomainWithSubdomains", _EXCHANGE_DATA),
        "System.Object",
    ],
    rehydrate=False,
)
class DomainList(PSListBase):
    """CertificateDomains; its items are beyond the serialization depth, hence strings."""


@PSType([_generic(_LIST, _TASKS + "IisService", _MANAGEMENT), "System.Object"], rehydrate=False)
class IisServiceList(PSListBase):
    """IISServices; its items are beyond the serialization depth, hence strings."""


@PSType(
    [
        _generic("Microsoft.Exchange.Data.MultiValuedProperty", "System.String", _RUNTIME),
        "Microsoft.Exchange.Data.MultiValuedPropertyBase",
        "System.Object",
    ],
    rehydrate=False,
)
class MultiValuedProperty(PSListBase):
    """Exchange's list type, which no client knows."""


@dataclass(frozen=True, slots=True)
class Record:
    """One output object of a cmdlet.

    Attributes:
        type_names: The .NET type and its bases.
        properties: What ``Select-Object`` sees.
        text: ToString.
        wire: How the object itself is serialized, if that is not simply all its properties.
    """

    type_names: tuple[str, ...]
    properties: Mapping[str, Any]
    text: str = ""
    wire: Callable[[], PSObject] | None = None

    @classmethod
    def of_value(cls, value: Any) -> "Record":
        """A plain value, such as ``Select-Object -ExpandProperty`` makes of a property."""
        return cls((), {}, str(value), wire=lambda: value)

    def serialized(self) -> PSObject:
        """The object as the cmdlet's own output carries it."""
        if self.wire is not None:
            return self.wire()
        return ps_object(self.type_names, adapted=self.properties, text=self.text)

    def selected(self, names: Iterable[str]) -> "Record":
        """The object as ``Select-Object`` makes it: note properties, null where there is none."""
        by_name = {name.lower(): (name, value) for name, value in self.properties.items()}
        chosen = dict(by_name.get(name.lower(), (name, None)) for name in names)
        types = (
            f"Selected.{self.type_names[0]}",
            "System.Management.Automation.PSCustomObject",
            "System.Object",
        )
        return Record(types, chosen, wire=lambda: ps_object(types, extended=chosen))


def smtp_identifier(written: str | None) -> PSObject | None:
    """TlsCertificateName (``<I>issuer<S>subject``) as the SmtpX509Identifier it is."""
    if written is None:
        return None
    issuer, _, subject = written.removeprefix("<I>").partition("<S>")
    common_name = next((p.strip()[3:] for p in subject.split(",") if p.strip().startswith("CN=")), "")
    properties = {"CertificateIssuer": issuer, "CertificateSubject": subject, "SubjectCommonName": common_name}
    types = ("Microsoft.Exchange.Data.SmtpX509Identifier", "System.Object")
    return ps_object(types, adapted=properties, text=written)


def ps_object(
    type_names: Iterable[str],
    *,
    adapted: Mapping[str, Any] | None = None,
    extended: Mapping[str, Any] | None = None,
    text: str = "",
) -> PSObject:
    """A PSObject with these properties."""
    made = PSObject()
    meta = made.PSObject
    meta.type_names = list(type_names)
    meta.adapted_properties = [PSNoteProperty(n, value=v) for n, v in (adapted or {}).items()]
    meta.extended_properties = [PSNoteProperty(n, value=v) for n, v in (extended or {}).items()]
    if text:
        meta.to_string = text
    return made


@dataclass
class CmdletError(Exception):
    """An error that a cmdlet reports.

    Attributes:
        message: What it says.
        reason: The .NET exception's name without namespace, for CategoryInfo.
        error_id: FullyQualifiedErrorId as a whole.
        terminating: Ends the pipeline whatever ErrorAction says.
    """

    message: str
    reason: str = "InvalidOperationException"
    namespace: str = "System"
    category: ErrorCategory = ErrorCategory.NotSpecified
    error_id: str = ""
    target: str = ""
    terminating: bool = False

    def record(self, activity: str, invocation: InvocationInfo | None) -> ErrorRecord:
        """The error record that names `activity` (the cmdlet)."""
        exception = NETException(Message=self.message, HResult=-2146233079)
        exception.PSObject.type_names = [
            f"{self.namespace}.{self.reason}",
            "System.SystemException",
            "System.Exception",
            "System.Object",
        ]
        record = ErrorRecord(
            Exception=exception,
            CategoryInfo=ErrorCategoryInfo(
                Category=self.category,
                Activity=activity,
                Reason=self.reason,
                TargetName=self.target,
                TargetType="String" if self.target else "",
            ),
            FullyQualifiedErrorId=self.error_id,
            InvocationInfo=invocation,
        )
        record.serialize_extended_info = invocation is not None
        return record


def exchange_error(server: str, message: str, task: str, *, terminating: bool = False) -> CmdletError:
    """An error of an Exchange cmdlet.

    Args:
        server: The server that reports it.
        message: What it says.
        task: The .NET class of the cmdlet.
        terminating: See `CmdletError`.
    """
    stamp = utc_now().strftime("%m/%d/%Y %I:%M:%S %p")
    identifier = (
        f"[Server={server},RequestId={uuid.uuid4()},TimeStamp={stamp}] "
        f"[FailureCategory=Cmdlet-InvalidOperationException] {secrets.token_hex(4).upper()},{task}"
    )
    return CmdletError(message, error_id=identifier, terminating=terminating)


def rpc_error(server: str, tail: str, task: str, *, terminating: bool = False) -> CmdletError:
    """An error from the target server's host service, in the words that wrap it."""
    message = f"A special Rpc error occurs on server {server}: {tail}"
    return exchange_error(server, message, task, terminating=terminating)


@dataclass(frozen=True, slots=True)
class _CommandInfo:
    Name: str
    Definition: str = field(default="")
    CommandType: CommandTypes = CommandTypes.Cmdlet
    Visibility: SessionStateEntryVisibility = SessionStateEntryVisibility.Public


def invocation_info(name: str, position: int, length: int) -> InvocationInfo:
    """InvocationInfo of the command `name`, number `position` of `length` in its pipeline."""
    return InvocationInfo(
        BoundParameters=PSDict(),
        CommandOrigin=0,
        ExpectingInput=position > 1,
        HistoryId=1,
        InvocationName=name,
        Line="",
        MyCommand=_CommandInfo(name),
        OffsetInLine=-1,
        PipelineLength=length,
        PipelinePosition=position,
        PositionMessage="",
        PSCommandPath="",
        PSScriptRoot="",
        ScriptLineNumber=0,
        ScriptName="",
        UnboundArguments=_ArgumentList(),
    )
