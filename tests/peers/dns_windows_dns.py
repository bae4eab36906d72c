"""A Windows DNS server: the cmdlets of its module DnsServer in the host's own PowerShell, by WinRM.

As https://learn.microsoft.com/powershell/module/dnsserver/ documents them; their error ids tell the Win32 error. The
wire is that of the simulated Exchange, which knows nothing of our client.
"""

import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from psrpcore.types import ErrorCategory

from certwright.exchange_simulator import Access, Drop, Fail, Faults, HttpStatus, Intercepted
from certwright.exchange_simulator.authentication import Account
from certwright.exchange_simulator.cmdlet import Cmdlet, Invocation, boolean, switch, text, texts
from certwright.exchange_simulator.common_cmdlets import COMMON_CMDLETS
from certwright.exchange_simulator.configuration import AuthConfig, OrganisationState
from certwright.exchange_simulator.directory import Directory
from certwright.exchange_simulator.endpoint import HOST, Endpoint, Shared
from certwright.exchange_simulator.listeners import server_context
from certwright.exchange_simulator.records import CmdletError, Record, ps_object
from certwright.exchange_simulator.roles import Rights
from certwright.exchange_simulator.state import ServerState
from certwright.exchange_simulator.world import Node, World
from peers.dns_peer import OTHER_ZONE, ZONE, DnsPeer, Fault
from peers.exchange_shell import Issued, TestAuthority

USERNAME = "certwright@contoso.test"
PASSWORD = "correct horse 7 battery staple"
_CIM = "Microsoft.Management.Infrastructure.CimInstance#root/Microsoft/Windows/DNS/"
_TIME_SPAN = re.compile(r"(?:\d+\.)?\d\d:\d\d:\d\d")
_TYPES = {"txt", "a", "aaaa", "cname", "mx", "ns", "soa", "srv", "ptr"}
_EVERYWHERE: Mapping[str, Any] = {"ComputerName": text, "VirtualizationInstance": text, "ZoneScope": text}
_Value = tuple[str, str, str]
"""Name relative to the zone, value, and TTL as a TimeSpan."""


class WindowsDnsServer(DnsPeer):
    """A domain controller with two zones of ours, and others that a DNS server has besides."""

    faults = frozenset(Fault) - {Fault.RATE_LIMITED}

    def __init__(self, issued: Issued, ca_file: Path, access: Access, *, has_module: bool) -> None:
        self.complaints: list[str] = []
        self.zones: dict[str, list[_Value]] = {ZONE: [], OTHER_ZONE: []}
        for zone in self.zones:
            self.put(zone, f"v=spf1 mx:{zone} -all")
            self.put(f"_dmarc.{zone}", "v=DMARC1; p=none")
        world = World(OrganisationState(AuthConfig("0" * 40)), Directory("contoso.test", ("DC01",), None))
        shared = Shared(
            server_context(issued.chain_pem, issued.key_pem),
            x509.load_pem_x509_certificate(issued.chain_pem).public_bytes(Encoding.DER),
            Account(USERNAME, PASSWORD),
            shell_quota=18,
            shell_idle_timeout=900.0,
            rights=Rights(),
            recording=None,
        )
        self._endpoint = Endpoint(
            HOST,
            name="DC01",
            fqdn="dc01.contoso.test",
            host="127.0.0.1",
            access=access,
            world=world,
            shared=shared,
            cmdlets=(*(_Cmdlets(self).all if has_module else ()), *COMMON_CMDLETS),
        )
        self._planned = Faults(self._endpoint.refuse, self._endpoint.open)
        state = SimpleNamespace(name="DC01", fqdn="dc01.contoso.test")  # what the wire asks of a server
        world.nodes["DC01"] = Node(cast("ServerState", state), self._planned)
        self.calls = world.calls
        self.url_http = self._endpoint.url("http")
        self.overrides: Mapping[str, Any] = {"per_second": 1000}
        self.params = {
            "url": self._endpoint.url("https"),
            "auth": "basic",
            "username": USERNAME,
            "password": PASSWORD,
            "ca_file": str(ca_file),
        }
        self.wrong_params = {**self.params, "password": PASSWORD[:-1] + "x"}
        self._endpoint.open()

    def read(self, name: str) -> list[str]:
        return sorted(value for full, value, _ in self._absolute() if full == name)

    def put(self, name: str, value: str) -> None:
        zone = next(zone for zone in self.zones if name == zone or name.endswith(f".{zone}"))
        self.zones[zone].append((name.removesuffix(zone).removesuffix(".") or "@", value, "01:00:00"))

    def everything(self) -> object:
        return sorted(self._absolute())

    def fail(self, fault: Fault, times: int = 1, *, after: int = 0) -> None:
        self._planned.heal()
        self._endpoint.wire.clear()
        match fault:
            case Fault.NONSENSE:
                self._endpoint.wire.intercept(Intercepted(200))
            case Fault.FORBIDDEN:
                self._planned.inject(Fail("Access was denied."), "*-DnsServer*", nth=after + 1, times=times)
            case Fault.UNAVAILABLE:
                self._planned.inject(HttpStatus(503), "*", nth=after + 1, times=times)
            case _:
                self._planned.inject(Drop(committed=fault is Fault.ANSWER_LOST), "*", nth=after + 1, times=times)

    def stop(self) -> None:
        """Close its ports."""
        self._endpoint.stop()

    def _absolute(self) -> list[tuple[str, str, str]]:
        return [
            (zone if name == "@" else f"{name}.{zone}", value, life)
            for zone, values in self.zones.items()
            for name, value, life in values
        ]


class _Cmdlets:
    """What the module shows of a server."""

    def __init__(self, server: WindowsDnsServer) -> None:
        self._server = server
        name = {"ZoneName": text, "Name": text, **_EVERYWHERE}
        self.all = (
            self._cmdlet("Get-DnsServerZone", self._get_zones, {"Name": texts, **_EVERYWHERE}),
            self._cmdlet(
                "Get-DnsServerResourceRecord",
                self._get,
                {**name, "RRType": _record_type, "Node": switch},
                mandatory=frozenset({"ZoneName"}),
            ),
            self._cmdlet(
                "Add-DnsServerResourceRecord",
                self._add,
                {
                    **name,
                    "Txt": switch,
                    "DescriptiveText": text,
                    "TimeToLive": _time_span,
                    "AllowUpdateAny": boolean,
                    "AgeRecord": switch,
                    "PassThru": switch,
                },
                mandatory=frozenset({"ZoneName", "Name", "DescriptiveText", "Txt"}),
                mutates=True,
            ),
            self._cmdlet(
                "Remove-DnsServerResourceRecord",
                self._remove,
                {**name, "RRType": _record_type, "RecordData": texts, "Force": switch, "PassThru": switch},
                mandatory=frozenset({"ZoneName", "Name", "RRType"}),
                mutates=True,
            ),
        )

    @staticmethod
    def _cmdlet(name: str, run: Any, parameters: Mapping[str, Any], **more: Any) -> Cmdlet:
        return Cmdlet(name, name, run, parameters, refusal=_denied, **more)

    def _get_zones(self, _call: Invocation) -> Iterable[Record]:
        yield _zone("TrustAnchors")
        yield _zone("0.in-addr.arpa", IsAutoCreated=True, IsReverseLookupZone=True)
        yield _zone("2.0.192.in-addr.arpa", IsReverseLookupZone=True)
        yield _zone("adatum.example", ZoneType="Secondary", IsDsIntegrated=False)
        yield from map(_zone, (zone.title() for zone in self._server.zones))  # zones keep the case they were made in

    def _get(self, call: Invocation) -> Iterable[Record]:
        values, name = self._values(call), call.get("Name", "@")
        if not call.get("Node", False):
            self._server.complaints.append("records below the name were asked for as well")
        found = [value for value in values if value[0] == name.lower()]
        if not found and name != "@":
            raise _win32(call, 9714, f"Failed to get {name} record in {call.get('ZoneName')} zone on DC01 server.")
        return [_record(*value) for value in found]

    def _add(self, call: Invocation) -> Iterable[Record]:
        values, name = self._values(call), call.get("Name")
        life = call.get("TimeToLive", "01:00:00")
        if (name, call.get("DescriptiveText")) in {value[:2] for value in values}:
            told = f"Failed to create resource record {name} in zone {call.get('ZoneName')} on server DC01."
            raise _win32(call, 9711, told, ErrorCategory.ResourceExists)
        values.append((name, call.get("DescriptiveText"), life))
        call.changed()
        return ()

    def _remove(self, call: Invocation) -> Iterable[Record]:
        values, name, data = self._values(call), call.get("Name"), call.get("RecordData")
        if call.get("RRType").lower() != "txt" or not data:
            self._server.complaints.append(f"all {call.get('RRType')} records at {name} were to be removed")
        if not call.get("Force", False):
            call.streams.choose("Confirm", f"Removing DNS resource record {name}", ["&Yes", "&No"], 0)
        gone = [value for value in values if value[0] == name and value[1] == "".join(data or ())]
        if not gone:
            raise _win32(call, 9701, f"Failed to remove {name} record in {call.get('ZoneName')} zone on DC01 server.")
        values.remove(gone[0])
        call.changed()
        return ()

    def _values(self, call: Invocation) -> list[_Value]:
        zone = call.get("ZoneName")
        if zone.lower() not in self._server.zones:
            raise _win32(call, 9601, f"Failed to get the zone information for {zone} on server DC01.")
        return self._server.zones[zone.lower()]


def _record_type(value: Any) -> str:
    kind = str(text(value))
    if kind.lower() not in _TYPES:
        raise ValueError(kind)
    return kind


def _time_span(value: Any) -> str:
    written = str(text(value))
    if not _TIME_SPAN.fullmatch(written):
        raise TypeError("System.TimeSpan")
    return written


def _zone(name: str, **changed: Any) -> Record:
    properties = {
        "ZoneName": name,
        "ZoneType": "Primary",
        "IsAutoCreated": False,
        "IsDsIntegrated": True,
        "IsReverseLookupZone": False,
        "IsSigned": False,
        **changed,
    }
    return Record((f"{_CIM}DnsServerPrimaryZone", "System.Object"), properties, "DnsServerPrimaryZone")


def _record(name: str, value: str, life: str) -> Record:
    """A record; remoting shows of its data only what kind it is, unless that is taken out before."""
    data = Record(
        (f"{_CIM}DnsServerResourceRecordTxt", "System.Object"),
        {"DescriptiveText": value, "PSComputerName": None},
        "DnsServerResourceRecordTxt",
    )
    types = (f"{_CIM}DnsServerResourceRecord", "System.Object")
    shown = {"HostName": name, "RecordType": "TXT", "Type": 16, "TimeToLive": life}
    return Record(
        types,
        {**shown, "RecordData": data},
        "DnsServerResourceRecord",
        wire=lambda: ps_object(types, adapted={**shown, "RecordData": data.text}, text="DnsServerResourceRecord"),
    )


def _win32(
    call: Invocation, code: int, message: str, category: ErrorCategory = ErrorCategory.ObjectNotFound
) -> CmdletError:
    return _cim_error(code, message, call.cmdlet.name, category)


def _denied(_server: str, message: str, task: str) -> CmdletError:
    return _cim_error(5, message, task, ErrorCategory.PermissionDenied)


def _cim_error(code: int, message: str, cmdlet: str, category: ErrorCategory) -> CmdletError:
    return CmdletError(
        message,
        reason="CimException",
        namespace="Microsoft.Management.Infrastructure",
        category=category,
        error_id=f"WIN32 {code},{cmdlet}",
    )


@contextmanager
def serve(access: Access | None = None, *, has_module: bool = True) -> Iterator[WindowsDnsServer]:
    """Until the block ends."""
    authority = TestAuthority()
    issued = authority.issue("dc01.contoso.test", address="127.0.0.1")
    with tempfile.TemporaryDirectory() as folder:
        server = WindowsDnsServer(issued, authority.write_root(Path(folder)), access or Access(), has_module=has_module)
        try:
            yield server
        finally:
            server.stop()
