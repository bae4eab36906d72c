"""Reasons to change nothing, found before anything is changed."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from certwright.domain.certificates import CertificateFacts
from certwright.exchange.model import Certificate, Connector, ServerState


def version_refusals(facts: CertificateFacts, now: datetime, *, key_needed: bool, has_key: bool) -> Iterator[str]:
    """Why Exchange must not be given this version."""
    if not facts.key.startswith("rsa"):
        yield (
            f"The certificate has an {facts.key} key. Exchange needs RSA: Outlook on the web, the Auth certificate and "
            "older versions do not work with others. Issue it again with the key type rsa-2048."
        )
    if not facts.common_name:
        yield (
            "The certificate has no common name. Exchange's connectors refer to certificates by their subject, which "
            "would be empty. Issue it again with a profile that keeps the common name (such as classic)."
        )
    if not facts.is_valid_at(now):
        yield (
            f"The certificate is not valid now: it is valid from {facts.not_before:%Y-%m-%d %H:%M} to "
            f"{facts.not_after:%Y-%m-%d %H:%M} UTC. Renew it first."
        )
    if key_needed and not has_key:
        yield "The certificate's private key is not with us, so it cannot be imported."


def connector_refusals(
    connectors: Sequence[Connector], servers: Sequence[ServerState], predecessors: Sequence[str]
) -> Iterator[str]:
    """Connectors that name a predecessor: mail through them would fail once it is gone, and they do not follow yet."""
    known = [c for state in servers for t in predecessors if (c := state.certificate(t))]
    for connector in connectors:
        if certificate := next((c for c in known if _names(connector, c)), None):
            place = f" on {connector.server}" if connector.server else ""
            yield (
                f"The {connector.kind} connector {connector.name!r}{place} names the certificate that is to be "
                f"replaced ({certificate.thumbprint}) in its TlsCertificateName. Making connectors follow comes with "
                f"the next release; until then clear it yourself: {connector.setting('-TlsCertificateName $null')}. "
                "It then chooses a certificate by its Fqdn: if a partner demands this certificate, mail to or from it "
                "may stop until the name is set again."
            )


def connector_notes(
    connectors: Sequence[Connector], servers: Sequence[ServerState], predecessors: Sequence[str]
) -> Iterator[str]:
    """Connectors that name a certificate which is none of ours: they go on using it."""
    others = [c for state in servers for c in state.certificates if c.thumbprint not in predecessors]
    for connector in connectors:
        if certificate := next((c for c in others if _names(connector, c)), None):
            until = f" until {certificate.facts.not_after:%Y-%m-%d}" if certificate.facts else ""
            yield (
                f"The {connector.kind} connector {connector.name!r} names another certificate "
                f"({certificate.thumbprint}) and goes on using it{until}."
            )


def _names(connector: Connector, certificate: Certificate) -> bool:
    """Whether the connector refers to this certificate, as far as Exchange's spelling of its names is known."""
    value = connector.tls_certificate_name
    if not value:
        return False
    if certificate.tls_certificate_name:
        return value.lower() == certificate.tls_certificate_name.lower()
    common = certificate.facts.common_name if certificate.facts else None
    return bool(common) and f"cn={common}".lower() in value.partition("<S>")[2].lower()
