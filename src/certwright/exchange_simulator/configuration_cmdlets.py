"""Servers, transport, POP and IMAP settings, connectors, and the commands that every endpoint has."""

import fnmatch
from collections.abc import Iterable

from psrpcore.types import CommandTypes, PSDict

from certwright.exchange_simulator.cmdlet import Cmdlet, Invocation, not_recognized, text, texts
from certwright.exchange_simulator.configuration import MailAccess, Version
from certwright.exchange_simulator.records import MultiValuedProperty, Record, ps_object
from certwright.exchange_simulator.world import Node

_TASKS = "Microsoft.Exchange.Management.SystemConfigurationTasks."
_DATA = "Microsoft.Exchange.Data.Directory.Management."
_DIRECTORY = "Microsoft.Exchange.Data.Directory.SystemConfiguration."
_COMMAND_TYPES = (
    "System.Management.Automation.CmdletInfo",
    "System.Management.Automation.CommandInfo",
    "System.Object",
)
_AD_OBJECT = "Microsoft.Exchange.Data.Directory.ADObject"


def _servers(call: Invocation) -> list[Node]:
    """The one that ``-Identity`` names, else all."""
    identity = call.get("Identity")
    if not identity:
        return list(call.session.world.nodes.values())
    node = call.session.world.find(identity)
    if node is None:
        raise call.unknown(identity)
    return [node]


def _get_exchange_server(call: Invocation) -> Iterable[Record]:
    for node in _servers(call):
        state = node.state
        roles = "Mailbox, ClientAccess" if state.version is Version.EXCHANGE_2013 else "Mailbox"
        yield Record(
            (_DATA + "ExchangeServer", _AD_OBJECT, "System.Object"),
            {
                "Name": state.name,
                "Fqdn": state.fqdn,
                "Domain": state.fqdn.partition(".")[2],
                "Edition": "Standard",
                "ServerRole": roles,
                "AdminDisplayVersion": state.version.display,
                "IsClientAccessServer": True,
                "IsMailboxServer": True,
                "IsEdgeServer": False,
                "IsExchange2007OrLater": True,
                "Site": f"{state.fqdn.partition('.')[2]}/Configuration/Sites/Default-First-Site-Name",
                "Identity": state.name,
                "WhenCreated": None,
            },
            state.name,
        )


def _get_transport_service(call: Invocation) -> Iterable[Record]:
    for node in _servers(call):
        yield Record(
            (_DATA + "TransportServer", _AD_OBJECT, "System.Object"),
            {
                "Name": node.state.name,
                "Identity": node.state.name,
                "InternalTransportCertificateThumbprint": node.state.internal_transport,
            },
            node.state.name,
        )


def _settings(call: Invocation) -> tuple[MailAccess, str]:
    if "Pop" in call.cmdlet.name:
        return call.node.state.pop, "POP3"
    return call.node.state.imap, "IMAP4"


def _get_mail_access(call: Invocation) -> Iterable[Record]:
    settings, protocol = _settings(call)
    state = call.node.state
    clear, implicit = (110, 995) if protocol == "POP3" else (143, 993)
    yield Record(
        (f"{_DIRECTORY}{protocol.title()}AdConfiguration", _AD_OBJECT, "System.Object"),
        {
            "Name": "1",
            "Server": state.name,
            "Identity": f"{state.name}\\1",
            "ProtocolName": protocol,
            "X509CertificateName": settings.x509_certificate_name,
            "LoginType": "SecureLogin",
            "UnencryptedOrTLSBindings": MultiValuedProperty([f"[::]:{clear}", f"0.0.0.0:{clear}"]),
            "SSLBindings": MultiValuedProperty([f"[::]:{implicit}", f"0.0.0.0:{implicit}"]),
            "InternalConnectionSettings": MultiValuedProperty([f"{state.fqdn}:{implicit}:SSL"]),
            "ExternalConnectionSettings": MultiValuedProperty(),
        },
        f"{state.name}\\1",
    )


def _set_mail_access(call: Invocation) -> Iterable[Record]:
    settings, protocol = _settings(call)
    name = call.node.state.name
    wanted = call.get("X509CertificateName")
    if wanted is None or wanted == settings.x509_certificate_name:
        call.streams.warning(f"The command completed successfully but no settings of '{name}\\1' have been modified.")
        return []
    settings.x509_certificate_name = wanted
    call.changed()
    call.streams.warning(
        f"Changes to {protocol} settings will only take effect after all Microsoft Exchange {protocol} services are "
        f"restarted on server {name}."
    )
    return []


def _identifier(value: str | None) -> object | None:
    """TlsCertificateName as the SmtpX509Identifier it is."""
    if value is None:
        return None
    issuer, _, subject = value.removeprefix("<I>").partition("<S>")
    common_name = next((p.strip()[3:] for p in subject.split(",") if p.strip().startswith("CN=")), "")
    properties = {
        "CertificateIssuer": issuer,
        "CertificateSubject": subject,
        "SubjectCommonName": common_name,
    }
    types = ("Microsoft.Exchange.Data.SmtpX509Identifier", "System.Object")
    return ps_object(types, adapted=properties, text=value)


def _get_send_connector(call: Invocation) -> Iterable[Record]:
    identity = call.get("Identity")
    connectors = call.session.world.organisation.send_connectors
    found = [c for c in connectors if not identity or c.name.lower() == identity.lower()]
    if identity and not found:
        raise call.unknown(identity)
    for connector in found:
        yield Record(
            (_DIRECTORY + "SmtpSendConnectorConfig", _AD_OBJECT, "System.Object"),
            {
                "Name": connector.name,
                "Identity": connector.name,
                "Enabled": True,
                "Fqdn": connector.fqdn,
                "SmartHosts": MultiValuedProperty(connector.smart_hosts),
                "SourceTransportServers": MultiValuedProperty(connector.source_servers),
                "TlsCertificateName": _identifier(connector.tls_certificate_name),
            },
            connector.name,
        )


def _get_receive_connector(call: Invocation) -> Iterable[Record]:
    world, identity = call.session.world, (call.get("Identity") or "").lower()
    nodes = [call.node] if call.get("Server") or identity else list(world.nodes.values())
    found = [
        (node, connector)
        for node in nodes
        for connector in node.state.receive_connectors
        if not identity or identity.rpartition("\\")[2] == connector.name.lower()
    ]
    if identity and not found:
        raise call.unknown(call.get("Identity"))
    for node, connector in found:
        yield Record(
            (_DIRECTORY + "ReceiveConnector", _AD_OBJECT, "System.Object"),
            {
                "Name": connector.name,
                "Server": node.state.name,
                "Identity": f"{node.state.name}\\{connector.name}",
                "Enabled": True,
                "Fqdn": connector.fqdn,
                "Bindings": MultiValuedProperty(
                    f"{address}:{port}"
                    for port in connector.ports
                    for address in ("[::]", "0.0.0.0")  # noqa: S104 - shown, not bound
                ),
                "AuthMechanism": "Tls, Integrated, BasicAuth, BasicAuthRequireTLS, ExchangeServer",
                "TransportRole": "HubTransport" if connector.ports == (2525,) else "FrontendTransport",
                "TlsCertificateName": _identifier(connector.tls_certificate_name),
            },
            f"{node.state.name}\\{connector.name}",
        )


def _get_auth_config(call: Invocation) -> Iterable[Record]:
    auth = call.session.world.organisation.auth_config
    yield Record(
        (_DIRECTORY + "AuthConfig", _AD_OBJECT, "System.Object"),
        {
            "Name": "Auth Configuration",
            "Identity": "Auth Configuration",
            "CurrentCertificateThumbprint": auth.current,
            "PreviousCertificateThumbprint": auth.previous,
            "NextCertificateThumbprint": auth.next,
            "NextCertificateEffectiveDate": auth.next_effective,
        },
        "Auth Configuration",
    )


def _get_command(call: Invocation) -> Iterable[Record]:
    world = call.session.world
    visible = [c for c in call.session.commands.values() if c.name not in world.hidden_cmdlets]
    for pattern in call.get("Name", ["*"]):
        found = [c for c in visible if fnmatch.fnmatchcase(c.name.lower(), pattern.lower())]
        if not found and not set(pattern) & set("*?["):
            missing = not_recognized(pattern)
            missing.terminating = False
            missing.error_id = f"CommandNotFoundException,{call.cmdlet.task}"
            call.streams.error(missing)
        for cmdlet in found:
            shown = [name for name in cmdlet.all_parameters if name not in world.hidden_parameters]
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
    names = call.get("Property")
    return [record.selected(names) for record in call.received] if names else call.received


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
        {"Property": texts},
        positional=("Property",),
    ),
)

CONFIGURATION_CMDLETS = (
    Cmdlet(
        "Get-ExchangeServer",
        _TASKS + "GetExchangeServer",
        _get_exchange_server,
        {"Identity": text, "DomainController": text},
        positional=("Identity",),
    ),
    Cmdlet(
        "Get-TransportService",
        _TASKS + "GetTransportService",
        _get_transport_service,
        {"Identity": text, "DomainController": text},
        positional=("Identity",),
    ),
    *(
        Cmdlet(
            f"Get-{protocol}Settings",
            f"{_TASKS}Get{protocol}Configuration",
            _get_mail_access,
            {"Server": text, "DomainController": text},
        )
        for protocol in ("Pop", "Imap")
    ),
    *(
        Cmdlet(
            f"Set-{protocol}Settings",
            f"{_TASKS}Set{protocol}Configuration",
            _set_mail_access,
            {"X509CertificateName": text, "Server": text},
            mutates=True,
        )
        for protocol in ("Pop", "Imap")
    ),
    Cmdlet(
        "Get-SendConnector",
        _TASKS + "GetSendConnector",
        _get_send_connector,
        {"Identity": text, "DomainController": text},
        positional=("Identity",),
    ),
    Cmdlet(
        "Get-ReceiveConnector",
        _TASKS + "GetReceiveConnector",
        _get_receive_connector,
        {"Identity": text, "Server": text, "DomainController": text},
        positional=("Identity",),
    ),
    Cmdlet("Get-AuthConfig", _TASKS + "GetAuthConfig", _get_auth_config, {"DomainController": text}),
)
