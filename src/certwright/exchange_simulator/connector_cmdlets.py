"""Send and receive connectors."""

from collections.abc import Iterable

from certwright.exchange_simulator.cmdlet import DIRECTORY, Cmdlet, Invocation, text
from certwright.exchange_simulator.configuration import ReceiveConnector, Role, SendConnector
from certwright.exchange_simulator.directory import guid_of
from certwright.exchange_simulator.records import CmdletError, MultiValuedProperty, Record, smtp_identifier
from certwright.exchange_simulator.world import Node

_RECEIVE = "SMTP Receive Connectors"
_TASKS = "Microsoft.Exchange.Management.SystemConfigurationTasks."
_TYPES = "Microsoft.Exchange.Data.Directory.SystemConfiguration."


def _named(call: Invocation) -> list[SendConnector]:
    """The send connector that ``-Identity`` names, else all."""
    identity = call.get("Identity")
    connectors = call.session.world.organisation.send_connectors
    found = [c for c in connectors if not identity or identity.lower() in _names("Connections", c.name)]
    if identity and not found:
        raise call.unknown(identity)
    return found


def _names(container: str, identity: str) -> set[str]:
    """What ``-Identity`` may be, in lower case: the Guid too."""
    return {identity.lower(), str(guid_of(container, identity))}


def _get_send_connector(call: Invocation) -> Iterable[Record]:
    all_servers = [name for name, node in call.session.world.nodes.items() if node.state.role is not Role.EDGE]
    for connector in map(call.seen, _named(call)):
        yield call.entry(
            _TYPES + "SmtpSendConnectorConfig",
            connector.name,
            "Connections",
            {
                "Enabled": connector.enabled,
                "Fqdn": connector.fqdn,
                "SmartHosts": MultiValuedProperty(connector.smart_hosts),
                "AddressSpaces": MultiValuedProperty(connector.address_spaces),
                "SourceTransportServers": MultiValuedProperty(connector.source_servers or all_servers),
                "TlsCertificateName": smtp_identifier(connector.tls_certificate_name),
                "TlsDomain": connector.tls_domain,
                "TlsAuthLevel": connector.tls_auth_level,
                "RequireTLS": connector.require_tls,
                "CloudServicesMailEnabled": connector.cloud_services_mail,
            },
        )


def _set_send_connector(call: Invocation) -> Iterable[Record]:
    (connector,) = _named(call)
    _set_name(call, connector, connector.name)
    return []


def _placed(call: Invocation) -> list[tuple[Node, ReceiveConnector]]:
    """The receive connectors of ``-Server``, or the one that ``-Identity`` means, or all."""
    identity = (call.get("Identity") or "").lower()
    nodes = [call.node] if call.get("Server") or "\\" in identity else call.session.world.nodes.values()
    found = [
        (node, connector)
        for node in nodes
        for connector in node.state.receive_connectors
        if not identity
        or identity == connector.name.lower()
        or identity in _names(_RECEIVE, f"{node.state.name}\\{connector.name}")
    ]
    if identity and not found:
        raise call.unknown(call.get("Identity"))
    return found


def _get_receive_connector(call: Invocation) -> Iterable[Record]:
    for node, live in _placed(call):
        connector = call.seen(live)
        yield call.entry(
            _TYPES + "ReceiveConnector",
            connector.name,
            _RECEIVE,
            {
                "Server": node.state.name,
                "Enabled": connector.enabled,
                "Fqdn": connector.fqdn,
                "Bindings": MultiValuedProperty(
                    f"{address}:{port}"
                    for port in connector.ports
                    for address in ("[::]", "0.0.0.0")  # noqa: S104 - shown, not bound
                ),
                "RemoteIPRanges": MultiValuedProperty(connector.remote_ip_ranges),
                "AuthMechanism": connector.auth_mechanism,
                "RequireTLS": connector.require_tls,
                "TlsDomainCapabilities": MultiValuedProperty(connector.tls_domain_capabilities),
                "TransportRole": "FrontendTransport" if connector.front_end else "HubTransport",
                "TlsCertificateName": smtp_identifier(connector.tls_certificate_name),
            },
            identity=f"{node.state.name}\\{connector.name}",
        )


def _set_receive_connector(call: Invocation) -> Iterable[Record]:
    ((node, connector),) = _placed(call)
    _set_name(call, connector, f"{node.state.name}\\{connector.name}")
    return []


def _set_name(call: Invocation, connector: SendConnector | ReceiveConnector, identity: str) -> None:
    wanted = {
        attribute: call.get(parameter)
        for parameter, attribute in (("TlsCertificateName", "tls_certificate_name"), ("Fqdn", "fqdn"))
        if parameter in call.arguments
    }
    name = wanted.get("tls_certificate_name")
    if name is not None and not (name.startswith("<I>") and "<S>" in name):
        raise _no_identifier(call, name)
    if all(getattr(connector, attribute) == value for attribute, value in wanted.items()):
        call.streams.warning(f"The command completed successfully but no settings of '{identity}' have been modified.")
    elif call.should_process():
        call.write(connector, **wanted)
        for node in call.session.world.nodes.values():
            node.state.transport_changed()


def _no_identifier(call: Invocation, name: str) -> CmdletError:
    error = call.cmdlet.refusal(
        call.session.node.state.name,
        f"Cannot process argument transformation on parameter 'TlsCertificateName'. Cannot convert value \"{name}\" to "
        'type "Microsoft.Exchange.Data.SmtpX509Identifier".',
        call.cmdlet.task,
    )
    error.terminating = True
    return error


_CHANGEABLE = {"Identity": text, "TlsCertificateName": text, "Fqdn": text, **DIRECTORY}

CONNECTOR_CMDLETS = (
    Cmdlet(
        "Get-SendConnector",
        _TASKS + "GetSendConnector",
        _get_send_connector,
        {"Identity": text, **DIRECTORY},
        positional=("Identity",),
    ),
    Cmdlet(
        "Set-SendConnector",
        _TASKS + "SetSendConnector",
        _set_send_connector,
        _CHANGEABLE,
        positional=("Identity",),
        mandatory=frozenset({"Identity"}),
        mutates=True,
    ),
    Cmdlet(
        "Get-ReceiveConnector",
        _TASKS + "GetReceiveConnector",
        _get_receive_connector,
        {"Identity": text, "Server": text, **DIRECTORY},
        positional=("Identity",),
    ),
    Cmdlet(
        "Set-ReceiveConnector",
        _TASKS + "SetReceiveConnector",
        _set_receive_connector,
        _CHANGEABLE,
        positional=("Identity",),
        mandatory=frozenset({"Identity"}),
        mutates=True,
    ),
)
