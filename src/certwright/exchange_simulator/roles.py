"""What an account may see: Exchange shows a role group's members only the cmdlets and parameters of its roles."""

import enum
import fnmatch
from collections.abc import Mapping
from dataclasses import dataclass, field

_ALWAYS = ("Get-Command", "Select-Object")
_CERTIFICATES = ("*-ExchangeCertificate",)
_OF_SERVERS = (
    "Get-*Server",
    "Get-*Service",
    "Get-ServerComponentState",
    "Get-DatabaseAvailabilityGroup",
    "*-ReceiveConnector",
    "*-PopSettings",
    "*-ImapSettings",
    "Get-*VirtualDirectory",
    "Get-OutlookAnywhere",
    "Get-Queue",
)


class RoleGroup(enum.Enum):
    """A role group, by the patterns of the cmdlets that its roles have.

    What the built-in groups show beyond Microsoft's table of feature permissions is our reading of it.
    """

    ORGANIZATION_MANAGEMENT = ("*",)
    SERVER_MANAGEMENT = (*_CERTIFICATES, *_OF_SERVERS, "Get-OrganizationConfig", "Get-AcceptedDomain", "Get-User")
    VIEW_ONLY = ("Get-*",)
    RECIPIENT_MANAGEMENT = ("Get-User", "Get-AcceptedDomain", "Get-OrganizationConfig", "Get-ExchangeServer")
    CERTWRIGHT = (
        *_CERTIFICATES,
        "Get-*",
        "Set-PopSettings",
        "Set-ImapSettings",
        "Set-ReceiveConnector",
        "Set-SendConnector",
        "Set-HybridConfiguration",
    )


_HIDDEN_PARAMETERS: Mapping[RoleGroup, Mapping[str, frozenset[str]]] = {
    RoleGroup.CERTWRIGHT: {
        "Set-ReceiveConnector": frozenset({"Fqdn"}),
        "Set-SendConnector": frozenset({"Fqdn"}),
    }
}


@dataclass(frozen=True, slots=True)
class Rights:
    """What one account sees.

    Attributes:
        group: The role group that it is a member of.
        hidden_cmdlets: Cmdlets that it does not see all the same.
        hidden_parameters: The same for parameters, of whatever cmdlet.
    """

    group: RoleGroup = RoleGroup.ORGANIZATION_MANAGEMENT
    hidden_cmdlets: frozenset[str] = field(default_factory=frozenset)
    hidden_parameters: frozenset[str] = field(default_factory=frozenset)

    def show(self, cmdlet: str) -> bool:
        """Whether the account sees `cmdlet`."""
        patterns = (*_ALWAYS, *self.group.value)
        return cmdlet not in self.hidden_cmdlets and any(fnmatch.fnmatchcase(cmdlet, p) for p in patterns)

    def hidden(self, cmdlet: str) -> frozenset[str]:
        """The parameters of `cmdlet` that the account does not see."""
        return self.hidden_parameters | _HIDDEN_PARAMETERS.get(self.group, {}).get(cmdlet, frozenset())
