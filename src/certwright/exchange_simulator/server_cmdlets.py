"""Cmdlets about servers: what they are, their services' settings, maintenance, groups, and their queues."""

import uuid
from collections.abc import Iterable

from certwright.exchange_simulator.cmdlet import DIRECTORY, Cmdlet, Invocation, switch, text
from certwright.exchange_simulator.configuration import AvailabilityGroup, Role
from certwright.exchange_simulator.directory import guid_of
from certwright.exchange_simulator.mail_access import MailAccess
from certwright.exchange_simulator.records import (
    MultiValuedProperty,
    QueueStatus,
    Record,
)
from certwright.exchange_simulator.state import ServerState
from certwright.exchange_simulator.versions import Version
from certwright.exchange_simulator.world import Node

_TASKS = "Microsoft.Exchange.Management.SystemConfigurationTasks."
_DATA = "Microsoft.Exchange.Data.Directory.Management."
_DIRECTORY_TYPES = "Microsoft.Exchange.Data.Directory.SystemConfiguration."
_ROLES_2013 = {Role.COMBINED: "Mailbox, ClientAccess", Role.MAILBOX: "Mailbox", Role.CLIENT_ACCESS: "ClientAccess"}


def _servers(call: Invocation) -> list[Node]:
    """The one that ``-Identity`` names, else all."""
    identity = call.get("Identity")
    if not identity:
        return list(call.session.world.nodes.values())
    node = call.session.world.find(identity)
    if node is None:
        raise call.unknown(identity)
    return [node]


def _inside(call: Invocation) -> list[Node]:
    """As `_servers`, without those in the perimeter network."""
    return [node for node in _servers(call) if node.state.role is not Role.EDGE]


def _shown_role(state: ServerState) -> str:
    if state.role is Role.EDGE:
        return "Edge"
    return _ROLES_2013[state.role] if state.version is Version.EXCHANGE_2013 else "Mailbox"


def _get_exchange_server(call: Invocation) -> Iterable[Record]:
    for node in _servers(call):
        state = node.state
        domain = state.fqdn.partition(".")[2]
        yield call.entry(
            _DATA + "ExchangeServer",
            state.name,
            "Servers",
            {
                "Fqdn": state.fqdn,
                "Domain": domain,
                "Edition": "Standard",
                "ServerRole": _shown_role(state),
                "AdminDisplayVersion": state.version.display,
                "IsClientAccessServer": state.role in {Role.COMBINED, Role.CLIENT_ACCESS},
                "IsMailboxServer": state.role in {Role.COMBINED, Role.MAILBOX},
                "IsEdgeServer": state.role is Role.EDGE,
                "IsExchange2007OrLater": True,
                "Site": f"{domain}/Configuration/Sites/{state.site}",
                "WhenCreated": None,
            },
        )


def _get_transport_service(call: Invocation) -> Iterable[Record]:
    directory = call.session.world.directory
    for node in _inside(call):
        internal = directory.seen(node.state, "internal_transport", call.controller)
        yield call.entry(
            _DATA + "TransportServer",
            node.state.name,
            "Servers",
            {"InternalTransportCertificateThumbprint": internal},
        )


def _get_component_state(call: Invocation) -> Iterable[Record]:
    if call.session.world.find(call.get("Identity")) is None:
        raise call.unknown(call.get("Identity"))
    state, wanted = call.node.state, call.get("Component")
    shown = {c: s for c, s in state.components.items() if not wanted or c.lower() == wanted.lower()}
    if not shown:
        raise call.unknown(wanted)
    for component, value in shown.items():
        yield Record(
            ("Microsoft.Exchange.Management.SystemConfigurationTasks.ServerComponentState", "System.Object"),
            {"ServerFqdn": state.fqdn, "Component": component, "State": value, "Identity": state.fqdn},
            component,
        )


def _group_of(call: Invocation, server: str) -> AvailabilityGroup | None:
    groups = call.session.world.organisation.availability_groups
    return next((group for group in groups if server in group.servers), None)


def _get_mailbox_server(call: Invocation) -> Iterable[Record]:
    for node in _inside(call):
        state = node.state
        if state.role is Role.CLIENT_ACCESS:
            continue
        group = _group_of(call, state.name)
        yield call.entry(
            _DATA + "MailboxServer",
            state.name,
            "Servers",
            {
                "DatabaseAvailabilityGroup": group.name if group else None,
                "DatabaseCopyAutoActivationPolicy": state.copy_activation,
                "DatabaseCopyActivationDisabledAndMoveNow": state.move_active_copies,
            },
        )


def _get_availability_group(call: Invocation) -> Iterable[Record]:
    world, identity = call.session.world, (call.get("Identity") or "").lower()
    found = [g for g in world.organisation.availability_groups if not identity or g.name.lower() == identity]
    if identity and not found:
        raise call.unknown(call.get("Identity"))
    for group in found:
        paused = [name for name in group.servers if name in world.nodes and world.nodes[name].state.paused]
        yield call.entry(
            _DIRECTORY_TYPES + "DatabaseAvailabilityGroup",
            group.name,
            "Database Availability Groups",
            {
                "Servers": MultiValuedProperty(group.servers),
                "WitnessServer": group.witness_server,
                "ServersInMaintenance": MultiValuedProperty(paused) if call.get("Status", False) else None,
            },
        )


def _settings(call: Invocation) -> tuple[MailAccess, str]:
    if "Pop" in call.cmdlet.name:
        return call.node.state.pop, "POP3"
    return call.node.state.imap, "IMAP4"


def _get_mail_access(call: Invocation) -> Iterable[Record]:
    live, protocol = _settings(call)
    settings, state = call.seen(live), call.node.state
    clear, implicit = (110, 995) if protocol == "POP3" else (143, 993)
    yield call.entry(
        f"{_DIRECTORY_TYPES}{protocol.title()}AdConfiguration",
        "1",
        protocol,
        {
            "Server": state.name,
            "ProtocolName": protocol,
            "X509CertificateName": settings.x509_certificate_name,
            "LoginType": settings.login_type,
            "UnencryptedOrTLSBindings": MultiValuedProperty([f"[::]:{clear}", f"0.0.0.0:{clear}"]),
            "SSLBindings": MultiValuedProperty([f"[::]:{implicit}", f"0.0.0.0:{implicit}"]),
            "InternalConnectionSettings": MultiValuedProperty(settings.internal_connection_settings),
            "ExternalConnectionSettings": MultiValuedProperty(settings.external_connection_settings),
        },
        identity=f"{state.name}\\1",
    )


def _set_mail_access(call: Invocation) -> Iterable[Record]:
    settings, protocol = _settings(call)
    name = call.node.state.name
    wanted = call.get("X509CertificateName")
    if wanted is None or wanted == settings.x509_certificate_name:
        call.streams.warning(f"The command completed successfully but no settings of '{name}\\1' have been modified.")
        return []
    if call.should_process():
        call.write(settings, x509_certificate_name=wanted)
        call.streams.warning(
            f"Changes to {protocol} settings will only take effect after all Microsoft Exchange {protocol} services "
            f"are restarted on server {name}."
        )
    return []


def _get_queue(call: Invocation) -> Iterable[Record]:
    state = call.node.state
    with state.lock:
        failures = state.transport.loaded().outbound
        connectors = [c for c in state.send_connectors() if c.name in failures]
    yield _queue(state, "Submission", "Undefined", "Submission", None)
    for number, connector in enumerate(connectors, start=1):
        smart = bool(connector.smart_hosts)
        yield _queue(
            state,
            str(number),
            "SmartHostConnectorDelivery" if smart else "DnsConnectorDelivery",
            ",".join(connector.smart_hosts) or connector.address_spaces[0].removeprefix("SMTP:").partition(";")[0],
            connector.name,
            failures[connector.name],
            connector.waiting,
        )


def _queue(
    state: ServerState, number: str, delivery: str, hop: str, connector: str | None, failure: str = "", waiting: int = 0
) -> Record:
    identity = f"{state.name}\\{number}"
    return Record(
        ("Microsoft.Exchange.Data.QueueViewer.ExtensibleQueueInfo", "System.Object"),
        {
            "Identity": identity,
            "DeliveryType": delivery,
            "NextHopDomain": hop,
            "NextHopConnector": guid_of("Connections", connector) if connector else uuid.UUID(int=0),
            "Status": QueueStatus.Retry if failure else QueueStatus.Ready,
            "MessageCount": waiting if failure else 0,
            "LastError": failure,
        },
        identity,
    )


_IDENTITY = {"Identity": text, **DIRECTORY}

SERVER_CMDLETS = (
    Cmdlet(
        "Get-ExchangeServer", _TASKS + "GetExchangeServer", _get_exchange_server, _IDENTITY, positional=("Identity",)
    ),
    Cmdlet(
        "Get-TransportService",
        _TASKS + "GetTransportService",
        _get_transport_service,
        _IDENTITY,
        positional=("Identity",),
    ),
    Cmdlet(
        "Get-ServerComponentState",
        _TASKS + "GetServerComponentState",
        _get_component_state,
        {**_IDENTITY, "Component": text},
        positional=("Identity",),
        mandatory=frozenset({"Identity"}),
    ),
    Cmdlet("Get-MailboxServer", _TASKS + "GetMailboxServer", _get_mailbox_server, _IDENTITY, positional=("Identity",)),
    Cmdlet(
        "Get-DatabaseAvailabilityGroup",
        _TASKS + "GetDatabaseAvailabilityGroup",
        _get_availability_group,
        {**_IDENTITY, "Status": switch},
        positional=("Identity",),
    ),
    *(
        Cmdlet(
            f"Get-{protocol}Settings",
            f"{_TASKS}Get{protocol}Configuration",
            _get_mail_access,
            {"Server": text, **DIRECTORY},
        )
        for protocol in ("Pop", "Imap")
    ),
    *(
        Cmdlet(
            f"Set-{protocol}Settings",
            f"{_TASKS}Set{protocol}Configuration",
            _set_mail_access,
            {"X509CertificateName": text, "Server": text, **DIRECTORY},
            mutates=True,
        )
        for protocol in ("Pop", "Imap")
    ),
    Cmdlet("Get-Queue", "Microsoft.Exchange.Management.QueueViewerTasks.GetQueueInfo", _get_queue, {"Server": text}),
)
