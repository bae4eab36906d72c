import re
from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from certwright.domain.errors import ConfigurationError, InvalidIdentifier
from certwright.domain.identifiers import (
    MAX_NAMES,
    Identifier,
    IdentifierType,
    covered,
    parse_all,
    public_obstacle,
)

LABEL = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True).filter(lambda s: not s.startswith("xn--"))
HOST = st.builds(
    lambda labels, top: ".".join([*labels, top]),
    st.lists(LABEL, min_size=1, max_size=4),
    st.sampled_from(["com", "co.uk", "org", "local"]),
)


@pytest.mark.parametrize(
    ("typed", "value"),
    [
        ("mail.contoso.com", "mail.contoso.com"),
        ("  Mail.CONTOSO.com ", "mail.contoso.com"),
        ("mail.contoso.com.", "mail.contoso.com"),
        ("EX01", "ex01"),
        ("*.contoso.com", "*.contoso.com"),
        ("*.Bücher.example", "*.xn--bcher-kva.example"),
        ("bücher.de", "xn--bcher-kva.de"),
        ("BÜCHER.de", "xn--bcher-kva.de"),
        ("XN--BCHER-KVA.de", "xn--bcher-kva.de"),
        ("straße.de", "xn--strae-oqa.de"),
        ("e\u0301.com", "xn--9ca.com"),
        ("почта.рф", "xn--80a1acny.xn--p1ai"),
        ("טעסט.com", "xn--deba0ad.com"),
        ("例え。jp", "xn--r8jz45g.jp"),
        ("xn--i-7iq.ws", "xn--i-7iq.ws"),
        ("a" * 63 + ".com", "a" * 63 + ".com"),
        ("192.0.2.1", "192.0.2.1"),
        ("[2001:DB8:0:0:0:0:0:1]", "2001:db8::1"),
        ("2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"),
    ],
)
def test_names_are_read_into_one_form(typed: str, value: str) -> None:
    assert Identifier.parse(typed).value == value


@pytest.mark.parametrize(
    ("typed", "reason"),
    [
        ("", "is empty"),
        ("  .", "is empty"),
        (".contoso.com", "a dot too many"),
        ("mail..contoso.com", "a dot too many"),
        ("mail.contoso.com..", "a dot too many"),
        ("*", r"\* that is not its whole first label"),
        ("*.", r"\* that is not its whole first label"),
        ("*.*.contoso.com", r"\* that is not its whole first label"),
        ("m*.contoso.com", r"\* that is not its whole first label"),
        ("mail.*.com", r"\* that is not its whole first label"),
        ("https://mail.contoso.com/owa", "address of a page"),
        ("postmaster@contoso.com", "mail address"),
        ("mail.contoso.com:443", "colon"),
        ("_autodiscover._tcp.contoso.com", "underscore"),
        ("mail server.contoso.com", "label 'mail server' is not allowed"),
        ("-mail.contoso.com", "label '-mail' is not allowed"),
        ("mail-.contoso.com", "label 'mail-' is not allowed"),
        ("mail\x00.contoso.com", "is not allowed"),
        ("a" * 64 + ".com", "label of 64 characters"),
        (".".join(["a" * 49] * 5) + ".comm", "254 characters long; DNS allows 253"),
        ("☃.com", "not an internationalised DNS name"),
        ("אבa.com", "right-to-left"),
        ("a\u200db.com", "not an internationalised DNS name"),
        ("xn--a.com", "'xn--a' does not decode"),
        ("xn--abc-pia.com", "does not decode"),
        ("xn--strasse-9999999999999.com", "does not decode"),
        ("xn--.com", "is not allowed"),
        ("10.0.0", "ends in a number"),
        ("010.0.0.1", "ends in a number"),
        ("1.2.3.4.5", "ends in a number"),
        ("256.1.1.1", "ends in a number"),
        ("mail.0x7f", "ends in a number"),
        ("\uff11\uff19\uff12.0.2.1", "ends in a number"),
        ("fe80::1%eth0", "zone"),
        ("::ffff:192.0.2.1", "IPv4 address written as IPv6"),
        ("2001:db8::g", "colon"),
        ("10.0.0.0/8", "address of a page"),
    ],
)
def test_what_is_no_name_is_refused_with_the_reason(typed: str, reason: str) -> None:
    with pytest.raises(InvalidIdentifier, match=reason) as caught:
        Identifier.parse(typed)
    assert caught.value.hint


def test_the_longest_name_counts_its_wildcard() -> None:
    longest = ".".join(["a" * 62] * 4) + ".a"
    assert len(longest) == 253
    assert Identifier.parse(longest).value == longest
    with pytest.raises(InvalidIdentifier, match="DNS allows 251"):
        Identifier.parse(f"*.{longest}")
    assert len(Identifier.parse(f"*.{longest[2:]}").value) == 253


def test_an_emoji_domain_is_taken_as_its_registrar_writes_it() -> None:
    with pytest.raises(InvalidIdentifier) as caught:
        Identifier.parse("i❤.ws")
    assert "xn--" in caught.value.hint
    registered = Identifier.parse("xn--i-7iq.ws")
    assert registered.unicode == "xn--i-7iq.ws"
    assert public_obstacle(registered) is None


def test_unicode_is_what_people_read() -> None:
    assert Identifier.parse("*.xn--bcher-kva.de").unicode == "*.bücher.de"
    assert Identifier.parse("2001:db8::1").unicode == "2001:db8::1"


def test_a_hint_repairs_the_usual_slips() -> None:
    for typed, better in [
        ("fe80::1%eth0", "fe80::1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("*mail.com", "*.contoso.com"),
    ]:
        with pytest.raises(InvalidIdentifier) as caught:
            Identifier.parse(typed)
        assert better in caught.value.hint


@given(st.text() | st.from_regex(r"[*.a-zäß0-9:%\[\]xn-]{0,80}", fullmatch=True))
@example("xn--" + "9" * 59)
@example("۱۲۳.com")
@example("\u0130.com")
@example("a." * 126 + "a")
def test_any_text_is_a_name_or_refused_in_a_sentence(text: str) -> None:
    try:
        identifier = Identifier.parse(text)
    except InvalidIdentifier as error:
        told = error.message
    else:
        told = ""
        assert Identifier.parse(identifier.value) == identifier
        assert identifier.value.isascii()
        assert identifier.value == identifier.value.lower()
        assert len(identifier.value) <= 253
    assert told.endswith(".") or not told
    assert len(told) < 3000


@given(st.text(alphabet=st.characters(min_codepoint=0xA0), min_size=1, max_size=12))
def test_international_names_go_there_and_back(label: str) -> None:
    try:
        identifier = Identifier.parse(f"{label}.com")
    except InvalidIdentifier:
        assume(False)
    assert Identifier.parse(identifier.unicode) == identifier


@given(st.ip_addresses())
def test_addresses_are_read_back_as_they_are(address: IPv4Address | IPv6Address) -> None:
    assume(not (isinstance(address, IPv6Address) and address.ipv4_mapped))
    identifier = Identifier.parse(str(address))
    assert identifier.type is IdentifierType.IP
    assert ip_address(identifier.value) == address


@given(HOST)
def test_a_name_covers_itself_and_nothing_else(host: str) -> None:
    identifier = Identifier.parse(host)
    assert identifier.covers(host)
    assert identifier.covers(f"{host.upper()}.")
    assert not identifier.covers(f"www.{host}")
    assert not identifier.covers(f"*.{host}")


@given(HOST, LABEL, LABEL)
def test_a_wildcard_covers_exactly_one_label(base: str, one: str, two: str) -> None:
    wildcard = Identifier.parse(f"*.{base}")
    assert wildcard.covers(f"{one}.{base}")
    assert wildcard.covers(f"*.{base}")
    assert not wildcard.covers(base)
    assert not wildcard.covers(f"{two}.{one}.{base}")
    assert not wildcard.covers(f"*.{one}.{base}")


@pytest.mark.parametrize(
    ("name", "host", "expected"),
    [
        ("*.contoso.com", "xn--bcher-kva.contoso.com", True),
        ("*.contoso.com", "bücher.contoso.com", True),
        ("*.contoso.com", "contoso.com.evil.com", False),
        ("*.contoso.com", ".contoso.com", False),
        ("*.contoso.com", "ex_01.contoso.com", False),
        ("*.contoso.com", "", False),
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "[192.0.2.1]", True),
        ("2001:db8::1", "2001:0DB8::0:1", True),
        ("192.0.2.1", "::ffff:192.0.2.1", False),
        ("ex01", "EX01", True),
        ("ex01", "ex01.contoso.com", False),
    ],
)
def test_coverage_case_by_case(name: str, host: str, expected: bool) -> None:
    assert Identifier.parse(name).covers(host) is expected


def test_covered_keeps_the_order_of_the_hosts() -> None:
    names = parse_all(["*.contoso.com", "contoso.com"])
    hosts = ["owa.contoso.com", "a.b.contoso.com", "CONTOSO.com", "?", "fabrikam.com", "mail.contoso.com"]
    assert covered(names, hosts) == ["owa.contoso.com", "CONTOSO.com", "mail.contoso.com"]


@pytest.mark.parametrize(
    "name",
    [
        "mail.contoso.com",
        "*.contoso.com",
        "contoso.co.uk",
        "*.contoso.co.uk",
        "github.io",  # a suffix of the private section: an ordinary name for authorities
        "*.github.io",
        "contoso.azurewebsites.net",
        "www.ck",
        "почта.рф",
        "8.8.8.8",
        "2606:4700::1111",
    ],
)
def test_public_authorities_can_issue(name: str) -> None:
    assert public_obstacle(Identifier.parse(name)) is None


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("ex01", "single label"),
        ("localhost", "single label"),
        ("*.local", r"ends in \.local"),
        ("ex01.contoso.local", r"ends in \.local"),
        ("mail.contoso.internal", r"ends in \.internal"),
        ("mail.contoso.test", r"ends in \.test"),
        ("mail.contoso.intern", r"ends in \.intern"),
        ("mail.contoso.lan", r"ends in \.lan"),
        ("mail.corp", r"ends in \.corp"),
        ("service.onion", r"ends in \.onion"),
        ("nas.home.arpa", r"ends in \.home\.arpa"),
        ("1.2.0.192.in-addr.arpa", r"ends in \.in-addr\.arpa"),
        ("com", "whole public suffix"),
        ("co.uk", "whole public suffix"),
        ("*.com", "whole public suffix"),
        ("*.co.uk", "whole public suffix"),
        ("*.kawasaki.jp", "whole public suffix"),
        ("foo.ck", "whole public suffix"),
        ("*.рф", "whole public suffix"),
        ("ab--cd.com", "hyphens in third and fourth place"),
        ("10.1.2.3", "private or reserved"),
        ("127.0.0.1", "private or reserved"),
        ("100.64.0.1", "private or reserved"),
        ("169.254.1.1", "private or reserved"),
        ("192.88.99.1", "private or reserved"),
        ("224.0.0.1", "private or reserved"),
        ("255.255.255.255", "private or reserved"),
        ("::1", "private or reserved"),
        ("fd00::1", "private or reserved"),
        ("fe80::1", "private or reserved"),
        ("fec0::1", "private or reserved"),
        ("ff02::1", "private or reserved"),
        ("64:ff9b::808:808", "private or reserved"),
        ("2001::1", "private or reserved"),
        ("2001:db8::1", "private or reserved"),
        ("2002:c000:201::1", "private or reserved"),
        ("3fff::1", "private or reserved"),
    ],
)
def test_public_authorities_cannot_issue(name: str, reason: str) -> None:
    obstacle = public_obstacle(Identifier.parse(name))
    assert obstacle is not None
    assert re.search(reason, obstacle)


@given(st.ip_addresses())
def test_no_private_address_is_ever_public(address: IPv4Address | IPv6Address) -> None:
    assume(not (isinstance(address, IPv6Address) and address.ipv4_mapped))
    if address.is_private or address.is_multicast or address.is_link_local or address.is_loopback:
        assert public_obstacle(Identifier.parse(str(address)))


def test_all_bad_names_are_reported_together() -> None:
    with pytest.raises(InvalidIdentifier) as caught:
        parse_all(["mail.contoso.com", "a b", "c_d"])
    lines = list(caught.value.explain())
    assert lines[0] == "2 names cannot be used."
    assert any("'a b'" in line for line in lines)
    assert any("'c_d'" in line for line in lines)


def test_names_that_no_public_authority_certifies_are_reported_with_those_that_are_none() -> None:
    typed = ["mail.contoso.com", "a b", "intranet"]
    with pytest.raises(InvalidIdentifier) as caught:
        parse_all(typed, public=True)
    assert any("intranet is a single label" in line for line in caught.value.explain())
    with pytest.raises(InvalidIdentifier, match="a b"):
        parse_all(typed)
    assert len(parse_all(["mail.contoso.com", "intranet"], public=True)) == 2, "an issuer's refusal says more"


def test_one_bad_name_is_the_error_itself() -> None:
    with pytest.raises(InvalidIdentifier, match="underscore"):
        parse_all(["mail.contoso.com", "c_d"])


def test_names_are_kept_once_and_in_order() -> None:
    assert [str(i) for i in parse_all(["b.com", "a.com", "B.com."])] == ["b.com", "a.com"]


def test_no_name_is_an_error() -> None:
    with pytest.raises(InvalidIdentifier, match="No name was given"):
        parse_all([])


def test_a_flood_of_bad_names_is_told_in_few_lines() -> None:
    with pytest.raises(InvalidIdentifier) as caught:
        parse_all([f"bad_{i}" for i in range(5000)])
    lines = list(caught.value.explain())
    assert len(lines) < 60
    assert any("and 4980 more" in line for line in lines)


def test_pathological_sizes_are_refused_before_they_are_read() -> None:
    with pytest.raises(ConfigurationError, match="1000000 names"):
        parse_all(["a.com"] * 1_000_000)
    for huge in ("a" * 10_000_000, "ä." * 5_000_000, "*" * 10_000_000, "1." * 5_000_000):
        with pytest.raises(InvalidIdentifier, match="characters long") as caught:
            Identifier.parse(huge)
        assert len(caught.value.message) < 200


def test_ten_thousand_names_are_read_and_judged() -> None:
    typed = [f"host{i}.branch{i % 100}.contoso.com" for i in range(MAX_NAMES)]
    names = parse_all(typed)
    assert len(names) == MAX_NAMES
    assert [public_obstacle(name) for name in names] == [None] * MAX_NAMES
    assert covered(names, typed) == typed
