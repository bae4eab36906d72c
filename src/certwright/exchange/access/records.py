"""From the records that Exchange's cmdlets give to values: servers, connectors, addresses, domains, trusts, rights."""

import re
from collections.abc import Iterable, Iterator

from certwright.exchange.model import Connector, ServerInfo, WebAddress
from certwright.exchange.snapshot import AcceptedDomain, Hybrid, SigningCertificates
from certwright.remoting.clixml import Obj, Value

_PORT = re.compile(r":(\d{1,5})$")


def server_info(record: Obj) -> ServerInfo:
    """A server of Get-ExchangeServer."""
    get = record.properties.get
    roles = text(get("ServerRole"))
    return ServerInfo(
        name=text(get("Name")),
        fqdn=text(get("Fqdn")),
        roles=roles,
        version=text(get("AdminDisplayVersion")),
        site=last_part(text(get("Site"))),
        is_edge=get("IsEdgeServer") is True or "edge" in roles.lower(),
    )


def connector(record: Obj, kind: str, server: str = "") -> Connector:
    """A connector of Get-SendConnector or Get-ReceiveConnector."""
    get = record.properties.get
    return Connector(
        name=text(get("Name")) or text(get("Identity")),
        kind=kind,
        fqdn=text(get("Fqdn")),
        tls_certificate_name=tls_certificate_name(get("TlsCertificateName")),
        server=server,
        identity=text(get("Identity")),
        role=text(get("TransportRole")),
        guid=text(get("Guid")).lower(),
        enabled=get("Enabled") is not False,
        require_tls=get("RequireTLS") is True,
        ports=_ports(texts(get("Bindings"))),
        remote_ranges=texts(get("RemoteIPRanges")),
        source_servers=tuple(map(last_part, texts(get("SourceTransportServers")))),
        address_spaces=texts(get("AddressSpaces")),
        smart_hosts=texts(get("SmartHosts")),
        tls_domain=text(get("TlsDomain")),
        tls_auth_level=text(get("TlsAuthLevel")),
        cloud_mail=get("CloudServicesMailEnabled") is True,
    )


def virtual_directory(record: Obj, service: str) -> WebAddress:
    """An address of one of the Get-...VirtualDirectory cmdlets."""
    get = record.properties.get
    return WebAddress(service, text(get("InternalUrl")), text(get("ExternalUrl")), text(get("Identity")))


def outlook_anywhere(record: Obj) -> WebAddress:
    """The host names of Get-OutlookAnywhere."""
    get = record.properties.get
    hosts = text(get("InternalHostname")), text(get("ExternalHostname"))
    return WebAddress("Outlook Anywhere", *hosts, identity=text(get("Identity")))


def autodiscover(record: Obj) -> WebAddress:
    """Where Outlook inside the domain looks: Get-ClientAccessService, or Get-ClientAccessServer on 2013."""
    get = record.properties.get
    uri = text(get("AutoDiscoverServiceInternalUri"))
    return WebAddress("Autodiscover", uri, identity=text(get("Identity")) or text(get("Name")))


def accepted_domain(record: Obj) -> AcceptedDomain:
    """A domain of Get-AcceptedDomain."""
    get = record.properties.get
    name = text(get("DomainName")) or text(get("Name"))
    return AcceptedDomain(name, text(get("DomainType")), is_default=get("Default") is True)


def auth_certificates(found: Iterable[Obj]) -> SigningCertificates | None:
    """The certificates of Get-AuthConfig."""
    return _signing(found, *(f"{which}CertificateThumbprint" for which in ("Current", "Previous", "Next")))


def federation_certificates(found: Iterable[Obj]) -> SigningCertificates | None:
    """The certificates of Get-FederationTrust; None if nothing is federated."""
    return _signing(found, "OrgPrivCertificate", "OrgPrevPrivCertificate", "OrgNextPrivCertificate")


def hybrid(record: Obj) -> Hybrid:
    """What Get-HybridConfiguration tells of certificates."""
    get = record.properties.get
    return Hybrid(
        tls_certificate_name=tls_certificate_name(get("TlsCertificateName")),
        domains=texts(get("Domains")),
        sending_servers=tuple(map(last_part, texts(get("SendingTransportServers")))),
        receiving_servers=tuple(map(last_part, texts(get("ReceivingTransportServers")))),
        edge_servers=tuple(map(last_part, texts(get("EdgeTransportServers")))),
    )


def commands(found: Iterable[Obj]) -> dict[str, frozenset[str]]:
    """Names and parameters of what Get-Command shows."""
    rights: dict[str, frozenset[str]] = {}
    for record in found:
        parameters = record.properties.get("Parameters")
        names = parameters.properties if isinstance(parameters, Obj) else {}
        rights[text(record.properties.get("Name"))] = frozenset(map(str, names))
    return rights


def tls_certificate_name(value: Value) -> str | None:
    """A TlsCertificateName exactly as Exchange writes it; None if none is set."""
    if isinstance(value, Obj) and not text(value):
        issuer, subject = (text(value.properties.get(f"Certificate{part}")) for part in ("Issuer", "Subject"))
        return f"<I>{issuer}<S>{subject}" if issuer or subject else None
    return text(value) or None


def thumbprint(value: Value) -> str:
    """A thumbprint in capitals and without spaces."""
    return text(value).replace(" ", "").upper()


def text(value: object) -> str:
    """A string, or an object's ToString; empty for anything else."""
    if isinstance(value, Obj):
        return value.text or (value.value if isinstance(value.value, str) else "")
    return value if isinstance(value, str) else ""


def texts(value: Value) -> tuple[str, ...]:
    """The entries of a property that may have several; one that stands alone is one entry."""
    items = value.items if isinstance(value, Obj) and value.is_collection else (value,)
    return tuple(filter(None, map(text, items)))


def last_part(path: str) -> str:
    """The name at the end of a path in the directory: the server of ``contoso.com/.../Servers/EX01``."""
    return path.rpartition("/")[2]


def _signing(found: Iterable[Obj], current: str, previous: str, following: str) -> SigningCertificates | None:
    for record in found:
        values = (thumbprint(record.properties.get(name)) for name in (current, previous, following))
        return SigningCertificates(*values)
    return None


def _ports(bindings: Iterable[str]) -> tuple[int, ...]:
    return tuple(dict.fromkeys(_port_numbers(bindings)))


def _port_numbers(bindings: Iterable[str]) -> Iterator[int]:
    for binding in bindings:
        if found := _PORT.search(binding):
            yield int(found[1])
