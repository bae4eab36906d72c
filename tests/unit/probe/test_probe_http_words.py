"""The words of authorities, as they were published, and what they mean."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certwright.probe.http import Page, Visit
from certwright.probe.http_sight import Sight, Sighting
from certwright.probe.http_words import explain
from certwright.probe.observation import Endpoint, FailureKind

URL = "http://mail.contoso.test/.well-known/acme-challenge/token"
HERE = Endpoint("127.0.0.1", 80)
FETCHING = f"192.0.2.7: Fetching {URL}: "


NO_WAY = Endpoint("2001:db8::7", 80)


def beside_an_unseen_address() -> Sight:
    """The name has an IPv6 address, too, and this machine no way to it."""
    nothing = Visit((URL,), kind=FailureKind.NO_ROUTE, obstacle=f"{NO_WAY} cannot be reached: No route to host.")
    return sight(b"token.thumbprint").having(Sighting(NO_WAY, (nothing,), is_own=False))


def sight(body: bytes = b"token.thumbprint") -> Sight:
    visit = Visit((URL,), Page(HERE, 200, "OK", "nginx", body))
    return Sight(
        URL, "token", "token.thumbprint", datetime.now(UTC), sightings=(Sighting(HERE, (visit,), is_own=True),)
    )


@pytest.mark.parametrize(
    ("words", "cause"),
    [
        (f"{FETCHING}Timeout during connect (likely firewall problem)", "http-firewall"),
        (f"{FETCHING}Timeout after connect (your server may be slow or overloaded)", "http-slow"),
        (f"{FETCHING}Connection refused", "http-refused"),
        (f"{FETCHING}Connection reset by peer", "http-closed"),
        (f"{FETCHING}Redirect loop detected", "http-redirect-loop"),
        (f"{FETCHING}Too many redirects", "http-too-many-redirects"),
        (
            f"{FETCHING}Invalid port in redirect target. Only ports 80 and 443 are supported, not 8443",
            "http-redirect-port",
        ),
        (
            f'{FETCHING}Invalid host in redirect target "10.0.0.1". Only domain names are supported, not IP addresses',
            "http-redirect-address",
        ),
        (f"{FETCHING}Server only speaks HTTP, not TLS", "http-redirect-https-broken"),
        (f"192.0.2.7: Invalid response from {URL}: 404", "http-other-machine"),
        (f"192.0.2.7: Invalid response from {URL}: 403", "http-forbidden"),
        (f"192.0.2.7: Invalid response from {URL}: 503", "http-server-error"),
        (f'192.0.2.7: Invalid response from {URL}: "<html>"', "http-other-machine"),
        ("DNS problem: NXDOMAIN looking up A for mail.contoso.test", "http-name-unresolved"),
        ("DNS problem: SERVFAIL looking up CAA for mail.contoso.test", "http-dns-trouble"),
        ("No valid IP addresses found for mail.contoso.test", "http-name-unresolved"),
        (
            f"During secondary validation: {FETCHING}Timeout during connect (likely firewall problem)",
            "http-not-everywhere",
        ),
        (f"{FETCHING}dial tcp 192.0.2.7:80: connect: no route to host", "http-unreachable"),
        ("The sky fell", "http-unknown"),
        ("", "http-unknown"),
    ],
)
def test_words_name_a_cause_where_nothing_is_seen(words: str, cause: str) -> None:
    (found,) = explain(sight(), words)
    assert found.id == cause
    assert "From here the answer is found." in found.explanation
    assert found.remedy.endswith(".")


def test_what_is_seen_counts_more_than_words() -> None:
    (found,) = explain(sight(b"<html>"), "Timeout during connect (likely firewall problem)")
    assert found.id == "http-html-page"


@given(st.text(max_size=400))
def test_any_words_are_shown_harmlessly(words: str) -> None:
    (found,) = explain(sight(), words)
    assert found.sentence.isprintable()
    assert len(found.evidence) < 500


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (f"2001:db8::7: Fetching {URL}: Timeout during connect (likely firewall problem)", ["http-ipv6-dead"]),
        (f"2001:db8::7: Invalid response from {URL}: 404", ["http-other-machine", "http-ipv6-unseen"]),
        (f"{FETCHING}Connection refused", ["http-refused", "http-ipv6-unseen"]),
        ("It did not work.", ["http-unknown", "http-ipv6-unseen"]),
    ],
)
def test_an_address_that_nobody_can_see_from_here_is_dead_only_by_the_authoritys_words(
    words: str, found: list[str]
) -> None:
    told = explain(beside_an_unseen_address(), words)
    assert [cause.id for cause in told] == found
    assert ("Take the AAAA record 2001:db8::7 out" in told[0].remedy) is (found == ["http-ipv6-dead"])
