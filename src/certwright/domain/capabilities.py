"""What an authority cannot issue is refused before it is asked."""

from collections.abc import Sequence
from datetime import timedelta

from certwright.domain.certificates import load_request, public_key_type, request_identifiers
from certwright.domain.errors import ConfigurationError, InvalidIdentifier
from certwright.domain.identifiers import Identifier, IdentifierType, covered, public_obstacle
from certwright.domain.keys import KeySource
from certwright.domain.managed import Issuer, IssuerCapabilities, ManagedCertificate
from certwright.domain.persist import how_named, proved_so
from certwright.domain.renewal_moments import can_keep, policy_not_kept
from certwright.domain.validation import check_provable, check_rules


def check_issuer(managed: ManagedCertificate, issuer: Issuer) -> None:
    """Refuse what one of the issuers cannot issue, before it is asked.

    Raises:
        InvalidIdentifier, InvalidMaterial, ConfigurationError: as `check_capabilities`.
    """
    asked = managed.asked_of(issuer)
    check_capabilities(asked, issuer.able(asked.profile))


def check_choice(managed: ManagedCertificate, issuer: Issuer) -> None:
    """As `check_issuer`, when issuers or proofs are chosen: records that stay must be able to name the issuer.

    And its certificates must live long enough for the policy of renewal.

    Raises:
        InvalidIdentifier, InvalidMaterial, ConfigurationError: as `check_capabilities`.
    """
    check_issuer(managed, issuer)
    check_policy(managed, issuer)
    if proved_so(managed):
        how_named(issuer)


def check_policy(managed: ManagedCertificate, issuer: Issuer) -> None:
    """Refuse a policy of renewal that certificates of this issuer do not live long enough for, as far as is known.

    Raises:
        ConfigurationError: with what their lifetime is.
    """
    lifetime = issuer.able(managed.asked_of(issuer).profile).lifetime
    if lifetime:
        check_lifetime(managed, lifetime)


def check_lifetime(managed: ManagedCertificate, lifetime: timedelta) -> None:
    """Refuse a policy of renewal that a certificate of this lifetime cannot keep.

    Raises:
        ConfigurationError: with why.
    """
    if not can_keep(managed.renewal, lifetime):
        raise ConfigurationError(
            f"{managed.title!r}: {policy_not_kept(managed.renewal, lifetime)}",
            hint="Let it be renewed fewer days before its end, or after a greater share of its life.",
        )


def check_capabilities(managed: ManagedCertificate, capabilities: IssuerCapabilities) -> None:
    """Refuse what the authority cannot issue, before it is asked.

    Raises:
        InvalidIdentifier: with one cause for each name it cannot issue.
        InvalidMaterial: for a signing request of the user's that cannot be read.
        ConfigurationError: for too many names, a key type or profile that it does not offer, a signing request of the
            user's that is for other names, or a name that no validation is for.
    """
    check_rules(managed.validations, managed.identifiers)
    _check_names(managed, capabilities)
    _check_key(managed, capabilities)
    if managed.profile and managed.profile not in capabilities.profiles:
        offered = ", ".join(capabilities.profiles) or "none"
        raise ConfigurationError(
            f"The issuer {managed.issuer!r} has no profile {managed.profile!r}.", hint=f"It offers: {offered}."
        )


def _check_names(managed: ManagedCertificate, capabilities: IssuerCapabilities) -> None:
    if capabilities.max_names and len(managed.identifiers) > capabilities.max_names:
        raise ConfigurationError(
            f"{len(managed.identifiers)} names; the issuer {managed.issuer!r} allows {capabilities.max_names}.",
            hint="Split the names over several managed certificates.",
        )
    obstacles = [problem for i in managed.identifiers if (problem := _obstacle(i, capabilities))]
    if not capabilities.internal_names:
        obstacles += [problem for i in managed.identifiers if (problem := public_obstacle(i))]
        obstacles += _pairs(managed.identifiers)
    if obstacles:
        raise InvalidIdentifier(
            f"The issuer {managed.issuer!r} cannot issue a certificate for these names.",
            causes=obstacles,
            hint="Public authorities issue only for names that exist on the internet and that you can prove to hold: "
            "leave out or change the names above, or use a private authority that allows internal names.",
        )
    check_provable(managed.validations, managed.identifiers)


def _obstacle(identifier: Identifier, capabilities: IssuerCapabilities) -> str | None:
    if identifier.is_wildcard and not capabilities.wildcards:
        return f"{identifier} is a wildcard, which this authority does not issue"
    if identifier.type is IdentifierType.IP and not capabilities.ip_addresses:
        only = " or ".join(capabilities.ip_profiles)
        how = f"issues only with --profile {only}" if only else "does not issue"
        return f"{identifier} is an IP address, which this authority {how}"
    return None


def _pairs(identifiers: Sequence[Identifier]) -> list[str]:
    hosts = [i.value for i in identifiers if not i.is_wildcard]
    twice = covered([i for i in identifiers if i.is_wildcard], hosts)
    return [f"{host} is covered by a wildcard of the same certificate: authorities refuse such pairs" for host in twice]


def _check_key(managed: ManagedCertificate, capabilities: IssuerCapabilities) -> None:
    """The type of a user's own key is not known here: the authority judges that itself."""
    kind: str = managed.key.type
    if managed.key.source is KeySource.OWN_KEY:
        return
    if managed.key.source is KeySource.OWN_CSR:
        request = load_request((managed.key.own_csr or "").encode())
        kind = public_key_type(request)
        if set(request_identifiers(request)) != set(managed.identifiers):
            raise ConfigurationError(
                "The signing request is for other names than the managed certificate: "
                f"{', '.join(map(str, request_identifiers(request)))}.",
                hint="Authorities compare the two: make the request for exactly the same names.",
            )
    if kind not in capabilities.key_types:
        raise ConfigurationError(
            f"The issuer {managed.issuer!r} does not sign {kind} keys.",
            hint=f"Choose one of {', '.join(capabilities.key_types)}.",
        )
