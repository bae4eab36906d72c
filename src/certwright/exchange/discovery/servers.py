"""One server, read cmdlet by cmdlet: what a deployment depends on, and what discovery tells beside it."""

from collections.abc import Mapping
from dataclasses import dataclass

from certwright.exchange.access import records
from certwright.exchange.access.reading import Reading
from certwright.exchange.model import Connector, ServerInfo, WebAddress
from certwright.remoting.clixml import Obj
from certwright.remoting.psrp import Command

_DIRECTORIES = {
    "OWA": "Owa",
    "ECP": "Ecp",
    "EWS": "WebServices",
    "ActiveSync": "ActiveSync",
    "OAB": "Oab",
    "MAPI": "Mapi",
    "PowerShell": "PowerShell",
}


@dataclass(frozen=True, slots=True)
class Membership:
    """What a mailbox server says of its databases: its group, and whether copies may be activated on it."""

    dag: str = ""
    activation_policy: str = ""
    moves_active_copies: bool = False


def holds_mailboxes(info: ServerInfo) -> bool:
    """Whether a server has the mailbox role, as far as that is told; of the others only Exchange 2013 knows any."""
    return not info.roles or "mailbox" in info.roles.lower()


def internal_transport(reading: Reading, server: str) -> str | None:
    """The thumbprint of the certificate with which `server` speaks to other servers."""
    found = reading.objects("the internal transport certificate", Command("Get-TransportService", {"Identity": server}))
    value = found[0].properties.get("InternalTransportCertificateThumbprint") if found else None
    return records.thumbprint(value) or None


def receive_connectors(reading: Reading, server: str) -> tuple[Connector, ...] | None:
    """The receive connectors of `server`."""
    found = reading.objects("the receive connectors", Command("Get-ReceiveConnector", {"Server": server}))
    return None if found is None else tuple(records.connector(record, "receive", server) for record in found)


def mail_access_name(reading: Reading, server: str, protocol: str) -> str | None:
    """The name by which POP or IMAP on `server` look for their certificate."""
    get = Command(f"Get-{protocol.title()}Settings", {"Server": server})
    found = reading.objects(f"the {protocol} settings", get)
    return records.text(found[0].properties.get("X509CertificateName")) or None if found else None


def addresses(reading: Reading, server: str, info: ServerInfo) -> tuple[WebAddress, ...] | None:
    """Where clients of `server` are sent; None if nothing of it can be read."""
    parts = [
        _addresses(reading, server, f"Get-{kind}VirtualDirectory", service) for service, kind in _DIRECTORIES.items()
    ]
    parts += [_outlook_anywhere(reading, server), _autodiscover(reading, server, info)]
    known = [part for part in parts if part is not None]
    return tuple(address for part in known for address in part) if known else None


def components(reading: Reading, server: str) -> Mapping[str, str] | None:
    """The states of the components of `server`, by name."""
    found = reading.objects("the states of its components", Command("Get-ServerComponentState", {"Identity": server}))
    if found is None:
        return None
    get = records.text
    return {get(o.properties.get("Component")): get(o.properties.get("State")) for o in found}


def membership(reading: Reading, server: str, info: ServerInfo) -> Membership | None:
    """The database availability group of `server`; None if it holds no mailboxes, or this cannot be read."""
    if not holds_mailboxes(info):
        return None
    found = reading.objects("its availability group", Command("Get-MailboxServer", {"Identity": server}))
    return _membership(found[0]) if found else None


def _membership(record: Obj) -> Membership:
    get = record.properties.get
    return Membership(
        dag=records.last_part(records.text(get("DatabaseAvailabilityGroup"))),
        activation_policy=records.text(get("DatabaseCopyAutoActivationPolicy")),
        moves_active_copies=get("DatabaseCopyActivationDisabledAndMoveNow") is True,
    )


def _addresses(reading: Reading, server: str, cmdlet: str, service: str) -> tuple[WebAddress, ...] | None:
    get = Command(cmdlet, {"Server": server, "ADPropertiesOnly": True})
    found = reading.objects(f"the addresses of {service}", get)
    return None if found is None else tuple(records.virtual_directory(record, service) for record in found)


def _outlook_anywhere(reading: Reading, server: str) -> tuple[WebAddress, ...] | None:
    get = Command("Get-OutlookAnywhere", {"Server": server, "ADPropertiesOnly": True})
    found = reading.objects("the host names of Outlook Anywhere", get)
    return None if found is None else tuple(map(records.outlook_anywhere, found))


def _autodiscover(reading: Reading, server: str, info: ServerInfo) -> tuple[WebAddress, ...] | None:
    is_2013 = info.version.startswith("Version 15.0 ")
    cmdlet = "Get-ClientAccessServer" if is_2013 else "Get-ClientAccessService"
    found = reading.objects("the address of Autodiscover", Command(cmdlet, {"Identity": server}))
    return None if found is None else tuple(map(records.autodiscover, found))
