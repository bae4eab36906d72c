"""From what was seen of an http-01 answer to why an authority would not find it there: pure, one rule a cause.

A cause has an id that does not change, the evidence, an explanation and a remedy. What the authority itself said is
read by `http_words`.
"""

import http.client
import re

from certwright.probe.http import Refusal
from certwright.probe.http_case import ENTER_ADDRESS, EXEMPT, LEAD_HERE, LET_THROUGH, Case, Found, Rule
from certwright.probe.http_page_causes import PAGE_RULES
from certwright.probe.http_sight import Cause, Sight
from certwright.probe.observation import Endpoint, FailureKind
from certwright.probe.precheck import MEND_DNS, NOT_SEEN

_PLAIN_TO_TLS = re.compile(  # as nginx, Apache and Go say it
    rb"plain HTTP (request was sent to HTTPS port|to an SSL-enabled server port)|HTTP request to an HTTPS server"
)
_TLS_RECORDS = (b"\x15\x03", b"\x16\x03")


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
    return [_cause(Case(sight, s, right)) for s in sight.sightings if s.address not in passed_over]


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


def dead_ipv6(address: Endpoint) -> Found:
    """That an address is dead."""
    return Found(
        "http-ipv6-dead",
        "Its IPv6 address is dead, and authorities prefer IPv6.",
        f"Take the AAAA record {address.host} out of the DNS, or let the web server listen on it too.",
    )


def _cause(case: Case) -> Cause:
    found = next(found for rule in _RULES if (found := rule(case)))
    explanation = " ".join([found.explanation, *case.remarks])
    return Cause(found.id, case.evidence, explanation, found.remedy, case.visit.kind, case.server)


UNRESOLVED = "http-name-unresolved"
_UNRESOLVED = Found(UNRESOLVED, "Without an address the authority has nowhere to look.", ENTER_ADDRESS)
UNANSWERED = "http-name-unanswered"
_UNANSWERED = Found(UNANSWERED, "An authority that DNS does not tell the address either cannot come.", MEND_DNS)
_LATE_COPY = (
    "If the folder is copied to it a little later, give the copy time: "
    "'certwright validation set CERT webroot --path FOLDER --timeout 60'."
)


def _bad_node(case: Case) -> Found | None:
    good = sum(map(case.sight.is_right, case.sighting.visits))
    if not good:
        return None
    return Found(
        "http-bad-node",
        f"Of {len(case.sighting.visits)} visits {good} found the answer: servers behind one address differ.",
        "Let the balancer lead /.well-known/acme-challenge/ to one server, the one that has the answers, or give all "
        f"of them the same folder. {_LATE_COPY}",
    )


def _dead_ipv6(case: Case) -> Found | None:
    if not case.sighting.is_ipv6 or case.redirected or case.visit.reached or case.page or not case.right:
        return None
    return dead_ipv6(case.sighting.address)


def _one_address(case: Case) -> Found | None:
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


def _redirect(case: Case) -> Found | None:
    return _REFUSALS.get(case.visit.refusal) if case.visit.refusal else None


def _redirect_target(case: Case) -> Found | None:
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


def _tls_on_port_80(case: Case) -> Found | None:
    told = case.status == http.client.BAD_REQUEST and _PLAIN_TO_TLS.search(case.body)
    if not (told or case.sighting.speaks_tls or case.visit.heard.startswith(_TLS_RECORDS)):
        return None
    return Found(
        "http-tls-on-port",
        "The port speaks TLS; an authority asks for http-01 in the clear.",
        "Let port 80 be served without TLS, and lead port 443 alone to the port that speaks it.",
    )


def _is_slow(case: Case) -> bool:
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


def _nobody(case: Case) -> Found | None:
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


_RULES: tuple[Rule, ...] = (
    _bad_node,
    _dead_ipv6,
    _tls_on_port_80,
    _redirect,
    _redirect_target,
    _nobody,
    _one_address,
    *PAGE_RULES,
)
