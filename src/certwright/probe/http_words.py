"""What an authority says of a failed http-01 validation, and what it means.

The words are those of Boulder (Let's Encrypt), Pebble and our own server; other authorities use similar ones. They are
asked for only where nothing wrong is seen from here: then the authority sees something else than we do.
"""

import re
from dataclasses import dataclass

from certwright.probe.http_case import ENTER_ADDRESS, EXEMPT, LEAD_HERE, LET_THROUGH, SAME_FOLDER
from certwright.probe.http_causes import causes, dead_ipv6, unseen, unseen_cause
from certwright.probe.http_sight import Cause, Sight
from certwright.probe.wire import harmless

_SHOWN = 300
_URL = re.compile(r"https?://[^\s\"]+")


@dataclass(frozen=True, slots=True)
class _Saying:
    """Words of an authority: the cause that they name, why we may see it differently, and what to do."""

    words: re.Pattern[str]
    id: str
    explanation: str
    remedy: str


def _saying(words: str, identifier: str, explanation: str, remedy: str) -> _Saying:
    return _Saying(re.compile(words, re.IGNORECASE), identifier, explanation, remedy)


_SAYINGS = (
    _saying(
        "secondary validation|remote perspective|perspectives",
        "http-not-everywhere",
        "Only some of the places from which it looks get the answer, as where a firewall blocks countries or the name "
        "servers differ.",
        "Let port 80 through from everywhere, since authorities do not say from where they look, and let all name "
        "servers answer alike.",
    ),
    _saying(
        r"NXDOMAIN|no valid (A|IP)|neither an A nor|no such host|does not exist",
        "http-name-unresolved",
        "The public DNS does not have the name, or not yet.",
        ENTER_ADDRESS,
    ),
    _saying(
        "SERVFAIL|DNS problem|DNSSEC|looking up",
        "http-dns-trouble",
        "The name servers of the name do not answer it as they should.",
        "Test the name with an outside DNS checker (delegation, DNSSEC, CAA), and repair what it finds.",
    ),
    _saying(
        r"redirect loop|circle",
        "http-redirect-loop",
        "To visitors from outside the web server redirects in a circle.",
        EXEMPT,
    ),
    _saying(
        r"too many redirects|more than \d+ redirects|stopped after \d+ redirects",
        "http-too-many-redirects",
        "To visitors from outside the web server redirects again and again.",
        EXEMPT,
    ),
    _saying(
        r"invalid port in redirect|on the ports 80 and 443",
        "http-redirect-port",
        "It follows redirects to ports 80 and 443 only.",
        EXEMPT,
    ),
    _saying(
        r"only domain names are supported|host in redirect",
        "http-redirect-address",
        "It follows redirects to names only.",
        EXEMPT,
    ),
    _saying(
        r"scheme in redirect|unsupported protocol scheme|only http and https are followed",
        "http-redirect-unusable",
        "It follows redirects to http and https only.",
        EXEMPT,
    ),
    _saying(
        r"timeout after connect|awaiting headers|server may be slow",
        "http-slow",
        "It waits 10 seconds at most for the whole answer.",
        "Find out what delays answers to visitors from outside: load, a filter, or a dead server behind a balancer.",
    ),
    _saying(
        r"timeout|timed out",
        "http-firewall",
        "From here the way is open, from outside it is not.",
        LET_THROUGH,
    ),
    _saying(
        r"connection refused|actively refused",
        "http-refused",
        "From here a program listens, at the address that it tried none does.",
        LEAD_HERE,
    ),
    _saying(
        r"no route|unreachable",
        "http-unreachable",
        "From outside no route leads to that address.",
        LET_THROUGH,
    ),
    _saying(
        r"reset by peer|connection reset|\bEOF\b|connection broke",
        "http-closed",
        "A filter between it and this machine breaks the connection.",
        "See in the firewall's log why it closes the connection, and allow plain http on port 80 from everywhere.",
    ),
    _saying(
        r"HTTP response to HTTPS|only speaks HTTP|tls:|TLS failed|remote error",
        "http-redirect-https-broken",
        "Port 80 redirects it to https, where no TLS comes about.",
        "Repair TLS on port 443, or exempt /.well-known/acme-challenge/ from the redirect to https.",
    ),
    _saying(
        r"malformed HTTP|not HTTP",
        "http-no-http",
        "At the address that it tried a program answers that is no web server.",
        LEAD_HERE,
    ),
    _saying(
        r"\b403\b|forbidden",
        "http-forbidden",
        "Visitors from outside are denied what we are given.",
        "Allow everybody to read /.well-known/acme-challenge/, also in the web application firewall.",
    ),
    _saying(
        r"\b401\b",
        "http-unauthorized",
        "Visitors from outside have to sign in.",
        "Allow anonymous access to /.well-known/acme-challenge/.",
    ),
    _saying(
        r"\b5\d\d\b",
        "http-server-error",
        "The web server failed when it asked, or a proxy found nobody behind it.",
        "See the web server's error log of that moment.",
    ),
    _saying(
        r"\b404\b|did not match|key authorization|invalid response",
        "http-other-machine",
        "Another server than the one we see answered it: an old address in the DNS, another web server behind the "
        "balancer, or a cache.",
        SAME_FOLDER,
    ),
)
_UNKNOWN = _saying("", "http-unknown", "", LEAD_HERE)
_NOT_REACHED = ("http-firewall", "http-refused", "http-unreachable")


def explain(sight: Sight, words: str) -> list[Cause]:
    """Why an authority that said `words` did not find the answer; at least one cause.

    Args:
        sight: what is seen from here, the answer still being in place.
        words: the detail of the authority's problem document.
    """
    if found := causes(sight):
        return found
    evidence = f'{sight.url}: the authority says "{harmless(words, _SHOWN)}".'
    said = _URL.sub("", words)  # whose numbers are no status
    saying = next((saying for saying in _SAYINGS if saying.words.search(said)), _UNKNOWN)
    hidden = unseen(sight)
    if saying.id in _NOT_REACHED and (named := [address for address in hidden if address.host in words]):
        dead = dead_ipv6(named[0])
        return [Cause(dead.id, evidence, dead.explanation, dead.remedy)]
    explanation = f"From here the answer is found. {saying.explanation}".rstrip()
    doubts = [unseen_cause(sight, address) for address in hidden]
    return [Cause(saying.id, evidence, explanation, saying.remedy), *doubts]
