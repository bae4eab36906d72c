"""From what was seen of an http-01 answer to why an authority would not find it there: pure, one rule a cause.

A cause has an id that does not change, the evidence, an explanation and a remedy. What the authority itself said is
read by `http_words`.
"""

import http.client
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import SplitResult, urlsplit

from cryptography import x509

from certwright.probe import iis
from certwright.probe.chain import lenient_parsing
from certwright.probe.http import Page, Refusal, Visit
from certwright.probe.http_sight import Cause, Sight, Sighting
from certwright.probe.observation import Endpoint, FailureKind
from certwright.probe.precheck import LOOK_ELSEWHERE, MEND_DNS, NOT_SEEN
from certwright.probe.wire import harmless, quoted

_CHALLENGE_FOLDER = "/.well-known/acme-challenge/"
_LOGIN = re.compile(rb"type\s*=\s*[\"']?password|sign[ -]?in|log[ -]?(in|on)\b", re.IGNORECASE)
_LOGIN_URL = re.compile(r"log[io]n|signin|sign-in|/adfs/|/owa/auth|/oauth2?/|/saml", re.IGNORECASE)
_THUMBPRINT = re.compile(rb"[A-Za-z0-9_-]{43}")
_PLAIN_TO_TLS = re.compile(  # as nginx, Apache and Go say it
    rb"plain HTTP (request was sent to HTTPS port|to an SSL-enabled server port)|HTTP request to an HTTPS server"
)
_HTML = re.compile(rb"\s*(<!doctype html|<html|<head|<body|<\?xml|<!--)", re.IGNORECASE)
_TLS_RECORDS = (b"\x15\x03", b"\x16\x03")
_GATEWAY = (502, 503, 504)
_SERVER_ERRORS = 500


def causes(sight: Sight) -> list[Cause]:
    """Why an authority would not find the answer, for each address where it is wrong; none if all are right.

    Of a place of ours one right address is enough: the authority looks elsewhere.
    """
    if sight.unresolved:
        evidence = f"{sight.url}: {sight.unresolved.message}"
        kind = sight.unresolved.kind
        found = _UNANSWERED if kind is FailureKind.LOOKUP else _UNRESOLVED
        return [Cause(found.id, evidence, found.explanation, found.remedy, kind)]
    right = [s.address for s in sight.sightings if all(map(sight.is_right, s.visits))]
    if sight.mapped and right:
        return []
    passed_over = [*right, *unseen(sight)]
    return [_cause(_Case(sight, s, right)) for s in sight.sightings if s.address not in passed_over]


def unseen(sight: Sight) -> list[Endpoint]:
    """The IPv6 addresses to which no route leads from here, where another address is right."""
    if sight.mapped or not any(all(map(sight.is_right, s.visits)) for s in sight.sightings):
        return []
    return [s.address for s in sight.sightings if s.is_ipv6 and all(visit.is_without_route for visit in s.visits)]


def unseen_cause(sight: Sight, address: Endpoint) -> Cause:
    """That an address could not be looked at."""
    return Cause(
        "http-ipv6-unseen",
        f"{sight.url}: {NOT_SEEN.format(address)}",
        "Authorities prefer IPv6.",
        f"Open the URL from a machine with IPv6: {address.host} has to answer as the IPv4 address does.",
        FailureKind.NO_ROUTE,
    )


def dead_ipv6(address: Endpoint) -> "Found":
    """That an address is dead."""
    return Found(
        "http-ipv6-dead",
        "Its IPv6 address is dead, and authorities prefer IPv6.",
        f"Take the AAAA record {address.host} out of the DNS, or let the web server listen on it too.",
    )


class _Case:
    """One address whose answer is wrong, and the visit that shows it."""

    def __init__(self, sight: Sight, sighting: Sighting, right: list[Endpoint]) -> None:
        self.sight = sight
        self.sighting = sighting
        self.right = right
        self.visit: Visit = next(visit for visit in sighting.visits if not sight.is_right(visit))
        self.page: Page | None = self.visit.page
        self.server = self.page.server if self.page else ""
        self.body = self.page.body if self.page else b""
        self.status = self.page.status if self.page else 0
        self.end: SplitResult = urlsplit(self.visit.urls[-1])
        self.redirected = len(self.visit.urls) > 1
        self.leaves_the_folder = self.redirected and _CHALLENGE_FOLDER not in self.end.path
        self.other_host = self.end.hostname != urlsplit(sight.url).hostname

    @property
    def evidence(self) -> str:
        """The way, and what was at its end."""
        way = self.sight.url
        if self.redirected:
            way += f", redirected to {harmless(self.visit.urls[-1], 200)}"
        if self.page is None:
            return f"{way}: {self.visit.obstacle}"
        who = f"{self.server or 'the web server'} at {self.page.address}"
        if self.status != http.client.OK:
            return f"{way}: {who} answers {f'{self.status} {self.page.reason}'.strip()}."
        what = quoted(self.body) if self.body else "nothing"
        return f"{way}: {who} answers {what} instead of the challenge's answer."

    @property
    def remarks(self) -> Iterator[str]:
        """What else is to be known."""
        if self.right:
            good = ", ".join(map(str, self.right))
            yield f"{good} answers rightly, but the authority may ask any address of the name."
        for der in self.visit.leaves:
            if (expired := _expiry(der)) and expired < self.sight.at:
                yield f"The certificate there expired on {expired:%Y-%m-%d}, which authorities do not mind."


@dataclass(frozen=True, slots=True)
class Found:
    """What a rule says: the cause's id, why it is so, and what to do."""

    id: str
    explanation: str
    remedy: str


Rule = Callable[[_Case], Found | None]


def _cause(case: _Case) -> Cause:
    found = next(found for rule in _RULES if (found := rule(case)))
    explanation = " ".join([found.explanation, *case.remarks])
    return Cause(found.id, case.evidence, explanation, found.remedy, case.visit.kind, case.server)


def _expiry(der: bytes) -> datetime | None:
    try:
        with lenient_parsing():
            return x509.load_der_x509_certificate(der).not_valid_after_utc
    except ValueError:
        return None


ENTER_ADDRESS = (
    "Enter an A or AAAA record for the name in the public DNS; if it is there and only this machine's resolver does "
    f"not know it, {LOOK_ELSEWHERE}"
)
UNRESOLVED = "http-name-unresolved"
_UNRESOLVED = Found(UNRESOLVED, "Without an address the authority has nowhere to look.", ENTER_ADDRESS)
UNANSWERED = "http-name-unanswered"
_UNANSWERED = Found(UNANSWERED, "An authority that DNS does not tell the address either cannot come.", MEND_DNS)
LEAD_HERE = "Make the name lead to where the answer is served on port 80."
LET_THROUGH = (
    "Let port 80 through to this machine. If it is open but cannot be reached from inside (many routers do not lead "
    f"their own outer address back in), {LOOK_ELSEWHERE}"
)
EXEMPT = "Exempt /.well-known/acme-challenge/ from that redirect, or let it lead to a server that has the answers."
SAME_FOLDER = (
    "Name the folder that the web server serves at this name ('certwright validation set CERT webroot --path FOLDER'), "
    "or let the web server forward /.well-known/acme-challenge/ to the port where Certwright listens "
    "(docs/guide/http-validation.md has the lines)."
)
_LATE_COPY = (
    "If the folder is copied to it a little later, give the copy time: "
    "'certwright validation set CERT webroot --path FOLDER --timeout 60'."
)


def _bad_node(case: _Case) -> Found | None:
    good = sum(map(case.sight.is_right, case.sighting.visits))
    if not good:
        return None
    return Found(
        "http-bad-node",
        f"Of {len(case.sighting.visits)} visits {good} found the answer: servers behind one address differ.",
        "Let the balancer lead /.well-known/acme-challenge/ to one server, the one that has the answers, or give all "
        f"of them the same folder. {_LATE_COPY}",
    )


def _dead_ipv6(case: _Case) -> Found | None:
    if not case.sighting.is_ipv6 or case.redirected or case.visit.reached or case.page or not case.right:
        return None
    return dead_ipv6(case.sighting.address)


def _one_address(case: _Case) -> Found | None:
    if not case.right or case.page is None or case.redirected:
        return None
    return Found(
        "http-address-differs",
        "Another server answers at this address than at the others of the name.",
        f"Let that server serve the answers too, or, if it is no longer meant, take the record "
        f"{case.sighting.address.host} out of the DNS. {_LATE_COPY}",
    )


_REFUSALS: dict[Refusal, Found] = {
    Refusal.LOOP: Found("http-redirect-loop", "A circle has no page at its end.", EXEMPT),
    Refusal.TOO_MANY: Found(
        "http-too-many-redirects", "Authorities give up after ten redirects at the latest.", EXEMPT
    ),
    Refusal.PORT: Found(
        "http-redirect-port",
        "An authority stops there.",
        "Let the redirect lead to https on port 443, or exempt /.well-known/acme-challenge/ from it.",
    ),
    Refusal.ADDRESS: Found(
        "http-redirect-address",
        "An authority stops there.",
        "Let the redirect name the host by its name, or exempt /.well-known/acme-challenge/ from it.",
    ),
    Refusal.UNUSABLE: Found("http-redirect-unusable", "It is neither http nor https, or no URL.", EXEMPT),
    Refusal.NO_TARGET: Found("http-redirect-unusable", "The redirect has no Location.", EXEMPT),
}


def _redirect(case: _Case) -> Found | None:
    return _REFUSALS.get(case.visit.refusal) if case.visit.refusal else None


def _redirect_target(case: _Case) -> Found | None:
    if not case.redirected or case.page or _is_slow(case):
        return None
    where = f"{case.end.scheme}://{case.end.netloc}"
    if case.visit.reached and case.end.scheme == "https":
        return Found(
            "http-redirect-https-broken",
            "Port 80 redirects to https, where no TLS comes about; any certificate would do, but there must be one.",
            f"Repair TLS at {where}, or exempt /.well-known/acme-challenge/ from the redirect to https.",
        )
    return Found(
        "http-redirect-dead",
        "Port 80 answers, but where it redirects to nobody does.",
        f"Let {where} be reached from outside, or exempt /.well-known/acme-challenge/ from the redirect.",
    )


def _tls_on_port_80(case: _Case) -> Found | None:
    told = case.status == http.client.BAD_REQUEST and _PLAIN_TO_TLS.search(case.body)
    if not (told or case.sighting.speaks_tls or case.visit.heard.startswith(_TLS_RECORDS)):
        return None
    return Found(
        "http-tls-on-port",
        "The port speaks TLS; an authority asks for http-01 in the clear.",
        "Let port 80 be served without TLS, and lead port 443 alone to the port that speaks it.",
    )


def _is_slow(case: _Case) -> bool:
    return case.visit.kind is FailureKind.TIMEOUT and case.visit.reached


_NO_ROUTE = Found("http-unreachable", "No route leads there.", LET_THROUGH)
_NOBODY: dict[FailureKind, Found] = {
    FailureKind.REFUSED: Found(
        "http-refused",
        "The machine is there, but no program listens on that port.",
        "Let a program listen on port 80: Certwright does while it requests, unless the answers are files (webroot), "
        f"or start the web server. {LEAD_HERE}",
    ),
    FailureKind.TIMEOUT: Found("http-firewall", "Packets vanish, as a firewall makes them.", LET_THROUGH),
    FailureKind.NO_ROUTE: _NO_ROUTE,
    FailureKind.UNREACHABLE: _NO_ROUTE,
    FailureKind.CLOSED: Found(
        "http-closed",
        "Who closes without a word is a filter in between, or a program that does not want http from here.",
        "See in the firewall's or web server's log why it closes the connection, and allow plain http on port 80.",
    ),
}


def _nobody(case: _Case) -> Found | None:
    if _is_slow(case):
        return Found(
            "http-slow",
            "It takes the connection, but its answer comes after an authority's patience, 10 seconds at most.",
            "Find out why the web server is slow (load, a name that it looks up, a dead server behind it), or exempt "
            "/.well-known/acme-challenge/ from what delays it.",
        )
    if case.page:
        return None
    no_http = Found(
        "http-no-http",
        "A program that is no web server has the port.",
        "Find out which program has port 80 ('ss -ltnp sport = :80', or 'Get-NetTCPConnection -LocalPort 80'), and "
        "move it.",
    )
    return _NOBODY.get(case.visit.kind, no_http) if case.visit.kind else no_http


def _iis(case: _Case) -> Found | None:
    if case.leaves_the_folder and any(map(iis.is_iis, case.visit.redirectors)):
        return Found(
            "http-iis-redirect",
            "The folder inherits the redirect of the IIS site above it.",
            iis.NO_REDIRECT_NEEDED,
        )
    said = iis.substatus(case.body)
    if iis.is_http_sys(case.server) and case.status in (http.client.NOT_FOUND, http.client.BAD_REQUEST):
        return Found(
            "http-iis-no-site",
            "Windows has no web site for this name: no binding of IIS takes it on this port.",
            "Add an http binding on port 80, with this host name or without any, to the site that has the answers.",
        )
    if not iis.is_iis(case.server):
        return None
    if case.status == http.client.FORBIDDEN and case.end.scheme == "http" and said in ("403.4", "403.5", ""):
        how = "IIS says 403.4" if said else "IIS does not say why, but nearly always it is 403.4"
        why = f"{how}: the site requires TLS, as Exchange sets it when a certificate is enabled for IIS."
        return Found("http-iis-require-ssl", why, iis.NO_TLS_NEEDED)
    if case.status == http.client.NOT_FOUND and said in ("404.3", "404.4", "404.7", "404.17", ""):
        how = f"IIS says {said}" if said else "IIS does not say why; if the file is in its folder, it is 404.3"
        return Found(
            "http-iis-extensionless", f"{how}: it serves no file without an extension there.", iis.NO_EXTENSION_NEEDED
        )
    return None


def _login(case: _Case) -> Found | None:
    at_login = case.redirected and _LOGIN_URL.search(f"{case.end.path}?{case.end.query}")
    asks = case.status == http.client.OK and _HTML.match(case.body) and _LOGIN.search(case.body)
    if not at_login and not asks and not (case.redirected and _LOGIN.search(case.body)):
        return None
    return Found(
        "http-login-page",
        "It is a page to sign in at; an authority does not sign in.",
        "Exempt /.well-known/acme-challenge/ from the sign-in (single sign-on, web application firewall, or portal).",
    )


def _other_host(case: _Case) -> Found | None:
    if not case.page or not case.other_host:
        return None
    return Found("http-other-host", f"The redirect leads to {case.end.hostname}, which has not got the answer.", EXEMPT)


def _refused_page(case: _Case) -> Found | None:
    if case.status == http.client.UNAUTHORIZED:
        return Found(
            "http-unauthorized",
            "The web server wants a user and a password; an authority has none.",
            "Allow anonymous access to /.well-known/acme-challenge/.",
        )
    if case.status == http.client.FORBIDDEN:
        return Found(
            "http-forbidden",
            "The web server denies the folder: by a rule for names that begin with a dot, by an address filter, or "
            "because its user may not read the file.",
            "Allow everybody to read /.well-known/acme-challenge/.",
        )
    if case.status in _GATEWAY:
        return Found(
            "http-gateway",
            "The proxy that answers has nobody behind it, or not where it thinks.",
            "Let it forward /.well-known/acme-challenge/ to the address and port where Certwright listens.",
        )
    if case.status >= _SERVER_ERRORS:
        return Found(
            "http-server-error",
            "The web server itself fails.",
            "See the web server's error log of this moment; serve /.well-known/acme-challenge/ as plain files.",
        )
    return None


def _other_answer(case: _Case) -> Found | None:
    body = case.body.strip()
    token, _, thumbprint = body.partition(b".")
    if case.status != http.client.OK:
        return None
    if _THUMBPRINT.fullmatch(thumbprint) and (token == case.sight.token.encode() or _THUMBPRINT.fullmatch(token)):
        return Found(
            "http-other-client",
            "It is the answer of another ACME client, or of another account.",
            "Stop the other ACME client, or the rule of the web server or balancer that answers challenges for it.",
        )
    if body and case.sight.expected.encode().startswith(body):
        return Found(
            "http-truncated",
            "It is the right answer, but not all of it.",
            "Let the file be served as it is: without a filter, cache or length of its own in between.",
        )
    if not body:
        return Found("http-empty", "The web server answers without content.", SAME_FOLDER)
    return None


def _other_machine(case: _Case) -> Found | None:
    if case.sight.mapped or case.redirected or case.sighting.is_own:
        return None
    here = case.sighting.address.host
    return Found(
        "http-other-machine",
        f"{here} is no address of this machine: unless a router leads it here, another machine answers for the name.",
        f"Make the name lead to this machine instead of {here}, or let port 80 of it be led to this machine, or run "
        "the request on the machine that answers.",
    )


def _wrong_page(case: _Case) -> Found:
    if case.status in (http.client.NOT_FOUND, http.client.GONE):
        return Found(
            "http-not-found",
            "The web server looks for the answer in another folder, or forwards it nowhere.",
            SAME_FOLDER,
        )
    if case.status != http.client.OK:
        return Found("http-unexpected-status", "An authority takes nothing but 200.", SAME_FOLDER)
    if _HTML.match(case.body):
        return Found("http-html-page", "A page of the web site comes instead of the file.", SAME_FOLDER)
    return Found("http-wrong-content", "Something else lies, or is made, in the place of the answer.", SAME_FOLDER)


_RULES: tuple[Rule, ...] = (
    _bad_node,
    _dead_ipv6,
    _tls_on_port_80,
    _redirect,
    _redirect_target,
    _nobody,
    _one_address,
    _iis,
    _login,
    _other_host,
    _refused_page,
    _other_answer,
    _other_machine,
    _wrong_page,
)
