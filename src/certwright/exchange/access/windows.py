"""What a server's own PowerShell tells: IIS bindings, where keys are kept, setup, scheduled tasks, services, events."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from certwright.exchange.access.reading import Reading
from certwright.exchange.access.records import text, texts, thumbprint
from certwright.exchange.model import Binding, KeyStorage
from certwright.remoting.clixml import Obj, Value
from certwright.remoting.failures import CommandFailed
from certwright.remoting.psrp import Command

_SNI = 1
_SITE = re.compile(r"@id='(\d+)'")
_ALLOWED = re.compile(r"^(.+?)\s+Allow\b", re.MULTILINE)
_SETUP = r"HKLM:\SOFTWARE\Microsoft\ExchangeServer\v15" + "\\"
_ROLES = ("MailboxRole", "HubTransportRole", "ClientAccessRole", "FrontendTransportRole")


@dataclass(frozen=True, slots=True)
class ScheduledTask:
    """A task of the Windows task scheduler; `path` is its folder, `runs` what it starts, as far as that is told."""

    name: str
    path: str = "\\"
    is_enabled: bool = True
    runs: str = ""


@dataclass(frozen=True, slots=True)
class WindowsService:
    """A Windows service."""

    name: str
    is_running: bool = False
    is_disabled: bool = False


@dataclass(frozen=True, slots=True)
class Event:
    """An entry of the application log; `message` is in the server's language."""

    id: int
    at: datetime | None
    provider: str
    message: str


def bindings(reading: Reading) -> tuple[Binding, ...] | None:
    """The https bindings of all web sites."""
    found = reading.objects("the bindings of IIS", Command("Get-WebBinding", {"Protocol": "https"}))
    return None if found is None else tuple(map(_binding, found))


def key_storage(reading: Reading, certificate: str) -> KeyStorage | None:
    """Where the key of a certificate (its thumbprint) is kept; None if that is not told.

    Windows PowerShell shows a PrivateKey only for keys of a cryptographic service provider.
    """
    pipeline = (
        Command("Get-ChildItem", {"Path": rf"Cert:\LocalMachine\My\{certificate}"}),
        Command("Select-Object", {"ExpandProperty": "PrivateKey"}),
        Command("Select-Object", {"ExpandProperty": "CspKeyContainerInfo"}),
    )
    what = f"where the key of {certificate} is kept"
    try:
        found = reading.run(*pipeline).objects
    except CommandFailed as failure:
        if all(record.error_id.startswith("ExpandPropertyNotFound") for record in failure.records):
            return KeyStorage(certificate, provider="")
        reading.note(what, failure.message)
        return None
    if not found:
        reading.note(what, "Windows shows no key of it.")
        return None
    get = found[0].properties.get
    readers = _ALLOWED.findall(text(get("CryptoKeySecurity")))
    return KeyStorage(certificate, text(get("ProviderName")), text(get("KeyNumber")), tuple(map(str.strip, readers)))


def updating(reading: Reading) -> str:
    """The roles whose setup has not finished, which leaves an Action or a Watermark behind; empty if it has."""
    return ", ".join(role for role in _ROLES if _is_unfinished(reading, role))


def scheduled_tasks(reading: Reading) -> tuple[ScheduledTask, ...] | None:
    """All that the task scheduler knows."""
    select = Command("Select-Object", {"Property": ["TaskName", "TaskPath", "State", "Actions"]})
    found = reading.objects("the scheduled tasks", Command("Get-ScheduledTask"), select)
    return None if found is None else tuple(map(_task, found))


def services(reading: Reading, names: Iterable[str]) -> tuple[WindowsService, ...] | None:
    """The services whose names fit these patterns."""
    found = reading.objects("the services of other ACME clients", Command("Get-Service", {"Name": list(names)}))
    return None if found is None else tuple(map(_service, found))


def event(record: Obj) -> Event:
    """An entry of Get-WinEvent."""
    get = record.properties.get
    number, at = get("Id"), get("TimeCreated")
    return Event(
        id=number if isinstance(number, int) else 0,
        at=at.astimezone(UTC) if isinstance(at, datetime) else None,
        provider=text(get("ProviderName")),
        message=text(get("Message")),
    )


def _binding(record: Obj) -> Binding:
    get = record.properties.get
    site, flags = _SITE.search(text(get("ItemXPath"))), get("sslFlags")
    return Binding(
        information=text(get("bindingInformation")),
        site=int(site[1]) if site else None,
        thumbprint=thumbprint(get("certificateHash")),
        sni=isinstance(flags, int) and bool(flags & _SNI),
    )


def _is_unfinished(reading: Reading, role: str) -> bool:
    get = Command("Get-ItemProperty", {"Path": f"{_SETUP}{role}"})
    found = reading.objects(f"whether the setup of {role} has finished", get, none="PathNotFound")
    return any(text(o.properties.get(sign)) for o in found or () for sign in ("Action", "Watermark"))


def _task(record: Obj) -> ScheduledTask:
    get = record.properties.get
    return ScheduledTask(
        name=text(get("TaskName")),
        path=text(get("TaskPath")) or "\\",
        is_enabled=text(get("State")) != "Disabled",
        runs=" ".join(_words(get("Actions"))),
    )


def _words(value: Value) -> tuple[str, ...]:
    """Every text in what a task starts: program and arguments."""
    if isinstance(value, Obj):
        inner = (word for part in (*value.items, *value.properties.values()) for word in _words(part))
        return (*inner, *texts(value)) if not value.is_collection else tuple(inner)
    return texts(value)


def _service(record: Obj) -> WindowsService:
    get = record.properties.get
    return WindowsService(
        name=text(get("Name")),
        is_running=text(get("Status")) == "Running",
        is_disabled=text(get("StartType")) == "Disabled",
    )
