"""Where clients are told that a server's web services are."""

from collections.abc import Iterable

from psrpcore.types import PSUri

from certwright.exchange_simulator.cmdlet import DIRECTORY, Cmdlet, Invocation, switch, text
from certwright.exchange_simulator.configuration import VIRTUAL_DIRECTORIES, Role
from certwright.exchange_simulator.records import Record
from certwright.exchange_simulator.versions import Version
from certwright.exchange_simulator.world import Node

_TASKS = "Microsoft.Exchange.Management.SystemConfigurationTasks."
_TYPES = "Microsoft.Exchange.Data.Directory.SystemConfiguration."


def _web_servers(call: Invocation) -> Iterable[Node]:
    nodes = [call.node] if call.get("Server") else call.session.world.nodes.values()
    return (node for node in nodes if node.state.role in {Role.COMBINED, Role.CLIENT_ACCESS})


def _uri(written: str | None) -> PSUri | None:
    return PSUri(written) if written is not None else None


def _get_virtual_directory(call: Invocation) -> Iterable[Record]:
    kind = call.cmdlet.name.removeprefix("Get-").removesuffix("VirtualDirectory")
    for node in _web_servers(call):
        found = call.seen(node.state.virtual_directories[kind])
        properties: dict[str, object] = {
            "Server": node.state.name,
            "InternalUrl": _uri(found.internal_url),
            "ExternalUrl": _uri(found.external_url),
        }
        if kind == "PowerShell":
            properties |= {"BasicAuthentication": False, "CertificateAuthentication": False}
        title = f"{found.name} ({found.site})"
        yield call.entry(
            f"{_TYPES}AD{kind}VirtualDirectory", title, "HTTP", properties, identity=f"{node.state.name}\\{title}"
        )


def _get_outlook_anywhere(call: Invocation) -> Iterable[Record]:
    for node in _web_servers(call):
        settings = call.seen(node.state.outlook_anywhere)
        yield call.entry(
            _TYPES + "ADRpcHttpVirtualDirectory",
            "Rpc (Default Web Site)",
            "HTTP",
            {
                "Server": node.state.name,
                "ServerName": node.state.name,
                "InternalHostname": settings.internal_hostname,
                "ExternalHostname": settings.external_hostname,
                "SSLOffloading": settings.ssl_offloading,
            },
            identity=f"{node.state.name}\\Rpc (Default Web Site)",
        )


def _get_client_access(call: Invocation) -> Iterable[Record]:
    identity = call.get("Identity")
    if identity and call.session.world.find(identity) is None:
        raise call.unknown(identity)
    for node in [call.node] if identity else call.session.world.nodes.values():
        if node.state.role in {Role.COMBINED, Role.CLIENT_ACCESS}:
            uri = call.seen(node.state.autodiscover).internal_uri
            yield call.entry(
                "Microsoft.Exchange.Data.Directory.Management.ClientAccessServer",
                node.state.name,
                "Servers",
                {"Fqdn": node.state.fqdn, "AutoDiscoverServiceInternalUri": _uri(uri)},
            )


def address_cmdlets(version: Version) -> tuple[Cmdlet, ...]:
    """The cmdlets as an endpoint of `version` has them."""
    own = {"Server": text, "ADPropertiesOnly": switch, **DIRECTORY}
    directories = (
        Cmdlet(f"Get-{kind}VirtualDirectory", f"{_TASKS}Get{kind}VirtualDirectory", _get_virtual_directory, own)
        for kind in VIRTUAL_DIRECTORIES
    )
    return (
        *directories,
        Cmdlet("Get-OutlookAnywhere", _TASKS + "GetRpcHttp", _get_outlook_anywhere, own),
        Cmdlet(
            version.client_access_cmdlet,
            _TASKS + version.client_access_cmdlet.replace("-", ""),
            _get_client_access,
            {"Identity": text, **DIRECTORY},
            positional=("Identity",),
        ),
    )
