"""Checks of the certificate that is to be deployed, as far as the organisation decides whether it will do."""

import shlex
from collections.abc import Iterator

from certwright.domain.certificates import CLIENT_AUTHENTICATION, SERVER_AUTHENTICATION
from certwright.domain.deployment import Finding
from certwright.exchange.deployment.wish import Wish, is_host_name, mail_access_name, requested_services
from certwright.exchange.judgement.checks import sight
from certwright.exchange.judgement.checks.case import (
    Case,
    Check,
    connector_title,
    deploys,
    ends,
    listed,
    note,
    stop,
    warn,
)
from certwright.exchange.judgement.names import Coverage, NameVerdict, described, judge, required_names
from certwright.exchange.model import MAIL_ACCESS, Connector, ServerState, Service
from certwright.exchange.references import certificates_of, referred_to
from certwright.exchange.steps import steps
from certwright.exchange.versions import product

_OLD_WINDOWS = ("2013", "2016")


def _private_key(case: Case) -> Iterator[Finding]:
    wish = case.wish
    if wish and not wish.has_key and not all(s.certificate(wish.facts.thumbprint) for s in case.targets):
        yield stop("The certificate's private key is not with us, so it cannot be imported.")


def _key_type(case: Case) -> Iterator[Finding]:
    if not case.wish or case.wish.facts.key.startswith("rsa"):
        return
    never = [s.info.name for s in case.targets if (p := product(s.info.version)) and p.line == "2013"]
    older = f" Exchange 2013 ({listed(never)}) never does." if never else ""
    yield stop(
        f"The certificate has an {case.wish.facts.key} key. Exchange needs RSA: Exchange 2016 and later take other "
        "keys only since April 2024 and where somebody switched that on, and then not for all that signs "
        f"tokens.{older}",
        "Issue it again with the key type rsa-2048.",
    )


def _common_name(case: Case) -> Iterator[Finding]:
    if not case.wish or case.wish.facts.common_name:
        return
    naming = [c.identity or c.name for c in case.snapshot.connectors if c.tls_certificate_name]
    who = f" Here that are {listed(naming)}." if naming else ""
    yield stop(
        "The certificate has no common name. Exchange's connectors refer to certificates by their subject, which "
        f"would be empty.{who}",
        "Issue it again with a profile that keeps the common name (such as classic).",
    )


def _server_authentication(case: Case) -> Iterator[Finding]:
    if case.wish and case.wish.facts.allows(SERVER_AUTHENTICATION) is False:
        yield stop(
            "The certificate may not be used by servers: its extended key usage lacks server authentication "
            f"({SERVER_AUTHENTICATION}), so every client refuses it.",
            "Issue it again with a profile, or a template, for web servers.",
        )


def _validity(case: Case) -> Iterator[Finding]:
    if case.wish and not case.wish.facts.is_valid_at(case.now):
        facts = case.wish.facts
        yield stop(
            f"The certificate is not valid now: it is valid from {facts.not_before:%Y-%m-%d %H:%M} to "
            f"{facts.not_after:%Y-%m-%d %H:%M} UTC.",
            "Renew it first.",
        )


def _name_coverage(case: Case) -> Iterator[Finding]:
    if not case.wish:
        return
    verdicts = judge(required_names(case.snapshot), case.wish.facts, public=case.is_public)
    if missing := [verdict for verdict in verdicts if verdict.coverage is Coverage.MISSING]:
        yield warn(
            f"The certificate lacks names that Exchange is asked for: {'; '.join(map(_with_sources, missing))}. "
            "Clients that use one of them are warned, or refuse to connect.",
            "Add them to the certificate's names and issue it again, or move these settings to a name that it covers.",
        )
    if private := [verdict for verdict in verdicts if verdict.coverage is Coverage.NOT_PUBLIC and _is_moved(verdict)]:
        yield warn(
            f"Clients are sent to names that no public certificate can have: {'; '.join(map(_with_sources, private))}.",
            private[0].remedy
            if len(private) == 1
            else steps("Move the settings: the commands are shown by", "certwright exchange names"),
        )


def _with_sources(verdict: NameVerdict) -> str:
    return f"{verdict.name} ({'; '.join(described(verdict.sources))})"


def _is_moved(verdict: NameVerdict) -> bool:
    return any(source.moves and not source.own for source in verdict.sources)


def _chain_complete(case: Case) -> Iterator[Finding]:
    if not case.wish or case.wish.facts.is_self_signed:
        return
    facts, chain = case.wish.facts, case.context.chain
    if not chain and (chain is not None or not case.wish.intermediates):
        yield warn(
            f"The certificate comes without the certificate of its issuer ({facts.issuer}). Clients that do not have "
            "that already cannot check it, and Exchange may call it Untrusted.",
            "Issue it again, or import it with its whole chain; only if its issuer is a root that all clients trust, "
            "nothing is amiss.",
        )
    for issuer in chain or ():
        if issuer.not_after < facts.not_after and not issuer.is_self_signed:
            yield warn(
                f"An issuer in its chain, {issuer.subject}, {ends(issuer.not_after, case.now)}, before the "
                "certificate itself: from then on clients refuse it.",
                f"Renew the certificate before {issuer.not_after:%Y-%m-%d}.",
            )


def _client_authentication(case: Case) -> Iterator[Finding]:
    for connector in case.snapshot.send_connectors or ():
        if connector.enabled and case.wish is None:
            yield from _presents_now(case, connector)
        elif connector.enabled and _will_present(case, connector):
            yield from _will_lack(case, connector)


def _presents_now(case: Case, connector: Connector) -> Iterator[Finding]:
    named = referred_to(connector.tls_certificate_name, certificates_of(case.snapshot))
    if any(c.facts and c.facts.allows(CLIENT_AUTHENTICATION) is False for c in named):
        yield (note if _is_acknowledged(case, connector) else warn)(
            f"{connector_title(connector)} presents a certificate without client authentication.",
            _partner(connector),
            connector.identity,
        )


def _is_acknowledged(case: Case, connector: Connector) -> bool:
    return bool({connector.identity, connector.name} & case.context.acknowledged)


def _will_present(case: Case, connector: Connector) -> bool:
    """Whether it will present the wanted certificate to a server that may look at it."""
    if case.wish is None or not _gets_smtp(case, connector):
        return False
    if case.follows(connector):
        return True
    asks = connector.require_tls or connector.cloud_mail or connector.tls_auth_level not in {"", "None"}
    return asks and not connector.tls_certificate_name and case.wish.facts.covers(connector.fqdn)


def _gets_smtp(case: Case, connector: Connector) -> bool:
    """Whether the wanted certificate is assigned to SMTP, or is to be, on a server that the connector sends through.

    Without that Exchange does not find it for a connector.
    """
    sources = {name.rpartition("/")[2].lower() for name in connector.source_servers}
    through = [s for s in case.targets if sources & {name.lower() for name in s.names}] or case.targets
    return any(case.wish and Service.SMTP in _services(state, case.wish) for state in through)


def _services(state: ServerState, wish: Wish) -> Service:
    """What the wanted certificate has on a server afterwards; SMTP too while nothing is known."""
    held, wanted = state.certificate(wish.facts.thumbprint), requested_services(state, wish)
    has = held.services if held and held.services else Service.NONE
    return has | (Service.SMTP if wanted is None else wanted)


def _will_lack(case: Case, connector: Connector) -> Iterator[Finding]:
    if case.wish is None or case.wish.facts.allows(CLIENT_AUTHENTICATION) is not False:
        return
    goes_on = _lacks_already(case, connector)
    lacks = (
        f"{connector_title(connector)} presents the certificate as a client, and it lacks client authentication "
        f"({CLIENT_AUTHENTICATION}), which public authorities no longer issue."
        f"{' So does the one that it presents now.' if goes_on else ''}"
    )
    if _is_acknowledged(case, connector):
        told = note if goes_on else warn
        yield told(f"{lacks} You have acknowledged this.", _partner(connector), connector.identity)
    else:
        yield stop(
            f"{lacks} Whether the other side enforces it is not known; if it does, mail through this connector stops.",
            steps(
                f"{_partner(connector)} Then allow it for this connector:",
                f"certwright exchange acknowledge {shlex.quote(connector.identity or connector.name)}",
            ),
            connector.identity,
        )


def _lacks_already(case: Case, connector: Connector) -> bool:
    """Whether all that it may present now is without client authentication, and one of it is in date.

    The wanted certificate does not count beside another one of the same issuer and subject: it may just be imported.
    """
    named = referred_to(connector.tls_certificate_name, certificates_of(case.snapshot))
    wanted = case.wish.facts.thumbprint if case.wish else ""
    earlier = [c.facts for c in named if c.thumbprint != wanted] or [c.facts for c in named]
    known = [facts for facts in earlier if facts is not None]
    return (
        len(known) == len(earlier)
        and any(facts.is_valid_at(case.now) for facts in known)
        and not any(facts.allows(CLIENT_AUTHENTICATION) is not False for facts in known)
    )


def _partner(connector: Connector) -> str:
    if connector.cloud_mail:
        return (
            "Exchange Online can know this organisation by its addresses instead (an inbound connector with "
            "SenderIPAddresses), or by a certificate of a private authority that you add there."
        )
    where = f" ({listed(connector.smart_hosts)})" if connector.smart_hosts else ""
    return f"Ask who receives this mail{where} whether client authentication is demanded."


def _wildcard(case: Case) -> Iterator[Finding]:
    if not case.wish or is_host_name(case.wish.facts.common_name) or not case.wish.facts.common_name:
        return
    facts = case.wish.facts
    wanting = [s.info.name for s in case.targets if (requested_services(s, case.wish) or MAIL_ACCESS) & MAIL_ACCESS]
    if wanting:
        name = mail_access_name(facts, "")
        yield note(
            f"POP and IMAP cannot be assigned a certificate whose common name is {facts.common_name} "
            f"({listed(wanting)}): they find it by a plain host name in their settings instead.",
            f"Their X509CertificateName is set to {name} where it does not fit, and they are restarted."
            if name
            else "Add a plain host name to the certificate's names, such as mail and its domain.",
        )


def _pfx_cipher(case: Case) -> Iterator[Finding]:
    if case.wish is None:
        return
    thumbprint = case.wish.facts.thumbprint
    lacking = [s for s in case.targets if s.certificate(thumbprint) is None]
    found = [s.info.name for s in lacking if (p := product(s.info.version)) and p.line in _OLD_WINDOWS]
    if found:
        yield note(
            f"{listed(found)} may run on a Windows that opens no file encrypted with AES (up to Server 2016): the "
            "certificate is sent in the older form (3DES, SHA-1), under a random password that is used once.",
        )


CHECKS = (
    Check(
        "private-key",
        "Private key",
        "Exchange imports a certificate together with its private key. Certwright must hold the key, unless every "
        "server has the certificate already. To mend it, issue a certificate whose key Certwright makes.",
        _private_key,
        deploys,
        sight.servers(),
    ),
    Check(
        "key-type",
        "Key type",
        "Exchange works with RSA keys. Exchange 2013 takes no other; 2016, 2019 and Subscription Edition take ECDSA "
        "keys since April 2024, if switched on, but not for the Auth certificate, federation or AD FS. Issue the "
        "certificate with the key type rsa-2048.",
        _key_type,
        deploys,
        sight.servers(),
    ),
    Check(
        "common-name",
        "Common name",
        "Connectors refer to a certificate by issuer and subject. Some profiles of authorities (tlsserver and "
        "shortlived of Let's Encrypt) leave the subject empty. Choose a profile that keeps the common name, such as "
        "classic.",
        _common_name,
        deploys,
    ),
    Check(
        "server-authentication",
        "Server authentication",
        "A certificate that lists its uses must list server authentication. Issue it from a profile or template for "
        "web servers.",
        _server_authentication,
        deploys,
    ),
    Check(
        "validity",
        "Validity",
        "An expired certificate, or one that is not valid yet, is not deployed. Renew it first; if it should be "
        "valid, look at this machine's clock.",
        _validity,
        deploys,
    ),
    Check(
        "name-coverage",
        "Names in use",
        "Every name that clients are sent to should be on the certificate. The names come from Exchange's own "
        "settings; `certwright exchange names` lists them with their sources. Names that no public authority issues "
        "for can be moved to a public name: the command is shown, and never run.",
        _name_coverage,
        deploys,
        sight.either(sight.organisation(sight.names), sight.servers(sight.addresses)),
    ),
    Check(
        "chain-complete",
        "Chain of issuers",
        "A certificate is imported with the certificates of its issuers, without the root, so that every client can "
        "check it. Windows may serve another chain than the one that was imported, or none: what is served is looked "
        "at after a deployment, and if the issuer's certificate is missing, the issuers are imported by themselves.",
        _chain_complete,
        deploys,
    ),
    Check(
        "client-authentication",
        "Client authentication of connectors",
        "A send connector that uses mutual TLS, such as the hybrid one, presents its certificate as a client. Public "
        "authorities issue no certificates with client authentication any more, and it is not known whether Exchange "
        "Online or a partner refuses them. Nothing is deployed until you acknowledge this for the connector, also if "
        "the certificate that it presents now lacks it too: `certwright exchange acknowledge CONNECTOR`.",
        _client_authentication,
        unseen=sight.either(sight.organisation(sight.senders), sight.servers(sight.certificates)),
    ),
    Check(
        "wildcard-pop-imap",
        "Wildcards and POP, IMAP",
        "POP and IMAP cannot be assigned a certificate whose common name is a wildcard. They find it by a plain host "
        "name in their settings (X509CertificateName), which Certwright sets; the services read it when they start.",
        _wildcard,
        deploys,
        sight.servers(sight.services),
    ),
    Check(
        "pfx-cipher",
        "Encryption of the file",
        "Windows Server up to 2016 calls the password wrong if a PKCS#12 file is encrypted with AES. Certwright "
        "sends the older form, over an encrypted connection, with a random password that is used once.",
        _pfx_cipher,
        deploys,
        sight.servers(),
    ),
)
