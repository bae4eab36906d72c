"""Cmdlets about the organisation: its name, domains, trusts, hybrid configuration, Edge subscriptions, users."""

from collections.abc import Iterable

from certwright.exchange_simulator.cmdlet import DIRECTORY, Cmdlet, Invocation, text
from certwright.exchange_simulator.records import MultiValuedProperty, Record, smtp_identifier

_TASKS = "Microsoft.Exchange.Management.SystemConfigurationTasks."
_TYPES = "Microsoft.Exchange.Data.Directory.SystemConfiguration."
_HYBRID = "Hybrid Configuration"


def _get_organization_config(call: Invocation) -> Iterable[Record]:
    newest = max(node.state.version.build for node in call.session.world.nodes.values())
    major, minor, *build = newest.split(".")
    yield call.entry(
        _TYPES + "ADOrganizationConfig",
        call.session.world.organisation.name,
        "Microsoft Exchange",
        {"AdminDisplayVersion": f"0.20 ({major}.{minor}.{'.'.join(build)})"},
    )


def _get_accepted_domain(call: Invocation) -> Iterable[Record]:
    for domain in call.session.world.organisation.accepted_domains:
        yield call.entry(
            _TYPES + "AcceptedDomain",
            domain.domain_name,
            "Accepted Domains",
            {"DomainName": domain.domain_name, "DomainType": domain.domain_type, "Default": domain.default},
        )


def _get_auth_config(call: Invocation) -> Iterable[Record]:
    auth = call.session.world.organisation.auth_config
    yield call.entry(
        _TYPES + "AuthConfig",
        "Auth Configuration",
        "Microsoft Exchange",
        {
            "CurrentCertificateThumbprint": auth.current,
            "PreviousCertificateThumbprint": auth.previous,
            "NextCertificateThumbprint": auth.next,
            "NextCertificateEffectiveDate": auth.next_effective,
        },
    )


def _get_federation_trust(call: Invocation) -> Iterable[Record]:
    for trust in call.session.world.organisation.federation_trusts:
        yield call.entry(
            _TYPES + "FederationTrust",
            trust.name,
            "Federation Trusts",
            {
                "ApplicationUri": trust.application_uri,
                "OrgPrivCertificate": trust.current,
                "OrgPrevPrivCertificate": trust.previous,
                "OrgNextPrivCertificate": trust.next,
            },
        )


def _get_hybrid_configuration(call: Invocation) -> Iterable[Record]:
    if call.session.world.organisation.hybrid is None:
        return
    hybrid = call.seen(call.session.world.organisation.hybrid)
    yield call.entry(
        _TYPES + "HybridConfiguration",
        _HYBRID,
        "Microsoft Exchange",
        {
            "Domains": MultiValuedProperty(hybrid.domains),
            "TlsCertificateName": smtp_identifier(hybrid.tls_certificate_name),
            "SendingTransportServers": MultiValuedProperty(hybrid.sending_transport_servers),
            "ReceivingTransportServers": MultiValuedProperty(hybrid.receiving_transport_servers),
            "ClientAccessServers": MultiValuedProperty(hybrid.client_access_servers),
            "EdgeTransportServers": MultiValuedProperty(hybrid.edge_transport_servers),
            "OnPremisesSmartHost": hybrid.on_premises_smart_host,
        },
    )


def _set_hybrid_configuration(call: Invocation) -> Iterable[Record]:
    hybrid = call.session.world.organisation.hybrid
    if hybrid is None:
        raise call.unknown(_HYBRID)
    if "TlsCertificateName" in call.arguments and call.should_process():
        call.write(hybrid, tls_certificate_name=call.get("TlsCertificateName"))
    return []


def _get_edge_subscription(call: Invocation) -> Iterable[Record]:
    for subscription in call.session.world.organisation.edge_subscriptions:
        site = f"{call.session.world.directory.domain}/Configuration/Sites/{subscription.site}"
        yield call.entry(_TASKS + "EdgeSubscription", subscription.name, "Servers", {"Site": site})


def _get_user(call: Invocation) -> Iterable[Record]:
    wanted = (call.get("Identity") or "").lower()
    plain = wanted.rpartition("\\")[2]
    found = [
        user
        for user in call.session.world.organisation.users
        if not wanted or plain in {user.name.lower(), user.user_principal_name.lower()}
    ]
    if wanted and not found:
        raise call.unknown(call.get("Identity"))
    for user in found:
        yield call.entry(
            "Microsoft.Exchange.Data.Directory.Management.User",
            user.name,
            "Users",
            {"UserPrincipalName": user.user_principal_name, "RemotePowerShellEnabled": user.remote_powershell},
        )


ORGANISATION_CMDLETS = (
    Cmdlet("Get-OrganizationConfig", _TASKS + "GetOrganizationConfig", _get_organization_config, DIRECTORY),
    Cmdlet("Get-AcceptedDomain", _TASKS + "GetAcceptedDomain", _get_accepted_domain, DIRECTORY),
    Cmdlet("Get-AuthConfig", _TASKS + "GetAuthConfig", _get_auth_config, DIRECTORY),
    Cmdlet("Get-FederationTrust", _TASKS + "GetFederationTrust", _get_federation_trust, DIRECTORY),
    Cmdlet("Get-HybridConfiguration", _TASKS + "GetHybridConfiguration", _get_hybrid_configuration, DIRECTORY),
    Cmdlet(
        "Set-HybridConfiguration",
        _TASKS + "SetHybridConfiguration",
        _set_hybrid_configuration,
        {"TlsCertificateName": text, **DIRECTORY},
        mutates=True,
    ),
    Cmdlet("Get-EdgeSubscription", _TASKS + "GetEdgeSubscription", _get_edge_subscription, DIRECTORY),
    Cmdlet(
        "Get-User",
        "Microsoft.Exchange.Management.RecipientTasks.GetUser",
        _get_user,
        {"Identity": text, **DIRECTORY},
        positional=("Identity",),
    ),
)
