"""Checks of single servers: what is ill there already, and what would hide a new certificate."""

from collections.abc import Iterator
from datetime import timedelta

from certwright.domain.certificates import CertificateFacts
from certwright.domain.deployment import Finding
from certwright.exchange.fitness import UNCHECKED, reach_of_revocation_lists, unusable
from certwright.exchange.judgement.bindings import overriding
from certwright.exchange.judgement.checks import sight
from certwright.exchange.judgement.checks.case import LATER, SOON, Case, Check, ends, listed, note, stop, warn
from certwright.exchange.model import (
    BACK_END,
    DEFAULT_WEB_SITE,
    Binding,
    Certificate,
    KeyStorage,
    ServerState,
    quoted,
    site_title,
)
from certwright.exchange.steps import steps
from certwright.exchange.versions import product

MAX_SKEW = timedelta(minutes=5)
_NETWORK_SERVICE = "NETWORK SERVICE"
_RENEW_AUTH = steps(
    "In the Exchange Management Shell, answering No to replacing the default certificate, then restart IIS on every "
    "server. Certwright never does this.",
    "$name = 'Microsoft Exchange Server Auth Certificate'",
    '$new = New-ExchangeCertificate -KeySize 2048 -PrivateKeyExportable $true -SubjectName "CN=$name" '
    "-FriendlyName $name -DomainName @()",
    "Set-AuthConfig -NewCertificateThumbprint $new.Thumbprint -NewCertificateEffectiveDate (Get-Date)",
    "Set-AuthConfig -PublishCertificate",
    "Set-AuthConfig -ClearPreviousCertificate",
)


def _auth_certificate(case: Case) -> Iterator[Finding]:
    auth = case.snapshot.auth
    if auth is None or not auth.current:
        return
    held = {s.info.name: c for s in case.snapshot.servers if (c := s.certificate(auth.current))}
    lacking = [s.info.name for s in case.snapshot.servers if s.certificates and s.info.name not in held]
    if lacking:
        yield warn(
            f"The Auth certificate {auth.current} is missing on {listed(lacking)}: sign-in to Outlook on the web and "
            "between servers may fail there, and objects arrive without their details.",
            f"Export it from a server that holds it and import it there. If none does, make a new one. {_RENEW_AUTH}",
        )
    if found := next(iter(held.values()), None):
        problem = unusable(found, case.now) or _auth_problem(case, found.facts)
        if problem:
            yield warn(f"The Auth certificate {auth.current} {problem}.", _RENEW_AUTH)


def _auth_problem(case: Case, facts: CertificateFacts | None) -> str:
    if facts is None:
        return ""
    if facts.not_after < case.now + LATER and not (case.snapshot.auth and case.snapshot.auth.next):
        return f"{ends(facts.not_after, case.now)}, and no next one is set"
    if not facts.is_self_signed:
        return "is no self-signed one, as setup makes it: it must be replaced by hand before it expires"
    return "" if facts.key.startswith("rsa") else f"has an {facts.key} key, which cannot sign tokens"


def _back_end(case: Case) -> Iterator[Finding]:
    for state in case.snapshot.servers:
        known = [c for c in state.certificates if c.iis_sites is not None]
        bound = [c for c in known if BACK_END in (c.iis_sites or ())]
        if not known or (not bound and len(known) < len(state.certificates)):
            continue
        problem = unusable(bound[0], case.now) if bound else "is not in the store, or none is bound"
        if problem:
            yield warn(
                f"{state.info.name}: the certificate of the Exchange Back End (port 444) {problem}: Outlook on the "
                "web and ECP show blank pages or errors, and the management shell may fail.",
                "In IIS Manager there, bind the self-signed certificate 'Microsoft Exchange' to https on port 444 of "
                "the site Exchange Back End. Certwright never touches that site.",
                state.info.name,
            )
        elif bound[0].is_self_signed is False:
            yield warn(
                f"{state.info.name}: the Exchange Back End (port 444) uses {bound[0].thumbprint}, which is not "
                "self-signed: when that is removed or expires, Outlook on the web and ECP break.",
                "Bind the self-signed certificate 'Microsoft Exchange' there instead (IIS Manager, site Exchange "
                "Back End, https on port 444). Certwright never touches that site.",
                state.info.name,
            )


def _current(case: Case) -> Iterator[Finding]:
    for state in case.snapshot.servers:
        found = state.web_site_certificate()
        if found is None or (case.wish and state in case.targets):
            continue
        problem = unusable(found, case.now)
        soon = found.facts and found.facts.not_after < case.now + SOON
        if problem or (soon and found.facts):
            said = problem or (ends(found.facts.not_after, case.now) if found.facts else "")
            yield warn(
                f"{state.info.name}: the certificate of the web site ({found.thumbprint}) {said}.",
                "Renew and deploy it: certwright exchange setup; or, if it is managed: certwright exchange apply CERT",
                state.info.name,
            )


def _iis_bindings(case: Case) -> Iterator[Finding]:
    for state in case.targets:
        for binding, told in overriding(state):
            yield warn(
                told,
                steps(
                    "Remove it there, in Windows PowerShell as an administrator, if nothing needs it; or give it the "
                    "new certificate by hand after every renewal:",
                    f"Remove-WebBinding {_site(binding)}-Protocol https "
                    f"-BindingInformation {quoted(binding.information)}",
                ),
                state.info.name,
            )


def _site(binding: Binding) -> str:
    """The parameter that names a binding's site, as far as the name is known."""
    return f"-Name {quoted(site_title(binding.site))} " if binding.site == DEFAULT_WEB_SITE else ""


def _key_storage(case: Case) -> Iterator[Finding]:
    for state, key, certificate in _keys(case):
        wanted = case.wish is not None and key.thumbprint == case.wish.facts.thumbprint
        serves = certificate is not None and bool(certificate.services)
        if not key.provider and (wanted or serves):
            yield (stop if wanted else warn)(
                f"{state.info.name}: the key of {key.thumbprint} is in a key-storage provider (CNG): Outlook on the "
                "web and ECP return to the sign-in page again and again.",
                _reimport(state, key, "-csp 'Microsoft RSA SChannel Cryptographic Provider' ", "", wanted=wanted),
                state.info.name,
            )
        elif key.spec == "Signature" and (wanted or serves):
            yield (stop if wanted else warn)(
                f"{state.info.name}: the key of {key.thumbprint} is for signatures only (KeySpec 2); TLS and Outlook "
                "on the web need one for exchange (KeySpec 1).",
                _reimport(state, key, "", " AT_KEYEXCHANGE", wanted=wanted),
                state.info.name,
            )


def _reimport(state: ServerState, key: KeyStorage, options: str, modifier: str, *, wanted: bool) -> str:
    """How a key comes into the right kind: Certwright imports what it deploys itself."""
    remove = f"Remove-ExchangeCertificate -Server {quoted(state.info.name)} -Thumbprint {key.thumbprint}"
    if wanted:
        return steps(
            "Remove it there, in the Exchange Management Shell, and run this again: Certwright then imports it itself, "
            "into the right kind:",
            remove,
        )
    return steps(
        f"Once another certificate serves, remove it in the Exchange Management Shell; then import it again on "
        f"{state.info.name}, as an administrator:",
        remove,
        f"certutil {options}-importpfx FILE.pfx{modifier}",
    )


def _key_access(case: Case) -> Iterator[Finding]:
    for state, key, certificate in _keys(case):
        if certificate and certificate.services and key.readers and not _may_read(key):
            yield warn(
                f"{state.info.name}: {_NETWORK_SERVICE} may not read the key of {key.thumbprint} (only "
                f"{listed(key.readers)}): transport cannot use it, and the setup of updates fails.",
                steps(
                    "Let Exchange give it access, in the Exchange Management Shell:",
                    f"Enable-ExchangeCertificate -Server {quoted(state.info.name)} -Thumbprint {key.thumbprint} "
                    "-Services None -NetworkServiceAllowed",
                ),
                state.info.name,
            )


def _keys(case: Case) -> Iterator[tuple[ServerState, KeyStorage, Certificate | None]]:
    for state in case.snapshot.servers:
        for key in state.host.keys if state.host else ():
            yield state, key, state.certificate(key.thumbprint)


def _may_read(key: KeyStorage) -> bool:
    return any(_NETWORK_SERVICE in reader.upper() or "S-1-5-20" in reader for reader in key.readers)


def _revocation(case: Case) -> Iterator[Finding]:
    wanted = case.wish.facts.thumbprint if case.wish else ""
    for state in case.snapshot.servers:
        found = [c for c in state.certificates if c.status == UNCHECKED]
        if used := [c.thumbprint for c in found if c.services or c.thumbprint == wanted]:
            yield warn(
                f"{state.info.name}: Exchange cannot ask whether {listed(used)} is revoked: the server does not reach "
                "the authority's revocation list.",
                reach_of_revocation_lists(state.info.name),
                state.info.name,
            )


def _clock_skew(case: Case) -> Iterator[Finding]:
    for state in case.snapshot.servers:
        skew = state.clock_skew
        if skew is None or abs(skew) <= MAX_SKEW:
            continue
        minutes = round(abs(skew).total_seconds() / 60)
        who, where = state.answered_by or state.info.name, "ahead of" if skew > timedelta(0) else "behind"
        early = case.wish is not None and case.now + skew < case.wish.facts.not_before
        more = ": there the certificate is not valid yet" if early else ", and Kerberos allows five"
        yield (stop if early else warn)(
            f"The clock of {who} is {minutes} minutes {where} this machine's{more}.",
            steps("Set both by the domain's time; on Windows:", "w32tm /resync"),
            state.info.name,
        )


def _away(case: Case) -> Iterator[Finding]:
    for state in case.targets:
        if state.away:
            yield warn(
                f"{state.info.name} is left alone for now: {state.away}.",
                "It keeps its certificates until then; run this again when it is back.",
                state.info.name,
            )


def _version_mix(case: Case) -> Iterator[Finding]:
    products = {s.info.name: p for s in case.snapshot.servers if (p := product(s.info.version))}
    oldest = [name for name, p in products.items() if p.line == "2013"]
    newest = [n for n, p in products.items() if p.line == "SE" or (p.line == "2019" and p.update == "CU15")]
    if oldest and newest:
        yield warn(
            f"Exchange 2013 ({listed(oldest)}) cannot be in one organisation with 2019 CU15 or Subscription Edition "
            f"({listed(newest)}).",
            "Remove the servers of 2013 before anything else is changed.",
        )
    if case.wish is not None:
        return
    ended = [f"{n} ({p.name})" for n, p in products.items() if p.end_of_support and p.end_of_support < case.now.date()]
    if ended:
        yield note(
            f"No longer supported by Microsoft: {listed(ended)}.",
            "Move to Exchange Server Subscription Edition; until then Certwright works with them as they are.",
        )
    unknown = [s.info.name for s in case.snapshot.servers if s.info.name not in products]
    if unknown:
        yield note(f"The version of {listed(unknown)} is not known here: nothing is assumed of it.")


CHECKS = (
    Check(
        "auth-certificate",
        "Auth certificate",
        "The Auth certificate signs the tokens between servers. It must be on every server, self-signed, RSA, and in "
        "date. Certwright reports what is wrong with it and never changes it; the steps are shown.",
        _auth_certificate,
        unseen=sight.either(sight.organisation(sight.auth), sight.servers(sight.certificates)),
    ),
    Check(
        "back-end-certificate",
        "Exchange Back End",
        "The site Exchange Back End on port 444 uses the self-signed certificate of setup. If that is missing, "
        "expired or replaced, Outlook on the web and ECP fail. Certwright never touches this site, and removes no "
        "certificate that it uses.",
        _back_end,
        unseen=sight.servers(sight.back_end),
    ),
    Check(
        "current-certificate",
        "Certificate of the web site",
        "The certificate of a web site that expires within two weeks, has expired, is revoked or lacks its key.",
        _current,
        unseen=sight.servers(sight.web_site),
    ),
    Check(
        "iis-bindings",
        "Bindings of IIS",
        "Exchange changes the binding *:443 only. A binding for one address or one host name goes before it, so "
        "clients go on seeing the earlier certificate. They are read through the host's own PowerShell (parameter "
        "winrm) and reported, not changed.",
        _iis_bindings,
        unseen=sight.servers(sight.bindings),
    ),
    Check(
        "key-storage",
        "Where keys are kept",
        "With a key in a key-storage provider (CNG), or one for signatures only, the sign-in to Outlook on the web "
        "loops. Certwright imports keys in the older kind. This is read through the host's own PowerShell.",
        _key_storage,
        unseen=sight.servers(sight.keys),
    ),
    Check(
        "key-access",
        "Access to keys",
        "NETWORK SERVICE must be able to read a key that transport uses. A certificate that was imported by other "
        "means than Exchange's may lack this.",
        _key_access,
        unseen=sight.servers(sight.readers),
    ),
    Check(
        "revocation-check-failure",
        "Revocation lists",
        "Exchange shows RevocationCheckFailure if the server cannot reach the authority's revocation list, mostly "
        "for want of a proxy setting. The certificate works; deployments go on.",
        _revocation,
        unseen=sight.servers(sight.statuses),
    ),
    Check(
        "clock-skew",
        "Clocks",
        "Kerberos needs clocks within five minutes, and a fresh certificate is not valid yet on a server that is "
        "behind.",
        _clock_skew,
        unseen=sight.servers(lambda state: state.clock_skew is not None),
    ),
    Check(
        "away",
        "Servers being worked on",
        "A server in maintenance, or in the middle of an update, is deferred: it is not touched, and the next run "
        "goes on there when it is back.",
        _away,
        unseen=sight.servers(sight.components),
    ),
    Check(
        "version-mix",
        "Versions of Exchange",
        "Exchange 2019 CU15 and Subscription Edition do not coexist with 2013. Versions without support are told.",
        _version_mix,
        unseen=sight.servers(),
    ),
)
