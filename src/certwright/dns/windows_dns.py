r"""Windows DNS, as on domain controllers: typed commands of its PowerShell module DnsServer, by WinRM.

Choose a DNS server of the zone, primary or integrated in Active Directory, and an account that may sign in there
remotely and change the zone's records. On a domain controller, as an administrator:

    New-ADUser certwright -Enabled $true -AccountPassword (Read-Host -AsSecureString)
    Add-ADGroupMember "Remote Management Users" certwright
    Add-ADGroupMember DnsAdmins certwright

The members of DnsAdmins may do anything to the DNS service. To let the account change one zone alone, leave that group
out, and give it the rights *Read*, *Create all child objects* and *Delete all child objects* on the zone (DNS Manager,
properties of the zone, Security), and *Read* on the server (properties of the server, Security). A constrained endpoint
(JEA) that shows only `Get-DnsServerZone`, `Get-DnsServerResourceRecord`, `Add-DnsServerResourceRecord`,
`Remove-DnsServerResourceRecord` and `Select-Object` limits it further: name it as `configuration`.

Over http every message is encrypted by Kerberos or NTLM; over https the server's certificate is verified.

Source: https://learn.microsoft.com/powershell/module/dnsserver/
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Annotated, ClassVar, Self

from pydantic import Field, SecretStr, model_validator

from certwright.domain.errors import ConfigurationError, SolverError, Unreachable
from certwright.remoting.endpoint import WINDOWS, WITH_PASSWORD, Authentication, Endpoint, Identity
from certwright.remoting.failures import CommandFailed, OutcomeUnknown, ShellLost, SignInRefused
from certwright.remoting.psrp import Command, Parameter, PowerShell
from certwright.rest import unknown_zone, with_added, without, zones_seen
from certwright.sdk.dns import DnsProvider, TxtRecord, by_name
from certwright.sdk.pace import await_turn
from certwright.sdk.params import ExistingFile, OnlyWith
from certwright.sdk.params import Params as PluginParams

_RECORD_LIFE = "00:01:00"
_ATTEMPTS = 5
_DENIED = "WIN32 5,"
_THERE_ALREADY = ("WIN32 9711,",)  # DNS_ERROR_RECORD_ALREADY_EXISTS
_GONE_ALREADY = ("WIN32 9701,", "WIN32 9714,")  # DNS_ERROR_RECORD_DOES_NOT_EXIST, DNS_ERROR_NAME_DOES_NOT_EXIST


class Params(PluginParams):
    """The server, and as whom."""

    url: str = Field(
        description="Where the server's WinRM is: http://dc01.contoso.com:5985/wsman or https://...:5986/wsman."
    )
    auth: Authentication = Field(
        default="negotiate",
        description="How to sign in: negotiate takes Kerberos or NTLM; current is who runs this, by Kerberos.",
    )
    username: Annotated[str | None, OnlyWith("auth", WITH_PASSWORD)] = Field(
        default=None, description="The account, as certwright@contoso.com."
    )
    password: Annotated[SecretStr | None, OnlyWith("auth", WITH_PASSWORD)] = Field(
        default=None, description="Its password."
    )
    ca_file: ExistingFile | None = Field(
        default=None, description="PEM of the authority of the server's certificate, if this machine does not trust it."
    )
    configuration: str = Field(default=WINDOWS, description="Session configuration; another for a JEA endpoint.")
    wait: float = Field(
        default=300,
        gt=0,
        le=86_400,
        description="Seconds until every server of the zone has a change, as Active Directory takes.",
    )

    @model_validator(mode="after")
    def _can_be_used(self) -> Self:
        try:
            self.endpoint()
        except ConfigurationError as error:
            raise ValueError(error.message) from None
        return self

    def endpoint(self) -> Endpoint:
        """Where, and as whom."""
        password = self.password.get_secret_value() if self.password else None
        return Endpoint(
            self.url,
            self.configuration,
            Identity(self.auth, self.username, password),
            self.ca_file.read_bytes() if self.ca_file else None,
        )


class WindowsDns(DnsProvider[Params]):
    """One command a record, sent only if it is needed; each piece of work has a session of its own."""

    Params = Params
    per_second: ClassVar[float] = 20  # one's own server, but each is a command of PowerShell

    @property
    def wait(self) -> float:
        """As long as replication takes there."""
        return self.params.wait

    def check(self) -> str:
        """List the zones that can be changed there."""
        with self._shell() as shell:
            return zones_seen(self._service, self._zones(shell), self.context.credential)

    def add(self, zone: str, records: Sequence[TxtRecord]) -> None:
        """Add what is missing."""

        def missing(name: str, values: list[str], present: list[str]) -> list[Command]:
            new = with_added(present, values)[len(present) :]
            given: dict[str, Parameter] = {"ZoneName": zone, "Name": name, "Txt": True, "TimeToLive": _RECORD_LIFE}
            return [Command("Add-DnsServerResourceRecord", {**given, "DescriptiveText": value}) for value in new]

        self._change(zone, records, missing, _THERE_ALREADY)

    def remove(self, zone: str, records: Sequence[TxtRecord]) -> None:
        """Remove what is there, each by its value: without one, all records at the name would go."""

        def there(name: str, values: list[str], present: list[str]) -> list[Command]:
            old = without(present, without(present, values))
            given: dict[str, Parameter] = {"ZoneName": zone, "Name": name, "RRType": "Txt", "Force": True}
            return [Command("Remove-DnsServerResourceRecord", {**given, "RecordData": [value]}) for value in old]

        self._change(zone, records, there, _GONE_ALREADY)

    def _change(
        self,
        zone: str,
        records: Sequence[TxtRecord],
        needed: Callable[[str, list[str], list[str]], list[Command]],
        fine: tuple[str, ...],
    ) -> None:
        with self._shell() as shell:
            zones = self._zones(shell)
            if zone not in zones:
                raise unknown_zone(self._service, zone, zones, self.context.credential)
            for full, values in by_name(records).items():
                name = TxtRecord(full, "").relative_to(zone)
                self._carry_out(shell, zone, name, partial(needed, name, values), fine)

    def _carry_out(
        self,
        shell: PowerShell,
        zone: str,
        name: str,
        needed: Callable[[list[str]], list[Command]],
        fine: tuple[str, ...],
    ) -> None:
        """Send what is needed until nothing is: of a command whose result was lost, only looking tells whether it was.

        A command that fails with an error id that is `fine` has been overtaken by somebody else who did the same.
        """
        lost: Unreachable | None = None
        for _ in range(_ATTEMPTS):
            commands = needed(self._values(shell, zone, name))
            if not commands:
                return
            try:
                for command in commands:
                    self._turn()
                    _send(shell, command, fine)
            except (OutcomeUnknown, ShellLost) as error:
                lost = error
            else:
                return
        assert lost is not None  # noqa: S101 - else one attempt would have been carried out
        raise lost

    def _values(self, shell: PowerShell, zone: str, name: str) -> list[str]:
        """The TXT records at `name`; what they hold is taken out there, since remoting cuts off what lies deeper."""
        asked: dict[str, Parameter] = {"ZoneName": zone, "Name": name, "RRType": "Txt", "Node": True}
        self._turn()
        try:
            found = shell.read(
                Command("Get-DnsServerResourceRecord", asked),
                Command("Select-Object", {"ExpandProperty": "RecordData"}),
                Command("Select-Object", {"Property": ["DescriptiveText"]}),
            ).objects
        except CommandFailed as failure:
            if _is(failure, _GONE_ALREADY):
                return []
            raise
        return [str(record.properties.get("DescriptiveText")) for record in found]

    def _zones(self, shell: PowerShell) -> list[str]:
        """The zones that this server is a primary of, in lower case; those for addresses are left out."""
        shown = ["ZoneName", "ZoneType", "IsAutoCreated", "IsReverseLookupZone"]
        self._turn()
        found = shell.read(Command("Get-DnsServerZone"), Command("Select-Object", {"Property": shown})).objects
        names = [
            str(zone.properties.get("ZoneName")).lower()
            for zone in found
            if str(zone.properties.get("ZoneType")) == "Primary"
            and zone.properties.get("IsAutoCreated") is not True
            and zone.properties.get("IsReverseLookupZone") is not True
        ]
        return [name for name in names if name != "trustanchors"]

    def _turn(self) -> None:
        await_turn(self.params.endpoint().place, self.per_second)

    @property
    def _service(self) -> str:
        return f"The DNS server {self.params.endpoint().place}"

    @contextmanager
    def _shell(self) -> Iterator[PowerShell]:
        try:
            with PowerShell(self.params.endpoint()) as shell:
                yield shell
        except SignInRefused as error:
            hint = f"Store the right account, or another auth, under the name {self.context.credential!r}."
            raise SolverError(error.message, hint=hint) from None
        except CommandFailed as failure:
            raise self._refused(failure) from None

    def _refused(self, failure: CommandFailed) -> SolverError:
        hint = ""
        if _is(failure, (_DENIED,)):
            hint = (
                f"The account of the credential {self.context.credential!r} lacks a right: put it into the group "
                "DnsAdmins, or give it rights on the zone (DNS Manager, properties of the zone, Security)."
            )
        elif failure.is_missing_command:
            hint = (
                "Give the address of a Windows DNS server; what it lacks is installed there by: Install-WindowsFeature "
                "RSAT-DNS-Server. A constrained endpoint must show this command."
            )
        return SolverError(failure.message, causes=failure.causes, hint=hint or failure.hint)


def _send(shell: PowerShell, command: Command, fine: tuple[str, ...]) -> None:
    try:
        shell.change(command)
    except CommandFailed as failure:
        if not _is(failure, fine):
            raise


def _is(failure: CommandFailed, ids: tuple[str, ...]) -> bool:
    """Whether all that a command reported are these Win32 errors, of which its error ids tell."""
    return all(record.error_id.startswith(ids) for record in failure.records)
